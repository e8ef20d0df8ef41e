"""Which known wrong answer is this? Found by running them all on the same probes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from llamalab.course.engine.calls import Outcome, one_by_one, silence
from llamalab.course.engine.difference import HALF
from llamalab.course.engine.task import Task


@dataclass(frozen=True)
class Recognised:
    """The sentence for the learner; the misconception's name, or the diagnosis's."""

    name: str
    says: str


def recognise(task: Task, got: list[Outcome], *, gradients: bool = False) -> Recognised | None:
    """The misconception with the same outcome on every probe. Two ways of making one mistake may
    round 16-bit numbers differently: what is alike to the last digit is looked for first."""
    if all(outcome.error is not None for outcome in got):
        return None  # that two answers both crash does not make them the same
    for roughly in (False, True) if any(map(_in_half, got)) else (False,):
        for misconception in task.misconceptions:
            with silence():
                if _gives(task, misconception.wrong, got, gradients, roughly):
                    return Recognised(misconception.name, misconception.says)
    return None


def _gives(task: Task, wrong: Callable, got: list[Outcome], gradients: bool, roughly: bool) -> bool:
    """Whether a wrong answer leads to these outcomes. Most part at the first probe, and on the
    others it is not run."""
    count, probes = 0, task.probes() if task.largest_tensor else ()
    for mine, theirs in zip(got, one_by_one(task, wrong, gradients=gradients), strict=False):
        if task.largest_tensor and _sizes(mine) != _sizes(theirs):
            if max(mine.seen.largest, theirs.seen.largest) > task.largest_tensor(*probes[count]):
                return False
        if roughly and _in_half(mine):
            mine = replace(mine, value=_rounded_like(mine.value, theirs.value))
        if not mine.alike(theirs, **task.tolerance):
            return False
        count += 1
    return count == len(got)


def _sizes(outcome: Outcome) -> list[int]:
    """The axes of the largest tensor that was made, those of size 1 left out."""
    return [size for size in outcome.seen.shape if size != 1]


def _in_half(outcome: Outcome) -> bool:
    return isinstance(outcome.value, torch.Tensor) and outcome.value.dtype in HALF


def _rounded_like(mine: torch.Tensor, theirs: Any) -> Any:
    """`theirs` where a few roundings in 16 bits explain the difference, else `mine`."""
    same_kind = isinstance(theirs, torch.Tensor) and theirs.dtype == mine.dtype
    if not same_kind or theirs.shape != mine.shape or not mine.numel():
        return mine
    gap = (mine.double() - theirs.double()).abs()
    allowed = 8 * torch.finfo(mine.dtype).eps * theirs.double().abs().max()
    return theirs if bool((gap <= allowed).all()) else mine
