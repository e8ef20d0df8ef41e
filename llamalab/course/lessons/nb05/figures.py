"""Pictures for the lesson on SwiGLU: three bends and their slopes, the layer with numbers in it, a
gate at work, a measured comparison with every seed in sight."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

GATE, UP, STREAM, PRODUCT = COLOURS[1], COLOURS[2], COLOURS[0], COLOURS[3]
QUIET = "#767676"  # what is only there to compare with
BENDS = {"ReLU": torch.relu, "GELU": F.gelu, "SiLU": F.silu}
LINES = {"ReLU": (":", QUIET), "GELU": ("--", UP), "SiLU": ("-", GATE)}
UNCHANGED = 1.2784645  # the gate at which silu(gate) is 1


def slopes(bend, at: torch.Tensor) -> torch.Tensor:
    """The slope of an activation at each number, by autograd."""
    at = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(bend(at).sum(), at)
    return slope


def bends() -> Figure:
    """ReLU, GELU and SiLU, and beside them their slopes."""
    caption = (
        "ReLU breaks at 0, and its slope is 0 on the whole left. GELU and SiLU bend: they dip "
        "below 0, and a slope is left on the left."
    )
    alt = (
        "Left, three activations from -5 to 5. ReLU is 0 up to 0 and then rises. GELU and SiLU "
        "follow it far out on the right, and dip to -0.17 and -0.28 on the left. Right, their "
        "slopes: ReLU's jumps from 0 to 1; the others rise from slightly below 0 to above 1, and "
        "then come down to 1."
    )
    x = torch.linspace(-5, 5, 401, dtype=torch.float64)
    with figure(caption, alt=alt, width=8.4, height=3.5, columns=2) as fig:
        left, right = fig.axes
        for name, bend in BENDS.items():
            style, colour = LINES[name]
            left.plot(x, bend(x), linestyle=style, color=colour, linewidth=2.2)
            slope = slopes(bend, x)
            if name == "ReLU":
                slope[200] = float("nan")  # a jump, not a slant
            right.plot(x, slope, linestyle=style, color=colour, linewidth=2.2)
        left.set(xlim=(-5, 5), ylim=(-0.6, 3))
        left.set_ylabel("what comes out")
        right.set(xlim=(-5, 5), ylim=(-0.25, 1.25))
        right.set_ylabel("slope there")
        for axes in fig.axes:
            axes.set_xlabel("number that goes in")
        _say(left, "ReLU", (-3.6, 0.12), QUIET)
        _say(left, "GELU", (0.15, 1.25), UP, to=(0.95, F.gelu(torch.tensor(0.95)).item()))
        _say(left, "SiLU", (1.9, 0.6), GATE, to=(1.2, F.silu(torch.tensor(1.2)).item()))
        _say(left, "dips to -0.28", (-4.8, -0.52), GATE, to=(-1.28, -0.28))
        right.axvspan(-5, 0, ymax=0.167, color=QUIET, alpha=0.13)
        _say(right, "ReLU: slope 0,\nnothing is learned", (-4.8, 0.16), QUIET)
        _say(right, "GELU", (0.1, 1.15), UP)
        _say(right, "SiLU", (2.9, 0.88), GATE, to=(3.2, 1.07))
    return fig


def _say(axes, text: str, at: tuple, colour: str, *, to: tuple | None = None, **more) -> None:
    """Words in the picture, in the colour of what they are about; with a thin line to it."""
    arrow = {"arrowstyle": "-", "color": colour, "linewidth": 0.8} if to else None
    axes.annotate(text, xy=to or at, xytext=at, color=colour, arrowprops=arrow, **more)


def layer_by_hand(x: Sequence[float], w1, w2, w3) -> Figure:
    """SwiGLU drawn as what it is, with this vector's numbers in it. x: (D,).  w1 and w3:
    (hidden, D).  w2: (D, hidden)."""
    x, w1, w2, w3 = (torch.tensor(t, dtype=torch.float64) for t in (x, w1, w2, w3))
    gate, up = w1 @ x, w3 @ x
    passed = F.silu(gate)
    out = w2 @ (passed * up)
    caption = (
        "Two questions to one vector: W₃ makes the values, W₁ the gates that decide how much of "
        "each passes. The larger value is the one that is stopped."
    )
    alt = (
        f"x = {_numbers(x)} goes two ways. Up: W1 makes the gates {_numbers(gate)}, which SiLU "
        f"bends to {_numbers(passed)}. Down: W3 makes the values {_numbers(up)}. Their product is "
        f"{_numbers(passed * up)}, and W2 makes {_numbers(out)} of it."
    )
    with figure(caption, alt=alt, width=8.4, height=3.0) as fig:
        axes = fig.axes
        axes.set(xlim=(0, 10.2), ylim=(0, 4))
        axes.axis("off")
        _column(axes, 0.6, 2.0, x, "x", STREAM)
        _column(axes, 2.9, 3.1, gate, "gate = W₁ x", GATE)
        _column(axes, 5.2, 3.1, passed, "SiLU(gate)", GATE)
        _column(axes, 2.9, 0.9, up, "value = W₃ x", UP)
        _column(axes, 7.3, 2.0, passed * up, "product", PRODUCT)
        _column(axes, 9.5, 2.0, out, "y", STREAM)
        for start, end, words in (
            ((1.1, 2.2), (2.35, 3.0), "W₁"), ((1.1, 1.8), (2.35, 1.0), "W₃"),
            ((3.5, 3.1), (4.6, 3.1), "bend"), ((5.8, 2.9), (6.7, 2.2), ""),
            ((3.5, 0.9), (6.7, 1.8), "⊙"), ((7.9, 2.0), (8.95, 2.0), "W₂"),
        ):  # fmt: skip
            arrow = {"arrowstyle": "-|>", "color": QUIET, "linewidth": 1.4}
            axes.annotate("", xy=end, xytext=start, arrowprops=arrow)
            middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.18)
            axes.text(*middle, words, color="black", ha="center", fontsize=11)
    return fig


def _numbers(values: torch.Tensor) -> str:
    return "(" + ", ".join(f"{v:.2f}" for v in values.tolist()) + ")"


def _column(axes, x: float, y: float, values: torch.Tensor, name: str, colour: str) -> None:
    """Numbers under one another in boxes, whose filling is as strong as the number is large."""
    tall = 0.5
    top = y + tall * len(values) / 2
    for row, value in enumerate(values.tolist()):
        low = top - tall * (row + 1)
        strength = min(1.0, abs(value) / 6) * 0.55
        box = {"edgecolor": colour, "linewidth": 1.4}
        axes.add_patch(_rectangle(x - 0.5, low, 1.0, tall, facecolor=(colour, strength), **box))
        axes.text(x, low + tall / 2, f"{value:.2f}", ha="center", va="center", color="black")
    axes.text(x, top + 0.12, name, ha="center", color=colour, fontsize=10, fontweight="bold")


def _rectangle(x: float, y: float, width: float, height: float, **style):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, **style)


def gated(gate: float, value: float) -> float:
    """silu(gate) * value."""
    return (F.silu(torch.tensor(gate, dtype=torch.float64)) * value).item()


def gate_words(gate: float, value: float) -> str:
    """What the explorer says about one setting."""
    open_ = torch.sigmoid(torch.tensor(gate, dtype=torch.float64)).item()
    result = gated(gate, value)
    return (
        f"gate {gate:.1f} is {open_:.0%} open: silu(gate) = {gated(gate, 1.0):.2f}, "
        f"times value {value:.1f} is {0.0 if abs(result) < 0.005 else result:.2f}"
    )


def gate_figure(gate: float, value: float) -> Figure:
    """What passes against the value, for this gate and two others: straight lines. The dashed one
    is a value that passes unchanged."""
    caption = (
        "For a fixed gate, what comes out is the value times a constant. The gate sets that "
        "constant: about 0 when far below zero, about itself when far above."
    )
    alt = (
        "Straight lines through the origin, one for each gate: -1 falls a little, 3 rises "
        "steeply; and a dashed line on which the value passes unchanged. "
        f"The marked point: {gate_words(gate, value)}."
    )
    reach = max(4.0, abs(value))
    tall = max(1.08 * 3 * reach, 1.15 * abs(gated(gate, value)), 4.0)
    with figure(caption, alt=alt, width=7.0, height=3.8) as fig:
        axes = fig.axes
        axes.set(xlim=(-reach, 1.45 * reach), ylim=(-tall, tall))
        ends = [-reach, reach]
        axes.plot(ends, ends, "--", color="black", linewidth=1.4)
        for name, other in (("unchanged, y = x", UNCHANGED), ("gate -1", -1.0), ("gate 3", 3.0)):
            colour = "black" if other == UNCHANGED else QUIET
            if other != UNCHANGED:
                axes.plot(ends, [gated(other, v) for v in ends], color=QUIET, linewidth=1)
            if abs(gated(other, reach) - gated(gate, reach)) > 0.12 * tall:
                _say(axes, name, (1.02 * reach, gated(other, reach)), colour, va="center")
        axes.plot(ends, [gated(gate, v) for v in ends], color=GATE, linewidth=3)
        end = max(-0.95 * tall, min(0.95 * tall, gated(gate, reach)))
        strong = {"va": "center", "fontweight": "bold"}
        _say(axes, f"your gate, {gate:.1f}", (1.02 * reach, end), GATE, **strong)
        point = (value, gated(gate, value))
        axes.plot([value, value], [0, point[1]], color=UP, linewidth=1.2)
        axes.plot(*point, "o", color=UP, markersize=9)
        axes.set_xlabel("value (w3 x)")
        axes.set_ylabel("what passes")
    return fig


def gate_explorer(gate: float = 2.0, value: float = -1.0) -> Live:
    """Move the gate and the value, and see what passes. The widget has `.gate`, `.value_slider`
    and `.words`. ValueError for a number that the sliders do not reach."""
    for name, number in (("gate", gate), ("value", value)):
        if not -10 <= number <= 10:
            raise ValueError(f"{name}={number} is not between -10 and 10")

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="26em")
        gates = ipywidgets.FloatSlider(
            gate, min=-10, max=10, step=0.1, description="gate", layout=wide
        )
        values = ipywidgets.FloatSlider(
            value, min=-10, max=10, step=0.1, description="value", layout=wide
        )
        words, picture = ipywidgets.Label(), ipywidgets.HTML()

        def draw(change=None) -> None:
            words.value = gate_words(gates.value, values.value)
            picture.value = gate_figure(gates.value, values.value)._repr_html_()

        gates.observe(draw, "value")
        values.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([gates, values, words, picture])
        box.gate, box.value_slider, box.words, box.picture = gates, values, words, picture
        return box

    still, words = gate_figure(gate, value), gate_words(gate, value)
    return Live(f"<p>{words}</p>{still._repr_html_()}", words, make)


def by_seed(losses: Mapping[str, Sequence[float]], caption: str) -> Figure:
    """One row a variant: a dot for each seed, a bar at their mean with its number. A thin line
    joins the dots of one seed, so that pairs can be compared."""
    means = {name: sum(seeds) / len(seeds) for name, seeds in losses.items()}
    alt = "A row of dots for each layer, one dot a seed, and a bar at the mean. The means: "
    alt += ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()) + "."
    rows = range(len(losses))
    with figure(caption, alt=alt, width=7.4, height=1.0 + 0.55 * len(losses)) as fig:
        axes = fig.axes
        for row, (name, seeds) in enumerate(losses.items()):
            axes.plot(seeds, [row] * len(seeds), "o", color=STREAM, alpha=0.75, markersize=6)
            axes.plot([means[name]] * 2, [row - 0.3, row + 0.3], color=GATE, linewidth=3)
            mean = {"color": GATE, "va": "bottom", "fontsize": 9}
            axes.text(means[name], row - 0.32, f" {means[name]:.3f}", **mean)
        for seed in zip(*losses.values(), strict=True):
            axes.plot(seed, rows, color=STREAM, alpha=0.35, linewidth=0.8, zorder=0)
        axes.set_yticks(rows, list(losses))
        axes.set_ylim(len(losses) - 0.5, -0.75)
        axes.set_xlabel("loss on held-out text (nats a character; lower is better)")
        first = (min(losses[next(iter(losses))]), 0)
        note = "one line: one seed"
        at = (first[0] - 0.02, 0.55)
        _say(axes, note, at, STREAM, ha="right", va="center", fontsize=9)
    return fig
