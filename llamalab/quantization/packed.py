"""A weight that stays packed and can be used like a tensor: by torch, and by a learner's own part.

F.linear(x, weight), x @ weight.T and the like use the blocks' own product; any other operation (an
einsum, a slice) sees the plain float32 numbers, unpacked for that call. So `Parts` apply
to a quantized model as to any other. The modules keep the blocks as buffers: they move to a device,
count as memory and are saved, but an optimizer does not find them.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from .blocks import Blocks

TIMES = {torch.matmul, torch.mm, torch.Tensor.matmul, torch.Tensor.mm, torch.Tensor.__matmul__}


class PackedWeight:
    """A matrix (out, in) of blocks, or (in, out) if it is transposed (`across`). Any attribute that
    it lacks is looked up on its plain numbers."""

    def __init__(self, blocks: Blocks, across: bool = False):
        self.blocks, self.across = blocks, across
        self.shape = torch.Size(blocks.shape[::-1] if across else blocks.shape)
        self.ndim, self.dtype, self.requires_grad = 2, torch.float32, False

    @property
    def T(self) -> "PackedWeight":
        return PackedWeight(self.blocks, not self.across)

    mT = T

    def t(self) -> "PackedWeight":
        return self.T

    def transpose(self, one: int, other: int) -> "PackedWeight":
        return self if one % 2 == other % 2 else self.T

    def size(self, axis: int | None = None):
        return self.shape if axis is None else self.shape[axis]

    def unpacked(self) -> torch.Tensor:
        """The plain float32 numbers."""
        numbers = self.blocks.numbers()
        return numbers.T if self.across else numbers

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.unpacked(), name)

    def __getitem__(self, place) -> torch.Tensor:
        return self.unpacked()[place]

    def __len__(self) -> int:
        return self.shape[0]

    def __matmul__(self, other):
        return torch.matmul(self.unpacked(), other)

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        x, weight = (*args, *kwargs.values(), None, None)[:2]
        if len(args) + len(kwargs) == 2 and isinstance(x, torch.Tensor) and isinstance(weight, cls):
            if weight.across if function in TIMES else function is F.linear and not weight.across:
                return weight.blocks.product(x)
        return function(*_plain(args), **{name: _plain(x) for name, x in kwargs.items()})


def _unpacked_first(name: str):
    def operator(self, *others):
        return getattr(self.unpacked(), name)(*others)

    return operator


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "pow", "neg"):
    setattr(PackedWeight, f"__{_name}__", _unpacked_first(f"__{_name}__"))


def _plain(x: Any) -> Any:
    if isinstance(x, PackedWeight):
        return x.unpacked()
    return type(x)(_plain(inner) for inner in x) if isinstance(x, tuple | list) else x


class PackedLinear(nn.Module):
    """y = W x with the matrix (out, in) in blocks."""

    def __init__(self, blocks: Blocks):
        super().__init__()
        self.kind, tensors = type(blocks), blocks.tensors()
        self.rest = {name: x for name, x in vars(blocks).items() if name not in tensors}
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    @property
    def blocks(self) -> Blocks:
        kept: dict[str, Any] = {**self.rest, **self._buffers}
        return self.kind(**kept)

    @property
    def weight(self) -> PackedWeight:
        return PackedWeight(self.blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.blocks.product(x)  # (..., out)


class PackedEmbedding(PackedLinear):
    """Rows of a matrix (V, dim) in blocks; only those asked for are unpacked."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens (B, T) -> (B, T, dim). ValueError for ids that are out of range."""
        rows = self.rest["shape"][0]
        if tokens.numel() and not 0 <= int(tokens.min()) <= int(tokens.max()) < rows:
            raise ValueError(
                f"token ids run from {tokens.min()} to {tokens.max()}, but the embedding has rows "
                f"0 to {rows - 1}"
            )
        return self.blocks.numbers(tokens.flatten()).view(*tokens.shape, -1)


class TiedHead(nn.Module):
    """The head that is the embedding, read the other way; it owns nothing."""

    def __init__(self, embedding: PackedEmbedding):
        super().__init__()
        self.held = (embedding,)  # no submodule: it is counted once, as the embedding

    @property
    def weight(self) -> PackedWeight:
        return self.held[0].weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.held[0].blocks.product(x)  # (..., V)


def put(parent: nn.Module, path: str, module: nn.Module) -> None:
    """`module` in the place that the path names."""
    above, _, name = path.rpartition(".")
    setattr(parent.get_submodule(above), name, module)


def put_weight(parent: nn.Module, path: str, weight: torch.Tensor) -> None:
    """A new parameter in the place that the path names."""
    above, _, name = path.rpartition(".")
    setattr(parent.get_submodule(above), name, nn.Parameter(weight))
