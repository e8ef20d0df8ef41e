"""Run the notebooks and store what they print: `python tools/notebooks.py refresh [NAME …]`.

refresh  executes each notebook as shipped and stores outputs, counts and ids, without anything
         that changes from run to run. A second refresh changes nothing. Cells tagged `live`
         print measured figures: their stored output is kept while only its numbers differ
         (--live stores the new ones).
solve    writes a copy with every exercise's answer filled in (--out FOLDER) and runs it.
check    says which cells are stale, and changes nothing. `live` cells are left out: what they
         print depends on the machine.

The .ipynb is the only source of a lesson; there is no paired script.
"""

import copy
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import nbclient
import nbformat
import typer

from llamalab.runtime.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__
)
Names = Annotated[
    list[str] | None, typer.Argument(help="Names or numbers, such as 01. All if left out.")
]


def find(names: list[str] | None = None) -> list[Path]:
    """The notebooks whose file names start with one of the names, in order."""
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if not names:
        return paths
    chosen = [path for path in paths if any(path.name.startswith(name) for name in names)]
    if not chosen:
        raise typer.BadParameter(f"no notebook starts with {', '.join(names)}")
    return chosen


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    with atomic_write(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
        nbformat.write(notebook, file)


def execute(notebook: nbformat.NotebookNode, my_llama: str | None = None) -> None:
    """Run every cell in a fresh kernel, in place; the first error raises CellExecutionError.
    The learner's folder is an empty one, unless `my_llama` names one."""
    with tempfile.TemporaryDirectory() as empty:
        environment = os.environ | {
            "LLAMALAB_MY_LLAMA": my_llama or empty,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")])),
        }
        client = nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,  # else a slow machine stores two prints as two outputs
            resources={"metadata": {"path": str(NOTEBOOKS)}},
        )
        client.execute(env=environment)


def clean(notebook: nbformat.NotebookNode) -> None:
    """Take out what changes from run to run and says nothing: widget ids, versions, timings."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET, None)
            output.get("data", {}).pop("image/svg+xml", None)
            output.pop("transient", None)


def keep_measured(new: nbformat.NotebookNode, old: nbformat.NotebookNode) -> None:
    """Give `live` cells their stored output back where only numbers or pictures differ."""
    stored = {cell.id: cell for cell in old.cells}
    for cell in new.cells:
        before = stored.get(cell.id)
        if before is None or "live" not in cell.metadata.get("tags", []):
            continue
        same_source = before.source == cell.source
        if same_source and _shape(before.outputs) == _shape(cell.outputs):
            cell.outputs = before.outputs


def _shape(outputs: list) -> str:
    text = json.dumps(outputs, sort_keys=True)
    text = re.sub(r"base64,[A-Za-z0-9+/=]+", "base64", text)
    return re.sub(r"\s+", " ", re.sub(r"[-+]?\d[\d,.e+-]*", "0", text))


def fill(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy in which every answer cell holds the exercise bank's answer."""
    from llamalab.course.catalogue import find as exercise
    from llamalab.course.engine.source import source_of

    solved = copy.deepcopy(notebook)
    for cell in solved.cells:
        grading = cell.metadata.get("nbgrader", {})
        if grading.get("solution"):
            cell.source = source_of(exercise(grading.grade_id).answer).rstrip("\n")
    return solved


def points(notebook: nbformat.NotebookNode) -> dict[str, float]:
    """The points that each check cell of an executed notebook ends in, by grade_id. Read as
    nbgrader reads them: the last expression's plain text."""
    found = {}
    for cell in notebook.cells:
        grading = cell.metadata.get("nbgrader", {})
        if not grading.get("grade"):
            continue
        texts = [o.data["text/plain"] for o in cell.outputs if o.output_type == "execute_result"]
        found[grading.grade_id] = float(texts[-1]) if texts else 0.0
    return found


def refreshed(old: nbformat.NotebookNode, live: bool = False) -> nbformat.NotebookNode:
    """The notebook with what a run of it prints, on this machine and now."""
    new = copy.deepcopy(old)
    execute(new)
    clean(new)
    if not live:
        keep_measured(new, old)
    return new


@app.command()
def refresh(names: Names = None, live: bool = False) -> None:
    """Run notebooks and store their outputs."""
    for path in find(names):
        old = read(path)
        new = refreshed(old, live)
        changed = nbformat.writes(new) != nbformat.writes(old)
        if changed:
            write(new, path)
        print(f"{path.name}: {'stored anew' if changed else 'unchanged'}")


@app.command()
def check(names: Names = None) -> None:
    """Say which notebooks are stale, and exit with 1 if any is."""
    stale = 0
    for path in find(names):
        old = read(path)
        new = refreshed(old)
        cells = [
            i
            for i, (a, b) in enumerate(zip(new.cells, old.cells))
            if a.get("outputs") != b.get("outputs") and "live" not in a.metadata.get("tags", [])
        ]
        print(f"{path.name}: {'cells ' + str(cells) + ' are stale' if cells else 'fresh'}")
        stale += bool(cells)
    raise typer.Exit(stale > 0)


@app.command()
def solve(names: Names = None, out: Path = Path("solved")) -> None:
    """Write and run copies with all exercises answered."""
    out.mkdir(parents=True, exist_ok=True)
    for path in find(names):
        solved = fill(read(path))
        with tempfile.TemporaryDirectory() as folder:
            execute(solved, my_llama=folder)
        write(solved, out / path.name)
        print(f"{path.name}: {sum(points(solved).values()):g} points")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    app()
