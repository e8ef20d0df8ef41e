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
    every length; the first step, where new and old are the same; two clips; one token."""
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
    ]


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
    "You clipped on the upper side only. A token of negative advantage is then pushed down without "
    "an end: that side needs 1 - clip."
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
    "You took the minimum of the ratios and multiplied after that. Where the advantage is negative "
    "the order of the two turns round: multiply first, then the minimum."
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
