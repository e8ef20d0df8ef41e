"""Pictures of tuning: rows and who stands first in them, which wishes are granted, who refuses
where, how long a manner is held, and a bar, a curve and samples that grow while a model learns."""

import math
from collections.abc import Mapping, Sequence

from llamalab.course.figures import (
    Choice,
    Live,
    Slider,
    claim,
    explorer,
    figure,
    label_lines,
    monitor,
    palette,
)
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html, tag
from llamalab.training import StepRecord

STORY, SHORT = palette.SKY, palette.VERMILLION
HEIGHT, LOW, HIGH = 200, 0.1, 20.0  # of the growing curve; losses on a log axis


# -- rows -------------------------------------------------------------------------------------


def packed_rows(rows: Sequence[Sequence[tuple[int, bool]]], room: int) -> Figure:
    """Rows of dialogues, each (its length, whether it is a short one: a refusal)."""
    first = sum(row[0][1] for row in rows)
    behind = [short for row in rows for _, short in row[1:]]
    caption = (
        f"Packed first-fit: {sum(behind)} of the {len(behind)} dialogues that stand behind another "
        f"are refusals, and {first} of the {len(rows)} that stand at the start of a row."
    )
    alt = (
        f"{len(rows)} rows of {room} places. Stories fill most of nearly every row; refusals fill "
        f"the gaps behind them, or stand together in a row. {first} rows begin with a refusal."
    )
    with figure(caption, alt=alt, width=7.4, height=4.4) as fig:
        axes, after = fig.axes, None
        for y, row in enumerate(rows):
            x = 0
            for length, short in row:
                axes.barh(y, length, 0.78, left=x, color=SHORT if short else STORY,
                          edgecolor=palette.PAPER, linewidth=0.8)  # fmt: skip
                if short and x and not row[0][1]:
                    after = (x + length / 2, y)
                x += length
        axes.axvline(0, color=palette.INK, linewidth=2.4)
        axes.invert_yaxis()
        axes.set(xlim=(-2, room), xlabel="places in a row", ylabel="rows", yticks=[])
        axes.grid(axis="y", visible=False)
        there = len(rows) - 1
        if after:
            claim(axes, "a refusal is learned here", at=after, to=(0.5 * room, 0.3 * there))
        claim(axes, "and asked for here", at=(0, 0.62 * there), to=(0.28 * room, 0.7 * there))
        label_lines(axes, [(room, 0.1 * there, "a story", STORY),
                           (room, 0.2 * there, "a refusal", SHORT)], gap=0.09)  # fmt: skip
    return fig


def first_fit(lengths: Sequence[int], room: int, order: str) -> list[list[int]]:
    """Which dialogues share a row: their numbers, row by row."""
    if order == "alone":
        return [[i] for i in range(len(lengths))]
    numbers = list(range(len(lengths)))
    if order == "longest first":
        numbers.sort(key=lambda i: -lengths[i])
    rows: list[list[int]] = []
    free: list[int] = []
    for i in numbers:
        place = next((n for n, left in enumerate(free) if left >= lengths[i]), None)
        if place is None:
            rows.append([i])
            free.append(room - lengths[i])
        else:
            rows[place].append(i)
            free[place] -= lengths[i]
    return rows


def share_first(
    lengths: Sequence[int], short: Sequence[bool], room: int, order: str
) -> tuple[float, float, float]:
    """The share of short and of long dialogues that stand first in a row; the share of padding."""
    kept = [i for i, length in enumerate(lengths) if length <= room]
    rows = first_fit([lengths[i] for i in kept], room, order)
    first = {kept[row[0]] for row in rows}
    shares = []
    for kind in (True, False):
        which = [i for i in kept if short[i] == kind]
        shares.append(sum(i in first for i in which) / max(1, len(which)))
    padding = 1 - sum(lengths[i] for i in kept) / (len(rows) * room)
    return shares[0], shares[1], padding


def rows_words(lengths: Sequence[int], short: Sequence[bool], room: int, order: str) -> str:
    """What the explorer says of one setting."""
    few, many, padding = share_first(lengths, short, room, order)
    return (
        f"rows of {room:,}, {order}: at the start of a row stand {few:.0%} of the refusals and "
        f"{many:.0%} of the others; {padding:.0%} of the places are padding"
    )


def rows_figure(lengths: Sequence[int], short: Sequence[bool], room: int, order: str) -> Figure:
    """Shares of the two kinds that stand first, and of padding."""
    few, many, padding = share_first(lengths, short, room, order)
    caption = "Where a kind of dialogue stands is decided by its length, unless each stands alone."
    alt = f"Bars: {rows_words(lengths, short, room, order)}."
    with figure(caption, alt=alt, width=6.6, height=2.3) as fig:
        axes = fig.axes
        named = (("refusals that stand first", few, SHORT), ("others that stand first", many,
                 STORY), ("padding", padding, palette.FAINT))  # fmt: skip
        for y, (_, share, colour) in enumerate(named):
            axes.barh(y, share, 0.62, color=colour, hatch="///" if colour == SHORT else "",
                      edgecolor=palette.PAPER)  # fmt: skip
            axes.annotate(f"{share:.0%}", (share, y), (5, 0), textcoords="offset points",
                          va="center", fontsize=9)  # fmt: skip
        axes.set_yticks(range(3), [name for name, _, _ in named])
        axes.invert_yaxis()
        axes.set(xlim=(0, 1.12), xlabel="share")
        axes.xaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
        axes.grid(axis="y", visible=False)
    return fig


def rows_explorer(lengths: Sequence[int], short: Sequence[bool], room: int = 257) -> Live:
    """Choose how long a row is and how it is filled. The widget has `.room`, `.order`, `.words`."""
    return explorer(
        [
            Slider("room", room, values=(257, 513, 1025, 2049, 4097), label="places in a row"),
            Choice("order", "first fit", ("first fit", "longest first", "alone")),
        ],
        picture=lambda room, order: rows_figure(lengths, short, room, order),
        words=lambda room, order: rows_words(lengths, short, room, order),
    )


def refused(runs: Sequence[Mapping]) -> Figure:
    """The probability of a refusal after an unkind request, at the start of a text and behind
    another dialogue: a dot a seed, packed beside alone."""
    places = ("unkind at the start", "unkind behind another")
    seen = {way: [run["seen"][-1] for run in runs if run["way"] == way] for way in
            ("packed", "alone")}  # fmt: skip
    means = {way: [_mean([s[place] for s in found]) for place in places]
             for way, found in seen.items()}  # fmt: skip
    caption = "Packed, the model refuses behind another dialogue, and not where it is asked."
    alt = "Probability of a refusal after an unkind request. " + "; ".join(
        f"{way}: {there[0]:.2f} at the start, {there[1]:.2f} behind another dialogue"
        for way, there in means.items()
    )
    with figure(caption, alt=alt + ".", width=6.8, height=3.1) as fig:
        axes, ends = fig.axes, []
        for (way, found), colour, style in zip(seen.items(), (SHORT, palette.BLUE), ("--", "-")):
            for one in found:
                axes.plot([0, 1], [one[place] for place in places], "o", color=colour, alpha=0.6)
            axes.plot([0, 1], means[way], style, color=colour)
            name = "packed" if way == "packed" else "each alone"
            ends.append((1, means[way][1], name, colour))
        axes.set(xlim=(-0.15, 1.02), ylim=(-0.04, 1.04), ylabel="probability of a refusal")
        axes.set_xticks([0, 1], ["at the start of a text", "behind another dialogue"])
        label_lines(axes, ends, gap=0.1)
    return fig


# -- what was asked for -----------------------------------------------------------------------

WISH_COLOURS = {"hero": palette.BLUE, "thing": palette.GREEN, "place": palette.VERMILLION}


def wishes(runs: Sequence[Mapping], before: Mapping[str, float]) -> Figure:
    """The probability of what a request names, against steps: a panel a weight, a line a wish (the
    mean of the seeds, each seed a dot). `before`: of the base."""
    weights = sorted({run["weight"] for run in runs})
    ends = {w: {wish: _mean([run["seen"][-1][wish] for run in runs if run["weight"] == w])
                for wish in WISH_COLOURS} for w in weights}  # fmt: skip
    caption = (
        "Same dialogues, same steps. What a story says again and again is soon copied from the "
        "request, sooner where it weighs more; the place, which it says once, is still guessed."
    )
    alt = "Probability of the requested word at its first mention, after tuning. " + "; ".join(
        f"weight {w:g}: " + ", ".join(f"{wish} {p:.2f}" for wish, p in found.items())
        for w, found in ends.items()
    )
    size = dict(width=8.4, height=3.4, columns=len(weights))
    with figure(caption, alt=alt + ".", **size) as fig:
        panels = [fig.axes] if len(weights) == 1 else fig.axes
        for axes, w in zip(panels, weights):
            mine = [run for run in runs if run["weight"] == w]
            steps, named = [0, *mine[0]["steps"]], []
            for wish, style in zip(WISH_COLOURS, ("-", "--", "-")):
                colour = WISH_COLOURS[wish]
                for run in mine:
                    seen = [before[wish], *(s[wish] for s in run["seen"])]
                    axes.plot(
                        steps, seen, "o", color=colour, alpha=0.5, markersize=4, clip_on=False
                    )
                line = [before[wish], *(_mean([run["seen"][i][wish] for run in mine])
                                        for i in range(len(mine[0]["steps"])))]  # fmt: skip
                axes.plot(steps, line, style, color=colour, clip_on=False,
                          marker="s" if wish == "place" else "")  # fmt: skip
                named.append((steps[-1], line[-1], wish, colour))
            axes.axhline(1 / 16, color=palette.INK, linestyle=":", linewidth=1)
            axes.set_xlim(right=steps[-1])  # nothing runs through the names
            axes.set(ylim=(0, 1.04), xlabel="step", title=f"weight {w:g} on what was asked")
            label_lines(axes, named, gap=0.08)
        panels[0].set_ylabel("probability of the word")
        claim(panels[0], "one of 16 places, guessed", at=(steps[-1] * 0.5, 1 / 16),
              to=(steps[-1] * 0.5, 0.24))  # fmt: skip
    return fig


# -- a manner that is held --------------------------------------------------------------------


def held(runs: Sequence[Mapping]) -> Figure:
    """The share of answers that begin with the name, turn by turn."""
    named = {"with": "with ghost attention", "without": "without"}
    means = {}
    for way in named:
        seen = [run["seen"][-1] for run in runs if run["way"] == way]
        means[way] = [_mean(list(shares)) for shares in zip(*seen)]
    caption = "A wish that was spoken once is held where holding it was learned."
    alt = "Share of answers that begin with the name, by turn. " + "; ".join(
        f"{named[way]}: " + ", ".join(f"{share:.0%}" for share in shares)
        for way, shares in means.items()
    )
    with figure(caption, alt=alt + ".", width=6.6, height=3.0) as fig:
        axes, ends = fig.axes, []
        for (way, shares), colour, style in zip(
            means.items(), (palette.POLICY, SHORT), ("-", "--")
        ):
            turns_ = list(range(1, len(shares) + 1))
            axes.plot(turns_, shares, style, color=colour, marker="o")
            ends.append((turns_[-1], shares[-1], named[way], colour))
        axes.set(ylim=(-0.04, 1.06), xlabel="turn", ylabel="answers that begin with the name")
        axes.set_xticks(turns_)
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
        label_lines(axes, ends, gap=0.09)
    return fig


# -- a bar, a curve and samples that grow -----------------------------------------------------


class Monitor(monitor.Monitor):
    """A bar, the loss on a logarithmic axis, and samples: `add(record)` at every step,
    `sample(step, text)` now and then."""

    def __init__(self, steps: int):
        self.losses: list[tuple[int, float]] = []
        says = "A bar, the loss and the model's answers grow here while the next cell runs."
        super().__init__(says, steps, bar="step {}", shown=330)

    def add(self, record: StepRecord) -> None:
        """One more step."""
        self.losses.append((record.step, record.loss))
        self.step = record.step
        self.draw()

    def curve(self) -> Html:
        return growing_curve(self.losses, self.steps)


def growing_curve(losses: Sequence[tuple[int, float]], steps: int) -> Html:
    """The losses so far as a small SVG, on a logarithmic axis."""

    def down(loss: float) -> float:
        share = math.log(min(max(loss, LOW), HIGH) / LOW) / math.log(HIGH / LOW)
        return HEIGHT * (1 - share)

    marks = []
    for loss in (10, 1, 0.1):
        y = f"{down(loss):.1f}"
        marks += [tag("line", **monitor.ACROSS, y1=y, y2=y, stroke=palette.GRID),
                  tag("text", f"{loss:g}", x=8, y=y, font_size=12, fill=palette.FAINT)]  # fmt: skip
    return monitor.growing_curve(losses, steps, down, marks, height=HEIGHT, above=6)


def loss_curve(records: Sequence[StepRecord], caption: str) -> Figure:
    """The loss of every step on a logarithmic axis, and the mean of the last ten."""
    steps, raw = [r.step for r in records], [r.loss for r in records]
    smooth = [_mean(raw[max(0, i - 9) : i + 1]) for i in range(len(raw))]
    alt = f"Loss against step: from {raw[0]:.1f} to {smooth[-1]:.2f} after {steps[-1]} steps."
    with figure(caption, alt=alt, width=6.8, height=3.1) as fig:
        axes = fig.axes
        axes.plot(steps, raw, color=palette.SKY, linewidth=0.8)
        axes.plot(steps, smooth, color=palette.LOSS)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.yaxis.set_minor_formatter(lambda value, place: "")
        axes.set(xlabel="step", ylabel="loss on answers (nats a token)")
        label_lines(axes, [(steps[-1], smooth[-1], "mean of\n10 steps", palette.LOSS)])
    return fig


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
