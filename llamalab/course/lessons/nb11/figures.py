"""Pictures for the lesson on RLHF: three estimators of one KL, what each token of an answer is
paid, GAE with its knob, the clip, and two curves that grow while a policy learns. Those of the
measured runs are in measured.py."""

from collections.abc import Sequence

import torch

from llamalab.alignment import gae, k1, k2, k3
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
from llamalab.course.figures.monitor import short as short  # the notebook shows answers with it

WIDTH, HEIGHT = 270, 130  # of one growing curve, in its own units


# -- by hand --------------------------------------------------------------------------------


def estimators() -> Figure:
    """k1, k2 and k3 of one token, against how much likelier the new policy finds it."""
    gap = torch.linspace(-1.6, 1.6, 161)  # ln new - ln ref
    nothing = torch.zeros_like(gap)
    curves = {
        "k1": (k1(gap, nothing), palette.VERMILLION, "--"),
        "k2": (k2(gap, nothing), palette.FAINT, ":"),
        "k3": (k3(gap, nothing), palette.POLICY, "-"),
    }
    caption = "All three are 0 where nothing has moved. k1 alone falls below 0, token by token."
    alt = "Three curves against ln new less ln ref, from -1.6 to 1.6: " + "; ".join(
        f"{name} from {y[0]:.2f} to {y[-1]:.2f}" for name, (y, _, _) in curves.items()
    )
    with figure(caption, alt=alt + ".", width=6.6, height=3.3) as fig:
        axes = fig.axes
        axes.axhline(0, color=palette.INK, linewidth=0.8)
        for y, colour, style in curves.values():
            axes.plot(gap, y, color=colour, linestyle=style)
        axes.set(xlabel="ln new − ln ref of the token (nats)", ylabel="its estimate (nats)")
        claim(axes, "it gives back where the policy\nlikes a token less", at=(-1.0, -1.0),
              to=(0.35, -1.15), colour=palette.VERMILLION)  # fmt: skip
        ends = [(1.6, float(y[-1]), name, colour) for name, (y, colour, _) in curves.items()]
        label_lines(axes, ends)
    return fig


def paid(pieces: Sequence[str], prices: Sequence[float], score: float) -> Figure:
    """An answer's tokens, the KL's price under each, and the score on the last one alone."""
    caption = "The score comes once, on the token that ends the answer. The KL is paid for by each."
    told = ", ".join(f"{piece} {price:+.2f}" for piece, price in zip(pieces, prices))
    alt = f"Tokens in a row with what each is paid for its KL: {told}. An arrow brings the score, "
    alt += f"{score:+.1f}, to {pieces[-1]} and to no other."
    with figure(caption, alt=alt, width=7.0, height=2.5) as fig:
        axes, step = fig.axes, 2.0
        blank(axes, step * len(pieces) + 0.6, 4.2)
        for i, (piece, price) in enumerate(zip(pieces, prices)):
            x = step * (i + 0.6)
            box(axes, x, 2.2, piece, palette.POLICY, mono=True)
            arrow(axes, (x, 1.0), (x, 1.8), palette.REFERENCE, width=1.0)
            note(axes, x, 0.65, f"{price:+.2f}", colour=palette.INK)
        last = step * (len(pieces) - 0.4)
        arrow(axes, (last, 3.5), (last, 2.65), palette.REWARD, width=2.2)
        note(axes, last, 3.8, f"score {score:+.1f}", colour=palette.for_words(palette.REWARD))
        note(axes, 0.4, 0.1, "−β (ln new − ln ref), on every token", ha="left")
    return fig


def advantages_figure(rewards: Sequence[float], values: Sequence[float], lam: float) -> Figure:
    """Values and what came, token by token; and the advantages at one lam, gamma 1."""
    found, _ = gae(torch.tensor([rewards]), torch.tensor([values]), 1.0, lam)
    bars = found[0].tolist()
    caption = (
        "With lam 0 a token is praised for the next value alone; with lam 1 for all that came. In "
        "between, praise fades on its way back."
    )
    alt = f"Left: values {', '.join(f'{v:g}' for v in values)} and a last reward of {rewards[-1]:g}"
    alt += f". Right: advantages at lam {lam:g}: {', '.join(f'{a:.2f}' for a in bars)}."
    places = list(range(1, len(values) + 1))
    with figure(caption, alt=alt, width=7.4, height=3.0, columns=2) as fig:
        left, right = fig.axes
        left.plot(places, values, "o-", color=palette.POLICY)
        left.plot([places[-1] + 1], [rewards[-1]], "*", color=palette.REWARD, markersize=14)
        left.plot([places[-1], places[-1] + 1], [values[-1], rewards[-1]], ":", color=palette.FAINT)
        left.set(xlabel="token", ylabel="expected score", xticks=[*places, places[-1] + 1])
        left.set_xticklabels([*map(str, places), "the end"])
        left.set_title("what was expected, and what came")
        right.bar(places, bars, 0.6, color=palette.POLICY)
        right.axhline(0, color=palette.INK, linewidth=0.8)
        for place, height in zip(places, bars):
            right.annotate(f"{height:.2f}", (place, height), (0, 4), textcoords="offset points",
                           ha="center", fontsize=9)  # fmt: skip
        low = min(0.0, *bars)
        right.set(xlabel="token", ylabel="advantage", xticks=places,
                  ylim=(1.3 * low, 1.3 * max(0.1, *bars)))  # fmt: skip
        right.set_title(f"advantages, lam = {lam:g}")
    return fig


def advantages_words(rewards: Sequence[float], values: Sequence[float], lam: float) -> str:
    """What the explorer says at one lam."""
    found, _ = gae(torch.tensor([rewards]), torch.tensor([values]), 1.0, lam)
    first = found[0, 0].item()
    of = "its own surprise" if lam == 0 else "all that came" if lam == 1 else "both"
    return f"lam {lam:g}: the first token's advantage is {first:.2f}, made of {of}."


def advantages_explorer(
    rewards: Sequence[float], values: Sequence[float], lam: float = 0.5
) -> Live:
    """Turn lam, and see how far praise goes back. The widget has `.lam`."""
    return explorer(
        [Slider("lam", lam, 0.0, 1.0, 0.05, live=False)],
        picture=lambda lam: advantages_figure(rewards, values, round(lam, 2)),
        words=lambda lam: advantages_words(rewards, values, round(lam, 2)),
    )


def clip_panels(clip: float = 0.2) -> Figure:
    """What a token gains, against its ratio: for a good one and for a bad one."""
    rho = torch.linspace(0.4, 1.8, 141)
    caption = (
        "The gain is flat where the ratio has gone far enough in the right direction, and only "
        "there. What went the wrong way is always pulled back."
    )
    alt = (
        f"Two panels, gain against ratio. Advantage 1: rises to {1 + clip:g} at a ratio of "
        f"{1 + clip:g}, then flat. Advantage -1: flat at {clip - 1:g} up to a ratio of "
        f"{1 - clip:g}, then falls without end."
    )
    with figure(caption, alt=alt, width=7.6, height=3.1, columns=2) as fig:
        for axes, advantage in zip(fig.axes, (1.0, -1.0)):
            free, held = rho * advantage, rho.clamp(1 - clip, 1 + clip) * advantage
            gain = torch.minimum(free, held)
            axes.plot(rho, free, ":", color=palette.FAINT, linewidth=1.4)
            axes.plot(rho, gain, color=palette.POLICY)
            axes.axvline(1, color=palette.GRID, linewidth=1)
            edge = 1 + clip if advantage > 0 else 1 - clip
            axes.plot([edge], [edge * advantage], "o", color=palette.POLICY)
            axes.plot([1], [advantage], "s", color=palette.REFERENCE, markersize=5)
            axes.set_xlabel("ratio: probability now / when drawn")
            axes.set_title(f"advantage {advantage:+g}: should become "
                           f"{'likelier' if advantage > 0 else 'rarer'}")  # fmt: skip
            far = 1.55 if advantage > 0 else 0.55
            height = float(torch.tensor(far).clamp(1 - clip, 1 + clip)) * advantage
            claim(axes, "far enough:\nno gradient", at=(far, height),
                  to=(far, height - 0.42), colour=palette.POLICY)  # fmt: skip
        fig.axes[0].set_ylabel("gain of the token")
    return fig


# -- curves that grow -----------------------------------------------------------------------


class Monitor(monitor.Monitor):
    """Score and KL, and a sample, while a policy learns: `add(record, sample)` an iteration."""

    def __init__(self, iterations: int):
        self.records: list = []
        says = "A bar, the score, the KL and a sample grow here while the next cell runs."
        super().__init__(says, iterations, bar="iteration", unit="iteration")

    def add(self, record, sample: str) -> None:
        """One more iteration, and what the policy then answers to one prompt."""
        self.records.append(record)
        self.step = len(self.records)
        self.sample(record.iteration, sample)

    def curve(self) -> Html:
        scores = [(r.iteration, r.score) for r in self.records]
        kls = [(r.iteration, r.kl) for r in self.records]
        return tag(
            "div", growing("score", scores, self.steps, palette.REWARD),
            growing("KL, nats an answer", kls, self.steps, palette.POLICY),
            style=f"max-width:46em;background:{palette.PAPER};border-radius:6px;display:flex",
        )  # fmt: skip


def growing(name: str, points: Sequence[tuple[int, float]], last: int, colour: str) -> Html:
    """One curve so far, as a small SVG with its newest number."""
    values = [value for _, value in points] or [0.0]
    low, high = min(0.0, *values), max(1e-6, *values)

    def place(step: float, value: float) -> str:
        x = 10 + (WIDTH - 20) * (step - 1) / max(1, last - 1)
        return f"{x:.1f},{20 + (HEIGHT - 30) * (high - value) / (high - low):.1f}"

    now = f"{name}: {points[-1][1]:.2f}" if points else name
    dots = [place(*point) for point in points]
    return tag(
        "svg",
        tag("text", now, x=10, y=14, font_size=12, fill=palette.INK),
        tag("polyline", points=" ".join(dots), fill="none", stroke=colour, stroke_width=2),
        *(tag("circle", cx=d.split(",")[0], cy=d.split(",")[1], r=3, fill=colour) for d in dots),
        viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=now, style="flex:1",
    )  # fmt: skip


def live_curves(records: Sequence) -> Figure:
    """Score and KL of the run that has just been made."""
    first, last = records[0], records[-1]
    steps = [r.iteration for r in records]
    caption = "The first steps, once: each iteration's answers are new, and so the score is noisy."
    alt = f"Score by iteration, from {first.score:.2f} to {last.score:.2f}; KL from {first.kl:.2f} "
    alt += f"to {last.kl:.2f} nats an answer."
    with figure(caption, alt=alt, width=7.4, height=2.8, columns=2) as fig:
        series = (
            ([r.score for r in records], "score (deviations)", palette.REWARD),
            ([r.kl for r in records], "KL (nats an answer)", palette.POLICY),
        )
        for axes, (values, name, colour) in zip(fig.axes, series):
            axes.plot(steps, values, "o-", color=colour)
            axes.set(xlabel="iteration", ylabel=name, xticks=steps)
    return fig


def best_of(ns: Sequence[int], scores: Sequence[float], judged: Sequence[float]) -> Figure:
    """Score and judge of the best of n, against n."""
    caption = "Choosing by the learned score lifts the score for certain; the judge is asked after."
    shown = [(round(s, 2) + 0.0, j) for s, j in zip(scores, judged)]  # the mean may be -1e-9
    told = ", ".join(f"{n}: {s:.2f} and {j:.2f}" for n, (s, j) in zip(ns, shown))
    with figure(caption, alt=f"Score and judge of the best of n. {told}.", width=7.4, height=2.8,
                columns=2) as fig:  # fmt: skip
        for axes, values, name, colour in (
            (fig.axes[0], scores, "score (deviations)", palette.REWARD),
            (fig.axes[1], judged, "judge (0 to 1)", palette.JUDGE),
        ):
            axes.plot(ns, values, "o-", color=colour, clip_on=False)  # a dot at 1, whole
            axes.set_xscale("log", base=2)
            axes.set_xticks(ns, [str(n) for n in ns])
            axes.set(xlabel="N, answers drawn", ylabel=name)
        fig.axes[1].set_ylim(min(0.5, *judged), 1)  # so that a hundredth looks like one
    return fig
