"""What can be said of a wrong list or number in any exercise; of tensors, see diagnose.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Pair = tuple[Any, Any]  # theirs, expected


@dataclass(frozen=True)
class Diagnosis:
    """What holds of a wrong value: its name, and a sentence for the learner."""

    name: str
    says: str


def of_lists(pairs: Sequence[Pair]) -> Diagnosis | None:
    """What holds of all pairs of lists; None if nothing does, or they hold tensors."""
    long = [w for _, w in pairs if len(w) >= 3]
    if not long or any(isinstance(v, torch.Tensor) for g, w in pairs for v in (*g, *w)):
        return None
    lists = [(list(g), list(w)) for g, w in pairs]
    tests = (
        ("reversed", "Your items are right and stand in reverse order.", lambda g, w: g == w[::-1]),
        ("first missing", "The first item is missing; the others are right.",
         lambda g, w: bool(w) and g == w[1:]),
        ("last missing", "The last item is missing; the others are right.",
         lambda g, w: bool(w) and g == w[:-1]),
        ("one too many", "There is one item too many at the end; the others are right.",
         lambda g, w: g[:-1] == w and len(g) == len(w) + 1),
        ("one too early", "There is one item too many at the start; the others are right.",
         lambda g, w: g[1:] == w and len(g) == len(w) + 1),
        ("order", "Your items are right, but not in the right order.",
         lambda g, w: sorted(map(repr, g)) == sorted(map(repr, w))),
    )  # fmt: skip
    for name, says, holds in tests:
        if all(holds(g, w) for g, w in lists):
            return Diagnosis(name, says)
    return None


def of_numbers(pairs: Sequence[Pair], rtol: float) -> Diagnosis | None:
    """One factor or one step for all; two different numbers at least must say so."""
    if len({want for _, want in pairs}) < 2:
        return None

    def near(a: float, b: float) -> bool:
        return abs(a - b) <= rtol * abs(b)

    if all(near(-g, w) for g, w in pairs):
        return Diagnosis("negated", "Your answer is the expected one with its sign turned round.")
    off = pairs[0][0] - pairs[0][1]
    if off and all(near(g, w + off) for g, w in pairs):
        return Diagnosis("offset", f"Your answer is always {off:+.6g} off.")
    if all(w for _, w in pairs):
        factor = pairs[0][0] / pairs[0][1]
        if factor and all(near(g, w * factor) for g, w in pairs):
            return Diagnosis(
                "scaled", f"Your answer is always the expected one times {factor:.4g}."
            )
    return None
