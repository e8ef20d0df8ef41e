"""The course's own notebooks: where they lie, their answer cells and their check cells."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from llamalab.course.catalogue import catalogue
from llamalab.course.engine import Exercise
from llamalab.runtime import paths


def notebooks_folder() -> Path:
    """Where the notebooks lie. FileNotFoundError if the course is not here."""
    course = paths.find_course(Path.cwd())
    if course is None:
        raise FileNotFoundError(
            f"the course's notebooks are neither in {Path.cwd()} nor above it; go to the folder "
            f"that you cloned and try again"
        )
    return course / "notebooks"


def find(names: Sequence[str] = ()) -> list["Lesson"]:
    """The lessons of these numbers or names, in order; all without any. ValueError names what
    is not there."""
    there = sorted(notebooks_folder().glob("[0-9][0-9]_*.ipynb"))
    lessons = [Lesson(path) for path in there if path.name[:2] in catalogue()]
    asked = [name for text in names for name in text.replace(",", " ").split()]
    for name in asked:
        if not any(lesson.goes_by(name) for lesson in lessons):
            numbers = ", ".join(lesson.number for lesson in lessons)
            raise ValueError(f"there is no notebook {name!r}; there are {numbers}")
    return [x for x in lessons if not asked or any(x.goes_by(name) for name in asked)]


def read(path: Path) -> Any:
    """A notebook in the newest format. nbformat's own errors, or ValueError, for a file that
    is not one."""
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    if not isinstance(notebook.get("cells"), list):
        raise ValueError(f"{path.name} has no cells")
    return notebook


@dataclass(frozen=True)
class Lesson:
    """One notebook of the course, and its exercises."""

    path: Path

    @property
    def number(self) -> str:
        return self.path.name[:2]

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def exercises(self) -> tuple[Exercise, ...]:
        return catalogue()[self.number]

    @property
    def points(self) -> int:
        return sum(exercise.points for exercise in self.exercises)

    @cached_property
    def notebook(self) -> Any:
        return read(self.path)

    def goes_by(self, name: str) -> bool:
        return name in (self.number, self.name, self.path.name)

    @cached_property
    def answer_ids(self) -> dict[str, str]:
        """The cell ids of the answer cells, and whose they are."""
        return {cell.id: found for cell in self.notebook.cells if (found := answer_of(cell))}

    @cached_property
    def check_ids(self) -> dict[str, str]:
        return {cell.id: found for cell in self.notebook.cells if (found := check_of(cell))}

    @cached_property
    def sources(self) -> dict[str, str]:
        """Every cell's text, by the cell's id."""
        return {cell.id: cell.source for cell in self.notebook.cells}


def grading(cell: Any) -> dict:
    """A cell's nbgrader metadata; {} where it has none, or something else in its place."""
    found = cell.get("metadata", {}).get("nbgrader", {})
    return found if isinstance(found, dict) else {}


def answer_of(cell: Any) -> str:
    """The exercise that this cell is the answer cell of, or ""."""
    mark = grading(cell)
    return str(mark.get("grade_id", "")) if mark.get("solution") else ""


def check_of(cell: Any) -> str:
    """The exercise that this cell is the check cell of, or ""."""
    name = str(grading(cell).get("grade_id", ""))
    return name.removeprefix("check-") if name.startswith("check-") else ""
