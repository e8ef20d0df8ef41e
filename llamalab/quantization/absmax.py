"""Absmax: the largest magnitude sets the scale, and every number is rounded to a whole step of it.

    scale = max|x| / (2^(bits-1) - 1)          q = round(x / scale)          x' = scale * q

How many numbers share a scale is the whole question. One scale for a tensor: a single outlier makes
the step coarse for all. One for each row (the matrix's output channel), or for each group along a
row: the outlier harms its own row, or its own group, and every scale costs 32 bits here.
Symmetric: zero stays zero, and of 2^bits codes one is never used. Halves go away from zero.
"""

from dataclasses import dataclass

import torch

from .blocks import Blocks, checked, in_blocks, reciprocal, round_half_away


@dataclass(frozen=True, eq=False, kw_only=True)
class Absmax(Blocks):
    """codes: int8 in the tensor's shape, `bits` of each used. scales: float32, (1,) for a tensor,
    (rows, 1) for channels, (..., groups) for groups."""

    codes: torch.Tensor
    scales: torch.Tensor
    bits: int

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        codes = self.codes[rows].float()
        if self.scales.ndim == 1 and self.scales.numel() == 1:
            return codes * self.scales
        scales = self.scales[rows]  # (..., groups)
        groups = codes.unflatten(-1, (scales.shape[-1], -1))  # (..., groups, size)
        return (groups * scales.unsqueeze(-1)).flatten(-2)


def quantize_absmax(x: torch.Tensor, bits: int = 8, *, per: str | int = "channel") -> Absmax:
    """x (..., W) -> codes and scales.

    per: "tensor", "channel" (all of the last axis) or the size of a group along the last axis.
    ValueError for bits outside 2 .. 8, for a group that does not divide the row, for nan and
    infinity.
    """
    if not 2 <= bits <= 8:
        raise ValueError(f"bits={bits} must lie in 2 .. 8: codes are kept in int8")
    largest = 2 ** (bits - 1) - 1
    if per == "tensor":
        whole = checked(x)
        scales = whole.abs().max().reshape(1) / largest  # (1,)
        codes = round_half_away(whole * reciprocal(scales))
    elif per == "channel" or (isinstance(per, int) and per > 0):
        size = checked(x).shape[-1] if isinstance(per, str) else per
        groups = in_blocks(x, size)  # (..., groups, size)
        scales = groups.abs().amax(-1) / largest  # (..., groups)
        codes = round_half_away(groups * reciprocal(scales).unsqueeze(-1)).flatten(-2)
    else:
        raise ValueError(f"per={per!r} must be 'tensor', 'channel' or the size of a group")
    codes = codes.clamp(-largest, largest).to(torch.int8)
    return Absmax(shape=tuple(x.shape), codes=codes, scales=scales, bits=bits)
