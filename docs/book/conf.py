"""How the book is set, for Sphinx. `python tools/book.py OUT` calls it, on pages laid out there.

Notebooks are shown as stored and never run. Nothing is fetched when a page is read: formulas are
MathML, fonts are the reader's own, and the theme brings its style along.
"""

import sys
from pathlib import Path

from docutils.nodes import SkipNode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.mathml import formula

project = "llamalab"
author = "the llamalab authors"
copyright = "the llamalab authors, MIT licence"
extensions = ["myst_nb"]
exclude_patterns: list[str] = []

nb_execution_mode = "off"
nb_code_prompt_show = "Show the {type}"
nb_code_prompt_hide = "Hide the {type}"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_heading_slug_func = "tools.book.anchor"

html_theme = "furo"
html_title = "llamalab"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"


def drawn(block: bool):
    """How a formula is written into a page: the pair of functions that Sphinx asks for."""

    def visit(writer, node):
        writer.body.append(formula(node.astext(), block=block))
        raise SkipNode

    return visit, None


def setup(app):
    app.add_html_math_renderer("mathml", drawn(block=False), drawn(block=True))
    return {"parallel_read_safe": True}
