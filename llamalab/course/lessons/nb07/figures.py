"""Pictures for the lesson on pretraining: the schedule, a loss curve that grows while a model
learns, sweeps with every seed in sight, loss against size and tokens, and a rate to play with."""

import math
from collections.abc import Mapping, Sequence
from html import escape

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live
from llamalab.training import StepRecord, TrainConfig, learning_rate

STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)))
WIDTH, HEIGHT = 560, 220  # of the growing curve, in its own units
SHOWN = 400  # characters of a sample


def schedules(configs: Mapping[str, TrainConfig]) -> Figure:
    """The learning rate at every step of each config."""
    caption = "The rate climbs in a straight line, then falls along half a cosine to a tenth."
    parts = []
    for name, config in configs.items():
        last = learning_rate(config.steps, config)
        parts.append(f"{name}: up to {config.lr:g} at step {config.warmup_steps}, {last:g} at last")
    with figure(caption, alt=f"Rate against step. {'; '.join(parts)}.", height=3.0) as fig:
        axes = fig.axes
        for (name, config), style in zip(configs.items(), STYLES):
            steps = range(1, config.steps + 1, max(1, config.steps // 500))
            rates = [learning_rate(step, config) for step in steps]
            axes.plot(steps, rates, linestyle=style, linewidth=2, label=name)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")
        axes.legend(fontsize=9)
    return fig


# -- a curve that grows ---------------------------------------------------------------------


class Monitor(Live):
    """A loss curve and samples that change while a loop runs. `add(record)` at every step,
    `sample(step, text)` now and then. Without a front end nothing is drawn, and nothing is left
    behind in the stored output."""

    def __init__(self, vocab_size: int, steps: int):
        self.top, self.steps = math.log(vocab_size), steps
        self.losses: list[tuple[int, float]] = []
        self.samples: list[tuple[int, str]] = []
        says = "The curve grows here while the next cell runs, and the model's samples with it."
        super().__init__(f"<div>{says}</div>", says, self._build)

    def _build(self):
        import ipywidgets

        self.picture, self.words = ipywidgets.HTML(), ipywidgets.HTML()
        self._draw()
        box = ipywidgets.VBox([self.picture, self.words])
        box.picture, box.words = self.picture, self.words
        return box

    def add(self, record: StepRecord) -> None:
        """One more step. Drawn about a hundred times in all."""
        self.losses.append((record.step, record.loss))
        if record.step % max(1, self.steps // 100) == 0 or record.step == self.steps:
            self._draw()

    def sample(self, step: int, text: str) -> None:
        """What the model writes after so many steps."""
        self.samples.append((step, text))
        self._draw()

    def _draw(self) -> None:
        if hasattr(self, "picture"):
            self.picture.value = growing_curve(self.losses, self.steps, self.top)
            self.words.value = sample_list(self.samples)


def growing_curve(losses: Sequence[tuple[int, float]], steps: int, top: float) -> str:
    """The losses so far as a small SVG; a dashed line at ln(vocab_size)."""
    high = 1.1 * top

    def place(step: float, loss: float) -> str:
        y = HEIGHT * (1 - min(loss, high) / high)
        return f"{40 + (WIDTH - 50) * step / steps:.1f},{y:.1f}"

    every = max(1, len(losses) // 300)
    line = " ".join(place(step, loss) for step, loss in losses[::every])
    y = float(place(0, top).split(",")[1])
    now = f"step {losses[-1][0]:,} of {steps:,}, loss {losses[-1][1]:.2f}" if losses else "step 0"
    return (
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT + 20}' style='max-width:46em' role='img' "
        f"aria-label='Loss against step: {now}'>"
        f"<line x1='40' x2='{WIDTH - 10}' y1='{y:.1f}' y2='{y:.1f}' stroke='{COLOURS[1]}' "
        f"stroke-dasharray='6 4'/><text x='44' y='{y - 4:.1f}' font-size='11' fill='currentColor'>"
        f"ln(vocab) = {top:.2f}</text><line x1='40' x2='{WIDTH - 10}' y1='{HEIGHT}' y2='{HEIGHT}' "
        f"stroke='currentColor'/><text x='44' y='{HEIGHT + 15}' font-size='12' "
        f"fill='currentColor'>{now}</text>"
        f"<polyline points='{line}' fill='none' stroke='{COLOURS[0]}' stroke-width='2'/></svg>"
    )


def sample_list(samples: Sequence[tuple[int, str]]) -> str:
    """Samples with their steps, as HTML."""
    rows = "".join(
        f"<p style='margin:.3em 0'><b>step {step:,}</b> {escape(_short(text), quote=False)}</p>"
        for step, text in samples
    )
    return f"<div style='max-width:46em'>{rows}</div>"


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN].rsplit(" ", 1)[0] + " …"


def loss_curve(records: Sequence[StepRecord], vocab_size: int, caption: str) -> Figure:
    """Training loss against tokens, smoothed over the last 20 steps beside the raw one; dots where
    there was an evaluation."""
    top = math.log(vocab_size)
    tokens = [r.tokens for r in records]
    raw = [r.loss for r in records]
    smooth = [sum(raw[max(0, i - 19) : i + 1]) / len(raw[max(0, i - 19) : i + 1])
              for i in range(len(raw))]  # fmt: skip
    held = [(r.tokens, r.val_loss) for r in records if r.val_loss is not None]
    alt = f"Loss against tokens: from {raw[0]:.1f} down to {smooth[-1]:.2f} after {tokens[-1]:,}"
    alt += f" tokens; held-out {held[-1][1]:.2f}." if held else "."
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        axes.plot(tokens, raw, color=COLOURS[5], linewidth=0.7, label="each step")
        axes.plot(tokens, smooth, color=COLOURS[0], linewidth=2, label="mean of 20 steps")
        if held:
            axes.plot(*zip(*held), "o", color=COLOURS[1], markersize=5, label="held-out stories")
        axes.axhline(top, color=COLOURS[6], linestyle="--", linewidth=1, label="ln(vocab size)")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("loss (nats a token)")
        axes.legend(fontsize=9)
    return fig


def two_curves(
    steps: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    caption: str,
    *,
    bottom: float | None = 0,
) -> Figure:
    """Losses of one run, or of several, at the same steps. The axis begins at `bottom`; None lets
    it follow the curves, where a small bend is the point."""
    ends = ", ".join(
        f"{name} lowest at {min(losses):.2f}, {losses[-1]:.2f} at the end"
        for name, losses in curves.items()
    )
    with figure(caption, alt=f"Loss against step: {ends}.", height=3.2) as fig:
        axes = fig.axes
        for (name, losses), style in zip(curves.items(), STYLES):
            axes.plot(steps, losses, linestyle=style, linewidth=2, marker="o", markersize=3,
                      label=name)  # fmt: skip
        axes.set_ylim(bottom=bottom)
        axes.set_xlabel("step")
        axes.set_ylabel("loss (nats a token)")
        axes.legend(fontsize=9)
    return fig


# -- sweeps ---------------------------------------------------------------------------------


def grouped(runs: Sequence[Mapping], key: str, what: str) -> dict[float, list[float]]:
    """The last value of `what` in every run, by the runs' setting `key`: one entry a seed."""
    found: dict[float, list[float]] = {}
    for run in runs:
        found.setdefault(run[key], []).append(run[what][-1])
    return dict(sorted(found.items()))


def sweep(
    runs: Sequence[Mapping], key: str, names: Mapping[str, str], caption: str, x_label: str
) -> Figure:
    """Final losses against a setting, on a logarithmic axis: a dot a seed, a line at the means.
    `names`: what was measured ("loss", "names") -> its words."""
    series = {label: grouped(runs, key, what) for what, label in names.items()}
    words = "; ".join(
        f"{label}: " + ", ".join(f"{x:g} {_mean(ys):.2f}" for x, ys in points.items())
        for label, points in series.items()
    )
    with figure(caption, alt=f"Loss by {x_label}. {words}.", height=3.2) as fig:
        axes = fig.axes
        for (label, points), colour, style in zip(series.items(), COLOURS, STYLES):
            for x, ys in points.items():
                axes.plot([x] * len(ys), ys, "o", color=colour, alpha=0.55, markersize=5)
            means = [_mean(ys) for ys in points.values()]
            axes.plot(list(points), means, color=colour, linestyle=style, linewidth=2, label=label)
        axes.set_xscale("log")
        axes.set_xticks(list(points), [f"{x:g}" for x in points])
        axes.minorticks_off()
        axes.set_xlabel(x_label)
        axes.set_ylabel("loss at the end (nats a token)")
        axes.legend(fontsize=9)
    return fig


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def scaling(runs: Sequence[Mapping], fit) -> Figure:
    """Loss against tokens for each size, with what `fit(parameters, tokens)` says as lines."""
    sizes = sorted({run["parameters"] for run in runs})
    caption = "More tokens help every size, and a small model less and less."
    best = min(runs, key=lambda run: run["loss"][-1])
    alt = f"Held-out loss against tokens, both logarithmic, a line for each of {len(sizes)} sizes. "
    alt += f"The lowest, {best['loss'][-1]:.2f}, is that of {best['parameters']:,} parameters."
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        for size, colour, style in zip(sizes, COLOURS, STYLES):
            mine = sorted((r["seen"], r["loss"][-1]) for r in runs if r["parameters"] == size)
            tokens, losses = zip(*mine)
            axes.plot(tokens, losses, "o", color=colour, label=f"{size:,} parameters")
            axes.plot(tokens, [fit(size, t) for t in tokens], color=colour, linestyle=style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("held-out loss (nats a token)")
        axes.legend(fontsize=9)
    return fig


def tokens_per_parameter(points: Mapping[str, float], caption: str) -> Figure:
    """Models on one logarithmic axis; a dashed line at 20."""
    words = ", ".join(f"{name} {ratio:,.3g}" for name, ratio in points.items())
    height = 0.9 + 0.36 * len(points)
    with figure(caption, alt=f"Tokens a parameter: {words}.", height=height) as fig:
        axes = fig.axes
        axes.plot(list(points.values()), range(len(points)), "o", markersize=8)
        axes.axvline(20, color=COLOURS[1], linestyle="--", label="about 20: Chinchilla")
        axes.set_yticks(range(len(points)), list(points))
        axes.invert_yaxis()
        axes.set_xscale("log")
        axes.set_xlabel("training tokens a parameter")
        axes.legend(fontsize=9)
    return fig


# -- a rate to play with --------------------------------------------------------------------


def rate_words(runs: Sequence[Mapping], lr: float) -> str:
    """What the explorer says about one peak rate."""
    finals = [run["loss"][-1] for run in runs if run["lr"] == lr]
    first = [run["loss"][0] for run in runs if run["lr"] == lr]
    best = min(_mean(ys) for ys in grouped(runs, "lr", "loss").values())
    return (
        f"peak {lr:g}: held-out loss {_mean(first):.2f} after a sixth of the run, "
        f"{_mean(finals):.2f} at the end (seeds {min(finals):.2f} to {max(finals):.2f}); "
        f"{_mean(finals) - best:.2f} above the best peak"
    )


def rate_figure(runs: Sequence[Mapping], lr: float) -> Figure:
    """Held-out loss on the way, all seeds: this peak in front, the others behind."""
    rates = sorted({run["lr"] for run in runs})
    caption = "Too small a rate is late. Too large a rate is stuck. Between them is room."
    alt = f"Held-out loss against tokens for peaks from {rates[0]:g} to {rates[-1]:g}. "
    with figure(caption, alt=alt + rate_words(runs, lr) + ".", height=3.4) as fig:
        axes = fig.axes
        for run in sorted(runs, key=lambda run: run["lr"] == lr):
            chosen = run["lr"] == lr
            colour, width = (COLOURS[0], 2.4) if chosen else ("#999999", 0.8)
            axes.plot(run["tokens"], run["loss"], color=colour, linewidth=width)
        axes.set_xlabel("tokens seen")
        axes.set_ylabel("held-out loss (nats a token)")
    return fig


def rate_explorer(runs: Sequence[Mapping], lr: float) -> Live:
    """Choose a peak rate, see its measured runs. The widget has `.rate` and `.words`."""
    rates = sorted({run["lr"] for run in runs})
    if lr not in rates:
        raise ValueError(
            f"no run has the peak {lr:g}; there are {', '.join(f'{r:g}' for r in rates)}"
        )

    def make():
        import ipywidgets

        slider = ipywidgets.SelectionSlider(
            options=[(f"{r:g}", r) for r in rates], value=lr, description="peak rate",
            layout=ipywidgets.Layout(width="26em"),
        )  # fmt: skip
        words, picture = ipywidgets.Label(), ipywidgets.HTML()

        def draw(change=None) -> None:
            words.value = rate_words(runs, slider.value)
            picture.value = rate_figure(runs, slider.value)._repr_html_()

        slider.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([slider, words, picture])
        box.rate, box.words, box.picture = slider, words, picture
        return box

    words = rate_words(runs, lr)
    return Live(f"<p>{escape(words)}</p>{rate_figure(runs, lr)._repr_html_()}", words, make)
