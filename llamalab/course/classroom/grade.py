"""One student's notebooks, graded: each in a kernel of its own, and no failure reaches the next.

A cell that ends the kernel, or takes too long and cannot be interrupted, costs itself: the kernel
begins anew without it, and the other exercises are judged. What passes is judged once more in a
clean process (`again.py`), where nothing of the notebook but the answer's own text is run.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from llamalab.course.classroom.again import confirm
from llamalab.course.classroom.course import Lesson, read
from llamalab.course.classroom.kernel import INSIDE, START, Kernel, Limits, Said, environment
from llamalab.course.classroom.marks import Mark
from llamalab.course.classroom.plan import Plan, Step, plan
from llamalab.course.classroom.submissions import LARGEST
from llamalab.course.engine import Exercise
from llamalab.course.engine.words import HEADS

NOT_GRADED = "not graded"
KINDS = {*HEADS, "passed", "not attempted", "not defined"}
CHECK = 30.0  # seconds that the course's own check may take beside the answer
BEGINNINGS = 6  # how often the kernel of one notebook may begin anew


@dataclass
class Heard:
    """What came out of a notebook: by exercise, what the check said, and how its cell ended."""

    said: dict[str, dict] = field(default_factory=dict)
    trouble: dict[str, str] = field(default_factory=dict)


def grade(
    student: str, files: dict[str, Path], lessons: list[Lesson], limits: Limits,
    *, closed: list[Path], quick: bool = False,
) -> Iterator[list[Mark]]:  # fmt: skip
    """The marks of one student, a list for each lesson, in the order of the course. closed: the
    folders that no notebook may look into."""
    with tempfile.TemporaryDirectory(prefix="llamalab-", ignore_cleanup_errors=True) as place:
        my_llama = Path(place).resolve() / "my_llama"
        my_llama.mkdir()
        for lesson in lessons:
            path = files.get(lesson.name)
            own = my_llama.parent / lesson.name
            own.mkdir()
            yield _grade(student, path, lesson, limits, own, my_llama, closed, quick)


def _grade(
    student: str, path: Path | None, lesson: Lesson, limits: Limits, own: Path, my_llama: Path,
    closed: list[Path], quick: bool,
) -> list[Mark]:  # fmt: skip
    if path is None:
        return _all(student, lesson, "not handed in", "No file of this notebook is there.")
    try:
        if path.stat().st_size > LARGEST:
            says = f"The file has {path.stat().st_size / 1e6:,.0f} MB; {LARGEST / 1e6:,.0f} are "
            return _all(student, lesson, "unreadable", says + "enough. Clear its outputs.")
        planned = plan(lesson, read(path), quick=quick)
    except Exception as error:  # whatever somebody called a notebook
        says = f"The file is no notebook that can be read ({type(error).__name__})."
        return _all(student, lesson, "unreadable", says)
    told = environment(own, my_llama, closed)
    try:
        heard = _listen(planned, own, told, limits)
    except OSError as error:  # of the machine, not of the student
        return _all(student, lesson, NOT_GRADED, str(error))
    except Exception as error:  # a reply that nobody honest sends
        says = f"The notebook's kernel gave an answer that is none ({type(error).__name__})."
        return _all(student, lesson, "unreadable", says)
    texts = {name: said["text"] for name, said in heard.said.items() if said["kind"] == "passed"}
    sure = confirm(texts, told, limits)
    return [_mark(student, lesson, e, planned, heard, sure) for e in lesson.exercises]


def _listen(planned: Plan, own: Path, told: dict[str, str], limits: Limits) -> Heard:
    """Run the steps; where one ends the kernel, begin anew without it. OSError if no kernel can
    be made ready, before anything of the student's has run."""
    heard, left_out, spent = Heard(), set[int](), 0.0
    for _ in range(BEGINNINGS):
        with ExitStack() as stack:
            try:
                kernel = stack.enter_context(_ready(own, told, limits))
            except Exception:
                if left_out:
                    return heard  # something that the notebook left behind
                raise
            for number, step in enumerate(planned.steps):
                if number in left_out or step.check in heard.said:
                    continue
                if spent > limits.in_all:
                    return heard
                _take(kernel, step, heard)
                spent += kernel.watch.seconds
                if not kernel.alive:
                    left_out.add(number)
                    break
            else:
                return heard
    return heard


@contextmanager
def _ready(own: Path, told: dict[str, str], limits: Limits) -> Iterator[Kernel]:
    """A kernel that begins in a new folder, where no earlier one has left a module for it."""
    place = Path(tempfile.mkdtemp(dir=own))
    with Kernel(place, told | {"IPYTHONDIR": str(place / ".ipython")}, limits) as kernel:
        ready = kernel.ask(f"{INSIDE}.prepare({limits.megabytes})", START)
        if ready.how != "ok":
            raise OSError(f"no kernel can be made ready for grading ({ready.how}) {ready.words}")
        kernel.settle()
        yield kernel


def _take(kernel: Kernel, step: Step, heard: Heard) -> None:
    """Run one step, and note what came of it."""
    if not step.check:
        said = kernel.run(step.code)
        if step.answer and said.how != "ok":
            heard.trouble[step.answer] = _in_words(said, kernel.limits)
        return
    said = kernel.ask(f"{INSIDE}.look({step.check!r})", CHECK)
    found = _card(said.value)
    if found is None:
        found = {"kind": ENDS.get(said.how, "stopped"), "says": _in_words(said, kernel.limits)}
    heard.said[step.check] = found


ENDS = {"time": "never returned", "memory": "memory", "gone": "ended the kernel"}


def _in_words(said: Said, limits: Limits) -> str:
    return {
        "time": f"It was stopped after {limits.seconds:g} seconds.",
        "memory": f"It was stopped at {limits.megabytes:,} MB of memory.",
        "gone": "It ended the kernel (`exit`, `os._exit`, or too much memory).",
    }.get(said.how, f"It stopped with {said.words}")


def _card(value: object) -> dict | None:
    """What `look` said, if it has its form: it comes out of a student's process. Half a character
    becomes a question mark."""
    try:
        said = json.loads(str(value))
        parts = ("kind", "head", "says", "named", "known", "given", "text")
        card = {part: str(said.get(part) or "")[:100_000] for part in parts}
        card = {part: text.encode("utf-8", "replace").decode() for part, text in card.items()}
    except (ValueError, AttributeError, RecursionError):
        return None
    return card if card["kind"] in KINDS else None


def _mark(
    student: str, lesson: Lesson, exercise: Exercise, planned: Plan, heard: Heard, sure: set[str]
) -> Mark:
    mark = _blank(student, lesson, exercise)
    mark = replace(mark, notes=tuple(planned.notes.get(exercise.name, ())))
    if exercise.name in planned.missing:
        return replace(mark, verdict="not there", says="The answer cell is not there any more.")
    said = heard.said.get(exercise.name)
    trouble = heard.trouble.get(exercise.name, "")
    if said is None:
        says = trouble or "The notebook had used up its time, or its kernels, before this check."
        return replace(mark, verdict="out of time", says=says)
    kind = said["kind"]
    if kind == "not defined":
        return replace(mark, verdict=kind, says=f"{said['says']} {trouble}".strip())
    if kind == "passed" and exercise.name not in sure:
        return replace(mark, verdict="not confirmed", says=NOT_CONFIRMED)
    named, known = said.get("named", ""), said.get("known", "")
    return replace(
        mark,
        points=exercise.points if kind == "passed" else 0,
        verdict=kind,
        misconception=named if kind != "passed" and named.isidentifier() else "",
        known=known if kind != "passed" else "",
        **{part: said.get(part, "") for part in ("head", "says", "given")},
    )


NOT_CONFIRMED = (
    "It passed in the notebook, and not in a clean process that runs nothing but the answer, on "
    "other random numbers: something in the notebook has changed the course's judge, or the answer "
    "knows the numbers of the check by heart. Look at it yourself."
)


def _blank(student: str, lesson: Lesson, exercise: Exercise) -> Mark:
    return Mark(student, lesson.name, exercise.name, exercise.title, 0, exercise.points, "")


def _all(student: str, lesson: Lesson, verdict: str, says: str) -> list[Mark]:
    blank = (_blank(student, lesson, exercise) for exercise in lesson.exercises)
    return [replace(mark, verdict=verdict, says=says) for mark in blank]
