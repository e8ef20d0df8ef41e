"""What a matrix takes in each format, from its shape alone: tensors, bytes, and so what fits.

Nothing is allocated. `planned_bytes` is exact: what `weight_bytes` finds once the model is there.
The same table says which tensors a file must hold.
"""

from dataclasses import dataclass
from typing import Any

import torch

from llamalab.accounting.compute import matrix_shapes
from llamalab.config import LlamaConfig

from .blocks import Blocks
from .grid import Grid
from .int8 import THRESHOLD, Int8
from .nf4 import ABSMAXES, NF4
from .q4_0 import Q4_0
from .q4_1 import Q4_1
from .q8_0 import Q8_0

GROUP_SIZE = 64
GGML: dict[str, tuple[type[Blocks], int]] = {
    "q8_0": (Q8_0, 34),
    "q4_0": (Q4_0, 18),
    "q4_1": (Q4_1, 20),
}


@dataclass(frozen=True)
class Layout:
    """The class of a matrix's blocks, its tensors (shape and dtype by name), and its numbers."""

    kind: type[Blocks]
    tensors: dict[str, tuple[tuple[int, ...], torch.dtype]]
    rest: dict[str, Any]

    @property
    def nbytes(self) -> int:
        return sum(torch.Size(s).numel() * dtype.itemsize for s, dtype in self.tensors.values())


def layout(kind: str, bits: int, shape: tuple[int, int], group_size: int = GROUP_SIZE) -> Layout:
    """The layout of a matrix (out, in); `kind` and `bits` as `read_format` gives them. ValueError
    for rows that the blocks or groups do not divide."""
    out, width = shape
    if kind in GGML:
        _check_row(width, 32)
        blocks, size = GGML[kind]
        return Layout(blocks, {"data": ((out, width // 32 * size), torch.uint8)}, {"shape": shape})
    if kind == "nf4":
        n = out * width
        absmaxes = -(-n // 64)
        tensors = {
            "data": (((n + 1) // 2,), torch.uint8),
            "absmax": ((absmaxes,), torch.int8),
            "scales": ((-(-absmaxes // ABSMAXES),), torch.float32),
            "mean": ((), torch.float32),
        }
        return Layout(NF4, tensors, {"shape": shape, "block": 64})
    if kind == "int8":
        tensors = {"codes": (shape, torch.int8), "scales": ((out, 1), torch.float32)}
        return Layout(Int8, tensors, {"shape": shape, "threshold": THRESHOLD})
    _check_row(width, group_size)
    groups = (out, width // group_size)
    tensors = {
        "codes": ((out, -(-width * bits // 8)), torch.uint8),
        "scales": (groups, torch.float16),
        "zeros": (groups, torch.uint8),
    }
    return Layout(Grid, tensors, {"shape": shape, "bits": bits})


def _check_row(width: int, size: int) -> None:
    if size < 1 or width % size:
        raise ValueError(
            f"blocks of {size} must divide a row, and a row has {width} numbers: dim and "
            f"hidden_dim are to be multiples of {size}"
        )


def outer_kind(kind: str) -> str:
    """The format of the embedding and the head: the same for ggml's formats, Q8_0 for all
    others."""
    return kind if kind in GGML else "q8_0"


def planned_bytes(
    config: LlamaConfig, kind: str, bits: int = 0, group_size: int = GROUP_SIZE
) -> int:
    """Bytes of a quantized model's weights, norms in float32. ValueError as in `layout`."""
    shapes = matrix_shapes(config).values()
    inner = sum(layout(kind, bits, shape, group_size).nbytes for shape in shapes)
    ends = layout(outer_kind(kind), 0, (config.vocab_size, config.dim)).nbytes
    norms = 4 * config.dim * (2 * config.n_layers + 1)
    return config.n_layers * inner + ends * (1 if config.tie_embeddings else 2) + norms
