"""Everybody's notebooks graded, and the pages written: marks.csv, students/NAME.html, class.html.

Lessons that nobody handed in are not asked of anybody. After each student page and marks.csv are
written, so that what was graded is there when somebody stops the rest; class.html comes last.
"""

from collections.abc import Iterator
from pathlib import Path

from llamalab.course.classroom import folder as own_folder
from llamalab.course.classroom.class_page import class_page
from llamalab.course.classroom.course import Lesson
from llamalab.course.classroom.grade import NOT_GRADED, grade
from llamalab.course.classroom.kernel import Limits
from llamalab.course.classroom.marks import Mark, table, total
from llamalab.course.classroom.report import report
from llamalab.course.classroom.submissions import collect


def grade_all(
    folder: Path, out: Path, lessons: list[Lesson], limits: Limits, *, quick: bool = False
) -> Iterator[str]:
    """Grade what lies in a folder; a line for a person, each time that there is news. ValueError
    if there is nothing to grade, or `out` is somebody else's; OSError if no kernel begins here."""
    found = collect(folder, lessons)
    if out.resolve() == folder.resolve():
        raise ValueError(f"{out} holds what was handed in; let --out name another folder")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{out} lies in {folder}, where every folder is a student's; "
            f"let --out name one beside it"
        )
    pages = [f"students/{student}.html" for student in found.files]
    own_folder.may_write(out, ["marks.csv", "class.html", *pages])
    handed_in = {name for files in found.files.values() for name in files}
    asked = [lesson for lesson in lessons if lesson.name in handed_in]
    marks: list[Mark] = []
    for student, files in found.files.items():
        own: list[Mark] = []
        for more in grade(student, files, asked, limits, closed=[folder, out], quick=quick):
            if not marks and not own and all(mark.verdict == NOT_GRADED for mark in more):
                raise OSError(more[0].says)  # nor will it be for the next one
            own += more
            yield f"{student}  {more[0].notebook}  {total(more)}  {_in_short(more)}".rstrip()
        marks += own
        page = {f"students/{student}.html": report(student, own)}
        own_folder.write(out, page | {"marks.csv": table(marks)})
    own_folder.write(out, {"class.html": class_page(marks)})
    yield from found.left_out
    yield f"{out}: marks.csv, class.html and a page for each of {len(found.files)} students"


def _in_short(marks: list[Mark]) -> str:
    """What went wrong, exercise by exercise."""
    wrong = [m for m in marks if m.verdict != "passed"]
    if wrong and len({m.verdict for m in wrong}) == 1 and len(wrong) == len(marks):
        return wrong[0].verdict
    return ", ".join(f"{m.exercise}: {m.misconception or m.verdict}" for m in wrong)
