"""Hand the course out: a folder that nbgrader takes for a course of its own.

    source/ASSIGNMENT/NOTEBOOK.ipynb    the teacher's, with the answers marked
    release/ASSIGNMENT/NOTEBOOK.ipynb   the students', which nbgrader would write the same way
    handout/STUDENT/ASSIGNMENT/…        where students are named: each with a quiz of their own
    nbgrader_config.py  assignments.csv (until when)  points.md (what counts how much, what next)

An assignment is a notebook, and has its name.
"""

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat

from llamalab.course.classroom import dues, folder
from llamalab.course.classroom.course import Lesson
from llamalab.course.classroom.kernel import Limits
from llamalab.course.classroom.solutions import STUB, teachers
from llamalab.course.classroom.variant import varied

DEFAULT = Limits()


def release(
    where: Path, lessons: list[Lesson], *, due: dict[str, datetime] | None = None,
    variant: int = 0, students: Sequence[str] = (), limits: Limits = DEFAULT,
) -> list[str]:  # fmt: skip
    """Write the folder; the names of its files. ValueError if it is not ours to write in."""
    due = due or {}
    files = {
        "nbgrader_config.py": config(limits),
        "assignments.csv": dues.table(lessons, due),
        "points.md": points(lessons, due),
    }
    for lesson in lessons:
        name = f"{lesson.name}/{lesson.path.name}"
        notebook = varied(lesson.notebook, variant)
        files[f"source/{name}"] = _text(teachers(notebook))
        files[f"release/{name}"] = _text(notebook)
        for number, student in enumerate(students, variant + 1):
            files[f"handout/{student}/{name}"] = _text(varied(lesson.notebook, number))
    folder.write(where, files, again="release/")
    return list(files)


def _text(notebook: Any) -> str:
    return nbformat.writes(notebook) + "\n"


def points(lessons: list[Lesson], due: dict[str, datetime]) -> str:
    """points.md."""
    return "\n".join([*_table(lessons, due), "", *NEXT, ""])


def _table(lessons: list[Lesson], due: dict[str, datetime]) -> Iterator[str]:
    yield "# Points\n"
    for lesson in lessons:
        until = dues.in_words(due.get(lesson.name))
        yield f"## {lesson.name}: {lesson.points} points" + (f", due {until}" if until else "")
        yield "\n| exercise | points | minutes |\n|---|--:|--:|"
        for exercise in lesson.exercises:
            yield f"| {exercise.title} | {exercise.points} | {exercise.minutes} |"
        yield ""
    yield f"{sum(lesson.points for lesson in lessons)} points in all."


NEXT = """\
# What next

In this folder, with nbgrader, ASSIGNMENT being one of the names above:

    nbgrader db assignment import assignments.csv
    nbgrader generate_assignment ASSIGNMENT --force

Hand out `release/ASSIGNMENT/` (or each student's own folder in `handout/`). Put what comes back
into `submitted/STUDENT/ASSIGNMENT/`, then

    nbgrader autograde ASSIGNMENT
    nbgrader generate_feedback ASSIGNMENT

On a hub nbgrader carries them to and fro: `nbgrader release_assignment ASSIGNMENT` hands out,
`nbgrader collect ASSIGNMENT` fetches, `nbgrader release_feedback ASSIGNMENT` gives back.

Without nbgrader: `llamalab classroom grade submitted`.

The answers stand in the package that every student has (`ex.NAME.solution()` shows them): these
are points for having done it, not an examination.""".splitlines()


def config(limits: Limits) -> str:
    """nbgrader_config.py."""
    return f'''"""What nbgrader needs to know of llamalab; `llamalab classroom release` wrote it."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "llamalab"

# The students' copy: the answers cut out, the outputs kept, for those who read without a kernel.
c.ClearSolutions.code_stub = {{"python": "{STUB}"}}
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.IncludeHeaderFooter",
    "nbgrader.preprocessors.ClearSolutions",
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
    "nbgrader.preprocessors.CheckCellMetadata",
]

# Grading: each notebook behind a wall (no network, no other program, nothing of its neighbours),
# with a my_llama of its own and, on Linux, a limit on memory. A cell that takes too long is
# stopped, and the rest goes on.
c.Autograde.autograde_preprocessors = [
    "llamalab.course.classroom.walled.WalledExecute",
    "nbgrader.preprocessors.IgnorePattern",
    "nbconvert.preprocessors.ClearMetadataPreprocessor",
    "nbgrader.preprocessors.LimitOutput",
    "nbgrader.preprocessors.SaveAutoGrades",
    "nbgrader.preprocessors.AssignLatePenalties",
    "nbgrader.preprocessors.CheckCellMetadata",
]
c.WalledExecute.megabytes = {limits.megabytes}
c.ExecutePreprocessor.timeout = {math.ceil(limits.seconds)}
c.ExecutePreprocessor.interrupt_on_timeout = True
c.ExecutePreprocessor.raise_on_iopub_timeout = False
c.ExecutePreprocessor.kernel_name = "python3"
'''
