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


def half(notebook: Any) -> Any:
    """Every second exercise answered, beginning with the first."""
    full = tool.fill(notebook)
    for cell, empty in list(zip(answers(full), answers(notebook)))[1::2]:
        cell.source = empty.source
    return full


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
