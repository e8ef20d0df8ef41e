"""Slides follow from a notebook by rule, and the file needs nothing beside itself."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

for needed in ("markdown_it", "mdit_py_plugins", "latex2mathml", "pygments"):
    pytest.importorskip(needed, reason="needs the extra docs")

from tools import slides  # noqa: E402

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def notebook(*cells):
    return nbformat.v4.new_notebook(cells=list(cells))


def text(source):
    return nbformat.v4.new_markdown_cell(source)


def code(source, printed="", **metadata):
    outputs = [nbformat.v4.new_output("stream", text=printed)] if printed else []
    return nbformat.v4.new_code_cell(source, outputs=outputs, metadata=metadata)


TITLE = text("# 00 · Title\n\n<!-- badges -->[Binder](x)<!-- /badges -->\n\n**Time:** short")


def test_headings_cut_and_text_after_code_goes_on():
    made = slides.slides(
        notebook(
            TITLE,
            text("## One\n\nA question."),
            code("1 + 1"),
            text("An answer.\n\n## Two\n\n### Below\n\n```\n## no heading\n```"),
        )
    )
    assert [(slide.level, slide.title) for slide in made] == [
        (1, "00 · Title"), (2, "One"), (0, "One"), (2, "Two"), (3, "Below"),
    ]  # fmt: skip
    assert [len(slide.cells) for slide in made] == [0, 1, 0, 0, 0]
    assert "## no heading" in made[-1].text
    assert 'class="slide section two"' in slides.section(made[1])
    assert 'class="slide section"' not in slides.section(made[2])


def test_what_a_room_need_not_see():
    hidden = {"jupyter": {"source_hidden": True}}
    page = slides.page(
        notebook(
            TITLE,
            code("fetch()", "fetched", tags=["bootstrap"]),
            code("import torch", **hidden),
            code("drawn()", "a drawing", **hidden),
            code("def stub(): ...", nbgrader={"grade": False, "solution": True}),
            code("ex.stub.check(stub)", "Not attempted", nbgrader={"grade": True}),
        )
    )
    assert "a drawing" in page and "stub" in page
    for absent in ("fetch", "torch", "drawn()", "Not attempted", "Binder"):
        assert absent not in page, absent


def test_what_is_too_tall_goes_on():
    long = code("x\n" * 20, "y\n" * 20)
    made = slides.slides(notebook(TITLE, text("## One\n\nWords."), code("1"), code("2"), long))
    assert [(slide.level, slide.title, len(slide.cells)) for slide in made[1:]] == [
        (2, "One", 2), (0, "One", 1),
    ]  # fmt: skip
    assert "two" in slides.section(made[1]) and "two" not in slides.section(made[2])[:30]
    drawn = nbformat.v4.new_output("display_data", data={"text/html": "<img alt='a'>"})
    assert (
        slides.height(nbformat.v4.new_code_cell("f()\ng()", outputs=[drawn])) == 2 + slides.FIGURE
    )


def test_an_answer_that_is_folded_waits_for_a_key():
    cells = code("g()", "guess <me>", jupyter={"outputs_hidden": True}), code("p()", "plain")
    folded, open_ = map(slides.code, cells)
    assert 'class="output later"' in folded and "guess &lt;me&gt;" in folded
    assert "later" not in open_


def test_formulas_are_drawn_and_links_lead_to_slides():
    made = slides.words("If $x_1 = 2$, see [07](07_pretraining.ipynb#By-heart) and $5.")
    assert "<msub><mi>x</mi><mn>1</mn></msub>" in made
    assert 'href="07_pretraining.html"' in made and "$5" in made


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem[:2])
def test_a_notebook_as_slides(path):
    stored = nbformat.read(path, 4)
    page = slides.page(stored)
    assert not re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=['\"](?!data:)", page)
    assert "@import" not in page and "url(http" not in page
    headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in stored.cells), re.M)
    assert len(re.findall('class="slide section', page)) == 1 + len(headings)
    figures = sum("".join(o.get("data", {}).get("text/html", "")).count("<img")
                  for c in stored.cells for o in c.get("outputs", []))  # fmt: skip
    assert page.count("<img") == figures > 0
    folded = [c for c in stored.cells if c.metadata.get("jupyter", {}).get("outputs_hidden")]
    assert page.count('class="output later"') == len(folded)


def test_the_command(tmp_path):
    tool = [sys.executable, str(ROOT / "tools" / "slides.py"), str(tmp_path / "out")]
    done = subprocess.run([*tool, "--notebooks", "02", "03"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name[:2] for path in (tmp_path / "out").iterdir()) == ["02", "03"]
    done = subprocess.run([*tool, "--notebooks", "77"], capture_output=True, text=True)
    assert done.returncode == 2 and "77" in done.stdout
