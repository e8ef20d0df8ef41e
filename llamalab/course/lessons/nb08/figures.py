"""Pictures for the lesson on generation: one distribution under every sampler, top-p as a cut
through sorted bars, a token's price with and without a cache, variety against probability, a law
that is counted out, and an explorer."""

from collections.abc import Callable, Mapping, Sequence

import torch

from llamalab.course.figures import Slider, claim, explorer, figure, label_lines, palette
from llamalab.course.figures.draw import spread
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html, tag
from llamalab.course.figures.live import Live
from llamalab.sampling import probabilities

MODEL, DRAWN = "#C4BFB1", palette.BLUE  # the model's own share, and what is drawn from
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def entropy(probs: torch.Tensor) -> float:
    """Of one distribution (V,), in bits: how many yes-or-no questions the next token is worth."""
    some = probs[probs > 0].double()
    return abs(float(-(some * some.log2()).sum()))


def _bars(axes, labels, best, before, after) -> None:
    """Horizontal bars of the tokens `best` and of all others together: the model's share wide and
    light, the share that is drawn from narrow and dark, and the name of a token that cannot come
    in grey."""
    rows = range(len(best) + 1)
    both = [torch.cat((p[best], (1 - p[best].sum()).clamp(min=0)[None])) for p in (before, after)]
    axes.barh(rows, both[0].tolist(), height=0.82, color=MODEL)
    axes.barh(rows, both[1].tolist(), height=0.4, color=DRAWN)
    names = [*(labels[i] for i in best.tolist()), "all others"]
    axes.set_yticks(rows, names)
    for name, share in zip(axes.get_yticklabels(), both[1].tolist()):
        name.set_color(palette.INK if share > 1e-6 else "#A9A59A")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def samplers(
    labels: Sequence[str], before: torch.Tensor, after: Mapping[str, torch.Tensor], top: int = 8
) -> Figure:
    """One panel a sampler: before (V,) the model's probabilities, after those drawn from."""
    best = before.argsort(descending=True)[:top]
    kept = {name: int((probs > 0).sum()) for name, probs in after.items()}
    caption = (
        "One distribution, and what each sampler makes of it. Wide and light: the model's own; "
        "narrow and dark: what is drawn from, again with the sum 1."
    )
    parts = [f"{name}: {n:,} can come, “{labels[int(after[name].argmax())]}” with "
             f"{after[name].max():.2f}" for name, n in kept.items()]  # fmt: skip
    alt = f"Bars of the {top} likeliest next tokens, under each sampler. {'; '.join(parts)}."
    size = dict(width=1.75 * len(after) + 1.2, height=3.3, columns=len(after))
    widest = 1.12 * max(float(p.max()) for p in (before, *after.values()))
    with figure(caption, alt=alt, **size) as fig:
        panels = [fig.axes] if len(after) == 1 else fig.axes
        for place, (axes, (name, probs)) in enumerate(zip(panels, after.items())):
            _bars(axes, labels, best, before, probs)
            axes.set_title(f"{name}\n{kept[name]:,} can come", fontsize=10)
            axes.set_xlim(0, widest)
            axes.set_xticks([0, round(widest / 2, 1)])
            if place:
                axes.set_yticklabels([])
        panels[0].set_xlabel("probability")
    return fig


def top_p_cut(
    labels: Sequence[str], places: Mapping[str, torch.Tensor], p: float, top: int = 12
) -> Figure:
    """Top-p as a cut through sorted bars: for each place, (V,) probabilities, the likeliest stand
    side by side, each on the sum of those in front of it; who begins above p goes."""
    told = []
    for name, probs in places.items():
        ordered = probs.sort(descending=True).values
        told.append((name, int((ordered.cumsum(0) - ordered <= p).sum())))
    caption = (
        f"Each bar stands on those in front of it. The cut lies at {p:g}: a bar that begins above "
        "it goes, and the one that it runs through stays."
    )
    alt = f"Sorted probabilities as steps of a stair, cut at {p:g}. " + "; ".join(
        f"{name}: {count} {'stays' if count == 1 else 'stay'}" for name, count in told
    )
    size = dict(width=4.3 * len(places), height=3.7, columns=len(places))
    with figure(caption, alt=alt + ".", **size) as fig:
        panels = [fig.axes] if len(places) == 1 else fig.axes
        for axes, (name, count), probs in zip(panels, told, places.values()):
            axes.set_title(f"{name}: {count} can come")
            _stair(axes, labels, probs, p, max(top, count + 1))
        panels[0].set_ylabel("probability, added up")
    return fig


def _stair(axes, labels: Sequence[str], probs: torch.Tensor, p: float, top: int) -> None:
    best = probs.sort(descending=True)
    shown = max(int((best.values[:top] >= 0.004).sum()), 1)
    steps = [(labels[token].strip("▁") or labels[token], share) for token, share in
             zip(best.indices[:shown].tolist(), best.values[:shown].tolist())]  # fmt: skip
    rest = len(probs) - shown
    if rest:
        steps.append((f"{rest:,} others", 1 - sum(share for _, share in steps)))
    before = 0.0
    for k, (name, share) in enumerate(steps):
        stays = before <= p and not (rest and k == shown)
        axes.bar(k, share, 0.86, bottom=before, color=DRAWN if stays else MODEL)
        axes.annotate(
            name.replace("$", r"\$"), (k, before), (0, -4), textcoords="offset points",
            rotation=90, ha="center", va="top", fontsize=8,
            color=palette.INK if stays else palette.FAINT,
        )  # fmt: skip
        if stays and before + share > p:
            left = k > top / 2
            claim(axes, "crosses p, and stays", at=(k + (-0.43 if left else 0.43),
                  before + share / 2), to=(k - 0.36 * top if left else k + 0.42 * top,
                  0.97 if left else 0.55), colour=DRAWN)  # fmt: skip
        before += share
    axes.axhline(p, color=palette.WRONG, linewidth=1.6)
    axes.set(xlim=(-0.7, top + 0.7), ylim=(-0.36, 1.1), yticks=(0, 0.25, 0.5, 0.75, 1))
    axes.set_xticks([])
    axes.grid(axis="x", visible=False)
    label_lines(axes, [(axes.get_xlim()[1], p, f"p = {p:g}", palette.WRONG)])


def price_of_a_token(lengths: Sequence[int], costs: Mapping[str, Sequence[float]]) -> Figure:
    """Milliseconds for one more token behind so many, measured: name -> one for each length."""
    caption = (
        "The longer the text, the dearer its next token, if all is read again. With a cache the "
        "price hardly changes. (On this scale it is as far from 1 to 2 as from 10 to 20.)"
    )
    words = [f"{name}: from {ms[0]:.1f} to {ms[-1]:.1f}" for name, ms in costs.items()]
    alt = (
        f"Milliseconds for one token, on a logarithmic scale, behind {lengths[0]} to "
        f"{lengths[-1]} tokens, measured. {'; '.join(words)}."
    )
    colours = (palette.FAINT, palette.CACHE, palette.BLUE)
    with figure(caption, alt=alt, width=7.0, height=3.3) as fig:
        axes, ends = fig.axes, []
        for i, (name, ms) in enumerate(costs.items()):
            colour = colours[i % 3]
            axes.plot(lengths, ms, "--" if i == 0 else "-", marker=MARKS[i], color=colour)
            ends.append((lengths[-1], ms[-1], name, palette.INK if i == 1 else colour))
        axes.set_yscale("log", subs=[])
        axes.yaxis.get_major_locator().set_params(subs=(1, 2, 5))  # ten alone would be one tick
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.set(xlabel="tokens before it", ylabel="time for one token (ms)")
        first, second, *_ = costs.values()
        last = (first[-1] * second[-1]) ** 0.5
        axes.annotate("", (lengths[-1], 1.08 * second[-1]), xytext=(lengths[-1], first[-1] / 1.08),
                      arrowprops={"arrowstyle": "<|-|>", "color": palette.INK})  # fmt: skip
        axes.annotate(f"{first[-1] / second[-1]:.0f} times", (lengths[-1], last), (-6, 0),
                      textcoords="offset points", ha="right", va="center", fontsize=9)  # fmt: skip
        label_lines(axes, ends, gap=0.09)
    return fig


def dullness(runs: Mapping[str, tuple[float, float]], truth: str = "") -> Figure:
    """How each way of choosing does: name -> (mean log-probability of a token, share of
    distinct four-word phrases). `truth` is the name of what the model was to learn."""
    caption = (
        "The likeliest texts repeat each other. A little chance costs hardly any likelihood and "
        "buys the variety back."
    )
    words = [f"{name} {x:.2f} and {y:.0%}" for name, (x, y) in runs.items()]
    alt = (
        "Share of distinct phrases against the mean log-probability of a token, one mark for each "
        f"way of choosing: {', '.join(words)}."
    )
    with figure(caption, alt=alt, width=7.0, height=3.8) as fig:
        axes = fig.axes
        for i, (name, (x, y)) in enumerate(runs.items()):
            colour = palette.RIGHT if name == truth else DRAWN
            size = 15 if name == truth else 8
            axes.plot(
                [x], [y], "*" if name == truth else MARKS[i % 7], color=colour, markersize=size
            )
        axes.set_xlabel("mean log-probability of a token, by the model (nats)   likelier →")
        axes.set_ylabel("distinct phrases")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
        axes.margins(0.08, 0.12)
        _names_beside(axes, runs, truth)
    return fig


def _names_beside(axes, runs: Mapping[str, tuple[float, float]], truth: str) -> None:
    """The marks' names in a column right of the axes, each with a thin line to its mark."""
    axes.figure.draw_without_rendering()
    to_share = axes.transData + axes.transAxes.inverted()
    at = sorted((to_share.transform(place)[1], name) for name, place in runs.items())
    heights = spread([height for height, _ in at], 0.085)
    for (_, name), height in zip(at, heights):
        axes.annotate(
            name, runs[name], xytext=(1.04, height), textcoords="axes fraction", va="center",
            fontsize=9, color=palette.RIGHT if name == truth else palette.INK,
            arrowprops={"arrowstyle": "-", "color": "#A9A59A", "linewidth": 0.7, "shrinkB": 5},
        )  # fmt: skip


def counted(
    labels: Sequence[str], law: Sequence[float], counts: Mapping[str, Sequence[float]]
) -> Figure:
    """A panel a rule: the shares that it gave, before the law that they should follow."""
    caption = (
        "Black lines: the law that should come out. Only the rule whose bars reach them is it."
    )
    off = {
        name: sum(abs(a - b) for a, b in zip(shares, law)) / 2 for name, shares in counts.items()
    }
    alt = (
        f"Bars for {len(labels)} tokens, one for each rule, and a black line for the law. Share of "
        f"draws that fell wrong: {', '.join(f'{name} {value:.1%}' for name, value in off.items())}."
    )
    size = dict(width=2.5 * len(counts) + 0.6, height=3.2, columns=len(counts))
    highest = 1.2 * max(max(shares) for shares in (law, *counts.values()))
    with figure(caption, alt=alt, **size) as fig:
        panels = [fig.axes] if len(counts) == 1 else fig.axes
        for place, (axes, (name, shares)) in enumerate(zip(panels, counts.items())):
            right = off[name] < 0.005
            axes.bar(range(len(labels)), shares, 0.74, hatch="" if right else "//",
                     color=palette.RIGHT if right else palette.WRONG, alpha=0.8)  # fmt: skip
            axes.hlines(
                law,
                [k - 0.46 for k in range(len(labels))],
                [k + 0.46 for k in range(len(labels))],
                color=palette.INK,
                linewidth=2.4,
            )
            for k, (share, meant) in enumerate(zip(shares, law)):
                axes.annotate(f"{share:.2f}", (k, max(share, meant)), (0, 4), fontsize=9,
                              textcoords="offset points", ha="center")  # fmt: skip
            what = "the model's law" if right else f"{off[name]:.0%} fall wrong"
            axes.set_title(f"{name}\n{what}", loc="left")
            axes.set_xticks(range(len(labels)), labels)
            axes.set_ylim(0, highest)
            axes.grid(axis="x", visible=False)
            if place:
                axes.set_yticklabels([])
        panels[0].set_ylabel("share of the draws")
    return fig


def _options(temperature: float, top_k: int, top_p: float) -> dict:
    """Slider values to options: top-k 0 and top-p 1 are off."""
    return {
        "temperature": round(temperature, 2),
        "top_k": top_k or None,
        "top_p": round(top_p, 2) if top_p < 1 else None,
    }


def sampler_words(logits: torch.Tensor, temperature: float, top_k: int, top_p: float) -> str:
    """What the explorer says about one setting; logits (V,)."""
    probs = probabilities(logits, **_options(temperature, top_k, top_p))
    kept = int((probs > 0).sum())
    return (
        f"temperature {temperature:.1f}, top-k {top_k or 'off'}, "
        f"top-p {'off' if top_p >= 1 else f'{top_p:.2f}'}: {kept:,} of {len(probs):,} tokens can "
        f"come, entropy {entropy(probs):.1f} bits"
    )


def sampler_figure(
    logits: torch.Tensor, labels: Sequence[str], temperature: float, top_k: int, top_p: float
) -> Figure:
    """The model's distribution and what is drawn from, under one setting."""
    words = sampler_words(logits, temperature, top_k, top_p)
    before = probabilities(logits)
    after = probabilities(logits, **_options(temperature, top_k, top_p))
    best = before.argsort(descending=True)[:14]
    caption = "Top-p keeps few tokens where the model is sure and many where it is not."
    alt = f"Bars of the 14 likeliest next tokens, the model's share and the one drawn from. {words}"
    with figure(caption, alt=alt, width=7.0, height=4.0) as fig:
        axes = fig.axes
        _bars(axes, labels, best, before, after)
        axes.set_xlabel("probability")
        light, dark = ([bar.get_width() for bar in part] for part in axes.containers)
        axes.set_xlim(0, 1.3 * max(*light, *dark))
        at = max(range(1, len(light)), key=lambda row: light[row] - dark[row])
        for row, end, name, colour in (
            (0, max(light[0], dark[0]), "drawn from", DRAWN),
            (at, max(light[at], dark[at]), "the model's own", palette.FAINT),
        ):
            axes.annotate(name, (end, row), (6, 0), textcoords="offset points", fontsize=9,
                          va="center", color=colour)  # fmt: skip
    return fig


def sampler_explorer(
    logits: torch.Tensor,
    labels: Sequence[str],
    write: Callable[..., str],
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
) -> Live:
    """Turn the three knobs on one place of a text. logits (V,), a label for each token;
    write(temperature=…, top_k=…, top_p=…) -> a continuation. The widget has `.temperature`,
    `.top_k`, `.top_p`, `.words`, `.picture` and `.more`, which holds the text. ValueError if
    logits and labels do not fit."""
    if logits.ndim != 1 or len(labels) != len(logits):
        raise ValueError(f"logits must be (V,) with V labels: {tuple(logits.shape)}, {len(labels)}")
    logits = logits.detach()

    def continued(**setting) -> Html:
        return tag("p", write(**_options(**setting)), style="max-width:46em")

    return explorer(
        [
            Slider("temperature", temperature, 0.0, 3.0, 0.1, live=False),
            Slider("top_k", top_k, 0, 40, label="top-k (0 off)", live=False),
            Slider("top_p", top_p, 0.05, 1.0, 0.05, label="top-p (1 off)", live=False),
        ],
        picture=lambda **setting: sampler_figure(logits, labels, **setting),
        words=lambda **setting: sampler_words(logits, **setting),
        more=continued,
    )
