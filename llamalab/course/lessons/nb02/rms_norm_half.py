"""Notebook 02, exercise 4: RMSNorm in half precision."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb02.common import _gain

wrong = WrongAnswers()


def rms_norm_half(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def _rms_norm_half_reference(x, weight, eps):
    wide = x.double()
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return (wide / (length**2 / x.shape[-1] + eps).sqrt()).to(x.dtype) * weight


def _half_probes():
    """Squares that overflow float16; numbers that float16 cannot hold; an eps that it turns
    into 0; float32, for which nothing changes; axes of size 1; views."""
    g = seeded(23)
    bf16, fp16 = torch.bfloat16, torch.float16
    still = torch.randn(2, 3, 96, generator=g)
    still[0, 1] = 0
    return [
        (torch.randn(2, 3, 192, generator=g).to(bf16), _gain(192, g).to(bf16), 1e-5),
        (300 * torch.randn(3, 2, 160, generator=g).to(fp16), _gain(160, g).to(fp16), 1e-5),
        (still.to(fp16), _gain(96, g).to(fp16), 1e-8),
        (1e5 * torch.randn(2, 4, 128, generator=g).to(bf16), _gain(128, g).to(bf16), 1e-5),
        (0.003 * torch.randn(2, 3, 144, generator=g).to(bf16), _gain(144, g).to(bf16), 1.7e-5),
        (torch.randn(3, 2, 40, generator=g), _gain(40, g), 1e-5),
        (torch.randn(200, generator=g).to(bf16), _gain(200, g).to(bf16), 1e-5),
        (torch.randn(1, 1, 120, generator=g).to(fp16), _gain(120, g).to(fp16), 1e-5),
        (
            (1 + torch.randn(4, 3, 80, generator=g)).to(bf16).transpose(0, 1),
            _gain(160, g).to(bf16)[::2],
            1e-5,
        ),
    ]


@wrong(
    "You did all of it in x's own dtype. In float16 the square of 256 is already infinite, and "
    "the vector silently becomes 0; in bfloat16 digits are lost."
)
def all_in_half(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(
    "You did all of it in x's own dtype. In float16 the square of 256 is already infinite, and "
    "the vector silently becomes 0; in bfloat16 digits are lost."
)
def all_in_half_with_a_division(x, weight, eps):
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(
    "You multiplied by the weight in float32 and then cast back. Llama 2 casts back first and "
    "multiplies after: about a quarter of the numbers round differently."
)
def weight_before_the_cast(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (normed * weight.float()).to(x.dtype)


@wrong(
    "You never cast back: half-precision vectors went in and float32 came out, and the product "
    "with a half-precision matrix that follows will refuse it."
)
def stays_wide(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed * weight


@wrong(
    "You squared first and cast after: what was lost in the square stays lost, and a square "
    "above 65,504 is already infinite in float16."
)
def squares_before_the_cast(x, weight, eps):
    mean_square = x.pow(2).float().mean(-1, keepdim=True)
    return (x.float() * torch.rsqrt(mean_square + eps)).to(x.dtype) * weight


@wrong(
    "You rounded the scale to half precision before using it: its error then goes into every "
    "number of the vector. Only the finished vector is cast back."
)
def rounds_the_size(x, weight, eps):
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps).to(x.dtype)
    return x * scale * weight


@wrong(
    "You rounded the divisor to half precision before using it: its error then goes into every "
    "number of the vector. Only the finished vector is cast back."
)
def rounds_the_divisor(x, weight, eps):
    wide = x.float()
    root = torch.sqrt(wide.pow(2).mean(-1, keepdim=True) + eps).to(x.dtype)
    return x / root * weight


@wrong(
    "You turned eps into x's dtype. bfloat16 keeps two or three of its digits, and float16 "
    "turns 1e-8 into 0. A plain Python number joins the float32 sum as it is."
)
def eps_in_half(x, weight, eps):
    wide = x.float()
    small = torch.tensor(eps, dtype=x.dtype)
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + small)
    return normed.to(x.dtype) * weight


@wrong(
    "You went through float16 on the way to float32. bfloat16 reaches to 3e38, float16 only to "
    "65,504: what lies above became infinite."
)
def by_way_of_float16(x, weight, eps):
    wide = x.half().float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


@wrong(
    "You widened bfloat16 and left float16 as it was. float16 has more digits but a short "
    "range, and it is the one whose squares overflow."
)
def widens_bfloat16_only(x, weight, eps):
    wide = x.float() if x.dtype == torch.bfloat16 else x
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


@wrong("You always cast back to bfloat16, whatever came in. Cast back to x's own dtype.")
def always_bfloat16(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(torch.bfloat16) * weight


@wrong(
    "You round to bfloat16 on the way back, whatever came in, and only then go to x's own dtype: "
    "the digits are lost by then. Cast back to x's own dtype at once."
)
def by_way_of_bfloat16_at_the_end(x, weight, eps):
    return (_normed(x, eps).bfloat16() * weight).to(x.dtype)


@wrong(
    "You round to float16 on the way back, whatever came in, and only then go to x's own dtype: "
    "float32 has lost its digits by then, and bfloat16 is rounded twice. Cast back to x's own "
    "dtype at once."
)
def by_way_of_float16_at_the_end(x, weight, eps):
    return (_normed(x, eps).half() * weight).to(x.dtype)


def _normed(x, eps, *, axis=-1):
    wide = x.float()
    return wide * torch.rsqrt(wide.pow(2).mean(axis, keepdim=True) + eps)


FORWARDS_ONLY = "The values are right, and the way back is not: "


@wrong(
    FORWARDS_ONLY + "the weight is cut off (`detach`, `.data`, `no_grad`), so the model's norms "
    "would stay at 1 for ever."
)
def weight_cut_off(x, weight, eps):
    return _normed(x, eps).to(x.dtype) * weight.detach()


@wrong(
    FORWARDS_ONLY + "x is cut off while it is widened (`detach`, `.data`, `no_grad`, a new "
    "`torch.tensor`), so nothing below the norm would ever learn. `x.float()` alone lets it by."
)
def x_cut_off(x, weight, eps):
    return _normed(x.detach(), eps).to(x.dtype) * weight


@wrong(
    FORWARDS_ONLY + "the size is cut off (`detach`, `.data`, `no_grad`), as if it did not depend "
    "on x. Each x_j changes the size too, and through it every output."
)
def size_cut_off(x, weight, eps):
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps).detach()
    return (wide * scale).to(x.dtype) * weight


@wrong(
    FORWARDS_ONLY + "nothing comes back at all. Something cuts the whole result off: `detach()`, "
    "`no_grad` or numpy."
)
def all_cut_off(x, weight, eps):
    return (_normed(x, eps).to(x.dtype) * weight).detach()


@wrong("You always cast back to float16, whatever came in. Cast back to x's own dtype.")
def always_float16(x, weight, eps):
    return _normed(x, eps).half() * weight


@wrong(
    "You cast the vector back and then met it with a float32 weight, so the result is float32 "
    "again. The weight has x's own dtype: leave it there."
)
def weight_in_float32_at_the_end(x, weight, eps):
    return _normed(x, eps).to(x.dtype) * weight.float()


@wrong(
    "You rounded the mean square to half precision before using it: its error then goes into every "
    "number of the vector. Only the finished vector is cast back."
)
def rounds_the_mean_square(x, weight, eps):
    wide = x.float()
    mean_square = wide.pow(2).mean(-1, keepdim=True).to(x.dtype).float()
    return (wide * torch.rsqrt(mean_square + eps)).to(x.dtype) * weight


@wrong("You added eps to the root instead of under it.")
def eps_outside_the_root(x, weight, eps):
    wide = x.float()
    return (wide / (wide.pow(2).mean(-1, keepdim=True).sqrt() + eps)).to(x.dtype) * weight


@wrong(
    "You subtracted the mean first: that is LayerNorm. RMSNorm leaves the mean in and only divides "
    "by the size."
)
def subtracts_the_mean(x, weight, eps):
    wide = x.float()
    return _normed(wide - wide.mean(-1, keepdim=True), eps).to(x.dtype) * weight


@wrong(
    "You wrote 1e-5 where the argument eps should stand. That is right for Llama 2, and wrong for "
    "the next model."
)
def eps_of_llama_2(x, weight, eps):
    return _normed(x, 1e-5).to(x.dtype) * weight


@wrong("You wrote 1e-6 where the argument eps should stand. That was Llama 1's.")
def eps_of_llama_1(x, weight, eps):
    return _normed(x, 1e-6).to(x.dtype) * weight


@wrong("You left eps out: a vector of zeros becomes 0 / 0, which is nan.")
def forgets_eps(x, weight, eps):
    return _normed(x, 0.0).to(x.dtype) * weight


@wrong(
    "You left out the weight: the model has learned a factor for each coordinate, and none of "
    "them is used."
)
def forgets_the_weight(x, weight, eps):
    return _normed(x, eps).to(x.dtype)


@wrong("You multiplied by 1 + weight. That is Gemma's convention; Llama 2's files hold the weight.")
def one_plus_weight(x, weight, eps):
    return _normed(x, eps).to(x.dtype) * (1 + weight)


@wrong(
    "`squeeze` throws away every axis of size 1: a batch of one, a sentence of one token. Keep x's "
    "shape."
)
def squeezes(x, weight, eps):
    return (_normed(x, eps).to(x.dtype) * weight).squeeze()


@wrong(
    "You widened float16 and left bfloat16 as it was. It has float32's range, so nothing "
    "overflows, but it has fewer digits than float16: they are lost in the squares."
)
def widens_float16_only(x, weight, eps):
    wide = x.float() if x.dtype == torch.float16 else x
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


@wrong(
    "You compute in bfloat16. It has float32's range, but only two or three digits: wide means "
    "float32."
)
def computes_in_bfloat16(x, weight, eps):
    wide = x.bfloat16()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


SCALES_FIRST = (
    "You divided by the largest number first, so that no square overflows. The digits are lost all "
    "the same, since you square in 16 bits, and eps no longer fits the size: widen instead."
)


@wrong(SCALES_FIRST)
def scales_first(x, weight, eps):
    scaled = x / x.abs().amax(-1, keepdim=True)
    return scaled * torch.rsqrt(scaled.pow(2).mean(-1, keepdim=True) + eps) * weight


@wrong(SCALES_FIRST)
def scales_first_and_widens_late(x, weight, eps):
    scaled = x / x.abs().amax(-1, keepdim=True)
    scale = torch.rsqrt(scaled.pow(2).mean(-1, keepdim=True).float() + eps)
    return (scaled.float() * scale).to(x.dtype) * weight


@wrong(SCALES_FIRST)
def scales_first_but_not_by_zero(x, weight, eps):
    scaled = x / x.abs().amax(-1, keepdim=True).clamp(min=1e-4)
    scale = torch.rsqrt(scaled.pow(2).mean(-1, keepdim=True).float() + eps)
    return (scaled.float() * scale).to(x.dtype) * weight


@wrong(
    "You cut numbers off at 255, so that their squares fit into float16. That changes the vector: "
    "widen it instead."
)
def cuts_off_what_is_large(x, weight, eps):
    return _normed(x.clamp(-255, 255), eps).to(x.dtype) * weight


@wrong(
    "You summed where a mean is wanted: your vectors come out with length 1, every number sqrt(D) "
    "times too small."
)
def sum_for_mean(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).sum(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


@wrong("You normalise over the first axis. Each vector lies along the last one.")
def over_the_first_axis(x, weight, eps):
    return _normed(x, eps, axis=0).to(x.dtype) * weight


@wrong(
    "You squared the mean where the mean of the squares is wanted: plus and minus cancel in the "
    "mean."
)
def square_of_the_mean(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.mean(-1, keepdim=True).pow(2) + eps)
    return normed.to(x.dtype) * weight


@wrong(
    "With float32 your function changes x: `x.float()` makes no copy where nothing is to be "
    "widened, and you then work in place. Build a new value."
)
def in_place_where_nothing_is_widened(x, weight, eps):
    wide = x.float()
    with torch.no_grad():
        wide *= torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return wide.to(x.dtype) * weight


@wrong(
    "You widened the caller's own x, by way of `.data`: after the call it has another dtype. Give "
    "the wide copy a name of its own."
)
def widens_the_callers_x(x, weight, eps):
    narrow = x.dtype
    x.data = x.data.float()
    return (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)).to(narrow) * weight


@wrong(
    "You took the square and the mean in half precision and cast after: what was lost in them "
    "stays lost, and a square above 65,504 is already infinite in float16. Cast x first."
)
def mean_square_before_the_cast(x, weight, eps):
    mean_square = x.pow(2).mean(-1, keepdim=True).float()
    return (x.float() * torch.rsqrt(mean_square + eps)).to(x.dtype) * weight


EXERCISE = Exercise(
    name="rms_norm_half",
    title="RMSNorm in half precision",
    points=2,
    minutes=8,
    answer=rms_norm_half,
    reference=_rms_norm_half_reference,
    probes=_half_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Three dtypes of moments: x as it comes in, the arithmetic, the result. Only the "
        "arithmetic is wide. And the weight, is it part of the arithmetic or of what follows?",
        "At which moment is x wide, and at which must it be narrow again? Write the dtype of each "
        "quantity beside the formula, the weight's too, before you write code.",
        "`x.float()` widens and `.to(x.dtype)` narrows. In Meta's order the narrow vector meets "
        "the narrow weight last.",
    ),
)
