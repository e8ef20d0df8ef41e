"""Pictures for the lesson on quantization: numbers and the grid that they are rounded to, error
against bits, what an outlier does, the formats of a real model, what fits on a machine, and an
explorer."""

from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures import Choice, claim, explorer, figure, label_lines, palette
from llamalab.course.figures.draw import spread
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.live import Live
from llamalab.quantization import (
    Blocks,
    dequantize,
    quantize_absmax,
    quantize_nf4,
    quantize_q4_0,
    quantize_q4_1,
    quantize_q8_0,
)

NUMBERS = 4096
FORMATS = {
    "one scale, 4 bits": lambda x: quantize_absmax(x, 4, per="tensor"),
    "Q4_0": quantize_q4_0,
    "Q4_1": quantize_q4_1,
    "NF4": quantize_nf4,
    "one scale, 8 bits": lambda x: quantize_absmax(x, 8, per="tensor"),
    "Q8_0": quantize_q8_0,
}
SIZES = {"one scale, 4 bits": 4.0, "one scale, 8 bits": 8.0}  # bits; codes could be packed so
KINDS = ("normal", "one outlier", "all positive", "even")
GROUPS = {  # who stands for what in the ladder: mark and colour
    "ggml": ("o", palette.BLUE), "nearest": ("s", palette.VERMILLION),
    "looks at inputs": ("^", palette.GREEN), "other": ("D", palette.PINK),
}  # fmt: skip


def numbers(kind: str) -> torch.Tensor:
    """NUMBERS numbers of a kind, the same every time."""
    g = torch.Generator().manual_seed(12)
    x = torch.randn(NUMBERS, generator=g)
    if kind == "one outlier":
        x[100] = 40.0
    elif kind == "all positive":
        x = x.abs() + 0.5
    elif kind == "even":
        x = torch.rand(NUMBERS, generator=g) * 2 - 1
    return x


def relative_error(x: torch.Tensor, again: torch.Tensor) -> float:
    """Root mean square of the error, as a share of that of the numbers."""
    return float((again - x).square().mean().sqrt() / x.square().mean().sqrt())


def _bits(format: str, blocks: Blocks) -> float:
    return SIZES.get(format, blocks.bits_per_weight)


def grid_words(format: str, kind: str) -> str:
    """What the explorer says about one format and one kind of numbers."""
    x = numbers(kind)
    blocks = FORMATS[format](x)
    bits = _bits(format, blocks)
    first = len(dequantize(blocks)[:32].unique())
    return (
        f"{format} on numbers of the kind “{kind}”: {NUMBERS * bits / 8:,.0f} bytes where float32 "
        f"takes {NUMBERS * 4:,}, error {relative_error(x, dequantize(blocks)):.2%}; the first 32 "
        f"numbers use {first} values"
    )


def grid_figure(format: str, kind: str) -> Figure:
    """The first 32 numbers, and where each of them goes."""
    x = numbers(kind)
    again = dequantize(FORMATS[format](x))
    caption = "Hollow: a number. Filled: what is left of it. The lines are the values that occur."
    alt = f"32 numbers and their rounded values, as two rows of marks. {grid_words(format, kind)}."
    with figure(caption, alt=alt, width=7.0, height=3.2) as fig:
        axes = fig.axes
        places = range(32)
        for value in again[:32].unique().tolist():
            axes.axhline(value, color=palette.GRID, linewidth=1.0, zorder=0)
        axes.vlines(
            places, x[:32].tolist(), again[:32].tolist(), color=palette.WRONG, linewidth=1.2
        )
        axes.plot(places, x[:32].tolist(), "o", color=palette.INK, fillstyle="none", markersize=6)
        axes.plot(places, again[:32].tolist(), "o", color=palette.BLUE, markersize=4)
        axes.set(xlabel="place in the block", ylabel="value")
        axes.grid(visible=False)
    return fig


def grid_explorer(format: str = "Q4_0", kind: str = "normal") -> Live:
    """Choose a format and a kind of numbers. The widget has `.format`, `.kind`, `.words`."""
    return explorer(
        [Choice("format", format, tuple(FORMATS)), Choice("kind", kind, KINDS, label="numbers")],
        picture=grid_figure,
        words=grid_words,
    )


def error_by_bits(errors: Mapping[str, Sequence[float]], bits: Sequence[int]) -> Figure:
    """Relative error against bits, one line for each way of scaling; logarithmic."""
    caption = "Each bit more halves the error. How many numbers share a scale moves the whole line."
    words = [f"{name}: {100 * e[0]:.1f}% to {100 * e[-1]:.2f}%" for name, e in errors.items()]
    alt = (
        f"Error as a share of the numbers, from {bits[0]} to {bits[-1]} bits, falling lines on a "
        f"logarithmic scale. {'; '.join(words)}."
    )
    with figure(caption, alt=alt, width=7.0, height=3.4) as fig:
        axes, ends = fig.axes, []
        marks = ("o", "s", "^", "D")
        for i, (name, values) in enumerate(errors.items()):
            colour = palette.SERIES[i]
            axes.plot(bits, values, marker=marks[i % 4], color=colour)
            ends.append((bits[-1], values[-1], name, colour))
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.3%}".replace(".000", ""))
        axes.yaxis.set_minor_formatter(lambda value, place: "")
        axes.set(xlabel="bits of a code", ylabel="error, share of the numbers", xticks=list(bits))
        label_lines(axes, ends, gap=0.08)
    return fig


def _group(format: str) -> str:
    if format[0] == "q":
        return "ggml"
    if format.startswith("rtn"):
        return "nearest"
    return "looks at inputs" if format[:4] in ("gptq", "awq-") else "other"


def ladder(rows: Sequence[Mapping]) -> Figure:
    """KL to the original against bits a weight, one mark for each format of the stored table."""
    shown = [row for row in rows if not row["format"].startswith("float32")]
    caption = (
        "How far the model's next-token odds move, against what a weight takes. Below four bits, "
        "who looks at the inputs wins."
    )
    words = [f"{row['format']} {row['bits']:.2f} bits, {row['kl']:.2g}" for row in shown]
    alt = f"KL divergence against bits a weight, on a logarithmic scale: {'; '.join(words)}."
    with figure(caption, alt=alt, width=7.2, height=4.4) as fig:
        axes = fig.axes
        for row in shown:
            mark, colour = GROUPS[_group(row["format"])]
            axes.plot([row["bits"]], [row["kl"]], mark, color=colour, markersize=8)
        axes.set_yscale("log")
        axes.margins(0.06, 0.1)
        axes.set(xlabel="bits a weight, scales and all", ylabel="KL to the original (nats a token)")
        _beside(axes, [(row["bits"], row["kl"], row["format"]) for row in shown])
    return fig


def _beside(axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """The marks' names in a column right of the axes, each with a thin line to its mark."""
    axes.figure.draw_without_rendering()
    to_share = axes.transData + axes.transAxes.inverted()
    at = sorted((to_share.transform((x, y))[1], x, y, name) for x, y, name in marks)
    heights = spread([height for height, *_ in at], 0.062)
    for (_, x, y, name), height in zip(at, heights):
        axes.annotate(
            name, (x, y), xytext=(1.05, height), textcoords="axes fraction", va="center",
            fontsize=9, color=palette.for_words(GROUPS[_group(name)][1]),
            arrowprops={"arrowstyle": "-", "color": "#A9A59A", "linewidth": 0.7, "shrinkB": 5},
        )  # fmt: skip


def what_fits(sizes: Mapping[str, Mapping[str, float]], memory_gb: float) -> Figure:
    """Bars of GB: model -> format -> GB of weights; and a line for a machine's memory."""
    caption = f"What fits beside everything else: the weights alone, against {memory_gb:g} GB."
    words = [f"{model} " + ", ".join(f"{name} {gb:.1f}" for name, gb in row.items())
             for model, row in sizes.items()]  # fmt: skip
    alt = f"Bars of GB for each model and format, with a line at {memory_gb:g} GB. " + "; ".join(
        words
    )
    with figure(
        caption, alt=alt + ".", width=3.0 * len(sizes), height=3.4, columns=len(sizes)
    ) as fig:
        panels = [fig.axes] if len(sizes) == 1 else fig.axes
        for axes, (model, row) in zip(panels, sizes.items()):
            for i, gb in enumerate(row.values()):
                fits = gb <= memory_gb
                axes.barh(i, gb, 0.7, color=palette.RIGHT if fits else palette.WRONG,
                          hatch="" if fits else "//", alpha=0.8)  # fmt: skip
                axes.annotate(f"{gb:.1f}", (gb, i), (4, 0), textcoords="offset points", va="center",
                              fontsize=9)  # fmt: skip
            axes.axvline(memory_gb, color=palette.INK, linewidth=1.6)
            axes.set_yticks(range(len(row)), list(row))
            axes.invert_yaxis()
            axes.set_title(model)
            axes.set_xlim(0, 1.25 * max(*row.values(), memory_gb))
            axes.grid(axis="y", visible=False)
            axes.set_xlabel("GB")
        for axes in panels[1:]:
            axes.set_yticklabels([])
    return fig


def outlier_figure(row: torch.Tensor, outlier: float, bits: int = 4) -> Figure:
    """A row (W,) rounded by one scale, without an outlier and with one put into its first place."""
    with_one = row.clone()
    with_one[0] = outlier
    caption = (
        "One number sets the step for all. Nothing but the first number differs between the two."
    )
    pair = {"without": row, f"with one number of {outlier:g}": with_one}
    errors = {name: dequantize(quantize_absmax(x, bits)) for name, x in pair.items()}
    said = [f"{name}: {len(errors[name][1:].unique())} values in use" for name in pair]
    alt = f"Two panels of rounded against original numbers, {bits} bits. {'; '.join(said)}."
    with figure(caption, alt=alt, width=7.0, height=3.2, columns=2) as fig:
        for axes, (name, x) in zip(fig.axes, pair.items()):
            axes.plot(
                x[1:].tolist(), errors[name][1:].tolist(), "o", color=palette.BLUE, markersize=4
            )
            ends = [float(row.min()), float(row.max())]
            axes.plot(ends, ends, color=palette.FAINT, linewidth=1)
            axes.set_title(name)
            axes.set_xlabel("number")
        fig.axes[0].set_ylabel("what is left of it")
        low, high = fig.axes[0].get_ylim()
        fig.axes[1].set_ylim(low, high)
        if len(errors[list(pair)[1]][1:].unique()) == 1:
            claim(fig.axes[1], "all are 0", at=(0, 0), to=(0, 0.6 * high))
    return fig
