"""Notebook 13, exercise 4: A row to its last digit."""

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal

from llamalab.accounting.published import Row, exact_tco2e, truncated
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def printed_tonnes(gpu_hours, watts):
    hundredths = gpu_hours * watts * 11 * 385 // (10 * 1000 * 10**4)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def _reference(gpu_hours, watts):
    return str(truncated(exact_tco2e(Row("", gpu_hours, watts, 0.0)), 2))


def _probes():
    """The paper's four; rows that end in zeros; some that come out even, where a float lies a hair
    below the hundredth it should be; and one that lies a hair below a hundredth indeed."""
    return [
        (184_320, 400),
        (368_640, 400),
        (1_038_336, 350),
        (1_720_320, 400),
        (40_000, 500),
        (13_000_000, 400),
        (6_050_000, 400),
        (654_321, 410),
        (1_234_567, 375),
        (100, 350),
        NEARLY,
    ]


NEARLY = (40_871, 327)  # 5.6599999995 t


def _exact(gpu_hours, watts, factor="0.4235"):
    return Decimal(gpu_hours) * watts * Decimal(factor) / 10**6


def _cut(value, digits=2):
    return str(truncated(value, digits))


@wrong("You rounded. 13B has 62.4476 and the paper prints 62.44, where rounding gives 62.45: its "
       "rows are cut off.")  # fmt: skip
def rounds(gpu_hours, watts):
    return str(_exact(gpu_hours, watts).quantize(Decimal("0.01"), ROUND_HALF_UP))


@wrong("You went up to the next hundredth. The rows are cut off, downwards.")
def goes_up(gpu_hours, watts):
    return str(_exact(gpu_hours, watts).quantize(Decimal("0.01"), ROUND_CEILING))


@wrong(
    "You cut off a float. 13,000,000 hours at 400 W are 2202.20 t exactly; as a float it lies a "
    "hair below, and cut off it loses a hundredth. Whole numbers (or decimals) are exact."
)
def cuts_a_float(gpu_hours, watts):
    tonnes = gpu_hours * watts * 1.1 / 1000 * 0.385 / 1000
    return f"{int(tonnes * 100) / 100:.2f}"


@wrong(
    "You rounded to some digits, or added a little, before you cut off: so a row a hair below the "
    "next hundredth is lifted over it. 40,871 hours at 327 W are 5.6599999995 t, and that is "
    "5.65. Whole numbers (or decimals) need no such help."
)
def rounds_and_then_cuts(gpu_hours, watts):
    return _cut(Decimal(str(round(float(_exact(gpu_hours, watts)), 6))))


@wrong(
    "The zero in front of a single hundredth is missing: 1 hundredth is .01, and .1 is ten of "
    "them. `:02d` writes two digits always."
)
def no_zero_in_front(gpu_hours, watts):
    hundredths = int(_exact(gpu_hours, watts) * 100)
    return f"{hundredths // 100}.{hundredths % 100}"


@wrong(
    "There is a blank where the zero belongs in front of a single hundredth: `:2d` fills up with "
    "blanks, `:02d` with zeros."
)
def blank_in_front(gpu_hours, watts):
    hundredths = int(_exact(gpu_hours, watts) * 100)
    return f"{hundredths // 100}.{hundredths % 100:2d}"


@wrong("You put a comma between the thousands. The digits and the point are all that is asked for.")
def comma_for_thousands(gpu_hours, watts):
    return f"{truncated(_exact(gpu_hours, watts), 2):,}"


@wrong("The PUE is missing. The paper does not print it either; Llama 1's does: 1.1.")
def no_pue(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts, "0.385"))


@wrong("You stopped at the energy: those are megawatt-hours. The grid's 0.385 is missing.")
def energy(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts, "1.1"))


@wrong("You took 400 W for every row. The 34B's power column says 350: another cluster, another "
       "cap.")  # fmt: skip
def always_400_watts(gpu_hours, watts):
    return _cut(_exact(gpu_hours, 400))


@wrong("You took 0.475, the world's average in CodeCarbon. The table was made with 0.385, the "
       "United States'.")  # fmt: skip
def world_average(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts, "0.5225"))


@wrong("You took a PUE of 1.2, or another than 1.1. Then no row comes out.")
def another_pue(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts, "0.462"))


@wrong(
    "You cut off twice: the megawatt-hours first, and then the tonnes made of them. Cut once, at "
    "the end."
)
def cuts_twice(gpu_hours, watts):
    return _cut(truncated(_exact(gpu_hours, watts, "1.1"), 2) * Decimal("0.385"))


@wrong("A zero at the end is a digit too: 153.90 and not 153.9, since the paper prints two.")
def drops_zeros(gpu_hours, watts):
    return str(float(_cut(_exact(gpu_hours, watts))))


@wrong("Three digits behind the point; the paper has two.")
def three_digits(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts), 3)


@wrong("Whole tonnes are what Llama 1's table has. Llama 2's has two digits behind the point.")
def whole_tonnes(gpu_hours, watts):
    return _cut(_exact(gpu_hours, watts), 0)


@wrong("Those are kilograms: one factor of 1,000 is still in it.")
def in_kilograms(gpu_hours, watts):
    return _cut(1000 * _exact(gpu_hours, watts))


@wrong("The value is right, and it is a number. What is printed is asked for, and a float cannot "
       "end in a 0.")  # fmt: skip
def a_float(gpu_hours, watts):
    return float(_cut(_exact(gpu_hours, watts)))


@wrong("You kept the first digits of the float's text. How many stand in front of the point "
       "differs from row to row.")  # fmt: skip
def first_digits(gpu_hours, watts):
    return str(gpu_hours * watts * 0.4235 / 1e6)[:5]


EXERCISE = Exercise(
    name="printed_tonnes",
    title="A row to its last digit",
    points=3,
    minutes=12,
    answer=printed_tonnes,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "Work 13B out by hand, with all digits, and hold it against the printed 62.44. What has "
        "been done to it?",
        "int(100 * x) of a float x can be one too small. 1.1 and 0.385 are 11 / 10 and 385 / 1000: "
        "can you reach hundredths of a tonne with whole numbers alone?",
        "`//` between whole numbers cuts off, exactly. Then put the point in: the quotient by 100 "
        "in front, the rest behind, with two digits always.",
    ),
)
