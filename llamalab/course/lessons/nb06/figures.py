"""Pictures for the lesson on the whole model: a token's way with its numbers, the stream as a
river, where the parameters are, what a changed token reaches, and a memory plan to play with."""

from collections.abc import Mapping, Sequence

import torch

from llamalab.accounting import MemoryPlan, count_parameters, memory_plan
from llamalab.config import LlamaConfig
from llamalab.course.figures import (
    Choice,
    Figure,
    Live,
    Slider,
    Switch,
    blank,
    box,
    explorer,
    figure,
    note,
    palette,
)
from llamalab.course.figures.html import Html, tag

STREAM, ATTENTION, FEED_FORWARD = palette.RESIDUAL, palette.ATTENTION, palette.GATE
PARTS = {"embedding": palette.SKY, "attention": ATTENTION, "feed_forward": FEED_FORWARD,
         "norms": palette.NORM, "output": palette.GREEN}  # fmt: skip
GIB = 2**30
MODELS = ("tiny", "tales", "llama-2-7b", "llama-2-13b", "llama-2-34b", "llama-2-70b")
DTYPES = ("float32", "bfloat16", "q8_0", "q4_0")


def rms(x: torch.Tensor) -> float:
    """The size of what stands there: the root of the mean square."""
    return x.float().pow(2).mean().sqrt().item()


def token_way(stations: Sequence[tuple[str, torch.Tensor, str]], guesses, piece: str) -> Figure:
    """One token's way through a model. `stations`: (name, vector, kind) in order, where kind is
    stream, norm, query, key, value, attention or feed_forward; `guesses`: (piece, probability),
    the most probable first; `piece`: the token itself."""
    colours = {
        "stream": STREAM,
        "norm": palette.NORM,
        "query": palette.QUERY,
        "key": palette.KEY,
        "value": palette.VALUE,
        "attention": ATTENTION,
        "feed_forward": FEED_FORWARD,
    }
    caption = (
        f"From “{piece}” to a guess at what follows: a row of numbers that is copied, worked on "
        "and added to, and at the end compared with every piece of the vocabulary. A strip shows "
        "the first 24 numbers, on a scale of its own."
    )
    words = "; ".join(f"{name}: {_measured(v)}" for name, v, _ in stations)
    bets = ", ".join(f"{p} {100 * share:.0f} %" for p, share in guesses)
    alt = f"A column of strips from top to bottom. {words}. Then the guesses: {bets}."
    rows = len(stations) + 1.8
    with figure(caption, alt=alt, width=8.6, height=0.42 * rows) as fig:
        axes = fig.axes
        blank(axes, 12, rows)
        for k, (name, vector, kind) in enumerate(stations):
            y, inset = rows - k - 0.6, 0.0 if kind == "stream" else 0.6
            bold = {"fontweight": "bold"} if kind == "stream" else {}
            note(axes, 2.95, y, name, colour=palette.INK, ha="right", size=9.5, **bold)
            _strip(axes, 3.1 + inset, y, vector[:24], colours[kind], 5.2 - inset)
            note(axes, 8.5, y, _measured(vector), colour=palette.INK, ha="left", size=8.5)
        note(axes, 2.95, 0.5, "the next piece?", colour=palette.INK, ha="right", size=9.5)
        for k, (guess, share) in enumerate(guesses):
            box(axes, 4.0 + 2.2 * k, 0.5, f"{guess} {100 * share:.0f} %", size=9.5)
    return fig


def _measured(vector: torch.Tensor) -> str:
    few = ", ".join(f"{number:.2f}" for number in vector[:3].tolist())
    return f"{len(vector)} numbers of size {rms(vector):.2f}: {few} …"


def _strip(axes, x: float, y: float, vector: torch.Tensor, colour: str, wide: float) -> None:
    """The numbers as bars: up from the middle if positive, down if negative, as tall as the
    number is beside the largest."""
    largest = vector.abs().max().item() or 1.0
    cell = wide / len(vector)
    axes.plot([x, x + wide], [y, y], color=palette.FAINT, linewidth=0.5)
    places = [x + cell * (i + 0.5) for i in range(len(vector))]
    heights = [0.42 * number / largest for number in vector.tolist()]
    axes.bar(places, heights, bottom=y, width=0.8 * cell, color=colour)


def river(start: float, writes: Sequence[tuple[str, float, float]], caption: str) -> Figure:
    """The residual stream as a river, drawn as wide as the root of its size. `start`: its size
    behind the embedding; `writes`: for each of the 2 n_layers writers its kind (attention or
    feed_forward), the size of what it adds, and the stream's size afterwards."""
    kinds = {"attention": ATTENTION, "feed_forward": FEED_FORWARD}
    flow = [start, *(after for _, _, after in writes)]
    half = [size**0.5 / 2 for size in flow]
    widest = max(half)
    alt = f"A river of size {start:.2f} at its source. " + " ".join(
        f"{_spoken(kind)} of block {k // 2} writes {added:.2f}, then it is {after:.2f}."
        for k, (kind, added, after) in enumerate(writes)
    )
    with figure(caption, alt=alt, width=8.8, height=4.2) as fig:
        axes = fig.axes
        xs = [0.0, *(k + shift for k in range(1, len(flow)) for shift in (0.0, 0.3)), len(flow)]
        bank = [half[0], *(h for k in range(len(half) - 1) for h in half[k : k + 2]), half[-1]]
        axes.fill_between(xs, [-h for h in bank], bank, color=STREAM, alpha=0.15, linewidth=0)
        for side in (1, -1):
            axes.plot(xs, [side * h for h in bank], color=STREAM, linewidth=1.4)
        for k, (kind, added, after) in enumerate(writes):
            side = 1 if kind == "attention" else -1
            far = side * (widest + 0.9)
            wide = 0.5 * added**0.5 / (2 * widest)
            mouth = side * half[k]
            axes.fill([k + 1 - wide, k + 1 + wide, k + 1.08, k + 0.92], [far, far, mouth, mouth],
                      color=kinds[kind], alpha=0.8, linewidth=0)  # fmt: skip
            note(axes, k + 1, far + 0.25 * side, f"+{added:.2f}", colour=palette.INK)
            note(axes, k + 1.62, 0, f"{after:.2f}", colour=palette.INK)
        note(axes, 0.5, 0, f"{start:.2f}", colour=palette.INK)
        note(axes, 0.0, widest + 0.5, "attention\nwrites", colour=ATTENTION, ha="left")
        note(axes, 0.0, -widest - 0.5, "feed-forward\nwrites", colour=palette.INK, ha="left")
        axes.set(xlim=(0, len(flow)), ylim=(-widest - 1.4, widest + 1.4))
        blocks = range(len(writes) // 2)
        axes.set_xticks([2 * b + 1.5 for b in blocks], [f"block {b}" for b in blocks])
        axes.set_xlabel("the river is drawn as wide as the root of its size (root mean square)")
        axes.set_yticks([])
        axes.grid(False)
        axes.spines["left"].set_visible(False)
    return fig


def stream_by_depth(curves: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """The size of the residual stream after each block, one panel for each way of drawing the
    weights. `curves`: name -> depth -> sizes."""
    caption = (
        "All drawn alike, every model climbs one and the same hill, and the deeper ends higher. "
        "With softer writers each has a gentler one, and all end at one height."
    )
    ends = "; ".join(
        f"{name}: " + ", ".join(f"{sizes[-1]:.1f} after {n} blocks" for n, sizes in depths.items())
        for name, depths in curves.items()
    )
    alt = f"Size of the stream against the number of blocks passed, one line a depth. {ends}."
    styles = ("-", "--", ":")
    with figure(caption, alt=alt, width=8.6, height=3.6, columns=len(curves)) as fig:
        for axes, (name, depths) in zip(fig.axes, curves.items()):
            top, longest = max(max(sizes) for sizes in depths.values()), max(depths)
            for (n, sizes), style in zip(depths.items(), styles):
                axes.plot(range(1, n + 1), sizes, linestyle=style, color=STREAM)
                axes.plot([n], [sizes[-1]], "o", color=palette.VERMILLION, markersize=7)
                last = n == longest
                on_the_way = depths[longest][n - 1] > 0.9 * sizes[-1]  # the others climb on here
                beside = sizes[-1] + (-0.05 if on_the_way else 0.03) * top
                x, y = (n, sizes[-1] + 0.1 * top) if last else (n + 3, beside)
                where = {"ha": "right" if last else "left"}
                note(axes, x, y, f"{n} blocks: {sizes[-1]:.1f}", colour=palette.INK, **where)
            axes.set(xlim=(0, 1.04 * longest), ylim=(0, 1.25 * top))
            axes.set_title(name, loc="left")
            axes.set_xlabel("blocks passed")
        fig.axes[0].set_ylabel("size of the stream (root mean square)")
    return fig


def parameter_bars(names: Sequence[str]) -> Figure:
    """One bar a preset: which part of its parameters stands where."""
    counts = {name: count_parameters(LlamaConfig.from_name(name)) for name in names}
    shares = {
        name: {part: 100 * count[part] / count["total"] for part in PARTS}
        for name, count in counts.items()
    }
    words = "; ".join(
        f"{name}: " + ", ".join(f"{_spoken(part)} {share:.1f} %" for part, share in row.items())
        for name, row in shares.items()
    )
    caption = "As models grow the two tables vanish, and four fifths are feed-forward layers."
    alt = f"Stacked bars. {words}."
    with figure(caption, alt=alt, width=8.4, height=0.9 + 0.55 * len(names)) as fig:
        axes, left = fig.axes, [0.0] * len(names)
        labels = [f"{name}\n{_short(counts[name]['total'])}" for name in names]
        for part, colour in PARTS.items():
            widths = [row[part] for row in shares.values()]
            axes.barh(labels, widths, left=left, color=colour, alpha=0.6, edgecolor=palette.PAPER)
            for row, (start, wide) in enumerate(zip(left, widths)):
                if wide > 9:
                    said = f"{_spoken(part)}\n{wide:.0f} %"
                    note(axes, start + wide / 2, row, said, colour=palette.INK, size=8.5)
            left = [a + b for a, b in zip(left, widths)]
        axes.invert_yaxis()
        axes.grid(False)
        axes.set(xlim=(0, 100), xlabel="share of all parameters (%)")
    return fig


def _spoken(part: str) -> str:
    return {"feed_forward": "feed-forward", "output": "head"}.get(part, part)


def _short(number: int) -> str:
    return f"{number / 1e9:.1f} billion" if number > 1e9 else f"{number / 1e6:.1f} million"


def reach(changes: torch.Tensor) -> Figure:
    """changes (T, T): how far the logits at each position (column) move when the token at each
    place (row) is replaced. Nothing at all is left white."""
    T = len(changes)
    before = changes.tril(-1).max().item()
    later = "all white" if before == 0 else f"as large as {before:.2g}"
    caption = "A changed token moves the logits at its own place and after it. Before it, nothing."
    alt = (
        f"A square of {T} by {T}: changed place downwards, position across. On the diagonal and to "
        f"its right every cell is coloured; to its left {later}."
    )
    with figure(caption, alt=alt, width=5.6, height=4.2) as fig:
        axes = fig.axes
        shown = changes.masked_fill(changes == 0, float("nan"))
        image = axes.imshow(shown.numpy(), cmap="cividis_r", norm="log")
        axes.grid(False)
        axes.set_xticks(range(0, T, 3))
        axes.set_yticks(range(0, T, 3))
        axes.set_xlabel("position whose logits are read")
        axes.set_ylabel("place of the changed token")
        said = "before it:\nnothing moved" if before == 0 else "the past moved"
        note(axes, 0.22 * T, 0.75 * T, said, colour=palette.INK)
        fig.canvas.colorbar(image, label="largest change of a logit")
    return fig


def plan_of(
    model: str, context: int, batch: int, dtype: str, training: bool, gib: float
) -> MemoryPlan:
    """The plan for a preset, by name, on a machine with `gib` GiB free."""
    return memory_plan(
        LlamaConfig.from_name(model),
        seq_len=context,
        batch=batch,
        dtype=dtype,
        training=training,
        available=int(gib * GIB),
    )


def plan_words(model: str, context: int, batch: int, dtype: str, training: bool, gib: float) -> str:
    """What the planner says about one setting; what cannot be planned, it says why."""
    try:
        plan = plan_of(model, context, batch, dtype, training, gib)
    except ValueError as error:
        return f"{model}: {error}"
    return f"{model}, {plan.title.split(' parameters in ')[1]}. {plan.verdict}"


def plan_figure(plan: MemoryPlan) -> Figure:
    """The plan's rows as one bar beside what there is; what has no room is hatched."""
    caption = (
        "The least that is needed. If it is more than there is, it cannot run; if it is less, the "
        "activations still have to find room beside it."
    )
    parts = ", ".join(f"{what} {size / GIB:.2f} GiB" for what, size in plan.rows)
    have, need = plan.available / GIB, plan.total / GIB
    alt = f"A bar of {need:.2f} GiB: {parts}. A line marks the {have:.0f} GiB there are."
    colours = (palette.BLUE, palette.CACHE, palette.GREEN, palette.PINK, palette.SKY)
    with figure(caption, alt=alt, width=8.0, height=2.5) as fig:
        axes, left, whole = fig.axes, 0.0, 1.15 * max(need, have)
        for k, ((what, size), colour) in enumerate(zip(plan.rows, colours)):
            wide, side = size / GIB, 1 if k % 2 == 0 else -1
            axes.barh([0], [wide], left=left, color=colour, alpha=0.6, height=0.5)
            inside = wide > 0.2 * whole  # else beside its piece, in turn above and below
            end = min(left + wide, have) if inside and have > left + 0.2 * whole else left + wide
            place = (left + end) / 2, 0 if inside else 0.52 * side
            note(axes, *place, f"{what}\n{wide:.2f} GiB", colour=palette.INK, size=8.5)
            left += wide
        if need > have:
            over = {"hatch": "///", "facecolor": "none", "edgecolor": palette.INK, "linewidth": 0}
            axes.barh([0], [need - have], left=have, height=0.5, **over)
        axes.plot([have, have], [-0.45, 0.8], color=palette.INK)
        note(axes, have, 0.95, f"there are {have:.0f} GiB", colour=palette.INK)
        axes.set(xlim=(0, whole), xlabel="memory (GiB)", ylim=(-0.85, 1.1))
        axes.set_yticks([])
        axes.grid(False)
    return fig


def memory_planner(
    model: str = "llama-2-7b",
    context: int = 4096,
    batch: int = 1,
    dtype: str = "bfloat16",
    training: bool = False,
    gib: int = 16,
) -> Live:
    """Choose a model and a machine; see what fits. The widget has `.model`, `.context`, `.batch`,
    `.dtype`, `.training`, `.gib` and `.words`; `.more` says what would fit."""
    machines = (2, 8, 16, 24, 40, 80, 160, 640)
    return explorer(
        [
            Choice("model", model, MODELS),
            Slider("context", context, 1, 4096, label="tokens", live=False),
            Slider("batch", batch, values=(1, 2, 4, 8, 16, 32), label="rows"),
            Choice("dtype", dtype, DTYPES, label="weights in"),
            Switch("training", training),
            Slider("gib", gib, values=machines, label="machine", shown="{:,} GiB".format),
        ],
        picture=_picture,
        words=lambda **setting: plan_words(**setting).partition(ADVICE)[0],
        more=lambda **setting: _advice(plan_words(**setting)),
    )


ADVICE = " What would fit: "


def _advice(words: str) -> Html:
    said, sign, rest = words.partition(ADVICE)
    return tag("p", sign.strip() + " " + rest) if rest else Html("")


def _picture(**setting) -> Figure | Html:
    try:
        return plan_figure(plan_of(**setting))
    except ValueError:
        return Html("")
