"""Which known wrong answer is this? Found by running them all on the same probes."""

from dataclasses import dataclass

from llamalab.course.engine.calls import Outcome, outcomes, silence
from llamalab.course.engine.task import Task


@dataclass(frozen=True)
class Recognised:
    """The sentence for the learner; the misconception's name, or the diagnosis's."""

    name: str
    says: str


def recognise(task: Task, got: list[Outcome], *, gradients: bool = False) -> Recognised | None:
    """The misconception with the same outcome on every probe."""
    if all(outcome.error is not None for outcome in got):
        return None  # that two answers both crash does not make them the same
    for misconception in task.misconceptions:
        with silence():
            theirs = outcomes(task, misconception.wrong, gradients=gradients)
        if len(theirs) == len(got) and all(
            a.alike(b, **task.tolerance) for a, b in zip(got, theirs, strict=True)
        ):
            return Recognised(misconception.name, misconception.says)
    return None
