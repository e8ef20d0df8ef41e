"""Slides from the notebooks, a file each, to be shown offline: `python tools/slides.py OUT`.

    python tools/slides.py OUT --notebooks 02 03

Needs the extra `docs`. The slides follow from the notebook by rule; nothing is written into it:

- `##` starts a section, `###` a slide of it, and so does every text cell that follows a code cell;
- code stands beside its text, with what is stored under it; what is too tall goes on to the next;
- an output that the notebook folds, because the reader is to guess, comes with the next key;
- left out: the cells that fetch and import, checks of exercises, links to Binder and Colab.

docs/slides/ holds how they look and which keys they know; both go into the file. No reveal.js,
which would be fetched from elsewhere.
"""

import argparse
import html
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tools.mathml import formula

ROOT = Path(__file__).resolve().parents[1]
LOOK = ROOT / "docs" / "slides"
TALL = 26  # lines that stand on a slide in letters that a room can read
FIGURE = 14  # a figure is as tall as so many of them
MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table")
MARKDOWN.use(
    dollarmath_plugin,
    renderer=lambda tex, options: formula(tex, block=options["display_mode"]),
    allow_digits=False,
)


@dataclass
class Slide:
    """`level` 1 to 3 for a heading of that depth, 0 where the heading above goes on."""

    level: int
    title: str
    text: str  # Markdown
    cells: list[nbformat.NotebookNode] = field(default_factory=list)


def pieces(text: str) -> list[tuple[int, str, str]]:
    """A text cell cut before each heading: (level, title, body), level 0 for what has none."""
    found, fenced = [(0, "", "")], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#{1,3}) (.*)", line)
        if heading:
            found.append((len(heading[1]), heading[2], ""))
        else:
            level, title, body = found[-1]
            found[-1] = (level, title, f"{body}{line}\n")
    return [piece for piece in found if piece[1] or piece[2].strip()]


def left_out(cell: nbformat.NotebookNode) -> bool:
    """A code cell that a room need not see."""
    if "bootstrap" in cell.metadata.get("tags", []):
        return True
    if cell.metadata.get("nbgrader", {}).get("grade"):
        return True  # the check of an exercise: its stub stands just before
    return cell.metadata.get("jupyter", {}).get("source_hidden", False) and not cell.outputs


def height(cell: nbformat.NotebookNode) -> int:
    """About how many lines a code cell and what it gave take."""
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden")
    lines = 0 if hidden else cell.source.count("\n") + 1
    for stored in cell.outputs:
        made = output(stored)
        lines += FIGURE * made.count("<img") + made.count("<tr") + made.count("\n")
    return lines


def slides(notebook: nbformat.NotebookNode) -> list[Slide]:
    """The slides of a notebook, in order. Its first cell has to begin with a title."""
    found: list[Slide] = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and not left_out(cell):
            before = sum(map(height, found[-1].cells))
            if before and before + height(cell) > TALL:
                found.append(Slide(0, found[-1].title, ""))
            found[-1].cells.append(cell)
        if cell.cell_type == "markdown":
            for level, title, body in pieces(cell.source):
                if level == 0 and not found[-1].cells and len(found) > 1:
                    found[-1].text += "\n" + body  # text on text: still the same slide
                else:
                    found.append(Slide(level, title or found[-1].title, body))
    return found


def words(text: str) -> str:
    """Markdown as HTML: formulas drawn, and links to a notebook leading to its slides."""
    text = re.sub(r"^.*<!-- badges -->.*<!-- /badges -->\n?", "", text, flags=re.M)
    made = MARKDOWN.render(text)
    return re.sub(r'href="(\d\d_\w+)\.ipynb(#[^"]*)?"', r'href="\1.html"', made)


def output(stored: nbformat.NotebookNode) -> str:
    """What a cell printed or drew, as it is stored."""
    if stored.output_type == "stream":
        return f"<pre>{html.escape(stored.text)}</pre>"
    data = stored.get("data", {})
    if "text/html" in data:
        return data["text/html"]
    return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def code(cell: nbformat.NotebookNode) -> str:
    """A code cell and what stands under it, which waits for a key if the notebook folds it."""
    folded = cell.metadata.get("jupyter", {})
    source = highlight(cell.source, PythonLexer(), HtmlFormatter())
    made = "" if folded.get("source_hidden") else source
    if cell.outputs:
        later = " later" if folded.get("outputs_hidden") else ""
        made += f'<div class="output{later}">{"".join(map(output, cell.outputs))}</div>'
    return made


def section(slide: Slide) -> str:
    """A slide's element."""
    title = MARKDOWN.renderInline(slide.title)
    heading = f"h{slide.level or 2}"
    again = "" if slide.level else ' class="again"'
    text = f'<div class="text">{words(slide.text)}</div>' if slide.text.strip() else ""
    side = f'<div class="side">{"".join(map(code, slide.cells))}</div>' if slide.cells else ""
    kind = "slide" + " section" * (slide.level in (1, 2)) + " two" * bool(text and side)
    return (
        f'<section class="{kind}"><{heading}{again}>{title}</{heading}>'
        f'<div class="body">{text}{side}</div></section>\n'
    )


def page(notebook: nbformat.NotebookNode) -> str:
    """The whole file: it needs nothing beside itself."""
    made = slides(notebook)
    colours = HtmlFormatter(style="friendly").get_style_defs(".highlight")
    dark = HtmlFormatter(style="native").get_style_defs(':root[data-theme="dark"] .highlight')
    style = (LOOK / "slides.css").read_text(encoding="utf-8")
    script = (LOOK / "slides.js").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{html.escape(made[0].title)}</title>
<style>
{colours}
{dark}
.highlight {{ background: none !important; }}
{style}</style></head><body>
{"".join(map(section, made))}
<div id="place"></div><div id="bar"></div>
<script>
{script}</script></body></html>
"""


def main(out: Path, names: list[str]) -> int:
    """Write the slides of the notebooks whose names start so, of all if none is given."""
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    chosen = [path for path in paths if not names or path.name.startswith(tuple(names))]
    if not chosen:
        print(f"no notebook starts with {', '.join(names)}")
        return 2
    out.mkdir(parents=True, exist_ok=True)
    for path in chosen:
        made = out / f"{path.stem}.html"
        made.write_text(page(nbformat.read(path, 4)), encoding="utf-8", newline="\n")
        print(made)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--notebooks", nargs="*", default=[], metavar="NN")
    given = parser.parse_args()
    sys.exit(main(given.out, given.notebooks))
