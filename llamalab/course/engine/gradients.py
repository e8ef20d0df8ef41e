"""The way back: the gradient of every floating-point argument, compared with the reference's.

Every output gets a fixed random gradient, and what arrives at each argument is compared. Right
values say nothing about that: `w1.data` in the place of `w1` gives the same numbers, and w1 never
learns. A right answer may sum in another order, so what counts as equal is measured against the
largest number of the gradient, and 16-bit gradients are allowed a few roundings.
"""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from llamalab.course.engine.difference import HALF, Difference, short

# dtype: (share of the number itself, share of the argument's largest number) that may differ
CLOSE = {
    torch.float64: (1e-6, 1e-7),
    torch.float32: (1e-3, 1e-4),
    torch.float16: (8e-3, 4e-3),
    torch.bfloat16: (6e-2, 3e-2),
}

TOO_MUCH = "none should"


@dataclass(frozen=True)
class Gradients:
    """The gradient by place ("x", "weights[0]"; None where none arrives), and the size of the
    numbers that went in, which rounding errors on the way are in proportion to."""

    of: Mapping[str, torch.Tensor | None]
    size: float = 1.0


def in_16_bits(probe: tuple) -> bool:
    """Whether any of its tensors is in float16 or bfloat16."""
    return any(isinstance(v, torch.Tensor) and v.dtype in HALF for v in probe)


def redrawn(probe: tuple) -> tuple:
    """The probe with other numbers in its 16-bit tensors, drawn from a normal distribution."""
    generator = torch.Generator().manual_seed(16)

    def draw(value: Any) -> Any:
        if not (isinstance(value, torch.Tensor) and value.dtype in HALF):
            return value
        return torch.randn(value.shape, generator=generator).to(value.dtype)

    return tuple(draw(v) for v in probe)


def leaves(probe: tuple, names: list[str]) -> tuple[tuple, dict[str, torch.Tensor]]:
    """(a copy of the probe whose floating-point tensors all want their gradient, those by place).
    A view stays a view: strides and offsets are kept."""
    found: dict[str, torch.Tensor] = {}

    def walk(value: Any, place: str) -> Any:
        if isinstance(value, torch.Tensor) and value.dtype in CLOSE:
            found[place] = value.detach().requires_grad_()
            return found[place]
        if isinstance(value, dict):
            return {k: walk(v, f"{place}[{k!r}]") for k, v in value.items()}
        if type(value) in (list, tuple):
            return type(value)(walk(v, f"{place}[{i}]") for i, v in enumerate(value))
        return value

    given = tuple(walk(v, n) for v, n in zip(copy.deepcopy(probe), names, strict=False))
    return given, found


def pull_back(value: Any, wanted: Mapping[str, torch.Tensor], seed: int) -> Gradients:
    """Pull every floating-point output by fixed amounts, and hand out what reaches each place.
    Raises what autograd raises."""
    sizes = [t.detach().abs().max().item() for t in wanted.values() if t.numel()]
    size = max([1.0, *(s for s in sizes if s < float("inf"))])
    outputs = [t for t in _tensors(value) if t.dtype in CLOSE]
    pulls = [_pull(t, 1000 * seed + i) for i, t in enumerate(outputs)]
    live = [(t, p) for t, p in zip(outputs, pulls) if t.requires_grad]
    if not live or not wanted:
        return Gradients(dict.fromkeys(wanted), size)
    got = torch.autograd.grad(
        [t for t, _ in live], list(wanted.values()), [p for _, p in live], allow_unused=True
    )
    return Gradients(dict(zip(wanted, got, strict=True)), size)


def _pull(output: torch.Tensor, seed: int) -> torch.Tensor:
    """Amounts from 0.5 to 1.5 with either sign: none is so small that it hides a mistake."""
    generator = torch.Generator().manual_seed(seed)
    amount = 0.5 + torch.rand(output.shape, generator=generator)
    sign = 2.0 * torch.randint(0, 2, output.shape, generator=generator) - 1
    return (sign * amount).to(output.dtype)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def gradients_alike(one: Gradients, other: Gradients) -> bool:
    """Whether the same arrives everywhere; nan is like nan, None like zeros."""
    return not any(_compare(one, other, place)[0].any() for place in other.of)


def gradient_difference(got: Gradients | None, want: Gradients | None) -> Difference | None:
    """The first argument whose gradient is not the reference's, in the learner's words. None for
    what was not asked."""
    if got is None or want is None:
        return None
    for place, right in want.of.items():
        wrong, a, b = _compare(got, want, place)
        wrong &= b.isfinite()  # where the reference's own is nan or infinite, anything passes
        if wrong.any():
            missing, held = got.of.get(place) is None, right is None
            return _describe(place, wrong, a, b, missing=missing, held=held)
    return None


def _compare(
    got: Gradients, want: Gradients, place: str
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(where they differ, theirs, the expected), the latter two in float64, None as zeros."""
    one, other = got.of.get(place), want.of[place]
    if one is None and other is None:
        return torch.zeros(1, dtype=torch.bool), torch.zeros(1), torch.zeros(1)
    like: Any = other if other is not None else one
    a, b = (torch.zeros_like(like) if t is None else t for t in (one, other))
    a, b = a.detach().double(), b.detach().double()
    rtol, share = CLOSE[like.dtype]
    finite = torch.where(b.isfinite(), b.abs(), 0.0)
    rounding = 5e-7 * want.size * _largest(want)
    allowed = rtol * finite + share * finite.max() + rounding if b.numel() else b
    equal = (a == b) | (a.isnan() & b.isnan())
    return ~(equal | ((a - b).abs() <= allowed)), a, b


def _largest(gradients: Gradients) -> float:
    """The largest number in any of them: rounding errors are measured against it."""
    sizes = [t.abs().nan_to_num(0, 0, 0).max().item() for t in gradients.of.values()
             if t is not None and t.numel()]  # fmt: skip
    return max(sizes, default=0.0)


def _describe(
    place: str, wrong: torch.Tensor, a: torch.Tensor, b: torch.Tensor, *, missing: bool, held: bool
) -> Difference:
    """missing: nothing arrives there; held: and nothing should."""
    lost = wrong & ~a.isfinite()
    zero = wrong & (a == 0)
    if held and not lost.any():
        shown, says = wrong, f"a gradient reaches `{place}`, and {TOO_MUCH}"
        end = "On the way from it to the result it has to be cut off"
    elif missing or bool((a == 0).all()):
        shown, says = wrong, f"no gradient reaches `{place}`"
        end = f"`{place}` would never learn. Something on the way from it to the result cuts it off"
    elif lost.any():
        shown = lost
        says = f"the gradient of `{place}` is nan or infinite in {_count(lost)}"
        end = "one such number spreads through a whole model at its first step"
    elif int(zero.sum()) == int(wrong.sum()):
        shown, says = (
            zero,
            f"the gradient reaches `{place}` only in part: it is 0 in {_count(zero)}",
        )
        end = "What stands there would never learn"
    else:
        shown, says = wrong, f"the gradient of `{place}` is wrong in {_count(wrong)}"
        end = "Some way from it to the result is cut off, or counts twice"
    gap = torch.where(shown, (a - b).abs().nan_to_num(nan=float("inf")), -1.0)
    flat = int(gap.argmax())
    index = [int(i) for i in np.unravel_index(flat, gap.shape)]
    spot = f"at [{', '.join(map(str, index))}] it" if index else "it"
    left, right = (short(t.flatten()[flat]) for t in (a, b))
    yours = "nothing" if missing else left
    rows = ((f"gradient of {place}{index or ''}", yours, right),)
    says = f"{says}; {spot} is {yours} and should be {right}. {end}"
    return Difference("gradient", says, rows, place)


def _count(places: torch.Tensor) -> str:
    number, whole = int(places.sum()), places.numel()
    return f"{number} of {whole} numbers" if whole > 1 else "its only number"
