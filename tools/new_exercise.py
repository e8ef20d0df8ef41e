"""A new exercise, whole and small, to be rewritten piece by piece:

    python tools/new_exercise.py nb05 double            # after the lesson's last exercise
    python tools/new_exercise.py nb05 double --after silu
    python tools/new_exercise.py nb05 double --below nb05-24    # under any cell, by its id
    python tools/new_exercise.py nb05 double --remove   # take it out again, without a trace

It writes `llamalab/course/lessons/nb05/double.py` (answer, reference, probes, wrong answers,
hints), names it in the lesson's ORDER, and puts three cells into the notebook: the heading with
number, points and minutes, the stub, and its check with nbgrader's metadata. The exercises behind
it are numbered anew. The tests of every exercise find it by themselves; the last line printed is
the pytest command that runs them on it.
"""

import difflib
import itertools
import re
import sys
from pathlib import Path
from typing import Annotated

import nbformat
import typer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from llamalab.course.classroom.course import answer_of, check_of  # noqa: E402
from tools import notebooks as tool  # noqa: E402

LESSONS = ROOT / "llamalab" / "course" / "lessons"
TEMPLATE = '''"""Notebook {number}: twice each number. Say here what it asks."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def {name}(x):
    return 2 * x


def _reference(x):
    """The same by other means: a library's function, or the package's. Never a copy."""
    return torch.add(x, x)


def _probes():
    """All sizes different, batches of 1 and more, no constants, half precision."""
    g = seeded({seed})
    return [
        (torch.randn(2, 3, 5, generator=g),),
        (torch.randn(1, 1, 4, generator=g),),
        (torch.randn(3, 2, generator=g).bfloat16(),),
    ]


@wrong("You squared: for x = 2 that is the same, and for no other number but 0.")
def squares(x):
    return x * x


@wrong("You gave x back as it came in. Twice of it was asked for.")
def unchanged(x):
    return x.clone()


@wrong("You halved it: the factor stands on the wrong side.")
def halves(x):
    return x / 2


@wrong("You wrote over x, which the caller may still need. Build a new tensor.")
def in_place(x):
    return x.mul_(2)


@wrong("You added 2 instead of multiplying by it.")
def adds_two(x):
    return x + 2


EXERCISE = Exercise(
    name="{name}",
    title="Twice",
    points=1,
    minutes=3,
    answer={name},
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    gradients=True,  # a loss is pulled back through it; leave the line out where that has no sense
    hints=(
        "What is twice a number, in one operation?",
        "One product, and nothing is changed in x itself.",
    ),
)
'''
STUB = '''def {name}(x):
    """Twice each number.

    x: any shape, any float dtype.  Returns the same shape and dtype.
    Example: [1., -3.] gives [2., -6.].
    """
    ...'''
CHECK = "ex.{name}.check({name})"
WORDS = "### Exercise 0: twice · 1 point, 3 minutes"
HEADING = re.compile(r"^### Exercise (\d+)(?=:)", re.M)


def cells(lesson: str, name: str, points: int) -> list[nbformat.NotebookNode]:
    """The heading, the stub and its check, with the metadata that nbgrader asks for."""
    common = {"schema_version": 3, "task": False}
    stub = common | {"grade": False, "grade_id": name, "locked": False, "solution": True}
    check = common | {"grade": True, "grade_id": f"check-{name}", "locked": True, "solution": False}
    made = [nbformat.v4.new_markdown_cell(WORDS, id=_id(lesson, f"{name}-words"))]
    for text, grading in ((STUB, stub), (CHECK, check | {"points": points})):
        identity = _id(lesson, str(grading["grade_id"]))
        cell = nbformat.v4.new_code_cell(text.format(name=name), id=identity)
        cell.metadata.update(nbgrader=grading, tags=["nbval-check-output"])
        made.append(cell)
    return made


def add(lesson: str, name: str, after: str | None = None, below: str | None = None) -> list[str]:
    """Behind the check of `after`, or under the cell `below`. The exercises that come after it, and
    are numbered anew. ValueError if there is such an exercise already, or no such lesson or place.
    """
    folder, path = _places(lesson)
    order = _order(folder)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name for an exercise: small letters, digits and _")
    if (folder / f"{name}.py").exists() or any(name in _order(f) for f in LESSONS.glob("nb*")):
        raise ValueError(f"there is an exercise called {name!r} already")
    if after and below:
        raise ValueError("--after names an exercise and --below a cell: one of the two")
    notebook = tool.read(path)
    place = _under(notebook, below) if below else _behind(notebook, after or order[-1], order)
    before = sum(check_of(cell) in order for cell in notebook.cells[:place])
    notebook.cells[place:place] = cells(lesson, name, points=1)
    text = TEMPLATE.format(number=lesson[2:], name=name, seed=1000 + len(order))
    (folder / f"{name}.py").write_text(text, encoding="utf-8", newline="\n")
    order.insert(before, name)
    _write_order(folder, order)
    _number(notebook)
    tool.write(notebook, path)
    return order[before + 1 :]


def remove(lesson: str, name: str) -> None:
    """Take file, name and cells out again. ValueError if there is no such exercise."""
    folder, path = _places(lesson)
    order = _order(folder)
    if name not in order:
        raise ValueError(f"{lesson} has no exercise {name!r}; it has {', '.join(order)}")
    notebook = tool.read(path)
    notebook.cells = [
        cell
        for cell in notebook.cells
        if name not in (answer_of(cell), check_of(cell)) and cell.id != _id(lesson, f"{name}-words")
    ]
    (folder / f"{name}.py").unlink()
    order.remove(name)
    _write_order(folder, order)
    _number(notebook)
    tool.write(notebook, path)


def _id(lesson: str, words: str) -> str:
    """A cell's id: nb05-check-double."""
    return f"{lesson}-{words.replace('_', '-')}"


def _behind(notebook: nbformat.NotebookNode, after: str, order: list[str]) -> int:
    if after not in order:
        raise ValueError(f"the lesson has no exercise {after!r}; it has {', '.join(order)}")
    return [check_of(cell) for cell in notebook.cells].index(after) + 1


def _under(notebook: nbformat.NotebookNode, below: str) -> int:
    ids = [cell.id for cell in notebook.cells]
    if below not in ids:
        near = ", ".join(difflib.get_close_matches(below, ids)) or f"{ids[0]} … {ids[-1]}"
        raise ValueError(f"the notebook has no cell {below!r}; it has {near}")
    answered = answer_of(notebook.cells[ids.index(below)])
    if answered:
        raise ValueError(f"{below} is the stub of {answered}; its check has to follow it")
    return ids.index(below) + 1


def _number(notebook: nbformat.NotebookNode) -> None:
    """The headings of the exercises are counted through, from 1."""
    numbers = itertools.count(1)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = HEADING.sub(lambda _: f"### Exercise {next(numbers)}", cell.source)


def _places(lesson: str) -> tuple[Path, Path]:
    folder = LESSONS / lesson
    if not re.fullmatch(r"nb\d\d", lesson) or not folder.is_dir():
        known = ", ".join(sorted(path.name for path in LESSONS.glob("nb*")))
        raise ValueError(f"there is no lesson {lesson!r}; there are {known}")
    (path,) = tool.find([lesson[2:]])
    return folder, path


_NAMES = re.compile(r"^ORDER = \((.*?)\)$", re.S | re.M)


def _order(folder: Path) -> list[str]:
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    found = _NAMES.search(text)
    if not found:
        raise ValueError(f"{folder / '__init__.py'} has no ORDER")
    return re.findall(r'"(\w+)"', found[1])


def _write_order(folder: Path, order: list[str]) -> None:
    path = folder / "__init__.py"
    lines = "".join(f'    "{name}",\n' for name in order)
    text = _NAMES.sub(f"ORDER = (\n{lines})", path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8", newline="\n")


def main(
    lesson: Annotated[str, typer.Argument(help="nb05 for notebook 05")],
    name: Annotated[str, typer.Argument(help="such as double")],
    after: Annotated[str | None, typer.Option(help="the exercise that it follows")] = None,
    below: Annotated[str | None, typer.Option(help="the id of the cell that it follows")] = None,
    taken_out: Annotated[bool, typer.Option("--remove", help="take it out again")] = False,
) -> None:
    try:
        if taken_out:
            remove(lesson, name)
            print(f"{name} is gone from {lesson}")
            return
        moved = add(lesson, name, after, below)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    print(f"llamalab/course/lessons/{lesson}/{name}.py is a whole exercise, about twice a number:")
    print(
        "it passes as it is. Rewrite it, its stub in the notebook and the heading above the stub."
    )
    if moved:
        print(f"{', '.join(moved)}: the headings have new numbers; texts that name the old do not.")
    print("CONTRIBUTING.md, An exercise, says where its points and minutes are repeated.")
    print(f"python tools/notebooks.py refresh {lesson[2:]}")
    print(f"python -m pytest -n0 tests/course/lessons -k {name}")


if __name__ == "__main__":
    typer.run(main)
