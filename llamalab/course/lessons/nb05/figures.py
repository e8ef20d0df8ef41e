"""Pictures for the lesson on SwiGLU: three bends and their slopes, a gate at work, a measured
comparison with every seed in sight."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

BENDS = {"ReLU": torch.relu, "GELU": F.gelu, "SiLU": F.silu}
STYLES = (":", "--", "-")


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
    with figure(caption, alt=alt, width=8, height=3.2, columns=2) as fig:
        left, right = fig.axes
        for (name, bend), style in zip(BENDS.items(), STYLES):
            left.plot(x, bend(x), linestyle=style, linewidth=2, label=name)
            slope = slopes(bend, x)
            if name == "ReLU":
                slope[200] = float("nan")  # a jump, not a slant
            right.plot(x, slope, linestyle=style, linewidth=2, label=name)
        left.set(xlim=(-5, 5), ylim=(-0.6, 3))
        left.set_ylabel("what comes out")
        right.set(xlim=(-5, 5), ylim=(-0.25, 1.25))
        right.set_ylabel("slope there")
        for axes in fig.axes:
            axes.set_xlabel("number that goes in")
        left.legend(fontsize=9)
    return fig


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
    """What passes against the value, for this gate and three others: straight lines."""
    caption = (
        "For a fixed gate, what comes out is the value times a constant. The gate sets that "
        "constant: about 0 when far below zero, about itself when far above."
    )
    alt = (
        "Straight lines through the origin, one for each gate: -4 is nearly flat, -1 falls a "
        f"little, 1 rises, 3 rises steeply. The marked point: {gate_words(gate, value)}."
    )
    ends = [-4.0, 4.0]
    with figure(caption, alt=alt, height=3.4) as fig:
        axes = fig.axes
        for k, other in enumerate((-4.0, -1.0, 1.0, 3.0)):
            style = ("-.", ":", "--", (0, (6, 1.5)))[k]
            line = [gated(other, v) for v in ends]
            axes.plot(ends, line, linestyle=style, color=COLOURS[2 + k], label=f"gate {other:.0f}")
        mine = [gated(gate, v) for v in ends]
        axes.plot(ends, mine, color=COLOURS[0], linewidth=2.5, label=f"your gate, {gate:.1f}")
        axes.plot([value], [gated(gate, value)], "o", color=COLOURS[1], markersize=9)
        axes.set(xlim=(-4, 4), ylim=(-12.5, 12.5))
        axes.set_xlabel("value (w3 x)")
        axes.set_ylabel("what passes")
        axes.legend(fontsize=9, loc="upper left")
    return fig


def gate_explorer(gate: float = 2.0, value: float = -1.0) -> Live:
    """Move the gate and the value, and see what passes. The widget has `.gate`, `.value_slider`
    and `.words`."""

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="26em")
        gates = ipywidgets.FloatSlider(
            gate, min=-4, max=4, step=0.1, description="gate", layout=wide
        )
        values = ipywidgets.FloatSlider(
            value, min=-4, max=4, step=0.1, description="value", layout=wide
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
    """One row a variant: a dot for each seed, a bar at their mean."""
    means = {name: sum(seeds) / len(seeds) for name, seeds in losses.items()}
    alt = "A row of dots for each layer, one dot a seed, and a bar at the mean. The means: "
    alt += ", ".join(f"{name} {mean:.2f}" for name, mean in means.items()) + "."
    with figure(caption, alt=alt, height=0.9 + 0.45 * len(losses)) as fig:
        axes = fig.axes
        for row, (name, seeds) in enumerate(losses.items()):
            axes.plot(seeds, [row] * len(seeds), "o", color=COLOURS[0], alpha=0.7, markersize=6)
            axes.plot([means[name]] * 2, [row - 0.3, row + 0.3], color=COLOURS[1], linewidth=3)
        axes.set_yticks(range(len(losses)), list(losses))
        axes.invert_yaxis()
        axes.set_xlabel("loss on held-out text (nats a character; lower is better)")
    return fig
