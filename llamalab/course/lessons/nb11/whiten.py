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
    large numbers in the padding, equal numbers, one token, numbers so close that 1e-8 shows, or
    far less, and numbers far from 0 and close together."""
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
        given(lengths(2, 6, places=6), 0.0, 3e-5),
        _far(lengths(5, 3, places=6), g),
        given(lengths(3, 5, places=5), 0.0, 3e-6),
    ]


def _far(mask, g):
    """Around 1000, in 64ths: eight such numbers have an exact sum and an exact mean in float32, and
    their squares do not fit."""
    x = 1000 + torch.randint(-64, 65, mask.shape, generator=g) / 64
    return torch.where(mask, x, 3 * x + 1), mask


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


NOTHING = (
    "Where all numbers are equal, or only one counts, the deviation is 0 and you divided 0 by 0: "
    "nan. Add 1e-8 to the variance, under the root: if no token has an advantage over another, 0 "
    "comes out for each."
)


@wrong(NOTHING)
def divides_by_nothing(x, mask):
    return (x - _mean(x, mask)) / torch.sqrt(_variance(x, mask)) * mask


@wrong(NOTHING)
def divides_by_nothing_where_it_counts(x, mask):
    white = (x - _mean(x, mask)) / torch.sqrt(_variance(x, mask))
    return torch.where(mask, white, 0.0)


@wrong(
    "Two things: numbers stand in the padding, where 0 is asked for; and where all numbers are "
    "equal, or only one counts, you divided 0 by 0: add 1e-8 to the variance."
)
def leaves_the_padding_and_divides_by_nothing(x, mask):
    return (x - _mean(x, mask)) / torch.sqrt(_variance(x, mask))


ONE_LESS_AND_NOTHING = (
    "Two things: you divided by n - 1, as `var()` and `std()` do unless told; and where all "
    "numbers are equal, or only one counts, you divided 0 by 0: add 1e-8 to the variance."
)


@wrong(ONE_LESS_AND_NOTHING)
def divides_by_one_less_and_by_nothing(x, mask):
    kept = x[mask]
    return (x - kept.mean()) / kept.std() * mask


@wrong(ONE_LESS_AND_NOTHING)
def divides_by_one_less_and_by_nothing_where_it_counts(x, mask):
    kept = x[mask]
    return torch.where(mask, (x - kept.mean()) / kept.std(), 0.0)


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
    "You added 1e-8 to the deviation, after the root. It belongs to the variance, under the root. "
    "There it counts where numbers are 1e-4 apart, since their variance is 1e-8; yours counts only "
    "where they are 1e-8 apart."
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


@wrong(
    "The mean of the squares less the square of the mean: with a large mean and a small spread "
    "float32 has lost the difference of the two. First subtract the mean, then square."
)
def squares_before_subtracting(x, mask):
    m = _mean(x, mask)
    return _white(x, m, (_mean(x**2, mask) - m**2).clamp(min=0), mask)


MEAN_OF_MEANS = (
    "You took a mean for each answer and then the mean of those. A token of a short answer weighs "
    "more that way. One sum over all places that count, one division."
)


def _rows(x, mask):
    return ((x * mask).sum(1) / mask.sum(1)).mean()


@wrong(MEAN_OF_MEANS)
def mean_of_the_rows_means(x, mask):
    m = _rows(x, mask)
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong(MEAN_OF_MEANS)
def mean_of_the_rows_means_in_both(x, mask):
    m = _rows(x, mask)
    return _white(x, m, _rows((x - m) ** 2, mask), mask)


@wrong(MEAN_OF_MEANS)
def mean_of_the_rows_variances(x, mask):
    m = _mean(x, mask)
    return _white(x, m, _rows((x - m) ** 2, mask), mask)


ONE_LESS = (
    "You divided by n - 1. Here the deviation is to BE 1, over these very tokens: divide by n."
)


@wrong(ONE_LESS)
def divides_by_one_less_but_at_least_one(x, mask):
    n = mask.sum()
    return _white(x, _mean(x, mask), _variance(x, mask) * n / (n - 1).clamp(min=1), mask)


@wrong("The mean is divided by one token too few, or too many: by as many as count.")
def mean_by_one_more(x, mask):
    m = (x * mask).sum() / (mask.sum() + 1)
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong("You divided by one token too many, in the mean and in the variance: by as many as count.")
def both_by_one_more(x, mask):
    n = mask.sum() + 1
    m = (x * mask).sum() / n
    return _white(x, m, ((x - m) ** 2 * mask).sum() / n, mask)


MAXIMUM = (
    "You kept the variance above 1e-8 where 1e-8 was to be ADDED to it. Numbers that lie close "
    "together are then drawn apart further than asked."
)


@wrong(MAXIMUM)
def keeps_the_variance_above(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask).clamp(min=1e-8)) * mask


@wrong(
    "Nothing is added to the variance: you only got round the division by 0, with a limit for the "
    "deviation or by mending the nan. Numbers that lie close together are then drawn apart "
    "further than asked."
)
def keeps_the_deviation_above(x, mask):
    return (x - _mean(x, mask)) / _variance(x, mask).sqrt().clamp(min=1e-8) * mask


SMALLER = (
    "You added less than 1e-8 to the variance. It is there for numbers that are all equal, or "
    "nearly: the smaller it is, the further those are drawn apart."
)


@wrong(SMALLER)
def adds_1e_9(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-9) * mask


@wrong(SMALLER)
def adds_1e_10(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-10) * mask


@wrong(SMALLER)
def adds_1e_12(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-12) * mask


@wrong(LARGER)
def adds_1e_4(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-4) * mask


@wrong(LARGER)
def adds_1e_3(x, mask):
    return (x - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-3) * mask


@wrong(
    "In the padding your x stands as it was. 0 there: a later sum that forgets the mask is then at "
    "least not wrong."
)
def keeps_x_in_the_padding(x, mask):
    white = _white(x, _mean(x, mask), _variance(x, mask), mask)
    return torch.where(mask, white, x)


@wrong(
    "In the padding stands 0 less the mean: you masked x BEFORE the mean was taken away, and not "
    "the result. 0 is asked for there."
)
def the_mean_shows_in_the_padding(x, mask):
    return (x * mask - _mean(x, mask)) * torch.rsqrt(_variance(x, mask) + 1e-8)


@wrong(
    "The padding counts in your mean. The variance is taken over the right places, but around the "
    "wrong middle."
)
def padding_in_the_mean(x, mask):
    m = x.mean()
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong(
    "In the mean you divided by all places, padding too: its zeros draw the mean to 0. Divide by "
    "the number of tokens that count."
)
def zeros_in_the_mean(x, mask):
    m = (x * mask).mean()
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong("You took the median from all numbers. Asked for is a mean of 0.")
def takes_the_median_away(x, mask):
    m = x[mask].median()
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong(
    "The places that count came out in one row. The shape (B, T) is to stay, with 0 in the "
    "padding: multiply by the mask instead of selecting with it."
)
def selects_what_counts(x, mask):
    return _white(x, _mean(x, mask), _variance(x, mask), mask)[mask]


@wrong("You cut off what lies further out than 1. Whitened numbers may be 2 or 3: they stay so.")
def cuts_off_at_1(x, mask):
    return _white(x, _mean(x, mask), _variance(x, mask), mask).clamp(-1, 1)


ONE_OF_TWO = (
    "One of the two, mean or variance, is each answer's own and the other the batch's. Both are "
    "taken over all places that count, once for the batch."
)


@wrong(ONE_OF_TWO)
def each_row_its_deviation(x, mask):
    off = (x - _mean(x, mask)) ** 2 * mask
    return _white(x, _mean(x, mask), off.sum(1, keepdim=True) / mask.sum(1, keepdim=True), mask)


@wrong(ONE_OF_TWO)
def each_row_its_mean(x, mask):
    m = (x * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return _white(x, m, _mean((x - m) ** 2, mask), mask)


@wrong(ONE_OF_TWO)
def each_row_its_mean_but_not_in_the_variance(x, mask):
    m = (x * mask).sum(1, keepdim=True) / mask.sum(1, keepdim=True)
    return _white(x, m, _variance(x, mask), mask)


@wrong(
    "You divided by the number of columns, or of rows. A mean is divided by the number of places "
    "that count, of the whole batch."
)
def divides_by_the_columns(x, mask):
    m = (x * mask).sum() / mask.shape[1]
    return _white(x, m, ((x - m) ** 2 * mask).sum() / mask.shape[1], mask)


@wrong(
    "You divided by the number of columns, or of rows. A mean is divided by the number of places "
    "that count, of the whole batch."
)
def divides_by_the_rows(x, mask):
    m = (x * mask).sum() / len(mask)
    return _white(x, m, ((x - m) ** 2 * mask).sum() / len(mask), mask)


@wrong(
    "You whitened each answer by itself, and with n - 1. A good answer among bad ones then has a "
    "mean of 0 like all the others: one mean and one deviation for the batch, by n."
)
def each_row_by_itself_and_one_less(x, mask):
    n = mask.sum(1, keepdim=True)
    m = (x * mask).sum(1, keepdim=True) / n
    variance = ((x - m) ** 2 * mask).sum(1, keepdim=True) / (n - 1).clamp(min=1)
    return _white(x, m, variance, mask)


@wrong("The mask is turned round: mean and deviation are the padding's, and so is what you return.")
def mask_turned_round(x, mask):
    mask = ~mask
    n = mask.sum().clamp(min=1)
    m = (x * mask).sum() / n
    return _white(x, m, ((x - m) ** 2 * mask).sum() / n, mask)


@wrong(
    "Your 1e-8 stands above the line. It is to keep what you DIVIDE by from being 0: add it to the "
    "variance."
)
def adds_it_above_the_line(x, mask):
    return (x - _mean(x, mask) + 1e-8) / _variance(x, mask).sqrt() * mask


WRITES = "You wrote into x, which the caller may still need. Build a new tensor."


@wrong(WRITES)
def empties_the_padding_in_place(x, mask):
    x[~mask] = 0
    return _white(x, _mean(x, mask), _variance(x, mask), mask)


@wrong(
    "You divided by the size of the whole row of numbers, the root of the SUM of squares. The "
    "deviation is the root of their mean."
)
def divides_by_the_norm(x, mask):
    off = (x - _mean(x, mask)) * mask
    return off * torch.rsqrt((off**2).sum() + 1e-8)


@wrong(
    "In the padding stands nan, or something infinite. 0 is asked for: nan times a mask of 0 is "
    "still nan."
)
def nan_in_the_padding(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = ((x - mean) ** 2 * mask).sum() / n
    return ((x - mean) / torch.sqrt(var + 1e-8)).masked_fill(~mask, float("nan"))


@wrong(
    "In the padding the mean was put. After whitening the mean is 0, and so is what stands there."
)
def the_mean_in_the_padding(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1e-8) * mask + ~mask * mean


@wrong(
    "The mean is right. `x.var()` counts the padding, and divides by one less besides: the "
    "variance is over the places that count, by their number."
)
def padding_in_torchs_variance(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = x.var()
    return (x - mean) / torch.sqrt(var + 1e-8) * mask


@wrong(
    "You added more than 1e-8 to the variance. It is there for numbers that are all equal; the "
    "larger it is, the more it holds back those that are merely close."
)
def adds_1(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1) * mask


@wrong(
    "You added more than 1e-8 to the variance. It is there for numbers that are all equal; the "
    "larger it is, the more it holds back those that are merely close."
)
def adds_1e_7(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1e-7) * mask


@wrong(
    "You divided by the largest distance. One extreme token then decides how large all others "
    "are. By the deviation: the root of the mean square."
)
def divides_by_the_farthest(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    return (x - mean) / ((x - mean).abs() * mask).max().clamp(min=1e-8) * mask


@wrong(
    "You averaged the distances without squaring them. Above and below cancel, and the variance "
    "is always 0."
)
def distances_not_squared(x, mask):
    n = mask.sum()
    mean = (x * mask).sum() / n
    var = ((x - mean) * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1e-8) * mask


@wrong("Your mean is that of the sizes, without signs. What is below 0 pulls the mean down.")
def mean_of_sizes(x, mask):
    n = mask.sum()
    mean = (x.abs() * mask).sum() / n
    var = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1e-8) * mask


@wrong(
    "You took a sum away, and not a mean: it is never divided by the number of places that count."
)
def a_sum_for_the_mean(x, mask):
    n = mask.sum()
    mean = (x * mask).sum()
    var = ((x - mean) ** 2 * mask).sum() / n
    return (x - mean) / torch.sqrt(var + 1e-8) * mask


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
