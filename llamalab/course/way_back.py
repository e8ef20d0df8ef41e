"""The way back through a model: the gradient that each of its parts hands to what it was given.

The logits get a fixed random gradient. Every call of a part gets its arguments as views of its own
("doors"), so the gradient of a view is what this call alone hands back. Walking from the logits
back, the first part whose gradients differ is the culprit: up to there both models agreed.
"""

import inspect
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch

from llamalab import layers
from llamalab.course.engine.gradients import Gradients, gradient_difference
from llamalab.course.part_calls import call_names, wrapped_parts
from llamalab.model import Llama


@dataclass(frozen=True)
class Returned:
    """One call of a part: its name, and the gradient of each argument; or, in words, what went
    wrong there."""

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
    """The first call whose gradients differ. Arguments that need no gradient in their model (frozen
    weights) are left out."""
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


def _doors(model: Llama, calls: list) -> AbstractContextManager[None]:
    """Every part of the model gets its arguments through views, noted in `calls`."""

    def through_doors(path: str, part: str, function):
        arguments_of_part = list(inspect.signature(getattr(layers, part)).parameters)
        names = call_names(path, part)

        def call(*arguments):
            given = dict(zip(arguments_of_part, arguments, strict=False))
            doors = {
                place: value.view_as(value)
                for place, value in given.items()
                if isinstance(value, torch.Tensor) and value.requires_grad
            }
            calls.append((next(names), doors))
            return function(*(given | doors).values())

        return call

    return wrapped_parts(model, through_doors)


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
