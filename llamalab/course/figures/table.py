"""A small table that reads well as a page and as plain text. Numbers stand to the right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from llamalab.course.figures.html import Html, tag


@dataclass(frozen=True)
class Table:
    """Cells as text; right: for each column, whether it is set to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    right: tuple[bool, ...]
    caption: str = ""

    def __repr__(self) -> str:
        lines = [self.head, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.head))]
        text = "\n".join(
            "  ".join(
                cell.rjust(w) if right else cell.ljust(w)
                for cell, w, right in zip(line, widths, self.right)
            ).rstrip()
            for line in lines
        )
        return f"{text}\n{self.caption}" if self.caption else text

    def _repr_html_(self) -> Html:
        def line(cells: Sequence[str], name: str) -> Html:
            sides = ("right" if right else "left" for right in self.right)
            style = "padding:.15em .8em;text-align:"
            return tag("tr", *(tag(name, c, style=style + s) for c, s in zip(cells, sides)))

        below = "caption-side:bottom;text-align:left"
        return tag(
            "table",
            tag("caption", self.caption, style=below) if self.caption else "",
            tag("thead", line(self.head, "th")),
            tag("tbody", *(line(row, "td") for row in self.rows)),
            style="border-collapse:collapse",
        )


def table(head: Sequence[str], rows: Iterable[Sequence], *, caption: str = "") -> Table:
    """Rows of anything: whole numbers get thousands separators, other values their str."""
    rows = [tuple(row) for row in rows]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"a row has {len(row)} cells, the head has {len(head)}: {row}")
    numeric = tuple(
        bool(rows) and all(isinstance(row[i], (int, float)) for row in rows)
        for i in range(len(head))
    )
    cells = tuple(tuple(_cell(value) for value in row) for row in rows)
    return Table(tuple(head), cells, numeric, caption)


def _cell(value) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)
