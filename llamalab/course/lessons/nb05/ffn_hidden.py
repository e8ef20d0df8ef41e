"""Notebook 05, exercise 3: How wide is the hidden layer?."""

import math

from llamalab.config import ffn_hidden_dim
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def ffn_hidden(dim, multiple_of, multiplier=None):
    hidden = int(2 * (4 * dim) / 3)
    if multiplier is not None:
        hidden = int(multiplier * hidden)
    return (hidden + multiple_of - 1) // multiple_of * multiple_of


def _ffn_hidden_reference(dim, multiple_of, multiplier=None):
    return ffn_hidden_dim(dim, multiple_of, multiplier)


def _ffn_hidden_probes():
    """Llama 2's sizes, 70B's without its multiplier too; sizes that are multiples already; and,
    with multiple_of 1, sizes where each wrong rounding shows on its own."""
    return [
        (4096, 256),
        (5120, 256),
        (8192, 4096, 1.3),
        (8192, 4096, None),
        (192, 32, None),
        (97, 1, 1.3),
        (98, 1, 1.7),
        (101, 7, 1.15),
        (258, 1, 1.4),
        (284, 1, 0.6),
        (252, 1, 0.6),
        (100, 1),
        (101, 1),
    ]


def _times(multiplier, hidden):
    return hidden if multiplier is None else multiplier * hidden


def _up(hidden, multiple_of):
    return multiple_of * math.ceil(hidden / multiple_of)


@wrong(
    "You rounded to the nearest multiple. 7B comes out right by luck; 13B would get 13,568 in "
    "place of 13,824, and its file would not load. Meta rounds up."
)
def rounds_to_nearest(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return multiple_of * round(hidden / multiple_of)


@wrong("You rounded down to a multiple: 7B would get 10,752. Meta rounds up.")
def rounds_down(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return hidden // multiple_of * multiple_of


@wrong(
    "You added a whole multiple even where there was nothing to round: 512 is already a "
    "multiple of 32 and stays 512. Add multiple_of - 1 before you divide."
)
def always_one_more(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return (hidden // multiple_of + 1) * multiple_of


@wrong(
    "Nothing was rounded at all: multiple_of - 1 was added and never divided out, or divided out "
    "with `/`, which keeps the fraction. Whole multiples are counted with `//`."
)
def divides_with_a_fraction(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return multiple_of * ((hidden + multiple_of - 1) / multiple_of)


@wrong(
    "You rounded up first and multiplied after: 70B would get 31,948, which is a multiple of "
    "nothing. Rounding up is the last step."
)
def multiplies_after_rounding_up(dim, multiple_of, multiplier=None):
    return int(_times(multiplier, _up(int(8 * dim / 3), multiple_of)))


@wrong(
    "You rounded up before the multiplier and again after it: 70B would get 32,768 instead of "
    "28,672. Only the last number is rounded up."
)
def rounds_up_twice(dim, multiple_of, multiplier=None):
    hidden = _up(int(8 * dim / 3), multiple_of)
    return _up(int(_times(multiplier, hidden)), multiple_of)


@wrong(
    "You applied the multiplier to dim and then took two thirds of four times that. Truncating "
    "a small number and enlarging it eightfold enlarges the loss too."
)
def multiplies_dim(dim, multiple_of, multiplier=None):
    return _up(int(8 * int(_times(multiplier, dim)) / 3), multiple_of)


@wrong(
    "You applied the multiplier before the two thirds. On paper factors may change places; with"
    " a truncation after each they may not."
)
def multiplies_four_dim(dim, multiple_of, multiplier=None):
    return _up(int(2 * int(_times(multiplier, 4 * dim)) / 3), multiple_of)


@wrong(
    "You truncated only after the multiplier. Meta truncates after the two thirds already, and "
    "the multiplier works on a whole number."
)
def truncates_once(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, 8 * dim / 3)), multiple_of)


@wrong("You never truncated: a fraction that Meta drops lifts yours to the next multiple.")
def never_truncates(dim, multiple_of, multiplier=None):
    return _up(_times(multiplier, 8 * dim / 3), multiple_of)


@wrong(
    "You rounded two thirds of 4 dim to the nearest whole number. Meta's int() cuts the "
    "fraction off: 8 * 100 / 3 is 266, and 8 * 101 / 3 is 269."
)
def rounds_two_thirds(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, round(8 * dim / 3))), multiple_of)


@wrong(
    "You rounded two thirds of 4 dim up. Meta's int() cuts the fraction off; only the last step"
    " rounds up."
)
def rounds_two_thirds_up(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, math.ceil(8 * dim / 3))), multiple_of)


@wrong("You rounded after the multiplier. Meta's int() cuts the fraction off.")
def rounds_the_product(dim, multiple_of, multiplier=None):
    return _up(round(_times(multiplier, int(8 * dim / 3))), multiple_of)


@wrong(
    "You rounded up after the multiplier. Meta's int() cuts the fraction off; up goes only the "
    "last step, to the multiple."
)
def rounds_the_product_up(dim, multiple_of, multiplier=None):
    return _up(math.ceil(_times(multiplier, int(8 * dim / 3))), multiple_of)


@wrong("You used round() twice where Meta uses int(), which cuts the fraction off.")
def rounds_everything(dim, multiple_of, multiplier=None):
    return _up(round(_times(multiplier, round(8 * dim / 3))), multiple_of)


@wrong(
    "You kept 4 dim. That is the width of the old layer of two matrices; with a third matrix it"
    " would cost half as much again, hence the two thirds."
)
def forgets_two_thirds(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, 4 * dim)), multiple_of)


@wrong(
    "You took two thirds of dim. The starting point is 4 dim: the hidden layer is wider than "
    "the stream, not narrower."
)
def forgets_the_four(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(2 * dim / 3))), multiple_of)


@wrong("You ignored the multiplier. 70B has 1.3, and would come out at 24,576.")
def forgets_the_multiplier(dim, multiple_of, multiplier=None):
    return _up(int(8 * dim / 3), multiple_of)


@wrong(
    "You did not round up to a multiple: 7B would get 10,922. Graphics processors like round "
    "sizes, and the published weights have 11,008 rows."
)
def forgets_the_multiple(dim, multiple_of, multiplier=None):
    return int(_times(multiplier, int(8 * dim / 3)))


@wrong("You rounded to 256 whatever multiple_of said. 70B's is 4,096.")
def always_256(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(8 * dim / 3))), 256)


@wrong(
    "Without a multiplier yours stops with an error. Three of the four sizes have none: None "
    "means that the step is left out."
)
def needs_a_multiplier(dim, multiple_of, multiplier=None):
    hidden = int(multiplier * int(8 * dim / 3))
    return _up(hidden, multiple_of)


@wrong(
    "Where no multiplier is given you took 1.3. That is 70B's own; None means that the step is "
    "left out."
)
def multiplier_of_70b(dim, multiple_of, multiplier=None):
    hidden = int((multiplier or 1.3) * int(8 * dim / 3))
    return _up(hidden, multiple_of)


@wrong(
    "You put in 1.3 by yourself where dim and multiple_of look like 70B's. The caller decides: "
    "None means that the step is left out, at any size."
)
def multiplier_by_the_size(dim, multiple_of, multiplier=None):
    if multiplier is None and dim >= 8192:
        multiplier = 1.3
    return _up(int(_times(multiplier, int(8 * dim / 3))), multiple_of)


@wrong(
    "The number is right, and it is a float: `/`, a float factor or numpy's ceil made it one. A "
    "matrix cannot have 11008.0 rows (`torch.empty` refuses); `//` between whole numbers gives one."
)
def comes_out_as_a_float(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return multiple_of * float(math.ceil(hidden / multiple_of))


@wrong(
    "You returned how many multiples there are: 43 for 7B. Multiply by multiple_of again to have "
    "the width."
)
def counts_the_multiples(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return (hidden + multiple_of - 1) // multiple_of


@wrong(
    "You cut two thirds of dim to a whole number and enlarged that fourfold, which enlarges the "
    "loss too: for dim 101 you have 268, and Meta 269."
)
def cuts_two_thirds_of_dim(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, 4 * int(2 * dim / 3))), multiple_of)


@wrong(
    "You divided by 3 first and enlarged what was left: `dim // 3 * 8` has lost up to 5 by then. "
    "Multiply first, divide after."
)
def divides_first(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, dim // 3 * 8)), multiple_of)


@wrong(
    "Where there is a multiplier you left out the two thirds and the four. The multiplier works "
    "on two thirds of 4 dim; it does not stand in for them."
)
def multiplier_of_dim_alone(dim, multiple_of, multiplier=None):
    hidden = int(8 * dim / 3) if multiplier is None else int(multiplier * dim)
    return _up(hidden, multiple_of)


@wrong(
    "Where there is a multiplier you left out the two thirds. It comes on top of them, it does not "
    "take their place: 70B would get 45,056."
)
def multiplier_for_two_thirds(dim, multiple_of, multiplier=None):
    hidden = int(8 * dim / 3) if multiplier is None else int(multiplier * 4 * dim)
    return _up(hidden, multiple_of)


@wrong("You read 1.3 as 130 per cent more. It is a factor: 1.3 times as wide.")
def adds_the_multiplier(dim, multiple_of, multiplier=None):
    hidden = int(8 * dim / 3)
    return _up(int(hidden + (multiplier or 0) * hidden), multiple_of)


@wrong("You divided by the multiplier. It makes the layer wider: times 1.3.")
def divides_by_the_multiplier(dim, multiple_of, multiplier=None):
    return _up(int(int(8 * dim / 3) / (multiplier or 1)), multiple_of)


@wrong("You took three halves where it is two thirds: a third matrix must make the layer narrower.")
def three_halves(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(6 * dim))), multiple_of)


@wrong("You took one third of 4 dim. It is two thirds.")
def one_third(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(4 * dim / 3))), multiple_of)


@wrong(
    "You went up to a power of two: 7B would get 16,384. What is asked for is the next multiple of "
    "multiple_of."
)
def next_power_of_two(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return 2 ** math.ceil(math.log2(hidden))


EXERCISE = Exercise(
    name="ffn_hidden",
    title="How wide is the hidden layer?",
    points=2,
    minutes=8,
    answer=ffn_hidden,
    reference=_ffn_hidden_reference,
    probes=_ffn_hidden_probes,
    misconceptions=wrong.all,
    hints=(
        "Three steps: two thirds of four times dim; the multiplier, if there is one; up to a "
        "multiple. After which of them is the fraction cut off, and which of them rounds up?",
        "Each of the first two steps ends in `int(...)`. The third works on whole numbers only. "
        "If the multiplier is None, the second step is not taken.",
        "To round up to a multiple with whole numbers: add one less than the multiple, count "
        "the whole multiples in that with `//`, and multiply again.",
    ),
)
