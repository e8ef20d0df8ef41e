"""Notebook 11, exercise 4: Whitening what counts."""

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb11.common import lengths
from llamalab.course.lessons.nb11.common import mean as _mean

wrong = WrongAnswers()


def whiten(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    variance = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


def _whiten_reference(x, mask):
    return alignment.whiten(x, mask)


def _whiten_probes():
    """Uneven rows, a mean far from 0, a deviation far from 1, few tokens (where n - 1 shows),
    large numbers in the padding, equal numbers, one token, numbers so close that 1e-8 shows."""
    g = seeded(113)

    def given(mask, centre, spread):
        x = centre + spread * torch.randn(*mask.shape, generator=g)
        return torch.where(mask, x, 3 * x + 1), mask

    return [
        given(lengths(4, 6, 2, places=6), 3.0, 2.0),
        given(lengths(1, 5, 3, 2, places=5), -1.0, 0.3),
        given(lengths(2, 1, places=3), 0.5, 5.0),
        given(lengths(4, 4, places=4), 2.0, 1.5),
        given(lengths(3, 2, places=4), 0.75, 0.0),
        given(lengths(1, places=1), 4.0, 1.0),
        given(lengths(5, 3, places=5), 0.0, 3e-4),
    ]


def _white(x, mean, variance, mask):
    return (x - mean) * torch.rsqrt(variance + 1e-8) * mask


def _variance(x, mask):
    return _mean((x - _mean(x, mask)) ** 2, mask)


@wrong(
    "The padding counts in your mean and deviation. In a batch of short answers most of both is "
    "then made of what stands behind their ends."
)
def counts_the_padding(x, mask):
    return _white(x, x.mean(), x.var(correction=0), mask)


@wrong(
    "You put the padding to 0 and averaged over all places. Those zeros count too: the mean is "
    "drawn to 0, the more the shorter the answers are. Divide by the number of tokens that count."
)
def zeros_count(x, mask):
    kept = x * mask
    return _white(x, kept.mean(), kept.var(correction=0), mask)


@wrong(
    "The mean is right. Padding counts in the variance: put the squared distances of the padding "
    "to 0 as well, and divide by the tokens that count."
)
def padding_in_the_variance(x, mask):
    return _white(x, _mean(x, mask), ((x - _mean(x, mask)) ** 2).mean(), mask)


@wrong(
    "The mean is right. In the variance you put the padding to 0 BEFORE you subtracted: each place "
    "there counts as one that lies at 0. First the distance, then the mask."
)
def masks_before_subtracting(x, mask):
    m = _mean(x, mask)
    return _white(x, m, ((x * mask - m) ** 2).sum() / mask.sum(), mask)


@wrong(
    "You divided by n - 1, as `var()` does unless told. Here the deviation is to BE 1, over these "
    "very tokens: divide by n. (With a single token n - 1 is 0, and everything nan.)"
)
def divides_by_one_less(x, mask):
    n = mask.sum()
    return _white(x, _mean(x, mask), _variance(x, mask) * n / (n - 1), mask)


@wrong(
    "You whitened each answer by itself. A good answer among bad ones then has a mean of 0 like "
    "all the others: what made it good is gone. One mean for the batch."
)
def each_row_by_itself(x, mask):
    n = mask.sum(1, keepdim=True)
    m = (x * mask).sum(1, keepdim=True) / n
    return _white(x, m, ((x - m) ** 2 * mask).sum(1, keepdim=True) / n, mask)


@wrong(
    "You whitened each column by itself: the first tokens of all answers, then the second ones. "
    "One mean, one deviation, for the batch."
)
def each_column_by_itself(x, mask):
    n = mask.sum(0, keepdim=True).clamp(min=1)
    m = (x * mask).sum(0, keepdim=True) / n
    return _white(x, m, ((x - m) ** 2 * mask).sum(0, keepdim=True) / n, mask)


@wrong(
    "You added the mean back at the end. Then nothing has moved: bad tokens of a good batch still "
    "look good. (torchtune's `whiten` did so, and its test copied the formula and passed.)"
)
def adds_the_mean_back(x, mask):
    return (_white(x, _mean(x, mask), _variance(x, mask), mask) + _mean(x, mask)) * mask


@wrong("You took the mean away and left the deviation as it was: divide by it.")
def only_the_mean(x, mask):
    return (x - _mean(x, mask)) * mask


@wrong(
    "You divided by the deviation and left the mean in. In a batch where all goes well every token "
    "would be pushed up, the worst too."
)
def only_the_deviation(x, mask):
    return _white(x, 0.0, _variance(x, mask), mask)


@wrong(
    "You divided by the variance. That is the SQUARE of the deviation: large numbers become small "
    "and small ones large. `rsqrt`, or a root."
)
def divides_by_the_variance(x, mask):
    return (x - _mean(x, mask)) / (_variance(x, mask) + 1e-8) * mask


@wrong("You multiplied by the deviation. Divided by it, what is spread out comes together.")
def multiplies_by_the_deviation(x, mask):
    return (x - _mean(x, mask)) * torch.sqrt(_variance(x, mask) + 1e-8) * mask


@wrong(
    "You squared x and not its distance to the mean. A batch around 3 then seems to be spread by "
    "3, however close together it lies."
)
def squares_without_the_mean(x, mask):
    return _white(x, _mean(x, mask), _mean(x**2, mask), mask)


@wrong(
    "Right, and numbers stand in the padding. 0 there: a later sum that forgets the mask is then "
    "at least not wrong."
)
def leaves_the_padding(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-8)


@wrong(
    "Where all numbers are equal, or only one counts, you divided 0 by 0. Add 1e-8 to the "
    "variance: no advantage of any token over another is 0, not nan."
)
def divides_by_nothing(x, mask):
    return (x - _mean(x, mask)) / torch.sqrt(_variance(x, mask)) * mask


@wrong(
    "You stretched the numbers to go from 0 to 1. One extreme token then decides how large all "
    "others are, and none of them is below 0."
)
def from_zero_to_one(x, mask):
    low, high = x[mask].min(), x[mask].max()
    return (x - low) / (high - low + 1e-8) * mask


@wrong(
    "You divided by the mean distance, and not by the root of the mean square. The result's "
    "deviation is then not 1."
)
def mean_distance(x, mask):
    off = x - _mean(x, mask)
    return off / (_mean(off.abs(), mask) + 1e-8) * mask


@wrong("You wrote over x, which the caller may still need. Build a new tensor.")
def in_place(x, mask):
    x -= _mean(x, mask)
    x *= torch.rsqrt(_mean(x**2, mask) + 1e-8) * mask
    return x


ZEROS_IN_THE_VARIANCE = (
    "The mean is right, and the padding's distances are 0: but you averaged those zeros along. The "
    "deviation comes out too small, the more the shorter the answers are."
)


@wrong(ZEROS_IN_THE_VARIANCE)
def zeros_in_the_variance(x, mask):
    off = (x - _mean(x, mask)) * mask
    return off * torch.rsqrt((off**2).mean() + 1e-8)


@wrong(ZEROS_IN_THE_VARIANCE)
def zeros_in_torchs_deviation(x, mask):
    off = (x - _mean(x, mask)) * mask
    return off / (off.std() + 1e-8)


@wrong(
    "Two things: numbers stand in the padding, where 0 is asked for; and you divided by n - 1, as "
    "`var()` and `std()` do unless told."
)
def leaves_the_padding_and_divides_by_one_less(x, mask):
    kept = x[mask]
    return (x - kept.mean()) / (kept.std() + 1e-8)


@wrong(
    "Your 1e-8 stands behind the root, at the deviation. It belongs to the variance, before it: "
    "there it begins to hold back at a deviation of 1e-4, and yours only at one of 1e-8."
)
def adds_behind_the_root(x, mask):
    return (x - _mean(x, mask)) / (_variance(x, mask).sqrt() + 1e-8) * mask


@wrong(
    "Two things: you divided by n - 1, as `var()` and `std()` do unless told; and 1e-8 belongs to "
    "the variance, before the root."
)
def divides_by_one_less_and_adds_behind_the_root(x, mask):
    kept = x[mask]
    return (x - kept.mean()) / (kept.std() + 1e-8) * mask


LARGER = (
    "You added more than 1e-8 to the variance. It is there for numbers that are all equal; the "
    "larger it is, the more it holds back those that are merely close."
)


@wrong(LARGER)
def adds_1e_5(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-5) * mask


@wrong(LARGER)
def adds_1e_6(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-6) * mask


EXERCISE = Exercise(
    name="whiten",
    title="Whitening what counts",
    points=2,
    minutes=8,
    answer=whiten,
    reference=_whiten_reference,
    probes=_whiten_probes,
    misconceptions=wrong.all,
    rtol=1e-4,
    atol=1e-5,
    hints=(
        "A mean and a variance, both over the same tokens. How many are those?",
        "The sum of what counts, by the number of what counts: twice, once for the mean and once "
        "for the squared distances to it.",
        "Under the root a 1e-8, for batches in which all is equal; and at the very end the mask.",
    ),
)
