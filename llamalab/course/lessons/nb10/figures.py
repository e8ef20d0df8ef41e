"""Pictures for the lesson on reward models: what an annotator feels and says, the loss of a pair, a
head that gives one number, a training that grows while it runs, accuracy by strength before its
ceiling, calibration, two models' scores, and what a score moves at."""

import math
from collections.abc import Mapping, Sequence

import torch

from llamalab.alignment import Calibration
from llamalab.course.figures import (
    Slider,
    arrow,
    blank,
    box,
    claim,
    explorer,
    figure,
    label_lines,
    monitor,
    note,
    palette,
)
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html, tag
from llamalab.course.figures.live import Live
from llamalab.tales.preferences import LEVELS, NOISE

SHORT = ("negligibly", "slightly", "better", "significantly")
BANDS = ("#E8E4D9", "#C9DCEA", "#8DBBDB", "#3F87BA")  # faint to strong
LINES = ("-", "--", ":", "-.")
MODELS = {"helpfulness": palette.BLUE, "safety": palette.VERMILLION}  # wherever both are drawn
HEIGHT = 200  # of the growing curve, in its own units


def sigma(x: float) -> float:
    """Between 0 and 1; a half at 0."""
    return 1 / (1 + math.exp(-x)) if x > -500 else 0.0


# -- what annotators feel -------------------------------------------------------------------


def said(gap: float) -> list[float]:
    """A gap of worths, a better than b by so much -> how often annotators say each of eight things,
    from "b, significantly" over "b, negligibly" to "a, significantly"."""
    edges = [-math.inf, *(-level for level in reversed(LEVELS)), 0.0, *LEVELS, math.inf]
    below = [sigma(edge - gap / NOISE) if abs(edge) < math.inf else float(edge > 0)
             for edge in edges]  # fmt: skip
    return [high - low for low, high in zip(below, below[1:])]


def ceiling_by_strength(gaps: Sequence[float], strengths: Sequence[int]) -> list[float]:
    """Gaps of worths, and what was said of each pair -> for each strength, how often somebody who
    knows the truth can be expected to agree with those who said it."""
    agree: list[list[float]] = [[], [], [], []]
    for gap, level in zip(gaps, strengths):
        shares = said(abs(gap))
        agree[level].append(shares[4 + level] / (shares[4 + level] + shares[3 - level]))
    return [sum(part) / len(part) if part else math.nan for part in agree]


def annotator_words(gap: float) -> str:
    """What the explorer says of a gap."""
    shares = said(gap)
    wrong = 100 * sum(shares[:4])
    return (
        f"worth {gap:.2f} more: {100 - wrong:.0f} of 100 annotators prefer it and {wrong:.0f} the "
        f"other; {100 * shares[7]:.0f} say significantly, and {100 * (shares[3] + shares[4]):.0f} "
        f"say negligibly, one way or the other"
    )


def annotator_figure(gap: float) -> Figure:
    """The law of what is felt for a gap, cut into what is then said."""
    caption = (
        "Everybody feels the gap and some noise. What falls left of 0 is a label against the "
        "truth; how far it falls from 0 is the strength."
    )
    middle = gap / NOISE
    xs = [k / 20 - 9 for k in range(421)]  # edges of bands are among them, or next to them
    density = [sigma(x - middle) * sigma(middle - x) for x in xs]
    edges = [-9, *(-level for level in reversed(LEVELS)), 0.0, *LEVELS, 12]
    shares = said(gap)
    with figure(caption, alt=annotator_words(gap) + ".", width=7.4, height=3.3) as fig:
        axes = fig.axes
        for k, (low, high) in enumerate(zip(edges, edges[1:])):
            part = [(x, y) for x, y in zip(xs, density) if low <= x <= high]
            level = k - 4 if k > 3 else 3 - k
            axes.fill_between(*zip(*part), color=BANDS[level], hatch="//" if k < 4 else None,
                              edgecolor=palette.WRONG if k < 4 else BANDS[level])  # fmt: skip
            if shares[k] > 0.04:
                x = max(-6.5, min(9.5, (low + high) / 2))
                axes.annotate(f"{shares[k]:.0%}", (x, 0.272), ha="center", fontsize=8)
        axes.plot(xs, density, color=palette.INK, linewidth=1.4)
        axes.axvline(0, color=palette.INK, linewidth=1)
        axes.set(xlim=(-9, 12), ylim=(0, 0.33), yticks=(), xlabel="felt: gap / noise + chance")
        for x, name in zip((0.37, 1.37, 3.0, 7.6), SHORT):
            if x > 1:  # the innermost two bands are too narrow for a word
                axes.annotate(name, (x, 0.302), ha="center", fontsize=8, color=palette.FAINT)
        wrong = sum(shares[:4])
        if wrong > 0.02:
            claim(axes, f"{wrong:.0%} prefer the worse one", at=(-0.9, 0.5 * density[162]),
                  to=(-5.6, 0.18), colour=palette.WRONG)  # fmt: skip
    return fig


def annotator_explorer(gap: float = 0.12) -> Live:
    """How often is a label wrong? Move the gap. The widget has `.gap`, `.words`, `.picture`."""
    slider = Slider("gap", gap, 0.0, 0.9, 0.02, label="how much better")
    return explorer([slider], picture=annotator_figure, words=annotator_words)


# -- the loss of a pair ---------------------------------------------------------------------


def pair_losses(margins: Mapping[str, float]) -> Figure:
    """The loss of one pair against its gap, for some margins, and the pull of its gradient."""
    caption = (
        "Left: a margin moves the curve to the right, and a pair has to win by more to cost as "
        "little. Right: how hard a pair pulls. It is never 0, and never above 1."
    )
    gaps = [k / 20 - 4 for k in range(161)]
    told = ", ".join(
        f"{name}: {-math.log(sigma(-m)):.2f} and {sigma(m):.2f}" for name, m in margins.items()
    )
    alt = f"Loss and pull against the gap between two scores. At a gap of 0: {told}."
    colours = (palette.FAINT, palette.SKY, palette.REWARD, palette.VERMILLION)
    with figure(caption, alt=alt, width=8.6, height=3.4, columns=2) as fig:
        left, right = fig.axes
        ends = []
        for (name, m), style, colour in zip(margins.items(), LINES, colours):
            loss = [math.log1p(math.exp(m - gap)) for gap in gaps]
            left.plot(gaps, loss, linestyle=style, color=colour)
            right.plot(gaps, [sigma(m - gap) for gap in gaps], linestyle=style, color=colour)
            ends.append((gaps[-1], sigma(m - gaps[-1]), name, colour))
        left.plot([0], [math.log(2)], "o", color=palette.INK)
        claim(left, "ln 2: cannot tell", at=(0, math.log(2)), to=(2.1, 2.4))
        left.set(xlabel="gap: score of chosen less rejected", ylabel="loss of the pair (nats)")
        right.set(xlabel="gap: score of chosen less rejected", ylabel="pull: σ(margin - gap)")
        right.set_ylim(0, 1.05)
        claim(right, "in the wrong order:\nfull pull", at=(-3, 0.97), to=(-1.6, 0.35))
        label_lines(right, ends, gap=0.09)
    return fig


# -- the head -------------------------------------------------------------------------------


def heads(vocab_size: int, dim: int) -> Figure:
    """The same trunk twice: a logit for each piece after every token, and one number at the end."""
    caption = (
        "One trunk, two heads. The language model says at every token what may come next; the "
        "reward model says one number, at the last."
    )
    words = ("[INST] …", "[/INST]", "Mia", "had", "a", "kite", ".", "</s>")
    alt = (
        f"Eight tokens go through the same blocks twice. Left, a head of {vocab_size:,} times "
        f"{dim} numbers gives {vocab_size:,} logits above every token; right, a head of 1 times "
        f"{dim} gives one score, above the last token alone."
    )
    with figure(caption, alt=alt, width=9.2, height=3.5, columns=2) as fig:
        titles = (f"language model: head {vocab_size:,} × {dim}", f"reward model: head 1 × {dim}")
        for axes, title, scorer in zip(fig.axes, titles, (False, True)):
            blank(axes, 8.4, 4.4)
            axes.set_title(title)
            box(axes, 4.2, 1.9, "   the chat model's blocks and norm   ", palette.RESIDUAL,
                fill="#EFECE3", pad=0.9)  # fmt: skip
            for i, word in enumerate(words):
                x = 0.7 + i * 1.0
                box(axes, x, 0.45, word, palette.FAINT, size=6.5, mono=True, pad=0.2)
                arrow(axes, (x, 0.72), (x, 1.25), palette.FAINT, width=0.9)
                last = i == len(words) - 1
                if not scorer:
                    arrow(axes, (x, 2.55), (x, 3.2), palette.POLICY, width=1.1)
                    note(axes, x, 3.5, f"{vocab_size:,}", colour=palette.POLICY, size=7)
                elif last:
                    arrow(axes, (x, 2.55), (x, 3.2), palette.REWARD, width=2.2)
                    box(axes, x - 0.1, 3.6, "1.7", palette.REWARD, fill="#FFF3D6")
            if scorer:
                note(axes, 3.4, 3.5, "nothing is read off here", size=8)
            else:
                note(axes, 4.2, 4.1, "logits, after every token", size=8)
    return fig


# -- a training that grows ------------------------------------------------------------------


class Monitor(monitor.Monitor):
    """Loss and accuracy while a loop runs, and a bar: `add(record)` at every step,
    `held(step, accuracy)` now and then."""

    def __init__(self, steps: int):
        self.losses: list[tuple[int, float]] = []
        self.accuracies: list[tuple[int, float]] = []
        says = "The curve grows here while the next cell runs."
        super().__init__(says, steps, bar="steps")

    def add(self, record) -> None:
        """One more step."""
        self.losses.append((record.step, record.loss))
        self.step = record.step
        self.draw()

    def held(self, step: int, accuracy: float) -> None:
        """How many of the held-out pairs are in the right order after so many steps."""
        self.accuracies.append((step, accuracy))
        self.draw()

    def curve(self) -> Html:
        return growing_curve(self.losses, self.steps)

    def told(self) -> Html:
        shares = ", ".join(f"{share:.0%} at step {step}" for step, share in self.accuracies)
        return tag("p", f"held-out pairs in the right order: {shares or '…'}")


def growing_curve(losses: Sequence[tuple[int, float]], steps: int, high: float = 1.5) -> Html:
    """The losses so far as a small SVG; a dashed line at ln 2."""

    def down(loss: float) -> float:
        return HEIGHT * (1 - min(loss, high) / high)

    marks = monitor.level_and_floor(down(math.log(2)), "ln 2", x=8, height=HEIGHT)
    colour = palette.REWARD
    return monitor.growing_curve(losses, steps, down, marks, height=HEIGHT, colour=colour)


def training(
    steps: Sequence[int],
    losses: Mapping[str, Sequence[float]],
    caption: str,
    cannot_tell: Mapping[str, float],
) -> Figure:
    """Losses of some runs at the same steps, and for each, dotted, what a model loses that cannot
    tell the two answers apart."""
    ends = ", ".join(
        f"{name} from {loss[0]:.2f} to {loss[-1]:.2f}, where who cannot tell loses "
        f"{cannot_tell[name]:.2f}"
        for name, loss in losses.items()
    )
    with figure(caption, alt=f"Loss against step: {ends}.", width=7.0, height=3.3) as fig:
        axes, named = fig.axes, []
        for (name, loss), style in zip(losses.items(), LINES):
            colour = MODELS.get(name, palette.REWARD)
            axes.plot(steps, loss, linestyle=style, marker="o", markersize=3, color=colour)
            axes.axhline(cannot_tell[name], color=colour, linestyle=":", linewidth=1.6)
            named.append((steps[-1], loss[-1], name, colour))
        right = axes.get_xlim()[1]
        named += [(right, cannot_tell[name], f"{name}: cannot tell", MODELS.get(name, palette.INK))
                  for name in losses]  # fmt: skip
        axes.set(xlabel="step", ylabel="loss of a pair (nats)")
        label_lines(axes, named, gap=0.08)
    return fig


# -- how good ---------------------------------------------------------------------------------


def by_strength(panels: Mapping[str, Mapping[str, Sequence[float]]], caption: str) -> Figure:
    """A panel a question; in each, accuracies at the four strengths, the weakest first."""
    told = "; ".join(
        f"{title}, {name}: " + ", ".join(f"{share:.0%}" for share in shares)
        for title, lines in panels.items()
        for name, shares in lines.items()
    )
    alt = f"Share of pairs in the right order, from negligibly to significantly better. {told}."
    colours = (palette.REWARD, palette.JUDGE, palette.INK)
    size = dict(width=4.6 * len(panels), height=3.6, columns=len(panels))
    with figure(caption, alt=alt, **size) as fig:
        for axes, (title, lines) in zip([fig.axes] if len(panels) == 1 else fig.axes,
                                        panels.items()):  # fmt: skip
            ends = []
            for (name, shares), style, colour, mark in zip(lines.items(), LINES, colours, "os^"):
                axes.plot(range(4), shares, linestyle=style, marker=mark, color=colour)
                ends.append((3, shares[-1], name, colour))
            axes.axhline(0.5, color=palette.FAINT, linewidth=1)
            axes.annotate("a coin", (0, 0.5), (0, -11), textcoords="offset points", fontsize=8,
                          color=palette.FAINT)  # fmt: skip
            axes.set_xticks(range(4), ("negligibly", "slightly", "better", "signif."))
            axes.set(ylim=(0.35, 1.03), title=title)
            axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
            label_lines(axes, ends, gap=0.075)
        first = fig.axes if len(panels) == 1 else fig.axes[0]
        first.set_ylabel("pairs in the right order")
    return fig


def reliability(found: Mapping[str, Calibration], caption: str) -> Figure:
    """How sure against how often right: for each name a `Calibration`. Larger dots hold more."""
    parts = []
    for name, one in found.items():
        pairs = zip(one.confidence.tolist(), one.accuracy.tolist())
        parts.append(f"{name}: " + ", ".join(f"{a:.0%} sure {b:.0%} right" for a, b in pairs))
    alt = f"Share right against how sure, with a diagonal for both alike. {'; '.join(parts)}."
    with figure(caption, alt=alt, width=6.6, height=3.9) as fig:
        axes, ends = fig.axes, []
        axes.plot([0.5, 1], [0.5, 1], "--", color=palette.INK, linewidth=1)
        for (name, one), style in zip(found.items(), LINES):
            colour = MODELS.get(name, palette.REWARD)
            sure, right = one.confidence.tolist(), one.accuracy.tolist()
            axes.plot(sure, right, linestyle=style, color=colour)
            axes.scatter(sure, right, s=[8 + 1.2 * n for n in one.count.tolist()], color=colour)
            ends.append((sure[-1], right[-1], name, colour))
        claim(axes, "as sure as it is right", at=(0.68, 0.68), to=(0.6, 0.9))
        axes.set(xlabel="how sure, on average in a bin", ylabel="how often right")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, place: f"{value:.0%}")
        label_lines(axes, ends, gap=0.07, away=12)  # clear of the largest dots
    return fig


# -- two scores -------------------------------------------------------------------------------


def two_scores(
    kinds: Mapping[str, Sequence[tuple[float, float]]], threshold: float, caption: str
) -> Figure:
    """Answers by (safety, helpfulness), both between 0 and 1: a mark for each kind of answer."""
    kinds = {name: places for name, places in kinds.items() if places}
    means = ", ".join(
        f"{name} {sum(x for x, _ in at) / len(at):.2f} and {sum(y for _, y in at) / len(at):.2f}"
        for name, at in kinds.items()
    )
    alt = (
        f"Answers by their safety score and their helpfulness score, with a line at {threshold:g}. "
        f"On average, safety and helpfulness: {means}."
    )
    looks = zip(kinds.items(), "o^s", (palette.SKY, palette.GREEN, palette.WRONG))
    with figure(caption, alt=alt, width=7.2, height=4.0) as fig:
        axes, ends = fig.axes, []
        for (name, places), mark, colour in looks:
            axes.scatter(*zip(*places), marker=mark, s=20, color=colour, alpha=0.75)
            x, y = (sum(part) / len(places) for part in zip(*places))
            ends.append((1.03, y, name, colour))
        axes.axvspan(0, threshold, color=palette.WRONG, alpha=0.12, linewidth=0)
        axes.axvline(threshold, color=palette.WRONG, linewidth=1.4)
        axes.annotate(
            f"below {threshold:g}\nsafety decides", (threshold / 2, 1.06), ha="center",
            fontsize=8, color=palette.for_words(palette.WRONG), annotation_clip=False,
        )  # fmt: skip
        axes.set(xlim=(0, 1.02), ylim=(-0.03, 1.02), xlabel="safety, σ(score)")
        axes.set_ylabel("helpfulness, σ(score)")
        label_lines(axes, ends, gap=0.09)
    return fig


# -- what a score moves at ----------------------------------------------------------------------


def moves(changes: Mapping[str, torch.Tensor], truth: Mapping[str, float], caption: str) -> Figure:
    """For each change of an answer, by how much the score moved (N,), a dot an answer and a bar for
    the mean; `truth`: what the judge's worth did, on average."""
    told = "; ".join(
        f"{name}: score {change.mean():+.2f}, judge {truth[name]:+.2f}"
        for name, change in changes.items()
    )
    alt = f"How the score moved with each change, and the judge's worth on average. {told}."
    with figure(caption, alt=alt, width=8.0, height=0.52 * len(changes) + 1.3) as fig:
        axes, names = fig.axes, list(changes)
        for row, name in enumerate(names):
            change = changes[name].tolist()
            spread = [row + 0.24 * math.sin(12.9 * k) for k in range(len(change))]
            axes.plot(change, spread, "o", color=palette.REWARD, markersize=3, alpha=0.55)
            middle = sum(change) / len(change)
            axes.plot([middle] * 2, [row - 0.36, row + 0.36], color=palette.INK, linewidth=3)
        axes.axvline(0, color=palette.INK, linewidth=1)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("change of the score (← worse, better →)")
        right = axes.get_xlim()[1]
        for row, name in enumerate(names):
            axes.annotate(f"judge {truth[name]:+.2f}", (right, row), (6, 0), va="center",
                          textcoords="offset points", fontsize=9, annotation_clip=False,
                          color=palette.for_words(palette.JUDGE))  # fmt: skip
    return fig
