"""Pictures for the lesson on RMSNorm: sizes by depth, what a norm keeps, what eps lets go."""

from collections.abc import Mapping, Sequence
from itertools import cycle

import torch

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live
from llamalab.layers import rms_norm

DEPTHS = {32: "7B", 40: "13B", 48: "34B", 80: "70B"}
FLOAT16_LARGEST = 65504.0
STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)))


def growth_by_depth(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The size of a vector after each layer, one line a kind of layer."""
    return _by_depth(
        curves,
        "size of the vector",
        caption="Of the stacks that add, only the one whose layers read a normalised copy keeps "
        "its size within reason.",
        alt="Size against layers passed, logarithmic. x + W x climbs in a straight line to 10 to "
        "the 12 and passes the largest float16 at about 32 layers. 1.1 W x climbs to 1,000, "
        "0.9 W x falls to 0.0002, W x wanders around 1. x + W norm(x) rises slowly to 9.",
        limit=True,
    )


def left_by_depth(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The share of the embedding in the vector after each layer, before and after the layer."""
    return _by_depth(
        curves,
        "share that is still the embedding",
        caption="Pre-norm dilutes the embedding slowly; post-norm forgets it at a constant rate.",
        alt="Share of the vector against layers passed, logarithmic. Pre-norm falls slowly from "
        "0.7 to 0.1. Post-norm falls in a straight line to 10 to the minus 12 at 80 layers.",
    )


def _by_depth(
    curves: Mapping[str, Sequence[float]], what: str, *, caption: str, alt: str, limit: bool = False
) -> Figure:
    """One line a curve, logarithmic. The four depths of Llama 2 are marked below; `limit` draws
    the largest float16."""
    with figure(caption, alt=alt, height=3.8) as fig:
        axes = fig.axes
        for (name, sizes), style in zip(curves.items(), cycle(STYLES)):
            axes.plot(range(1, len(sizes) + 1), sizes, linestyle=style, label=name, linewidth=2)
        if limit:
            axes.axhline(FLOAT16_LARGEST, color=COLOURS[6], linewidth=1)
            words = "float16 ends here: 65,504"
            axes.text(80, FLOAT16_LARGEST / 2, words, fontsize=9, ha="right", va="top")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xticks(list(DEPTHS), [f"{n}\n{name}" for n, name in DEPTHS.items()])
        axes.set_xlabel("layers passed")
        axes.set_ylabel(what)
        axes.legend(fontsize=9)
    return fig


def clouds(before: torch.Tensor, rms: torch.Tensor, layer: torch.Tensor) -> Figure:
    """Three pictures of the same N points (N, 2): as they are, after RMSNorm, after LayerNorm.
    A point keeps its colour: the quadrant that it came from."""
    colour = [COLOURS[2 * int(x > 0) + int(y > 0)] for x, y in before.tolist()]
    caption = (
        "RMSNorm keeps each point's direction. LayerNorm keeps only which of its two "
        "numbers is the larger."
    )
    alt = (
        "Left, a cloud of points in the plane. Middle, after RMSNorm, the same points on a "
        "circle of radius 1.41, in the directions that they had. Right, after LayerNorm, all "
        "points on two spots, (1, -1) and (-1, 1)."
    )
    with figure(caption, alt=alt, width=8, height=2.9, columns=3) as fig:
        titles = ("before", "after RMSNorm", "after LayerNorm")
        for axes, points, title in zip(fig.axes, (before, rms, layer), titles):
            axes.scatter(*points.T.tolist(), c=colour, s=14)
            axes.set(title=title, xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
            axes.set_xlabel("first number")
            axes.set_xticks(range(-3, 4))
            axes.set_yticks(range(-3, 4))
        fig.axes[0].set_ylabel("second number")
    return fig


def size_after(size: float, eps: float) -> float:
    """The size (root mean square) that RMSNorm gives to a vector of this size."""
    x = torch.tensor([size, -size], dtype=torch.float64)
    return rms_norm(x, torch.ones(2), eps).pow(2).mean().sqrt().item()


def eps_words(size: float, eps: float) -> str:
    """What the explorer says about one setting."""
    after = size_after(size, eps)
    return f"size before {size:.3g}, eps {eps:g}: size after {after:.3f}"


def eps_figure(size: float, eps: float) -> Figure:
    """Size after against size before, for this eps and for no eps, with one vector marked."""
    sizes = [10 ** (k / 10) for k in range(-50, 21)]
    knee = eps**0.5
    caption = (
        "Above the square root of eps every vector comes out with size 1. Below it the norm "
        "lets go: small vectors stay small."
    )
    alt = (
        f"Size after RMSNorm against size before. With eps {eps:g} the curve rises from 0, passes "
        f"0.71 at size {knee:.2g} and is flat at 1 above. The marked vector: "
        f"{eps_words(size, eps)}."
    )
    with figure(caption, alt=alt, height=3.2) as fig:
        axes = fig.axes
        axes.plot(sizes, [1.0] * len(sizes), "--", color=COLOURS[1], label="no eps")
        after = [size_after(s, eps) for s in sizes]
        axes.plot(sizes, after, color=COLOURS[0], linewidth=2, label=f"eps = {eps:g}")
        axes.axvline(knee, color=COLOURS[6], linewidth=1, linestyle=":", label="√eps")
        axes.plot([size], [size_after(size, eps)], "o", color=COLOURS[1], markersize=9)
        axes.set_xscale("log")
        axes.set(xlim=(1e-5, 1e2), ylim=(0, 1.12))
        axes.minorticks_off()
        axes.set_xlabel("size before (root mean square)")
        axes.set_ylabel("size after")
        axes.legend(fontsize=9, loc="lower right")
    return fig


def eps_explorer(size: float = 0.02, eps: float = 1e-5) -> Live:
    """Move a vector's size and eps, and see what RMSNorm makes of it. The widget has `.size`,
    `.eps` and `.words`."""

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="26em")
        slider = ipywidgets.FloatLogSlider(
            size, base=10, min=-5, max=2, step=0.1, description="size", layout=wide
        )
        slider.readout_format = ".2g"
        choices = [(f"{e:g}", e) for e in (1e-8, 1e-6, 1e-5, 1e-3, 1e-1)]
        choice = ipywidgets.SelectionSlider(
            options=choices, value=eps, description="eps", layout=wide
        )
        words, picture = ipywidgets.Label(), ipywidgets.HTML()

        def draw(change=None) -> None:
            words.value = eps_words(slider.value, choice.value)
            picture.value = eps_figure(slider.value, choice.value)._repr_html_()

        slider.observe(draw, "value")
        choice.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([slider, choice, words, picture])
        box.size, box.eps, box.words, box.picture = slider, choice, words, picture
        return box

    still = eps_figure(size, eps)
    return Live(f"<p>{eps_words(size, eps)}</p>{still._repr_html_()}", eps_words(size, eps), make)
