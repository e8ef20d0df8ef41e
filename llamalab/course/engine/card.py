"""What the learner sees: a card in a notebook, plain text in a terminal.

A `Result` is an `int`, the points. Its repr is the bare number, because nbgrader reads the last
expression's text/plain as the score; its HTML is the card. Colours come with words, never
alone, and the card leaves the background to the reader's theme.
"""

import sys
from dataclasses import dataclass

from llamalab.course.figures.html import Html, banner, inline, join, tag

COLOURS = {"passed": "#009E73", "not attempted": "#888888", "hint": "#0072B2",
           "solution": "#0072B2"}  # fmt: skip
WRONG = "#D55E00"


@dataclass(frozen=True)
class Card:
    """A titled piece of feedback. Empty parts are left out."""

    kind: str
    title: str
    head: str
    says: str
    named: str | None = None
    known: str = ""
    given: str = ""
    rows: tuple[tuple[str, str, str], ...] = ()
    foot: str = ""
    code: str = ""

    @property
    def text(self) -> str:
        lines = [f"{self.title} — {self.head}"]
        lines += [part for part in (self.known, self.says, self.given) if part]
        if self.rows:
            table = [("where", "yours", "expected"), *self.rows]
            widths = [max(len(row[i]) for row in table) for i in range(3)]
            lines += [
                "  " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip()
                for row in table
            ]
        lines += [part for part in (self.code, self.foot) if part]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> Html:
        colour = COLOURS.get(self.kind, WRONG)
        parts = [join(tag("b", inline(self.title)), " — ", inline(self.head))]
        if self.known:
            parts.append(tag("b", inline(self.known)))
        parts += [inline(part) for part in (self.says, self.given) if part]
        if self.rows:
            parts.append(_table(self.rows))
        if self.code:
            style = "margin:0;padding:.5em;overflow-x:auto;border:1px solid rgba(128,128,128,.4)"
            parts.append(tag("pre", self.code, style=style))
        if self.foot:
            parts.append(tag("span", inline(self.foot), style="opacity:.75"))
        body = (tag("div", part, style="margin:.25em 0") for part in parts)
        return banner(colour, *body)


class Result(int):
    """The points of a check, 0 or all of them, with the card that explains them.
    `kind` says how it went, `named` which misconception was recognised, if any."""

    card: Card

    def __new__(cls, points: int, kind: str, title: str, head: str, says: str, **parts):
        self = super().__new__(cls, points)
        self.card = Card(kind, title, head, says, **parts)
        return self

    @property
    def kind(self) -> str:
        return self.card.kind

    @property
    def named(self) -> str | None:
        return self.card.named

    @property
    def text(self) -> str:
        return self.card.text

    def __repr__(self) -> str:
        return str(int(self))

    def _repr_html_(self) -> str:
        return self.card._repr_html_()


def announce(shown):
    """In a terminal the text must be printed: there only the bare number would be echoed, and
    nothing at all in a script. In a notebook the card is the cell's output."""
    if isinstance(shown, Result) and not in_notebook():
        say(shown.text)
    return shown


def say(text: str) -> None:
    """Print, also where the terminal's encoding lacks a sign (▁ in Windows' code pages)."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))


def in_notebook() -> bool:
    """Whether the output goes to a Jupyter front end."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return getattr(shell, "kernel", None) is not None


def _table(rows: tuple[tuple[str, str, str], ...]) -> Html:
    cell = "padding:.1em 1em .1em 0;text-align:left"
    head = (tag("th", name, style=cell) for name in ("where", "yours", "expected"))
    lines = (tag("tr", *(tag("td", tag("code", c), style=cell) for c in row)) for row in rows)
    return tag("table", tag("tr", *head), *lines, style="border-collapse:collapse")
