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
    """Means that are not 0; inputs so small that eps decides; a row of zeros; a square;
    a single vector; and an input that wants its gradient."""
    g = seeded(22)
    small = 0.004 * torch.randn(3, 5, 6, generator=g)
    small[1, 2] = 0
    return [
        (2 + torch.randn(2, 3, 8, generator=g), _gain(8, g), 1e-5),
        (small, _gain(6, g), 1e-5),
        (torch.randn(2, 3, 4, 7, generator=g).double(), _gain(7, g).double(), 0.25),
        (3 * torch.randn(5, 5, generator=g), _gain(5, g), 1e-6),
        (1 + torch.randn(9, generator=g), _gain(9, g), 1e-5),
        ((1 + torch.randn(2, 5, 3, generator=g)).requires_grad_(), _gain(3, g), 1e-5),
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
