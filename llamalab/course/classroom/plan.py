"""A notebook that was handed in, as the grader runs it: its cells in their order, and where a check
cell stood, the course's own check.

Cells are known by nbgrader's grade_id, or by their id. A student's check cell is never run,
whatever stands in it; an answer cell that was removed is not replaced. After the last check nothing
is run."""

import ast
from dataclasses import dataclass, field
from typing import Any

from llamalab.course.classroom.course import Lesson, answer_of, check_of

EDITED = "The check cell was changed. The course's own was run in its place."


@dataclass(frozen=True)
class Step:
    """A cell to run, or the check of an exercise. answer: the exercise whose answer cell it is."""

    code: str = ""
    check: str = ""
    answer: str = ""


@dataclass
class Plan:
    """steps: in their order. missing: exercises without an answer cell. notes: by exercise."""

    steps: list[Step] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    notes: dict[str, list[str]] = field(default_factory=dict)


def plan(lesson: Lesson, notebook: Any, *, quick: bool = False) -> Plan:
    """What to run of a student's notebook. quick: of cells that are as the course made them, only
    imports, functions, classes and CONSTANTS, which is all that an answer may take along."""
    cells = [cell for cell in notebook.cells if cell.get("cell_type") == "code"]
    names = [exercise.name for exercise in lesson.exercises]
    answers = _places(cells, names, answer_of, lesson.answer_ids)
    checks = _places(cells, names, check_of, lesson.check_ids)
    made = Plan(missing={name for name in names if name not in answers})
    due: dict[int, str] = {}  # a check after the cell of this number
    for name, place in answers.items():
        there = checks.get(name, -1)
        due[there if there > place else place] = name
    owners = {place: name for name, place in answers.items()}
    for number, cell in enumerate(cells[: max(due, default=-1) + 1]):
        checked = check_of(cell) or lesson.check_ids.get(cell.get("id", ""), "")
        if checked in names:
            if not _is_ours(lesson, cell, checked) and EDITED not in made.notes.get(checked, []):
                made.notes.setdefault(checked, []).append(EDITED)
        else:
            as_it_was = lesson.sources.get(cell.get("id", "")) == cell.source
            short = quick and as_it_was and number not in owners
            for code in definitions(cell.source) if short else [cell.source]:
                made.steps.append(Step(code, answer=owners.get(number, "")))
        if number in due:
            made.steps.append(Step(check=due[number]))
    return made


def _places(cells: list, names: list[str], kind: Any, ids: dict[str, str]) -> dict[str, int]:
    """The number of each exercise's cell; of several the one with the course's id, or the first."""
    found: dict[str, int] = {}
    for number, cell in enumerate(cells):
        by_id = ids.get(cell.get("id", ""), "")
        name = by_id or kind(cell)
        if name in names and (by_id or name not in found):
            found[name] = number
    return found


def _is_ours(lesson: Lesson, cell: Any, name: str) -> bool:
    ours = [lesson.sources[id] for id, checked in lesson.check_ids.items() if checked == name]
    return cell.source.strip() in [source.strip() for source in ours]


def definitions(code: str) -> list[str]:
    """What an answer may take along of a cell: imports, functions, classes, CONSTANTS, and what is
    loaded of the learner's own."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a cell with %magic in it
        return [code]
    lines = code.splitlines()
    return ["\n".join(lines[_first(x) - 1 : x.end_lineno]) for x in tree.body if _defines(x)]


def _first(statement: ast.stmt) -> int:
    """The line that it begins on, decorators too."""
    return min(x.lineno for x in [statement, *getattr(statement, "decorator_list", [])])


def _defines(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign):
        names = [target.id for target in statement.targets if isinstance(target, ast.Name)]
        loads = isinstance(statement.value, ast.Call) and "'load" in ast.dump(statement.value.func)
        return loads or bool(names) and all(name.isupper() for name in names)
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return isinstance(statement, kinds)
