"""Notebook 02, exercise 3: RMSNorm."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb02.common import _gain

wrong = WrongAnswers()


def rms_norm(x, weight, eps):
    mean_square = x.pow(2).mean(-1, keepdim=True)  # (..., 1)
    return x * torch.rsqrt(mean_square + eps) * weight  # (..., D)


def _rms_norm_reference(x, weight, eps):
    return torch.nn.functional.rms_norm(x, weight.shape, weight, eps)


def _rms_norm_probes():
    """Means that are not 0; inputs so small that eps decides; a row of zeros; one so small that
    another's floor decides; a square; a single vector; float64 that float32 rounds to 1 and -1, so
    that all ways through float32 end in the same numbers; an input that wants its gradient; axes of
    size 1; a view; one number that stands out from 400, as in trained models; very large vectors;
    one that is lost already; no vector."""
    g = seeded(22)
    small = 0.004 * torch.randn(3, 5, 6, generator=g)
    small[1, 2] = 0
    spike = 0.1 * torch.randn(2, 1, 400, generator=g)
    spike[..., 7] = 90.0
    lost = torch.randn(2, 3, 4, generator=g)
    lost[0, 1, 2] = float("nan")
    lost[1, 2] *= 1e-15

    def nearly_one(*size):
        signs = 2 * torch.randint(2, size, generator=g) - 1
        return signs * (1 + 5e-8 * torch.rand(*size, generator=g).double())

    def gain_of_the_spike():
        gain = _gain(400, g)
        gain[7] = 1.0
        return gain

    return [
        (2 + torch.randn(2, 3, 8, generator=g), _gain(8, g), 1e-5),
        (small, _gain(6, g), 1e-5),
        (0.3 * torch.randn(2, 3, 4, 7, generator=g), _gain(7, g), 0.25),
        (nearly_one(2, 3, 7), _gain(7, g).double() + 1e-9, 3.0),
        (3 * torch.randn(5, 5, generator=g), _gain(5, g), 1e-6),
        (1 + torch.randn(9, generator=g), _gain(9, g), 1e-5),
        ((1 + torch.randn(2, 5, 3, generator=g)).requires_grad_(), _gain(3, g), 1e-5),
        (1 + torch.randn(1, 1, 6, generator=g), _gain(6, g), 1e-5),
        (1 + torch.randn(4, 3, 1, generator=g), _gain(1, g), 1e-5),
        ((1 + torch.randn(3, 2, 6, generator=g)).transpose(0, 1), _gain(12, g)[::2], 1e-5),
        (spike, gain_of_the_spike(), 1e-5),
        (1e8 * torch.randn(2, 4, generator=g), _gain(4, g), 1e-5),
        (lost, _gain(4, g), 1e-5),
        (torch.zeros(0, 3, 5), _gain(5, g), 1e-5),
    ]


@wrong(
    "You subtracted the mean first: that is LayerNorm. RMSNorm leaves the mean in and only "
    "divides by the size."
)
def subtracts_the_mean(x, weight, eps):
    x = x - x.mean(-1, keepdim=True)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(
    "You divided by the standard deviation, which measures the distance from the mean. RMSNorm "
    "measures the distance from zero: the mean of the squares themselves."
)
def measures_the_spread(x, weight, eps):
    return x * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight


@wrong(
    "You added eps to the root instead of under it. Llama 2 adds it to the mean square, before "
    "the root; for small vectors the two differ a great deal."
)
def eps_outside_the_root(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * weight


@wrong(
    "You wrote 1e-6 into the function and ignored the argument. Llama 2 was trained with 1e-5, "
    "Llama 1 with 1e-6, and llama.cpp measured what the mix-up costs."
)
def fixes_eps(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


@wrong(
    "You left eps out: a row of zeros becomes 0/0, which is nan, and one nan spreads through "
    "the whole model."
)
def forgets_eps(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)) * weight


@wrong(
    "You took one mean over the whole tensor. Each vector has a size of its own; yours makes a "
    "token's value depend on its neighbours, and on the rest of the batch."
)
def one_size_for_all(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean() + eps) * weight


@wrong(
    "You took the mean over the positions instead of the numbers of one vector: a token would "
    "then change with the tokens that come after it."
)
def over_the_positions(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-2, keepdim=True) + eps) * weight


@wrong(
    "You summed the squares where their mean is wanted: every vector gets length 1 instead of "
    "the square root of D, 64 times too short at D = 4,096."
)
def sum_for_mean(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + eps) * weight


@wrong(
    "You divided by the mean square, not by its root: large vectors come out small and small "
    "ones large."
)
def forgets_the_root(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(
    "You multiplied by the size instead of dividing by it: what was too large grows larger "
    "still. `rsqrt` is 1 over the root, `sqrt` the root."
)
def multiplies_by_the_size(x, weight, eps):
    return x * torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(
    "Your mean lost its axis (`keepdim=True` keeps it). Mostly that is an error, but with a "
    "square x it runs, and divides column i by the size of row i."
)
def drops_the_axis(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1) + eps) * weight


@wrong(
    "You left out the weight: the model has learned a factor for each coordinate, and none of "
    "them is used."
)
def forgets_the_weight(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


@wrong(
    "You multiplied by 1 + weight. That is Gemma's convention, whose files hold the difference "
    "from 1; Llama 2's files hold the weight itself."
)
def one_plus_weight(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (1 + weight)


@wrong(
    "The values are right, but you overwrote x. The caller still needs it: in a block, x goes "
    "past the norm and is added back after it."
)
def works_in_place(x, weight, eps):
    x *= torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return x * weight


def _root(x, eps):
    return (x.pow(2).mean(-1, keepdim=True) + eps).sqrt()


FORWARDS_ONLY = "The values are right, and the way back is not: "


@wrong(
    FORWARDS_ONLY + "the weight is cut off (`detach`, `.data`, `no_grad`), so the model's norms "
    "would stay at 1 for ever."
)
def weight_cut_off(x, weight, eps):
    return x / _root(x, eps) * weight.detach()


@wrong(
    FORWARDS_ONLY + "the size is cut off (`detach`, `.data`, `no_grad`), as if it did not depend "
    "on x. Each x_j changes the size too, and through it every output."
)
def size_cut_off(x, weight, eps):
    return x / _root(x, eps).detach() * weight


@wrong(
    FORWARDS_ONLY + "x is cut off where it is divided, and its gradient comes through the size "
    "alone. Use x itself, above the line and below it."
)
def x_cut_off(x, weight, eps):
    return x.detach() / _root(x, eps) * weight


@wrong(
    FORWARDS_ONLY + "x is cut off everywhere (`detach`, `.data`, `no_grad`), so nothing below the "
    "norm would ever learn."
)
def x_cut_off_everywhere(x, weight, eps):
    return x.detach() / _root(x, eps).detach() * weight


@wrong(
    FORWARDS_ONLY + "nothing comes back at all. Something cuts the whole result off: `detach()`, "
    "`no_grad`, numpy, `tolist` or a new `torch.tensor`."
)
def all_cut_off(x, weight, eps):
    return (x / _root(x, eps) * weight).detach()


@wrong(
    "You add eps to the result. It belongs under the root, where it keeps the division from 0 / 0."
)
def eps_at_the_end(x, weight, eps):
    return x / _root(x, 0.0) * weight + eps


@wrong("You add eps to x before squaring. It belongs to the mean of the squares, under the root.")
def eps_added_to_x(x, weight, eps):
    return x / (x + eps).pow(2).mean(-1, keepdim=True).sqrt() * weight


@wrong("You squared eps. It stands under the root as it is.")
def eps_squared(x, weight, eps):
    return x / _root(x, eps**2) * weight


@wrong(
    "You wrote 1e-5 where the argument eps should stand. That is right for Llama 2, and wrong for "
    "the next model."
)
def eps_of_llama_2(x, weight, eps):
    return x / _root(x, 1e-5) * weight


@wrong(
    "You use eps as a floor (`clamp`, `max`). It is added, under the root: there is no edge at "
    "which the norm lets go, it does so by and by."
)
def eps_as_a_floor_for_the_square(x, weight, eps):
    return x / x.pow(2).mean(-1, keepdim=True).clamp(min=eps).sqrt() * weight


@wrong("You use eps as a floor (`clamp`, `max`) for the root. It is added, and under the root.")
def eps_as_a_floor_for_the_root(x, weight, eps):
    return x / x.pow(2).mean(-1, keepdim=True).sqrt().clamp(min=eps) * weight


@wrong(
    "You divided by the length of the vector, the root of the *sum* of squares: every output is "
    "sqrt(D) times too small. And eps belongs under the root."
)
def divides_by_the_length(x, weight, eps):
    return x / (x.norm(dim=-1, keepdim=True) + eps) * weight


@wrong(
    "`F.normalize` gives every vector the length 1: the root of the *sum* of squares. Here the "
    "*mean* of the squares becomes 1, so the length becomes sqrt(D)."
)
def gives_length_one(x, weight, eps):
    return torch.nn.functional.normalize(x, dim=-1, eps=eps) * weight


@wrong("You divided the length by D. The 1/D of the mean stands under the root: length / sqrt(D).")
def length_over_d(x, weight, eps):
    return x / (x.norm(dim=-1, keepdim=True) / x.shape[-1] + eps) * weight


@wrong(
    "You normalise over the first axis, and vectors of different sentences are mixed. Each vector "
    "lies along the last axis: `mean(-1, keepdim=True)`."
)
def over_the_first_axis(x, weight, eps):
    return x / (x.pow(2).mean(0, keepdim=True) + eps).sqrt() * weight


@wrong(
    "You normalise over axis 1, the places of a sentence: each token would see those that come "
    "after it. Each vector lies along the last axis."
)
def over_the_sentence(x, weight, eps):
    axis = min(1, x.dim() - 1)
    return x / (x.pow(2).mean(axis, keepdim=True) + eps).sqrt() * weight


@wrong(
    "You normalise over axis 1, the places of a sentence: each token would see those that come "
    "after it. Each vector lies along the last axis."
)
def over_axis_one(x, weight, eps):
    return x / (x.pow(2).mean(1, keepdim=True) + eps).sqrt() * weight


@wrong(
    "You took the mean over axis 2. That is the last one in (B, T, D) alone: x may have any number "
    "of axes, so count from the end, `mean(-1, keepdim=True)`."
)
def over_axis_two(x, weight, eps):
    return x / (x.pow(2).mean(2, keepdim=True) + eps).sqrt() * weight


@wrong(
    "You divided the sum of squares by the size of axis 2. That is the last one in (B, T, D) "
    "alone: x may have any number of axes, so count from the end, `x.shape[-1]`."
)
def d_of_axis_two(x, weight, eps):
    return x / (x.pow(2).sum(-1, keepdim=True) / x.shape[2] + eps).sqrt() * weight


@wrong(
    "You squared the mean where the mean of the squares is wanted: plus and minus cancel in the "
    "mean, and a vector like (-3, 3) would have the size 0."
)
def square_of_the_mean(x, weight, eps):
    return x / (x.mean(-1, keepdim=True).pow(2) + eps).sqrt() * weight


@wrong("You took the mean of the absolute values. Root mean square: square, mean, root.")
def mean_of_the_absolute_values(x, weight, eps):
    return x / (x.abs().mean(-1, keepdim=True) + eps) * weight


@wrong(
    "You divided by `std`, which measures the distance from the mean (and divides by D - 1). "
    "RMSNorm measures the distance from zero: the mean of the squares themselves."
)
def divides_by_std(x, weight, eps):
    return x / (x.std(-1, keepdim=True) + eps) * weight


@wrong(
    "You divided by the root of `var`, which measures the distance from the mean (and divides by D "
    "- 1). RMSNorm measures the distance from zero: the mean of the squares themselves."
)
def divides_by_the_variance(x, weight, eps):
    return x / (x.var(-1, keepdim=True) + eps).sqrt() * weight


@wrong("You divided the sum of squares by D - 1. That is for variances; a mean divides by D.")
def one_too_few(x, weight, eps):
    return x / (x.pow(2).sum(-1, keepdim=True) / (x.shape[-1] - 1) + eps).sqrt() * weight


@wrong(
    "You divided the sum of squares by the size of axis 1. The vector lies along the last axis: "
    "`x.shape[-1]`, or `mean(-1)`, which knows."
)
def d_of_the_wrong_axis(x, weight, eps):
    return x / (x.pow(2).sum(-1, keepdim=True) / x.shape[1] + eps).sqrt() * weight


@wrong("You divided by the weight. It multiplies: a weight of 2 makes its coordinate larger.")
def divides_by_the_weight(x, weight, eps):
    return x / _root(x, eps) / weight


@wrong("You added the weight. It multiplies; what is added would be LayerNorm's bias.")
def adds_the_weight(x, weight, eps):
    return x / _root(x, eps) + weight


@wrong(
    "You multiplied by the weight first, so the size that you divide by has the weights in it. "
    "The weight comes last."
)
def weight_first(x, weight, eps):
    return x * weight / _root(x * weight, eps)


@wrong("You added x at the end. That is the block's part, not the norm's.")
def adds_x(x, weight, eps):
    return x / _root(x, eps) * weight + x


@wrong(
    "`squeeze` throws away every axis of size 1: a batch of one, a sentence of one token, which is "
    "what a model meets when it writes. Keep x's shape."
)
def squeezes(x, weight, eps):
    return (x / _root(x, eps) * weight).squeeze()


THROUGH_FLOAT32 = (
    "You compute in float32, whatever comes in. Here float64 must keep its digits: a check against "
    "other programs is made in it."
)


@wrong(THROUGH_FLOAT32)
def through_float32(x, weight, eps):
    wide = x.float()
    return (wide / _root(wide, eps)).to(x.dtype) * weight


@wrong(THROUGH_FLOAT32)
def through_float32_with_its_weight(x, weight, eps):
    wide = x.float()
    return (wide / _root(wide, eps) * weight.float()).to(x.dtype)


@wrong(
    "You work the size out in float32, whatever comes in. Here float64 must keep its digits: a "
    "check against other programs is made in it."
)
def size_in_float32(x, weight, eps):
    return x / _root(x.float(), eps).to(x.dtype) * weight


@wrong(
    "Your loops expect (B, T, D). Vectors come in tensors of any shape, and `mean(-1, "
    "keepdim=True)` treats them all at once."
)
def loops_over_two_axes(x, weight, eps):
    out = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            out[b, t] = x[b, t] / (x[b, t].pow(2).mean() + eps).sqrt() * weight
    return out


@wrong(
    "`view` wants numbers that lie in one row in memory, and in a transposed tensor they do not. "
    "The formula needs no flattening: `mean(-1, keepdim=True)`."
)
def asks_for_contiguous(x, weight, eps):
    flat = x.view(-1, x.shape[-1])
    return (flat / _root(flat, eps) * weight).view(x.shape)


@wrong(
    "You divided by the largest number first, to be safe. Scale drops out of a norm only until eps "
    "comes in: small vectors come out too large."
)
def scales_first(x, weight, eps):
    x = x / x.abs().max() if x.numel() else x
    return x / _root(x, eps) * weight


@wrong(
    "You turned nan into numbers. A nan that comes in is a mistake made earlier; where it vanishes "
    "nobody will find it. And with eps under the root the norm makes none itself."
)
def hides_nan(x, weight, eps):
    return torch.nan_to_num(x / _root(x, eps) * weight)


@wrong(
    "You cut large outputs off. One number may well hold nearly all of a vector, in trained models "
    "some do: of D numbers it comes out as sqrt(D)."
)
def cuts_off_at_ten(x, weight, eps):
    return (x / _root(x, eps) * weight).clamp(-10, 10)


@wrong("You took one root too many. Of the mean square, once: its root is the size.")
def roots_twice(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps).sqrt() * weight


@wrong(
    "You left a vector of zeros out by hand and forgot eps for all others: small vectors are blown "
    "up to size 1, where eps would let go of them."
)
def zeros_by_hand(x, weight, eps):
    mean_square = x.pow(2).mean(-1, keepdim=True)
    return torch.where(mean_square == 0, 0.0, x / mean_square.sqrt()) * weight


@wrong(
    "Your length is right, sqrt(D) for every vector, but eps is not in it. What keeps you from 0 / "
    "0 is a floor, 1e-12 in `F.normalize`, and it is so low that small vectors are blown up to "
    "size 1, where eps would let go of them."
)
def normalizes_without_eps(x, weight, eps):
    return torch.nn.functional.normalize(x, dim=-1) * x.shape[-1] ** 0.5 * weight


@wrong(
    "You did not hand eps on. `F.rms_norm` then takes the dtype's own, 1.2e-7 in float32, and "
    "small vectors come out too large."
)
def leaves_eps_to_torch(x, weight, eps):
    return torch.nn.functional.rms_norm(x, weight.shape, weight)


@wrong(
    "The values are right, but you worked in x's own place (`div_`, `mul_`, `/=`). The caller "
    "still needs it: in a block, x goes past the norm and is added back after it."
)
def works_in_place_to_the_end(x, weight, eps):
    with torch.no_grad():
        x.div_(_root(x, eps)).mul_(weight)
    return x


@wrong("You summed the weights. Each multiplies its own coordinate, number by number: `* weight`.")
def sums_the_weights(x, weight, eps):
    return x / _root(x, eps) * weight.sum()


@wrong(
    "`.item()` makes one Python number of a tensor with one element: there is one size for each "
    "vector, not one for all, and a Python number lets no gradient back. Keep it a tensor."
)
def one_python_number(x, weight, eps):
    return x / (x.pow(2).mean(-1) + eps).sqrt().item() * weight


@wrong(
    "You squared the mean square once more instead of taking its root: large vectors come out "
    "small, and small ones large."
)
def squares_instead_of_the_root(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).pow(2) * weight


@wrong(
    "You divided the length by D and squared that: the squares are divided by D twice. The mean "
    "of the squares is length² / D, so the size is length / sqrt(D)."
)
def length_over_d_under_the_root(x, weight, eps):
    size = x.norm(dim=-1, keepdim=True) / x.shape[-1]
    return x / (size**2 + eps).sqrt() * weight


EXERCISE = Exercise(
    name="rms_norm",
    title="RMSNorm",
    points=2,
    minutes=8,
    answer=rms_norm,
    reference=_rms_norm_reference,
    probes=_rms_norm_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Four steps, in this order: square, mean, root, divide. The mean is over the D numbers "
        "of one vector, and eps joins before one of the four steps: which?",
        "`x.pow(2)` has x's shape; its mean over the last axis has one number for each vector. "
        "To divide (..., D) by it, that axis must stay there with size 1.",
        "The mean loses an axis unless you tell it to keep it (`keepdim`). `torch.rsqrt` is one "
        "over the root: decide what must already be inside it. The weight comes last.",
    ),
)
