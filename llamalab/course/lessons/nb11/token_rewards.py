"""Notebook 11, exercise 2: What each token is paid."""

import torch
import torch.nn.functional as F

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


FULL_ROWS = (
    "An answer that fills its row has no padding behind it, and you looked for the padding to find "
    "its end: its score went to the wrong place, or nowhere. Count the tokens instead: that works "
    "in every row."
)


@wrong(FULL_ROWS)
def a_full_row_is_paid_on_its_first(score, logp, ref_logp, mask, beta):
    place = (mask.int().argmin(dim=1) - 1).clamp(min=0)
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(FULL_ROWS)
def a_full_row_is_never_paid(score, logp, ref_logp, mask, beta):
    end = mask & ~mask.roll(-1, 1)
    return -beta * (logp - ref_logp) * mask + end * score[:, None]


@wrong(EVERYBODYS_END)
def one_score_a_column(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[:, mask.sum(1) - 1] += score
    return rewards


@wrong(EVERYBODYS_END)
def one_score_a_column_masked(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp)
    rewards[:, mask.sum(1) - 1] += score
    return rewards * mask


@wrong(
    "Each token pays for all the steps before it as well: you took the running total. The price of "
    "a step is paid once, by the token that made it."
)
def running_total(score, logp, ref_logp, mask, beta):
    total = ((logp - ref_logp) * mask).cumsum(1)
    return _paid(score, -beta * total * mask, mask)


@wrong(
    "Each token pays for the whole answer's KL: you summed over the row and charged it everywhere. "
    "A token pays for its own step."
)
def whole_price_on_every_token(score, logp, ref_logp, mask, beta):
    total = ((logp - ref_logp) * mask).sum(1, keepdim=True)
    return _paid(score, -beta * total * mask, mask)


@wrong(
    "Each token pays the mean of its answer's KL. The token that strayed does not learn that it "
    "was the one: a token pays for its own step."
)
def mean_price_of_the_answer(score, logp, ref_logp, mask, beta):
    kl = ((logp - ref_logp) * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return _paid(score, -beta * kl * mask, mask)


@wrong("You divided by beta. It is the price of a nat: with half of it each step costs half.")
def divides_by_beta(score, logp, ref_logp, mask, beta):
    return _paid(score, -(logp - ref_logp) * mask / max(beta, 1e-8), mask)


@wrong("You multiplied by beta twice. It is the price of a nat, once.")
def beta_twice(score, logp, ref_logp, mask, beta):
    return _paid(score, -(beta**2) * (logp - ref_logp) * mask, mask)


BRACKET = (
    "beta multiplies one of the two logarithms only: a bracket is missing. Where policy and "
    "reference agree nothing is to pay, and with you there is."
)


@wrong(BRACKET)
def beta_on_the_policy_alone(score, logp, ref_logp, mask, beta):
    return _paid(score, -(beta * logp - ref_logp) * mask, mask)


@wrong(BRACKET)
def beta_on_the_policy_alone_without_a_bracket(score, logp, ref_logp, mask, beta):
    return _paid(score, (-beta * logp - ref_logp) * mask, mask)


@wrong(BRACKET)
def beta_on_the_reference_alone(score, logp, ref_logp, mask, beta):
    return _paid(score, -(logp - beta * ref_logp) * mask, mask)


@wrong("The score is taken away at the end, not paid: a good answer is punished for being good.")
def takes_the_score_away(score, logp, ref_logp, mask, beta):
    return _paid(-score, -beta * (logp - ref_logp) * mask, mask)


SQUARED = (
    "You squared the difference. A step either way is then charged; the price is the plain "
    "difference of the logarithms, k1, and a step below the reference gets some back."
)


@wrong(SQUARED)
def charges_k2(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp) ** 2 / 2 * mask, mask)


@wrong(SQUARED)
def charges_the_square(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp) ** 2 * mask, mask)


@wrong(
    "The score stands on the last token and on all the padding behind it: a running count stays "
    "where it is after the end. One place in each row."
)
def score_on_the_padding_too(score, logp, ref_logp, mask, beta):
    behind = mask.cumsum(1) == mask.sum(1, keepdim=True)
    return -beta * (logp - ref_logp) * mask + behind * score[:, None]


@wrong("The last answer of the batch gets no score: your loop ends before it.")
def without_the_last_answer(score, logp, ref_logp, mask, beta):
    paid = torch.cat((score[:-1], torch.zeros_like(score[:1])))
    return _paid(paid, -beta * (logp - ref_logp) * mask, mask)


@wrong("Only the first answer of the batch gets its score: the others earn theirs too.")
def only_the_first_answer(score, logp, ref_logp, mask, beta):
    paid = torch.cat((score[:1], torch.zeros_like(score[1:])))
    return _paid(paid, -beta * (logp - ref_logp) * mask, mask)


ONE_PLACE = (
    "All answers are paid at one and the same place, where the longest ends, or the first, or some "
    "other one of the batch. Each row has a last token of its own, at its own place."
)


@wrong(ONE_PLACE)
def at_the_longests_end(score, logp, ref_logp, mask, beta):
    place = (mask.sum(1).max() - 1).expand(len(mask))
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(ONE_PLACE)
def at_the_shortests_end(score, logp, ref_logp, mask, beta):
    place = (mask.sum(1).min() - 1).expand(len(mask))
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(ONE_PLACE)
def at_the_first_answers_end(score, logp, ref_logp, mask, beta):
    place = (mask[0].sum() - 1).expand(len(mask))
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(ONE_PLACE)
def at_the_last_answers_end(score, logp, ref_logp, mask, beta):
    place = (mask[-1].sum() - 1).expand(len(mask))
    return _paid(score, -beta * (logp - ref_logp) * mask, mask, place)


@wrong(ONE_PLACE)
def at_the_longests_end_masked(score, logp, ref_logp, mask, beta):
    return at_the_longests_end(score, logp, ref_logp, mask, beta) * mask


@wrong(ONE_PLACE)
def at_the_first_answers_end_masked(score, logp, ref_logp, mask, beta):
    return at_the_first_answers_end(score, logp, ref_logp, mask, beta) * mask


@wrong(ONE_PLACE)
def at_the_last_answers_end_masked(score, logp, ref_logp, mask, beta):
    return at_the_last_answers_end(score, logp, ref_logp, mask, beta) * mask


@wrong(
    "Only the padding is charged, and the answer's own tokens are free: the mask is turned round."
)
def mask_turned_round(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp) * ~mask, mask)


@wrong(
    "The reference is missing: each token pays for being probable. The price is for the DIFFERENCE "
    "to the reference."
)
def without_the_reference(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * logp * mask, mask)


@wrong("You added the two logarithms. A step away from the reference is their difference.")
def adds_the_logarithms(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp + ref_logp) * mask, mask)


@wrong("The last token's price is multiplied by the score. The two are added.")
def multiplies_by_the_score(score, logp, ref_logp, mask, beta):
    rewards = -beta * (logp - ref_logp) * mask
    rewards[torch.arange(len(score)), mask.sum(1) - 1] *= score
    return rewards


@wrong("One number for each answer came out. Each TOKEN is paid: do not sum over the row.")
def one_number_an_answer(score, logp, ref_logp, mask, beta):
    return _paid(score, -beta * (logp - ref_logp) * mask, mask).sum(1)


@wrong(
    "You took the batch's mean off the scores, or whitened them. That belongs to another step: "
    "here the score is paid as it is."
)
def centres_the_scores(score, logp, ref_logp, mask, beta):
    return _paid(score - score.mean(), -beta * (logp - ref_logp) * mask, mask)


@wrong(
    "Two things: every step away from the reference is PAID, for the sign of the KL is turned "
    "round; and padding is counted too, where nobody wrote."
)
def pays_and_masks_nothing(score, logp, ref_logp, mask, beta):
    return _paid(score, beta * (logp - ref_logp), mask)


@wrong(
    "Every token of an answer gets the score, and the padding too: [:, None] spreads it over the "
    "row. It comes once, on the last token."
)
def score_on_every_place(score, logp, ref_logp, mask, beta):
    return score[:, None] - beta * (logp - ref_logp) * mask


@wrong(
    "The score stands on every answer's last token and also in the last column of the batch. Only "
    "the answer's own last token earns it."
)
def score_twice(score, logp, ref_logp, mask, beta):
    rewards = _paid(score, -beta * (logp - ref_logp) * mask, mask)
    rewards[:, -1] += score
    return rewards


@wrong(
    "The prices stand one place too late: each token pays for the step of the one before it. "
    "Token t pays for logp[t] - ref_logp[t]."
)
def price_one_place_late(score, logp, ref_logp, mask, beta):
    pay = -beta * F.pad((logp - ref_logp)[:, :-1], (1, 0)) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score
    return pay


@wrong(
    "You multiplied by 1 - beta. beta itself is the price of a nat, small, or the policy never "
    "leaves the reference."
)
def one_less_beta(score, logp, ref_logp, mask, beta):
    pay = -(1 - beta) * (logp - ref_logp) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score
    return pay


@wrong(
    "You divided the score by the answer's length. The score is the whole answer's, and is paid "
    "as it is."
)
def score_by_the_length(score, logp, ref_logp, mask, beta):
    pay = -beta * (logp - ref_logp) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score / mask.sum(1)
    return pay


@wrong(
    "You multiplied the score by the answer's length, or added it once for each token. Long "
    "answers are then paid for being long. It comes once."
)
def score_times_the_length(score, logp, ref_logp, mask, beta):
    pay = -beta * (logp - ref_logp) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score * mask.sum(1)
    return pay


@wrong(
    "You multiplied the score by the share of the row that is filled. What one answer is paid "
    "must not depend on how long the others are: the score as it is."
)
def score_by_the_share_of_tokens(score, logp, ref_logp, mask, beta):
    pay = -beta * (logp - ref_logp) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score * mask.float().mean(1)
    return pay


@wrong("You wrote over `ref_logp`, which belongs to the caller. Build a new tensor.")
def writes_over_the_reference(score, logp, ref_logp, mask, beta):
    ref_logp -= logp
    pay = beta * ref_logp * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score
    return pay


@wrong(
    "In the padding stands -inf, as for a softmax. Here rewards are added up, and one such number "
    "makes every sum infinite: 0 is asked for."
)
def infinite_padding(score, logp, ref_logp, mask, beta):
    pay = -beta * (logp - ref_logp) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score
    return pay.masked_fill(~mask, float("-inf"))


@wrong(
    "You charged the ratio of the probabilities, less 1. It is 0 on average, however far the "
    "policy has gone. The price is for the difference of the LOGARITHMS."
)
def charges_the_ratio(score, logp, ref_logp, mask, beta):
    pay = -beta * ((logp - ref_logp).exp() - 1) * mask
    last = mask.sum(1) - 1
    pay[torch.arange(len(score)), last] += score
    return pay


@wrong(
    "An answer that fills its row gets its score one place too early: you kept the place off the "
    "last column. Counted from 0, n tokens end at n - 1, always."
)
def never_on_the_last_column(score, logp, ref_logp, mask, beta):
    pay = -beta * (logp - ref_logp) * mask
    last = (mask.sum(1) - 1).clamp(max=mask.shape[1] - 2)
    pay[torch.arange(len(score)), last] += score
    return pay


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
