"""What an answer does on the way, where an exercise asks: which tensors it makes, and whether it
leaves its gradient to autograd.

Both are only noted here; nothing is stopped, so that a `try` in the answer has nothing to catch.
Every way into torch's backward pass (backward(), autograd.grad, func.vjp, however they were
imported) ends in one engine: that engine is watched.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch.autograd import Variable
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass(frozen=True)
class Seen:
    """largest: numbers in the largest tensor made, views not counted, and its shape; autograd:
    what did the backward pass for it ("" if it did that itself)."""

    largest: int = 0
    shape: tuple[int, ...] = ()
    autograd: str = ""


@contextlib.contextmanager
def watching(wanted: bool) -> Iterator[Callable[[], Seen]]:
    """Watch what runs inside; the function handed out says afterwards what was seen."""
    if not wanted:
        yield Seen
        return
    mode, engine = _Watch(), Variable._execution_engine
    Variable._execution_engine = _Engine(engine, mode)
    try:
        with mode:
            yield lambda: Seen(mode.largest, mode.shape, mode.autograd)
    finally:
        Variable._execution_engine = engine


class _Engine:
    """Torch's engine, with a note of each use."""

    def __init__(self, engine: Any, mode: "_Watch"):
        self._engine, self._mode = engine, mode

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def run_backward(self, *arguments: Any, **options: Any) -> Any:
        self._mode.autograd = "torch.autograd"
        return self._engine.run_backward(*arguments, **options)


class _Watch(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.largest, self.shape, self.autograd = 0, (), ""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name.endswith("_backward") and not self.autograd:
            self.autograd = f"torch's own {name}"
        given = {t.untyped_storage().data_ptr() for t in _flat((args, kwargs or {}))}
        for tensor in _flat(out):
            if tensor.numel() > self.largest and tensor.untyped_storage().data_ptr() not in given:
                self.largest, self.shape = tensor.numel(), tuple(tensor.shape)
        return out


def _flat(value: Any) -> list[torch.Tensor]:
    found = torch.utils._pytree.tree_leaves(value)
    return [t for t in found if isinstance(t, torch.Tensor)]
