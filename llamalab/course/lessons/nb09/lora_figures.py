"""Pictures of LoRA: the two roads through a layer, drawn to scale, and what tuning a few numbers
gives beside tuning them all."""

from collections.abc import Mapping, Sequence

from llamalab.course.figures import figure, label_lines, palette
from llamalab.course.figures.draw import arrow, blank, box, note
from llamalab.course.figures.figure import Figure

FROZEN, LEARNED = palette.REFERENCE, palette.POLICY
NAMES = {"wq wv": "LoRA on wq, wv", "wq wk wv wo w1 w2 w3": "LoRA on all seven"}
COLOURS = {"wq wv": palette.SKY, "wq wk wv wo w1 w2 w3": palette.BLUE}


def two_roads(outputs: int, inputs: int, rank: int, alpha: float) -> Figure:
    """One layer: W and, beside it, A and B, each as large on paper as it has numbers."""
    whole, thin = outputs * inputs, rank * (outputs + inputs)
    caption = f"Two roads from one x: {thin:,} numbers learn, {whole:,} are only read."
    alt = (
        f"x goes two ways. Above, through a large grey matrix W of {outputs} by {inputs}, frozen. "
        f"Below, through a flat blue matrix A of {rank} by {inputs}, and a tall one B of {outputs} "
        f"by {rank}, then times alpha over r, {alpha:g} / {rank}. The two are added to y. B begins "
        f"as zeros."
    )
    scale = 2.6 / max(outputs, inputs)
    with figure(caption, alt=alt, width=8.4, height=4.4) as fig:
        axes = fig.axes
        blank(axes, 12, 6.4)
        box(axes, 0.8, 3.2, "x", palette.RESIDUAL)
        box(axes, 11.2, 3.2, "y", palette.RESIDUAL)
        box(axes, 10.0, 3.2, "+", palette.INK)
        _matrix(axes, 5.2, 4.6, inputs * scale, outputs * scale, FROZEN, "W")
        _matrix(axes, 3.6, 1.5, inputs * scale, max(rank * scale, 0.12), LEARNED, "A")
        _matrix(axes, 6.7, 1.5, max(rank * scale, 0.12), outputs * scale, LEARNED, "B")
        box(axes, 8.5, 1.5, f"× {alpha:g} / {rank}", LEARNED)
        half = inputs * scale / 2
        arrow(axes, (1.15, 3.3), (5.1 - half, 4.6), FROZEN)
        arrow(axes, (5.3 + half, 4.6), (9.75, 3.35), FROZEN)
        arrow(axes, (1.15, 3.1), (3.5 - half, 1.5), LEARNED)
        arrow(axes, (3.7 + half, 1.5), (6.55, 1.5), LEARNED)
        arrow(axes, (6.85, 1.5), (7.85, 1.5), LEARNED)
        arrow(axes, (9.0, 1.65), (9.85, 2.95), LEARNED)
        arrow(axes, (10.25, 3.2), (10.9, 3.2), palette.RESIDUAL)
        note(axes, 5.3 + half, 5.7, f"{whole:,} numbers, frozen", colour=FROZEN, ha="left")
        note(axes, 3.6, 0.85, f"({rank}, {inputs}), drawn at random", colour=LEARNED)
        note(axes, 6.95, 0.4, f"({outputs}, {rank}), zeros at birth", colour=LEARNED, ha="left")
        note(axes, 5.15, 1.75, f"{rank} numbers", colour=LEARNED)
    return fig


def _matrix(axes, x: float, y: float, width: float, height: float, colour: str, name: str) -> None:
    from matplotlib.patches import Rectangle

    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, facecolor=colour, edgecolor=colour, alpha=0.25))
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=1.4))
    beside = min(width, height) < 0.5
    away = height / 2 + 0.25 if beside else 0.0
    axes.text(x, y + away, name, ha="center", va="center", fontsize=12, color=palette.INK)


def few_or_all(measured: Mapping) -> Figure:
    """Losses after equal steps against the numbers that learned: on stories of the new world, and
    on those of the old. measured: data/golden/lora09.json; of two rates the better one counts."""
    best = best_runs(measured["runs"])
    before, full = measured["before"], best["", 0]
    steps = measured["settings"]["steps"]
    lines = {key: [best[k] for k in sorted(best) if k[0] == key] for key in NAMES}
    most = max(full["learned"], 1)
    least = min(run["learned"] for line in lines.values() for run in line)
    caption = (
        f"After {steps} steps: what {least / most:.1%} of the numbers can learn, and what is "
        f"forgotten on the way."
    )
    words = [
        f"{NAMES[key]}: " + ", ".join(f"rank {r['rank']} {r['new']:.2f}" for r in line)
        for key, line in lines.items()
    ]
    alt = (
        f"Loss on new stories against learned parameters, from {before['new']:.2f} before tuning. "
        f"{'. '.join(words)}. Full tuning: {full['new']:.2f}. Beside it the loss on old stories, "
        f"from {before['old']:.2f}: full tuning {full['old']:.2f}, "
        + ", ".join(f"{NAMES[key]} {line[-1]['old']:.2f}" for key, line in lines.items())
        + " at the highest rank."
    )
    with figure(caption, alt=alt, width=8.6, height=3.9, columns=2) as fig:
        for axes, what, name in zip(fig.axes, ("new", "old"), ("new world", "old world")):
            _losses(axes, lines, full, before, what)
            axes.set(xlabel="parameters that learn", ylabel="loss (nats a token)")
            axes.set_title(f"held-out stories of the {name}")
    return fig


def best_runs(runs: Sequence[Mapping]) -> dict[tuple[str, int], Mapping]:
    """(targets, rank) -> the run at the better rate, by the loss on new stories; ("", 0) is full
    tuning."""
    found: dict[tuple[str, int], Mapping] = {}
    for run in runs:
        key = " ".join(run["targets"]), run["rank"]
        if key not in found or run["new"] < found[key]["new"]:
            found[key] = run
    return found


def _losses(axes, lines: Mapping, full: Mapping, before: Mapping, what: str) -> None:
    axes.axhline(before[what], color=palette.FAINT, linestyle=":", linewidth=1.2)
    ends = []
    for key, line in lines.items():
        where, height = [r["learned"] for r in line], [r[what] for r in line]
        axes.plot(where, height, "o-", color=COLOURS[key])
        ends.append((where[-1], height[-1], NAMES[key], COLOURS[key]))
        for run in line:
            axes.annotate(f"r {run['rank']}", (run["learned"], run[what]), xytext=(0, 7),
                          textcoords="offset points", fontsize=7.5, color=palette.FAINT,
                          ha="right" if run is line[-1] else "center")  # fmt: skip
    axes.plot([full["learned"]], [full[what]], "s", color=palette.VERMILLION)
    ends.append((full["learned"], full[what], "all of them", palette.VERMILLION))
    axes.set_xscale("log")
    axes.text(0.02, before[what], "before", transform=axes.get_yaxis_transform(), fontsize=8,
              color=palette.FAINT, va="bottom")  # fmt: skip
    axes.margins(y=0.15)
    label_lines(axes, ends)
