"""The pieces of a text, each on its own colour, with its id beneath."""

from collections.abc import Sequence

from llamalab.course.figures.html import Html, tag

# Light backgrounds that black letters can be read on, told apart by lightness as well as hue.
PAPER = ("#cfe8f7", "#ffe3b8", "#c6ecd9", "#f4d7e6", "#fff7b0")


class Pieces:
    """Pieces in a row. Spaces are shown as ▁, as the tokenizer itself writes them."""

    def __init__(self, pieces: Sequence[str], ids: Sequence[int] | None = None):
        if ids is not None and len(ids) != len(pieces):
            raise ValueError(f"{len(pieces)} pieces, but {len(ids)} ids")
        self.pieces, self.ids = list(pieces), list(ids) if ids is not None else None

    def __repr__(self) -> str:
        return "|".join(self.pieces)

    def _repr_html_(self) -> Html:
        spans = []
        for i, piece in enumerate(self.pieces):
            below = (tag("br"), tag("small", self.ids[i])) if self.ids is not None else ()
            style = (
                f"display:inline-block;text-align:center;background:{PAPER[i % len(PAPER)]};"
                "color:#000;padding:.1em .3em;margin:.1em;border-radius:.2em;font-family:monospace"
            )
            spans.append(tag("span", piece, *below, style=style))
        return tag("div", *spans, style="line-height:1.3;max-width:46em")


def pieces(pieces: Sequence[str], ids: Sequence[int] | None = None) -> Pieces:
    """Show pieces, with their ids if given."""
    return Pieces(pieces, ids)
