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
    """Steps of either sign, large and small; one token; a row; one that wants its gradient."""
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
    "`F.kl_div(input, target)` is target · (ln target - input): a sum's terms, weighed, and with "
    "the arguments in the other order. For drawn tokens the plain difference is asked for."
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
    "The values are right, and you held the reference fast. That is a good habit, and the "
    "caller's: here nothing is detached, so that the formula can be used either way round."
)
def holds_the_reference_fast(logp_new, logp_ref):
    return _three(logp_ref.detach() - logp_new)


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
