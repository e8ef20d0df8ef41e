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
    into 0; and float32, for which nothing changes."""
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
