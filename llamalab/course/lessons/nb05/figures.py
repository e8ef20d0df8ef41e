"""Pictures for the lesson on SwiGLU: three bends and their slopes, the layer with numbers in it, a
gate at work, a measured comparison with every seed in sight."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from llamalab.course.figures import (
    Figure,
    Live,
    Slider,
    arrow,
    blank,
    claim,
    explorer,
    figure,
    label_lines,
    note,
    palette,
)

BENDS = {"ReLU": torch.relu, "GELU": F.gelu, "SiLU": F.silu}
LINES = {"ReLU": (":", palette.FAINT), "GELU": ("--", palette.BLUE), "SiLU": ("-", palette.GATE)}
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
        left.set(xlim=(-5, 5), ylim=(-0.6, 3), ylabel="what comes out")
        right.set(xlim=(-5, 5), ylim=(-0.25, 1.25), ylabel="slope there")
        for axes in fig.axes:
            axes.set_xlabel("number that goes in")
        colours = {name: colour for name, (_, colour) in LINES.items()}
        note(left, -3.5, 0.16, "ReLU", colour=colours["ReLU"])
        claim(
            left, "GELU dips to -0.17", at=(-0.75, -0.17), to=(-2.6, 0.75), colour=colours["GELU"]
        )
        claim(left, "SiLU to -0.28", at=(-1.28, -0.28), to=(-3.3, -0.47), colour=colours["SiLU"])
        right.axvspan(-5, 0, ymax=1 / 6, color=palette.FAINT, alpha=0.15, linewidth=0)
        note(right, -2.6, 0.3, "ReLU's slope is 0:\nnothing is learned here", colour=palette.FAINT)
        claim(right, "GELU", at=(0.9, 1.1), to=(-1.2, 1.15), colour=colours["GELU"])
        claim(right, "SiLU", at=(3.0, 1.087), to=(3.2, 0.82), colour=colours["SiLU"])
    return fig


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
        blank(axes, 10.2, 4)
        _column(axes, 0.6, 2.0, x, "x", palette.RESIDUAL)
        _column(axes, 2.9, 3.1, gate, "gate = W₁ x", palette.GATE)
        _column(axes, 5.2, 3.1, passed, "SiLU(gate)", palette.GATE)
        _column(axes, 2.9, 0.9, up, "value = W₃ x", palette.UP)
        _column(axes, 7.3, 2.0, passed * up, "product", palette.RESIDUAL)
        _column(axes, 9.5, 2.0, out, "y", palette.RESIDUAL)
        for start, end, words in (
            ((1.1, 2.2), (2.35, 3.0), "W₁"), ((1.1, 1.8), (2.35, 1.0), "W₃"),
            ((3.5, 3.1), (4.6, 3.1), "bend"), ((5.8, 2.9), (6.7, 2.2), ""),
            ((3.5, 0.9), (6.7, 1.8), "⊙"), ((7.9, 2.0), (8.95, 2.0), "W₂"),
        ):  # fmt: skip
            arrow(axes, start, end, palette.FAINT)
            middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.2
            note(axes, *middle, words, colour=palette.INK, size=11)
    return fig


def _numbers(values: torch.Tensor) -> str:
    return "(" + ", ".join(f"{v:.2f}" for v in values.tolist()) + ")"


def _column(axes, x: float, y: float, values: torch.Tensor, name: str, colour: str) -> None:
    """Numbers under one another in boxes, whose filling is as strong as the number is large."""
    from matplotlib.patches import Rectangle

    tall = 0.5
    top = y + tall * len(values) / 2
    for row, value in enumerate(values.tolist()):
        low = top - tall * (row + 1)
        face = (colour, min(1.0, abs(value) / 6) * 0.5)
        axes.add_patch(
            Rectangle((x - 0.5, low), 1.0, tall, facecolor=face, edgecolor=colour, linewidth=1.4)
        )
        note(axes, x, low + tall / 2, f"{value:.2f}", colour=palette.INK, size=10)
    note(axes, x, top + 0.22, name, colour=palette.INK, size=10)


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
    ends = [-reach, reach]
    lines = (
        ("passes unchanged, y = x", UNCHANGED, palette.INK, "--", 1.5),
        ("gate -1", -1.0, palette.FAINT, "-", 1.0),
        ("gate 3", 3.0, palette.FAINT, "-", 1.0),
        (f"your gate, {gate:.1f}", gate, palette.GATE, "-", 3.0),
    )
    with figure(caption, alt=alt, width=7.4, height=3.6) as fig:
        axes = fig.axes
        for _, at, colour, style, width in lines:
            line = [gated(at, v) for v in ends]
            axes.plot(ends, line, linestyle=style, color=colour, linewidth=width)
        passes = gated(gate, value)
        axes.plot([value, value], [0, passes], color=palette.UP, linewidth=1.5)
        axes.plot(
            [value], [passes], "o", color=palette.UP, markeredgecolor=palette.INK, markersize=9
        )
        axes.set(xlim=ends, ylim=(-tall, tall), xlabel="value (w3 x)", ylabel="what passes")
        heights = [max(-tall, min(tall, gated(at, reach))) for _, at, *_ in lines]
        label_lines(axes, [(reach, y, name, c) for y, (name, _, c, *_) in zip(heights, lines)])
    return fig


def gate_explorer(gate: float = 2.0, value: float = -1.0) -> Live:
    """Move the gate and the value, and see what passes. The widget has `.gate`, `.value` and
    `.words`. ValueError for a number that the sliders do not reach."""
    for name, number in (("gate", gate), ("value", value)):
        if not -10 <= number <= 10:
            raise ValueError(f"{name}={number} is not between -10 and 10")
    return explorer(
        [
            Slider("gate", float(gate), -10.0, 10.0, 0.1),
            Slider("value", float(value), -10.0, 10.0, 0.1),
        ],
        picture=gate_figure,
        words=gate_words,
    )


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
            axes.plot(seeds, [row] * len(seeds), "o", color=palette.LOSS, alpha=0.75, markersize=6)
            axes.plot([means[name]] * 2, [row - 0.22, row + 0.22], color=palette.INK, linewidth=3)
            at = means[name], row - 0.27
            note(axes, *at, f"{means[name]:.3f}", colour=palette.INK, va="bottom")
        seeds = list(zip(*losses.values(), strict=True))
        for seed in seeds:
            axes.plot(seed, rows, color=palette.LOSS, alpha=0.4, linewidth=0.8, zorder=0)
        axes.set_yticks(rows, list(losses))
        axes.set_ylim(len(losses) - 0.5, -0.75)
        axes.set_xlabel("loss on held-out text (nats a character; lower is better)")
        low, high = (min(map(min, losses.values())), max(map(max, losses.values())))
        note(axes, (low + 3 * high) / 4, 0.95, "one line: one seed", colour=palette.LOSS)
    return fig
