"""A real nbgrader run: solved gets full marks, blank gets none, half-solved the right half.

Every notebook is made an assignment, which reads all of its metadata. Students hand in the short
ones: that a solved copy of each of the others scores in full is shown in test_notebooks, where
points are read as nbgrader reads them.
The teacher's flow, with nbgrader's own command line: generate the assignment, let three students
hand in, grade automatically, read the gradebook. The notebooks are handed out as they are: their
answer cells are blank already, so nbgrader's ClearSolutions has nothing to do and is left out.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llamalab.course.catalogue import catalogue
from tools import notebooks as tool

CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "llamalab"
c.GenerateAssignment.preprocessors = [
    "nbgrader.preprocessors.IncludeHeaderFooter",
    "nbgrader.preprocessors.LockCells",
    "nbgrader.preprocessors.ComputeChecksums",
    "nbgrader.preprocessors.SaveCells",
]
c.ExecutePreprocessor.timeout = 180
c.ExecutePreprocessor.kernel_name = "python3"
"""
PATHS = tool.find()


def half(notebook):
    """Every second exercise answered, beginning with the first."""
    solved = tool.fill(notebook)
    graded = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]
    blank = {c.id: c.source for c in graded[1::2]}
    for cell in solved.cells:
        cell.source = blank.get(cell.id, cell.source)
    return solved


STUDENTS = {"solved": tool.fill, "blank": lambda notebook: notebook, "half": half}
HANDED_IN = {"solved": ["00", "02"], "blank": ["02"], "half": ["02", "03"]}  # by number
WORK = [(student, path) for student, names in HANDED_IN.items() for path in tool.find(names)]


def expected(number, student):
    points = [e.points for e in catalogue()[number]]
    return {"solved": sum(points), "blank": 0, "half": sum(points[::2])}[student]


@pytest.fixture(scope="module")
def gradebook(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    (course / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    source = course / "source" / "llama"
    source.mkdir(parents=True)
    for path in PATHS:
        tool.write(tool.read(path), source / path.name)
    programs = str(Path(sys.executable).parent)  # nbgrader calls alembic by name
    with pytest.MonkeyPatch.context() as patch:  # put back if nbgrader fails, too
        patch.setenv("LLAMALAB_MY_LLAMA", str(course / "my_llama"))
        patch.setenv("PATH", programs, prepend=os.pathsep)
        yield from graded(course)


def graded(course):
    """Full and reached points by nbgrader's own book, of what these students handed in."""

    def nbgrader(*words):
        done = subprocess.run(
            [sys.executable, "-m", "nbgrader", *words],
            cwd=course, capture_output=True, encoding="utf-8", errors="replace",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    nbgrader("generate_assignment", "llama", "--create")
    for student, change in STUDENTS.items():
        handed_in = course / "submitted" / student / "llama"
        handed_in.mkdir(parents=True)
        for path in tool.find(HANDED_IN[student]):
            released = tool.read(course / "release" / "llama" / path.name)
            tool.write(change(released), handed_in / path.name)
    nbgrader("autograde", "llama")
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        highest = {n.name: n.max_score for n in book.find_assignment("llama").notebooks}
        scores = {
            (student, path.stem): book.find_submission_notebook(path.stem, "llama", student).score
            for student, path in WORK
        }
        yield highest, scores


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_notebook_is_an_assignment_with_its_points(gradebook, path):
    highest, _ = gradebook
    assert highest[path.stem] == sum(e.points for e in catalogue()[path.name[:2]])


@pytest.mark.parametrize("student, path", WORK, ids=lambda part: getattr(part, "stem", part))
def test_the_score(gradebook, student, path):
    _, scores = gradebook
    assert scores[student, path.stem] == expected(path.name[:2], student)
