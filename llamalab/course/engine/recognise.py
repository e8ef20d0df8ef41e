"""Which known wrong answer is this? Found by running them all on the same probes.

The strictest claim comes first: the same outcome on every probe. Then: the same wherever the
answer is wrong, though it is right in places where that mistake would not be. Then: the same on
the first probe that failed, with something else wrong besides, which is said. A wrong name is
worse than none, so the looser claims need several fractional numbers that agree, and one single
misconception that fits best. Last, what can be said of any wrong value (diagnose.py).
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llamalab.course.engine.calls import Outcome, known_outcome, known_outcomes, probes_of, silence
from llamalab.course.engine.diagnose import diagnose
from llamalab.course.engine.difference import difference
from llamalab.course.engine.errors import one_line
from llamalab.course.engine.task import Misconception, Task

BESIDES = " (It explains a part of what differs, not all of it: mend it, and check again.)"
COARSE = {
    torch.float16: torch.float16, torch.bfloat16: torch.bfloat16, torch.float64: torch.float32
}  # fmt: skip
CODES = (torch.int8, torch.uint8)
STOPS = " (And with other arguments it stops: {})"
ALSO_DTYPE = " (And besides, the dtype that comes out is another.)"


@dataclass(frozen=True)
class Recognised:
    """The sentence for the learner; the misconception's name, or the diagnosis's."""

    name: str
    says: str


@dataclass(frozen=True)
class Fit:
    """How a misconception fits: the failing probes that it explains; how many it does not, and of
    these, how many are further off than rounding leaves them; and on how many the answer is right
    and the misconception wrong."""

    misconception: Misconception
    explained: tuple[int, ...]
    fails: int
    far: int
    contradicts: int


def recognise(
    task: Task, got: list[Outcome], want: list[Outcome], *, gradients: bool = False
) -> Recognised | None:
    """The best claim that can be made, or None."""
    failing = [
        i for i, (a, b) in enumerate(zip(got, want, strict=False))
        if not a.alike(b, grads=not task.gradients, **task.tolerance)
    ]  # fmt: skip
    exact = _exact(task, got, gradients)
    if exact is not None:
        return Recognised(exact.name, exact.says)
    if not failing or any(outcome.stopped for outcome in got):
        return None
    found = _closest(task, got, want, failing, gradients)
    if found is not None:
        return found
    cast = [_in_dtype_of(a, b) for a, b in zip(got, want, strict=False)]
    if any(a is not b for a, b in zip(cast, got, strict=True)):
        same = [c.alike(w, **task.tolerance) for c, w in zip(cast, want, strict=False)]
        exact = None if all(same) else _exact(task, cast, gradients)
        if exact is not None:
            return Recognised(exact.name, exact.says + ALSO_DTYPE)
    return _diagnosed(task, got, want, failing) if not gradients else None


def _exact(task: Task, got: list[Outcome], gradients: bool) -> Misconception | None:
    """The misconception with the same outcome on every probe. That two answers both crash does
    not make them the same, unless they crash with the same words everywhere."""
    crashed = all(outcome.error is not None for outcome in got)
    for misconception in task.misconceptions:
        count = 0
        with silence():
            theirs = known_outcomes(task, misconception.wrong, gradients=gradients)
            for mine, other in zip(got, theirs, strict=False):
                if crashed and not _same_words(mine, other):
                    break
                if not mine.alike(other, **task.tolerance):
                    break
                count += 1
        if count == len(got):
            return misconception
    return None


def _closest(
    task: Task, got: list[Outcome], want: list[Outcome], failing: list[int], gradients: bool
) -> Recognised | None:
    """The one misconception that explains the most, from the first failing probe on."""
    first = failing[0]
    fits = []
    for misconception in task.misconceptions:
        with silence():
            other = known_outcome(task, misconception.wrong, first, gradients=gradients)
        if got[first].alike(other, **task.tolerance):
            fit = _fit(task, misconception, got, failing, gradients)
            if _telling(got, want, fit.explained):
                fits.append(fit)
    whole = [fit for fit in fits if fit.fails == 0]
    best = _single(whole, key=lambda fit: fit.contradicts)
    if best is not None:
        return Recognised(best.name, best.says)
    if whole:
        return None  # several explain it equally well
    best = _single(fits, key=lambda fit: (-len(fit.explained), fit.contradicts))
    if best is None:
        return None
    fit = next(fit for fit in fits if fit.misconception is best)
    if fit.far == 0:
        return Recognised(best.name, best.says)
    stops = next((got[i].error for i in failing if i not in fit.explained and got[i].error), None)
    besides = STOPS.format(one_line(stops)) if stops else BESIDES
    return Recognised(best.name, best.says + besides)


def _fit(
    task: Task,
    misconception: Misconception,
    got: list[Outcome],
    failing: list[int],
    gradients: bool,
) -> Fit:
    explained, fails, far, contradicts = [], 0, 0, 0
    with silence():
        theirs = list(known_outcomes(task, misconception.wrong, gradients=gradients))
    for i, mine in enumerate(got):
        same = i < len(theirs) and mine.alike(theirs[i], **task.tolerance)
        if i in failing and same:
            explained.append(i)
        fails += i in failing and not same
        far += i in failing and not same and not (i < len(theirs) and _rounded(mine, theirs[i]))
        contradicts += i not in failing and not same
    return Fit(misconception, tuple(explained), fails, far, contradicts)


def _rounded(one: Outcome, other: Outcome) -> bool:
    """Whether two values are as near as another order of the same steps may leave them, one step of
    the largest number: in 16 bits, or in float64 after a way through float32."""
    a, b = one.value, other.value
    if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)) or a.shape != b.shape:
        return False
    if a.dtype != b.dtype or a.dtype not in COARSE or not a.numel():
        return False
    step = torch.finfo(COARSE[a.dtype]).eps
    a, b = a.detach().double(), b.detach().double()
    return bool(((a - b).abs() <= step * float(a.abs().max())).all())  # nan is never near


def _single(fits: Sequence[Fit], key) -> Misconception | None:
    """The first by the key, if no other with another sentence is as good."""
    ranked = sorted(fits, key=key)
    tied = [fit.misconception for fit in ranked if key(fit) == key(ranked[0])]
    return tied[0] if len({m.says for m in tied}) == 1 else None


def _telling(got: list[Outcome], want: list[Outcome], agreeing: Sequence[int]) -> bool:
    """Whether the values on these probes hold enough different numbers, taken together, that no
    accident could make them agree: four fractional ones, or eight codes. A loss is a single
    number: it takes several probes."""
    numbers = {n for i in agreeing for n in _unlike(got[i], want[i])}
    return sum(1.0 if n != round(n) else 0.5 for n in numbers) >= 4


def _unlike(got: Outcome, want: Outcome) -> list[float]:
    """The fractional numbers, and those in tensors of 8 bits, that are not the expected ones."""
    if got.error is not None:
        return []
    mine, right = _floats(got.value), _floats(want.value)
    unlike = mine if len(mine) != len(right) else [a for a, b in zip(mine, right) if a != b]
    codes = [a for a, b in zip(_codes(got.value), _codes(want.value)) if a != b]
    return [round(a, 9) for a in unlike if math.isfinite(a) and a != round(a)] + codes


def _codes(value: Any) -> list[float]:
    if isinstance(value, torch.Tensor):
        return value.double().flatten().tolist() if value.dtype in CODES else []
    return [x for item in value for x in _codes(item)] if isinstance(value, (list, tuple)) else []


def _floats(value: Any) -> list[float]:
    if isinstance(value, torch.Tensor):
        plain = value.layout is torch.strided and value.is_floating_point()
        return value.detach().double().flatten().tolist() if plain else []
    if isinstance(value, float):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [x for item in value for x in _floats(item)]
    return []


def _same_words(one: Outcome, other: Outcome) -> bool:
    if type(one.error) is not type(other.error) or one.error is None or other.error is None:
        return False
    return one_line(one.error) == one_line(other.error) != f"{type(one.error).__name__}."


def _in_dtype_of(got: Outcome, want: Outcome) -> Outcome:
    """The outcome with its tensor in the expected dtype; the same object if it is already."""
    a, b = got.value, want.value
    if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)) or a.dtype == b.dtype:
        return got
    return dataclasses.replace(got, value=a.to(b.dtype))


def _diagnosed(
    task: Task, got: list[Outcome], want: list[Outcome], failing: list[int]
) -> Recognised | None:
    if any(got[i].error is not None or want[i].error is not None for i in failing):
        return None
    probes, names = probes_of(task), task.arguments
    pairs = [(got[i].value, want[i].value) for i in failing]
    if all(difference(a, b, grads=False, **task.tolerance) is None for a, b in pairs):
        return None  # not the values are wrong
    inputs = [dict(zip(names, probes[i], strict=False)) for i in failing]
    found = diagnose(pairs, inputs, max(task.rtol, 1e-5))
    return Recognised(found.name, found.says) if found is not None else None
