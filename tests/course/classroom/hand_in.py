"""Copies that students hand in, for tests: solved, blank, half-solved, and hostile ones."""

import copy
from collections.abc import Callable
from typing import Any

from nbformat.v4 import new_code_cell

from tools import notebooks as tool


def answers(notebook: Any) -> list[Any]:
    return [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("solution")]


def checks(notebook: Any) -> list[Any]:
    return [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]


def solved(notebook: Any) -> Any:
    return tool.fill(notebook)


def blank(notebook: Any) -> Any:
    return copy.deepcopy(notebook)


HALVES = """
def apply_rope(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), -1).to(x.dtype)
"""


def half(notebook: Any) -> Any:
    """Notebook 03: the first and the third exercise right, the second as people get it wrong, the
    last one blank."""
    empty = answers(notebook)[-1].source
    return with_answers(notebook, {"rope": HALVES, "rope_stretch": empty})


def with_answers(notebook: Any, sources: dict[str, str]) -> Any:
    """Solved, but for the exercises named: these hold what is given."""
    full = tool.fill(notebook)
    for cell in answers(full):
        cell.source = sources.get(cell.metadata.nbgrader.grade_id, cell.source)
    return full


def without(notebook: Any, *grade_ids: str) -> Any:
    """The notebook with these cells deleted."""
    kept = copy.deepcopy(notebook)
    mine = (c.metadata.get("nbgrader", {}).get("grade_id") for c in kept.cells)
    kept.cells = [cell for cell, name in zip(kept.cells, mine) if name not in grade_ids]
    return kept


def before(notebook: Any, exercise: str, source: str) -> Any:
    """A cell of the student's own in front of an exercise's answer cell."""
    made = copy.deepcopy(notebook)
    names = [c.metadata.get("nbgrader", {}).get("grade_id") for c in made.cells]
    made.cells.insert(names.index(exercise), new_code_cell(source))
    return made


Change = Callable[[Any], Any]


def short(notebook: Any) -> Any:
    """The notebook without what no answer needs: its imports, the answer and the check cells."""
    kept = copy.deepcopy(notebook)
    kept.cells = [
        cell for cell in kept.cells
        if "nbgrader" in cell.metadata or "from llamalab.course import ex" in cell.source
    ]  # fmt: skip
    return kept


LOOP = "import time\nwhile True:\n    time.sleep(0.01)"
FLOOD = "for _ in range(5):\n    print('x' * 10**6)"
NEIGHBOUR = """
def permute_to_half(weight, n_heads):
    with open({path!r}) as file:
        return file.read()
"""
SOCKET = "import socket\nsocket.create_connection(('192.0.2.1', 9), timeout=3)"


def hostile(notebook: Any, neighbour: str) -> Any:
    """Notebook 03: the angles blank under an edited check; RoPE's two cells deleted; an answer that
    reads a neighbour's file; and only the last exercise solved, behind an endless loop, a flood of
    output, a socket, sys.exit."""
    empty = {cell.metadata.nbgrader.grade_id: cell.source for cell in answers(notebook)}
    made = with_answers(
        notebook,
        {"rope_angles": empty["rope_angles"], "permute_rope": NEIGHBOUR.format(path=neighbour)},
    )
    for cell in checks(made):
        if cell.metadata.nbgrader.grade_id == "check-rope_angles":
            cell.source = "1"
    for source in (LOOP, FLOOD, SOCKET, "import sys\nsys.exit(1)"):
        made = before(made, "rope_stretch", source)
    return without(made, "rope", "check-rope")


ENDS = {  # each costs its own exercise, and no other
    "rope_angles": "import os\nos._exit(0)",
    "rope": "exit()",
    "rope_stretch": "hog = []\nwhile True:\n    hog.append(bytearray(10**8))",
}


def ended(notebook: Any, *more: str) -> Any:
    """Notebook 03: three answers end the kernel or fill its memory, the third exercise is right."""
    return with_answers(notebook, ENDS)
