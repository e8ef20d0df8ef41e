"""Q4_0: 32 numbers in 18 bytes, 4.5 bits each. ggml's block, byte for byte.

    | d: float16 | 16 bytes |    d = m / -8    q = min(15, int(x * (1/d) + 8.5))    x' = d (q - 8)

m is the SIGNED number of largest magnitude, the first one on a tie. So d is negative where m is
positive, and m itself always gets q = 0, which is -8: that side reaches -8d exactly, the other one
only 7d. Byte j holds element j in its low half and element j + 16 (not j + 1) in its high half.
Source: ggml-quants.c, and the gguf package, whose bytes these are.
"""

from dataclasses import dataclass

import torch

from .blocks import Blocks, from_half_bytes, half_bytes, in_blocks, reciprocal

BLOCK, BYTES = 32, 18


@dataclass(frozen=True, eq=False, kw_only=True)
class Q4_0(Blocks):
    """data: uint8 (..., W / 32 * 18), a row's blocks one after another."""

    data: torch.Tensor

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        blocks = self.data[rows].unflatten(-1, (-1, BYTES))  # (..., n, 18)
        d = from_half_bytes(blocks[..., :2])  # (..., n, 1)
        return (d * (unpack_halves(blocks[..., 2:]).float() - 8)).flatten(-2)


def quantize_q4_0(x: torch.Tensor) -> Q4_0:
    """x (..., W) -> blocks. ValueError for rows that 32 does not divide, for nan and infinity, and
    for a scale past float16."""
    blocks = in_blocks(x, BLOCK)  # (..., n, 32)
    place = blocks.abs().argmax(-1, keepdim=True)  # the first of equals
    d = blocks.gather(-1, place) / -8  # (..., n, 1)
    codes = (blocks * reciprocal(d) + 8.5).to(torch.uint8).clamp(max=15)  # to uint8: truncated
    data = torch.cat((half_bytes(d), pack_halves(codes)), dim=-1)  # (..., n, 18)
    return Q4_0(shape=tuple(x.shape), data=data.flatten(-2))


def pack_halves(codes: torch.Tensor) -> torch.Tensor:
    """Codes 0 .. 15, uint8 (..., 32) -> bytes (..., 16): j low, j + 16 high."""
    return codes[..., :16] | codes[..., 16:] << 4


def unpack_halves(data: torch.Tensor) -> torch.Tensor:
    """Bytes (..., 16) -> codes (..., 32)."""
    return torch.cat((data & 15, data >> 4), dim=-1)
