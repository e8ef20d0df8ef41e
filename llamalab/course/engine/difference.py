"""Are two values the same, and if not, where do they differ? In the learner's words.

Knows tensors, arrays, numbers, strings, and lists, tuples, sets and dicts of them. A list may
stand for a tuple and a Counter for a dict; a tensor may not stand for a number. In float16 and
bfloat16 a last-digit flip in one element of a hundred is let pass, because a correct formula in
another order of operations rounds a few elements the other way; a misplaced cast flips a
quarter of them.
"""

import inspect
import math
from collections.abc import Mapping, Set
from dataclasses import dataclass
from numbers import Integral, Number
from typing import Any

import numpy as np
import torch

from llamalab.course.engine import errors

HALF = (torch.float16, torch.bfloat16)
COUNTED = ("first", "second", "third", "fourth")


@dataclass(frozen=True)
class Difference:
    """How a value differs: `kind` for the grader, `says` for the learner, and a few rows
    (where, theirs, expected) when numbers differ."""

    kind: str  # "none", "type", "shape", "dtype", "gradient", "length", "keys", "value"
    says: str
    rows: tuple[tuple[str, str, str], ...] = ()
    place: str = ""  # the argument, for a gradient


def difference(
    got: Any, want: Any, *, rtol: float = 1e-5, atol: float = 1e-6, where: str = "the answer",
    grads: bool = True,
) -> Difference | None:  # fmt: skip
    """None if `got` equals `want` within the tolerance, else what differs first. grads: a tensor
    must want its gradient where `want` does."""
    tolerance: dict[str, Any] = dict(rtol=rtol, atol=atol, grads=grads)
    if inspect.isgenerator(got):
        says = f"{where} is a generator: with `yield` a function hands out one item at a time. "
        return Difference("type", says + "Collect the items in a list")
    if got is None and want is not None:
        return Difference("none", f"{where} is None")
    if isinstance(want, np.ndarray):
        want = torch.from_numpy(want)
        got = torch.from_numpy(got) if isinstance(got, np.ndarray) else got
    if isinstance(want, torch.Tensor):
        return _tensors(got, want, where, **tolerance)
    if isinstance(want, bool) or want is None or isinstance(want, (str, bytes)):
        return _plain(got, want, where)
    if isinstance(want, Number):
        return _numbers(got, want, where, **tolerance)
    if isinstance(want, Mapping):
        return _mappings(got, want, where, **tolerance)
    if isinstance(want, (list, tuple)):
        return _sequences(got, want, where, **tolerance)
    if isinstance(want, Set):
        if not isinstance(got, Set):
            return _wrong_type(got, want, where)
        return _plain(set(got), set(want), where)
    return None if got == want else _plain(got, want, where)


def describe(value: Any, longest: int = 60) -> str:
    """A short, stable description of a value: shapes rather than numbers."""
    if isinstance(value, torch.Tensor):
        shape = tuple(value.shape)
        return f"tensor {shape} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"array {value.shape} {value.dtype}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    try:
        text = repr(value)
    except Exception:
        text = f"a {type(value).__name__}"
    if len(text) <= longest:
        return text
    size = f" of {len(value)}" if hasattr(value, "__len__") else ""
    return f"{type(value).__name__}{size}: {text[: longest - 20]}…"


def _wrong_type(got: Any, want: Any, where: str) -> Difference:
    return Difference("type", f"{where} should be {_a(want)}; yours is {_a(got)}")


def _a(value: Any) -> str:
    return errors.a(type(value).__name__)


def _plain(got: Any, want: Any, where: str) -> Difference | None:
    if type(got) is not type(want):
        return _wrong_type(got, want, where)
    if got == want:
        return None
    return Difference("value", f"{where} differs", ((where, describe(got), describe(want)),))


def _numbers(
    got: Any, want: Any, where: str, rtol: float, atol: float, grads: bool
) -> Difference | None:
    if not isinstance(got, Number) or isinstance(got, bool):
        return _wrong_type(got, want, where)
    if isinstance(want, Integral) and not isinstance(got, Integral):
        return _wrong_type(got, want, where)
    if got == want or (got != got and want != want):
        return None
    exact = isinstance(want, Integral) and isinstance(got, Integral)
    close: Any = math.isclose  # of any two numbers
    if not exact and close(got, want, rel_tol=rtol, abs_tol=atol):
        return None
    return Difference("value", f"{where} differs", ((where, *_apart(got, want)),))


def _sequences(got: Any, want: Any, where: str, **tolerance: Any) -> Difference | None:
    if not isinstance(got, (list, tuple)):
        return _wrong_type(got, want, where)
    for i, (a, b) in enumerate(zip(got, want)):
        found = difference(a, b, where=_place(where, i, want), **tolerance)
        if found and found.kind == "value" and len(got) != len(want):
            return _other_length(got, want, where, i)  # which says more than the unequal item
        if found:
            return found
    if len(got) != len(want):
        return _other_length(got, want, where, min(len(got), len(want)))
    return None


def _other_length(got: list | tuple, want: list | tuple, where: str, first: int) -> Difference:
    """Two lists, from a little before the place `first`, at which they part."""
    says = f"{where} has {len(got)} items, not {len(want)}"
    start = first - 2 if first > 5 else 0
    if start:
        says += f"; they part at [{first}]"
    place = f"from [{start}] on" if start else where
    return Difference("length", says, ((place, _stretch(got, start), _stretch(want, start)),))


def _stretch(items: list | tuple, start: int) -> str:
    """Eight items of a list, and whether there are more."""
    shown = [describe(item, longest=24) for item in items[start : start + 8]]
    return f"[{', '.join([*shown, '…'] if len(items) > start + 8 else shown)}]"


def _place(where: str, i: int, whole: list | tuple) -> str:
    """What stands at [i]: a function's several results are counted in words, a list's by index."""
    if where != "the answer":
        return f"{where}[{i}]" if where.endswith("]") else f"{where} at [{i}]"
    if isinstance(whole, tuple) and len(whole) <= len(COUNTED):
        return f"the {COUNTED[i]} result"
    return f"the item at [{i}]"


def _mappings(got: Any, want: Mapping, where: str, **tolerance: Any) -> Difference | None:
    if not isinstance(got, Mapping):
        return _wrong_type(got, want, where)
    missing = [key for key in want if key not in got]
    extra = [key for key in got if key not in want]
    if missing or extra:
        parts = [f"misses {_names(missing)}"] if missing else []
        parts += [f"has {_names(extra)}, which should not be there"] if extra else []
        return Difference("keys", f"{where} {' and '.join(parts)}")
    for key in want:
        found = difference(got[key], want[key], where=f"[{describe(key)}]", **tolerance)
        if found:
            return found
    return None


def _tensors(
    got: Any, want: torch.Tensor, where: str, rtol: float, atol: float, grads: bool
) -> Difference | None:
    if not isinstance(got, torch.Tensor):
        return Difference("type", f"{where} should be a tensor; yours is {_a(got)}")
    if got.layout != want.layout or got.device != want.device:
        return Difference("type", f"{where} is a {got.layout} tensor on {got.device}")
    if got.shape != want.shape:
        shapes = f"{tuple(got.shape)}; it should be {tuple(want.shape)}"
        return Difference("shape", f"{where} has the shape {shapes}")
    if got.dtype != want.dtype:
        return Difference("dtype", f"{where} is {got.dtype}; it should be {want.dtype}")
    if grads and want.requires_grad and not got.requires_grad:
        says = f"{where} has the right shape, but no gradient flows back through it: something "
        says += "like detach(), .data, float() or numpy cut it off, and training would stand still"
        return Difference("gradient", says)
    if want.dtype == torch.float64:  # where a detour through float32 shows
        rtol, atol = min(rtol, 1e-10), min(atol, 1e-12)
    a, b = got.detach().cpu().double(), want.detach().cpu().double()
    wrong, gap = _wrong(a, b, want.dtype, rtol, atol)
    if not wrong.any():
        return None
    says = _how_many(a, b, want.dtype, wrong, gap, where)
    return Difference("value", says, _rows(a, b, want.dtype, wrong, gap))


def _wrong(
    a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype, rtol: float, atol: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """(which numbers are out of tolerance, by how much each differs). Float64 in, whatever the
    dtype was."""
    gap = torch.where((a == b) | (a.isnan() & b.isnan()), 0.0, (a - b).abs())
    gap = gap.nan_to_num(nan=math.inf, posinf=math.inf)
    size = torch.where(b.isfinite(), b.abs(), 0.0)
    if dtype in HALF:
        wrong = gap > 2 * torch.finfo(dtype).eps * size + atol
        if not wrong.any() and (gap > 0).double().mean() > 0.01:
            wrong = gap > 0  # each is a flip of the last digit, but there are too many
        return wrong, gap
    return gap > atol + rtol * size, gap


def _how_many(
    a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype, wrong: torch.Tensor, gap: torch.Tensor,
    where: str,
) -> str:  # fmt: skip
    lost = int((wrong & ~a.isfinite() & b.isfinite()).sum())
    if lost:
        return f"{where} is nan or infinite in {lost} of {gap.numel()} numbers, and should not be"
    off, largest = int(wrong.sum()), gap[wrong].max()
    if dtype == torch.bool:
        return f"{where} differs in {off} of {gap.numel()} truth values{_what_is_right(wrong)}"
    by = f", by {largest:.3g} at the most" if largest < math.inf else ""
    return f"{where} differs in {off} of {gap.numel()} numbers{by}{_what_is_right(wrong)}"


def _what_is_right(wrong: torch.Tensor) -> str:
    """Names the whole rows that are right, or another part, where most is wrong."""
    if wrong.ndim < 2 or 2 * int(wrong.sum()) < wrong.numel():
        return ""
    for axis in range(wrong.ndim):
        others = [d for d in range(wrong.ndim) if d != axis]
        right = (~wrong.any(dim=others)).nonzero().flatten().tolist()
        if not right or len(right) > max(3, wrong.shape[axis] // 2):
            continue
        if wrong.ndim == 2 and axis == 0:
            last = right == [wrong.shape[0] - 1]
            names = "the last row" if last else _and([f"row [{i}]" for i in right])
        else:
            names = _and([f"[{', '.join([':'] * axis + [str(i)])}]" for i in right])
        return f"; all of {names} is right"
    return ""


def _rows(
    a: torch.Tensor, b: torch.Tensor, dtype: torch.dtype, wrong: torch.Tensor, gap: torch.Tensor
) -> tuple:
    """The four largest differences, in the order in which they stand."""
    gap = torch.where(wrong, gap, -1.0)
    worst = gap.flatten().argsort(descending=True, stable=True)[: min(4, int(wrong.sum()))]
    rows = []
    for flat in worst.sort().values.tolist():
        index = tuple(int(i) for i in np.unravel_index(flat, gap.shape))
        place = "[" + ", ".join(map(str, index)) + "]" if index else "value"
        pair: Any = (a.flatten()[flat].item(), b.flatten()[flat].item())
        rows.append((place, *_apart(*(map(bool, pair) if dtype == torch.bool else pair))))
    return tuple(rows)


def _apart(a: Any, b: Any) -> tuple[str, str]:
    """Two numbers with five digits, or as many as it takes to tell them apart."""
    if not isinstance(a, float) and not isinstance(b, float):
        return describe(a), describe(b)
    texts = ((short(a, digits), short(b, digits)) for digits in range(5, 18))
    return next((pair for pair in texts if pair[0] != pair[1]), (repr(a), repr(b)))


def short(x: Any, digits: int = 5) -> str:
    """A number with `digits` significant digits; -0.0 is 0."""
    text = f"{x:.{digits}g}"
    return "0" if text == "-0" else text


def _names(keys: list) -> str:
    shown = _and([describe(key) for key in keys[:3]])
    return shown + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
