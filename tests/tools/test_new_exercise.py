"""The tool is proved by adding an exercise to a copy of the course, testing it, taking it out."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    place = tmp_path_factory.mktemp("course")
    ignore = shutil.ignore_patterns("__pycache__", "checkpoints")
    for name in ("llamalab", "notebooks", "tests", "tools", "benchmarks", "data"):
        shutil.copytree(ROOT / name, place / name, ignore=ignore)
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / name, place)
    return place


def state(place: Path) -> dict[str, bytes]:
    """Every file that the tool could have touched."""
    found = [*place.glob("llamalab/course/lessons/**/*.py"), *place.glob("notebooks/*.ipynb")]
    return {str(path.relative_to(place)): path.read_bytes() for path in found}


def run(place: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *words],
        cwd=place, capture_output=True, encoding="utf-8", errors="replace",
        # The copy brings its own guard against the network; two of them would call each other.
        env=os.environ | {"PYTHONPATH": str(place), "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip


def tool(place: Path, *words: str) -> subprocess.CompletedProcess:
    return run(place, "tools/new_exercise.py", *words)


def test_added_it_passes_the_tests_of_every_exercise_and_removed_it_leaves_no_trace(copy):
    before = state(copy)
    done = tool(copy, "nb05", "double", "--after", "silu")
    assert done.returncode == 0, done.stderr
    changed = {name for name, content in state(copy).items() if before.get(name) != content}
    assert changed == {
        str(Path("llamalab/course/lessons/nb05/double.py")),
        str(Path("llamalab/course/lessons/nb05/__init__.py")),
        str(Path("notebooks/05_swiglu.ipynb")),
    }
    asked = done.stdout.splitlines()[-1].split()
    assert asked[:3] == ["python", "-m", "pytest"]
    tested = run(copy, *asked[1:], "-q")
    assert tested.returncode == 0, tested.stdout[-3000:]
    passed = int(tested.stdout.split(" passed")[0].split()[-1])
    assert passed >= 11, tested.stdout  # six tests of an exercise, and five wrong answers

    taken = tool(copy, "nb05", "double", "--remove")
    assert taken.returncode == 0, taken.stderr
    assert state(copy) == before


def headings(place: Path) -> list[str]:
    """Each exercise's heading in notebook 05, with the id of the cell before its own."""
    text = (place / "notebooks" / "05_swiglu.ipynb").read_text(encoding="utf-8")
    cells = nbformat.reads(text, as_version=4).cells
    return [
        f"{above.id}: {line}"
        for above, cell in zip(cells, cells[1:])
        for line in re.findall(r"^### Exercise.*$", cell.source, re.M)
    ]


def test_it_stands_below_any_cell_and_those_behind_it_are_counted_on(copy):
    before, old = state(copy), headings(copy)
    done = tool(copy, "nb05", "double", "--below", "nb05-24")
    assert done.returncode == 0, done.stderr
    assert "swiglu, ffn_hidden, swiglu_backward: the headings have new numbers" in done.stdout
    new = headings(copy)
    assert new[1] == "nb05-24: ### Exercise 2: twice · 1 point, 3 minutes"
    assert [line.split("Exercise ")[1][0] for line in new] == list("12345")
    assert [re.sub(r"\d:", ":", line) for line in new[:1] + new[2:]] == [
        re.sub(r"\d:", ":", line) for line in old
    ]
    order = (copy / "llamalab/course/lessons/nb05/__init__.py").read_text(encoding="utf-8")
    assert order.index('"silu"') < order.index('"double"') < order.index('"swiglu"')
    assert tool(copy, "nb05", "double", "--remove").returncode == 0
    assert state(copy) == before


@pytest.mark.parametrize(
    "words, why",
    [
        (("nb05", "silu"), "already"),
        (("nb05", "rope"), "already"),  # of another lesson
        (("nb77", "double"), "there is no lesson 'nb77'"),
        (("nb05", "Double"), "is no name"),
        (("nb05", "double", "--after", "rope"), "has no exercise 'rope'"),
        (("nb05", "double", "--below", "nb05-2x"), "has no cell 'nb05-2x'"),
        (("nb05", "double", "--below", "nb05-22"), "is the stub of silu"),
        (("nb05", "double", "--below", "nb05-24", "--after", "silu"), "one of the two"),
        (("nb05", "double", "--remove"), "has no exercise 'double'"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(copy, words, why):
    before = state(copy)
    done = tool(copy, *words)
    assert done.returncode == 2
    assert why in " ".join(done.stderr.replace("│", " ").split()), done.stderr
    assert state(copy) == before
