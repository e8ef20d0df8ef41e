"""Notebook 13, exercise 3: A number with its ends."""

from llamalab.accounting import footprint
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def carbon_range(gpu_hours, watts, pue, kg_per_kwh):
    tonnes = []
    for end in range(3):  # low, central, high
        kwh = gpu_hours[end] * watts[end] * pue[end] / 1000
        tonnes.append(kwh * kg_per_kwh[end] / 1000)
    return tuple(tonnes)


def _reference(gpu_hours, watts, pue, kg_per_kwh):
    made = footprint(
        gpu_hours=tuple(gpu_hours), watts=tuple(watts), pue=tuple(pue),
        kg_per_kwh=tuple(kg_per_kwh), place="a probe",
    ).carbon_tco2e  # fmt: skip
    return made.low, made.central, made.high


def _probes():
    """Central values that are not in the middle, ranges of another width each, and known ones."""
    return [
        ((1000.0, 2000.0, 5000.0), (200.0, 400.0, 500.0), (1.1, 1.2, 1.6), (0.1, 0.4, 0.5)),
        ((184_320.0,) * 3, (400.0,) * 3, (1.1,) * 3, (0.385,) * 3),
        ((900.0, 1000.0, 1300.0), (350.0, 390.0, 400.0), (1.05, 1.1, 1.5), (0.016, 0.017, 0.056)),
        ((1_720_320.0,) * 3, (250.0, 330.0, 400.0), (1.08, 1.1, 1.3), (0.288, 0.43, 0.432)),
    ]


def _chain(gpu_hours, watts, pue, kg_per_kwh, *, scale=1.0, over=None, use=(0, 1, 2)):
    """The chain with a part replaced."""
    over = over or (lambda p: p)
    return tuple(scale * gpu_hours[i] * watts[i] * over(pue[i]) * kg_per_kwh[i] / 1e6 for i in use)


@wrong("The PUE is missing: the building's cooling and losses draw too, by that factor.")
def no_pue(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, over=lambda p: 1.0)


@wrong("You divided by the PUE. It is what the building draws for each watt of its computers, so "
       "it makes more of it.")  # fmt: skip
def divides_by_pue(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, over=lambda p: 1 / p)


@wrong("You took the PUE for the surcharge: 1 + 1.1. It is the whole, computers included; the "
       "surcharge is 0.1.")  # fmt: skip
def pue_on_top(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, over=lambda p: 1 + p)


@wrong("You counted the overhead alone, PUE - 1. The computers themselves draw the 1.")
def overhead_alone(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, over=lambda p: p - 1)


@wrong("You used the PUE twice. Somebody's watts may have it in already; these do not, and once is "
       "enough.")  # fmt: skip
def pue_twice(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, over=lambda p: p * p)


@wrong("Those are kilograms. A tonne has 1,000 of them.")
def kilograms(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, scale=1e3)


@wrong("Those are grams, or watt-hours were taken for kilowatt-hours on the way: both factors of "
       "1,000 are missing.")  # fmt: skip
def grams(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, scale=1e6)


@wrong("You divided by 1,000 once too often: kg_per_kwh is in kilograms already, and so is not "
       "divided on its own account.")  # fmt: skip
def a_thousand_too_little(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, scale=1e-3)


@wrong("You turned hours into seconds. A kilowatt-hour is counted in hours; with seconds you have "
       "kilojoules.")  # fmt: skip
def kilojoules(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, scale=3600.0)


@wrong("Those are megawatt-hours. The grid has not been asked yet.")
def energy_only(gpu_hours, watts, pue, kg_per_kwh):
    return tuple(h * w * p / 1e6 for h, w, p in zip(gpu_hours, watts, pue))


@wrong("You gave the middle of the ends for the central value. It is worked out from the central "
       "inputs, and a product's lies nearer to the low end.")  # fmt: skip
def middle_of_the_ends(gpu_hours, watts, pue, kg_per_kwh):
    low, _, high = _chain(gpu_hours, watts, pue, kg_per_kwh)
    return low, (low + high) / 2, high


@wrong("You moved the grid alone and left the other inputs at their central values. All of them "
       "are unknown, and the ends are those of all.")  # fmt: skip
def only_the_grid_moves(gpu_hours, watts, pue, kg_per_kwh):
    centre = gpu_hours[1] * watts[1] * pue[1] / 1e6
    return tuple(centre * k for k in kg_per_kwh)


@wrong("The grid stays at its central value in yours. It is the widest of the four as a rule, and "
       "has ends too.")  # fmt: skip
def the_grid_stands_still(gpu_hours, watts, pue, kg_per_kwh):
    return tuple(
        h * w * p * kg_per_kwh[1] / 1e6 for h, w, p in zip(gpu_hours, watts, pue)
    )  # fmt: skip


@wrong("You left the hours at their central value at both ends.")
def the_hours_stand_still(gpu_hours, watts, pue, kg_per_kwh):
    return _chain([gpu_hours[1]] * 3, watts, pue, kg_per_kwh)


@wrong("Your ends have changed places: low comes first.")
def high_comes_first(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh, use=(2, 1, 0))


@wrong("You let the errors cancel out (the root of the sum of squares), as independent random ones "
       "would. These are not random: whoever chose a low wattage may well have chosen a low PUE. "
       "The ends are asked for.")  # fmt: skip
def errors_that_cancel(gpu_hours, watts, pue, kg_per_kwh):
    every = (gpu_hours, watts, pue, kg_per_kwh)
    centre = _chain(*every)[1]
    down = sum((1 - x[0] / x[1]) ** 2 for x in every) ** 0.5
    up = sum((x[2] / x[1] - 1) ** 2 for x in every) ** 0.5
    return centre * (1 - down), centre, centre * (1 + up)


@wrong("You added the relative errors. That is a rule for small ones; for a product of ends, "
       "multiply the ends.")  # fmt: skip
def adds_the_shares(gpu_hours, watts, pue, kg_per_kwh):
    every = (gpu_hours, watts, pue, kg_per_kwh)
    centre = _chain(*every)[1]
    down = sum(1 - x[0] / x[1] for x in every)
    up = sum(x[2] / x[1] - 1 for x in every)
    return centre * (1 - down), centre, centre * (1 + up)


@wrong("One number is not what was asked for: low, central, high.")
def the_centre_alone(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue, kg_per_kwh)[1]


@wrong("You handed out centre, minus and plus. The ends themselves are asked for, low first.")
def centre_and_widths(gpu_hours, watts, pue, kg_per_kwh):
    low, centre, high = _chain(gpu_hours, watts, pue, kg_per_kwh)
    return centre, centre - low, high - centre


ROUNDED = (
    "You rounded. Round where it is shown: what is worked out from it later carries the error on, "
    "and of a small footprint nothing is left."
)


@wrong(ROUNDED)
def rounded_to_hundredths(gpu_hours, watts, pue, kg_per_kwh):
    return tuple(round(t, 2) for t in _chain(gpu_hours, watts, pue, kg_per_kwh))


@wrong(ROUNDED)
def rounded_to_thousandths(gpu_hours, watts, pue, kg_per_kwh):
    return tuple(round(t, 3) for t in _chain(gpu_hours, watts, pue, kg_per_kwh))


@wrong(
    "You gave the PUE's ends the other way round. A low PUE is good, and that is what the low end "
    "is: fewer tonnes. More of any of the four is more of the result."
)
def pue_turned_round(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, pue[::-1], kg_per_kwh)


@wrong("You left the PUE at its central value at both ends.")
def the_pue_stands_still(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, watts, [pue[1]] * 3, kg_per_kwh)


@wrong("You left the watts at their central value at both ends.")
def the_watts_stand_still(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, [watts[1]] * 3, pue, kg_per_kwh)


@wrong("You left watts and PUE at their central values at both ends. They have ends as well.")
def watts_and_pue_stand_still(gpu_hours, watts, pue, kg_per_kwh):
    return _chain(gpu_hours, [watts[1]] * 3, [pue[1]] * 3, kg_per_kwh)


EXERCISE = Exercise(
    name="carbon_range",
    title="A number with its ends",
    points=3,
    minutes=10,
    answer=carbon_range,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    rtol=1e-9,
    atol=0.0,
    hints=(
        "First one chain, with numbers and no ranges: hours times watts are watt-hours. Which two "
        "factors of 1,000 lie between those and tonnes?",
        "More of any input is more of the result. So where is the result lowest?",
        "The same chain three times: with all the low values, all the central ones, all the high "
        "ones.",
    ),
)
