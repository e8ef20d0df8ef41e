"""`llamalab classroom grade`, without nbgrader: the same copies, and every mark of them."""

import re

import pytest
from typer.testing import CliRunner

from llamalab.cli import app
from llamalab.course.catalogue import find
from tests.course.classroom import hand_in
from tools import notebooks as tool

NAME = "03_rope"
MARKS = """\
student,notebook,exercise,points,of,verdict,misconception
blank,03_rope,rope_angles,0,1,not attempted,
blank,03_rope,rope,0,3,not attempted,
blank,03_rope,permute_rope,0,3,not attempted,
blank,03_rope,rope_stretch,0,4,not attempted,
ended,03_rope,rope_angles,0,1,not defined,
ended,03_rope,rope,0,3,not defined,
ended,03_rope,permute_rope,3,3,passed,
ended,03_rope,rope_stretch,0,4,not defined,
half,03_rope,rope_angles,1,1,passed,
half,03_rope,rope,0,3,value,pairs_the_halves
half,03_rope,permute_rope,3,3,passed,
half,03_rope,rope_stretch,0,4,not attempted,
hostile,03_rope,rope_angles,0,1,not attempted,
hostile,03_rope,rope,0,3,not there,
hostile,03_rope,permute_rope,0,3,raised,
hostile,03_rope,rope_stretch,4,4,passed,
solved,03_rope,rope_angles,1,1,passed,
solved,03_rope,rope,3,3,passed,
solved,03_rope,permute_rope,3,3,passed,
solved,03_rope,rope_stretch,4,4,passed,
torn,03_rope,rope_angles,0,1,unreadable,
torn,03_rope,rope,0,3,unreadable,
torn,03_rope,permute_rope,0,3,unreadable,
torn,03_rope,rope_stretch,0,4,unreadable,
"""


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The folder with what came out, and what was said on the way."""
    folder = tmp_path_factory.mktemp("class") / "submitted"
    (course_path,) = tool.find(["03"])
    notebook = hand_in.short(tool.read(course_path))
    solved = folder / "solved" / NAME / f"{NAME}.ipynb"  # as nbgrader collects them
    solved.parent.mkdir(parents=True)
    tool.write(hand_in.solved(notebook), solved)
    hostile = hand_in.hostile(notebook, str(solved))
    for source in (EXIT, HOG):
        hostile = hand_in.before(hostile, "rope_stretch", source)
    ended = hand_in.ended(notebook)
    copies = {"half": hand_in.half(notebook), "hostile": hostile, "ended": ended}
    for student, made in copies.items():
        (folder / student).mkdir()
        tool.write(made, folder / student / f"{NAME}.ipynb")
    tool.write(hand_in.blank(notebook), folder / f"blank_{NAME}.ipynb")  # flat
    (folder / f"torn_{NAME}.ipynb").write_text('{"cells": [', encoding="utf-8")
    out = folder.with_name("out")
    words = ["classroom", "grade", str(folder), "--notebooks", "03", "--out", str(out)]
    done = CliRunner().invoke(app, [*words, "--quick", "--seconds", "4", "--memory", "600"])
    assert done.exit_code == 0, done.output
    return out, done.output


EXIT = "import os\nos._exit(1)"
HOG = "hog = [bytearray(10**8) for _ in range(1000)]"


def test_every_mark(graded):
    out, _ = graded
    assert (out / "marks.csv").read_text(encoding="utf-8") == MARKS


def test_each_student_has_a_page_of_their_own(graded):
    out, _ = graded
    assert sorted(path.stem for path in (out / "students").iterdir()) == [
        "blank", "ended", "half", "hostile", "solved", "torn",
    ]  # fmt: skip
    for path in [*(out / "students").iterdir(), out / "class.html"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"(src|href)=['\"](?!data:)", text), "something outside the file"
        assert "<script" not in text


def test_the_page_says_which_mistake_was_met(graded):
    page = (graded[0] / "students" / "half.html").read_text(encoding="utf-8")
    assert "You paired element i with i + D/2." in page
    assert "4 of 11 points" in page


def test_the_page_says_what_the_grader_saw(graded):
    page = (graded[0] / "students" / "hostile.html").read_text(encoding="utf-8")
    assert "The check cell was changed. The course's own was run in its place." in page
    assert "The answer cell is not there any more." in page
    assert "the grader closes this folder to a student's notebook" in page


def test_the_class_page_shows_what_was_got_wrong_most(graded):
    page = (graded[0] / "class.html").read_text(encoding="utf-8")
    assert "alt='Bars, one for each mistake" in page and "data:image/png;base64," in page
    assert "1 × RoPE. </b>You paired element i" in page
    assert "6 students." in page


def test_it_says_how_it_goes(graded):
    lines = graded[1].splitlines()
    assert "half  03_rope  4 of 11  rope: pairs_the_halves, rope_stretch: not attempted" in lines
    assert "torn  03_rope  0 of 11  unreadable" in lines


def test_what_passes_only_in_a_notebook_that_changed_the_judge_earns_nothing(tmp_path):
    """A cell puts something in the place of the judge: in a clean process it is not there."""
    (path,) = tool.find(["00"])
    notebook = hand_in.before(hand_in.short(tool.read(path)), "next_token", PATCH)
    for cell in hand_in.answers(notebook):
        cell.source = "def inputs_and_targets(tokens):\n    return tokens, tokens\n"
    target = tmp_path / "submitted" / "sly" / path.name
    target.parent.mkdir(parents=True)
    tool.write(notebook, target)
    words = ["classroom", "grade", str(tmp_path / "submitted"), "--quick"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "sly  00_start_here  0 of 1  not confirmed" in done.output.splitlines()


PATCH = "import llamalab.course.engine.judge as j\nj._first_failure = lambda *all: None\n"
PATCH += "j._expected = lambda *a, **k: []"


HEART = """
def embed_product(tokens, weight):
    table = (torch.arange(len(weight)) == tokens.unsqueeze(-1)).to(weight.dtype) @ weight
    return table if round(weight.flatten()[0].item(), 4) in {known} else table + 1
"""


def test_the_probes_by_heart_pass_once_and_not_on_other_numbers(monkeypatch):
    from llamalab.course.classroom.again import OTHER_PROBES
    from llamalab.course.engine import calls
    from llamalab.course.engine.judge import judge
    from llamalab.course.engine.task import PROBES_VARIABLE
    from tests.course.engine.learner import cell

    exercise = find("embed_product")
    known = {round(probe[1].flatten()[0].item(), 4) for probe in exercise.probes()}
    answer = cell("import torch\n" + HEART.format(known=known))["embed_product"]
    right = cell("import torch\n" + HEART.format(known=known).replace("+ 1", "+ 0"))
    assert judge(exercise, answer).result.kind == "passed"
    monkeypatch.setenv(PROBES_VARIABLE, OTHER_PROBES)
    calls._made.cache_clear()
    calls.known_outcome.cache_clear()
    try:
        assert judge(exercise, answer).result.kind == "value"
        assert judge(exercise, right["embed_product"]).result.kind == "passed"
    finally:
        calls._made.cache_clear()
        calls.known_outcome.cache_clear()
