"""Write the links that name the course's repository: `python tools/badges.py [--check]`.

The repository and branch stand in one place, [tool.llamalab] in pyproject.toml. From there come
the Binder and Colab links in README.md and in each notebook's first cell, between
`<!-- badges -->` and `<!-- /badges -->`, and the whole source of each code cell tagged `bootstrap`.
The links are text: a badge's picture would be fetched from the network.
"""

import re
import sys
from pathlib import Path

import nbformat

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.runtime.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
MARKED = re.compile(r"<!-- badges -->.*?<!-- /badges -->", re.DOTALL)

BOOTSTRAP = """\
# On Colab this fetches the course; where llamalab is installed it does nothing.
import importlib.util, pathlib, subprocess, sys

if importlib.util.find_spec("llamalab") is None:
    if "google.colab" not in sys.modules:
        raise RuntimeError("This kernel has no llamalab: README.md says how to install it.")
    course, run = pathlib.Path("llamalab-course").resolve(), subprocess.call
    git = "git clone -q --depth 1 -b {branch} https://github.com/{repository}".split()
    pip = [sys.executable, *"-m pip install -q --no-deps sentencepiece safetensors -e".split()]
    if not course.exists() and run([*git, str(course)]) or run([*pip, str(course)]):
        raise RuntimeError("The course could not be fetched. Is there a network? Run this again.")
    sys.path.insert(0, str(course))"""


def setting(name: str, text: str) -> str:
    """A line of [tool.llamalab]. Read by hand: Python 3.10 has no tomllib."""
    found = re.search(rf'^\[tool\.llamalab\][^\[]*^{name} = "([^"]+)"', text, re.M | re.DOTALL)
    if found is None:
        raise ValueError(f"pyproject.toml has no {name} under [tool.llamalab]")
    return found.group(1)


def links(repository: str, branch: str, notebook: str) -> str:
    """The marked line for a notebook, which is named by its file name."""
    path = f"notebooks/{notebook}"
    binder = f"https://mybinder.org/v2/gh/{repository}/{branch}?urlpath=lab/tree/{path}"
    colab = f"https://colab.research.google.com/github/{repository}/blob/{branch}/{path}"
    text = f"[Open in Binder]({binder}) · [Open in Colab]({colab})"
    return f"<!-- badges -->{text}<!-- /badges -->"


def bootstrap(repository: str, branch: str) -> str:
    """The source of a notebook's first code cell."""
    return BOOTSTRAP.format(repository=repository, branch=branch)


def marked(text: str, line: str, where: str) -> str:
    """The text with its marked place rewritten. ValueError unless there is exactly one."""
    new, places = MARKED.subn(lambda _: line, text)
    if places != 1:
        raise ValueError(f"{where} has {places} marked places for badges, not 1")
    return new


def rewritten(path: Path, repository: str, branch: str) -> str:
    """What the file should hold: README.md, or a notebook as JSON."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return marked(text, links(repository, branch, "00_start_here.ipynb"), path.name)
    notebook = nbformat.reads(text, as_version=4)
    cells = [cell for cell in notebook.cells if "bootstrap" in cell.metadata.get("tags", [])]
    if len(cells) != 1 or cells[0].cell_type != "code":
        raise ValueError(f"{path.name} has {len(cells)} cells tagged bootstrap, not one code cell")
    line = links(repository, branch, path.name)
    before = [notebook.cells[0].source, cells[0].source]
    notebook.cells[0].source = marked(before[0], line, f"{path.name}, first cell,")
    cells[0].source = bootstrap(repository, branch)
    if [notebook.cells[0].source, cells[0].source] == before:
        return text  # nothing to say: the file keeps its bytes
    return nbformat.writes(notebook) + "\n"


def main(root: Path, check: bool) -> int:
    """Write what is out of date under `root`, or with `check` only say so. The exit status."""
    pyproject = (root / "pyproject.toml").read_text(encoding="utf-8")
    repository, branch = setting("repository", pyproject), setting("branch", pyproject)
    stale = 0
    for path in [root / "README.md", *sorted((root / "notebooks").glob("*.ipynb"))]:
        try:
            new = rewritten(path, repository, branch)
        except ValueError as error:
            print(error)
            return 2
        if new == path.read_text(encoding="utf-8"):
            continue
        stale += 1
        print(f"{path.name}: {'out of date' if check else 'written'}")
        if not check:
            with atomic_write(path) as part:
                part.write_text(new, encoding="utf-8", newline="\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(ROOT, "--check" in sys.argv[1:]))
