"""Notebook 11, exercise 6: DPO's loss."""

import math

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
    one pair; answers so unlikely that float32 has only their
    logarithm; pairs that have moved so far that sigma rounds to 0."""
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
        given(6, 0.05, step=5.0),
        given(3, 0.4, step=2.0),
        (torch.tensor([-200.0, -150.0, -7.5]), torch.tensor([-180.0, -210.0, -9.0]),
         torch.tensor([-201.0, -148.0, -8.0]), torch.tensor([-179.0, -212.0, -8.5]), 0.3),
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
    "The value is right, but you detached the reference, and no gradient reaches it. Whoever "
    "trains wants that, and sees to it when the reference is read (`no_grad`). This function is to "
    "detach nothing."
)
def holds_the_reference_fast(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen = policy_chosen - reference_chosen.detach()
    rejected = policy_rejected - reference_rejected.detach()
    return _loss(beta * (chosen - rejected))


@wrong(
    "The value is right, and only the chosen answer learns: you detached the rejected one. The "
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


CUSHIONED = (
    "A small number under the logarithm, added or as a limit, keeps it finite, and hides the "
    "worst pairs: their loss stops growing and their gradient is 0. `F.logsigmoid` needs no "
    "cushion. (`binary_cross_entropy` of a sigmoid has such a limit built in.)"
)


def _cushioned(x, added=0.0, least=0.0):
    return -torch.log((torch.sigmoid(x) + added).clamp(min=least)).mean()


LIMITED = (
    "You kept the gap within limits. The loss needs no such protection; beyond the limit no "
    "gradient comes back, and the worst pairs lie there."
)


UNDERFLOW = (
    "You went back to probabilities. A whole answer's is below 1e-45 as soon as ln p is below "
    "-104, and 0 in float32: 0 / 0 is nan. It is the logarithms that are subtracted."
)


ONE_REFERENCE = (
    "The reference is taken off one of the two answers only. The other's log-probability, tens "
    "below 0, then stands there bare: each answer has its own reference."
)


@wrong(CUSHIONED)
def cushions_with_1e_6(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-6)


@wrong(CUSHIONED)
def cushions_with_1e_7(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-7)


@wrong(CUSHIONED)
def cushions_with_1e_8(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-8)


@wrong(CUSHIONED)
def cushions_with_1e_9(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-9)


@wrong(CUSHIONED)
def cushions_with_1e_10(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-10)


@wrong(CUSHIONED)
def cushions_with_1e_12(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _cushioned(beta * (chosen - rejected), added=1e-12)


@wrong(CUSHIONED)
def cross_entropy_of_the_sigmoid(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return F.binary_cross_entropy(
        torch.sigmoid(beta * (chosen - rejected)), torch.ones_like(chosen)
    )


@wrong(
    "You smoothed the labels: a tenth of the loss is that of the opposite preference. That is a "
    "cousin of DPO for noisy labels; the loss itself believes each of them."
)
def smooths_the_labels(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)) * 0.9 + _loss(-beta * (chosen - rejected)) * 0.1


@wrong(
    "beta is there twice, inside the sigmoid and before the loss. Outside it is a learning rate: "
    "inside alone."
)
def beta_inside_and_outside(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return beta * _loss(beta * (chosen - rejected))


@wrong("You multiplied by beta twice. The implicit reward is beta times the log-ratio, once.")
def squares_beta(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta**2 * (chosen - rejected))


@wrong(
    "The chosen answer has no effect: the rejected one is only made less likely, until neither is "
    "written any more. The pair is what teaches."
)
def only_the_rejected(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    rejected = policy_rejected - reference_rejected
    return _loss(-beta * rejected)


@wrong(
    "beta multiplies the rejected answer alone: a bracket is missing. The chosen one then counts "
    "1 / beta times as much."
)
def beta_on_the_rejected_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(chosen - beta * rejected)


@wrong(
    "beta multiplies the reference alone. Policy and reference are compared first, and the whole "
    "difference is multiplied by beta."
)
def beta_on_the_reference_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    return _loss(policy_chosen - policy_rejected - beta * (reference_chosen - reference_rejected))


@wrong(
    "You compared every chosen answer with every rejected one: [:, None] makes a table, most of it "
    "answers to different prompts. Row i goes with row i."
)
def compares_all_with_all(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen[:, None] - rejected))


@wrong(LIMITED)
def keeps_the_gap_within_10(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected).clamp(-10, 10))


@wrong(LIMITED)
def keeps_the_reward_within_10(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss((beta * (chosen - rejected)).clamp(-10, 10))


@wrong(LIMITED)
def keeps_the_reward_within_20(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss((beta * (chosen - rejected)).clamp(-20, 20))


@wrong(LIMITED)
def no_reward_below_0(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss((beta * (chosen - rejected)).clamp(min=0))


@wrong(
    "The value is right, and only the rejected answer learns: you detached the chosen one. The "
    "loss pushes one up AND the other down."
)
def holds_the_chosen_fast(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    rejected = policy_rejected - reference_rejected
    return _loss(beta * (policy_chosen.detach() - reference_chosen - rejected))


@wrong(
    "The value is right, and nothing can be learned from it: `detach`, `.data` or `no_grad` cut "
    "the way back to the policy off."
)
def cuts_the_way_back(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected).detach())


@wrong(
    "The value is right, but you detached the POLICY, which is the one that is to learn. Nothing "
    "is detached here."
)
def cuts_the_policy_off(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    return _loss(
        beta * (policy_chosen.detach() - reference_chosen)
        - beta * (policy_rejected.detach() - reference_rejected)
    )


@wrong(UNDERFLOW)
def divides_probabilities(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    return _loss(
        beta * torch.log(policy_chosen.exp() / reference_chosen.exp())
        - beta * torch.log(policy_rejected.exp() / reference_rejected.exp())
    )


@wrong("That is in bits. The loss is asked for in nats: it starts at ln 2, and not at 1.")
def in_bits(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)) / math.log(2)


@wrong(
    "You took the gap's size. Whether the chosen answer or the rejected one has gained makes no "
    "difference then, and that is all there is to learn."
)
def size_of_the_gap(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected).abs())


@wrong(
    "The policy has no effect. What the reference prefers is fixed, and there is nothing to learn "
    "from it: what teaches is by how much the policy differs."
)
def the_reference_alone(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    return _loss(beta * (reference_chosen - reference_rejected))


@wrong(
    "You added the two answers' rewards. Both would be made likelier: what teaches is their "
    "DIFFERENCE, chosen less rejected."
)
def adds_the_two(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen + rejected))


@wrong(ONE_REFERENCE)
def reference_of_the_chosen_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen = policy_chosen - reference_chosen
    return _loss(beta * (chosen - policy_rejected))


@wrong(ONE_REFERENCE)
def reference_of_the_rejected_alone(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    rejected = policy_rejected - reference_rejected
    return _loss(beta * (policy_chosen - rejected))


@wrong(
    "The gap itself, without sigmoid and logarithm, has no end: the loss falls by as much as one "
    "pair is pulled apart, and all the others are forgotten."
)
def the_bare_gap(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -(beta * (chosen - rejected)).mean()


@wrong(
    "You measured a squared distance to 1. It punishes a gap for being too LARGE as well. DPO's "
    "loss is -ln sigma of beta times the gap."
)
def squared_distance_to_1(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return ((1 - beta * (chosen - rejected)) ** 2).mean()


@wrong(
    "You took e to the minus gap. For a pair in the wrong order it explodes; -ln sigma grows only "
    "in proportion to the gap."
)
def exponential_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return torch.exp(-beta * (chosen - rejected)).mean()


@wrong(
    "Half of what is asked for: B pairs are 2 B answers, and it is PAIRS that are averaged. At the "
    "start the loss is ln 2."
)
def halves_the_loss(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)) / 2


@wrong(
    "You took the median pair. All others, the worst ones too, then have no gradient: the mean is "
    "asked for."
)
def the_median_pair(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -F.logsigmoid(beta * (chosen - rejected)).median()


@wrong(
    "You took the sigmoid twice: `logsigmoid`, and a loss named `with_logits`, take their own. "
    "Give them the gap."
)
def sigmoid_twice(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(torch.sigmoid(beta * (chosen - rejected)))


@wrong(
    "You took the sigmoid of each answer's reward and then the difference: no pair can ever be "
    "more than 73 % sure. The difference comes first; one sigmoid."
)
def sigmoid_of_each(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(torch.sigmoid(beta * chosen) - torch.sigmoid(beta * rejected))


@wrong(
    "You averaged the probabilities and took the logarithm of that. It is the losses that are "
    "averaged: one pair thought impossible has to hurt."
)
def log_of_the_mean(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -torch.log(torch.sigmoid(beta * (chosen - rejected)).mean())


@wrong(
    "A softmax over the batch makes the pairs compete with each other. The two answers of ONE pair "
    "compete: that is a sigmoid of their gap."
)
def softmax_over_the_batch(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return -F.log_softmax(beta * (chosen - rejected), 0).mean()


@wrong(
    "Your sigmoid sees twice the gap: (1 + tanh x) / 2 is sigma(2 x), and so is a softmax over x "
    "and -x. One gap, one sigmoid."
)
def twice_the_gap(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(2 * beta * (chosen - rejected))


@wrong(
    "You added the loss of the opposite preference. The two pull against each other and the best "
    "gap is 0: only the chosen answer's side counts."
)
def both_preferences(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)) + _loss(-beta * (chosen - rejected))


@wrong(
    "You added a term of the chosen answer's own log-probability. That holds it up, as some "
    "cousins of DPO do; in DPO itself only the pair counts."
)
def pulls_up_the_chosen_too(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    chosen, rejected = policy_chosen - reference_chosen, policy_rejected - reference_rejected
    return _loss(beta * (chosen - rejected)) - policy_chosen.mean()


@wrong(
    "You divided one answer's gain by the other's. They are logarithms: what teaches is their "
    "DIFFERENCE, chosen less rejected."
)
def divides_the_two(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta * (c / r)
    return (-F.logsigmoid(x)).mean()


@wrong(
    "You added beta. It MULTIPLIES the difference: it says how many nats of change a preference "
    "is worth."
)
def adds_beta(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta + (c - r)
    return (-F.logsigmoid(x)).mean()


@wrong(
    "You multiplied by the root of beta. The implicit reward is beta times the log-ratio, beta "
    "itself."
)
def root_of_beta(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta**0.5 * (c - r)
    return (-F.logsigmoid(x)).mean()


@wrong(
    "You took a margin off the gap. DPO asks for none: at the start, where policy and reference "
    "agree, the loss is ln 2."
)
def asks_for_a_margin(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta * (c - r) - 1
    return (-F.logsigmoid(x)).mean()


@wrong(
    "For the chosen answer you took reference less policy, and policy less reference for the "
    "rejected one. Both would be made less likely: policy less reference, in both."
)
def turns_the_chosen_round(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    c = reference_chosen - policy_chosen
    r = policy_rejected - reference_rejected
    x = beta * (c - r)
    return (-F.logsigmoid(x)).mean()


@wrong(
    "You judged each answer alone: up with one, down with the other, and half of each. In DPO "
    "only their difference counts, as in the reward model's loss."
)
def judges_each_alone_by_half(
    policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta
):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    return -F.logsigmoid(torch.cat([beta * c, -beta * r])).mean()


@wrong(
    "You squared the log. A pair twice as wrong then counts four times: the loss is the plain -ln "
    "sigma."
)
def squared_logarithm(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta * (c - r)
    return F.logsigmoid(x).square().mean()


@wrong(
    "That is a hinge: 0 as soon as the gap is above 0. DPO's loss never stops, it only grows "
    "faint: -ln sigma of the gap."
)
def hinge_at_0(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta):
    c = policy_chosen - reference_chosen
    r = policy_rejected - reference_rejected
    x = beta * (c - r)
    return F.relu(-x).mean()


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
