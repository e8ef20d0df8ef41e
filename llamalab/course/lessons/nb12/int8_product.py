"""Notebook 12, exercise 4: Whole numbers, and outliers apart."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def int8_product(x, w, threshold):
    kept = x.masked_fill(x.abs() > threshold, 0.0)  # (n, in)
    x_step = kept.abs().amax(dim=1, keepdim=True).clamp(min=1e-20) / 127  # (n, 1)
    w_step = w.abs().amax(dim=1, keepdim=True).clamp(min=1e-20) / 127  # (out, 1)
    whole = (kept / x_step).round() @ (w / w_step).round().T  # (n, out)
    return whole * x_step * w_step.T + (x - kept) @ w.T


def _reference(x, w, threshold):
    """Row by row, each dot product in whole numbers of 64 bits."""
    rows = []
    for row in x.double():
        inside = torch.where(row.abs() > threshold, 0.0, row)
        a = inside.abs().max().clamp(min=1e-20) / 127
        line = []
        for weights in w.double():
            b = weights.abs().max().clamp(min=1e-20) / 127
            dot = ((inside / a).round().long() * (weights / b).round().long()).sum()
            line.append(float(dot) * float(a) * float(b) + float((row - inside) @ weights))
        rows.append(line)
    return torch.tensor(rows, dtype=torch.float32)


def _probes():
    """Outliers of both signs in some rows and not in others, at the threshold exactly, in a row
    alone; none at all; rows of zeros in both; rows of different sizes; another threshold;
    halves."""
    g = seeded(124)
    x, w = torch.randn(5, 24, generator=g), torch.randn(7, 24, generator=g)
    w = w * torch.linspace(0.2, 3, 7)[:, None]
    x[0, 3], x[0, 11], x[2, 3], x[3, 20] = 40.0, -25.0, -60.0, 6.0
    plain = torch.randn(3, 16, generator=g) * torch.tensor([0.1, 1.0, 0.5])[:, None]
    zeros, other = torch.randn(3, 16, generator=g), torch.randn(4, 16, generator=g)
    zeros[1], other[2] = 0.0, 0.0
    only = torch.zeros(2, 16)
    only[0, 4], only[1] = 9.0, torch.randn(16, generator=g)
    return [
        (x, w, 6.0),
        (plain, other, 6.0),
        (zeros, other, 6.0),
        (only, other, 6.0),
        (x, w, 2.0),
        _ties(),
    ]


def _ties():
    """Rows whose steps are exactly 1, with halves among their numbers."""
    x = torch.tensor([[127.0, 0.5, 2.5, -1.5, -0.5], [-127.0, 3.5, -2.5, 0.5, 6.5]])
    w = torch.tensor([[0.5, 127.0, 1.5, -2.5, 8.5], [4.5, -0.5, -127.0, 1.5, 2.5]])
    return x, w, 500.0


def _steps(x, most=127):
    return x.abs().amax(1, keepdim=True).clamp(min=1e-20) / most


def _product(kept, w, a, b, rounding=torch.round):
    return (rounding(kept / a) @ rounding(w / b).T) * a * b.T


def _split(x, threshold):
    kept = x.masked_fill(x.abs() > threshold, 0.0)
    return kept, x - kept


@wrong(
    "You took the scale of x with the outliers still in it. They are gone from the product, but "
    "their size still makes every other number coarse: the one thing that was to be avoided."
)
def outliers_set_the_scale(x, w, threshold):
    kept, rest = _split(x, threshold)
    return _product(kept, w, _steps(x), _steps(w)) + rest @ w.T


@wrong(
    "The outliers are left out altogether. They are few, and they carry the most: their share of "
    "the product has to be added in floats."
)
def drops_the_outliers(x, w, threshold):
    kept, _ = _split(x, threshold)
    return _product(kept, w, _steps(kept), _steps(w))


@wrong(
    "You never look at the threshold: all goes through 8 bits. One number of 60 beside others of 1 "
    "leaves these two steps out of 127."
)
def no_threshold(x, w, threshold):
    return _product(x, w, _steps(x), _steps(w))


@wrong(
    "One scale for the whole of x. Each row has its own: a row may be ten times as large as its "
    "neighbour."
)
def one_scale_for_x(x, w, threshold):
    kept, rest = _split(x, threshold)
    step = (kept.abs().max() / 127).expand(len(x), 1)
    return _product(kept, w, step, _steps(w)) + rest @ w.T


@wrong(
    "One scale for the whole of W. Each of its rows makes an output of its own and can have a "
    "scale of its own: it stands outside the sum."
)
def one_scale_for_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    step = (w.abs().max() / 127).expand(len(w), 1)
    return _product(kept, w, _steps(kept), step) + rest @ w.T


@wrong(
    "You multiplied back by x's scale alone. Both factors were divided, so both scales come back."
)
def forgets_the_scale_of_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T) * a + rest @ w.T


@wrong(
    "You multiplied back by W's scale alone. Both factors were divided, so both scales come back."
)
def forgets_the_scale_of_x(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T) * b.T + rest @ w.T


@wrong(
    "You multiplied the outliers by W's rounded numbers. It is not far off; here they go the whole "
    "way in floats, with W as it is."
)
def outliers_times_rounded_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    b = _steps(w)
    return _product(kept, w, _steps(kept), b) + rest @ ((w / b).round() * b).T


@wrong(
    "The outliers are counted twice: once in whole numbers, since you never took them out, and "
    "once in floats."
)
def counts_outliers_twice(x, w, threshold):
    _, rest = _split(x, threshold)
    return _product(x, w, _steps(x), _steps(w)) + rest @ w.T


@wrong("You clipped at the threshold, and what lay beyond is lost: 60 became 6.")
def clips(x, w, threshold):
    kept = x.clamp(-threshold, threshold)
    return _product(kept, w, _steps(kept), _steps(w))


@wrong(
    "You clipped at the threshold and added what lay beyond in floats. It adds up, but each "
    "outlier leaves 6.0 behind, which then is the largest number of its row and sets the step."
)
def clips_and_adds_the_rest(x, w, threshold):
    kept = x.clamp(-threshold, threshold)
    return _product(kept, w, _steps(kept), _steps(w)) + (x - kept) @ w.T


@wrong("You compare x itself with the threshold, so a large NEGATIVE number is no outlier to you.")
def only_positive_outliers(x, w, threshold):
    kept = x.masked_fill(x > threshold, 0.0)
    return _product(kept, w, _steps(kept), _steps(w)) + (x - kept) @ w.T


@wrong(
    "You cut fractions off instead of rounding. Every number moves towards zero, and so does every "
    "sum."
)
def cuts_fractions(x, w, threshold):
    kept, rest = _split(x, threshold)
    return _product(kept, w, _steps(kept), _steps(w), torch.trunc) + rest @ w.T


@wrong("You divided by 128. int8 ends at 127: the largest number of a row would not fit.")
def into_128_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    return _product(kept, w, _steps(kept, 128), _steps(w, 128)) + rest @ w.T


@wrong(
    "You took out whole columns, as bitsandbytes does: a column with one outlier is in floats for "
    "every row. A row's result then depends on its neighbours in the batch."
)
def takes_out_columns(x, w, threshold):
    kept = x * (x.abs() <= threshold).all(0)
    return _product(kept, w, _steps(kept), _steps(w)) + (x - kept) @ w.T


@wrong("A number exactly at the threshold stays. Only what is larger is an outlier.")
def at_the_threshold_too(x, w, threshold):
    kept = x.masked_fill(x.abs() >= threshold, 0.0)
    return _product(kept, w, _steps(kept), _steps(w)) + (x - kept) @ w.T


@wrong("Only x was rounded; W is still in floats. Then nothing is multiplied in whole numbers.")
def w_in_floats(x, w, threshold):
    kept, rest = _split(x, threshold)
    a = _steps(kept)
    return ((kept / a).round() * a) @ w.T + rest @ w.T


@wrong(
    "Only W was rounded; x is still in floats. Then nothing is multiplied in whole numbers, and no "
    "outlier would do harm."
)
def x_in_floats(x, w, threshold):
    kept, rest = _split(x, threshold)
    b = _steps(w)
    return kept @ ((w / b).round() * b).T + rest @ w.T


WRAPS = (
    "Your products or their sums are kept in int8 as well, and wrap around at 127. Products of 8 "
    "bits need 16, and sums of many need 32."
)


@wrong(WRAPS)
def sums_wrap_around(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    whole = ((kept / a).round() @ (w / b).round().T).long()
    wrapped = ((whole + 128) % 256 - 128).float()
    return wrapped * a * b.T + rest @ w.T


@wrong("A row of zeros was divided by zero, and nan has come out. Its scale may be anything but 0.")
def zeros_over_zero(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    return _product(kept, w, a, b) + rest @ w.T


@wrong(
    "A row of x of which nothing is left was divided by zero, and nan has come out. W's scale is "
    "guarded; that of x may not be 0 either."
)
def zeros_over_zero_in_x(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    return _product(kept, w, a, torch.where(b > 0, b, 1.0)) + rest @ w.T


@wrong(
    "A row of zeros in W was divided by zero, and nan has come out. The scale of x is guarded; "
    "W's may not be 0 either."
)
def zeros_over_zero_in_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.abs().amax(1, keepdim=True) / 127, w.abs().amax(1, keepdim=True) / 127
    return _product(kept, w, torch.where(a > 0, a, 1.0), b) + rest @ w.T


WRAPS16 = (
    "Your sums are kept in 16 bits and wrap around at 32767: three products of 127 times 127 are "
    "more than that. Sums of many need 32."
)
SATURATES = (
    "You kept the SUMS between -127 and 127. Only the factors have 8 bits: products of them need "
    "16, and sums of many 32."
)
OF_W = (
    "You took large numbers out of W as well. The threshold is for x alone: each row of W is "
    "rounded whole, with a scale of its own."
)
COLUMNS = (
    "You took a scale for each column of {}. A result is the sum, over all columns, of a row of x "
    "times a row of W. The whole numbers can be added up, and multiplied by the scales once at the "
    "end, only if a scale is the same in all columns: one for each ROW of x and each ROW of W."
)
OTHER_STEPS = (
    "Your scales are not a 127th of the largest magnitude: the codes then do not fill int8, or "
    "do not fit into it."
)
ONE_128 = "One of your two scales is a 128th. int8 ends at 127: the largest number would not fit."
LARGEST = (
    "You took the largest number, not the largest magnitude. Where a row's extreme is negative its "
    "codes go far beyond -127."
)
NO_ROUNDING = (
    "Nothing is rounded: that is the plain product in floats. Whole numbers are asked for."
)
DOWN = (
    "You rounded every number the same way, up or down, and the errors of a sum add up. The "
    "nearest whole number is asked for: torch.round."
)
OUTLIERS_TIMES_CODES = (
    "You multiplied the outliers by W's CODES, without their scale. Here they go the whole way in "
    "floats, with W as it is."
)
OUTLIERS_SCALED = (
    "The scales multiply the outliers' part as well. That one was never divided: the scales belong "
    "to the whole numbers alone."
)
ROWS = (
    "You took out whole rows: one outlier, and all of its row is in floats. Only the outlying "
    "NUMBERS go in floats, the rest of the row in 8 bits."
)
ON_CODES = (
    "You compared something else than x with the threshold: its codes, or deviations. It is the "
    "magnitude of the number itself."
)
SIXTEEN = (
    "The outliers' part was computed in 16 bits. In floats here means float32, as x and W are."
)
NO_SCALES = (
    "You never multiplied the scales back. What was divided by both has to be multiplied by both."
)
BY_THE_MEAN = (
    "You took a mean magnitude for a scale. Whatever is larger than the mean then needs a code "
    "beyond 127: it is the largest magnitude that gets 127."
)
ZERO_POINT = (
    "You measured from the smallest number of the row. That needs a correction in the product; "
    "here the codes lie around 0, with a scale and nothing else."
)
GUARD = (
    "Your guard reaches further than to zeros: a row of small numbers gets steps that are too "
    "coarse. It is there for a row whose largest magnitude IS 0."
)
MINUS = "You subtracted the outliers' part. The two sums make the product together: add."
SIDEWAYS = "The product lies on its side: (n, out) is asked for, and yours is (out, n)."
DIVIDES = (
    "You divided by the scales once more. The numbers were divided by them before rounding; "
    "afterwards they are multiplied back."
)
W_WITHOUT = (
    "You left columns out of W's scale, those where x has an outlier. Each row of W has one scale, "
    "from all of its numbers, whatever x is."
)
OUTLIERS_ALONE = "Only the outliers' part came out. The rest, in whole numbers, is missing."
EXCHANGED = (
    "The two parts are exchanged: you rounded the outliers and left the others in floats. The few "
    "large ones go in floats."
)
NO_STEP = (
    "You rounded without a scale: numbers below a half become 0. Divide by the row's step first, "
    "so that the largest is 127."
)
ROUNDS_PRODUCT = (
    "You rounded the product and not its factors. The multiplication is then in floats, which is "
    "what was to be avoided."
)
IN_PLACE = "You wrote into what you were given. x and W belong to the caller: build new ones."


@wrong(IN_PLACE)
def takes_outliers_out_in_place(x, w, threshold):
    rest = torch.where(x.abs() > threshold, x, 0.0)
    x[x.abs() > threshold] = 0
    return _product(x, w, _steps(x), _steps(w)) + rest @ w.T


@wrong(WRAPS)
def products_wrap_around(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round().to(torch.int8)[:, None] * (w / b).round().to(torch.int8)).sum(
        -1
    ).float() * a * b.T + rest @ w.T


@wrong(WRAPS16)
def sums_in_16_bits_wrap(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round().long() @ (w / b).round().long().T).to(
        torch.int16
    ).float() * a * b.T + rest @ w.T


@wrong(SATURATES)
def sums_end_at_127(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T).clamp(-128, 127) * a * b.T + rest @ w.T


@wrong(SATURATES)
def sums_end_at_minus_127(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T).clamp(-127, 127) * a * b.T + rest @ w.T


@wrong(OF_W)
def outliers_of_w_too(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w * (w.abs() <= 1), a, b) + rest @ w.T


@wrong(OF_W)
def outliers_of_w_by_the_threshold(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w * (w.abs() <= threshold))
    return _product(kept, w * (w.abs() <= threshold), a, b) + rest @ w.T


@wrong(COLUMNS.format("x"))
def scales_of_columns_of_x(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.abs().amax(0, keepdim=True).clamp(min=1e-20) / 127, _steps(w)
    return ((kept / a).round() * a) @ ((w / b).round() * b).T + rest @ w.T


@wrong(COLUMNS.format("W"))
def scales_of_columns_of_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), w.abs().amax(0, keepdim=True).clamp(min=1e-20) / 127
    return ((kept / a).round() * a) @ ((w / b).round() * b).T + rest @ w.T


@wrong(COLUMNS.format("x and of W"))
def scales_of_columns_of_both(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = (
        kept.abs().amax(0, keepdim=True).clamp(min=1e-20) / 127,
        w.abs().amax(0, keepdim=True).clamp(min=1e-20) / 127,
    )
    return ((kept / a).round() * a) @ ((w / b).round() * b).T + rest @ w.T


@wrong(OTHER_STEPS)
def into_7_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 7), _steps(w, 7)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(OTHER_STEPS)
def into_255_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 255), _steps(w, 255)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(OTHER_STEPS)
def into_256_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 256), _steps(w, 256)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(OTHER_STEPS)
def into_254_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 254), _steps(w, 254)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(OTHER_STEPS)
def into_126_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 126), _steps(w, 126)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(ONE_128)
def x_into_128_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept, 128), _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(ONE_128)
def w_into_128_steps(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w, 128)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(LARGEST)
def largest_numbers_not_magnitudes(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = (
        kept.amax(1, keepdim=True).clamp(min=1e-20) / 127,
        w.amax(1, keepdim=True).clamp(min=1e-20) / 127,
    )
    return _product(kept, w, a, b) + rest @ w.T


@wrong(LARGEST)
def largest_number_of_x(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.amax(1, keepdim=True).clamp(min=1e-20) / 127, _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(LARGEST)
def largest_number_of_w(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), w.amax(1, keepdim=True).clamp(min=1e-20) / 127
    return _product(kept, w, a, b) + rest @ w.T


@wrong(NO_ROUNDING)
def never_rounds(x, w, threshold):
    kept, rest = _split(x, threshold)
    return kept @ w.T + rest @ w.T


@wrong(DOWN)
def rounds_down(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b, torch.floor) + rest @ w.T


@wrong(DOWN)
def rounds_up(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b, torch.ceil) + rest @ w.T


@wrong(OUTLIERS_TIMES_CODES)
def outliers_times_codes(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + rest @ (w / b).round().T


@wrong(OUTLIERS_SCALED)
def outliers_scaled_too(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T + rest @ w.T) * a * b.T


@wrong(ROWS)
def takes_out_rows(x, w, threshold):
    kept = x * (x.abs() <= threshold).all(1, keepdim=True)
    rest = x - kept
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(ON_CODES)
def threshold_on_codes(x, w, threshold):
    kept = x * ((x / _steps(x)).abs() <= threshold)
    rest = x - kept
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(ON_CODES)
def threshold_by_deviation(x, w, threshold):
    kept = x * (x.abs() <= threshold * x.std())
    rest = x - kept
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(SIXTEEN)
def outliers_in_16_bits(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + (rest.half() @ w.half().T).float()


@wrong(SIXTEEN)
def outliers_of_16_bit_numbers(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) + rest.half().float() @ w.half().float().T


@wrong(NO_SCALES)
def hands_out_whole_numbers(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return (kept / a).round() @ (w / b).round().T + rest @ w.T


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = (
        kept.abs().mean(1, keepdim=True).clamp(min=1e-20) / 127,
        w.abs().mean(1, keepdim=True).clamp(min=1e-20) / 127,
    )
    return _product(kept, w, a, b) + rest @ w.T


@wrong(BY_THE_MEAN)
def x_by_the_mean_magnitude(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = kept.abs().mean(1, keepdim=True).clamp(min=1e-20) / 127, _steps(w)
    return _product(kept, w, a, b) + rest @ w.T


@wrong(ZERO_POINT)
def from_the_smallest_number(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept - kept.amin(1, keepdim=True), w, a, b) + rest @ w.T


@wrong(GUARD)
def steps_of_at_least_1(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = (
        kept.abs().amax(1, keepdim=True).clamp(min=1) / 127,
        w.abs().amax(1, keepdim=True).clamp(min=1) / 127,
    )
    return _product(kept, w, a, b) + rest @ w.T


@wrong(MINUS)
def takes_outliers_off(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return _product(kept, w, a, b) - rest @ w.T


@wrong(SIDEWAYS)
def turned_on_its_side(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return (_product(kept, w, a, b) + rest @ w.T).T


@wrong(DIVIDES)
def divides_by_the_scales(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a).round() @ (w / b).round().T) / a / b.T + rest @ w.T


@wrong(W_WITHOUT)
def w_scaled_without_outlier_columns(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w * (x.abs() <= threshold).all(0))
    return _product(kept, w, a, b) + rest @ w.T


@wrong(OUTLIERS_ALONE)
def the_outliers_alone(x, w, threshold):
    kept, rest = _split(x, threshold)
    return rest @ w.T


@wrong(EXCHANGED)
def kept_and_outliers_exchanged(x, w, threshold):
    kept, rest = _split(x, threshold)
    b = _steps(w)
    return _product(rest, w, _steps(rest), b) + kept @ w.T


@wrong(NO_STEP)
def x_rounded_without_a_scale(x, w, threshold):
    kept, rest = _split(x, threshold)
    b = _steps(w)
    return kept.round() @ ((w / b).round() * b).T + rest @ w.T


@wrong(NO_STEP)
def both_rounded_without_a_scale(x, w, threshold):
    kept, rest = _split(x, threshold)
    return kept.round() @ w.round().T + rest @ w.T


@wrong(ROUNDS_PRODUCT)
def rounds_the_product(x, w, threshold):
    kept, rest = _split(x, threshold)
    a, b = _steps(kept), _steps(w)
    return ((kept / a) @ (w / b).T).round() * a * b.T + rest @ w.T


@wrong(
    "You added the whole product in floats to the one in whole numbers: what is small counts "
    "twice. Only the outliers go in floats."
)
def adds_the_whole_product(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).round()
    qw = (w / b).round()
    return (qx @ qw.T) * a * b.T + x @ w.T


@wrong(
    "You took the mean of the rows' scales. Each row has its own: a row may be ten times as large "
    "as its neighbour."
)
def mean_scale_of_x(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    a = a.mean().expand_as(a)
    qx = (kept / a).round()
    qw = (w / b).round()
    return (qx @ qw.T) * a * b.T + rest @ w.T


@wrong(
    "You added the two scales. Both factors were divided, each by its own: the product has to be "
    "multiplied by both."
)
def adds_the_scales(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).round()
    qw = (w / b).round()
    return (qx @ qw.T) * (a + b.T) + rest @ w.T


@wrong(
    "You rounded the result as well. Only what goes into the product is rounded: x's small "
    "numbers and W's."
)
def rounds_the_result(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).round()
    qw = (w / b).round()
    return ((qx @ qw.T) * a * b.T + rest @ w.T).round()


@wrong(
    "You kept the codes between -7 and 7. Eight bits go to 127, and that is what the scale was "
    "made for."
)
def codes_of_4_bits(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).round().clamp(-7, 7)
    qw = (w / b).round().clamp(-7, 7)
    return (qx @ qw.T) * a * b.T + rest @ w.T


@wrong(
    "One scale, or both, is not divided by 127: the codes then lie between -1 and 1, and rounding "
    "leaves nothing of them."
)
def scale_of_x_without_127(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20)
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).round()
    qw = (w / b).round()
    return (qx @ qw.T) * a * b.T + rest @ w.T


@wrong(
    "One scale, or both, is not divided by 127: the codes then lie between -1 and 1, and rounding "
    "leaves nothing of them."
)
def scales_without_127(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20)
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20)
    qx = (kept / a).round()
    qw = (w / b).round()
    return (qx @ qw.T) * a * b.T + rest @ w.T


@wrong(
    "You took halves upwards: 0.5 becomes 1. The rounding here is torch.round's, to the even "
    "number: 0.5 becomes 0."
)
def halves_upwards(x, w, threshold):
    far = x.abs() > threshold
    kept = x.masked_fill(far, 0.0)
    rest = x - kept
    a = kept.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    b = w.abs().amax(1, keepdim=True).clamp(min=1e-20) / 127
    qx = (kept / a).add(0.5).floor()
    qw = (w / b).add(0.5).floor()
    return (qx @ qw.T) * a * b.T + rest @ w.T


EXERCISE = Exercise(
    name="int8_product",
    title="Whole numbers, and outliers apart",
    points=4,
    minutes=15,
    answer=int8_product,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "Two sums make the product: one over what is small, in whole numbers, and one over the few "
        "that are large, in floats. Together they see every element once.",
        "Set the outliers to 0 first, and only then look for each row's largest magnitude. The "
        "rows of W have scales of their own. A scale that is the same for all terms of a sum can "
        "stand before it.",
        "Whole numbers in float32 are exact here. What was divided by two scales, (n, 1) and "
        "(1, out), is multiplied by both of them afterwards.",
    ),
)
