"""Pictures for the lesson on pretraining: AdamW's two averages on a valley, the schedule, a loss
curve that grows while a model learns, curves with what they show written in them, sweeps with every
seed in sight, loss against size and tokens, and a rate to play with."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from llamalab.course.figures import Slider, claim, explorer, figure, label_lines, monitor, palette
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html
from llamalab.course.figures.live import Live
from llamalab.training import StepRecord, TrainConfig, learning_rate

STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)))
HEIGHT = 220  # of the growing curve, in its own units
SIZES = ("#9CCBEA", "#56B4E9", "#2E8FC9", "#0072B2", "#003E63")  # small to large: light to dark
NATS = "loss (nats a token)"


# -- a step that knows its own size ---------------------------------------------------------


def two_averages(
    slope: Callable[[float, float], tuple], adamw_step: Callable, rate: float = 0.05,
    plain: float = 0.019, steps: int = 50,
) -> Figure:  # fmt: skip
    """Left: a valley of two weights from above, the way of plain steps and that of AdamW's. Right:
    the two averages of AdamW at each step, for the steep weight and the flat one."""
    a, b, along = 1.0, 1.0, [(1.0, 1.0)]
    for _ in range(steps):
        da, db = slope(a, b)
        a, b = a - plain * da, b - plain * db
        along.append((a, b))
    w, m, v = torch.ones(2), torch.zeros(2), torch.zeros(2)
    way, sizes, means = [w.tolist()], [], []
    for t in range(1, steps + 1):
        w, m, v = adamw_step(w, torch.stack(slope(*w)), m, v, t, rate, 0.0)
        way.append(w.tolist())
        means.append((m / (1 - 0.9**t)).abs().tolist())
        sizes.append((v / (1 - 0.95**t)).sqrt().tolist())
    caption = (
        "Two averages for each weight: their quotient makes steps of one size out of gradients "
    )
    caption += f"that differ {slope(1, 1)[0] / slope(1, 1)[1]:,.0f}-fold."
    alt = (
        f"A narrow valley from above. {steps} plain steps swing across it and stay at "
        f"({along[-1][0]:.2f}, {along[-1][1]:.2f}); {steps} steps of AdamW go down both weights at "
        f"once, to ({way[-1][0]:.2f}, {way[-1][1]:.2f}). Beside it, on a logarithmic axis, the "
        f"averages m and root v of the steep weight, which start from {sizes[0][0]:g}, and of the "
        f"flat one, from {sizes[0][1]:.2g}: the distance between m and root v is alike."
    )
    with figure(caption, alt=alt, width=8.6, height=3.9, columns=2) as fig:
        _valley(fig.axes[0], along, way)
        _averages(fig.axes[1], sizes, means)
    return fig


def _valley(axes, along: Sequence, way: Sequence) -> None:
    walls = [(1.0 - k / 12) for k in range(12)]
    for k, wall in enumerate(walls):  # lines of equal height: next to straight, 10,000 to 1
        axes.axvspan(
            -wall - 0.2, wall + 0.2, color=palette.GRID, alpha=0.10 + 0.02 * k, linewidth=0
        )
    axes.plot(*zip(*along), "-", color=palette.WRONG, linewidth=1)
    axes.plot(*zip(*along[::10]), "o", color=palette.WRONG, markersize=4)
    axes.plot(*zip(*way), "o-", color=palette.BLUE, markersize=3.5)
    axes.plot([0], [0], "*", color=palette.INK, markersize=13)
    axes.set(xlim=(-1.25, 1.25), ylim=(-0.35, 1.42), xlabel="steep weight", ylabel="flat weight")
    axes.grid(False)
    axes.set_title("the valley from above")
    claim(axes, "plain steps swing across,\nand not along", at=(-0.85, 1.0), to=(-0.62, 0.66),
          colour=palette.WRONG)  # fmt: skip
    middle = way[len(way) // 5]
    claim(axes, "AdamW: both at once", at=tuple(middle), to=(0.72, 0.28), colour=palette.BLUE)
    axes.annotate("bottom", (0, 0), (0.13, -0.06), fontsize=9, color=palette.INK)


def _averages(axes, sizes: Sequence, means: Sequence) -> None:
    steps, ends = range(1, len(sizes) + 1), []
    for i, (name, colour) in enumerate((("steep", palette.VERMILLION), ("flat", palette.GREEN))):
        size, mean = ([row[i] for row in rows] for rows in (sizes, means))
        axes.plot(steps, size, color=colour)
        axes.plot(steps, mean, color=colour, linestyle="--", linewidth=1.4)
        axes.fill_between(steps, mean, size, color=colour, alpha=0.12, linewidth=0)
        ends += [(steps[-1], size[-1], f"√v, {name}", colour), (steps[-1], mean[-1],
                 f"|m|, {name}", colour)]  # fmt: skip
    axes.set_yscale("log")
    axes.set(xlabel="step", ylabel="average (units of the gradient)")
    axes.set_title("the two averages of each weight")
    first = (sizes[3][0] * sizes[3][1]) ** 0.5
    axes.annotate(
        "", (4, sizes[3][1] * 1.4), xytext=(4, sizes[3][0] / 1.4),
        arrowprops={"arrowstyle": "<|-|>", "color": palette.FAINT},
    )  # fmt: skip
    apart = f"{sizes[0][0] / sizes[0][1]:,.0f}-fold apart,\nand the same\nquotient m / √v"
    axes.text(5.2, first, apart, fontsize=9, va="center")
    label_lines(axes, ends)


# -- the rate -------------------------------------------------------------------------------


def schedules(configs: Mapping[str, TrainConfig]) -> Figure:
    """The learning rate at every step of each config."""
    caption = "The rate climbs in a straight line, then falls along half a cosine to a tenth."
    parts, ends = [], []
    for name, config in configs.items():
        last = learning_rate(config.steps, config)
        parts.append(f"{name}: up to {config.lr:g} at step {config.warmup_steps}, {last:g} at last")
    with figure(caption, alt=f"Rate against step. {'; '.join(parts)}.", height=3.2) as fig:
        axes = fig.axes
        for i, ((name, config), style) in enumerate(zip(configs.items(), STYLES)):
            steps = range(1, config.steps + 1, max(1, config.steps // 500))
            rates = [learning_rate(step, config) for step in steps]
            axes.plot(steps, rates, linestyle=style, color=palette.SERIES[i])
            ends.append((steps[-1], rates[-1], name, palette.SERIES[i]))
        first = next(iter(configs.values()))
        axes.set_ylim(0, 1.15 * max(config.lr for config in configs.values()))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.set(xlabel="step", ylabel="learning rate")
        if first.warmup_steps:
            climb = f"warm-up: {first.warmup_steps:,} steps of {first.steps:,}"
            claim(axes, climb, at=(first.warmup_steps, first.lr), to=(0.38 * first.steps,
                  1.08 * first.lr))  # fmt: skip
        claim(axes, "a tenth of the peak", at=(first.steps, 0.1 * first.lr),
              to=(0.8 * first.steps, 0.42 * first.lr))  # fmt: skip
        label_lines(axes, ends)
    return fig


# -- a curve that grows ---------------------------------------------------------------------


class Monitor(monitor.Monitor):
    """A loss curve and samples that change while a loop runs: `add(record)` at every step,
    `sample(step, text)` now and then."""

    def __init__(self, vocab_size: int, steps: int):
        self.top = math.log(vocab_size)
        self.losses: list[tuple[int, float]] = []
        says = "The curve grows here while the next cell runs, and the model's samples with it."
        super().__init__(says, steps, shown=400)

    def add(self, record: StepRecord) -> None:
        """One more step. Drawn about a hundred times in all."""
        self.losses.append((record.step, record.loss))
        if record.step % max(1, self.steps // 100) == 0 or record.step == self.steps:
            self.draw()

    def curve(self) -> Html:
        return growing_curve(self.losses, self.steps, self.top)


def growing_curve(losses: Sequence[tuple[int, float]], steps: int, top: float) -> Html:
    """The losses so far as a small SVG; a dashed line at ln(vocab_size)."""

    def down(loss: float) -> float:
        return HEIGHT * (1 - min(loss, 1.1 * top) / (1.1 * top))

    words = f"ln(vocab) = {top:.2f}: knows nothing"
    marks = monitor.level_and_floor(down(top), words, x=44, above=5, height=HEIGHT)
    return monitor.growing_curve(losses, steps, down, marks, height=HEIGHT)


def loss_curve(records: Sequence[StepRecord], vocab_size: int, caption: str) -> Figure:
    """Training loss against tokens, smoothed over the last 20 steps before the raw one; dots where
    there was an evaluation."""
    top = math.log(vocab_size)
    tokens = [r.tokens for r in records]
    raw = [r.loss for r in records]
    smooth = [sum(raw[max(0, i - 19) : i + 1]) / len(raw[max(0, i - 19) : i + 1])
              for i in range(len(raw))]  # fmt: skip
    held = [(r.tokens, r.val_loss) for r in records if r.val_loss is not None]
    half = next((i for i, loss in enumerate(smooth) if loss < (raw[0] + smooth[-1]) / 2), None)
    alt = f"Loss against tokens: from {raw[0]:.1f} down to {smooth[-1]:.2f} after {tokens[-1]:,}"
    alt += f" tokens; held-out {held[-1][1]:.2f}." if held else "."
    with figure(caption, alt=alt, width=7.0) as fig:
        axes = fig.axes
        axes.plot(tokens, raw, color=palette.SKY, linewidth=0.7)
        axes.plot(tokens, smooth, color=palette.LOSS)
        if held:
            axes.plot(*zip(*held), "o", color=palette.VALIDATION, markersize=5)
        axes.axhline(top, color=palette.INK, linestyle="--", linewidth=1)
        axes.set_ylim(0, 1.12 * max(top, raw[0]))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value / 1e6:g}")
        axes.set(xlabel="tokens seen (millions)", ylabel=NATS)
        ends = [(axes.get_xlim()[1], top, f"ln V = {top:.2f}:\nknows nothing", palette.INK)]
        ends.append((tokens[-1], smooth[-1], "training (mean\nof 20 steps)", palette.LOSS))
        if held:
            ends.append((*held[-1], "held-out stories", palette.VALIDATION))
        if half:
            said = f"half of the way: step {records[half].step}"
            claim(axes, said, at=(tokens[half], smooth[half]), to=(0.4 * tokens[-1], smooth[half]))
        label_lines(axes, ends, gap=0.115)
    return fig


Pointed = tuple[str, tuple[float, float], tuple[float, float]]  # a claim, at, to


def two_curves(
    steps: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    caption: str,
    *,
    bottom: float | None = 0,
    says: Pointed | None = None,
    level: tuple[float, str] | None = None,
    colours: Sequence[str] = palette.SERIES,
) -> Figure:
    """Losses of one run, or of several, at the same steps, each named at its end. The axis begins
    at `bottom`; None lets it follow the curves, where a small bend is the point. `says`: a claim
    written in the picture; `level`: a loss to compare with, and its name."""
    ends = ", ".join(
        f"{name} lowest at {min(losses):.2f}, {losses[-1]:.2f} at the end"
        for name, losses in curves.items()
    )
    with figure(caption, alt=f"Loss against step: {ends}.", width=7.0, height=3.3) as fig:
        axes, named = fig.axes, []
        for (name, losses), style, colour in zip(curves.items(), STYLES, colours):
            axes.plot(steps, losses, linestyle=style, marker="o", markersize=3, color=colour,
                      clip_on=False)  # fmt: skip
            named.append((steps[-1], losses[-1], name, colour))
        axes.set_xlim(right=steps[-1])  # the axis does not run through the names
        if level is not None:
            axes.axhline(level[0], color=palette.INK, linestyle="--", linewidth=1)
            named.append((axes.get_xlim()[1], *level, palette.INK))
        axes.set_ylim(bottom=bottom)
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.set(xlabel="step", ylabel=NATS)
        if says is not None:
            claim(axes, says[0], at=says[1], to=says[2])
        label_lines(axes, named, gap=0.07)
    return fig


def second_fall(curve: Mapping[int, float], slow: tuple[int, int], fast: tuple[int, int]) -> Figure:
    """A run's held-back loss by step, with two stretches of it named by how fast it falls there."""
    speeds = [100 * (curve[a] - curve[b]) / (b - a) for a, b in (slow, fast)]
    caption = "It slows down, and then falls once more: in those steps it found out how to copy."
    alt = (
        f"Held-back loss against step, from {max(curve.values()):.2f} to {min(curve.values()):.2f}."
    )
    for (a, b), speed in zip((slow, fast), speeds):
        alt += f" From step {a:,} to {b:,} it falls by {speed:.3f} in a hundred steps."
    with figure(caption, alt=alt, width=7.0, height=3.4) as fig:
        axes = fig.axes
        axes.plot(list(curve), list(curve.values()), "o-", color=palette.VALIDATION, markersize=3)
        named = zip((slow, fast), speeds, (palette.FAINT, palette.INK), (0.13, 0.16))
        for (a, b), speed, colour, up in named:
            axes.axvspan(a, b, color=palette.LIT, alpha=0.25 if colour == palette.FAINT else 0.55,
                         linewidth=0)  # fmt: skip
            middle = (a + b) / 2
            near = min(curve, key=lambda step: abs(step - middle))
            words = f"{speed:.3f} in 100 steps"
            to = (middle + (0 if up == 0.13 else 420), curve[near] + up)
            claim(axes, words, at=(near, curve[near]), to=to)
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.set(xlabel="step", ylabel=NATS)
        label_lines(
            axes, [(max(curve), curve[max(curve)], "held-back\nstories", palette.VALIDATION)]
        )
    return fig


# -- sweeps ---------------------------------------------------------------------------------


def grouped(runs: Sequence[Mapping], key: str, what: str) -> dict[float, list[float]]:
    """The last value of `what` in every run, by the runs' setting `key`: one entry a seed."""
    found: dict[float, list[float]] = {}
    for run in runs:
        found.setdefault(run[key], []).append(run[what][-1])
    return dict(sorted(found.items()))


def sweep(
    runs: Sequence[Mapping],
    key: str,
    names: Mapping[str, str],
    caption: str,
    x_label: str,
    *,
    says: Pointed | None = None,
    level: tuple[float, str] | None = None,
) -> Figure:
    """Final losses against a setting, on a logarithmic axis: a dot a seed, a line at the means,
    its name at its end. `names`: what was measured ("loss", "names") -> its words."""
    series = {label: grouped(runs, key, what) for what, label in names.items()}
    words = "; ".join(
        f"{label}: " + ", ".join(f"{x:g} {_mean(ys):.2f}" for x, ys in points.items())
        for label, points in series.items()
    )
    with figure(caption, alt=f"Loss by {x_label}. {words}.", width=7.0, height=3.3) as fig:
        axes, ends = fig.axes, []
        for (label, points), colour, style in zip(series.items(), palette.SERIES, STYLES):
            for x, ys in points.items():
                axes.plot([x] * len(ys), ys, "o", color=colour, alpha=0.55, markersize=5)
            means = [_mean(ys) for ys in points.values()]
            axes.plot(list(points), means, color=colour, linestyle=style)
            ends.append((list(points)[-1], means[-1], label, colour))
        axes.set_xscale("log")
        axes.set_xticks(list(points), [f"{x:g}" for x in points])
        axes.minorticks_off()
        axes.set(xlabel=x_label, ylabel="loss at the end (nats a token)")
        if level is not None:
            axes.axhline(level[0], color=palette.INK, linestyle="--", linewidth=1)
            ends.append((axes.get_xlim()[1], *level, palette.INK))
        if says is not None:
            claim(axes, says[0], at=says[1], to=says[2])
        label_lines(axes, ends, gap=0.075)
    return fig


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def scaling(runs: Sequence[Mapping], fit) -> Figure:
    """Loss against tokens for each size, with what `fit(parameters, tokens)` says as lines."""
    sizes = sorted({run["parameters"] for run in runs})
    caption = (
        "At every length the larger model is ahead, and none has begun to flatten: the last "
        "doubling of the text helps more than the first did. This is the steep first slope."
    )
    best = min(runs, key=lambda run: run["loss"][-1])
    alt = f"Held-out loss against tokens, both logarithmic, a line for each of {len(sizes)} sizes. "
    alt += f"The lowest, {best['loss'][-1]:.2f}, is that of {best['parameters']:,} parameters."
    with figure(caption, alt=alt, width=7.0, height=3.9) as fig:
        axes, ends = fig.axes, []
        for size, colour, style in zip(sizes, SIZES, STYLES):
            mine = sorted((r["seen"], r["loss"][-1]) for r in runs if r["parameters"] == size)
            tokens, losses = zip(*mine)
            fitted = [fit(size, t) for t in tokens]
            axes.plot(tokens, losses, "o", color=colour)
            axes.plot(tokens, fitted, color=colour, linestyle=style)
            ends.append((tokens[-1], fitted[-1], f"{size:,}\u2009 parameters", palette.INK))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(tokens, [f"{t:,}" for t in tokens])
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, place: f"{value:g}" if value < 7 else "")
        axes.set(xlabel="tokens seen", ylabel="held-out loss (nats a token)")
        claim(axes, "dots: measured, lines: fitted", at=(tokens[1], fit(sizes[-1], tokens[1])),
              to=(1.75 * tokens[0], 0.9 * best["loss"][-1] + 0.35))  # fmt: skip
        label_lines(axes, ends)
    return fig


def tokens_per_parameter(points: Mapping[str, float], caption: str) -> Figure:
    """Models on one logarithmic axis, each with its number; a dashed line at 20."""
    words = ", ".join(f"{name} {ratio:,.3g}" for name, ratio in points.items())
    height = 1.1 + 0.36 * len(points)
    with figure(caption, alt=f"Tokens a parameter: {words}.", height=height) as fig:
        axes, rows = fig.axes, range(len(points))
        beyond = [ratio > 20 for ratio in points.values()]
        colours = [palette.BLUE if far else palette.FAINT for far in beyond]
        axes.plot(list(points.values()), rows, "o", markersize=0)
        axes.hlines(rows, 20, list(points.values()), color=colours, linewidth=2)
        axes.scatter(list(points.values()), rows, color=colours, s=55, zorder=3)
        for row, ratio in zip(rows, points.values()):
            side = 1 if ratio > 20 else -1
            axes.annotate(f"{ratio:,.3g}", (ratio, row), (9 * side, 0), textcoords="offset points",
                          va="center", ha="left" if side > 0 else "right")  # fmt: skip
        axes.axvline(20, color=palette.INK, linestyle="--", linewidth=1)
        axes.annotate("about 20: Chinchilla", (20, -0.75), (4, 0), textcoords="offset points",
                      fontsize=9, va="center")  # fmt: skip
        axes.set_yticks(rows, list(points))
        axes.set_ylim(len(points) - 0.5, -1.05)
        axes.set_xscale("log")
        axes.set_xlim(0.6 * min(20, *points.values()), 1.8 * max(20, *points.values()))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("training tokens a parameter")
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
    caption = "Too small a rate is late. Too large a rate costs less, and shows later."
    alt = f"Held-out loss against tokens for peaks from {rates[0]:g} to {rates[-1]:g}. "
    with figure(caption, alt=alt + rate_words(runs, lr) + ".", width=7.0, height=3.6) as fig:
        axes, ends = fig.axes, {}
        for run in sorted(runs, key=lambda run: run["lr"] == lr):
            chosen = run["lr"] == lr
            colour, width = (palette.LOSS, 2.4) if chosen else ("#A9A59A", 0.8)
            axes.plot(run["tokens"], run["loss"], color=colour, linewidth=width)
            ends.setdefault(run["lr"], []).append((run["tokens"][-1], run["loss"][-1]))
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:,.0f}")
        axes.set(xlabel="tokens seen", ylabel="held-out loss (nats a token)")
        label_lines(axes, [
            (places[0][0], _mean([loss for _, loss in places]),
             f"peak {rate:g}, {len(places)} seeds" if rate == lr else f"{rate:g}",
             palette.LOSS if rate == lr else palette.FAINT)
            for rate, places in ends.items()
        ])  # fmt: skip
    return fig


def rate_explorer(runs: Sequence[Mapping], lr: float) -> Live:
    """Choose a peak rate, see its measured runs. The widget has `.rate` and `.words`."""
    rates = sorted({run["lr"] for run in runs})
    if lr not in rates:
        raise ValueError(
            f"no run has the peak {lr:g}; there are {', '.join(f'{r:g}' for r in rates)}"
        )
    return explorer(
        [Slider("rate", lr, values=rates, label="peak rate", shown="{:g}".format)],
        picture=lambda rate: rate_figure(runs, rate),
        words=lambda rate: rate_words(runs, rate),
    )
