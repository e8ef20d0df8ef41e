"""Calibration: the inputs that each matrix is multiplied with while the model reads a text.

GPTQ and AWQ need them. A `Listening` weight multiplies as always and keeps its inputs. It stands in
the place of a packed weight, so it works in a learner's own parts too, as long as they multiply
with F.linear or @. The text is the caller's; without one the model writes some for itself.
"""

from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from llamalab.layers import KVCache
from llamalab.model import Block, Llama

from .blocks import Blocks
from .packed import PackedLinear, put

ROWS, LENGTH = 32, 128  # of the text that a model writes for itself


@dataclass(frozen=True, eq=False, kw_only=True)
class Listening(Blocks):
    """A plain matrix (out, in), and the inputs (n, in) that it was multiplied with so far."""

    matrix: torch.Tensor
    heard: list[torch.Tensor] = field(default_factory=list)

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        return self.matrix[rows]

    def product(self, x: torch.Tensor) -> torch.Tensor:
        self.heard.append(x.reshape(-1, x.shape[-1]))  # (n, in)
        return F.linear(x, self.matrix)


def linears(block: Block) -> dict[str, nn.Linear]:
    """The seven matrices of a block, by their path inside it."""
    paths = [f"attention.w{x}" for x in "qkvo"] + [f"feed_forward.w{n}" for n in (1, 2, 3)]
    return {path: cast(nn.Linear, block.get_submodule(path)) for path in paths}


@torch.no_grad()
def listen(block: Block, run) -> dict[str, torch.Tensor]:
    """The inputs (n, in) of each matrix of the block while run() runs it. ValueError for a matrix
    that was not multiplied with."""
    plain = linears(block)
    ears = {}
    for path, module in plain.items():
        weight = module.weight.detach()
        ears[path] = Listening(shape=tuple(weight.shape), matrix=weight)
        put(block, path, PackedLinear(ears[path]))
    try:
        run()
    finally:
        for path, module in plain.items():
            put(block, path, module)
    for path, ear in ears.items():
        if not ear.heard:
            raise ValueError(
                f"nothing was multiplied with {path}: a part of your own has to use F.linear or @ "
                "for its inputs to be seen"
            )
    return {path: torch.cat(ear.heard) for path, ear in ears.items()}


@torch.no_grad()
def own_text(
    model: Llama, rows: int = ROWS, length: int = LENGTH, *, first: int = 1, seed: int = 0
) -> torch.Tensor:
    """Ids (rows, length) that the model samples, each row after the id `first`: a text to calibrate
    on where none is given. Never longer than its context."""
    length = min(length, model.config.max_seq_len)
    device = model.norm.weight.device
    generator = torch.Generator().manual_seed(seed)
    cache = KVCache(model.config, rows, length, dtype=model.norm.weight.dtype, device=device)
    text = torch.full((rows, 1), min(first, model.config.vocab_size - 1), device=device)
    while text.shape[1] < length:
        odds = model(text[:, -1:], cache)[:, -1].float().softmax(-1).cpu()  # (rows, V)
        text = torch.cat((text, odds.multinomial(1, generator=generator).to(device)), 1)
    return text
