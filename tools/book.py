"""The course as a book of static pages, to be read offline: `python tools/book.py OUT`.

Needs the extra `docs`: pip install -c constraints.txt -e '.[docs]'. Open OUT/index.html. Notebooks
are not run; what they print and draw is what is stored in them. How it looks is in docs/book/.
"""

import copy
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("glossary.md", "teaching.md")  # of docs/


def anchor(title: str) -> str:
    """A heading's anchor as JupyterLab makes it, so that one link works there and here."""
    return re.sub(r"[`*]", "", title).replace(" ", "-")


def prepared(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """A copy for reading: what Jupyter folds is folded, and the cell that fetches is gone."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        folded, tags = cell.metadata.get("jupyter", {}), cell.metadata.get("tags", [])
        if "bootstrap" in tags:
            tags = [*tags, "remove-cell"]
        elif folded.get("source_hidden"):
            tags = [*tags, "hide-input"]
        elif folded.get("outputs_hidden"):
            tags = [*tags, "hide-output"]
        cell.metadata["tags"] = tags
    return notebook


def within(text: str) -> str:
    """A page of docs/ whose links stay in the book: to other files of the repository there is
    none, so only their words are left."""
    outside = r"\[([^\]]+)\]\(\.\./(?!notebooks/)[^)]*\)"
    return re.sub(outside, r"\1", text)


def lay_out(source: Path) -> None:
    """The pages and their settings, as Sphinx is to find them, in an empty folder."""
    shutil.copytree(ROOT / "docs" / "book", source, dirs_exist_ok=True)
    (source / "notebooks").mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = prepared(nbformat.read(path, as_version=4))
        nbformat.write(notebook, source / "notebooks" / path.name)
    (source / "docs").mkdir()
    for name in PAGES:
        text = (ROOT / "docs" / name).read_text(encoding="utf-8")
        (source / "docs" / name).write_text(within(text), encoding="utf-8", newline="\n")


def build(out: Path) -> int:
    """Write the pages to `out`; a warning is an error. Sphinx's exit status."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "pages"
        lay_out(source)
        words = ["-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "-c", ROOT / "docs/book"]
        return subprocess.call(
            [sys.executable, *words, "-d", Path(folder) / "doctrees", source, out]
        )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    status = build(Path(sys.argv[1]))
    if status == 0:
        print(f"Open {Path(sys.argv[1]) / 'index.html'}")
    sys.exit(status)
