"""An exercise, and how an answer to it is judged.

An exercise is data: what is asked, a reference, probes to try an answer on, wrong answers that
people really write, hints. `check` runs the answer on the probes and never raises. It tells
apart the ways in which an answer can fail, and where the values are wrong it runs every known
misconception on the same probes: the one that gives the learner's values has its sentence said.
"""

import contextlib
import copy
import inspect
import io
import os
import random
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from llamalab.course.engine import answers, source
from llamalab.course.engine.card import Card, Result, announce
from llamalab.course.engine.deadline import TimeUp, TooMuchMemory, run_limited
from llamalab.course.engine.difference import Difference, describe, difference
from llamalab.runtime import paths


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


def seeded(seed: int) -> torch.Generator:
    """A generator for probes: the same numbers every time."""
    return torch.Generator().manual_seed(seed)


@dataclass(frozen=True)
class Outcome:
    """What one call of an answer led to: a value, or an exception; and which arguments it
    changed on the way."""

    value: Any = None
    error: BaseException | None = None
    changed: tuple[int, ...] = ()
    settings: str = ""  # a setting of the whole process that it left changed

    def alike(self, other: "Outcome", **tolerance: float) -> bool:
        if self.error is not None or other.error is not None:
            return type(self.error) is type(other.error)
        same = difference(self.value, other.value, **tolerance) is None
        return same and (self.changed, self.settings) == (other.changed, other.settings)


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One question. `answer` is written as a learner would write it: its source fills the
    solved notebook. `reference` gives the expected values and is written by other means: the
    package's function, or a library's. `probes()` makes the arguments of each call, the same
    ones every time."""

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
    _state: dict = field(default_factory=lambda: {"hints": 0, "tries": 0}, repr=False)

    @property
    def tolerance(self) -> dict[str, float]:
        return {"rtol": self.rtol, "atol": self.atol}

    @property
    def arguments(self) -> list[str]:
        return list(inspect.signature(self.answer).parameters)

    def check(self, function: Callable) -> Result:
        """Judge an answer. Points if it is right, 0 if not, and a card that says why."""
        try:
            result = self._judge(function)
        except KeyboardInterrupt:
            result = self._fail("stopped", "The check was stopped.", "Nothing was judged.")
        except Exception as error:  # an answer made of something that nothing can be done with
            says = f"What your function returns cannot be judged ({type(error).__name__})."
            result = self._fail("type", "The type is not right yet.", says)
        return announce(result)

    def hint(self, number: int | None = None) -> Card:
        """The next hint, or hint `number`, counted from 1."""
        if number is None:
            number = min(self._state["hints"] + 1, len(self.hints))
        if not 1 <= number <= len(self.hints):
            says = f"There are {len(self.hints)} hints, numbered from 1."
            return announce(Card("hint", self.title, "No such hint.", says))
        self._state["hints"] = number
        head = f"Hint {number} of {len(self.hints)}"
        return announce(Card("hint", self.title, head, self.hints[number - 1]))

    def solution(self) -> Card:
        """One right answer. There are others."""
        code = source.source_of(self.answer)
        return announce(Card("solution", self.title, "One right answer", "", code=code))

    # -- judging ---------------------------------------------------------------------------

    def _judge(self, function: Callable) -> Result:
        name = self.answer.__name__
        if not callable(function):
            return self._fail(
                "not a function",
                "That is a value, not a function.",
                f"Hand over the function itself, without calling it: check({name}). "
                f"You gave {describe(function)}.",
            )
        if function in (self.reference, self.answer) or _is_of_the_package(function):
            return self._ours()
        if not inspect.isfunction(inspect.unwrap(function)):
            says = f"It is a {type(function).__name__}. Write the answer out as a plain function, "
            return self._fail("no def", "That is no function made with def.", says + "with def.")
        if inspect.iscoroutinefunction(function):
            says = "Take the word `async` away: nobody waits for this function."
            return self._fail("no def", "That is a coroutine.", says)
        if source.is_blank(function):
            return self._not_attempted("The cell still holds its empty function.")
        misfit = self._signature_misfit(function)
        if misfit:
            return self._fail("signature", "The arguments do not fit.", misfit)
        self._state["tries"] += 1
        outcomes, expected = self._run(function), self._run(self.reference)
        result = self._first_failure(function, outcomes, expected)
        return self._accept(function, expected) if result is None else result

    def _run(self, function: Callable) -> list[Outcome]:
        """The outcomes on all probes, up to the first that had to be stopped."""
        outcomes, end = [], time.monotonic() + self.seconds
        for probe in self.probes():
            outcome = _call(function, probe, max(0.1, end - time.monotonic()))
            outcomes.append(outcome)
            if isinstance(outcome.error, (TimeUp, TooMuchMemory)):
                break
        return outcomes

    def _first_failure(
        self, function: Callable, outcomes: list[Outcome], expected: list[Outcome]
    ) -> Result | None:
        probes = list(self.probes())
        for i, (got, want) in enumerate(zip(outcomes, expected)):
            if got.error is not None and not got.alike(want):
                return self._failed_with_error(function, got.error, probes[i], outcomes)
            if want.error is not None and got.error is None:
                says = f"It should refuse this with a {type(want.error).__name__}, and it did not."
                return self._wrong("no error", says, outcomes, probe=probes[i])
            if got.error is not None:
                continue
            found = difference(got.value, want.value, **self.tolerance)
            if found:
                return self._failed_with_value(function, found, got, want, probes[i], outcomes)
            if got.settings:
                says = f"Your function changes {got.settings} for the whole notebook, and leaves "
                says += "it changed (it has been put back). Work on the values alone."
                return self._wrong("changed", says, outcomes, probe=probes[i])
            if got.changed != want.changed:
                return self._wrong("changed", self._changed_words(got), outcomes, probe=probes[i])
        return None

    def _failed_with_error(
        self, function: Callable, error: BaseException, probe: tuple, outcomes: list[Outcome]
    ) -> Result:
        if isinstance(error, TimeUp):
            says = (
                f"It was still running after {self.seconds:g} seconds and was stopped. Is there "
                f"a loop whose end is never reached? Your kernel is fine; nothing is lost."
            )
            return self._fail("never returned", "It did not come back.", says, probe=probe)
        if isinstance(error, TooMuchMemory):
            says = "It was stopped because it took hundreds of megabytes. Does something grow in "
            says += "a loop without end? Your kernel is fine; nothing is lost."
            return self._fail("memory", "It wanted too much memory.", says, probe=probe)
        if _raised_by(function, error, NotImplementedError) or source.has_gaps(function):
            return self._not_attempted("There is still a `...` to fill in.")
        says = _error_words(function, error)
        return self._wrong("raised", says, outcomes, probe=probe)

    def _failed_with_value(
        self,
        function: Callable,
        found: Difference,
        got: Outcome,
        want: Outcome,
        probe: tuple,
        outcomes: list[Outcome],
    ) -> Result:
        if source.has_gaps(function):
            return self._not_attempted("There is still a `...` to fill in.")
        if found.kind == "none" and got.value is None:
            says = "Your function returned None. Did you forget `return`?"
            return self._wrong("returned None", says, outcomes, probe=probe)
        if got.changed and got.changed != want.changed:
            return self._wrong("changed", self._changed_words(got), outcomes, probe=probe)
        kind = {k: k for k in ("shape", "dtype", "type", "gradient")}.get(found.kind, "value")
        says = found.says[0].upper() + found.says[1:] + "."
        return self._wrong(kind, says, outcomes, probe=probe, rows=found.rows)

    def _wrong(
        self, kind: str, says: str, outcomes: list[Outcome], probe: tuple, rows: tuple = ()
    ) -> Result:
        """A wrong answer: named if a misconception gives the same outcomes on every probe."""
        known = self._recognise(outcomes)
        heads = {
            "raised": "It stopped with an error.",
            "returned None": "It returned nothing.",
            "changed": "It changed what it was given.",
            "shape": "The shape is not right yet.",
            "dtype": "The dtype is not right yet.",
            "type": "The type is not right yet.",
            "gradient": "It cannot be trained through.",
            "no error": "It should have refused.",
            "value": "The values are not right yet.",
        }
        return self._fail(kind, heads[kind], says, probe=probe, rows=rows, known=known)

    def _recognise(self, outcomes: list[Outcome]) -> Misconception | None:
        if all(outcome.error is not None for outcome in outcomes):
            return None  # that two answers both crash does not make them the same
        for misconception in self.misconceptions:
            with _silence():
                theirs = self._run(misconception.wrong)
            if len(theirs) == len(outcomes) and all(
                a.alike(b, **self.tolerance) for a, b in zip(outcomes, theirs)
            ):
                return misconception
        return None

    def _accept(self, function: Callable, expected: list[Outcome]) -> Result:
        """The values are right. Is it still right in an empty notebook? Then it is kept."""
        if self._leaves_it_to_ours(function, expected):
            return self._ours()
        name, asked = function.__name__, self.answer.__name__
        try:
            text = source.standalone(function)
            if name != asked:
                if f"def {asked}(" in text:
                    says = f"`{name}` calls another function of the name that is asked for. Give "
                    says += f"the answer the name `{asked}`, and the helper another one."
                    return self._fail("leans", "Two functions go by one name.", says)
                text += f"\n\n{asked} = {name}\n"
            rebuilt = source.build(text, asked, f"<{self.name}>")
        except source.StrayVariable as stray:
            return self._leans(stray.name, stray.function)
        except source.Borrowed as borrowed:
            says = f"`{borrowed.name}` is the course's own answer to an exercise that you have not "
            says += "solved yet. Solve that one first, or write out here what you need of it."
            return self._fail("leans", "It leans on a part that is not yours yet.", says)
        except source.NoSource:
            says = "There is no `def` to save: write the function out in a cell, with def, and "
            says += "without %%time or the like above it."
            return self._fail("no source", "Right, but it cannot be kept.", says)
        except Exception as error:
            says = f"In an empty notebook its definition stops with {_one_line(error)}"
            return self._fail("leans", "It works only in this notebook.", says)
        for _ in range(2):  # twice: what is kept between calls shows at the second
            with _silence():
                outcomes = self._run(rebuilt)
            for again, want in zip(outcomes, expected):
                if isinstance(again.error, NameError):
                    return self._leans(getattr(again.error, "name", None) or "?", name)
                if not again.alike(want, **self.tolerance):
                    says = "In an empty notebook it gives another answer than here. Does it keep "
                    says += "something between calls?"
                    return self._fail("leans", "It works only in this notebook.", says)
        return self._kept(text)

    def _kept(self, text: str) -> Result:
        points = f"{self.points} point{'s' if self.points != 1 else ''}"
        try:
            answers.save(self.name, text)
        except OSError as error:
            says = f"It could not be saved: {_one_line(error)} Set {paths.ANSWERS_VARIABLE} "
            says += "to a folder that can be written to, and check again to keep it."
            return Result(self.points, "passed", self.title, f"Correct: {points}.", says)
        says = f"Saved as {paths.answers_folder().name}/{self.name}.py. It is yours now."
        return Result(self.points, "passed", self.title, f"Correct: {points}.", says)

    # -- words -----------------------------------------------------------------------------

    def _fail(
        self,
        kind: str,
        head: str,
        says: str,
        *,
        probe: tuple = (),
        rows: tuple = (),
        known: Misconception | None = None,
    ) -> Result:
        given = ""
        if probe:
            pairs = zip(self.arguments, probe)
            given = "It was given " + ", ".join(f"{n}: {describe(v)}" for n, v in pairs) + "."
        foot = f"Stuck? `ex.{self.name}.hint()`" if self._state["tries"] else ""
        return Result(
            0,
            kind,
            self.title,
            head,
            says,
            named=known.name if known else None,
            known=known.says if known else "",
            given=given,
            rows=rows,
            foot=foot,
        )

    def _not_attempted(self, says: str) -> Result:
        says += f" Fill it in, run the cell, then run this one. Stuck? `ex.{self.name}.hint()`"
        return Result(0, "not attempted", self.title, "Not attempted yet.", says)

    def _ours(self) -> Result:
        says = "It is right, of course. Yours is the one that counts: write it in the cell."
        return self._fail("ours", "That is the course's own function.", says)

    def _leans(self, name: str, function: str) -> Result:
        says = (
            f"The values are right, but `{function}` uses `{name}`, a variable of this notebook. "
            f"In a fresh kernel, or in your own model, it would not be there. Make it an "
            f"argument, or define it inside the function. (A constant whose name is in CAPITALS "
            f"may stand outside, and so may functions and imports.)"
        )
        return self._fail("leans", "It works only in this notebook.", says)

    def _changed_words(self, outcome: Outcome) -> str:
        names = [self.arguments[i] for i in outcome.changed]
        return (
            f"After the call `{'`, `'.join(names)}` was no longer what it had been. Whoever "
            f"called your function still needs it: work on a copy, or build a new value."
        )

    def _signature_misfit(self, function: Callable) -> str:
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            return ""
        try:
            signature.bind(*self.probes()[0])
        except TypeError:
            return (
                f"The exercise calls it as {self.answer.__name__}({', '.join(self.arguments)}); "
                f"yours takes {signature}."
            )
        return ""

    def _leaves_it_to_ours(self, function: Callable, expected: list[Outcome]) -> bool:
        """Whether it calls a function of the package that does the whole exercise."""
        return any(
            used in (self.reference, self.answer)
            or (not used.__module__.startswith("llamalab.course") and self._passes(used, expected))
            for used in source.used_from(function, "llamalab")
        )

    def _passes(self, function: Callable, expected: list[Outcome]) -> bool:
        if self._signature_misfit(function):
            return False
        outcomes = self._run(function)
        return all(got.alike(want, **self.tolerance) for got, want in zip(outcomes, expected))


def _is_of_the_package(function: Callable) -> bool:
    return getattr(function, "__module__", None) is not None and (
        function.__module__.startswith("llamalab.")
    )


def _call(function: Callable, probe: tuple, seconds: float) -> Outcome:
    given = copy.deepcopy(probe)
    before = _settings()
    random_states = torch.get_rng_state(), random.getstate(), np.random.get_state()
    try:
        value = run_limited(function, *given, seconds=seconds)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome(error=error, settings=_put_back(before))
    finally:
        torch.set_rng_state(random_states[0])
        random.setstate(random_states[1])
        np.random.set_state(random_states[2])
    changed = tuple(i for i, (now, was) in enumerate(zip(given, probe)) if not _unchanged(now, was))
    return Outcome(value, None, changed, _put_back(before))


def _settings() -> dict[str, Any]:
    return {
        "torch's default dtype": torch.get_default_dtype(),
        "whether torch records gradients": torch.is_grad_enabled(),
        "the working folder": os.getcwd(),
        "Python's recursion limit": sys.getrecursionlimit(),
    }


def _put_back(before: dict[str, Any]) -> str:
    """Undo what a function did to the whole process, and name it."""
    changed = [name for name, now in _settings().items() if now != before[name]]
    if changed:
        dtype, grad, folder, limit = before.values()
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(grad)
        os.chdir(folder)
        sys.setrecursionlimit(limit)
    return " and ".join(changed)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """For runs that are not the learner's own: what they print has been printed once already."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unchanged(now: Any, before: Any) -> bool:
    """A module says itself, by ==, what of it counts; other callables have nothing to change."""
    if isinstance(before, torch.nn.Module):
        return now == before
    return callable(before) or difference(now, before, rtol=0.0, atol=0.0) is None


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text[:200]}" if text else f"{type(error).__name__}."


def _own_frames(function: Callable, error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the error that lie in a cell of the learner's."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    home = code.co_filename if code else ""
    return [f for f in frames if f.filename == home or source.is_cell(f.filename)]


def _raised_by(function: Callable, error: BaseException, kind: type) -> bool:
    """Whether the learner's own line raised it, and nothing that the line called."""
    own = _own_frames(function, error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return isinstance(error, kind) and own[-1:] == last


def _error_words(function: Callable, error: BaseException) -> str:
    """The error, and the learner's own line that it came from. No frame of ours is shown."""
    if isinstance(error, RecursionError):
        return "It calls itself without end: RecursionError. Which case stops the recursion?"
    own = _own_frames(function, error)
    text = _one_line(error)
    if own and own[-1].line:
        place = "" if own[-1].name == function.__name__ else f", in `{own[-1].name}`"
        text = f"Line {own[-1].lineno} of its cell{place}, `{own[-1].line.strip()}`: {text}"
    return text
