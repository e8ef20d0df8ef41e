"""The book is built by its one command, without a warning, and fetches nothing when it is read."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

for needed in ("sphinx", "myst_nb", "furo", "latex2mathml"):
    pytest.importorskip(needed, reason="needs the extra docs")

from tools import book  # noqa: E402
from tools.mathml import formula  # noqa: E402

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EVERY = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    out = tmp_path_factory.mktemp("book")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "book.py"), str(out)],
        capture_output=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def read(built: Path, path: Path) -> str:
    return (built / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")


@EVERY
def test_a_page_has_its_title_its_outputs_and_its_figures(built, path):
    page, stored = read(built, path), nbformat.read(path, 4)
    title = stored.cells[0].source.splitlines()[0].removeprefix("# ")
    assert f"<h1>{title}<" in page
    figures = printed = 0
    for cell in stored.cells:
        for output in cell.get("outputs", []):
            figures += output.get("data", {}).get("text/html", "").count("<img")
            printed += output.output_type == "stream"
    assert figures > 0 and printed > 0
    assert page.count("src='data:image/") + page.count('src="data:image/') >= figures
    assert page.count('class="output stream') == printed
    folded = [c for c in stored.cells if c.metadata.get("jupyter", {}).get("outputs_hidden")]
    assert page.count("below-input") == len(folded)
    assert "google.colab" not in page  # the cell that fetches the course


def test_nothing_is_fetched_from_elsewhere(built):
    pages = list(built.rglob("*.html"))
    assert len(pages) > len(NOTEBOOKS)
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:link|script|img|iframe|source)\b[^>]*>", text):
            assert not re.search(r"(?:src|href)\s*=\s*['\"]?(?:https?:)?//", tag), (page, tag[:200])
    for style in built.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", text), style


def test_formulas_are_drawn_without_a_script(built):
    page = read(built, NOTEBOOKS[2])
    assert page.count("<math") > 10 and "$$" not in page
    for page in built.rglob("*.html"):
        assert not re.search(r"<script[^>]*mathjax", page.read_text("utf-8"), re.I), page


def test_search_finds_rope(built):
    text = (built / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").removesuffix(")"))
    names = []
    for kind in ("terms", "titleterms"):
        where = index[kind]["rope"]
        names += [index["docnames"][i] for i in ([where] if isinstance(where, int) else where)]
    assert "notebooks/03_rope" in names and "notebooks/04_attention" in names


def test_the_glossary_leads_to_headings_of_pages(built):
    page = (built / "docs" / "glossary.html").read_text(encoding="utf-8")
    links = re.findall(r'href="\.\./notebooks/(\w+\.html)#([^"]+)"', page)
    assert len(links) > 100
    for name, anchor in set(links):
        ids = re.findall(r'id="([^"]+)"', (built / "notebooks" / name).read_text("utf-8"))
        assert anchor in ids, (name, anchor)


@EVERY
def test_every_formula_is_understood(path):
    """A command that the converter does not know would be left standing, backslash and all."""
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
    text = re.sub(r"(?s)```.*?```|`[^`]*`", "", text)
    displayed = re.findall(r"(?s)\$\$(.+?)\$\$", text)
    inline = re.findall(r"\$([^$\n]+)\$", re.sub(r"(?s)\$\$.+?\$\$", "", text))
    for tex in [*displayed, *inline]:
        assert "\\" not in formula(tex, block=tex in displayed), tex


def test_formulas_by_hand():
    assert "<mtext>arg</mtext>" in formula(r"\arg\max x", block=False)
    assert "<mi>ln</mi><mspace" in formula(r"\ln p", block=False)
    assert 'display="block"' in formula("x", block=True)


def test_folding():
    """Told by a notebook's own metadata; the notebook itself is left as it was."""
    cells = [
        nbformat.v4.new_code_cell(metadata={"tags": ["bootstrap"]}),
        nbformat.v4.new_code_cell(metadata={"jupyter": {"source_hidden": True}}),
        nbformat.v4.new_code_cell(metadata={"jupyter": {"outputs_hidden": True}, "tags": ["live"]}),
        nbformat.v4.new_code_cell(),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    made = book.prepared(notebook)
    tags = [cell.metadata["tags"] for cell in made.cells]
    assert tags == [["bootstrap", "remove-cell"], ["hide-input"], ["live", "hide-output"], []]
    assert [cell.metadata.get("tags", []) for cell in cells] == [["bootstrap"], [], ["live"], []]


def test_links_out_of_the_book_are_words():
    text = "[a](../README.md) [b](../notebooks/03_rope.ipynb#Quiz) [c](glossary.md)"
    assert book.within(text) == "a [b](../notebooks/03_rope.ipynb#Quiz) [c](glossary.md)"
