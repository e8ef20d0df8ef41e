"""A picture with its claim: the caption says what is to be seen, the alt text says it to those
who cannot see it. Draw on `figure(...)`'s axes, then hand out the figure.

    with figure("Longer pieces, fewer tokens.", alt="A falling line …") as fig:
        fig.axes.plot(…)
    fig
"""

import base64
import io
from html import escape

# Okabe and Ito's palette, which colour-blind readers can tell apart; the order is of use.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")


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

        self._style = rc_context(
            {
                "axes.prop_cycle": cycler(color=COLOURS),
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "grid.alpha": 0.3,
                "font.size": 10,
                "svg.hashsalt": "llamalab",
            }
        )
        self._style.__enter__()
        self.canvas = Canvas(figsize=self._size, dpi=110, layout="constrained")
        made = self.canvas.subplots(1, self._columns)
        self.axes = made
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._style.__exit__(kind, error, trace)
        if error is None:
            buffer = io.BytesIO()
            self.canvas.savefig(buffer, format="png", metadata={"Software": None})
            self.png = buffer.getvalue()

    def __repr__(self) -> str:
        return f"[figure] {self.caption}\n{self.alt}"

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.png).decode("ascii")
        image = f"<img alt='{escape(self.alt, quote=True)}' src='data:image/png;base64,{data}'"
        return (
            f"<figure style='margin:.5em 0;max-width:46em'>{image} style='max-width:100%'/>"
            f"<figcaption style='opacity:.85'>{escape(self.caption)}</figcaption></figure>"
        )


def figure(
    caption: str, *, alt: str, width: float = 6.4, height: float = 3.4, columns: int = 1
) -> Figure:
    """An empty figure to draw on; `fig.axes` is one Axes, or an array of `columns` of them."""
    return Figure(caption, alt, width=width, height=height, columns=columns)
