"""The notebooks both ways, and what holds for every one of them.

nbval runs them as shipped and compares stored outputs. Here they run solved, in a clean kernel,
with full points; and their build is checked: counts, freshness, no remote image, no stray path.
"""

import re

import nbformat
import pytest
import torch

from benchmarks.notebooks import measure
from llamalab.course.catalogue import catalogue
from tools import notebooks as tool

PATHS = tool.find()
# Bytes of memory, to which PyTorch's CUDA build adds 390 million of its own, used or not. Seconds
# are reported by benchmarks/notebooks.py, not tested.
LIMIT = 10**9 + (4 * 10**8 if torch.version.cuda else 0)
SECTIONS = ("## In the paper", "## Quiz", "## What is now yours")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return tool.read(path)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_has_its_bank():
    assert [path.name[:2] for path in PATHS] == list(catalogue())


def test_solved_it_gets_full_points_in_under_a_gigabyte(path):
    """One run says all: points as nbgrader reads them, the answers that were kept, the peak."""
    run = measure(path, solved=True)
    exercises = catalogue()[path.name[:2]]
    assert tool.points(run.notebook) == {f"check-{e.name}": e.points for e in exercises}
    assert run.kept == {e.name for e in exercises}
    assert run.peak < LIMIT, f"{path.name} took {run.peak / 1e6:,.0f} MB"
    assert run.peak > 50e6 and run.seconds > 0.5, "nothing was measured"


def test_a_peak_is_seen_even_when_it_is_given_back(tmp_path):
    cell = nbformat.v4.new_code_cell(f"x = b'1' * {LIMIT + 10**8}\ndel x")
    path = tmp_path / "large.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert measure(path).peak > LIMIT


def test_as_shipped_it_is_blank(notebook):
    """The stored outputs are those of the blank notebook: no points, and kind words."""
    points = tool.points(notebook)
    assert points and set(points.values()) == {0.0}
    for cell in code_cells(notebook):
        if cell.metadata.get("nbgrader", {}).get("grade"):
            assert "Not attempted yet" in cell.outputs[0].data["text/html"]


def test_counts_run_from_one_and_nothing_failed(notebook):
    written = [cell for cell in code_cells(notebook) if cell.source.strip()]
    assert [cell.execution_count for cell in written] == list(range(1, len(written) + 1))
    for cell in written:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", f"stderr is stored: {output.text}"


def test_most_cells_are_compared(notebook):
    """Every cell is compared, or says why not: `live` (measured), or a picture or widget."""
    written = [cell for cell in code_cells(notebook) if cell.source.strip()]
    tags = [set(cell.metadata.get("tags", [])) for cell in written]
    compared = sum("nbval-check-output" in t for t in tags)
    printed = sum(bool(t) for t in tags)  # not pictures and widgets: those have no tag
    assert compared >= 0.7 * printed
    for cell, tag in zip(written, tags):
        if not tag & {"nbval-check-output", "live", "bootstrap"}:
            html = "".join(o.get("data", {}).get("text/html", "") for o in cell.outputs)
            shown = re.search("<figure|<svg|<img|<details|<div", html)
            assert shown, f"not compared: {cell.source}"


def test_nothing_volatile_and_nothing_remote_is_stored(notebook):
    text = nbformat.writes(notebook)
    assert tool.WIDGET not in text and '"widgets"' not in text
    assert not re.search(r"\bat 0x[0-9a-f]{6,}", text), "a memory address"
    assert not re.search(r"/(home|root|tmp|Users|work)/\w|[A-Z]:\\\\\\\\", text), "a machine's path"
    for image in re.findall(r"<img[^>]*>", text):
        assert "src='data:" in image, "a remote image"
        assert re.search(r"alt='[^']{10,}'", image), "an image without alt text"
    for url in re.findall(r"!\[[^\]]*\]\(([^)]*)\)", text):
        raise AssertionError(f"a linked image: {url}")
    assert notebook.metadata.keys() == {"kernelspec", "language_info"}


def test_it_has_its_parts(path, notebook):
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sections = SECTIONS if path.name.startswith("00") else (*SECTIONS, "## In the wild")
    for section in sections:
        assert section in prose
    assert prose.count("\n# ") + prose.startswith("# ") == 1
    links = re.findall(r"\]\((\d\d_\w+\.ipynb)\)", prose)
    assert set(links) <= {p.name for p in PATHS}, "a link to a notebook that is not there"
    assert "oming soon" not in prose and "TODO" not in prose and "!" not in _words(prose)
    for cell in code_cells(notebook):
        assert len(cell.source.splitlines()) <= 45
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)


def _words(prose: str) -> str:
    """Prose without code, quotations and HTML comments, where an exclamation mark is not ours."""
    prose = re.sub(r"```.*?```|`[^`]*`|<!--.*?-->|!=|“[^”]*”|\"[^\"\n]*\"", "", prose, flags=re.S)
    return re.sub(r"\$[^$]*\$", "", prose)


def test_refreshing_twice_changes_nothing():
    """On the first notebook, which has cards, widgets, tables and measured cells."""
    once = tool.refreshed(tool.read(PATHS[0]))
    assert nbformat.writes(tool.refreshed(once)) == nbformat.writes(once)


def test_a_live_cell_keeps_its_figures_until_its_words_change():
    def with_output(text):
        made = nbformat.v4.new_notebook()
        cell = nbformat.v4.new_code_cell("measure()", id="one")
        cell.metadata["tags"] = ["live"]
        cell.outputs = [nbformat.v4.new_output("stream", text=text)]
        made.cells = [cell]
        return made

    old, new, other = map(with_output, ("took 1.5 s", "took 22.25 s", "needed 22.25 s"))
    tool.keep_measured(new, old)
    tool.keep_measured(other, old)
    assert new.cells[0].outputs[0].text == "took 1.5 s"
    assert other.cells[0].outputs[0].text == "needed 22.25 s"
