"""Pictures for the lesson on the whole model: the stream by depth, where the parameters are,
what a changed token reaches, and a memory plan to play with."""

from collections.abc import Mapping, Sequence
from html import escape

import torch

from llamalab.accounting import MemoryPlan, count_parameters, memory_plan
from llamalab.config import LlamaConfig
from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

PARTS = {"embedding": COLOURS[4], "attention": COLOURS[0], "feed_forward": COLOURS[1],
         "norms": COLOURS[6], "output": COLOURS[2]}  # fmt: skip
STYLES = ("-", "--", ":")
GIB = 2**30
MODELS = ("tiny", "tales", "llama-2-7b", "llama-2-13b", "llama-2-34b", "llama-2-70b")
DTYPES = ("float32", "bfloat16", "q8_0", "q4_0")


def stream_by_depth(curves: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """The size of the residual stream after each block. `curves`: name -> depth -> sizes; a name
    has one colour, a depth one style of line."""
    caption = (
        "With softer writers the stream ends at one size, whatever the depth. Without, the "
        "deeper model has the larger stream."
    )
    ends = "; ".join(
        f"{name}: " + ", ".join(f"{sizes[-1]:.1f} after {n} blocks" for n, sizes in depths.items())
        for name, depths in curves.items()
    )
    alt = f"Size of the stream against the part of the blocks passed, one line a depth. {ends}."
    with figure(caption, alt=alt, height=3.6) as fig:
        axes = fig.axes
        for (name, depths), colour in zip(curves.items(), COLOURS):
            for (n, sizes), style in zip(depths.items(), STYLES):
                passed = [100 * (i + 1) / n for i in range(n)]
                label = f"{name}, {n} blocks"
                axes.plot(passed, sizes, linestyle=style, color=colour, label=label, linewidth=2)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("blocks passed (% of the depth)")
        axes.set_ylabel("size of the stream (root mean square)")
        axes.legend(fontsize=9)
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
    with figure(caption, alt=f"Stacked bars. {words}.", height=0.9 + 0.42 * len(names)) as fig:
        axes, left = fig.axes, [0.0] * len(names)
        labels = [f"{name}\n{_short(counts[name]['total'])}" for name in names]
        for part, colour in PARTS.items():
            widths = [row[part] for row in shares.values()]
            axes.barh(labels, widths, left=left, color=colour, label=_spoken(part))
            left = [a + b for a, b in zip(left, widths)]
        axes.invert_yaxis()
        axes.grid(False)
        axes.set(xlim=(0, 100), xlabel="share of all parameters (%)")
        axes.legend(fontsize=8, ncols=len(PARTS), loc="lower center", bbox_to_anchor=(0.45, 1.0))
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
    with figure(caption, alt=alt, width=5.0, height=3.6) as fig:
        axes = fig.axes
        shown = changes.masked_fill(changes == 0, float("nan"))
        image = axes.imshow(shown.numpy(), cmap="cividis_r", norm="log")
        axes.grid(False)
        axes.set_xticks(range(0, T, 3))
        axes.set_yticks(range(0, T, 3))
        axes.set_xlabel("position whose logits are read")
        axes.set_ylabel("place of the changed token")
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
    """The plan's rows as one bar beside what there is."""
    caption = "What does not fit here does not fit: activations come on top."
    parts = ", ".join(f"{what} {size / GIB:.2f} GiB" for what, size in plan.rows)
    have = plan.available / GIB
    alt = (
        f"A bar of {plan.total / GIB:.2f} GiB: {parts}. A line marks the {have:.0f} GiB there are."
    )
    with figure(caption, alt=alt, height=2.1) as fig:
        axes, left = fig.axes, 0.0
        for (what, size), colour in zip(plan.rows, COLOURS):
            axes.barh([0], [size / GIB], left=left, color=colour, label=what, height=0.5)
            left += size / GIB
        axes.axvline(have, color=COLOURS[6], linewidth=2, label="what there is")
        axes.set(xlim=(0, 1.15 * max(left, have)), xlabel="memory (GiB)", ylim=(-0.5, 0.5))
        axes.set_yticks([])
        axes.legend(fontsize=8, ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
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

        contexts = [(f"{n:,}", n) for n in (128, 256, 512, 1024, 2048, 4096)]
        machines = [(f"{n} GiB", n) for n in (2, 8, 16, 24, 40, 80, 160, 640)]
        slide = ipywidgets.SelectionSlider
        chosen = {
            "model": choose(ipywidgets.Dropdown, MODELS, model, "model"),
            "context": choose(slide, contexts, context, "tokens"),
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
