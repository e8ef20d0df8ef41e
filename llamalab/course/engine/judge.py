"""An exercise and an answer to it: a verdict.

Nothing is printed and nothing is kept here. The ways in which an answer can fail are told apart in
order: it is no function, it stops, its values differ, it leaves something changed, it does not do
it the way that was asked, its gradients differ, it works in this notebook alone. What goes wrong
in the course's own functions is said to be the course's.
"""

import inspect
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from llamalab.course.engine import attempts, cuts, errors, source, standalone, words
from llamalab.course.engine.calls import Outcome, known_outcomes, outcomes, probes_of, silence
from llamalab.course.engine.card import Result
from llamalab.course.engine.difference import Difference, difference
from llamalab.course.engine.gradients import TOO_MUCH, gradient_difference
from llamalab.course.engine.recognise import recognise
from llamalab.course.engine.task import Task


@dataclass(frozen=True)
class Verdict:
    """The result; and for a right answer its module's text, which is to be kept."""

    result: Result
    text: str = ""


class OwnFault(Exception):
    """A function of the course's own raised: `what` says which."""

    def __init__(self, what: str, error: BaseException):
        super().__init__(what)
        self.what, self.error = what, error


def judge(task: Task, function: Callable) -> Verdict:
    """Judge an answer. Never raises."""
    try:
        return _judge(task, function)
    except KeyboardInterrupt:
        return Verdict(words.interrupted(task))
    except OwnFault as own:
        return Verdict(words.fault(task, own.what, own.error))
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        if any(source.is_cell(frame.filename) for frame in frames):  # an odd value's own methods
            return Verdict(words.cannot_be_judged(task, error))
        return Verdict(words.fault(task, "The judge", error))


def _judge(task: Task, function: Callable) -> Verdict:
    unfit = _unfit(task, function)
    if unfit is not None:
        return Verdict(unfit)
    attempts.tried(task.name)
    got, want = outcomes(task, function), _expected(task)
    failure = _first_failure(task, function, got, want)
    if failure is None and task.gradients:
        failure = _gradient_failure(task, function)
    return _accept(task, function, want) if failure is None else Verdict(failure)


def _unfit(task: Task, function: Callable) -> Result | None:
    """What can be said without running it."""
    if not callable(function):
        return words.not_a_function(task, function)
    if function in (task.reference, task.answer) or _is_of_the_package(function):
        return words.ours(task)
    if not inspect.isfunction(inspect.unwrap(function)):
        return words.no_def(task, function)
    if inspect.iscoroutinefunction(function):
        return words.coroutine(task)
    if source.is_blank(function):
        return words.not_attempted(task, words.EMPTY)
    if not _fits(task, function):
        return words.misfit(task, inspect.signature(function))
    return None


def _expected(task: Task, *, gradients: bool = False) -> list[Outcome]:
    """The reference's outcomes. What it raises is what the exercise asks for only where the
    exercise says so; anything else is a fault of the course, or of this process's torch."""
    try:
        want = list(known_outcomes(task, task.reference, gradients=gradients))
    except Exception as error:
        raise OwnFault("The exercise's own example", error) from error
    for right in want:
        if right.error is not None and not isinstance(right.error, task.refuses):
            raise OwnFault("The exercise's own reference", right.error)
    return want


def _first_failure(
    task: Task, function: Callable, got: list[Outcome], want: list[Outcome]
) -> Result | None:
    for mine, right, probe in zip(got, want, probes_of(task), strict=False):
        failure = _failure(task, function, mine, right, probe)
        if isinstance(failure, Result):
            return failure
        if failure is not None:
            kind, says, rows = failure
            known = recognise(task, got, want)
            if known is None and kind == "value" and source.draws(function):
                known = words.draws()
            return words.fail(task, kind, says, probe=probe, rows=rows, known=known)
    return None


def _failure(
    task: Task, function: Callable, got: Outcome, want: Outcome, probe: tuple
) -> Result | tuple[str, str, tuple] | None:
    """How one outcome fails: a result that is final, or (kind, words, rows), or None."""
    if got.error is not None:
        if got.stopped:
            return words.stopped(task, got.error, probe)
        if type(got.error) is type(want.error):
            return None
        if errors.raised_by(function, got.error, NotImplementedError) or source.has_gaps(function):
            return words.not_attempted(task, words.GAP)
        return "raised", errors.error_words(function, got.error), ()
    if want.error is not None:
        return "no error", words.NO_REFUSAL.format(errors.a(type(want.error).__name__)), ()
    found = difference(got.value, want.value, grads=not task.gradients, **task.tolerance)
    if found is not None:
        if source.has_gaps(function):
            return words.not_attempted(task, words.GAP)
        if found.kind == "none" and got.value is None:
            return "returned None", words.returned_none(), ()
        if got.changed and got.changed != want.changed:
            return "changed", words.left_arguments(task, got.changed), ()
        kind = found.kind if found.kind in ("shape", "dtype", "type", "gradient") else "value"
        return kind, words.sentence(found), found.rows
    if got.settings:
        return "changed", words.left_settings(got.settings), ()
    if got.changed != want.changed:
        return "changed", words.left_arguments(task, got.changed), ()
    if task.no_autograd and got.seen.autograd:
        return "autograd", words.used_autograd(got.seen.autograd), ()
    limit = task.largest_tensor(*probe) if task.largest_tensor else None
    if limit is not None and got.seen.largest > limit:
        return "too large", words.too_large(got.seen.largest, got.seen.shape, limit), ()
    return None


def _gradient_failure(task: Task, function: Callable) -> Result | None:
    """Right values; now the way back through them."""
    with silence():
        got = outcomes(task, function, gradients=True)
    want, probes = _expected(task, gradients=True), probes_of(task, gradients=True)
    for mine, right, probe in zip(got, want, probes, strict=False):
        if mine.error is not None and mine.stopped:
            return words.stopped(task, mine.error, probe)
        if right.error is not None:
            continue
        if mine.error is not None:
            found = Difference("gradient", errors.no_way_back(function, mine.error))
            says = found.says
        else:
            unlike = difference(mine.value, right.value, grads=False, **task.tolerance)
            unlike = unlike or gradient_difference(mine.gradients, right.gradients)
            if unlike is None:
                continue
            found, says = unlike, words.sentence(unlike)
            if found.kind == "gradient" and TOO_MUCH not in found.says:
                says += cuts.cut_words(function, found.place)
        known = recognise(task, got, want, gradients=True)
        kind = found.kind if found.kind in words.HEADS else "value"
        return words.fail(task, kind, says, probe=probe, rows=found.rows, known=known)
    return None


def _accept(task: Task, function: Callable, want: list[Outcome]) -> Verdict:
    """It is right here. Is it still right in an empty notebook? Then it is to be kept."""
    if _leaves_it_to_ours(task, function, want):
        return Verdict(words.ours(task))
    name, asked = function.__name__, task.answer.__name__
    try:
        text = standalone.standalone(function)
        if name != asked:
            if f"def {asked}(" in text:
                return Verdict(words.one_name_for_two(task, name))
            text += f"\n\n{asked} = {name}\n"
        rebuilt = standalone.build(text, asked, f"<{task.name}>")
    except standalone.StrayVariable as stray:
        return Verdict(words.leans(task, stray.name, stray.function, stray.inside))
    except standalone.Borrowed as borrowed:
        return Verdict(words.borrowed(task, borrowed.name))
    except source.NoSource:
        return Verdict(words.no_source(task))
    except Exception as error:
        return Verdict(words.does_not_stand_alone(task, error))
    for _ in range(2):  # twice: what is kept between calls shows at the second
        with silence():
            again = outcomes(task, rebuilt)
        for mine, right in zip(again, want, strict=False):
            if isinstance(mine.error, NameError):
                missing = getattr(mine.error, "name", None) or "?"
                return Verdict(words.leans(task, missing, name))
            if not mine.alike(right, **task.tolerance):
                return Verdict(words.differs_alone(task))
    return Verdict(words.correct(task), text)


def _fits(task: Task, function: Callable) -> bool:
    """Whether it can be called with the exercise's arguments."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*probes_of(task)[0])
    except TypeError:
        return False
    return True


def _leaves_it_to_ours(task: Task, function: Callable, want: list[Outcome]) -> bool:
    """Whether it calls a function of the package that does the whole exercise."""
    return any(
        used in (task.reference, task.answer)
        or (not used.__module__.startswith("llamalab.course") and _passes(task, used, want))
        for used in source.used_from(function, "llamalab")
    )


def _passes(task: Task, function: Callable, want: list[Outcome]) -> bool:
    if not _fits(task, function):
        return False
    got = outcomes(task, function)
    return all(mine.alike(right, **task.tolerance) for mine, right in zip(got, want, strict=False))


def _is_of_the_package(function: Callable) -> bool:
    return str(getattr(function, "__module__", None)).startswith("llamalab.")
