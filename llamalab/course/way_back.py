"""The way back through a model: the gradient that each of its parts hands to what it was given.

The logits are pulled by fixed amounts. Every call of a part gets its arguments through a door of
its own (a view), so what comes back through that door is this call's doing alone. Walking from the
logits back, the first part through which another gradient returns is the culprit: up to there both
models agreed.
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from llamalab import layers
from llamalab.course.engine.gradients import Gradients, gradient_difference
from llamalab.model import Llama

PARTS = ("rms_norm", "apply_rope", "attention", "swiglu")


@dataclass(frozen=True)
class Returned:
    """Through one call of a part: its name, and what came back to each argument; or, in words,
    what went wrong there."""

    step: str
    gradients: Gradients | None = None
    says: str = ""


def way_back(model: Llama, tokens: torch.Tensor, loudness: float = 1.0) -> list[Returned]:
    """The calls of the parts, last first, each with the gradients of its arguments. loudness: a
    factor on the gates' weights, w1, for this run."""
    calls: list[tuple[str, dict[str, torch.Tensor]]] = []
    try:
        with torch.enable_grad(), _louder(model, loudness), _doors(model, calls):
            logits = model(tokens)
            pull = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
            doors = [door for _, given in calls for door in given.values()]
            pull = pull.to(logits)
            got = torch.autograd.grad(logits, doors, pull, allow_unused=True)
    except Exception as error:
        where = calls[-1][0] if calls else "the model around its parts"
        return [Returned(where, None, f"{type(error).__name__}: {' '.join(str(error).split())}")]
    back = dict(zip(map(id, doors), got, strict=True))
    return [
        Returned(name, Gradients({place: back[id(door)] for place, door in given.items()}))
        for name, given in reversed(calls)
    ]


def first_wrong_return(theirs: list[Returned], ours: list[Returned]) -> Returned | None:
    """The first call through which another gradient returns. Arguments that want no gradient in
    their model (frozen weights) are not asked."""
    if theirs and theirs[0].gradients is None:
        return Returned(theirs[0].step, None, f"the way back stops with {theirs[0].says}")
    for mine, right in zip(theirs, ours, strict=False):
        if mine.gradients is None or right.gradients is None:
            break
        asked = {p: g for p, g in right.gradients.of.items() if p in mine.gradients.of}
        found = gradient_difference(mine.gradients, Gradients(asked))
        if found is not None:
            return Returned(right.step, mine.gradients, found.says + ".")
    return None


@contextmanager
def _doors(model: Llama, calls: list) -> Iterator[None]:
    """Every part of the model gets its arguments through views, noted in `calls`."""
    originals = []
    for path, module in model.named_modules():
        for part in PARTS:
            if part in vars(module):
                originals.append((module, part, vars(module)[part]))
                name = f"{path}.{part}" if path else part
                setattr(module, part, _through_doors(name, part, vars(module)[part], calls))
    try:
        yield
    finally:
        for module, part, original in originals:
            setattr(module, part, original)


def _through_doors(name: str, part: str, function, calls: list):
    names = list(inspect.signature(getattr(layers, part)).parameters)
    count = [0]

    def call(*arguments):
        doors: dict[str, torch.Tensor] = {}
        for place, value in zip(names, arguments, strict=False):
            if isinstance(value, torch.Tensor) and value.requires_grad:
                doors[place] = value.view_as(value)
        label = name
        if part == "apply_rope":  # the first call in a layer turns q, the second k
            label += " (q)" if count[0] % 2 == 0 else " (k)"
            count[0] += 1
        calls.append((label, dict(doors)))
        given = zip(names, arguments, strict=False)
        return function(*(doors.get(place, value) for place, value in given))

    return call


@contextmanager
def _louder(model: Llama, factor: float) -> Iterator[None]:
    """The gates' weights times a factor, and afterwards as they were."""
    if factor == 1.0:
        yield
        return
    gates = [w for name, w in model.named_parameters() if name.endswith("feed_forward.w1.weight")]
    kept = [w.detach().clone() for w in gates]
    try:
        with torch.no_grad():
            for weight in gates:
                weight.mul_(factor)
        yield
    finally:
        with torch.no_grad():
            for weight, old in zip(gates, kept, strict=True):
                weight.copy_(old)
