"""Notebook 11, exercise 5: PPO's loss."""

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb11.common import lengths
from llamalab.course.lessons.nb11.common import mean as _mean

wrong = WrongAnswers()


def ppo_loss(logp_new, logp_old, advantages, mask, clip):
    old, advantages = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()  # (B, T)
    free = rho * advantages
    held = rho.clamp(1 - clip, 1 + clip) * advantages
    return -(torch.min(free, held) * mask).sum() / mask.sum()


def _ppo_loss_reference(logp_new, logp_old, advantages, mask, clip):
    return alignment.ppo_loss(logp_new, logp_old, advantages, mask, clip).loss


def _ppo_loss_probes():
    """Ratios on both sides of the clip and within it, under advantages of both signs; answers of
    every length; the first step, where new and old are the same; two clips; one token; ratios
    that have run far away; tokens so unlikely that float32 has only their logarithm."""
    g = seeded(114)

    def given(mask, clip, step=0.3):
        old = -2 * torch.rand(*mask.shape, generator=g) - 0.1
        new = old + step * torch.randn(*mask.shape, generator=g)
        return new, old, 0.3 + torch.randn(*mask.shape, generator=g), mask, clip

    return [
        given(lengths(4, 6, 2, places=6), 0.2),
        given(lengths(5, 1, 7, 3, places=7), 0.1),
        given(lengths(3, 5, places=5), 0.2, step=0.0),
        given(lengths(2, 3, 3, places=4), 0.3, step=0.8),
        given(lengths(1, places=1), 0.2, step=0.1),
        given(lengths(6, 6, places=6), 0.2, step=0.1),
        _far(torch.tensor([[8.0, -7.0, 1.0], [-0.1, 12.0, 0.0]]), -13.0),
        _far(torch.tensor([[0.5, -0.05, 1.5], [0.1, -0.3, 0.2]]), -120.0),
    ]


def _far(step, old):
    """Old log-probabilities around `old`, new ones by `step` further, under both signs."""
    old = old - torch.arange(6.0).view(2, 3)
    advantages = torch.tensor([[-0.7, 0.9, 0.4], [1.1, -0.3, 2.0]])
    return old + step, old, advantages, lengths(3, 2, places=3), 0.2


def _gain(rho, advantages, clip):
    return torch.min(rho * advantages, rho.clamp(1 - clip, 1 + clip) * advantages)


def _fixed(logp_new, logp_old, advantages):
    """(rho, advantages), with only the new policy left to learn."""
    return (logp_new - logp_old.detach()).exp(), advantages.detach()


@wrong(
    "You took the larger of the two gains. The clip then lets through just what it should stop: a "
    "ratio that has run far away keeps its pull. PPO is a pessimist: the SMALLER gain counts (or "
    "the larger loss, if the minus is inside)."
)
def the_larger_gain(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.max(rho * A, rho.clamp(1 - clip, 1 + clip) * A), mask)


@wrong(
    "The sign is turned round: with you a token of positive advantage becomes LESS likely. The "
    "gain is to grow; a loss is its opposite."
)
def forgets_the_minus(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return _mean(_gain(rho, A, clip), mask)


@wrong(
    "You divided log-probabilities. -4 / -2 is 2, and says that the new policy likes the token "
    "twice as much, where it likes it e^2 times LESS. The ratio is e to the difference."
)
def divides_logarithms(logp_new, logp_old, advantages, mask, clip):
    rho, A = logp_new / logp_old.detach(), advantages.detach()
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "Your ratio is the difference of the log-probabilities, without the e. It is 0 where nothing "
    "has changed, and there a ratio is 1."
)
def forgets_the_exponential(logp_new, logp_old, advantages, mask, clip):
    rho, A = logp_new - logp_old.detach(), advantages.detach()
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "Your ratio is old / new. It falls as the policy likes a token more, so good tokens are made "
    "unlikely."
)
def ratio_turned_round(logp_new, logp_old, advantages, mask, clip):
    rho, A = (logp_old.detach() - logp_new).exp(), advantages.detach()
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "You clipped the LOGARITHM of the ratio at ± clip. That is nearly the same and not the same: "
    "e^0.2 is 1.22, and e^-0.2 is 0.82."
)
def clips_the_logarithm(logp_new, logp_old, advantages, mask, clip):
    step, A = logp_new - logp_old.detach(), advantages.detach()
    return -_mean(torch.min(step.exp() * A, step.clamp(-clip, clip).exp() * A), mask)


@wrong(
    "You clipped the ratio between -clip and clip. It lies around 1, not around 0: 1 - clip and "
    "1 + clip."
)
def clips_around_zero(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, rho.clamp(-clip, clip) * A), mask)


@wrong(
    "You clipped at 1 / (1 + clip) on the lower side. The paper's clip is as wide below 1 as it is "
    "above: 1 - clip."
)
def clips_by_a_factor(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, rho.clamp(1 / (1 + clip), 1 + clip) * A), mask)


@wrong(
    "You clipped on the upper side only, or for positive advantages only, which comes to the "
    "same. A token of negative advantage is then pushed down without an end: that side needs 1 - "
    "clip."
)
def clips_above_only(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, rho.clamp(max=1 + clip) * A), mask)


@wrong(
    "The clipped gain alone. A token that has run the WRONG way out of the clip then has no "
    "gradient, and nothing brings it back: that is what the minimum with the free gain is for."
)
def the_clipped_gain_alone(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(rho.clamp(1 - clip, 1 + clip) * A, mask)


@wrong(
    "No clip at all. One batch is used for several steps, and from the second on the ratio runs as "
    "far as the advantage pulls it (TRL#41 is what that looks like)."
)
def never_clips(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(rho * A, mask)


@wrong(
    "Your ratio ends at 1 + clip, whatever the advantage's sign. (The smaller one of the free and "
    "the clipped ratio comes to the same.) Where the advantage is negative, the smaller RATIO "
    "gives the larger gain: multiply both by the advantage first, then take the smaller product."
)
def minimum_of_the_ratios(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho, rho.clamp(1 - clip, 1 + clip)) * A, mask)


@wrong(
    "You clipped the product, advantage and all. It is the RATIO that is kept between 1 - clip and "
    "1 + clip; an advantage may be as large as it likes."
)
def clips_the_product(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, (rho * A).clamp(1 - clip, 1 + clip)), mask)


@wrong(
    "That is REINFORCE: ln p times the advantage. At the first step its gradient is PPO's; from "
    "the second on nothing knows how far the policy has moved since the tokens were drawn."
)
def reinforce(logp_new, logp_old, advantages, mask, clip):
    return -_mean(logp_new * advantages.detach(), mask)


@wrong(
    "One ratio for a whole answer: the product of its tokens' ratios. It leaves any clip after a "
    "few tokens. In PPO every token has its own."
)
def one_ratio_an_answer(logp_new, logp_old, advantages, mask, clip):
    step = ((logp_new - logp_old.detach()) * mask).sum(1, keepdim=True)
    return -_mean(_gain(step.exp(), advantages.detach(), clip), mask)


@wrong(
    "The mask has no effect: padding, which nobody wrote, pulls at the policy as if it had been "
    "drawn."
)
def ignores_the_mask(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_gain(rho, A, clip).mean()


@wrong(
    "You divided by all places, padding too. A batch of short answers then takes smaller steps, "
    "for no other reason than that it is padded."
)
def divides_by_all_places(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).mean()


@wrong(
    "You took a mean for each answer, and then the mean of those. A token of a short answer weighs "
    "more that way (GRPO does it so, on purpose). One sum over all, one division."
)
def mean_of_row_means(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    rows = (_gain(rho, A, clip) * mask).sum(1) / mask.sum(1)
    return -rows.mean()


@wrong(
    "You divided by the number of answers. The step then grows with their length; what is averaged "
    "are tokens."
)
def divides_by_the_answers(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).sum() / len(mask)


@wrong(
    "That is the sum. Divide by the number of counted tokens, or a larger batch takes larger steps."
)
def never_divides(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).sum()


@wrong(
    "You whitened the advantages on the way. They come whitened: done again, batch by mini-batch, "
    "each mini-batch is told that half of its tokens were bad."
)
def whitens_on_the_way(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, alignment.whiten(A, mask), clip), mask)


@wrong(
    "The value is right, and the gradient goes into the advantages too: the value model would "
    "learn from it to make them large, which is not its business. `detach` them."
)
def advantages_learn(logp_new, logp_old, advantages, mask, clip):
    rho = (logp_new - logp_old.detach()).exp()
    return -_mean(_gain(rho, advantages, clip), mask)


@wrong(
    "The value is right, and the gradient goes into the OLD log-probabilities too. If both come "
    "from one model, the two gradients cancel and nothing is learned. `detach` the old ones."
)
def the_old_policy_learns(logp_new, logp_old, advantages, mask, clip):
    rho = (logp_new - logp_old).exp()
    return -_mean(_gain(rho, advantages.detach(), clip), mask)


@wrong(
    "The value is right, and gradients go everywhere: into the old log-probabilities and into the "
    "advantages too. Both are measurements of what has happened; `detach` them. Only logp_new "
    "learns."
)
def everything_learns(logp_new, logp_old, advantages, mask, clip):
    rho = (logp_new - logp_old).exp()
    return -_mean(_gain(rho, advantages, clip), mask)


@wrong(
    "The value is right, and nothing can be learned from it: the NEW log-probabilities are cut off "
    "(`detach`, `.data`, `no_grad`). It is the old ones that stay fixed."
)
def cuts_the_new_policy_off(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new.detach(), logp_old, advantages)
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "The number is right, but it is a number: `item()` leaves the graph behind, and nothing can be "
    "learned from it. Return the tensor."
)
def gives_a_number(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A, clip), mask).item()


@wrong(
    "The value is right, and the gradient goes the wrong way: the ratio is cut off (`no_grad`, "
    "`detach`, `.data`), and the advantages are not. It is logp_new that learns, through the "
    "ratio, and nothing else."
)
def only_the_advantages_learn(logp_new, logp_old, advantages, mask, clip):
    rho = (logp_new - logp_old).detach().exp()
    return -_mean(_gain(rho, advantages, clip), mask)


@wrong(
    "You divided probabilities. Of a very unlikely token (ln p below -104) both are 0 in float32, "
    "and 0 / 0 is nan. Take the difference of the logarithms, then e to it."
)
def divides_probabilities(logp_new, logp_old, advantages, mask, clip):
    rho = logp_new.exp() / logp_old.detach().exp()
    return -_mean(_gain(rho, advantages.detach(), clip), mask)


@wrong(
    "You subtracted probabilities. A token that rises from 0.001 to 0.002 is twice as likely, and "
    "your ratio says 1.001. The ratio is e to the difference of the logarithms."
)
def subtracts_probabilities(logp_new, logp_old, advantages, mask, clip):
    rho = 1 + logp_new.exp() - logp_old.detach().exp()
    return -_mean(_gain(rho, advantages.detach(), clip), mask)


LIMITED = (
    "You kept the log-ratio within limits. A token of negative advantage that has become far too "
    "likely then has no gradient any more, and it is the one that must come back down."
)


def _limited(logp_new, logp_old, advantages, mask, clip, most):
    rho = (logp_new - logp_old.detach()).clamp(-most, most).exp()
    return -_mean(_gain(rho, advantages.detach(), clip), mask)


@wrong(LIMITED)
def keeps_within_2(logp_new, logp_old, advantages, mask, clip):
    return _limited(logp_new, logp_old, advantages, mask, clip, 2)


@wrong(LIMITED)
def keeps_within_5(logp_new, logp_old, advantages, mask, clip):
    return _limited(logp_new, logp_old, advantages, mask, clip, 5)


@wrong(LIMITED)
def keeps_within_10(logp_new, logp_old, advantages, mask, clip):
    return _limited(logp_new, logp_old, advantages, mask, clip, 10)


@wrong(
    "You limited the loss of a token of negative advantage, as dual-clip PPO does. Here there are "
    "two gains, and the smaller of the two counts, however small."
)
def dual_clip(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    gain = _gain(rho, A, clip)
    return -_mean(torch.where(A < 0, torch.max(gain, 3 * A), gain), mask)


HALVED = (
    "The value is right, and within the clip the gradient is halved: there both gains are equal, "
    "`min` gives half to each, and you detached the ratio in the clipped one. Only logp_old and "
    "advantages are detached, cut off from the gradient; the ratio is not, in either gain."
)


@wrong(HALVED)
def cuts_the_clipped_gain_off(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, rho.detach().clamp(1 - clip, 1 + clip) * A), mask)


@wrong(
    "The value is right, and the FREE gain is cut off: within the clip half of the gradient is "
    "left, and a token that has run the wrong way out of it has none."
)
def cuts_the_free_gain_off(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho.detach() * A, rho.clamp(1 - clip, 1 + clip) * A), mask)


@wrong(
    "You clipped on the lower side only. A token of positive advantage is then pulled up without "
    "an end: that side needs 1 + clip."
)
def clips_below_only(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min(rho * A, rho.clamp(min=1 - clip) * A), mask)


@wrong(
    "You took the advantages' size. A token that went worse than expected is then made likelier "
    "too: the sign is what there is to learn."
)
def size_of_the_advantages(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A.abs(), clip), mask)


@wrong(
    "You took the smaller of the two MEANS. Every token has its own minimum: one that has run away "
    "must not hide behind the others."
)
def minimum_of_the_means(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -torch.min(_mean(rho * A, mask), _mean(rho.clamp(1 - clip, 1 + clip) * A, mask))


OTHER_CLIP = (
    "Your clip is another than the one you were given: 1 - clip and 1 + clip are the borders, with "
    "the argument as it comes."
)


@wrong(OTHER_CLIP)
def always_clips_at_a_fifth(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A, 0.2), mask)


@wrong(OTHER_CLIP)
def always_clips_at_a_tenth(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A, 0.1), mask)


@wrong(OTHER_CLIP)
def half_of_the_clip(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A, clip / 2), mask)


@wrong(OTHER_CLIP)
def twice_the_clip(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A, 2 * clip), mask)


@wrong(
    "One ratio for a whole answer, the geometric mean of its tokens' (GSPO does it so). In PPO "
    "every token has its own."
)
def mean_ratio_of_an_answer(logp_new, logp_old, advantages, mask, clip):
    step = ((logp_new - logp_old.detach()) * mask).sum(1, keepdim=True)
    rho = (step / mask.sum(1, keepdim=True)).exp()
    return -_mean(_gain(rho, advantages.detach(), clip), mask)


@wrong(
    "You masked the log-ratio and not the gain. In the padding the ratio is 1 then, and the "
    "padding's advantages are added up all the same."
)
def masks_the_log_ratio(logp_new, logp_old, advantages, mask, clip):
    rho = ((logp_new - logp_old.detach()) * mask).exp()
    return -_gain(rho, advantages.detach(), clip).sum() / mask.sum()


@wrong(
    "You masked the log-ratio and not the gain. In the padding the ratio is 1 then, and the "
    "padding's advantages are averaged along."
)
def masks_the_log_ratio_and_averages_all(logp_new, logp_old, advantages, mask, clip):
    rho = ((logp_new - logp_old.detach()) * mask).exp()
    return -_gain(rho, advantages.detach(), clip).mean()


@wrong(
    "You whitened the advantages on the way, over the padding too. They come whitened, and padding "
    "never counts."
)
def whitens_with_the_padding(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    A = (A - A.mean()) / (A.var(correction=0) + 1e-8).sqrt()
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "You whitened the advantages on the way, over the padding too. They come whitened, and padding "
    "never counts."
)
def whitens_with_the_padding_by_one_less(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    A = (A - A.mean()) / (A.std() + 1e-8)
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "You took the mean off the advantages on the way. They come whitened: done again, batch by "
    "mini-batch, each mini-batch is told that half of its tokens were bad."
)
def centres_on_the_way(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(_gain(rho, A - _mean(A, mask), clip), mask)


BOTH_GAINS = (
    "You added or averaged the two gains. Of the two only the SMALLER counts: so a ratio that has "
    "run out of the clip the good way gains nothing more."
)


@wrong(BOTH_GAINS)
def adds_both_gains(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(rho * A + rho.clamp(1 - clip, 1 + clip) * A, mask)


@wrong(BOTH_GAINS)
def averages_both_gains(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean((rho * A + rho.clamp(1 - clip, 1 + clip) * A) / 2, mask)


@wrong(
    "You took 1 off the ratio in one of the gains or in both. A ratio of 1 says that nothing has "
    "changed, and its gain is the advantage itself."
)
def ratio_less_1(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min((rho - 1) * A, (rho.clamp(1 - clip, 1 + clip) - 1) * A), mask)


@wrong(
    "You took 1 off the ratio in one of the gains or in both. A ratio of 1 says that nothing has "
    "changed, and its gain is the advantage itself."
)
def free_ratio_less_1(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_mean(torch.min((rho - 1) * A, rho.clamp(1 - clip, 1 + clip) * A), mask)


LONGEST = (
    "You divided by a length, or by the answers times the longest. The mean is over the counted "
    "tokens of the whole batch: divide by how many those are."
)


@wrong(LONGEST)
def divides_by_the_longest(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).sum() / mask.sum(1).max()


@wrong(LONGEST)
def divides_by_answers_times_the_longest(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).sum() / (len(mask) * mask.sum(1).max())


@wrong(LONGEST)
def divides_by_the_columns(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * mask).sum() / mask.shape[1]


@wrong("You raised 2, or 10, to the difference. The log-probabilities are natural ones: e to it.")
def two_to_the_difference(logp_new, logp_old, advantages, mask, clip):
    rho, A = 2 ** (logp_new - logp_old.detach()), advantages.detach()
    return -_mean(_gain(rho, A, clip), mask)


@wrong(
    "1 plus the difference of the logarithms is the ratio for small steps only; further out it "
    "goes below 0. The ratio is e to the difference."
)
def one_plus_the_difference(logp_new, logp_old, advantages, mask, clip):
    rho, A = 1 + logp_new - logp_old.detach(), advantages.detach()
    return -_mean(_gain(rho, A, clip), mask)


@wrong("One loss for each token came out. A single number is asked for: their mean.")
def one_loss_a_token(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -_gain(rho, A, clip) * mask


@wrong(
    "The mask is turned round: what is averaged is the padding, which nobody wrote, and the "
    "answers teach nothing."
)
def mask_turned_round(logp_new, logp_old, advantages, mask, clip):
    rho, A = _fixed(logp_new, logp_old, advantages)
    return -(_gain(rho, A, clip) * ~mask).sum() / (~mask).sum().clamp(min=1)


KL_ADDED = (
    "You added a price for the distance to the old policy, a KL, to the loss. Here the KL has been "
    "paid in the rewards already: only the clipped gain is asked for."
)


def _with_kl(logp_new, logp_old, advantages, mask, clip, beta, kl):
    """The loss and beta times the mean of kl(step)."""
    rho, A = _fixed(logp_new, logp_old, advantages)
    step = logp_new - logp_old.detach()
    return -_mean(_gain(rho, A, clip), mask) + beta * _mean(kl(step), mask)


def _k1(step):
    return step


def _k3(step):
    return (-step).exp() - 1 + step


@wrong(KL_ADDED)
def adds_the_kl(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.1, _k1)


@wrong(KL_ADDED)
def adds_a_hundredth_of_the_kl(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.01, _k1)


@wrong(KL_ADDED)
def adds_a_twentieth_of_the_kl(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.05, _k1)


@wrong(KL_ADDED)
def adds_a_50th_of_the_kl(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.02, _k1)


@wrong(KL_ADDED)
def adds_a_50th_of_k3(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.02, _k3)


@wrong(KL_ADDED)
def adds_a_twentieth_of_k3(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.05, _k3)


@wrong(KL_ADDED)
def adds_a_tenth_of_k3(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.1, _k3)


@wrong(KL_ADDED)
def adds_a_hundredth_of_k3(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.01, _k3)


@wrong(KL_ADDED)
def adds_a_25th_of_k3(logp_new, logp_old, advantages, mask, clip):
    return _with_kl(logp_new, logp_old, advantages, mask, clip, 0.04, _k3)


@wrong(
    "Both of your borders are the same, so the clipped ratio is a constant. It may move freely "
    "between 1 - clip and 1 + clip."
)
def one_border_for_both(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(max=1 + clip).clamp(min=1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong(
    "You clipped at 1 instead of 1 + clip. A good token could not become more likely at all; "
    "within the clip it may."
)
def clips_at_1_above(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1 - clip, 1) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong(
    "You clipped at 1 instead of 1 - clip. A bad token could not become less likely at all; "
    "within the clip it may."
)
def clips_at_1_below(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong(
    "The free gain is the log-probability times the advantage with you. It is the RATIO times the "
    "advantage, the same ratio that is clipped in the other."
)
def logp_for_the_free_gain(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = logp_new * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong(
    "You cut the advantages off. It is the RATIO that is kept between 1 - clip and 1 + clip; an "
    "advantage may be as large as it likes."
)
def cuts_the_advantages_off(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    A = A.clamp(-1, 1)
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong(
    "You kept positive advantages only. What went worse than expected has to become less likely: "
    "that is half of what there is to learn."
)
def only_positive_advantages(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    A = A.clamp(min=0)
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong("1 less the gain has the right gradient and another value. The loss is minus the mean gain.")
def one_less_the_gain(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return 1 - (gain * mask).sum() / mask.sum()


@wrong(
    "You added an entropy, or some other price, to the loss. Only the clipped gain is asked for."
)
def adds_the_entropy(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return 0.01 * (logp_new * mask).sum() / mask.sum() - (gain * mask).sum() / mask.sum()


@wrong("You took the median token. All others then have no gradient: the mean is asked for.")
def the_median_token(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -gain[mask].median()


@wrong(
    "You squared the ratio in the free gain. Both gains are the ratio times the advantage, one "
    "free and one clipped."
)
def squares_the_ratio(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho**2 * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / mask.sum()


@wrong("You divided by the number of counted tokens less one. A mean is divided by all of them.")
def divides_by_one_less(logp_new, logp_old, advantages, mask, clip):
    old, A = logp_old.detach(), advantages.detach()
    rho = (logp_new - old).exp()
    free = rho * A
    held = rho.clamp(1 - clip, 1 + clip) * A
    gain = torch.min(free, held)
    return -(gain * mask).sum() / (mask.sum() - 1).clamp(min=1)


EXERCISE = Exercise(
    name="ppo_loss",
    title="PPO's loss",
    points=4,
    minutes=20,
    answer=ppo_loss,
    reference=_ppo_loss_reference,
    probes=_ppo_loss_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "How much more likely has a token become since it was drawn? Its gain is that, times its "
        "advantage, and never more than the clipped ratio would give.",
        "Two gains a token, with the ratio as it is and with the ratio clipped; the smaller of the "
        "two; minus; the mean over the counted tokens.",
        "e to the difference of the log-probabilities is the ratio. What was measured before this "
        "step, the old log-probabilities and the advantages, is not to learn.",
    ),
)
