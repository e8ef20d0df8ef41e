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
from torch.overrides import TorchFunctionMode


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
    variable: Any = Variable
    mode, engine = _Watch(), variable._execution_engine
    variable._execution_engine = _Engine(engine, mode)
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


class _Watch(TorchFunctionMode):
    """Sees every call of a torch function that the answer makes, and what it gives."""

    def __init__(self) -> None:
        super().__init__()
        self.largest: int = 0
        self.shape: tuple[int, ...] = ()
        self.autograd: str = ""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name.split(".")[0].endswith("_backward") and not self.autograd:
            self.autograd = f"torch's own {name}"
        found = list(_flat(out))
        if not found:
            return out
        given = {_home(t) for t in _flat((args, kwargs or {}))}
        for tensor in found:
            if tensor.numel() > self.largest and _home(tensor) not in given:
                self.largest, self.shape = tensor.numel(), tuple(tensor.shape)
        return out


def _home(tensor: torch.Tensor) -> int:
    """Where its numbers lie; a tensor inside torch.func has no such place, and gets its own."""
    try:
        return tensor.untyped_storage().data_ptr()
    except (NotImplementedError, RuntimeError):
        return id(tensor)


def _flat(value: Any) -> Iterator[torch.Tensor]:
    """The plain tensors in a value, in lists, tuples and dicts too."""
    if isinstance(value, torch.Tensor):
        if value.layout is torch.strided:
            yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flat(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _flat(item)
