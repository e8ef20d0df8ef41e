"""Notebook 11, exercise 1: Three ways to estimate a KL."""

import torch
import torch.nn.functional as F

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def kl_estimators(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() - 1 - gap


def _kl_estimators_reference(logp_new, logp_ref):
    args = logp_new, logp_ref
    return alignment.k1(*args), alignment.k2(*args), alignment.k3(*args)


def _kl_estimators_probes():
    """Steps of either sign, large and small and very large; tokens so unlikely that float32 has no
    number for them, only for their logarithm; one token; a row. No step is beyond 20 nats, where
    the package's k3, as others do, stops growing: an answer may have that guard or not."""
    g = seeded(110)

    def pair(*shape, step=0.7):
        new = -2 * torch.rand(*shape, generator=g) - 0.1
        return new, new + step * torch.randn(*shape, generator=g)

    return [
        pair(3, 5),
        pair(2, 7, step=2.0),
        pair(1, 1),
        pair(6, step=0.2),
        pair(4, 2),
        (torch.tensor([-1.0, -9.5, -0.2, -17.0]), torch.tensor([-9.0, -0.5, -12.5, -2.0])),
        (torch.tensor([-110.0, -140.0, -120.0]), torch.tensor([-108.0, -141.5, -120.5])),
    ]


def _three(gap):
    return -gap, gap**2 / 2, gap.exp() - 1 - gap


@wrong(
    "Your difference is turned round, in all three. The tokens were drawn from the NEW policy, so "
    "k1 is ln new - ln ref, and k3's e is raised to ln ref - ln new."
)
def turned_round(logp_new, logp_ref):
    return _three(logp_new - logp_ref)


@wrong(
    "The sign of k1 is turned round. It is positive where the new policy likes a token more than "
    "the reference does; as a penalty, yours would pay the policy for running away."
)
def k1_turned_round(logp_new, logp_ref):
    _, k2, k3 = _three(logp_ref - logp_new)
    return logp_ref - logp_new, k2, k3


@wrong(
    "In k3 the ratio is new / ref. That estimates the KL the other way round, and only for tokens "
    "drawn from the reference. Drawn were the new policy's: ref / new."
)
def k3_turned_round(logp_new, logp_ref):
    k1, k2, _ = _three(logp_ref - logp_new)
    return k1, k2, _three(logp_new - logp_ref)[2]


@wrong(
    "k3 without its last part: ratio - 1 is 0 on average, whatever the KL is, and negative half of "
    "the time. The logarithm taken away is what measures."
)
def k3_without_the_logarithm(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() - 1


@wrong(
    "The logarithm in k3 has the wrong sign. At a step of 0 the slopes of e^l - 1 and l have to "
    "cancel: that is why k3 is never negative. Yours goes below 0."
)
def k3_adds_the_logarithm(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() - 1 + gap


@wrong("k3 without the -1 is 1 where the two policies agree. There the KL is 0.")
def k3_without_the_one(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() - gap


@wrong("Your k3 is upside down: never POSITIVE. l - (e^l - 1) is minus what is asked for.")
def k3_upside_down(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap - gap.exp() + 1


@wrong(
    "k2 without the half. For a small step the KL is HALF the mean square of the log-ratio; yours "
    "reads twice the truth."
)
def k2_without_the_half(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, 2 * k2, k3


@wrong(
    "k2 is a square and no absolute value. The mean |l| is never 0, falls in proportion to the "
    "step, and the KL falls with its square."
)
def k2_takes_the_size(logp_new, logp_ref):
    k1, _, k3 = _three(logp_ref - logp_new)
    return k1, k1.abs(), k3


@wrong(
    "You subtracted probabilities. A token that falls from 0.002 to 0.000002 is a thousand times "
    "rarer, and moves yours by almost nothing. It is logarithms that are subtracted."
)
def subtracts_probabilities(logp_new, logp_ref):
    return _three(logp_ref.exp() - logp_new.exp())


@wrong(
    "You weighed each token by its probability. That belongs to a sum over the whole vocabulary. "
    "These tokens were DRAWN with that probability: it has counted once already."
)
def weighs_what_was_drawn(logp_new, logp_ref):
    return tuple(logp_new.exp() * k for k in _three(logp_ref - logp_new))


@wrong(
    "You cut k1 off at 0. A single token's may well be negative; the negative ones are what makes "
    "the mean right. Cut off, it reads a KL where there is none."
)
def cuts_k1_off(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1.clamp(min=0), k2, k3


@wrong(
    "You took the size of k1. A single token's may well be negative; the negative ones are what "
    "makes the mean right."
)
def takes_the_size_of_k1(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1.abs(), k2, k3


@wrong(
    "You weighed k1 by the token's probability, as `F.kl_div(input, target)` does: target · (ln "
    "target - input). Those are a sum's terms. These tokens were DRAWN with that probability, and "
    "it has counted once already: the plain difference."
)
def torchs_kl_div(logp_new, logp_ref):
    _, k2, k3 = _three(logp_ref - logp_new)
    return F.kl_div(logp_ref, logp_new, log_target=True, reduction="none"), k2, k3


@wrong(
    "`F.kl_div(input, target)` is target · (ln target - input): with the new policy as its input "
    "it is the KL from the reference, weighed by the reference. For drawn tokens the plain "
    "difference is asked for."
)
def torchs_kl_div_the_other_way(logp_new, logp_ref):
    _, k2, k3 = _three(logp_ref - logp_new)
    return F.kl_div(logp_new, logp_ref, log_target=True, reduction="none"), k2, k3


@wrong(
    "You averaged. A number for each token is asked for: the penalty is paid token by token, and "
    "padding can only be left out while it is still apart."
)
def averages(logp_new, logp_ref):
    return tuple(k.mean() for k in _three(logp_ref - logp_new))


@wrong(
    "You added up along the last axis. A number for each token is asked for: the penalty is paid "
    "token by token, and padding can only be left out while it is still apart."
)
def adds_up(logp_new, logp_ref):
    return tuple(k.sum(-1) for k in _three(logp_ref - logp_new))


@wrong(
    "In k2 you squared the ratio less 1, and not its logarithm. For tiny steps that is the same; "
    "for a token three times as likely it is 2 where it should be 0.6."
)
def squares_the_ratio(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, (gap.exp() - 1) ** 2 / 2, gap.exp() - 1 - gap


@wrong(
    "The values are right, and nothing can be learned from them: `detach`, `.data` or `no_grad` "
    "cut the way back off. k2 and k3 are used in losses (GRPO's, for one)."
)
def cuts_the_way_back(logp_new, logp_ref):
    return _three(logp_ref - logp_new.detach())


@wrong(
    "The values are right, but you detached the reference, and no gradient reaches it. Whoever "
    "trains wants that, and sees to it when the reference is read (`no_grad`). This function is to "
    "detach nothing, so that the formula can be used either way round."
)
def holds_the_reference_fast(logp_new, logp_ref):
    return _three(logp_ref.detach() - logp_new)


UNDERFLOW = (
    "You went back to probabilities before you divided. Of a very unlikely token (ln p below -104) "
    "both are 0 in float32, and 0 / 0 is nan. Take the difference of the logarithms, then e to it."
)


@wrong(UNDERFLOW)
def divides_probabilities(logp_new, logp_ref):
    k1, k2, _ = _three(logp_ref - logp_new)
    return k1, k2, logp_ref.exp() / logp_new.exp() - 1 + k1


@wrong(UNDERFLOW)
def divides_probabilities_in_all(logp_new, logp_ref):
    return _three(torch.log(logp_ref.exp() / logp_new.exp()))


LIMITED = (
    "You kept the log-ratio within limits. That is a library's guard, not the estimator: a token "
    "that has gone further costs no more, and nothing pulls it back."
)


@wrong(LIMITED)
def keeps_within_5(logp_new, logp_ref):
    return _three((logp_ref - logp_new).clamp(-5, 5))


@wrong(LIMITED)
def keeps_within_10(logp_new, logp_ref):
    return _three((logp_ref - logp_new).clamp(-10, 10))


@wrong(LIMITED)
def keeps_below_10(logp_new, logp_ref):
    return _three((logp_ref - logp_new).clamp(max=10))


K3_LIMITED = (
    "You kept k3 below a limit. That is a library's guard, not the estimator: a token that has "
    "gone further costs no more, and nothing pulls it back."
)


@wrong(K3_LIMITED)
def keeps_k3_within_10(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2, k3.clamp(-10, 10)


@wrong(K3_LIMITED)
def keeps_k3_within_20(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2, k3.clamp(-20, 20)


BOTH_LIMITED = (
    "You kept the log-ratio within limits, and k3 as well. Both are a library's guards, not the "
    "estimators: a token that has gone further costs no more, and nothing pulls it back."
)


@wrong(BOTH_LIMITED)
def keeps_within_10_and_k3_within_10(logp_new, logp_ref):
    k1, k2, k3 = _three((logp_ref - logp_new).clamp(-10, 10))
    return k1, k2, k3.clamp(-10, 10)


@wrong(BOTH_LIMITED)
def keeps_within_10_in_k3_and_k3_within_10(logp_new, logp_ref):
    k1, k2, _ = _three(logp_ref - logp_new)
    return k1, k2, _three((logp_ref - logp_new).clamp(-10, 10))[2].clamp(-10, 10)


@wrong(BOTH_LIMITED)
def keeps_within_5_and_k3_within_10(logp_new, logp_ref):
    k1, k2, k3 = _three((logp_ref - logp_new).clamp(-5, 5))
    return k1, k2, k3.clamp(-10, 10)


@wrong(LIMITED)
def keeps_within_5_in_k3(logp_new, logp_ref):
    k1, k2, _ = _three(logp_ref - logp_new)
    return k1, k2, _three((logp_ref - logp_new).clamp(-5, 5))[2]


@wrong(LIMITED)
def keeps_within_10_in_k3(logp_new, logp_ref):
    k1, k2, _ = _three(logp_ref - logp_new)
    return k1, k2, _three((logp_ref - logp_new).clamp(-10, 10))[2]


@wrong(
    "In k2 you squared a difference of probabilities. It is the difference of the LOGARITHMS that "
    "is squared: a rare token counts as much as a common one."
)
def k2_of_probabilities(logp_new, logp_ref):
    k1, _, k3 = _three(logp_ref - logp_new)
    return k1, (logp_new.exp() - logp_ref.exp()) ** 2 / 2, k3


@wrong("In k2 the half was squared too: (l / 2)^2 is a quarter of l^2. Square first, then halve.")
def k2_squares_the_half(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2 / 2, k3


@wrong("k2 is not squared: half of the log-ratio has either sign. Half of its SQUARE never has.")
def k2_not_squared(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap / 2, _three(gap)[2]


@wrong("k2 is not squared: half of the log-ratio has either sign. Half of its SQUARE never has.")
def k2_half_of_k1(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, -gap / 2, _three(gap)[2]


@wrong("k2 is negative with you. A square has no sign to turn: it punishes a step either way.")
def k2_negative(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, -k2, k3


@wrong("The three are right, in another order: k1, k2, k3 were asked for.")
def k3_before_k2(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k3, k2


@wrong("The three are right, in another order: k1, k2, k3 were asked for.")
def from_k3_to_k1(logp_new, logp_ref):
    return _three(logp_ref - logp_new)[::-1]


MIXED = (
    "k3 mixes the two directions: its ratio and its logarithm have to be of the same fraction, "
    "ref / new. Only then do their slopes cancel at a step of 0."
)


@wrong(MIXED)
def k3_mixes_the_directions(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, (-gap).exp() - 1 - gap


@wrong(
    "Your k3 does not vanish where the policies agree. There e^l is 1 and l is 0: e^l - 1 - l is "
    "0, with just these signs."
)
def k3_adds_the_one(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() + 1 - gap


@wrong("Your k3 has the sign of e^l turned round: 1 - e^l - l goes below 0 as soon as l is above.")
def k3_turns_the_ratio_round(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, 1 - gap.exp() - gap


@wrong(
    "That k3 weighs the log-ratio by the ratio: r ln r - (r - 1). It estimates the KL the other "
    "way round. For tokens drawn from the new policy: (r - 1) - ln r."
)
def k3_of_the_other_direction(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() * gap - gap.exp() + 1


@wrong("Only k2 has a half. k3 is (e^l - 1) - l, whole: for small steps that IS l^2 / 2.")
def k3_halved(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2, k3 / 2


@wrong(
    "You multiplied k1 by the ratio. That weighs again what was drawn with its weight already, and "
    "is negative as often as k1: k3 ADDS the ratio less 1."
)
def k3_multiplies(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, -gap * gap.exp()


@wrong("Those are bits. The estimates are asked for in nats: nothing is divided by ln 2.")
def in_bits(logp_new, logp_ref):
    return tuple(k / 0.6931471805599453 for k in _three(logp_ref - logp_new))


@wrong("Those are bits. The estimates are asked for in nats: nothing is divided by ln 2.")
def k1_in_bits(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1 / 0.6931471805599453, k2, k3


@wrong(
    "Three tensors are asked for, and one that holds all three came out: leave the `stack` away "
    "and return the three."
)
def stacks_the_three(logp_new, logp_ref):
    return torch.stack(_three(logp_ref - logp_new))


@wrong(
    "You took the size of the log-ratio in all three. k1 and k3 know which way the policy went: a "
    "token that has become less likely brings k1 below 0."
)
def takes_the_size_first(logp_new, logp_ref):
    return _three((logp_ref - logp_new).abs())


@wrong(
    "You divided log-probabilities. -4 / -2 is 2, whatever that means: the log of a ratio is the "
    "DIFFERENCE of the logarithms."
)
def divides_logarithms(logp_new, logp_ref):
    return _three(logp_ref / logp_new)


HALF_CUT = (
    "The values are right, and the gradient of {} is not: `detach` cut off one of the two ways "
    "through which it learns. Nothing is detached here."
)


@wrong(HALF_CUT.format("k3"))
def cuts_the_ratio_off(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.detach().exp() - 1 - gap


@wrong(HALF_CUT.format("k3"))
def cuts_the_logarithm_off(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap**2 / 2, gap.exp() - 1 - gap.detach()


@wrong(HALF_CUT.format("k2"))
def cuts_one_factor_off(logp_new, logp_ref):
    gap = logp_ref - logp_new
    return -gap, gap * gap.detach() / 2, gap.exp() - 1 - gap


ONE_CUT = (
    "The values are right, and `detach` cut off the gradient of {}. It is used in losses too. "
    "Nothing is detached here."
)


@wrong(ONE_CUT.format("k1"))
def cuts_k1_off_the_way_back(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1.detach(), k2, k3


@wrong(ONE_CUT.format("k2"))
def cuts_k2_off_the_way_back(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2.detach(), k3


@wrong(ONE_CUT.format("k3"))
def cuts_k3_off_the_way_back(logp_new, logp_ref):
    k1, k2, k3 = _three(logp_ref - logp_new)
    return k1, k2, k3.detach()


@wrong(
    "The values are right, and nothing can be learned from them: `detach`, `.data` or `no_grad` "
    "cut the way back off, of both policies."
)
def cuts_both_off(logp_new, logp_ref):
    return _three((logp_ref - logp_new).detach())


@wrong(
    "In k3 you took k2 away. It is ratio - 1, which is 0 on average, less the LOGARITHM of the "
    "ratio."
)
def k3_takes_k2_away(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**2 / 2
    k3 = gap.exp() - 1 - gap**2 / 2
    return k1, k2, k3


@wrong(
    "k1 is a ratio of probabilities with you. It is the LOGARITHM of that ratio, and 0 where the "
    "two policies agree."
)
def k1_is_the_ratio(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = (-gap).exp()
    k2 = gap**2 / 2
    k3 = gap.exp() - 1 - gap
    return k1, k2, k3


@wrong(
    "k1 is a ratio less 1 with you, which is nearly the logarithm for small steps. k1 is the "
    "logarithm itself, ln new - ln ref."
)
def k1_is_the_ratio_less_1(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = (-gap).exp() - 1
    k2 = gap**2 / 2
    k3 = gap.exp() - 1 - gap
    return k1, k2, k3


@wrong(
    "In k2 you squared the ratio, and not its logarithm. It is a half where the two policies "
    "agree, and there the KL is 0."
)
def k2_squares_the_whole_ratio(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap.exp() ** 2 / 2
    k3 = gap.exp() - 1 - gap
    return k1, k2, k3


@wrong(
    "k2 is a square and no absolute value: half of |l| falls in proportion to the step, and the "
    "KL falls with its square."
)
def k2_halves_the_size(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap.abs() / 2
    k3 = gap.exp() - 1 - gap
    return k1, k2, k3


@wrong("k2 is l squared, over 2. A cube has a sign, and k2 none.")
def k2_cubes(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**3 / 2
    k3 = gap.exp() - 1 - gap
    return k1, k2, k3


@wrong(
    "In k3 you took the size of ratio - 1. Its sign is needed: on average it is 0, and costs "
    "nothing."
)
def k3_takes_a_size(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**2 / 2
    k3 = (gap.exp() - 1).abs() - gap
    return k1, k2, k3


@wrong("One of the three is missing: k1, k2 and k3 are asked for.")
def two_of_three(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k3 = gap.exp() - 1 - gap
    return k1, k3


@wrong(
    "You averaged over the batch. A number for each token is asked for: the penalty is paid token "
    "by token."
)
def averages_over_the_batch(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**2 / 2
    k3 = gap.exp() - 1 - gap
    return k1.mean(0), k2.mean(0), k3.mean(0)


@wrong(
    "The values are right, but in k3 you detached the reference, so its gradient is wrong. "
    "Whoever trains wants no gradient there, and sees to it when the reference is read "
    "(`no_grad`). This function is to detach nothing."
)
def holds_the_reference_fast_in_k3(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**2 / 2
    k3 = (logp_ref.detach() - logp_new).exp() - 1 - gap
    return k1, k2, k3


@wrong(K3_LIMITED)
def keeps_k3_below_1(logp_new, logp_ref):
    gap = logp_ref - logp_new
    k1 = -gap
    k2 = gap**2 / 2
    k3 = (gap.exp() - 1 - gap).clamp(max=1)
    return k1, k2, k3


EXERCISE = Exercise(
    name="kl_estimators",
    title="Three ways to estimate a KL",
    points=2,
    minutes=10,
    answer=kl_estimators,
    reference=_kl_estimators_reference,
    probes=_kl_estimators_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "All three are made of one number a token: by how much the log-probability differs. Which "
        "way round, if the tokens came from the new policy?",
        "k1 is that difference, k2 half its square, k3 adds to k1 something whose mean is 0.",
        "With l = ln ref - ln new: e to the l has a mean of 1 over what the new policy draws, so "
        "(e to the l) - 1 costs k1 nothing on average, and makes it positive everywhere.",
    ),
)
