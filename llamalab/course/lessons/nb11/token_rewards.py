"""Notebook 11, exercise 2: What each token is paid."""

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb11.common import lengths

wrong = WrongAnswers()


def token_rewards(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask  # (B, T)
    last = mask.sum(1) - 1  # (B,)
    rewards[torch.arange(len(score)), last] += score
    return rewards


def _token_rewards_reference(score, logp, ref_logp, mask, beta):
    return alignment.token_rewards(score, logp, ref_logp, mask, beta)


def _token_rewards_probes():
    """Answers of every length, full ones among them, all of one length, one token, one answer;
    in padding the two models differ more than anywhere."""
    g = seeded(111)

    def given(mask, beta):
        B, T = mask.shape
        logp = -2 * torch.rand(B, T, generator=g)
        ref = logp + 0.5 * torch.randn(B, T, generator=g)
        ref = torch.where(mask, ref, ref - 5)
        return 2 * torch.randn(B, generator=g) + 1, logp, ref, mask, beta

    return [
        given(lengths(4, 6, 1, 3, places=6), 0.3),
        given(lengths(2, 5, places=7), 0.05),
        given(lengths(3, 3, 3, places=3), 0.2),
        given(lengths(1, places=1), 0.5),
        given(lengths(1, 2, 1, 4, 2, places=4), 1.0),
        given(lengths(3, 1, places=5), 0.0),
    ]


def _paid(score, penalty, mask, place=None):
    """penalty and the score at `place` (B,), the last counted one unless told."""
    place = mask.sum(1) - 1 if place is None else place
    at = torch.arange(mask.shape[1]) == place[:, None]
    return penalty + at * score[:, None]


@wrong(
    "The sign of the KL is turned round: every step away from the reference is PAID. The policy "
    "would run from it as fast as it can."
)
def pays_for_running_away(score, logp, ref_logp, mask, beta):
    return _paid(score, beta * (logp - ref_logp) * mask, mask)


@wrong(
    "The score stands in the last column of the batch. For every answer shorter than the longest "
    "that is padding, and what is paid there nobody earns."
)
def score_in_the_last_column(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[:, -1] += score
    return rewards


@wrong(
    "The score stands one place behind the answer's last token. n tokens are at 0 … n - 1: it "
    "belongs ON the last, which is EOS. (TRL puts it one behind, on purpose; here that is padding.)"
)
def score_behind_the_last(score, logp, ref_logp, mask, beta):
    place = mask.sum(1).clamp(max=mask.shape[1] - 1)
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(
    "The score stands one place before the answer's last token: you subtracted one too many. The "
    "token that ends the answer, EOS, earns it."
)
def score_before_the_last(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[torch.arange(len(score)), mask.sum(1) - 2] += score
    return rewards


@wrong(
    "The score stands on the first token. It is known when the answer is finished; on the first "
    "token it says nothing about what came after."
)
def score_on_the_first(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, torch.zeros_like(mask.sum(1)))


@wrong(
    "Every token gets the whole score. A long answer is then paid many times, and the policy "
    "learns to be long. The score comes once."
)
def score_on_every_token(score, logp, ref_logp, mask, beta):
    return (score[:, None] - beta * (logp - ref_logp)) * mask


@wrong(
    "You shared the score out among the tokens. It comes once, at the end; it is GAE that carries "
    "it back to the tokens that earned it."
)
def score_shared_out(score, logp, ref_logp, mask, beta):
    share = score / mask.sum(1)
    return (share[:, None] - beta * (logp - ref_logp)) * mask


@wrong(
    "Padding is paid for too. Behind its EOS an answer makes no step away from the reference: "
    "where the mask is False the reward is 0."
)
def padding_is_paid(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp), mask)


@wrong(
    "You charged the whole answer's KL at its last token. The sum is the same, but the token that "
    "strayed does not learn that it was the one. The price is paid where it arises."
)
def kl_at_the_end(score, logp, ref_logp, mask, beta):
    kl = ((logp - ref_logp) * mask).sum(1)
    return _paid(score - beta * kl, torch.zeros_like(logp), mask)


@wrong(
    "You charged the mean KL at the last token. It is lower for a long answer than for a short one "
    "that strays as much, and the token that strayed does not learn that it was the one."
)
def mean_kl_at_the_end(score, logp, ref_logp, mask, beta):
    kl = ((logp - ref_logp) * mask).sum(1) / mask.sum(1)
    return _paid(score - beta * kl, torch.zeros_like(logp), mask)


@wrong(
    "No KL at all. The policy is then free to find whatever the reward model overrates, and will: "
    "beta is what ties it to the text that the reward model knows."
)
def forgets_the_kl(score, logp, ref_logp, mask, beta):
    return _paid(score, torch.zeros_like(logp), mask)


@wrong(
    "beta has no effect: the full KL is charged. It is the price of a nat, small (0.01 in the "
    "paper), or the policy never leaves the reference."
)
def forgets_beta(score, logp, ref_logp, mask, beta):
    return _paid(score, -(logp - ref_logp) * mask, mask)


@wrong(
    "beta multiplies the score as well. Then it only makes everything smaller, and the balance of "
    "score and KL, which it is there to set, stays 1 to 1."
)
def beta_on_the_score_too(score, logp, ref_logp, mask, beta):
    return _paid(beta * score, -beta * (logp - ref_logp) * mask, mask)


@wrong(
    "The score replaced the last token's price: you assigned where you had to add. EOS may stray "
    "from the reference too."
)
def score_replaces_the_price(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[torch.arange(len(score)), mask.sum(1) - 1] = score
    return rewards


@wrong(
    "You charged the size of the difference. Where the policy likes a token less than the "
    "reference does, the price is negative; only so does the sum estimate the KL."
)
def charges_the_size(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp).abs() * mask, mask)


@wrong(
    "You cut the price off at 0. A token that the policy likes less than the reference does gets "
    "some back; only so does the sum estimate the KL."
)
def never_gives_back(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp).clamp(min=0) * mask, mask)


@wrong(
    "You charged k3. It estimates the same KL and is less noisy, but the reward of PPO as it is "
    "written here, and in InstructGPT, is the plain difference of the logarithms, k1."
)
def charges_k3(score, logp, ref_logp, mask, beta):
    gap = ref_logp - logp
    return _paid(score, -beta * (gap.exp() - 1 - gap) * mask, mask)


@wrong(
    "You charged a difference of probabilities. A token that the reference finds a thousand times "
    "rarer may differ by 0.002 only. The KL is made of logarithms."
)
def charges_probabilities(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp.exp() - ref_logp.exp()) * mask, mask)


@wrong(
    "Your KL is one number, averaged over the batch: a careful answer pays for what another one "
    "did. Each token pays for itself."
)
def one_kl_for_all(score, logp, ref_logp, mask, beta):
    kl = ((logp - ref_logp) * mask).sum() / mask.sum()
    return _paid(score, -beta * kl * mask, mask)


@wrong(
    "You wrote over `logp`, which the loss still needs as the OLD log-probabilities. Build a new "
    "tensor."
)
def writes_over_logp(score, logp, ref_logp, mask, beta):
    logp -= ref_logp
    logp *= -beta * mask
    logp[torch.arange(len(score)), mask.sum(1) - 1] += score
    return logp


@wrong(
    "The score stands in the last column of the batch, and the mask then takes it away: an answer "
    "shorter than the longest is never paid at all. It belongs on the answer's own last token."
)
def score_masked_away(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp)
    rewards[:, -1] += score
    return rewards * mask


@wrong(
    "The mask has no effect: padding pays a price, and the score stands in the last column, which "
    "for every answer shorter than the longest is padding too."
)
def ignores_the_mask(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp)
    rewards[:, -1] += score
    return rewards


EVERYBODYS_END = (
    "`x[:, last]` takes ALL rows at each of those places: every answer is paid its score again "
    "wherever another answer ends. One place in each row is `x[torch.arange(B), last]`."
)


@wrong(EVERYBODYS_END)
def score_at_everybodys_end(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[:, mask.sum(1) - 1] += score[:, None]
    return rewards


@wrong(EVERYBODYS_END)
def score_at_everybodys_end_masked(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp)
    rewards[:, mask.sum(1) - 1] += score[:, None]
    return rewards * mask


EXERCISE = Exercise(
    name="token_rewards",
    title="What each token is paid",
    points=2,
    minutes=10,
    answer=token_rewards,
    reference=_token_rewards_reference,
    probes=_token_rewards_probes,
    misconceptions=wrong.all,
    hints=(
        "Two kinds of pay: one for each token, one for the whole answer. On which token is the "
        "second, if the rows are of different length?",
        "The price first, for the whole table, with the padding taken out. Then add the scores to "
        "one place in each row.",
        "An answer of n tokens stands at 0 … n - 1, and the mask knows n. "
        "`x[torch.arange(B), places]` reaches one place in each row.",
    ),
)
