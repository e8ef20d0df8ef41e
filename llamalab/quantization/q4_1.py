"""Q4_1: 32 numbers in 20 bytes, 5 bits each: a grid with an offset. ggml's block, byte for byte.

    | d: float16 | m: float16 | 16 bytes |     m = min x     d = (max x - m) / 15
    q = min(15, int((x - m) * (1/d) + 0.5))    x' = d q + m

Where a block's numbers lie on one side of zero, or lopsided, all 16 codes are used, which Q4_0
cannot. It pays 16 bits a block for it. Halves of a byte as in Q4_0: j low, j + 16 high.
Source: ggml-quants.c, and the gguf package, whose bytes these are.
"""

from dataclasses import dataclass

import torch

from .blocks import Blocks, from_half_bytes, half_bytes, in_blocks, reciprocal
from .q4_0 import pack_halves, unpack_halves

BLOCK, BYTES = 32, 20


@dataclass(frozen=True, eq=False, kw_only=True)
class Q4_1(Blocks):
    """data: uint8 (..., W / 32 * 20), a row's blocks one after another."""

    data: torch.Tensor

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        blocks = self.data[rows].unflatten(-1, (-1, BYTES))  # (..., n, 20)
        d, m = from_half_bytes(blocks[..., :2]), from_half_bytes(blocks[..., 2:4])  # (..., n, 1)
        return (d * unpack_halves(blocks[..., 4:]).float() + m).flatten(-2)


def quantize_q4_1(x: torch.Tensor) -> Q4_1:
    """x (..., W) -> blocks. ValueError for rows that 32 does not divide, for nan and infinity, and
    for a scale or an offset past float16."""
    blocks = in_blocks(x, BLOCK)  # (..., n, 32)
    low, high = blocks.aminmax(dim=-1, keepdim=True)  # (..., n, 1)
    d = (high - low) / 15
    codes = ((blocks - low) * reciprocal(d) + 0.5).to(torch.uint8).clamp(max=15)
    data = (half_bytes(d), half_bytes(low, "smallest number"), pack_halves(codes))
    return Q4_1(shape=tuple(x.shape), data=torch.cat(data, dim=-1).flatten(-2))
