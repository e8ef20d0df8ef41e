"""A min-max grid: even steps from a group's smallest number to its largest, in any number of bits.

    scale = (max - min) / (2^bits - 1)     zero = round(-min / scale)     x' = scale * (q - zero)

The grid that GPTQ and AWQ round to: asymmetric, one a row or one for every `group_size` numbers of
it. Zero is always on the grid (min is at most 0, max at least 0). The scale is kept in float16 and
rounded to it before anything is divided by it, so that what is computed is what is stored.
Halves go to the even, as in GPTQ's code. Codes are a stream of bits, lowest bit first: 3-bit codes
take 3 bits, not 4.
Source: GPTQ (Frantar and others 2022) and its repository's quant.py.
"""

from dataclasses import dataclass

import torch

from .blocks import Blocks, checked, half_bytes, reciprocal


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid(Blocks):
    """A matrix (out, in). codes: uint8 (out, in * bits / 8). scales: float16, zeros: uint8, both
    (out, groups)."""

    codes: torch.Tensor
    scales: torch.Tensor
    zeros: torch.Tensor
    bits: int

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        codes = unpack_bits(self.codes[rows], self.bits, self.shape[-1]).float()  # (rows, in)
        scales, zeros = self.scales[rows].float(), self.zeros[rows].float()  # (rows, groups)
        groups = codes.unflatten(-1, (scales.shape[-1], -1))  # (rows, groups, size)
        return ((groups - zeros.unsqueeze(-1)) * scales.unsqueeze(-1)).flatten(-2)


def round_to_nearest(weight: torch.Tensor, bits: int = 4, group_size: int | None = None) -> Grid:
    """weight (out, in) -> a Grid, each number at its nearest step: what GPTQ is measured against.

    group_size: numbers of a row that share a scale; None is the whole row. ValueError for bits
    outside 2 .. 8, a group that does not divide the row, nan and infinity.
    """
    weight = checked(weight)
    size = check_grid(weight, bits, group_size)
    groups = weight.unflatten(-1, (-1, size))  # (out, groups, size)
    scale, zero = find_grid(groups, bits)  # (out, groups, 1)
    codes = to_grid(groups, scale, zero, bits).flatten(-2)
    return make_grid(codes, scale.squeeze(-1), zero.squeeze(-1), bits)


def check_grid(weight: torch.Tensor, bits: int, group_size: int | None) -> int:
    """The size of a group. ValueError for what does not fit the matrix."""
    if weight.ndim != 2:
        raise ValueError(f"a matrix (out, in) is needed; this has shape {tuple(weight.shape)}")
    if not 2 <= bits <= 8:
        raise ValueError(f"bits={bits} must lie in 2 .. 8")
    size = weight.shape[1] if group_size is None else group_size
    if size < 1 or weight.shape[1] % size:
        raise ValueError(f"group_size={size} must divide the row's {weight.shape[1]} numbers")
    return size


def find_grid(groups: torch.Tensor, bits: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(..., size) -> scale and zero (..., 1), float32, for the range of each group. ValueError for
    a scale past float16."""
    low = groups.amin(-1, keepdim=True).clamp(max=0)
    high = groups.amax(-1, keepdim=True).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    half_bytes(scale)  # refuses what float16 cannot hold
    scale = scale.half().float()
    zero = (-low * reciprocal(scale)).round().clamp(0, 2**bits - 1)
    return scale, zero


def to_grid(x: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, bits: int) -> torch.Tensor:
    """The code 0 .. 2^bits - 1, as a float, of the step nearest to each number."""
    return (x * reciprocal(scale)).round_().add_(zero).clamp_(0, 2**bits - 1)


def make_grid(codes: torch.Tensor, scale: torch.Tensor, zero: torch.Tensor, bits: int) -> Grid:
    """codes (out, in), scale and zero (out, groups), all as floats -> packed."""
    return Grid(
        shape=tuple(codes.shape),
        codes=pack_bits(codes.to(torch.uint8), bits),
        scales=scale.half(),
        zeros=zero.to(torch.uint8),
        bits=bits,
    )


def pack_bits(codes: torch.Tensor, bits: int) -> torch.Tensor:
    """uint8 codes (..., n) below 2^bits -> bytes (..., ceil(n * bits / 8))."""
    single = codes.unsqueeze(-1) >> torch.arange(bits, device=codes.device) & 1  # (..., n, bits)
    stream = single.flatten(-2)
    stream = torch.nn.functional.pad(stream, (0, -stream.shape[-1] % 8)).unflatten(-1, (-1, 8))
    return (stream << torch.arange(8, device=codes.device)).sum(-1).to(torch.uint8)


def unpack_bits(data: torch.Tensor, bits: int, n: int) -> torch.Tensor:
    """bytes -> the first n codes (..., n), uint8."""
    place = torch.arange(8, dtype=torch.uint8, device=data.device)
    stream = (data.unsqueeze(-1) >> place & 1).flatten(-2)  # (..., 8 bytes)
    single = stream[..., : n * bits].unflatten(-1, (n, bits))
    return (single << place[:bits]).sum(-1, dtype=torch.uint8)
