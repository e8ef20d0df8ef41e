"""A number that is not known exactly: low, central, high, carried through the arithmetic.

    [a, b, c] x [d, e, f] = [a d, b e, c f]          [a, b, c] / [d, e, f] = [a / f, b / e, c / d]

Only numbers of 0 and more, so that more of an input is more of the result (or less, where it
divides). The ends are the case in which every input stands at its end at once: they are wide on
purpose, and they are not a confidence interval.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """low <= central <= high. ValueError if they are not in order, below 0, or not finite."""

    low: float
    central: float
    high: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(x) for x in (self.low, self.central, self.high)):
            raise ValueError(f"low={self.low}, central={self.central} and high={self.high} "
                             "must be finite")  # fmt: skip
        if not 0 <= self.low <= self.central <= self.high:
            raise ValueError(f"low={self.low}, central={self.central} and high={self.high} are "
                             "not in order, or below 0")  # fmt: skip

    @staticmethod
    def of(value: "float | tuple[float, float, float] | Range") -> "Range":
        """A number that is known (a range of no width), three numbers, or a range as it is.
        ValueError as for a Range."""
        if isinstance(value, Range):
            return value
        if isinstance(value, tuple):
            return Range(*value)
        return Range(value, value, value)

    def __mul__(self, other: "float | Range") -> "Range":
        it = Range.of(other)
        return Range(self.low * it.low, self.central * it.central, self.high * it.high)

    __rmul__ = __mul__

    def __truediv__(self, other: "float | Range") -> "Range":
        """ZeroDivisionError where the other range reaches down to 0."""
        it = Range.of(other)
        return Range(self.low / it.high, self.central / it.central, self.high / it.low)

    def __add__(self, other: "float | Range") -> "Range":
        it = Range.of(other)
        return Range(self.low + it.low, self.central + it.central, self.high + it.high)

    __radd__ = __add__

    @property
    def exact(self) -> bool:
        return self.low == self.high

    def __str__(self) -> str:
        if self.exact:
            return brief(self.central)
        return f"{brief(self.central)} ({brief(self.low)} to {brief(self.high)})"


def brief(value: float) -> str:
    """Four digits that count, and no powers of ten where a person would write the number out."""
    if value >= 1000:
        return f"{value:,.0f}" if value < 1e12 else f"{value:.3e}"
    return f"{value:.4g}" if value >= 1e-3 or value == 0 else f"{value:.2e}"
