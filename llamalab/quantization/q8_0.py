"""Q8_0: 32 numbers in 34 bytes, 8.5 bits each. ggml's block, byte for byte.

    | d: float16 | q0 q1 … q31: int8 |          d = max|x| / 127          q = roundf(x * (1/d))

1/d is taken in float32, before d is rounded to float16. C's roundf takes halves away from zero;
torch.round, to the even, differs in ties, which random numbers never show.
llama2.c's "Q8_0" is another format: groups of 64, float32 scales, stored after all the codes.
Source: ggml-quants.c, and the gguf package, whose bytes these are.
"""

from dataclasses import dataclass

import torch

from .blocks import Blocks, from_half_bytes, half_bytes, in_blocks, reciprocal, round_half_away

BLOCK, BYTES = 32, 34


@dataclass(frozen=True, eq=False, kw_only=True)
class Q8_0(Blocks):
    """data: uint8 (..., W / 32 * 34), a row's blocks one after another."""

    data: torch.Tensor

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        blocks = self.data[rows].unflatten(-1, (-1, BYTES))  # (..., n, 34)
        codes = blocks[..., 2:].view(torch.int8).float()  # (..., n, 32)
        return (from_half_bytes(blocks[..., :2]) * codes).flatten(-2)


def quantize_q8_0(x: torch.Tensor) -> Q8_0:
    """x (..., W) -> blocks. ValueError for rows that 32 does not divide, for nan and infinity, and
    for a scale past float16."""
    blocks = in_blocks(x, BLOCK)  # (..., n, 32)
    d = blocks.abs().amax(-1, keepdim=True) / 127  # (..., n, 1)
    codes = round_half_away(blocks * reciprocal(d)).to(torch.int8)
    data = torch.cat((half_bytes(d), codes.view(torch.uint8)), dim=-1)  # (..., n, 34)
    return Q8_0(shape=tuple(x.shape), data=data.flatten(-2))
