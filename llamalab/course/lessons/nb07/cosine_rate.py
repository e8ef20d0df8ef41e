"""Notebook 07, exercise 4: The schedule."""

import math

import torch

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.training import TrainConfig, learning_rate

wrong = WrongAnswers()


def cosine_rate(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (steps - warmup))
    return peak * (0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2)


def _cosine_rate_reference(step, peak, warmup, steps):
    return learning_rate(step, TrainConfig(steps=steps, lr=peak, warmup_steps=warmup))


def _cosine_rate_probes():
    return [
        (1, 3e-4, 2000, 500_000),
        (1000, 3e-4, 2000, 500_000),
        (2000, 3e-4, 2000, 500_000),
        (2001, 3e-4, 2000, 500_000),
        (251_000, 3e-4, 2000, 500_000),
        (500_000, 1.5e-4, 2000, 500_000),
        (3, 0.01, 7, 50),
        (20, 0.01, 7, 50),
        (40, 2.0, 10, 50),
        (50, 2.0, 10, 50),
        (57, 2.0, 10, 50),
        (1, 1.0, 0, 9),
        (4, 1.0, 0, 9),
    ]


def _rate(step, peak, warmup, steps, *, ramp=None, done=None, share=None):
    """The schedule with a part replaced."""
    if step <= warmup:
        return peak * (step / warmup if ramp is None else ramp(step / warmup))
    done = (step - warmup) / (steps - warmup) if done is None else done
    done = min(1.0, done)
    if share is not None:
        return peak * share(done)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


@wrong(
    "Without a warm-up you divide by 0. `warmup` may be 0: then the first step is on the cosine "
    "already, so ask for it before you divide."
)
def divides_by_no_warmup(step, peak, warmup, steps):
    rising = peak * step / warmup
    return rising if step <= warmup else _rate(step, peak, warmup, steps)


@wrong(
    "Your rate ends at 0. Llama 2's ends at a tenth of the peak. (llama2.c's train.py ends at 0"
    " too, by its default.)"
)
def ends_at_zero(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.5 * (1 + math.cos(math.pi * d)))


@wrong(
    "You added the tenth on top, so it starts from 1.1 times the peak. What the cosine moves is"
    " the rest: nine tenths."
)
def adds_the_tenth_on_top(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.5 * (1 + math.cos(math.pi * d)))


@wrong(
    "You let the cosine go to 0 and cut it off at a tenth. Squeeze it instead: the whole half "
    "turn fits between the peak and a tenth."
)
def cuts_off_at_a_tenth(step, peak, warmup, steps):
    return _rate(
        step, peak, warmup, steps, share=lambda d: max(0.1, 0.5 * (1 + math.cos(math.pi * d)))
    )


TENTH_OF_ONE = (
    "You end at 0.1 and not at a tenth of the peak. For a peak of 3e-4 the rate would CLIMB, to "
    "more than 300 times that."
)


@wrong(TENTH_OF_ONE)
def adds_a_tenth_of_one(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (steps - warmup))
    return 0.9 * peak * 0.5 * (1 + math.cos(math.pi * done)) + 0.1


@wrong(
    "You let the rate fall by the same factor at every step, down to a tenth. That is an "
    "exponential; half a cosine stays high longer."
)
def exponential(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1**d)


@wrong(TENTH_OF_ONE)
def ends_at_a_tenth_of_one(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (steps - warmup))
    return 0.1 + (peak - 0.1) * 0.5 * (1 + math.cos(math.pi * done))


@wrong(
    "Step 1 has the rate 0: a batch computed for nothing. Steps count from 1, and the last step"
    " of the warm-up has the peak."
)
def starts_from_nothing(step, peak, warmup, steps):
    if step <= warmup:
        return peak * (step - 1) / warmup
    return _rate(step, peak, warmup, steps)


@wrong(
    "You count steps from 0, and here they count from 1: (step + 1) / warmup is above the peak "
    "at the warm-up's last step, or reaches it one step too early."
)
def peak_a_step_early(step, peak, warmup, steps):
    if step < warmup:
        return peak * (step + 1) / warmup
    return _rate(step, peak, warmup, steps)


@wrong(
    "That is the warm-up of a loop that counts its steps from 0: (step + 1) / (warmup + 1). Here "
    "step 1 is the first, and the warm-up's last step has the peak."
)
def counts_steps_from_zero(step, peak, warmup, steps):
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    return _rate(step, peak, warmup, steps)


@wrong(
    "Your cosine is one step late: it ends a step after the last one. At `step == steps` the way "
    "is done, and its length is steps - warmup."
)
def cosine_a_step_late(step, peak, warmup, steps):
    done = (step - 1 - warmup) / (steps - warmup)
    return _rate(step, peak, warmup, steps, done=done)


TWICE_THE_PEAK = (
    "The first step behind the warm-up has the peak once more in yours. The cosine begins AT the "
    "warm-up's last step: one step on it has fallen a little, and its length is steps - warmup."
)


@wrong(TWICE_THE_PEAK)
def peak_once_more(step, peak, warmup, steps):
    done = (step - warmup - 1) / (steps - warmup - 1)
    return _rate(step, peak, warmup, steps, done=done)


AT_LEAST_ONE = (
    "Where there is no warm-up you made one of a single step, with `max(1, warmup)`: step 1 has "
    "the peak. With `warmup` 0 it is on the cosine already: ask for `step <= warmup` before you "
    "divide."
)


@wrong(AT_LEAST_ONE)
def warms_up_for_one_step_at_least(step, peak, warmup, steps):
    return _rate(step, peak, max(1, warmup), steps)


@wrong(AT_LEAST_ONE)
def peak_at_step_one_without_a_warmup(step, peak, warmup, steps):
    return peak if step == 1 and warmup == 0 else _rate(step, peak, warmup, steps)


@wrong(
    "Your cosine ends a step too early: its length is steps - warmup, without a - 1. The last "
    "step of the warm-up is its beginning, the last step of all its end."
)
def cosine_a_step_short(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=(step - warmup) / (steps - warmup - 1))


@wrong(
    "`//` divides and throws the rest away: your rate is 0 until the warm-up ends, and then the "
    "peak until the end. A share needs `/`."
)
def divides_whole_numbers(step, peak, warmup, steps):
    if step <= warmup:
        return peak * (step // warmup)
    return _rate(step, peak, warmup, steps, done=(step - warmup) // (steps - warmup))


@wrong(
    "You divide by warmup + 1, so that the last step of the warm-up is not yet at the peak. "
    "That is right where steps are counted from 0; here they count from 1."
)
def peak_a_step_late(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / (warmup + 1)
    return _rate(step, peak, warmup, steps)


@wrong(
    "Your warm-up begins at a tenth of the peak. The tenth is where the cosine ends; the "
    "warm-up is a straight line from 0."
)
def warms_up_from_a_tenth(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, ramp=lambda r: 0.1 + 0.9 * r)


@wrong(
    "Your cosine counts the warm-up's steps as done, so behind the warm-up the rate falls with "
    "a jump. Its way begins where the warm-up ends."
)
def cosine_from_step_zero(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=step / steps)


@wrong(
    "You divide by all steps, but the cosine has only steps - warmup of them. It would still be"
    " on its way down at the end."
)
def cosine_never_done(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=(step - warmup) / steps)


@wrong(
    "There is no warm-up. Adam's averages have seen one gradient after step 1, and a full step "
    "in a direction known that badly can do lasting harm."
)
def never_warms_up(step, peak, warmup, steps):
    return _rate(step, peak, 0, steps, done=step / steps)


@wrong(
    "There is no warm-up: you hold the peak while it lasts. It is a straight line up, from "
    "peak / warmup at step 1 to the peak itself."
)
def holds_the_peak(step, peak, warmup, steps):
    done = max(0.0, (step - warmup) / (steps - warmup))
    return _rate(step, peak, 0, steps, done=done)


@wrong(
    "You took the warm-up off the length and not off the step. What is done is (step - warmup) of"
    " (steps - warmup)."
)
def takes_it_off_the_length_alone(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=step / (steps - warmup))


@wrong(
    "You multiplied warm-up and cosine, both from the first step on. They come one after the "
    "other: the peak itself is never reached in your product."
)
def cosine_times_the_ramp(step, peak, warmup, steps):
    ramp = min(1.0, step / warmup) if warmup else 1.0
    return ramp * _rate(step, peak, 0, steps, done=step / steps)


@wrong(
    "Your cosine makes a whole turn, so the rate is back at its peak at the end. Half a turn, "
    "from 1 to -1, is what is asked for."
)
def whole_turn(step, peak, warmup, steps):
    return _rate(
        step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 + math.cos(2 * math.pi * d))
    )


@wrong("Half a turn is pi, and your cosine goes from 0 to 1 radian: it hardly begins to fall.")
def forgets_pi(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 + math.cos(d)))


@wrong(
    "Your cosine has its sign turned round: behind the warm-up the rate drops to a tenth and then"
    " climbs back to the peak."
)
def upside_down(step, peak, warmup, steps):
    return _rate(
        step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 - math.cos(math.pi * d))
    )


@wrong(
    "A cosine runs from 1 to -1, and you used it as it is: the rate becomes negative half way, "
    "and training climbs. Turn it into a share from 1 to 0 first."
)
def bare_cosine(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.9 * math.cos(math.pi * d))


@wrong(
    "You use a quarter turn, down to 0. Half a turn ends as gently as it began, and Llama 2's "
    "ends at a tenth."
)
def quarter_turn_to_zero(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: math.cos(math.pi * d / 2))


@wrong("You use a quarter turn. It falls steepest at the very end; half a turn also ends gently.")
def quarter_turn(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.9 * math.cos(math.pi * d / 2))


@wrong("That is a straight line down to a tenth. Half a cosine stays high longer and low longer.")
def straight_down(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 1 - 0.9 * d)


@wrong("`math.cos` wants radians: half a turn is pi, not 180.")
def in_degrees(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 + math.cos(180 * d)))


@wrong("1 + cos runs from 2 to 0. Halve it, or you start from nearly twice the peak.")
def forgets_the_half(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.9 * (1 + math.cos(math.pi * d)))


@wrong(
    "Past the last step your cosine turns and the rate rises again. Whoever trains on for a "
    "while finds the rate at its lowest: stop the way at 1."
)
def rises_again(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


@wrong(
    "Past the last step your rate is 0. Whoever trains on finds it at its lowest, a tenth of the "
    "peak: stop the way at 1."
)
def nothing_past_the_end(step, peak, warmup, steps):
    return 0.0 if step > steps else _rate(step, peak, warmup, steps)


@wrong("The values are right, but they are tensors. A rate is a plain float: `math.cos`.")
def gives_a_tensor(step, peak, warmup, steps):
    return torch.tensor(_rate(step, peak, warmup, steps))


EXERCISE = Exercise(
    name="cosine_rate",
    title="The schedule",
    points=2,
    minutes=8,
    answer=cosine_rate,
    reference=_cosine_rate_reference,
    probes=_cosine_rate_probes,
    rtol=1e-6,
    atol=1e-12,
    misconceptions=wrong.all,
    hints=(
        "Two pieces. Up to the last step of the warm-up: a straight line. Behind it: what part of "
        "the remaining way is done, as a number from 0 to 1?",
        "cos(pi x) runs from 1 to -1 while x runs from 0 to 1. Make that a share from 1 to 0, and "
        "give the share nine tenths of the peak to move.",
        "For steps past the end, let the part that is done be 1.",
    ),
)
