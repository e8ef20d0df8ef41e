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
    alone; none at all; rows of zeros in both; rows of different sizes; another threshold."""
    g = seeded(124)
    x, w = torch.randn(5, 24, generator=g), torch.randn(7, 24, generator=g)
    w = w * torch.linspace(0.2, 3, 7)[:, None]
    x[0, 3], x[0, 11], x[2, 3], x[3, 20] = 40.0, -25.0, -60.0, 6.0
    plain = torch.randn(3, 16, generator=g) * torch.tensor([0.1, 1.0, 0.5])[:, None]
    zeros, other = torch.randn(3, 16, generator=g), torch.randn(4, 16, generator=g)
    zeros[1], other[2] = 0.0, 0.0
    only = torch.zeros(2, 16)
    only[0, 4], only[1] = 9.0, torch.randn(16, generator=g)
    return [(x, w, 6.0), (plain, other, 6.0), (zeros, other, 6.0), (only, other, 6.0), (x, w, 2.0)]


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


@wrong(
    "Your sums are kept in int8 as well, and wrap around at 127. Products of 8 bits need 16, and "
    "sums of many need 32."
)
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
