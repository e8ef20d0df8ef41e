"""Pictures for the lesson on embeddings and RMSNorm: the residual stream, sizes by depth, what a
norm keeps, what eps lets go."""

import math
from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures import (
    Figure,
    Live,
    Slider,
    arrow,
    blank,
    box,
    claim,
    explorer,
    figure,
    label_lines,
    note,
    palette,
)
from llamalab.layers import rms_norm

DEPTHS = {32: "7B", 40: "13B", 48: "34B", 80: "70B"}
FLOAT16_LARGEST = 65504.0
COLOUR = {  # what a curve is about: a stream that is normed, one that is not, plain products
    "x ← x + W norm(x)": palette.NORM,
    "x ← x + W x": palette.WRONG,
    "x ← 1.1 W x": palette.BLUE,
    "x ← W x": palette.FAINT,
    "x ← 0.9 W x": palette.SKY,
    "pre-norm": palette.NORM,
    "post-norm": palette.WRONG,
}
SIZES = tuple(sorted({10 ** (k / 10) for k in range(-50, 21)} | {0.02}))
EPS = (1e-8, 1e-6, 1e-5, 1e-3, 1e-1)


def growth_by_depth(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The size of a vector after each layer, one line a kind of layer."""
    ends = ", ".join(f"{name} {sizes[-1]:.2g}" for name, sizes in curves.items())
    fig = _by_depth(
        curves,
        "size of the vector",
        caption="Of the stacks that add, only the one whose layers read a normalised copy keeps "
        "its size within reason.",
        alt=f"Size against layers passed, logarithmic, and a line at the largest float16. At the "
        f"right end: {ends}.",
        limit=True,
    )
    return fig


def left_by_depth(curves: Mapping[str, Sequence[float]]) -> Figure:
    """The share of the embedding in the vector after each layer, before and after the layer."""
    ends = ", ".join(f"{name} {shares[-1]:.2g}" for name, shares in curves.items())
    return _by_depth(
        curves,
        "share that is still the embedding",
        caption="Pre-norm dilutes the embedding slowly; post-norm forgets it at a constant rate.",
        alt=f"Share of the vector that is still the embedding, against layers passed, logarithmic. "
        f"At the right end: {ends}.",
    )


def _by_depth(
    curves: Mapping[str, Sequence[float]], what: str, *, caption: str, alt: str, limit: bool = False
) -> Figure:
    """One line a curve, logarithmic, named at its end. The four depths of Llama 2 are marked
    below; `limit` draws the largest float16, and where a curve passes it."""
    with figure(caption, alt=alt, width=7.6, height=3.9) as fig:
        axes = fig.axes
        for name, sizes in curves.items():
            colour = COLOUR.get(name, palette.INK)
            thick = 3 if colour == palette.NORM else 2
            axes.plot(range(1, len(sizes) + 1), sizes, color=colour, linewidth=thick)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xticks(list(DEPTHS), [f"{n}\n{name}" for n, name in DEPTHS.items()])
        axes.set_xlabel("layers passed, and the Llama 2 that has so many")
        axes.set_ylabel(what)
        ends = [
            (len(sizes), sizes[-1], name, COLOUR.get(name, palette.INK))
            for name, sizes in curves.items()
        ]
        if limit:
            axes.axhline(FLOAT16_LARGEST, color=palette.INK, linewidth=1, linestyle=":")
            note(axes, 1, FLOAT16_LARGEST * 2, "float16 ends here: 65,504", ha="left", va="bottom")
            for name, sizes in curves.items():
                passed = next((i for i, s in enumerate(sizes, 1) if s > FLOAT16_LARGEST), None)
                if passed:
                    words = f"{name} leaves\nfloat16 at layer {passed}"
                    claim(axes, words, at=(passed, FLOAT16_LARGEST), to=(passed - 14, 3e9))
        label_lines(axes, ends)
    return fig


def river() -> Figure:
    """The residual stream of one block: a road from below to above on which nothing stands, two
    layers that read a normalised copy beside it, and add what they find."""
    caption = (
        "The stream itself passes no norm and no layer. Each layer reads a copy of size 1 and adds "
        "what it finds."
    )
    alt = (
        "A broad band, the residual stream, runs from the embedding on the left to the output head "
        "on the right. Twice a thin arrow leaves it, passes a box called norm and a box for a "
        "layer, attention first and feed-forward second, and comes back to a plus on the band. "
        "Behind the last block the band itself passes a norm for the first time, before the head."
    )
    with figure(caption, alt=alt, width=8.2, height=2.9) as fig:
        axes = fig.axes
        blank(axes, 16.4, 5.6)
        axes.fill_between([2.05, 13.1], 0.95, 1.65, color=palette.GRID, zorder=0)
        arrow(axes, (2.05, 1.3), (13.1, 1.3), palette.RESIDUAL, width=2.4)
        box(axes, 1.1, 1.3, "embedding", palette.INK)
        for left, layer, colour in ((2.6, "attention", palette.ATTENTION),
                                    (7.7, "feed-forward", palette.GATE)):  # fmt: skip
            arrow(axes, (left, 1.3), (left, 3.3), palette.NORM)
            box(axes, left, 3.7, "norm", palette.NORM)
            arrow(axes, (left + 0.75, 3.7), (left + 1.75, 3.7), palette.NORM)
            box(axes, left + 2.9, 3.7, layer, colour)
            arrow(axes, (left + 2.9, 3.25), (left + 2.9, 1.75), colour)
            box(axes, left + 2.9, 1.3, "+", palette.RESIDUAL, size=12, pad=0.2)
        note(axes, 2.75, 2.4, "reads a copy", ha="left", colour=palette.INK)
        note(axes, 5.65, 2.4, "adds", ha="left", colour=palette.INK)
        note(axes, 6.9, 0.45, "the residual stream x: only ever added to, so it grows",
             colour=palette.INK)  # fmt: skip
        axes.plot([2.15, 2.15, 11.9, 11.9], [4.5, 4.9, 4.9, 4.5], color=palette.FAINT, linewidth=1)
        note(axes, 6.8, 5.2, "one block; 7B has 32 of them in a row")
        box(axes, 13.9, 1.3, "norm", palette.NORM)
        note(axes, 13.9, 2.15, "the last one", colour=palette.INK)
        arrow(axes, (14.65, 1.3), (15.05, 1.3), palette.RESIDUAL)
        box(axes, 15.65, 1.3, "head", palette.INK)
    return fig


def clouds(before: torch.Tensor, rms: torch.Tensor, layer: torch.Tensor) -> Figure:
    """Three pictures of the same N points (N, 2): as they are, after RMSNorm, after LayerNorm.
    A point keeps its colour: the quadrant that it came from. Three points are followed."""
    quadrants = (palette.BLUE, palette.SKY, palette.ORANGE, palette.PINK)
    colour = [quadrants[2 * int(x > 0) + int(y > 0)] for x, y in before.tolist()]
    caption = (
        "RMSNorm keeps each point's direction. LayerNorm keeps only which of its two "
        "numbers is the larger."
    )
    alt = (
        "Left, a cloud of points in the plane. Middle, after RMSNorm, the same points on a "
        "circle of radius 1.41, in the directions that they had. Right, after LayerNorm, all "
        "points on two spots, (1, -1) and (-1, 1)."
    )
    with figure(caption, alt=alt, width=8.6, height=3.2, columns=3) as fig:
        titles = ("before", "after RMSNorm", "after LayerNorm")
        for axes, points, title in zip(fig.axes, (before, rms, layer), titles):
            axes.scatter(*points.T.tolist(), c=colour, s=14, zorder=2)
            axes.set(title=title, xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
            axes.set_xlabel("first number")
            axes.set_xticks(range(-3, 4))
            axes.set_yticks(range(-3, 4))
        fig.axes[0].set_ylabel("second number")
        turn = [2 * math.pi * k / 100 for k in range(101)]
        circle = [[2**0.5 * f(t) for t in turn] for f in (math.cos, math.sin)]
        for axes in fig.axes[:2]:
            axes.plot(*circle, color=palette.FAINT, linewidth=1, zorder=1)
        for i in _to_follow(before):
            x, y = before[i].tolist()
            arrow(fig.axes[0], (x, y), tuple(rms[i].tolist()), palette.INK, width=1)
        said = (
            ("straight in or straight\nout, to size 1", (1, 1)),
            ("all sizes are 1, all\ndirections are kept", (0.6, 1.28)),
            ("two spots are left\nof the whole plane", (1, -1)),
        )
        for axes, (words, spot) in zip(fig.axes, said):
            claim(axes, words, at=spot, to=(0.9, 2.5), size=8)
    return fig


def _to_follow(points: torch.Tensor) -> list[int]:
    """Places of up to three points inside the picture: the two farthest out, and the nearest to
    the middle."""
    inside = (points.abs() < 2.8).all(-1)
    order = torch.where(inside, points.norm(dim=-1), 0).argsort().tolist()
    nearest = points.norm(dim=-1).argmin().item()
    return sorted({nearest, *order[-2:]})


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
    with figure(caption, alt=alt, width=7.2, height=3.3) as fig:
        axes = fig.axes
        axes.plot(SIZES, [1.0] * len(SIZES), "--", color=palette.FAINT)
        axes.plot(SIZES, [size_after(s, eps) for s in SIZES], color=palette.NORM, linewidth=2.5)
        axes.plot([knee, knee], [0, 0.5**0.5], color=palette.INK, linewidth=1, linestyle=":")
        axes.set_xscale("log")
        axes.set(xlim=(1e-5, 1e2), ylim=(0, 1.25))
        axes.minorticks_off()
        axes.set_xlabel("size before (root mean square of the vector)")
        axes.set_ylabel("size after")
        left = knee > 0.02
        claim(axes, f"√eps = {knee:.2g}: size 0.71", at=(knee, 0.5**0.5),
              to=(knee / 60 if left else knee * 80, 0.45))  # fmt: skip
        after = size_after(size, eps)
        axes.plot([size], [after], "o", color=palette.BLUE, markersize=9, zorder=4)
        flat = after > 0.9  # on the slope there is room on the upper left alone
        axes.annotate("your vector", (size, after), (0, 11) if flat else (-9, 5),
                      textcoords="offset points", ha="center" if flat else "right",
                      color=palette.BLUE, fontsize=9)  # fmt: skip
        label_lines(
            axes,
            [
                (100, 1.0, "no eps", palette.FAINT),
                (100, size_after(100, eps) - 0.001, f"eps = {eps:g}", "#8A5F00"),
            ],
        )
    return fig


def eps_explorer(size: float = 0.02, eps: float = 1e-5) -> Live:
    """Move a vector's size and eps, and see what RMSNorm makes of it."""
    return explorer(
        [
            Slider("size", size, values=SIZES, label="size before", shown="{:.2g}".format),
            Slider("eps", eps, values=EPS, shown="{:g}".format),
        ],
        picture=eps_figure,
        words=eps_words,
    )
