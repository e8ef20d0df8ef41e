"""The folder that `classroom release` writes, through nbgrader's own command line: solved, blank,
half-solved and hostile copies are graded, and everybody gets feedback.

That every notebook is an assignment with its points: tests/notebooks/test_nbgrader.py.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llamalab.cli import app
from tests.course.classroom import hand_in
from tools import notebooks as tool

NAME = "03_rope"
MARKS = {"solved": [1, 3, 3, 4], "blank": [0, 0, 0, 0], "half": [1, 0, 3, 0]}
MARKS |= {"hostile": [0, 0, 0, 4], "ended": [0, 0, 3, 0]}
EXERCISES = ("rope_angles", "rope", "permute_rope", "rope_stretch")


def nbgrader(course: Path, *words: str) -> str:
    told = dict(os.environ)
    told["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), told["PATH"]])  # alembic
    told["PYTHONPATH"] = os.pathsep.join([str(tool.ROOT), told["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words],
        cwd=course, capture_output=True, encoding="utf-8", errors="replace",
        env=told,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = tmp_path_factory.mktemp("classroom") / "course"
    words = ["classroom", "release", str(course), "--notebooks", "03", "--due", "03=2027-01-15"]
    done = CliRunner().invoke(app, [*words, "--seconds", "8"])
    assert done.exit_code == 0, done.output
    released = tool.read(course / "release" / NAME / f"{NAME}.ipynb")
    nbgrader(course, "db", "assignment", "import", "assignments.csv")
    nbgrader(course, "generate_assignment", NAME, "--force")
    written = tool.read(course / "release" / NAME / f"{NAME}.ipynb")
    secret = course / "submitted" / "solved" / NAME / f"{NAME}.ipynb"
    for student in MARKS:
        path = course / "submitted" / student / NAME / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        change = getattr(hand_in, student)
        more = [str(secret)] if student == "hostile" else []
        tool.write(change(hand_in.short(written), *more), path)
    nbgrader(course, "autograde", NAME)
    nbgrader(course, "generate_feedback", NAME)
    return course, released, written


@pytest.fixture(scope="module")
def book(course):
    from nbgrader.api import Gradebook

    with Gradebook(f"sqlite:///{course[0] / 'gradebook.db'}") as book:
        yield book


def test_nbgrader_writes_the_same_copy_for_students(course):
    _, ours, theirs = course
    assert [cell.source for cell in ours.cells] == [cell.source for cell in theirs.cells]


def test_the_date_and_the_points_are_in_the_gradebook(book):
    assignment = book.find_assignment(NAME)
    assert str(assignment.duedate) == "2027-01-15 23:59:59"
    assert assignment.max_score == 11


@pytest.mark.parametrize("student", MARKS)
def test_the_marks(book, student):
    notebook = book.find_submission_notebook(NAME, NAME, student)
    scores = {grade.name.removeprefix("check-"): grade.score for grade in notebook.grades}
    assert [scores[name] for name in EXERCISES] == MARKS[student]


@pytest.mark.parametrize("student", MARKS)
def test_there_is_feedback(course, student):
    page = course[0] / "feedback" / student / NAME / f"{NAME}.html"
    text = page.read_text(encoding="utf-8")
    assert re.search(rf"Score: {sum(MARKS[student])}(\.0)? / 11(\.0)?", text)


def test_what_ended_the_kernel_says_so(course):
    page = tool.read(course[0] / "autograded" / "ended" / NAME / f"{NAME}.ipynb")
    errors = [o.ename for cell in hand_in.answers(page) for o in cell.outputs if "ename" in o]
    assert errors == ["KernelEnded"] * len(hand_in.ENDS)


def test_the_wall_stood(course):
    page = tool.read(course[0] / "autograded" / "hostile" / NAME / f"{NAME}.ipynb")
    text = "\n".join(str(cell.get("outputs", "")) for cell in page.cells)
    assert "the grader closes this folder" in text
    assert "192.0.2.1" in text and "PermissionError" in text
    assert len(text) < 300_000


class Says:
    """A kernel's client that has one answer to everything."""

    def __init__(self, parent, **content):
        self.reply = {"parent_header": {"msg_id": parent}, "content": content}

    def execute(self, code, **how):
        return "asked"

    async def get_shell_msg(self, timeout):
        return self.reply


@pytest.mark.parametrize(
    "client, words",
    [
        (Says("asked", status="ok"), ""),
        (Says("asked", status="error", ename="RuntimeError", evalue="no wall"), "no wall"),
        (Says("another", status="ok"), "gave no answer"),
    ],
)
def test_no_wall_no_grading(client, words, monkeypatch):
    from nbclient import NotebookClient

    from llamalab.course.classroom.walled import WalledExecute

    ended = []

    async def begin(self):
        return client

    async def end(self):
        ended.append(self)

    monkeypatch.setattr(NotebookClient, "async_start_new_kernel_client", begin)
    monkeypatch.setattr(NotebookClient, "_async_cleanup_kernel", end)
    start = WalledExecute().async_start_new_kernel_client()
    if words:
        with pytest.raises(RuntimeError, match=words):
            asyncio.run(start)
    else:
        assert asyncio.run(start) is client
    assert bool(ended) == bool(words)
