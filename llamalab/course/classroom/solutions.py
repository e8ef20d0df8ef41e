"""The teacher's version of a notebook: the course's answers, between the lines that nbgrader cuts.

A student's answer cell is a def, its docstring and `...`. The teacher's has the answer in the place
of the `...`; cut out again, with `...` as nbgrader's stub, it is the student's cell to the letter.
"""

import ast
import copy
from typing import Any

from llamalab.course.catalogue import find
from llamalab.course.classroom.course import answer_of
from llamalab.course.engine.source import source_of

BEGIN, END, STUB = "### BEGIN SOLUTION", "### END SOLUTION", "..."


def teachers(notebook: Any) -> Any:
    """A copy with every answer filled in."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        if answer_of(cell):
            cell.source = solve(cell.source, answer_of(cell))
    return made


def solve(stub: str, exercise: str) -> str:
    """A student's blank cell with the course's answer in it. ValueError if it is not blank."""
    head, gap, rest = stub.rstrip().rpartition("\n")
    indent = rest[: len(rest) - len(rest.lstrip())]
    if rest.strip() != STUB or not indent:
        raise ValueError(f"the answer cell of {exercise!r} does not end in a lone {STUB}")
    body = [f"{indent}{BEGIN}", *_body(exercise, indent), f"{indent}{END}"]
    return head + gap + "\n".join(body)


def _body(exercise: str, indent: str) -> list[str]:
    """The lines of the answer, without def and docstring."""
    text = source_of(find(exercise).answer)
    made = ast.parse(text).body[0]
    assert isinstance(made, ast.FunctionDef)
    first = made.body[0].lineno
    if ast.get_docstring(made) is not None:
        first = (made.body[0].end_lineno or first) + 1
    lines = text.rstrip().splitlines()[first - 1 :]
    before = text.splitlines()[made.lineno - 1 : first - 1]
    comments = [line for line in before if line.strip().startswith("#")]
    return [indent + line[4:] if line.strip() else "" for line in [*comments, *lines]]
