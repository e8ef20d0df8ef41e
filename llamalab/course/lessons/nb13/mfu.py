"""Notebook 13, exercise 2: How busy were they."""

from llamalab.accounting import mfu as package_mfu
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def mfu(flops, gpu_hours, peak_tflops):
    possible = gpu_hours * 3600 * peak_tflops * 1e12
    return flops / possible


def _reference(flops, gpu_hours, peak_tflops):
    return package_mfu(flops, gpu_hours, peak_tflops)


def _probes():
    """Half, all, Llama 2's smallest and largest; and a share above 1, which is a finding."""
    return [
        (3.6e15, 1, 2.0),
        (8.0856e22, 184_320, 312),
        (8.921e23, 1_720_320, 312),
        (5.5e18, 7.5, 989.0),
        (9.0e15, 1, 2.0),
    ]


@wrong("That is in per cent. A share is asked for, from 0 to 1: 0.39, not 39.")
def in_per_cent(flops, gpu_hours, peak_tflops):
    return 100 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("The peak is in FLOPs a second and your time is in hours: 3,600 is missing.")
def hours_for_seconds(flops, gpu_hours, peak_tflops):
    return 3600 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("An hour has 3,600 seconds. You took 60, which makes minutes.")
def minutes_for_seconds(flops, gpu_hours, peak_tflops):
    return 60 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("You multiplied by 3,600 on the wrong side: hours become more when they are counted in "
       "seconds.")  # fmt: skip
def seconds_the_wrong_way(flops, gpu_hours, peak_tflops):
    return 3600**2 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("Tera is 10^12, and it is missing: your peak is that of a pocket calculator.")
def tera_is_missing(flops, gpu_hours, peak_tflops):
    return 1e12 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("You took tera for 10^9. That is giga; tera is 10^12.")
def giga_for_tera(flops, gpu_hours, peak_tflops):
    return 1e3 * package_mfu(flops, gpu_hours, peak_tflops)


@wrong("You took tera for 2^40. That is a habit of memory; peaks are counted in powers of ten.")
def binary_tera(flops, gpu_hours, peak_tflops):
    return package_mfu(flops, gpu_hours, peak_tflops) * 1e12 / 2**40


@wrong("Turned over: that is how often they could have done it. What was needed stands above.")
def turned_over(flops, gpu_hours, peak_tflops):
    return 1 / package_mfu(flops, gpu_hours, peak_tflops)


@wrong(
    "That is half of it. Either you halved the FLOPs, a multiplication and its addition counted as "
    "one: `flops` is what was needed, as it stands. Or you doubled the peak, as data sheets do "
    '"with sparsity", where half of the weights would have to be 0: `peak_tflops` is dense.'
)
def sparse_peak(flops, gpu_hours, peak_tflops):
    return package_mfu(flops, gpu_hours, peak_tflops) / 2


@wrong("You cut it off at 1. A share above 1 is what tells you that something was counted wrongly: "
       "hand it out.")  # fmt: skip
def cut_off_at_one(flops, gpu_hours, peak_tflops):
    return min(1.0, package_mfu(flops, gpu_hours, peak_tflops))


@wrong("That is the speed, in TFLOP/s of one GPU. Divide by what it could be.")
def the_rate(flops, gpu_hours, peak_tflops):
    return flops / (gpu_hours * 3600) / 1e12


@wrong("That is the speed, in FLOP/s of one GPU. Divide by what it could be.")
def the_rate_in_flops(flops, gpu_hours, peak_tflops):
    return flops / (gpu_hours * 3600)


@wrong("That is how many hours it would have taken at full speed. Divide by how many it took.")
def ideal_hours(flops, gpu_hours, peak_tflops):
    return flops / (peak_tflops * 1e12) / 3600


@wrong("You left the hours out: what a GPU can do depends on how long it runs.")
def no_hours(flops, gpu_hours, peak_tflops):
    return flops / (peak_tflops * 1e12)


@wrong("That is what was lost: 1 less the share. The utilization is the share itself.")
def the_loss(flops, gpu_hours, peak_tflops):
    return 1 - package_mfu(flops, gpu_hours, peak_tflops)


@wrong("You divided by eight GPUs. GPU-hours are those of all of them added up, however many they "
       "were.")  # fmt: skip
def eight_to_a_server(flops, gpu_hours, peak_tflops):
    return package_mfu(flops, gpu_hours, peak_tflops) / 8


@wrong("You rounded to two decimals. Round where it is shown: what is worked out from it later "
       "carries the error on.")  # fmt: skip
def rounded(flops, gpu_hours, peak_tflops):
    return round(package_mfu(flops, gpu_hours, peak_tflops), 2)


@wrong("`//` drops everything behind the point, and a share has nothing else.")
def whole_division(flops, gpu_hours, peak_tflops):
    return float(flops // (gpu_hours * 3600 * peak_tflops * 1e12))


EXERCISE = Exercise(
    name="mfu",
    title="How busy were they",
    points=2,
    minutes=5,
    answer=mfu,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    rtol=1e-6,
    atol=0.0,
    hints=(
        "What was needed, over what was possible. What can one GPU do in one hour?",
        "Bring all to FLOPs: hours into seconds, tera into ones. Then there are no units left in "
        "the result, and that is your test.",
    ),
)
