"""A picture with its claim: the caption says what is to be seen, the alt text says it to those
who cannot see it. Draw on `figure(...)`'s axes, then hand out the figure.

    with figure("Longer pieces, fewer tokens.", alt="A falling line …") as fig:
        fig.axes.plot(…)
    fig
"""

import base64
import io
from typing import Any

from llamalab.course.figures import palette
from llamalab.course.figures.html import Html, tag

COLOURS = palette.SERIES
STYLE = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": palette.FAINT,
    "axes.facecolor": palette.PAPER,
    "axes.labelcolor": palette.INK,
    "axes.titlesize": 10,
    "figure.facecolor": palette.PAPER,
    "font.size": 10,
    "grid.color": palette.GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
    "text.color": palette.INK,
    "xtick.color": palette.FAINT,
    "ytick.color": palette.FAINT,
    "svg.hashsalt": "llamalab",
}


class Figure:
    """A drawn picture as PNG bytes, with caption and alt text."""

    def __init__(self, caption: str, alt: str, *, width: float, height: float, columns: int):
        if not caption.strip() or not alt.strip():
            raise ValueError("a figure needs a caption and an alt text")
        self.caption, self.alt = caption, alt
        self._size, self._columns = (width, height), columns
        self.png = b""

    def __enter__(self) -> "Figure":
        from cycler import cycler
        from matplotlib import rc_context
        from matplotlib.figure import Figure as Canvas

        style: Any = STYLE | {"axes.prop_cycle": cycler(color=COLOURS)}
        self._style = rc_context(style)
        self._style.__enter__()
        self.canvas = Canvas(figsize=self._size, dpi=130, layout="constrained")
        self.axes = self.canvas.subplots(1, self._columns)
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._style.__exit__(kind, error, trace)
        if error is None:
            buffer = io.BytesIO()
            self.canvas.savefig(buffer, format="png", metadata={"Software": None})
            self.png = buffer.getvalue()

    def __repr__(self) -> str:
        return f"[figure] {self.caption}\n{self.alt}"

    def _repr_html_(self) -> Html:
        """The picture on a card of its own paper, the same on a light and a dark page."""
        data = base64.b64encode(self.png).decode("ascii")
        card = f"max-width:100%;background:{palette.PAPER};border-radius:6px;padding:6px"
        card += ";box-sizing:border-box"
        return tag(
            "figure",
            tag("img", alt=self.alt, src=f"data:image/png;base64,{data}", style=card,
                width=round(100 * self._size[0])),
            tag("figcaption", self.caption, style="opacity:.85;margin-top:.3em"),
            style="margin:.5em 0;max-width:46em",
        )  # fmt: skip


def figure(
    caption: str, *, alt: str, width: float = 6.4, height: float = 3.4, columns: int = 1
) -> Figure:
    """An empty figure to draw on; `fig.axes` is one Axes, or an array of `columns` of them."""
    return Figure(caption, alt, width=width, height=height, columns=columns)
