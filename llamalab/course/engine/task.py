"""What an exercise is: data, and nothing that changes.

What is asked, a reference, probes to try an answer on, wrong answers that people really write,
hints. How an answer is judged stands in judge.py, what is said about it in words.py.
"""

import inspect
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Misconception:
    """A runnable wrong answer, and the one sentence that its author needs to hear."""

    wrong: Callable
    says: str

    @property
    def name(self) -> str:
        return self.wrong.__name__


class WrongAnswers:
    """The wrong answers of one exercise, each under the sentence that names it:

    wrong = WrongAnswers()

    @wrong("You added. A gate multiplies.")
    def adds(x, gate):
        return x + gate
    """

    def __init__(self) -> None:
        self._all: list[Misconception] = []

    def __call__(self, says: str) -> Callable[[Callable], Callable]:
        def keep(wrong: Callable) -> Callable:
            self._all.append(Misconception(wrong, says))
            return wrong

        return keep

    @property
    def all(self) -> tuple[Misconception, ...]:
        return tuple(self._all)


PROBES_VARIABLE = "LLAMALAB_PROBES"  # a whole number; a grader asks for other probes with it


def seeded(seed: int) -> torch.Generator:
    """A generator for probes: the same numbers every time; others where LLAMALAB_PROBES says so."""
    return torch.Generator().manual_seed(seed + 100_000 * int(os.environ.get(PROBES_VARIABLE, 0)))


@dataclass(frozen=True, kw_only=True)
class Task:
    """One question. `answer` is written as a learner would write it: its source fills the
    solved notebook. `reference` gives the expected values and is written by other means: the
    package's function, or a library's. `probes()` makes the arguments of each call, the same
    ones every time.

    gradients: a loss will be pulled back through it, so the gradient of every floating-point
    argument is judged in addition to the values. no_autograd: the answer is to compute its gradient
    itself. largest_tensor(*probe): the most numbers that one tensor made on the way may hold.
    refuses: the errors that a right answer raises on some of the probes.
    """

    name: str
    title: str
    points: int
    minutes: int
    answer: Callable
    reference: Callable
    probes: Callable[[], Sequence[tuple]]
    misconceptions: tuple[Misconception, ...]
    hints: tuple[str, ...]
    rtol: float = 1e-5
    atol: float = 1e-6
    seconds: float = 5.0
    gradients: bool = False
    no_autograd: bool = False
    largest_tensor: Callable[..., int] | None = None
    refuses: tuple[type[Exception], ...] = ()

    @property
    def tolerance(self) -> dict[str, Any]:
        return {"rtol": self.rtol, "atol": self.atol}

    @property
    def arguments(self) -> list[str]:
        return list(inspect.signature(self.answer).parameters)
