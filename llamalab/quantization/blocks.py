"""Blocks: a tensor as whole numbers of few bits, with one scale for each block of them.

    number = scale * q  (+ an offset)          q: a whole number, or the place of one in a table

Each format is a class in the file of its `quantize_…`; here stands what they share: the shape, the
size in bits, and the product with a matrix that stays packed. The product unpacks a strip of rows
at a time, so that never more than STRIP numbers are there in full. Gradients reach x, not the
weight.
"""

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F

STRIP = 2**20  # numbers that a product unpacks at a time: 4 MiB of float32


@dataclass(frozen=True, eq=False, kw_only=True)
class Blocks:
    """What all formats have. `shape` is the unpacked tensor's; the last axis is a row."""

    shape: tuple[int, ...]

    def numbers(self, rows: slice | torch.Tensor = slice(None)) -> torch.Tensor:
        """The float32 numbers of some rows along the first axis, all of them if none are named."""
        raise NotImplementedError

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors that the blocks are made of, by name."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: x for name, x in found.items() if isinstance(x, torch.Tensor)}

    @property
    def nbytes(self) -> int:
        return sum(x.nbytes for x in self.tensors().values())

    @property
    def bits_per_weight(self) -> float:
        return 8 * self.nbytes / torch.Size(self.shape).numel()

    def product(self, x: torch.Tensor) -> torch.Tensor:
        """x (..., in) times the matrix (out, in) -> (..., out), as F.linear."""
        rows, width = self.shape
        step = max(1, STRIP // width)
        strips = [
            F.linear(x, self.numbers(slice(start, start + step)).to(x.dtype))
            for start in range(0, rows, step)
        ]
        return strips[0] if len(strips) == 1 else torch.cat(strips, dim=-1)


def dequantize(blocks: Blocks) -> torch.Tensor:
    """The float32 numbers that the blocks stand for, in the tensor's shape."""
    return blocks.numbers()


def checked(x: torch.Tensor) -> torch.Tensor:
    """x as float32. ValueError for what cannot be rounded: other dtypes, empty tensors, nan,
    infinity."""
    if not x.is_floating_point() or x.ndim == 0 or x.numel() == 0:
        raise ValueError(f"only floats are quantized; this is {x.dtype} {tuple(x.shape)}")
    x = x.detach().float()
    low, high = (float(end) for end in x.aminmax())
    if not (float("-inf") < low and high < float("inf")):  # nan fails every comparison
        raise ValueError(f"nan and infinity cannot be quantized; numbers run from {low} to {high}")
    return x


def in_blocks(x: torch.Tensor, size: int) -> torch.Tensor:
    """x (..., W) -> (..., W / size, size), checked. ValueError if `size` does not
    divide a row."""
    x = checked(x)
    if x.shape[-1] % size:
        raise ValueError(f"blocks of {size} must divide a row, and a row has {x.shape[-1]} numbers")
    return x.unflatten(-1, (-1, size))


def round_half_away(x: torch.Tensor) -> torch.Tensor:
    """As C's roundf: 0.5 -> 1, -0.5 -> -1, 2.5 -> 3. torch.round takes halves to the even, to 2.

    Adding a half first would round it too: the largest float below 0.5 would become 1.
    """
    whole = x.abs().floor()
    return x.sign() * (whole + (x.abs() - whole >= 0.5))


def reciprocal(scale: torch.Tensor) -> torch.Tensor:
    """1 / scale, and 0 where the scale is 0 or so small that 1 / scale overflows."""
    inverse = 1 / scale
    return torch.where(inverse.isfinite(), inverse, 0.0)


def half_bytes(x: torch.Tensor, what: str = "scale") -> torch.Tensor:
    """float32 (..., 1) -> the two bytes of each as float16 (..., 2). ValueError past 65,504, the
    largest number that float16 has."""
    half = x.half()
    if not half.isfinite().all():
        raise ValueError(f"a {what} of {float(x.abs().max()):g} is past float16's 65504")
    return half.contiguous().view(torch.uint8)


def from_half_bytes(data: torch.Tensor) -> torch.Tensor:
    """Two bytes each (..., 2) -> float32 (..., 1)."""
    return data.contiguous().view(torch.float16).float()
