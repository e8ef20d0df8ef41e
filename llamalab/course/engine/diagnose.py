"""What can be said of a wrong value in any exercise: negated, transposed, off by one, …

Pure functions of pairs (theirs, expected), one pair a probe. A diagnosis is made only if it holds
exactly, within the tolerance, on every pair, and if there are enough different numbers for that to
be no accident. Where nothing holds nothing is said.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from llamalab.course.engine.diagnosis import Diagnosis, Pair, of_lists, of_numbers

ENOUGH = 4  # different numbers at least, or many things are true by accident


def diagnose(
    pairs: Sequence[Pair], inputs: Sequence[dict[str, Any]] = (), rtol: float = 1e-5
) -> Diagnosis | None:
    """The first diagnosis that holds for all pairs (theirs, expected). inputs: for each pair what
    was given, by name."""
    if not pairs:
        return None
    if all(isinstance(v, torch.Tensor) for pair in pairs for v in pair):
        return _of_tensors(pairs, inputs, rtol)
    if all(isinstance(v, (list, tuple)) for pair in pairs for v in pair):
        return of_lists(pairs)
    if all(isinstance(v, (int, float)) and not isinstance(v, bool) for p in pairs for v in p):
        return of_numbers(pairs, rtol)
    return None


# -- tensors -----------------------------------------------------------------------------------


def _of_tensors(
    pairs: Sequence[Pair], inputs: Sequence[dict[str, Any]], rtol: float
) -> Diagnosis | None:
    if any(v.layout is not torch.strided or v.is_complex() for pair in pairs for v in pair):
        return None
    if not any(_telling(want) for _, want in pairs):
        return None
    if all(got.dtype == want.dtype and _close(got, want, 1e-5) for got, want in pairs):
        return _few_digits(pairs)
    given = _same_input(pairs, inputs, rtol)
    if given:
        return Diagnosis("unchanged", f"Your answer is `{given}`, just as it was given.")
    for name, says, holds in _TENSORS:
        if all(holds(got, want, rtol) for got, want in pairs):
            return Diagnosis(name, says)
    return _shifted(pairs, rtol) or _scaled(pairs, rtol)


def _few_digits(pairs: Sequence[Pair]) -> Diagnosis | None:
    """Values that are right, were it not for their last digits: in float64 there is one reason."""
    if any(want.dtype != torch.float64 for _, want in pairs):
        return None
    says = "What you were given in float64 is right to the digits that float32 has, and no "
    says += "further: some step of yours works in float32. Take the dtype of what comes in."
    return Diagnosis("digits", says)


def _telling(want: torch.Tensor) -> bool:
    return want.unique().numel() >= ENOUGH


def _close(a: torch.Tensor, b: torch.Tensor, rtol: float) -> bool:
    """Equal in value; the dtype does not matter, but 16 bits have few digits."""
    if a.shape != b.shape:
        return False
    coarse = min(a.dtype.itemsize, b.dtype.itemsize) == 2 and a.is_floating_point()
    rtol = 2e-2 if coarse else rtol
    a, b = a.detach().double(), b.detach().double()
    size = b[b.isfinite()].abs().max().item() if b.isfinite().any() else 0.0
    return bool(torch.allclose(a, b, rtol=rtol, atol=rtol * 1e-2 * size, equal_nan=True))


def _negated(got, want, rtol):
    return _close(-got.double(), want.double(), rtol)


def _transposed(got, want, rtol):
    return want.ndim >= 2 and _close(got, want.transpose(-1, -2), rtol)


def _axes_swapped(got, want, rtol):
    return want.ndim >= 3 and _close(got, want.transpose(1, 2), rtol)


def _lost_axis(got, want, rtol):
    ones = [n for n in want.shape if n != 1]
    return got.ndim < want.ndim and ones == [n for n in got.shape if n != 1] and (
        _close(got.reshape(want.shape), want, rtol)
    )  # fmt: skip


def _extra_axis(got, want, rtol):
    return _lost_axis(want, got, rtol)


def _other_shape(got, want, rtol):
    return got.shape != want.shape and got.numel() == want.numel() and (
        _close(got.reshape(want.shape), want, rtol)
    )  # fmt: skip


def _only_dtype(got, want, rtol):
    return got.dtype != want.dtype and _close(got, want, rtol)


def _zeros(got, want, rtol):
    return got.shape == want.shape and not bool(got.any())


def _reversed(got, want, rtol):
    return want.ndim >= 1 and want.shape[0] > 1 and _close(got, want.flip(0), rtol)


def _reversed_last(got, want, rtol):
    return want.ndim >= 2 and want.shape[-1] > 1 and _close(got, want.flip(-1), rtol)


def _permuted_rows(got, want, rtol):
    if got.shape != want.shape or want.ndim < 1 or want.shape[0] < 2:
        return False
    a, b = (t.detach().double().reshape(t.shape[0], -1) for t in (got, want))
    orders = [torch.argsort(t[:, 0], stable=True) for t in (a, b)]
    return b[:, 0].unique().numel() == len(b) and _close(a[orders[0]], b[orders[1]], rtol)


def _not_normalised(got, want, rtol):
    """Each row of the expected one sums to 1, and theirs would, divided by its sum."""
    if got.shape != want.shape or want.ndim < 1 or want.shape[-1] < 2 or (got < 0).any():
        return False
    total = got.double().sum(-1, keepdim=True)
    ones = torch.ones_like(total)
    return _close(want.double().sum(-1, keepdim=True), ones, 1e-4) and (
        _close(got.double() / total, want.double(), max(rtol, 1e-5))
        and not _close(total, ones, 1e-3)
    )


def _exponential(got, want, rtol):
    return _close(got.double(), want.double().exp(), max(rtol, 1e-5))


def _logarithm(got, want, rtol):
    return _close(got.double(), want.double().log(), max(rtol, 1e-5))


_TENSORS: tuple[tuple[str, str, Callable], ...] = (
    ("lost axis", "The numbers are right, but an axis of size 1 has been lost.", _lost_axis),
    ("extra axis", "The numbers are right, but there is an axis of size 1 too many.", _extra_axis),
    ("dtype", "The numbers are right, and only their dtype is another.", _only_dtype),
    ("zeros", "All of your numbers are 0.", _zeros),
    ("negated", "Your answer is the expected one with its sign turned round.", _negated),
    (
        "transposed",
        "Your answer is the expected one transposed: its last two axes are exchanged.",
        _transposed,
    ),
    ("axes swapped", "Your answer is the expected one with axes 1 and 2 exchanged.", _axes_swapped),
    ("other shape", "The numbers are right and in order, but in another shape.", _other_shape),
    ("reversed", "Your rows are right and stand in reverse order.", _reversed),
    ("reversed last", "Your numbers are right, but reversed along the last axis.", _reversed_last),
    (
        "not normalised",
        "Your rows are in proportion to the expected ones, but do not sum to 1: the division by "
        "the row's sum is missing.",
        _not_normalised,
    ),
    ("exponential", "Your answer is exp of the expected one.", _exponential),
    ("logarithm", "Your answer is the logarithm of the expected one.", _logarithm),
    ("permuted rows", "Your rows are right, but not in the right order.", _permuted_rows),
)


def _same_input(pairs, inputs, rtol) -> str | None:
    """The name of the argument that came back as it was, on every probe."""
    if len(inputs) != len(pairs) or not inputs:
        return None
    for name in inputs[0]:
        given = [probe.get(name) for probe in inputs]
        if all(
            isinstance(x, torch.Tensor) and x.dtype == got.dtype and torch.equal(x, got)
            for x, (got, _) in zip(given, pairs, strict=True)
        ):
            return name
    return None


def _shifted(pairs, rtol) -> Diagnosis | None:
    """By one place along an axis, round the end or not."""
    ndim = min(want.ndim for _, want in pairs)
    for axis in range(ndim):
        if any(g.shape != w.shape or w.shape[axis] < 3 for g, w in pairs):
            continue
        for step in (1, -1):
            along = f"Everything stands one place too {'late' if step > 0 else 'early'} along "
            along += f"axis {axis}"
            if all(_close(g, w.roll(step, axis), rtol) for g, w in pairs):
                return Diagnosis("shifted", f"{along}, and what fell off came in at the other end.")
            inner = [(_part(g, axis, step), _part(w, axis, -step)) for g, w in pairs]
            if all(_close(g, w, rtol) for g, w in inner) and any(_telling(w) for _, w in inner):
                return Diagnosis("shifted", f"{along}: an index is off by one.")
    return None


def _part(t: torch.Tensor, axis: int, step: int) -> torch.Tensor:
    """All but the first place of an axis (step 1), or all but the last (step -1)."""
    return t.narrow(axis, 1 if step > 0 else 0, t.shape[axis] - 1)


def _scaled(pairs, rtol) -> Diagnosis | None:
    """By one factor, or by the size of an axis or its root; or one number too much everywhere."""
    if any(g.shape != w.shape or not w.is_floating_point() for g, w in pairs):
        return None
    factors = [_factor(g, w) for g, w in pairs]
    if all(f and _close(g.double(), f * w.double(), rtol) for f, (g, w) in zip(factors, pairs)):
        if max(factors) - min(factors) <= 1e-3 * abs(factors[0]):
            return Diagnosis("scaled", f"Your answer is the expected one times {factors[0]:.4g}.")
        sizes = [w.shape[-1] for _, w in pairs if w.ndim]
        if len(set(sizes)) > 1 and len(sizes) == len(factors):
            for power, words in ((0.5, "the root of the size"), (1.0, "the size")):
                for sign, verb in ((1, "times"), (-1, "divided by")):
                    expected = [n ** (sign * power) for n in sizes]
                    if all(abs(f / e - 1) < 1e-3 for f, e in zip(factors, expected)):
                        says = f"Your answer is the expected one {verb} {words} of its last axis."
                        return Diagnosis("scaled", says)
        return None
    offsets = [(g.double() - w.double()).mean().item() for g, w in pairs]
    if max(offsets) - min(offsets) <= 1e-4 * abs(offsets[0]) and offsets[0]:
        if all(_close(g.double() - offsets[0], w.double(), rtol) for g, w in pairs):
            return Diagnosis("offset", f"Each of your numbers is {offsets[0]:.4g} off.")
    return None


def _factor(got: torch.Tensor, want: torch.Tensor) -> float:
    a, b = got.detach().double().flatten(), want.detach().double().flatten()
    if not b.numel() or not (a.isfinite() & b.isfinite()).all() or not b.any():
        return 0.0
    return float((a * b).sum() / (b * b).sum())
