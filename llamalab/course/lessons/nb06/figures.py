"""Pictures for the lesson on the whole model: a token's way with its numbers, the stream as a
river, where the parameters are, what a changed token reaches, and a memory plan to play with."""

from collections.abc import Mapping, Sequence
from html import escape

import torch

from llamalab.accounting import MemoryPlan, count_parameters, memory_plan
from llamalab.config import LlamaConfig
from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

STREAM, ATTENTION, FEED_FORWARD, NORM, TABLE = (
    COLOURS[0], COLOURS[1], COLOURS[2], "#767676", COLOURS[4],
)  # fmt: skip
QUERY, KEY, VALUE = COLOURS[5], COLOURS[3], COLOURS[4]
PARTS = {"embedding": TABLE, "attention": ATTENTION, "feed_forward": FEED_FORWARD,
         "norms": NORM, "output": COLOURS[5]}  # fmt: skip
QUIET = "#767676"
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
    colours = {"stream": STREAM, "norm": NORM, "query": QUERY, "key": KEY, "value": VALUE,
               "attention": ATTENTION, "feed_forward": FEED_FORWARD}  # fmt: skip
    caption = (
        f"From “{piece}” to a guess at what follows: a row of numbers that is copied, worked on "
        "and added to, and at the end compared with every piece of the vocabulary."
    )
    words = "; ".join(
        f"{name}: {len(v)} numbers of size {rms(v):.2f}, first {_few(v)}"
        for name, v, _ in stations
    )
    bets = ", ".join(f"{p} {100 * share:.0f} %" for p, share in guesses)
    alt = f"A column of strips from top to bottom. {words}. Then the guesses: {bets}."
    count, shown = len(stations), 24
    with figure(caption, alt=alt, width=8.4, height=0.42 * (count + 2.6)) as fig:
        axes = fig.axes
        axes.set(xlim=(0, 12), ylim=(count + 2.2, -0.4))
        axes.axis("off")
        for row, (name, vector, kind) in enumerate(stations):
            inset = 0.0 if kind == "stream" else 0.55
            axes.text(2.9, row + 0.5, name, ha="right", va="center", color=colours[kind],
                      fontweight="bold" if kind == "stream" else "normal", fontsize=9.5)  # fmt: skip
            _strip(axes, 3.1 + inset, row, vector[:shown], colours[kind], 5.2 - inset)
            note = f"{len(vector)} numbers, size {rms(vector):.2f}: {_few(vector)}"
            axes.text(8.5, row + 0.5, note, va="center", color="black", fontsize=8.5)
            if row:
                arrow = {"arrowstyle": "-|>", "color": QUIET, "linewidth": 0.7}
                axes.annotate("", xy=(3.0 + inset, row + 0.2), xytext=(3.0 + inset, row - 0.2),
                              arrowprops=arrow)  # fmt: skip
        left = 0.2
        axes.text(left, count + 0.75, "next piece?", color="black", va="center", fontsize=9.5)
        left += 1.7
        for guess, share in guesses:
            box = {"facecolor": (STREAM, 0.08 + 0.6 * share), "edgecolor": STREAM, "pad": 4}
            text = axes.text(left, count + 0.75, f"{guess} {100 * share:.0f} %", va="center",
                             fontsize=10, color="black", bbox=box)  # fmt: skip
            del text
            left += 1.9
    return fig


def _few(vector: torch.Tensor) -> str:
    return ", ".join(f"{number:.2f}" for number in vector[:3].tolist()) + " …"


def _strip(axes, x: float, row: int, vector: torch.Tensor, colour: str, wide: float) -> None:
    """The numbers as cells: up from the middle if positive, down if negative, as tall as the
    number is beside the largest."""
    from matplotlib.patches import Rectangle

    cell, largest = wide / len(vector), vector.abs().max().item() or 1.0
    axes.plot([x, x + wide], [row + 0.5] * 2, color=QUIET, linewidth=0.5)
    for i, number in enumerate(vector.tolist()):
        tall = 0.42 * number / largest
        bar = (x + cell * i, row + 0.5 - max(tall, 0.0))
        axes.add_patch(Rectangle(bar, 0.8 * cell, abs(tall), facecolor=colour))


def river(start: float, writes: Sequence[tuple[str, float, float]], caption: str) -> Figure:
    """The residual stream as a river, as wide as it is large. `start`: its size behind the
    embedding; `writes`: for each of the 2 n_layers writers (attention or feed_forward, the size
    of what it adds, the stream's size afterwards)."""
    kinds = {"attention": ATTENTION, "feed_forward": FEED_FORWARD}
    flow = [start, *(after for _, _, after in writes)]
    widest = max(flow)
    alt = f"A band that begins {start:.2f} wide. " + " ".join(
        f"{_spoken(kind)} of block {k // 2} adds {added:.2f}: {after:.2f}."
        for k, (kind, added, after) in enumerate(writes)
    )
    with figure(caption, alt=alt, width=8.8, height=4.2) as fig:
        axes, steps = fig.axes, len(writes)
        xs = [0.0, 0.6]
        half = [start / 2, start / 2]
        for k, after in enumerate(flow[1:]):
            xs += [k + 1.0, k + 1.6]
            half += [after / 2, after / 2]
        axes.fill_between(xs, [-h for h in half], half, color=STREAM, alpha=0.35, linewidth=0)
        axes.plot(xs, half, color=STREAM)
        axes.plot(xs, [-h for h in half], color=STREAM)
        for k, (kind, added, after) in enumerate(writes):
            side = 1 if kind == "attention" else -1
            bank = side * (half[2 * k + 1] + half[2 * k + 2]) / 2
            far = side * widest * 0.95
            axes.fill([k + 0.8 - added / 2 / widest, k + 0.8 + added / 2 / widest, k + 0.8],
                      [far, far, bank], color=kinds[kind], alpha=0.75, linewidth=0)  # fmt: skip
            axes.text(k + 0.8, far + side * 0.05 * widest, f"+{added:.2f}", color=kinds[kind],
                      ha="center", va="bottom" if side > 0 else "top", fontsize=9)  # fmt: skip
            axes.text(k + 1.3, 0, f"{after:.2f}", ha="center", va="center", fontsize=9)
        axes.text(0.3, 0, f"{start:.2f}", ha="center", va="center", fontsize=9)
        axes.text(0.0, widest * 0.95, "attention\nwrites", color=ATTENTION, va="center")
        axes.text(0.0, -widest * 0.95, "feed-forward\nwrites", color=FEED_FORWARD, va="center")
        axes.set(xlim=(-0.1, steps + 0.7), ylim=(-1.35 * widest, 1.35 * widest))
        blocks = range(steps // 2)
        axes.set_xticks([2 * b + 1.3 for b in blocks], [f"block {b}" for b in blocks])
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
    styles = ("-", (0, (6, 1.5)), ":")
    with figure(caption, alt=alt, width=8.6, height=3.6, columns=len(curves)) as fig:
        panels = fig.axes if len(curves) > 1 else [fig.axes]
        for axes, (name, depths) in zip(panels, curves.items()):
            top = max(max(sizes) for sizes in depths.values())
            longest = max(depths)
            for (n, sizes), style in zip(depths.items(), styles):
                axes.plot(range(1, n + 1), sizes, linestyle=style, color=STREAM, linewidth=2)
                axes.plot([n], [sizes[-1]], "o", color=ATTENTION, markersize=7)
                axes.annotate(f"{n} blocks: {sizes[-1]:.1f}", (n, sizes[-1]), color=ATTENTION,
                              xytext=(-4, 7), textcoords="offset points", fontsize=9,
                              ha="right" if n == longest else "center")  # fmt: skip
            axes.set_title(name, fontsize=10, loc="left")
            axes.set(xlim=(0, 1.06 * longest), ylim=(0, 1.25 * top))
            axes.set_xlabel("blocks passed")
        panels[0].set_ylabel("size of the stream (root mean square)")
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
            axes.barh(labels, widths, left=left, color=colour, alpha=0.55, edgecolor="white")
            for row, (start, wide) in enumerate(zip(left, widths)):
                if wide > 9:
                    axes.text(start + wide / 2, row, f"{_spoken(part)} {wide:.0f} %", ha="center",
                              va="center", color="black", fontsize=9)  # fmt: skip
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
        said = "the past:\nnothing moved" if before == 0 else "the past moved"
        axes.text(0.2 * T, 0.75 * T, said, ha="center", va="center", color="black")
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
    colours = (STREAM, ATTENTION, FEED_FORWARD, TABLE, COLOURS[3])
    with figure(caption, alt=alt, width=8.0, height=2.4) as fig:
        axes, left = fig.axes, 0.0
        whole = 1.15 * max(need, have)
        for k, ((what, size), colour) in enumerate(zip(plan.rows, colours)):
            wide = size / GIB
            axes.barh([0], [wide], left=left, color=colour, alpha=0.6, height=0.5)
            said, middle = f"{what}\n{wide:.2f} GiB", left + wide / 2
            if wide > 0.16 * whole:
                axes.text(middle, 0, said, ha="center", va="center", fontsize=9, color="black")
            else:  # beside its piece, in turn above and below
                axes.annotate(said, (middle, 0.25 if k % 2 == 0 else -0.25), ha="center",
                              xytext=(0, 6 if k % 2 == 0 else -6), textcoords="offset points",
                              va="bottom" if k % 2 == 0 else "top", fontsize=8.5)  # fmt: skip
            left += wide
        if need > have:
            style = {"hatch": "///", "edgecolor": "black", "facecolor": "none", "height": 0.5}
            axes.barh([0], [need - have], left=have, linewidth=0, **style)
        axes.axvline(have, color="black", linewidth=2)
        side = {"ha": "right", "x": have - 0.01 * whole} if have > 0.6 * whole else {
            "ha": "left", "x": have + 0.01 * whole}  # fmt: skip
        axes.text(y=0.82, s=f"there are {have:.0f} GiB", color="black", va="center", **side)
        axes.set(xlim=(0, whole), xlabel="memory (GiB)", ylim=(-0.85, 1.0))
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
    `.dtype`, `.training`, `.gib` and `.words`."""
    start = (model, context, batch, dtype, training, gib)

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="26em")

        def choose(kind, options, value, name):
            return kind(options=options, value=value, description=name, layout=wide)

        machines = [(f"{n} GiB", n) for n in (2, 8, 16, 24, 40, 80, 160, 640)]
        slide = ipywidgets.SelectionSlider
        chosen = {
            "model": choose(ipywidgets.Dropdown, MODELS, model, "model"),
            "context": ipywidgets.IntSlider(
                context, min=1, max=4096, description="tokens", layout=wide, continuous_update=False
            ),
            "batch": choose(slide, (1, 2, 4, 8, 16, 32), batch, "rows"),
            "dtype": choose(ipywidgets.Dropdown, DTYPES, dtype, "weights in"),
            "training": ipywidgets.Checkbox(training, description="training", layout=wide),
            "gib": choose(slide, machines, gib, "machine"),
        }
        words, picture = ipywidgets.HTML(), ipywidgets.HTML()

        def draw(change=None) -> None:
            setting = [slider.value for slider in chosen.values()]
            words.value = escape(plan_words(*setting), quote=False)
            picture.value = _picture(*setting)

        for slider in chosen.values():
            slider.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([*chosen.values(), words, picture])
        for name, slider in chosen.items():
            setattr(box, name, slider)
        box.words, box.picture = words, picture
        return box

    says = plan_words(*start)
    return Live(f"<p>{escape(says)}</p>{_picture(*start)}", says, make)


def _picture(*setting) -> str:
    try:
        return plan_figure(plan_of(*setting))._repr_html_()
    except ValueError:
        return ""
