"""One call of an answer on a probe: what it gave, what it changed, what it did on the way.

The answer works on a copy of the probe, within a time, and what it does to the whole process
(torch's default dtype, the working folder) is undone and named.
"""

import contextlib
import copy
import functools
import io
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from llamalab.course.engine.deadline import Stopwatch, TimeUp, TooMuchMemory, run_limited
from llamalab.course.engine.difference import difference
from llamalab.course.engine.gradients import (
    Gradients,
    gradients_alike,
    in_16_bits,
    leaves,
    pull_back,
    redrawn,
)
from llamalab.course.engine.task import Task
from llamalab.course.engine.watch import Seen, watching


@dataclass(frozen=True)
class Outcome:
    """What one call of an answer led to: a value, or an exception; which arguments it changed on
    the way; the gradients, where they were asked for."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[int, ...] = ()
    settings: str = ""  # a setting of the whole process that it left changed
    seen: Seen = Seen()
    gradients: Gradients | None = None

    @property
    def stopped(self) -> bool:
        return isinstance(self.error, (TimeUp, TooMuchMemory))

    def alike(self, other: "Outcome", **tolerance: Any) -> bool:
        """Whether the two are the same in all that is judged (see `difference` for options)."""
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        if (self.changed, self.settings) != (other.changed, other.settings):
            return False
        if difference(self.value, other.value, **tolerance) is not None:
            return False
        if self.gradients is None or other.gradients is None:
            return True
        return gradients_alike(self.gradients, other.gradients)


def outcomes(task: Task, function: Callable, *, gradients: bool = False) -> list[Outcome]:
    """The outcomes on all probes, up to the first that had to be stopped."""
    return list(each_outcome(task, function, gradients=gradients))


def each_outcome(task: Task, function: Callable, *, gradients: bool = False) -> Iterator[Outcome]:
    """The same one by one: the next probe is run when its outcome is asked for."""
    watch = Stopwatch()
    for number, probe in enumerate(probes_of(task, gradients=gradients)):
        left = max(0.1, _patience(task, function) - watch.seconds)
        found = _on(task, function, probe, number, left, gradients)
        yield found
        if found.stopped:
            break


def outcome_on(task: Task, function: Callable, number: int, *, gradients: bool = False) -> Outcome:
    """The outcome on one probe."""
    probe = probes_of(task, gradients=gradients)[number]
    return _on(task, function, probe, number, _patience(task, function), gradients)


def _patience(task: Task, function: Callable) -> float:
    """Seconds. The reference does end, and the first use of a part of torch waits for its
    import."""
    return 3600.0 if function is task.reference else task.seconds


@functools.cache
def known_outcome(task: Task, known: Callable, number: int, *, gradients: bool = False) -> Outcome:
    """The outcome of the reference or of a known wrong answer, the same every time: run once."""
    found = outcome_on(task, known, number, gradients=gradients)
    if found.error is not None:
        found.error.__traceback__ = None  # it would keep every frame's variables alive
    return found


def known_outcomes(task: Task, known: Callable, *, gradients: bool = False) -> Iterator[Outcome]:
    """Those on all probes, up to the first that had to be stopped."""
    for number in range(len(probes_of(task, gradients=gradients))):
        found = known_outcome(task, known, number, gradients=gradients)
        yield found
        if found.stopped:
            break


def _on(
    task: Task, function: Callable, probe: tuple, number: int, seconds: float, gradients: bool
) -> Outcome:
    if gradients:
        found = _call_with_gradients(function, probe, number, task.arguments, seconds)
        if number >= len(probes_of(task)):  # redrawn: the values may round either way
            found = replace(found, value=None)
        return found
    watched = task.no_autograd or task.largest_tensor is not None
    return _call(function, probe, seconds, watched)


def probes_of(task: Task, *, gradients: bool = False) -> list[tuple]:
    """The probes; for the way back those in 16 bits once more, with random numbers: the numbers
    of the exercise are often such that nothing rounds, and then little flows back either."""
    return _made(task.probes, gradients)


@functools.lru_cache(maxsize=256)
def _made(probes: Callable, gradients: bool) -> list[tuple]:
    """Made once: every call works on a copy of its own."""
    made = list(probes())
    return [*made, *(redrawn(p) for p in made if in_16_bits(p))] if gradients else made


def _call(function: Callable, probe: tuple, seconds: float, watched: bool) -> Outcome:
    given = copy.deepcopy(probe)
    with watching(watched) as seen:
        value, error, settings = _isolated(function, given, seconds)
    if error is not None:
        return Outcome(error=error, settings=settings, seen=seen())
    changed = tuple(i for i, (now, was) in enumerate(zip(given, probe)) if not _unchanged(now, was))
    return Outcome(value, None, changed, settings, seen())


def _call_with_gradients(
    function: Callable, probe: tuple, number: int, names: list[str], seconds: float
) -> Outcome:
    """The same call on arguments that all want their gradient, and the way back."""
    given, wanted = leaves(probe, names)

    def there_and_back():
        value = function(*given)
        return value, pull_back(value, wanted, seed=number)

    with torch.enable_grad():
        both, error, settings = _isolated(there_and_back, (), seconds)
    if error is not None:
        return Outcome(error=error, settings=settings)
    value, gradients = both
    return Outcome(value, None, (), settings, gradients=gradients)


def _isolated(
    function: Callable, given: tuple, seconds: float
) -> tuple[Any, BaseException | None, str]:
    """(value, error, settings that were left changed) of function(*given)."""
    before = _settings()
    random_states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    value, caught, changed = None, None, ""
    try:
        value = run_limited(function, *given, seconds=seconds)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        caught = error
    finally:
        changed = _put_back(before)
        torch.set_rng_state(random_states[0])
        random.setstate(random_states[1])
        np.random.set_state(random_states[2])
    return value, caught, changed


def _settings() -> dict[str, Any]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "whether torch records gradients": torch.is_grad_enabled(),
        "the working folder": os.getcwd(),
        "Python's recursion limit": sys.getrecursionlimit(),
        "torch's seed": torch.initial_seed(),  # drawing leaves it, manual_seed does not
    }


def _put_back(before: dict[str, Any]) -> str:
    """Undo what a function did to the whole process, and name it."""
    changed = [name for name, now in _settings().items() if now != before[name]]
    if changed:
        dtype, grad, folder, limit, _ = before.values()  # the seed goes with the random state
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        os.chdir(folder)
        sys.setrecursionlimit(limit)
    return " and ".join(changed)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """For runs that are not the learner's own: what they print has been printed once already."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unchanged(now: Any, before: Any) -> bool:
    """A module says itself, by ==, what of it counts; other callables have nothing to change."""
    if isinstance(before, torch.nn.Module):
        return bool(now == before)
    return callable(before) or difference(now, before, rtol=0.0, atol=0.0) is None
