"""A picture that grows while a loop runs in another cell: a bar, curves, and what a model says.

    monitor = Tuning(steps)               # a lesson's own kind of Monitor; show it in one cell
    for record in train(…):               # and tell it of every step in the next
        monitor.add(record)

Without a front end nothing is drawn, and what is drawn is never part of the stored output.
"""

from collections.abc import Callable, Sequence

from llamalab.course.figures import palette
from llamalab.course.figures.html import Html, tag
from llamalab.course.figures.live import Live
from llamalab.course.figures.reach import reach

WIDTH = 560  # of the growing curve, in its own units
SHOWN = 420  # characters of a sample
INK = {"font_size": 12, "fill": palette.INK}
ACROSS = {"x1": 40, "x2": WIDTH - 10}  # a line from side to side


class Monitor(Live):
    """What the monitors of the lessons share. Each sets `step`, calls `draw`, and says what is
    seen: `curve` the picture, `told` the words below it, by default the samples.

    says: the sentence that the stored output keeps. steps: where the bar ends. bar: its label, in
    which {} is the step; without one there is no bar. unit: what a sample's number counts. shown:
    the most characters of a sample that are shown."""

    def __init__(
        self, says: str, steps: int, *, bar: str = "", unit: str = "step", shown: int = SHOWN
    ):
        self.steps, self.step = steps, 0
        self.samples: list[tuple[int, str]] = []
        self._label, self._unit, self._shown = bar, unit, shown
        super().__init__(tag("div", says), says, self._build)

    def curve(self) -> Html:
        """The picture so far."""
        raise NotImplementedError

    def told(self) -> Html:
        """The words so far."""
        return sample_list(self.samples, self._unit, self._shown)

    def sample(self, step: int, text: str) -> None:
        """Add what the model says at a step."""
        self.samples.append((step, text))
        self.draw()

    def draw(self) -> None:
        """Bring what is seen up to date, if anybody sees it."""
        if hasattr(self, "picture"):
            self.bar.value, self.bar.description = self.step, self._label.format(self.step)
            self.picture.value, self.words.value = self.curve(), self.told()

    def _build(self):
        import ipywidgets

        self.bar = ipywidgets.IntProgress(0, min=0, max=self.steps)
        self.picture, self.words = ipywidgets.HTML(), ipywidgets.HTML()
        self.draw()
        bar = [self.bar] if self._label else []
        box = ipywidgets.VBox([*bar, self.picture, self.words, reach()])
        box.bar, box.picture, box.words = self.bar, self.picture, self.words
        return box


def growing_curve(
    losses: Sequence[tuple[int, float]], steps: int, down: Callable[[float], float],
    marks: Sequence[Html], *, height: int, colour: str = palette.LOSS, above: int = 0,
) -> Html:  # fmt: skip
    """The losses so far, (step, loss), as a small SVG. down: how far below the top a loss stands,
    of `height` in all; marks: lines and words that stand there from the start; above: room over the
    top."""
    every = max(1, len(losses) // 300)
    line = " ".join(
        f"{40 + (WIDTH - 50) * step / steps:.1f},{down(loss):.1f}" for step, loss in losses[::every]
    )
    now = f"step {losses[-1][0]:,} of {steps:,}, loss {losses[-1][1]:.2f}" if losses else "step 0"
    return tag(
        "svg",
        *marks,
        tag("text", now, x=44, y=height + 15, **INK),
        tag("polyline", points=line, fill="none", stroke=colour, stroke_width=2),
        viewBox=f"0 {-above} {WIDTH} {height + 22 + above}", role="img",
        aria_label=f"Loss against step: {now}",
        style=f"max-width:46em;background:{palette.PAPER};border-radius:6px",
    )  # fmt: skip


def level_and_floor(y: float, words: str, *, x: int, above: float = 0, height: int) -> list[Html]:
    """Marks for a curve: a dashed line at y, words on it (at x, so far above), and the floor."""
    return [
        tag("line", **ACROSS, y1=f"{y:.1f}", y2=f"{y:.1f}", stroke=palette.INK,
            stroke_dasharray="6 4"),
        tag("text", words, x=x, y=f"{y - above:.1f}", **INK),
        tag("line", **ACROSS, y1=height, y2=height, stroke=palette.FAINT),
    ]  # fmt: skip


def sample_list(samples: Sequence[tuple[int, str]], unit: str, shown: int) -> Html:
    """Samples, each with its number of steps (or what `unit` says), cut to `shown` characters."""
    rows = [
        tag("p", tag("b", f"{unit} {at:,}"), f" {short(text, shown)}", style="margin:.3em 0")
        for at, text in samples
    ]
    return tag("div", *rows, style="max-width:46em")


def short(text: str, longest: int = SHOWN) -> str:
    """A text's first words, at most `longest` characters of them."""
    return text if len(text) <= longest else text[:longest].rsplit(" ", 1)[0] + " …"
