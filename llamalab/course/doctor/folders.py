"""Your answers, the notebooks, the package: are they here, whole, and of one course?"""

import ast
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePath

import llamalab
from llamalab.course.doctor.machine import nearest
from llamalab.course.doctor.report import Finding, install
from llamalab.course.doctor.software import IMPORTED, NEEDED, OPTIONAL
from llamalab.runtime import paths

LONGEST_WINDOWS_PATH = 259
ROOM_BELOW = 100  # characters: the course's own longest name has 53, and a run has names too


def answers() -> Iterator[Finding]:
    """Where your answers are kept, whether they can be, and which no longer read as Python."""
    place, named = paths.answers_folder(), _named()
    try:
        with tempfile.TemporaryFile(dir=nearest(place)):  # the rest would be made
            pass
    except OSError as error:
        way_out = f"Set {paths.ANSWERS_VARIABLE} to a folder that you may write to."
        yield Finding("your answers", f"{named} cannot be written ({error})", False, way_out)
        return
    yield Finding("your answers", f"kept in {named}")
    if broken := unreadable(place):
        way_out = "Check the exercise again to write the file anew, or delete the file."
        yield Finding("broken answers", "; ".join(broken), False, way_out)


def unreadable(folder: Path) -> list[str]:
    """The files that do not parse, each with the line and what is wrong there. Nothing is run."""
    found = []
    for path in sorted(folder.glob("*.py")):
        try:
            ast.parse(path.read_text(encoding="utf-8"), filename=path.name)
        except SyntaxError as error:
            found.append(f"{path.name}, line {error.lineno or 1}: {error.msg}")
        except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a null byte
            found.append(f"{path.name}: {error}")
    return found


def notebooks() -> Iterator[Finding]:
    """The notebooks; and what lies beside them that should not."""
    course = paths.find_course(Path.cwd())
    if course is None:
        yield Finding(
            "notebooks", "not found from here", False, "Go to the folder that you cloned."
        )
        return
    found = len(list((course / "notebooks").glob("[0-9][0-9]_*.ipynb")))
    yield Finding("notebooks", f"{found} found")
    yield from two_courses(course, Path(llamalab.__file__).resolve().parents[1])
    yield from hidden(Path.cwd(), course / "notebooks")
    if sys.platform == "win32":
        yield from on_windows(course)


def two_courses(course: Path, imported: Path) -> Iterator[Finding]:
    """A warning if the notebooks are of `course` and the package is of another folder: then one of
    them may be older than the other."""
    if (course / "llamalab").is_dir() and course.resolve() != imported:
        value = f"the notebooks are in {course}, and the package comes from {imported}"
        yield Finding("two copies", value, False, install())


def hidden(*folders: Path) -> Iterator[Finding]:
    """A warning for files of yours that bear a library's name: `import random` would take them."""
    names = {IMPORTED.get(name, name).partition(".")[0] for name in (*NEEDED, *OPTIONAL)}
    names |= set(sys.stdlib_module_names)
    found = {p for folder in folders for p in folder.glob("*.py") if p.stem in names}
    for path in sorted(found):
        value = f"{path.name} hides Python's own, or a library, of that name"
        way_out = f"Give {path} another name and restart the kernel."
        yield Finding("hidden module", value, False, way_out)


def on_windows(course: PurePath) -> Iterator[Finding]:
    """What a folder's place can do to it on Windows: long paths, and OneDrive."""
    if len(str(course)) + ROOM_BELOW > LONGEST_WINDOWS_PATH:
        way_out = r"Windows ends a path at 260 characters: move the course up, to C:\llamalab, say."
        yield Finding("long path", f"{len(str(course))} characters", False, way_out)
    if any(part.lower().startswith("onedrive") for part in course.parts):
        way_out = (
            "It may hold a file while it copies it. If saving fails, move the course elsewhere."
        )
        yield Finding("OneDrive", "keeps a copy of this folder", way_out=way_out)


def _named() -> str:
    """The answers' folder in words that hold on every machine, since notebook 00 shows them."""
    place, course = paths.answers_folder(), paths.find_course(Path.cwd())
    if os.environ.get(paths.ANSWERS_VARIABLE):
        return f"the folder that {paths.ANSWERS_VARIABLE} names"
    if course is not None and place.is_relative_to(course):
        return f"{place.relative_to(course)} in the course's folder"
    return str(place)
