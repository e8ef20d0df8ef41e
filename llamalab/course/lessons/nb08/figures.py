"""Pictures for the lesson on generation: one distribution under every sampler, a token's price with
and without a cache, variety against probability, a law that is counted out, and an explorer."""

from collections.abc import Callable, Mapping, Sequence

import torch

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.html import plain
from llamalab.course.figures.live import Live
from llamalab.sampling import probabilities

MODEL, DRAWN = "#BBBBBB", COLOURS[0]  # the model's own share, and what is drawn from
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")


def entropy(probs: torch.Tensor) -> float:
    """Of one distribution (V,), in bits: how many yes-or-no questions the next token is worth."""
    some = probs[probs > 0].double()
    return abs(float(-(some * some.log2()).sum()))


def _bars(axes, labels, best, before, after) -> None:
    """Horizontal bars of the tokens `best` and of all others together: the model's share in grey,
    the share that is drawn from in blue, and the name of a token that cannot come in grey too."""
    rows = range(len(best) + 1)
    both = [torch.cat((p[best], (1 - p[best].sum()).clamp(min=0)[None])) for p in (before, after)]
    axes.barh(rows, both[0].tolist(), height=0.8, color=MODEL, label="the model says")
    axes.barh(rows, both[1].tolist(), height=0.42, color=DRAWN, label="drawn from")
    names = [*(labels[i] for i in best.tolist()), "all others"]
    axes.set_yticks(rows, names)
    for name, share in zip(axes.get_yticklabels(), both[1].tolist()):
        name.set_color("black" if share > 0 else "#999999")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)


def samplers(
    labels: Sequence[str], before: torch.Tensor, after: Mapping[str, torch.Tensor], top: int = 10
) -> Figure:
    """One panel a sampler: before (V,) the model's probabilities, after those drawn from."""
    best = before.argsort(descending=True)[:top]
    kept = {name: int((probs > 0).sum()) for name, probs in after.items()}
    caption = (
        "One distribution, and what each sampler makes of it. Grey: the model's own; blue: what "
        "is drawn from, again with the sum 1."
    )
    parts = [f"{name}: {n:,} can come, “{labels[int(after[name].argmax())]}” with "
             f"{after[name].max():.2f}" for name, n in kept.items()]  # fmt: skip
    alt = f"Bars of the {top} likeliest next tokens, under each sampler. {'; '.join(parts)}."
    size = dict(width=2.0 * len(after) + 1.2, height=3.2, columns=len(after))
    with figure(caption, alt=alt, **size) as fig:
        for place, (axes, (name, probs)) in enumerate(zip(fig.axes, after.items())):
            _bars(axes, labels, best, before, probs)
            axes.set_title(f"{name}\n{kept[name]:,} can come", fontsize=10)
            axes.set_xlim(0, 1.08 * max(float(p.max()) for p in (before, *after.values())))
            if place:
                axes.set_yticklabels([])
        fig.axes[0].set_xlabel("probability")
    return fig


def price_of_a_token(lengths: Sequence[int], costs: Mapping[str, Sequence[float]]) -> Figure:
    """Milliseconds for one more token behind so many, measured: name -> one for each length."""
    caption = (
        "The longer the text, the dearer its next token, if all is read again. With a cache the "
        "price hardly changes. (A step up is ten times as much.)"
    )
    words = [f"{name}: from {ms[0]:.1f} to {ms[-1]:.1f}" for name, ms in costs.items()]
    alt = (
        f"Milliseconds for one token, on a logarithmic scale, behind {lengths[0]} to "
        f"{lengths[-1]} tokens, measured. {'; '.join(words)}."
    )
    with figure(caption, alt=alt, height=3.0) as fig:
        axes = fig.axes
        for i, (name, ms) in enumerate(costs.items()):
            colour = COLOURS[(1, 0, 2)[i % 3]]
            axes.plot(lengths, ms, "--" if i == 0 else "-", marker=MARKS[i], color=colour,
                      label=name)  # fmt: skip
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")
        axes.set_xlabel("tokens before it")
        axes.set_ylabel("milliseconds for one token")
        axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def dullness(runs: Mapping[str, tuple[float, float]]) -> Figure:
    """How each way of choosing does: name -> (mean log-probability of a token, share of
    distinct four-word phrases)."""
    caption = (
        "The likeliest texts repeat each other. A little chance costs hardly any likelihood and "
        "buys the variety back."
    )
    words = [f"{name} {x:.2f} and {y:.0%}" for name, (x, y) in runs.items()]
    alt = (
        "Share of distinct phrases against the mean log-probability of a token, one mark for each "
        f"way of choosing: {', '.join(words)}."
    )
    with figure(caption, alt=alt, height=3.2) as fig:
        for i, (name, (x, y)) in enumerate(runs.items()):
            fig.axes.plot([x], [y], MARKS[i % 8], color=COLOURS[i % 7], markersize=9, label=name)
        fig.axes.set_xlabel("mean log-probability of a token, by the model (nats)")
        fig.axes.set_ylabel("distinct phrases")
        fig.axes.yaxis.set_major_formatter(lambda value, place: f"{value:.0%}")
        fig.axes.legend(fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return fig


def counted(
    labels: Sequence[str], law: Sequence[float], counts: Mapping[str, Sequence[float]]
) -> Figure:
    """The shares that each rule gave, beside the law that they should follow."""
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
    width = 0.8 / len(counts)
    with figure(caption, alt=alt, height=3.0) as fig:
        for i, (name, shares) in enumerate(counts.items()):
            at = [k - 0.4 + (i + 0.5) * width for k in range(len(labels))]
            hatch = ("", "//", "..", "xx")[i % 4]
            fig.axes.bar(at, shares, width, color=COLOURS[i], hatch=hatch, label=name, alpha=0.85)
        ends = [(k - 0.42, k + 0.42) for k in range(len(labels))]
        fig.axes.hlines(law, *zip(*ends), color="black", linewidth=2, label="the model's law")
        fig.axes.set_xticks(range(len(labels)), labels)
        fig.axes.set_xlabel("token")
        fig.axes.set_ylabel("share of the draws")
        fig.axes.legend(fontsize=9)
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
    with figure(caption, alt=alt, height=3.8) as fig:
        _bars(fig.axes, labels, best, before, after)
        fig.axes.set_xlabel("probability")
        fig.axes.legend(fontsize=9, loc="lower right")
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
    `.top_k`, `.top_p`, `.words`, `.picture` and `.text`."""
    if logits.ndim != 1 or len(labels) != len(logits):
        raise ValueError(f"logits must be (V,) with V labels: {tuple(logits.shape)}, {len(labels)}")
    logits = logits.detach()

    def continued(*setting) -> str:
        from html import escape

        return f"<p style='max-width:46em'>{escape(write(**_options(*setting)))}</p>"

    def make():
        import ipywidgets

        wide = dict(layout=ipywidgets.Layout(width="26em"), continuous_update=False)
        sliders = [
            ipywidgets.FloatSlider(
                temperature, min=0, max=2, step=0.1, description="temperature", **wide
            ),
            ipywidgets.IntSlider(top_k, min=0, max=40, description="top-k (0 off)", **wide),
            ipywidgets.FloatSlider(
                top_p, min=0.05, max=1, step=0.05, description="top-p (1 off)", **wide
            ),
        ]
        words, picture, text = ipywidgets.Label(), ipywidgets.HTML(), ipywidgets.HTML()

        def draw(change=None) -> None:
            at = [slider.value for slider in sliders]
            words.value = sampler_words(logits, *at)
            picture.value = sampler_figure(logits, labels, *at)._repr_html_()
            text.value = continued(*at)

        for slider in sliders:
            slider.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([*sliders, words, picture, text])
        box.temperature, box.top_k, box.top_p = sliders
        box.words, box.picture, box.text = words, picture, text
        return box

    at = (temperature, top_k, top_p)
    words, still = sampler_words(logits, *at), sampler_figure(logits, labels, *at)
    text = continued(*at)
    return Live(f"<p>{words}</p>{still._repr_html_()}{text}", f"{words}\n{plain(text)}", make)
