"""Which known wrong answer is this? Found by running them all on the same probes."""

from dataclasses import dataclass

from llamalab.course.engine.calls import Outcome, each_outcome, silence
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
        theirs = each_outcome(task, misconception.wrong, gradients=gradients)
        with silence():  # one outcome at a time: most differ on the first probe
            same = all(a.alike(b, **task.tolerance) for a, b in zip(got, theirs, strict=False))
        if same:
            return Recognised(misconception.name, misconception.says)
    return None
