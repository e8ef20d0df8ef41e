"""Something to play with that answers a question: controls, a picture, a sentence.

    explorer(
        [Slider("theta", 10_000, values=(500, 10_000, 1_000_000)), Slider("distance", 64, 1, 4096)],
        picture=theta_figure,   # (theta=…, distance=…) -> Figure, or Html
        words=theta_words,      # (theta=…, distance=…) -> one sentence
    )

A start that a control cannot show is refused: a slider would go to its nearest end in silence, and
the widget would show another number than its still twin.

Without a kernel it is the sentence and the picture at the values it starts with. With one, the
widget has an attribute for each control, by its name, and `.words` and `.picture`: in a notebook
`play.theta.value = 500; print(play.words.value)` moves it and shows what it then says.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llamalab.course.figures.html import join, tag
from llamalab.course.figures.live import Live
from llamalab.course.figures.reach import easy_to_hold, reach, spoken


@dataclass(frozen=True)
class Slider:
    """A number: from `low` to `high` in steps of `step`, or one of `values`. Whole numbers give a
    slider of whole numbers. `shown` writes one of `values` (1,000,000 rather than 1000000.0)."""

    name: str
    start: float
    low: float = 0
    high: float = 1
    step: float = 1
    values: Sequence[float] = ()
    label: str = ""
    shown: Callable[[float], str] = "{:,}".format
    live: bool = True  # draw while it moves; False where a picture takes long

    def __post_init__(self) -> None:
        if self.values:
            _refuse_unknown(self.name, self.start, self.values)
        elif not self.low <= self.start <= self.high:
            raise ValueError(f"{self.name}={self.start} is not from {self.low} to {self.high}")

    def widget(self, widgets, layout):
        common = {"description": self.label or self.name, "layout": layout,
                  "continuous_update": self.live}  # fmt: skip
        if self.values:
            options = [(self.shown(value), value) for value in self.values]
            return widgets.SelectionSlider(options=options, value=self.start, **common)
        whole = all(isinstance(n, int) for n in (self.start, self.low, self.high, self.step))
        kind = widgets.IntSlider if whole else widgets.FloatSlider
        return kind(self.start, min=self.low, max=self.high, step=self.step, **common)


@dataclass(frozen=True)
class Choice:
    """One of some options."""

    name: str
    start: object
    options: Sequence
    label: str = ""

    def __post_init__(self) -> None:
        _refuse_unknown(self.name, self.start, self.options)

    def widget(self, widgets, layout):
        common = {"description": self.label or self.name, "layout": layout}
        return widgets.Dropdown(options=list(self.options), value=self.start, **common)


@dataclass(frozen=True)
class Switch:
    """Yes or no."""

    name: str
    start: bool
    label: str = ""

    def widget(self, widgets, layout):
        return widgets.Checkbox(self.start, description=self.label or self.name, layout=layout)


@dataclass(frozen=True)
class Words:
    """A text that the reader types."""

    name: str
    start: str
    label: str = ""

    def widget(self, widgets, layout):
        common = {"description": self.label or self.name, "layout": layout}
        return widgets.Text(self.start, continuous_update=False, **common)


def explorer(
    controls: Sequence[Slider | Choice | Switch | Words],
    picture: Callable,
    words: Callable[..., str],
    *,
    more: Callable | None = None,
) -> Live:
    """Controls above, a sentence and a picture below. `picture(**values)` gives a Figure or Html,
    `words(**values)` one sentence, `more(**values)` perhaps further Html beneath (`.more`).
    Raises ValueError for two controls of one name, or one called as the widget's own parts."""
    _refuse_taken([control.name for control in controls])
    start = {control.name: control.start for control in controls}

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="30em")
        made = {control.name: control.widget(ipywidgets, wide) for control in controls}
        # A Label keeps the sentence as text, but would show its first line only, and two dollars
        # as mathematics: what is shown is its twin.
        says, shown = ipywidgets.Label(), spoken(ipywidgets.HTML())
        drawn, rest = ipywidgets.HTML(), ipywidgets.HTML()

        def draw(change=None) -> None:
            values = {name: widget.value for name, widget in made.items()}
            says.value = words(**values)
            shown.value = tag("div", says.value, style="line-height:1.4;max-width:46em")
            drawn.value = _html(picture(**values))
            if more is not None:
                rest.value = _html(more(**values))

        for widget in made.values():
            easy_to_hold(widget).observe(draw, "value")
        draw()
        below = [rest] if more else []
        box = ipywidgets.VBox([*made.values(), shown, drawn, *below, reach()])
        for name, widget in made.items():
            setattr(box, name, widget)
        box.words, box.picture, box.more = says, drawn, rest
        return box

    says = words(**start)
    still = join(tag("p", says), _html(picture(**start)), _html(more(**start)) if more else "")
    return Live(still, says, make)


def _html(shown) -> str:
    return shown if isinstance(shown, str) else shown._repr_html_()


def _refuse_unknown(name: str, start, options: Sequence) -> None:
    if start not in options:
        raise ValueError(f"{name}={start!r} is none of {', '.join(map(repr, options))}")


def _refuse_taken(names: list[str]) -> None:
    taken = {"words", "picture", "more", "children", "layout", "box_style", "comm", "keys"}
    for i, name in enumerate(names):
        if name in taken or name in names[:i]:
            raise ValueError(f"a second {name!r}: every control needs a name of its own")
