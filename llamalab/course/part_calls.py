"""A model whose four parts are wrapped for a while, so that every call of them can be seen.

`trace` notes what each call gives, `way_back` what comes back to each of its arguments.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import cycle, repeat

from llamalab.model import Llama, Parts

PARTS = tuple(field.name for field in fields(Parts))


@contextmanager
def wrapped_parts(model: Llama, wrap: Callable[[str, str, Callable], Callable]) -> Iterator[None]:
    """Inside, each part of each module is wrap(its path, the part's name, the function); afterwards
    the model is as it was."""
    originals = []
    for path, module in model.named_modules():
        for part in PARTS:
            if part in vars(module):
                original = vars(module)[part]
                originals.append((module, part, original))
                setattr(module, part, wrap(f"{path}.{part}" if path else part, part, original))
    try:
        yield
    finally:
        for module, part, original in originals:
            setattr(module, part, original)


def call_names(path: str, part: str) -> Iterator[str]:
    """The name of each call of a part, in order: in a layer apply_rope turns q first, then k."""
    return cycle((f"{path} (q)", f"{path} (k)")) if part == "apply_rope" else repeat(path)
