"""Pictures for the lesson on attention: saturation, shared key heads, the price of a token with
and without a cache, what fits on a card, and maps of who looks at whom."""

from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)))
MARKS = ("o", "s", "^", "D", "v")


def saturation(dims: Sequence[int], plain: Sequence[float], scaled: Sequence[float]) -> Figure:
    """The largest weight of a softmax over random keys, for each D, without and with the root."""
    caption = (
        "Without the division, wider heads pick a single key before they have learned anything. "
        "With it, the width makes no difference."
    )
    alt = (
        f"Largest weight against the numbers in a head. Without scaling it climbs from "
        f"{plain[0]:.2f} at D = {dims[0]} to {plain[-1]:.2f} at D = {dims[-1]}. Divided by the "
        f"root of D it is never more than {max(scaled):.2f}."
    )
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        axes.plot(dims, plain, "--s", color=COLOURS[1], label="scores as they are")
        axes.plot(dims, scaled, "-o", color=COLOURS[0], label="divided by √D")
        axes.set_xscale("log", base=2)
        axes.set_xticks(dims, [str(d) for d in dims])
        axes.set(ylim=(0, 1), xlabel="D, numbers in a head", ylabel="largest weight (mean)")
        axes.legend(fontsize=9)
    return fig


def head_groups(n_heads: int, kv_heads: Sequence[int]) -> Figure:
    """Which query head uses which key head, one panel for each number of key heads."""
    names = {n_heads: "multi-head", 1: "multi-query"}
    caption = (
        f"{n_heads} query heads above, the key heads that they share below. Neighbours share: "
        f"the first {n_heads // kv_heads[1]} use key head 0."
    )
    parts = [f"{n} key heads, {n_heads // n} query heads on each" for n in kv_heads]
    alt = f"{len(kv_heads)} drawings: {'; '.join(parts)}. Lines join neighbouring query heads."
    with figure(caption, alt=alt, width=8.4, height=2.3, columns=len(kv_heads)) as fig:
        for axes, n_kv in zip(fig.axes, kv_heads):
            group = n_heads // n_kv
            for h in range(n_heads):
                colour = COLOURS[(h // group) % len(COLOURS)]
                below = (h // group + 0.5) * group - 0.5  # the middle of its group
                axes.plot([h, below], [1, 0], color=colour, linewidth=1.5, zorder=1)
                axes.plot([h], [1], "o", color=colour, markersize=13)
                axes.text(h, 1.23, str(h), ha="center", fontsize=9)
                if h % group == 0:
                    axes.plot([below], [0], "s", color=colour, markersize=13)
                    axes.text(below, -0.36, str(h // group), ha="center", fontsize=9)
            axes.set_title(f"{names.get(n_kv, 'grouped-query')}, {n_kv} KV", fontsize=10)
            axes.set(xlim=(-0.8, n_heads - 0.2), ylim=(-0.5, 1.5))
            axes.axis("off")
        fig.axes[0].text(-0.9, 1, "query", ha="right", va="center", fontsize=9)
        fig.axes[0].text(-0.9, 0, "key", ha="right", va="center", fontsize=9)
    return fig


def cost_of_writing(
    tokens: Sequence[int], without: Sequence[float], with_cache: Sequence[float]
) -> Figure:
    """Seconds to write so many tokens, measured, without and with a cache."""
    caption = (
        "Without a cache twice the text costs more than twice the time; with one the line is "
        "nearly straight."
    )
    alt = (
        f"Seconds against tokens written, measured. Without a cache the curve bends upwards to "
        f"{without[-1]:.1f} s at {tokens[-1]} tokens. With a cache it is almost a straight line "
        f"to {with_cache[-1]:.1f} s."
    )
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        axes.plot(tokens, without, "--", color=COLOURS[1], linewidth=2, label="without a cache")
        axes.plot(tokens, with_cache, "-", color=COLOURS[0], linewidth=2, label="with a cache")
        axes.set(xlim=(0, tokens[-1]), xlabel="tokens written", ylabel="seconds, all in all")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=9)
    return fig


def room_on_a_card(lines: Mapping[str, tuple[float, int]], *, card: float) -> Figure:
    """How many texts of which length fit beside the weights. For each model: (bytes of its
    weights, bytes of cache a token); card: bytes in all."""
    lengths = [2**k for k in range(8, 13)]
    caption = (
        "Texts that fit on the card beside the weights. Eight times fewer key heads are eight "
        "times more texts; wider models need not have fewer."
    )
    words = []
    with figure(caption, alt="drawn below", height=4.0) as fig:
        axes = fig.axes
        for i, (name, (weights, per_token)) in enumerate(lines.items()):
            texts = [max(0.0, card - weights) / per_token / n for n in lengths]
            words.append(f"{name} {int(texts[-1]):,}")
            thick = max(1.5, 6.0 - 1.5 * i)  # lines that coincide are seen through each other
            axes.plot(lengths, texts, linestyle=STYLES[i % 5], marker=MARKS[i % 5],
                      markersize=thick + 4, linewidth=thick, label=name)  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=10)
        axes.minorticks_off()
        axes.set_xticks(lengths, [f"{n:,}" for n in lengths])
        axes.set_yticks([1, 10, 100, 1000, 10000], ["1", "10", "100", "1,000", "10,000"])
        axes.set(ylim=(1, 10000), xlabel="tokens in each text")
        axes.set_ylabel("texts at once")
        axes.legend(fontsize=9, ncols=2, loc="upper right")
    fig.alt = (
        f"Texts at once against tokens in each, both logarithmic; every line falls. At "
        f"{lengths[-1]:,} tokens: {', '.join(words)}."
    )
    return fig


def attention_words(
    weights: torch.Tensor, labels: Sequence[str], layer: int, head: int, token: int
) -> str:
    """What one head of weights (L, H, T, S) does for one token; all three counted from 1."""
    row = weights[layer - 1, head - 1, token - 1]
    best = int(row.argmax())
    return (
        f"layer {layer}, head {head}: “{labels[token - 1]}” looks most at “{labels[best]}” "
        f"({row[best]:.2f})"
    )


def attention_figure(
    weights: torch.Tensor, labels: Sequence[str], layer: int, head: int, token: int
) -> Figure:
    """One head's weights as a map: a row for each query, a column for each key."""
    words = attention_words(weights, labels, layer, head, token)
    caption = f"Each row shares out 1 over the tokens up to itself. {words[0].upper()}{words[1:]}."
    alt = f"A map of {len(labels)} queries by {len(labels)} keys, empty above the diagonal. {words}"
    with figure(caption, alt=alt, width=6.0, height=4.8) as fig:
        axes = fig.axes
        shown = axes.imshow(weights[layer - 1, head - 1].tolist(), cmap="Blues", vmin=0, vmax=1)
        axes.grid(False)
        axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=9)
        axes.set_yticks(range(len(labels)), labels, fontsize=9)
        axes.set(xlabel="is looked at (key)", ylabel="looks (query)")
        ends = dict(xmin=-0.5, xmax=len(labels) - 0.5, color=COLOURS[1], linewidth=1.5)
        axes.hlines([token - 1.5, token - 0.5], **ends)
        fig.canvas.colorbar(shown, ax=axes, label="weight", shrink=0.8)
    return fig


def attention_explorer(
    weights: torch.Tensor, labels: Sequence[str], layer: int = 1, head: int = 1, token: int = 1
) -> Live:
    """Choose layer, head and token, and see where the head looks. weights (L, H, T, S). The
    widget has `.layer`, `.head`, `.token`, `.words` and `.picture`."""
    if weights.ndim != 4 or len(labels) != weights.shape[2] or len(labels) != weights.shape[3]:
        raise ValueError(
            f"weights must be (L, H, T, T) with a label for each token; they are "
            f"{tuple(weights.shape)}, with {len(labels)} labels"
        )
    weights = weights.detach().float()

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="24em")
        sizes = zip(("layer", "head", "token"), (layer, head, token), weights.shape)
        sliders = [
            ipywidgets.IntSlider(value, min=1, max=size, description=name, layout=wide)
            for name, value, size in sizes
        ]
        words, picture = ipywidgets.Label(), ipywidgets.HTML()

        def draw(change=None) -> None:
            at = [slider.value for slider in sliders]
            words.value = attention_words(weights, labels, *at)
            picture.value = attention_figure(weights, labels, *at)._repr_html_()

        for slider in sliders:
            slider.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([*sliders, words, picture])
        box.layer, box.head, box.token = sliders
        box.words, box.picture = words, picture
        return box

    words = attention_words(weights, labels, layer, head, token)
    still = attention_figure(weights, labels, layer, head, token)
    return Live(f"<p>{words}</p>{still._repr_html_()}", words, make)
