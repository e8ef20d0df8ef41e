"""Notebook 11, exercise 6: DPO's loss."""

import torch
import torch.nn.functional as F

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def dpo_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen = policy_chosen - reference_chosen  # (B,)
    rejected = policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen - rejected)).mean()


def _dpo_loss_reference(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    return alignment.dpo_loss(
        policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
    )


def _dpo_loss_probes():
    """Whole answers' log-probabilities, tens below 0; the start, where policy and reference agree;
    one pair; pairs that have moved so far that sigma rounds to 0."""
    g = seeded(115)

    def given(B, beta, step=3.0):
        reference = [-40 * torch.rand(B, generator=g) - 5 for _ in range(2)]
        policy = [r + step * torch.randn(B, generator=g) for r in reference]
        return (*policy, *reference, beta)

    return [
        given(5, 0.1),
        given(7, 0.5, step=1.0),
        given(4, 0.2, step=0.0),
        given(1, 0.3),
        (torch.tensor([-300.0, -20.0, -9.0]), torch.tensor([-10.0, -400.0, -8.0]),
         torch.tensor([-15.0, -25.0, -7.0]), torch.tensor([-150.0, -30.0, -8.5]), 1.0),
    ]  # fmt: skip


def _loss(x):
    return -F.logsigmoid(x).mean()


NO_REFERENCE = (
    "The reference has no effect. An answer that was likely from the first then counts as "
    "preferred; what DPO teaches is by how much each has GAINED."
)


@wrong(NO_REFERENCE)
def forgets_the_reference(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    return _loss(beta * (policy_chosen - policy_rejected))


EXCHANGED = (
    "The sign is turned round: rejected less chosen, or reference less policy, which comes to the "
    "same. The loss then falls as the chosen answer becomes LESS likely than it was."
)


@wrong(EXCHANGED)
def exchanges_the_two(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (rejected - chosen))


@wrong(
    "You added the reference's preference to the policy's, or paired the policy's chosen answer "
    "with the reference's rejected one, which comes to the same. It is taken away: what the "
    "reference preferred already is no merit of the policy."
)
def adds_the_reference(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    policy, reference = policy_chosen - policy_rejected, reference_chosen - reference_rejected
    return _loss(beta * (policy + reference))


BETA_OUTSIDE = (
    "beta stands outside the log-sigmoid. There it is a learning rate. Inside, it says how far the "
    "policy may go before a pair counts as settled: that is the KL's price."
)


@wrong(BETA_OUTSIDE)
def beta_outside(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return beta * _loss(chosen - rejected)


@wrong(
    "beta has no effect. It says how many nats of change a pair's preference is worth: without it "
    "the policy is as if beta were 1, tied to the reference very tightly."
)
def forgets_beta(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(chosen - rejected)


@wrong(
    "You divided by beta. The implicit reward is beta times the log-ratio: a small beta makes "
    "rewards small, so that a pair has to move far before it is settled."
)
def divides_by_beta(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss((chosen - rejected) / beta)


@wrong(
    "beta multiplies the policy alone. The two models are then no longer compared with each other: "
    "at the start, where they agree, nothing cancels. A bracket around both."
)
def beta_on_the_policy_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    policy, reference = policy_chosen - policy_rejected, reference_chosen - reference_rejected
    return _loss(beta * policy - reference)


@wrong(
    "beta multiplies the chosen answer alone: a bracket is missing. The rejected one then counts "
    "1 / beta times as much."
)
def beta_on_the_chosen_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * chosen - rejected)


@wrong(
    "You divided log-probabilities. -40 / -20 is 2, whatever that means. The log of a ratio is the "
    "DIFFERENCE of the logarithms."
)
def divides_logarithms(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen / reference_chosen, policy_rejected / reference_rejected
    return _loss(beta * (chosen - rejected))


@wrong(
    "You took e to the log-ratio. The implicit reward is beta times the LOGARITHM of the ratio; "
    "the ratio itself of a whole answer is astronomically small or large."
)
def takes_the_ratio_itself(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen = (policy_chosen - reference_chosen).exp()
    rejected = (policy_rejected - reference_rejected).exp()
    return _loss(beta * (chosen - rejected))


@wrong(
    "The rejected answer has no effect: the chosen one is only made likelier, as in fine-tuning. "
    "The pair is what teaches."
)
def only_the_chosen(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    return _loss(beta * (policy_chosen - reference_chosen))


@wrong(
    "You judged each answer alone: up with one, down with the other. That is another loss. In DPO "
    "only their difference counts, as in the reward model's loss."
)
def judges_each_alone(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -(F.logsigmoid(beta * chosen) + F.logsigmoid(-beta * rejected)).mean()


NO_MINUS = (
    "The sign is turned round: ln sigma is negative, and a loss is its opposite. Minimised, yours "
    "makes the chosen answer less likely."
)


@wrong(NO_MINUS)
def forgets_the_minus(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return F.logsigmoid(beta * (chosen - rejected)).mean()


@wrong(
    "You averaged -sigma, or 1 - sigma, without the logarithm. A pair that is hopelessly in the "
    "wrong order then has almost no gradient, and it is the one with most to teach."
)
def forgets_the_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return (1 - torch.sigmoid(beta * (chosen - rejected))).mean()


@wrong(
    "Right for small steps. Log-probabilities of whole answers differ by hundreds; sigma is then 0 "
    "in float32 and its logarithm -inf. `F.logsigmoid` never leaves the logarithms."
)
def logarithm_of_the_sigmoid(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -torch.log(torch.sigmoid(beta * (chosen - rejected))).mean()


@wrong(
    "That is the hinge: 0 as soon as the gap is 1. DPO's loss never stops, it only grows faint: "
    "-ln sigma of the gap."
)
def hinge(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return F.relu(1 - beta * (chosen - rejected)).mean()


@wrong(
    "That is IPO's loss, the squared distance to 1 / (2 beta). A cousin with another aim: DPO's is "
    "-ln sigma of beta times the gap."
)
def ipo(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return ((chosen - rejected - 1 / (2 * beta)) ** 2).mean()


@wrong(
    "You averaged the gaps and took the loss of that. One pair far apart in the right order then "
    "hides all that are in the wrong one. The loss of each, then the mean."
)
def loss_of_the_mean_gap(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen - rejected).mean())


SUMMED = (
    "That is the sum. With the mean the loss can be compared between batches, and with ln 2, where "
    "it starts."
)


@wrong(SUMMED)
def never_divides(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen - rejected)).sum()


@wrong("One loss for each pair came out. A single number is asked for, their mean.")
def one_loss_a_pair(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen - rejected))


@wrong(
    "The value is right, and you held the reference fast. That is a good habit, and the caller's, "
    "who reads it under `no_grad`: here nothing is detached."
)
def holds_the_reference_fast(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    return _loss(beta * (chosen - rejected))


@wrong(
    "The value is right, and only the chosen answer learns: you held the rejected one fast. The "
    "loss pushes one up AND the other down."
)
def holds_the_rejected_fast(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen = policy_chosen - reference_chosen
    rejected = policy_rejected.detach() - reference_rejected
    return _loss(beta * (chosen - rejected))


@wrong(
    "The number is right, but it is a number: `item()` leaves the graph behind, and nothing can be "
    "learned from it. Return the tensor."
)
def gives_a_number(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)).item()


def _unstable(x):
    return torch.log(torch.sigmoid(x))


@wrong(NO_REFERENCE)
def forgets_the_reference_and_the_stable_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    return -_unstable(beta * (policy_chosen - policy_rejected)).mean()


@wrong(EXCHANGED)
def exchanges_the_two_without_the_stable_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -_unstable(beta * (rejected - chosen)).mean()


@wrong(BETA_OUTSIDE)
def beta_outside_without_the_stable_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -beta * _unstable(chosen - rejected).mean()


@wrong(NO_MINUS)
def forgets_the_minus_and_the_stable_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _unstable(beta * (chosen - rejected)).mean()


@wrong(SUMMED)
def never_divides_without_the_stable_logarithm(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -_unstable(beta * (chosen - rejected)).sum()


EXERCISE = Exercise(
    name="dpo_loss",
    title="DPO's loss",
    points=3,
    minutes=12,
    answer=dpo_loss,
    reference=_dpo_loss_reference,
    probes=_dpo_loss_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "It is the reward model's loss of notebook 10, and the policy is its own reward model. "
        "What is an answer's reward, then?",
        "For each answer: by how much has its log-probability grown since the reference? Chosen "
        "less rejected, times beta, and then as in notebook 10.",
        "`F.logsigmoid` of one number a pair; a minus; a mean. At the start it is ln 2.",
    ),
)
