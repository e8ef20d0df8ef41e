"""Who handed in what.

    DIR/anna/02_embeddings_and_rmsnorm.ipynb      a folder a student, at any depth below it: the
    DIR/anna/02_…/02_….ipynb                      submitted/ of nbgrader is such a folder
    DIR/anna_02_embeddings_and_rmsnorm.ipynb      or flat, the student's name first

A notebook is known by its file's name. Links are not followed: one could lead to a neighbour.
"""

from dataclasses import dataclass, field
from pathlib import Path

from llamalab.course.classroom.course import Lesson

LARGEST = 50 * 10**6  # bytes of a notebook; the course's own have less than one million


@dataclass
class Submissions:
    """files: by student and lesson's name. left_out: what was not taken, and why."""

    files: dict[str, dict[str, Path]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def take(self, student: str, lesson: str, path: Path, folder: Path) -> None:
        """Note a student's notebook, or why it is left out: a link, or a second one."""
        name = path.relative_to(folder).as_posix()
        here = self.files.setdefault(student, {})
        if path.is_symlink():
            self.left_out.append(f"{name}: a link, and links are not followed")
        elif lesson in here:
            first = here[lesson].relative_to(folder).as_posix()
            self.left_out.append(f"{name}: a second one; {first} is graded")
        else:
            here[lesson] = path


def collect(folder: Path, lessons: list[Lesson]) -> Submissions:
    """What lies in a folder. ValueError if there is nothing to grade in it."""
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    names = {lesson.name for lesson in lessons}
    found = Submissions()
    for path in sorted(folder.rglob("*.ipynb")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") for part in parts):
            continue  # .ipynb_checkpoints
        if any(folder.joinpath(*parts[:n]).is_symlink() for n in range(1, len(parts))):
            found.left_out.append(f"{'/'.join(parts)}: behind a link, and links are not followed")
        elif len(parts) > 1:
            if path.stem in names:
                found.take(parts[0], path.stem, path, folder)
            else:
                found.left_out.append(f"{'/'.join(parts)}: not the name of a notebook asked for")
        else:
            lesson = next((name for name in names if path.stem.endswith(f"_{name}")), "")
            if lesson:
                found.take(path.stem.removesuffix(f"_{lesson}"), lesson, path, folder)
            else:
                found.left_out.append(f"{path.name}: no student's name before a notebook's")
    for place in sorted(folder.iterdir()):  # a student with an empty folder is listed too
        if place.is_dir() and not place.is_symlink() and not place.name.startswith("."):
            found.files.setdefault(place.name, {})
    if not any(found.files.values()):
        raise ValueError(
            f"there is nothing to grade in {folder}: no STUDENT/NOTEBOOK.ipynb and no "
            f"STUDENT_NOTEBOOK.ipynb, where NOTEBOOK is one of {', '.join(sorted(names))}"
        )
    found.files = dict(sorted(found.files.items()))
    return found
