"""A quiz about other numbers, its options in another order: neighbours cannot copy an answer.

`quiz.why_tie.ask()` becomes `quiz.why_tie.varied(7).ask()`, and its stored output the page that
this shows. A question about numbers is asked about others (`engine.quiz.varying`), every one in
another order; what it is about, what an option explains, and all points stay. The exercises stay
too: their probes are chosen, not only drawn, and every wrong answer is named by them.
"""

import copy
import re
from pathlib import Path
from typing import Any

from nbformat.v4 import new_output

from llamalab.course.catalogue import quiz

ASKS = re.compile(r"quiz\.(\w+)\.ask\(\)")


def varied(notebook: Any, variant: int) -> Any:
    """A copy with every question as this number has it; 0 changes nothing."""
    made = copy.deepcopy(notebook)
    for cell in made.cells:
        asks = ASKS.fullmatch(cell.source.strip()) if cell.cell_type == "code" else None
        if asks and variant:
            cell.source = f"quiz.{asks[1]}.varied({variant}).ask()"
            shown = getattr(quiz, asks[1]).varied(variant).shown()
            data = {"text/html": shown.html, "text/plain": shown.text}
            count = cell.get("execution_count")
            cell.outputs = [new_output("execute_result", data=data, execution_count=count)]
    return made


def students(path: Path) -> list[str]:
    """The names in a file, one a line. ValueError for none, for one twice, or for one that cannot
    be a folder's name."""
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    names = [line.strip() for line in lines if line.strip()]
    if not names:
        raise ValueError(f"{path} names no student; it should have one a line")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{path} names {twice[0]!r} {names.count(twice[0])} times")
    for name in names:
        if re.search(r'[<>:"/\\|?*\x00-\x1f]', name) or name.startswith(".") or name.endswith("."):
            raise ValueError(f"{name!r} in {path} cannot be the name of a folder everywhere")
    return names
