"""NF4: 16 levels at the quantiles of the normal distribution, dense where numbers are many.

    level   a quantile of the normal distribution, over the largest; 0 is one of them
    x' = absmax of the block * level                                       blocks of 64

A trained matrix is nearly normal, so even steps waste codes far out where hardly any number is.
Seven levels are negative, eight positive, and zero is exact. A number goes to the nearest level.
Double quantization: the blocks' absmax, float32, would cost half a bit a weight. Their mean is
taken off, and 256 of them share one float32 scale and keep 8 bits each: 0.127 bits instead.
bitsandbytes rounds the absmax to an 8-bit floating code of its own; here the steps are even.
Two codes a byte, the first in the high half, as bitsandbytes packs them.
Source: QLoRA (Dettmers and others 2023); bitsandbytes' functional.py.
"""

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import torch

from .absmax import quantize_absmax
from .blocks import Blocks, checked, reciprocal

OUTERMOST = 0.9677083  # bitsandbytes' choice: the middle of the outermost slice
ABSMAXES = 256  # in one block of the second quantization


@dataclass(frozen=True, eq=False, kw_only=True)
class NF4(Blocks):
    """data: uint8, two codes each, flat. absmax: one a block, float32, or int8 with `scales`
    (float32, one for every 256 blocks) and `mean` where it was quantized too."""

    data: torch.Tensor
    absmax: torch.Tensor
    scales: torch.Tensor
    mean: torch.Tensor
    block: int

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        if isinstance(rows, torch.Tensor) or len(self.shape) == 1:
            return self._flat(0, torch.Size(self.shape).numel()).view(self.shape)[rows]
        start, stop, _ = rows.indices(self.shape[0])
        width = torch.Size(self.shape[1:]).numel()
        return self._flat(start * width, stop * width).view(-1, *self.shape[1:])

    def _flat(self, start: int, stop: int) -> torch.Tensor:
        data = self.data[start // 2 : (stop + 1) // 2].int()
        levels = _levels().to(data.device)[torch.stack((data >> 4, data & 15), 1).flatten()]
        levels = levels[start % 2 :][: stop - start]
        first, last = start // self.block, -(-stop // self.block)
        spread = self._scale(first, last).repeat_interleave(self.block)
        return levels * spread[start - first * self.block :][: stop - start]

    def _scale(self, first: int, last: int) -> torch.Tensor:
        if self.absmax.dtype != torch.int8:
            return self.absmax[first:last]
        which = torch.arange(first, last, device=self.absmax.device) // ABSMAXES
        return self.absmax[first:last].float() * self.scales[which] + self.mean


def nf4_levels() -> torch.Tensor:
    """The 16 levels, float32, rising from -1 to 1."""
    return _levels().clone()


@cache
def _levels() -> torch.Tensor:
    normal = NormalDist()

    def quantiles(parts: int) -> list[float]:
        chances = torch.linspace(OUTERMOST, 0.5, parts + 1)[:-1]  # 0.5 itself is left out
        return [normal.inv_cdf(float(chance)) for chance in chances]

    levels = torch.tensor(sorted([-q for q in quantiles(7)] + [0.0] + quantiles(8)))
    return levels / levels.max()


def nearest_level(x: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
    """The place of the level nearest to each number; halfway goes to the lower one."""
    middles = (levels[1:] + levels[:-1]) / 2
    return torch.bucketize(x, middles.to(x.device))


def quantize_nf4(x: torch.Tensor, *, block: int = 64, double: bool = True) -> NF4:
    """x of any shape, quantized flat in blocks -> blocks. The last one may be short.

    double: quantize the absmaxes too. ValueError for a block that is odd or below 2, for nan and
    infinity.
    """
    if block < 2 or block % 2:
        raise ValueError(f"block={block} must be even and at least 2: two codes share a byte")
    flat = checked(x).flatten()
    flat = torch.nn.functional.pad(flat, (0, -len(flat) % block)).view(-1, block)  # (n, block)
    absmax = flat.abs().amax(1)  # (n,)
    scales = mean = absmax.new_zeros(())
    if double:
        mean = absmax.mean()
        short = -len(absmax) % ABSMAXES
        around = torch.nn.functional.pad(absmax - mean, (0, short)).view(-1, ABSMAXES)
        second = quantize_absmax(around, per="channel")
        kept, scales = second.codes.flatten()[: len(absmax)], second.scales.flatten()
    else:
        kept = absmax
    unit = flat * reciprocal(absmax).unsqueeze(1)  # (n, block), -1 .. 1
    codes = nearest_level(unit, nf4_levels().to(x.device)).to(torch.uint8).flatten()
    data = (codes[0::2] << 4 | codes[1::2])[: (x.numel() + 1) // 2]
    return NF4(shape=tuple(x.shape), data=data, absmax=kept, scales=scales, mean=mean, block=block)
