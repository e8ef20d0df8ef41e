"""Pictures for the lesson on quantization: numbers and the grid that they are rounded to, error
against bits, what an outlier does, GPTQ column by column, the formats of a real model, what fits
on a machine; and two explorers."""

import math
from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures import (
    Choice,
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
from llamalab.quantization.gptq import hessian, inverse_cholesky

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
SAID = {  # behind a format's name in the ladder
    "q8": "blocks of 32", "int8": "one scale a row", "q4": "blocks of 32", "nf4": "uneven levels",
    "rtn": "to nearest", "awq": "scaled before", "gptq": "errors passed on",
}  # fmt: skip
MEMORY_GB = (4, 8, 12, 16, 24, 32, 48, 64, 80, 128, 192)


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
        f"{format}, “{kind}”: error {relative_error(x, dequantize(blocks)):.2%} in "
        f"{NUMBERS * bits / 8:,.0f} bytes (float32: {NUMBERS * 4:,}); of the first 32 numbers "
        f"{first} {'value is' if first == 1 else 'values are'} left"
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
        if kind == "one outlier":
            axes.margins(y=0.16)
            words = f"the {float(x.max()):g} stands further on, in another block"
            note(axes, 31, axes.get_ylim()[1], words, ha="right", va="top")
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
    caption = (
        "Each bit more about halves the error. The fewer numbers share a scale, the lower the line."
    )
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
        _fewer_bits(axes, list(errors.values()), bits)
        label_lines(axes, ends, gap=0.08)
    return fig


def _fewer_bits(axes, lines: Sequence[Sequence[float]], bits: Sequence[int], at: int = 4) -> None:
    """An arrow from the last line, at `at` bits, to where the first one has the same error."""
    if at not in bits:
        return
    level = lines[-1][list(bits).index(at)]
    for k in range(len(bits) - 1):
        high, low = lines[0][k], lines[0][k + 1]
        if low <= level <= high:
            share = math.log(high / level) / math.log(high / low)
            there = bits[k] + share * (bits[k + 1] - bits[k])
            arrow(axes, (there, level), (at, level), width=1.2)
            words = f"the same error,\n{there - at:.1f} bits fewer"
            note(axes, there + 0.12, level * 1.5, words, colour=palette.INK, ha="left")
            return


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
        "How far the odds of the next token move, against what a weight takes. On the same grid "
        "GPTQ stays nearer to the original than rounding to nearest."
    )
    words = [f"{row['format']} {row['bits']:.2f} bits, {row['kl']:.2g}" for row in shown]
    alt = f"KL divergence against bits a weight, on a logarithmic scale: {'; '.join(words)}."
    with figure(caption, alt=alt, width=7.2, height=5.0) as fig:
        axes = fig.axes
        for row in shown:
            mark, colour = GROUPS[_group(row["format"])]
            axes.plot([row["bits"]], [row["kl"]], mark, color=colour, markersize=7)
        axes.set_yscale("log")
        axes.margins(0.06, 0.1)
        axes.set(xlabel="bits a weight, scales and all", ylabel="KL to the original (nats a token)")
        _beside(axes, [(row["bits"], row["kl"], row["format"]) for row in shown])
    return fig


def _beside(axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """The marks' names: of those in the left half in a column to their right, with a thin line to
    the mark; of the others left of the mark itself."""
    axes.figure.draw_without_rendering()
    to_share = axes.transData + axes.transAxes.inverted()
    at = [(*to_share.transform((x, y)), x, y, name) for x, y, name in marks]
    left = sorted((mark for mark in at if mark[0] < 0.5), key=lambda mark: mark[1])
    heights = spread([mark[1] for mark in left], 0.062)
    column = max((mark[0] for mark in left), default=0.0) + 0.1
    for (_, _, x, y, name), height in zip(left, heights):
        axes.annotate(
            _said(name), (x, y), xytext=(column, height), textcoords="axes fraction", va="center",
            fontsize=9, color=palette.for_words(GROUPS[_group(name)][1]),
            arrowprops={"arrowstyle": "-", "color": "#A9A59A", "linewidth": 0.7, "shrinkB": 5,
                        "relpos": (0, 0.5)},
        )  # fmt: skip
    for share, _, x, y, name in at:
        if share >= 0.5:
            axes.annotate(
                _said(name), (x, y), xytext=(-9, 0), textcoords="offset points", va="center",
                ha="right", fontsize=9, color=palette.for_words(GROUPS[_group(name)][1]),
            )  # fmt: skip


def _said(format: str) -> str:
    kind = format.replace("-", "_").split("_")[0]
    return f"{format}: {SAID[kind]}" if kind in SAID else format


def what_fits(sizes: Mapping[str, Mapping[str, float]], memory_gb: float) -> Figure:
    """Bars of GB: model -> format -> GB of weights; and a line for a machine's memory."""
    caption = (
        f"The weights alone, against {memory_gb:g} GB. Hatched bars do not fit; the cache and "
        "everything else need room besides."
    )
    said = [f"{model} " + ", ".join(f"{name} {gb:.1f}" for name, gb in row.items())
            for model, row in sizes.items()]  # fmt: skip
    alt = f"Bars of GB for each model and format, with a line at {memory_gb:g} GB. "
    wide, panels = 3.0 * len(sizes), len(sizes)
    with figure(
        caption, alt=alt + "; ".join(said) + ".", width=wide, height=3.5, columns=panels
    ) as fig:
        for axes, (model, row) in zip([fig.axes] if panels == 1 else fig.axes, sizes.items()):
            for i, gb in enumerate(row.values()):
                fits = gb <= memory_gb
                axes.barh(i, gb, 0.7, color=palette.RIGHT if fits else palette.WRONG,
                          hatch="" if fits else "//", alpha=0.8)  # fmt: skip
                axes.annotate(f"{gb:.1f}", (gb, i), (5, 0), textcoords="offset points", va="center",
                              fontsize=9, zorder=4, bbox={"boxstyle": "round,pad=0.1", "alpha": 0.9,
                              "facecolor": palette.PAPER, "edgecolor": "none"})  # fmt: skip
            axes.axvline(memory_gb, color=palette.INK, linewidth=1.6)
            axes.set_ylim(len(row) - 0.4, -1.1)
            axes.annotate(f"{memory_gb:g} GB", (memory_gb, -0.75), (4, 0), va="center",
                          textcoords="offset points", fontsize=9)  # fmt: skip
            axes.set_yticks(range(len(row)), list(row) if axes is _first(fig) else [])
            axes.set_title(model)
            axes.set_xlim(0, 1.3 * max(*row.values(), memory_gb))
            axes.grid(axis="y", visible=False)
            axes.set_xlabel("GB")
    return fig


def _first(fig: Figure):
    return getattr(fig.axes, "flat", [fig.axes])[0]


def fits_words(sizes: Mapping[str, Mapping[str, float]], memory_gb: float) -> str:
    """For each model the largest of its formats that fits, and what is left beside it."""
    said = []
    for model, row in sizes.items():
        fits = {name: gb for name, gb in row.items() if gb <= memory_gb}
        if fits:
            name = max(fits, key=fits.__getitem__)
            said.append(f"{model} fits as {name}, {memory_gb - fits[name]:.1f} GB are left")
        else:
            said.append(f"{model} does not fit")
    return f"{memory_gb:g} GB: " + "; ".join(said)


def fits_explorer(sizes: Mapping[str, Mapping[str, float]], memory_gb: int = 16) -> Live:
    """Move a machine's memory. The widget has `.memory_gb` and `.words`."""
    return explorer(
        [Slider("memory_gb", memory_gb, values=MEMORY_GB, label="memory, GB")],
        picture=lambda memory_gb: what_fits(sizes, memory_gb),
        words=lambda memory_gb: fits_words(sizes, memory_gb),
    )


def gptq_stages(weight: torch.Tensor, inputs: torch.Tensor) -> list[torch.Tensor]:
    """One output's weights (in,) on a grid of whole numbers: before, and after each column."""
    U = inverse_cholesky(hessian(inputs), damping=0.01).float()
    stages = [weight.clone()]
    for i in range(len(weight)):
        now = stages[-1].clone()
        now[i] = now[i].round()
        error = (stages[-1][i] - now[i]) / U[i, i]
        now[i + 1 :] -= error * U[i, i + 1 :]
        stages.append(now)
    return stages


def gptq_steps(weight: torch.Tensor, inputs: torch.Tensor) -> Figure:
    """GPTQ on one output's weights (in,), a line for each column; and rounding to nearest."""
    stages, nearest = gptq_stages(weight, inputs), weight.round()

    def off(now: torch.Tensor) -> str:
        return f"{float((inputs @ (now - weight)).square().mean().sqrt()):.2f}"

    names = ["the weights", *(f"column {i} rounded" for i in range(len(weight))), "all to nearest"]
    lines = [*stages, nearest]
    caption = (
        "The column that was just rounded (yellow) moves those that are still free (blue), so that "
        "the outputs stay near."
    )
    said = [
        f"{name}: {', '.join(f'{v:.2f}' for v in now.tolist())}, outputs off by {off(now)}"
        for name, now in zip(names, lines)
    ]
    alt = f"Weights on their way through GPTQ, line by line. {'; '.join(said)}."
    n, last = len(weight), len(lines) - 1
    with figure(caption, alt=alt, width=7.4, height=0.8 + 0.55 * len(lines)) as fig:
        axes = fig.axes
        blank(axes, 5.4 + 1.5 * n, len(lines) + 1.4)
        note(axes, 4.6 + 1.5 * n, len(lines) + 0.75, "outputs\noff by", colour=palette.INK)
        for k, (name, now) in enumerate(zip(names, lines)):
            y = len(lines) - k - (0.4 if k == last else 0)
            note(axes, 2.7, y, name, colour=palette.INK, ha="right")
            note(axes, 4.6 + 1.5 * n, y, off(now), colour=palette.INK, size=10)
            for i, value in enumerate(now.tolist()):
                done = k == last or i < k
                moved = not done and k > 0 and abs(value - float(lines[k - 1][i])) > 0.005
                colour = palette.GREEN if done else palette.BLUE if moved else palette.FAINT
                words = f"{value + 0.0:.0f}" if done else f"{value:.2f}"
                box(axes, 3.6 + 1.5 * i, y, words, colour, mono=True,
                    fill=palette.LIT if k != last and i == k - 1 else None)  # fmt: skip
                if moved and i == k:
                    arrow(axes, (3.6 + 1.5 * (i - 1), y), (3.6 + 1.5 * i, y), shrink=15)
    return fig


def outlier_figure(row: torch.Tensor, outlier: float, bits: int = 4) -> Figure:
    """A row (W,) rounded by one scale, without an outlier and with one put into its first place."""
    with_one = row.clone()
    with_one[0] = outlier
    caption = (
        "One number sets the step for all. Nothing but the first number, which is not drawn, "
        "differs between the two."
    )
    pair = {"without": row, f"with one number of {outlier:g}": with_one}
    blocks = {name: quantize_absmax(x[None], bits) for name, x in pair.items()}
    left = {name: dequantize(b)[0, 1:] for name, b in blocks.items()}
    said = [f"{name}: {len(left[name].unique())} values in use" for name in pair]
    alt = f"Two panels of rounded against original numbers, {bits} bits. {'; '.join(said)}."
    ends = [float(row.min()), float(row.max())]
    with figure(caption, alt=alt, width=7.0, height=3.2, columns=2) as fig:
        for axes, name in zip(fig.axes, pair):
            axes.plot(row[1:].tolist(), left[name].tolist(), "o", color=palette.BLUE, markersize=4)
            axes.plot(ends, ends, color=palette.FAINT, linewidth=1)
            axes.set_title(f"{name}: a step is {float(blocks[name].scales.max()):.2g}")
            axes.set_xlabel("number")
        note(fig.axes[0], 0.96 * ends[0], 0.8 * ends[1], "on the line:\nnothing lost", ha="left")
        fig.axes[0].set_ylabel("what is left of it")
        low, high = fig.axes[0].get_ylim()
        fig.axes[1].set_ylim(low, high)
        rest = left[f"with one number of {outlier:g}"]
        zeros, all_of_them = int((rest == 0).sum()), len(rest)
        words = "all are 0" if zeros == all_of_them else f"{zeros} of {all_of_them} are 0"
        claim(fig.axes[1], words, at=(0, 0), to=(0.45 * ends[0], 0.6 * high))
    return fig
