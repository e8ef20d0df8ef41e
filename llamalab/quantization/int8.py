"""LLM.int8(): both factors in 8 bits, multiplied as whole numbers, and the outliers kept apart.

    y = (x8 W8^T) * scale of x's row * scale of W's row  +  x_out W^T

Whole numbers are multiplied and summed exactly, and faster than floats where the processor has the
instructions; so scales must stand outside the sum: one for each row of x, one for each row of W.
(Q8_0 has a scale every 32 numbers INSIDE the sum: it saves memory, but has no such product.)
One activation of 60 among others of 1 would leave those 2 of 127 steps: whatever lies past the
threshold (6.0) is multiplied separately, in floats, with the columns of W that it meets.
bitsandbytes takes out whole columns of the batch; here each row has its own outliers, so that a
row's result does not depend on its neighbours.
Source: Dettmers and others 2022. torch's product of int8 matrices, where it is right; else floats.
"""

import functools
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from .absmax import quantize_absmax
from .blocks import Blocks

THRESHOLD = 6.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Int8(Blocks):
    """A matrix (out, in). codes: int8 (out, in). scales: float32 (out, 1)."""

    codes: torch.Tensor
    scales: torch.Tensor
    threshold: float = THRESHOLD

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        return self.codes[rows].float() * self.scales[rows]

    def product(self, x: torch.Tensor) -> torch.Tensor:
        if x.requires_grad and torch.is_grad_enabled():
            return super().product(x)  # whole numbers have no gradient
        rows = x.reshape(-1, x.shape[-1]).float()  # (n, in)
        out = int8_linear(rows, self.codes, self.scales, self.threshold)
        return out.view(*x.shape[:-1], self.shape[0]).to(x.dtype)


def quantize_int8(weight: torch.Tensor, *, threshold: float = THRESHOLD) -> Int8:
    """weight (out, in) -> blocks that multiply in whole numbers. ValueError for anything but a
    matrix, a threshold that is not above 0, nan and infinity."""
    if weight.ndim != 2 or not threshold > 0:
        raise ValueError(
            f"a matrix and a threshold above 0 are needed, not shape {tuple(weight.shape)} and "
            f"{threshold}"
        )
    found = quantize_absmax(weight, per="channel")
    return Int8(
        shape=found.shape, codes=found.codes, scales=found.scales, threshold=float(threshold)
    )


def int8_linear(
    x: torch.Tensor, codes: torch.Tensor, scales: torch.Tensor, threshold: float = THRESHOLD
) -> torch.Tensor:
    """x (n, in) float32, codes int8 (out, in), scales (out, 1) -> (n, out) float32. Activations are
    rounded half to even, as torch does: nobody's bytes depend on it."""
    kept, outliers = split_outliers(x, threshold)
    step = kept.abs().amax(1, keepdim=True) / 127  # (n, 1)
    whole = (kept / step.clamp(min=1e-30)).round().to(torch.int8)
    y = int8_product(whole, codes).float() * step * scales.T
    columns = outliers.any(0).nonzero().squeeze(1)  # where any row has one
    if len(columns):
        y += F.linear(outliers[:, columns], codes[:, columns].float()) * scales.T
    return y


def split_outliers(x: torch.Tensor, threshold: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x -> what lies within the threshold and what lies past it; they add up to x."""
    kept = x.masked_fill(x.abs() > threshold, 0.0)
    return kept, x - kept


def int8_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """int8 a (n, in), b (out, in) -> a b^T (n, out), exact, as int32 or float64."""
    if a.device.type == "cpu" and has_int_mm():
        return torch._int_mm(a, b.T)
    return F.linear(a.double(), b.double())  # exact, and slower: what is missing is the instruction


@functools.cache
def has_int_mm() -> bool:
    """Whether torch's own product of int8 matrices is here, and right, at the extremes too: older
    processors' instructions add two products in 16 bits, where -128 * -128 twice does not fit."""
    generator = torch.Generator().manual_seed(0)
    a = torch.randint(-128, 128, (3, 70), dtype=torch.int8, generator=generator)
    b = torch.randint(-128, 128, (5, 70), dtype=torch.int8, generator=generator)
    a[0], b[0], a[1], b[1] = -128, -128, 127, 127
    with torch.device("cpu"):
        try:
            got = torch._int_mm(a, b.T), torch._int_mm(a[:1], b.T)
        except (AttributeError, RuntimeError):
            return False
        exact = a.long() @ b.long().T
        return torch.equal(got[0].long(), exact) and torch.equal(got[1].long(), exact[:1])
