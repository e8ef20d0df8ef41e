"""Pictures for the lesson on attention: who may look at whom, saturation, shared key heads, the
price of a token with and without a cache, what fits on a card, and maps of where a head looks."""

from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures import palette
from llamalab.course.figures.draw import arrow, blank, box, claim, label_lines, note
from llamalab.course.figures.explorer import Slider, explorer
from llamalab.course.figures.figure import Figure, figure
from llamalab.course.figures.live import Live

STYLES = ("-", "--", ":", "-.", (0, (6, 1.5)))


def who_looks(tokens: Sequence[str], new: int) -> Figure:
    """The causal mask as arrows: the last `new` tokens ask, and each looks at itself and at those
    before it. What they may not look at has no arrow."""
    old = len(tokens) - new
    seen = [old + t + 1 for t in range(new)]
    caption = (
        "The newest tokens ask, and they stand at the end. Each looks at itself and at everything "
        "before it; nothing points to the right."
    )
    said = [f"“{tokens[old + t]}” looks at {seen[t]} tokens." for t in range(new)]
    alt = "Tokens in a row, with arrows that run to the left only. " + " ".join(said)
    wide = 1.6 * len(tokens)
    with figure(caption, alt=alt, width=7.2, height=1.1 + 0.62 * new) as fig:
        axes = fig.axes
        blank(axes, wide + 1.5, 1.5 + new)
        at = [1.6 * s + 0.9 for s in range(len(tokens))]
        for s, word in enumerate(tokens):
            asks = s >= old
            box(axes, at[s], 0.45, word, palette.QUERY if asks else palette.KEY, mono=True)
        for t in range(new):
            height = 1.5 + t
            axes.plot([at[old + t]] * 2, [0.8, height], color=palette.QUERY, linewidth=1.4)
            axes.plot([at[0], at[old + t]], [height] * 2, color=palette.QUERY, linewidth=1.4)
            for s in range(old + t + 1):
                foot = 0.85 if s < old + t else height - 0.3
                if s == old + t:
                    axes.plot([at[s]], [height], "o", color=palette.QUERY, markersize=6)
                else:
                    shift = 0.16 * (t - (new - 1) / 2)
                    arrow(axes, (at[s] + shift, height), (at[s] + shift, foot), palette.QUERY)
            count = f"query {t}: {seen[t]} of {len(tokens)} keys"
            note(axes, wide + 1.3, height, count, ha="right", colour=palette.QUERY)
        if old:
            note(axes, (at[0] + at[old - 1]) / 2, 0.0, "read before: keys alone", va="bottom",
                 colour=palette.KEY, size=8)  # fmt: skip
        note(axes, (at[old] + at[-1]) / 2, 0.0, "new: queries and keys", va="bottom",
             colour=palette.QUERY, size=8)  # fmt: skip
        axes.set_ylim(-0.25, 1.9 + new - 1)
    return fig


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
    with figure(caption, alt=alt, width=7) as fig:
        axes = fig.axes
        axes.plot(dims, plain, "--s", color=palette.WRONG)
        axes.plot(dims, scaled, "-o", color=palette.RIGHT)
        axes.set_xscale("log", base=2)
        axes.minorticks_off()
        axes.set_xticks(dims, [str(d) for d in dims])
        axes.set(ylim=(0, 1), xlabel="D, numbers in a head", ylabel="largest weight (mean)")
        middle = len(dims) // 2
        claim(axes, f"one key of many takes {plain[-2]:.0%}", at=(dims[-2], plain[-2]),
              to=(dims[middle], 0.35), colour=palette.WRONG)  # fmt: skip
        label_lines(axes, [
            (dims[-1], plain[-1], "as they are", palette.WRONG),
            (dims[-1], scaled[-1], "divided by √D", palette.RIGHT),
        ])  # fmt: skip
    return fig


def head_groups(n_heads: int, kv_heads: Sequence[int], head_dim: int = 128) -> Figure:
    """Which query head uses which key head and value head, one panel for each number of them, and
    what the cache then holds for a token, in each layer, in 16 bits."""
    names = {n_heads: "multi-head", 1: "multi-query"}
    sizes = [2 * n * head_dim * 2 for n in kv_heads]  # a key and a value, two bytes a number
    caption = (
        f"{n_heads} query heads ask; neighbours share a key head and a value head. Half as many of "
        f"these is half the cache, and the questions stay as many."
    )
    parts = [
        f"{n} key heads, {n_heads // n} query heads on each, {size:,} bytes a token and layer"
        for n, size in zip(kv_heads, sizes)
    ]
    alt = f"{len(kv_heads)} drawings: {'; '.join(parts)}. Lines join neighbouring query heads."
    with figure(caption, alt=alt, width=8.4, height=3.1, columns=len(kv_heads)) as fig:
        for axes, n_kv, size in zip(fig.axes, kv_heads, sizes):
            group = n_heads // n_kv
            for h in range(n_heads):
                below = (h // group + 0.5) * group - 0.5  # the middle of its group
                axes.plot([h, below], [1, 0.12], color=palette.FAINT, linewidth=1.3, zorder=1)
                axes.plot([h], [1], "o", color=palette.QUERY, markersize=13)
                note(axes, h, 1, str(h), colour="white", size=8)
                if h % group == 0:
                    axes.plot([below - 0.22], [0], "s", color=palette.KEY, markersize=8)
                    axes.plot([below + 0.22], [0], "s", color=palette.VALUE, markersize=8)
                    note(axes, below, -0.28, str(h // group), size=8, colour=palette.INK)
            full = n_heads - 1
            axes.plot([0, full], [-0.85] * 2, color=palette.GRID, linewidth=9)
            axes.plot([0, full * n_kv / n_heads], [-0.85] * 2, color=palette.CACHE, linewidth=9,
                      solid_capstyle="butt")  # fmt: skip
            note(axes, full / 2, -1.2, f"{size:,} bytes a token and layer", colour=palette.INK)
            axes.set_title(f"{names.get(n_kv, 'grouped-query')}, {n_kv} KV", fontsize=10)
            axes.set(xlim=(-0.9, n_heads - 0.1), ylim=(-1.45, 1.35))
            axes.axis("off")
        first = fig.axes[0]
        for y, name, colour in (
            (1, "query", palette.QUERY), (0.1, "key", palette.KEY),
            (-0.14, "value", palette.VALUE), (-0.85, "cache", palette.INK),
        ):  # fmt: skip
            note(first, -0.9, y, name, ha="right", colour=colour)
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
    with figure(caption, alt=alt, width=7) as fig:
        axes = fig.axes
        axes.plot(tokens, without, "--", color=palette.FAINT)
        axes.plot(tokens, with_cache, "-", color=palette.CACHE)
        axes.set(
            xlim=(0, tokens[-1]), xlabel="tokens written", ylabel="processor time, all in all (s)"
        )
        axes.set_ylim(bottom=0)
        half = len(tokens) // 2
        if without[half] > 0:
            times = without[-1] / without[half]
            words = f"twice the text,\n{times:.1f} times the time"
            end = (tokens[-1], without[-1])
            claim(axes, words, at=end, to=(0.62 * end[0], 0.85 * end[1]))
        label_lines(axes, [
            (tokens[-1], without[-1], "all read anew", palette.FAINT),
            (tokens[-1], with_cache[-1], "with a cache", palette.CACHE),
        ])  # fmt: skip
    return fig


def room_on_a_card(lines: Mapping[str, tuple[float, int]], *, card: float) -> Figure:
    """How many texts of which length fit beside the weights. For each model: (bytes of its
    weights, bytes of cache a token); card: bytes in all."""
    lengths = [2**k for k in range(8, 13)]
    caption = (
        "Texts that fit on the card beside the weights. Eight times fewer key heads are eight "
        "times more texts; wider models need not have fewer."
    )
    words, ends = [], []
    with figure(caption, alt="drawn below", width=7.4, height=4.0) as fig:
        axes = fig.axes
        for i, (name, (weights, per_token)) in enumerate(lines.items()):
            texts = [max(0.0, card - weights) / per_token / n for n in lengths]
            words.append(f"{name} {int(texts[-1]):,}")
            colour = palette.SERIES[i]
            thick = max(1.5, 5.0 - 1.2 * i)  # lines that coincide are seen through each other
            axes.plot(lengths, texts, linestyle=STYLES[i % 5], color=colour, linewidth=thick)
            if texts[-1] > 0:
                ends.append((lengths[-1], texts[-1], f"{name}: {int(texts[-1])}", colour))
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=10)
        axes.minorticks_off()
        axes.set_xticks(lengths, [f"{n:,}" for n in lengths])
        axes.set_yticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
        axes.set(ylim=(1, 2000), xlim=(lengths[0], lengths[-1]), xlabel="tokens in each text")
        axes.set_ylabel("texts at once")
        label_lines(axes, ends)
    fig.alt = (
        f"Texts at once against tokens in each, both logarithmic; every line falls. At "
        f"{lengths[-1]:,} tokens: {', '.join(words)}."
    )
    return fig


# -- the explorer ----------------------------------------------------------------------------


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
    """One head's weights. Above, the chosen token's row as arrows, as thick as the weight; below,
    the whole map: a row for each query, a column for each key."""
    words = attention_words(weights, labels, layer, head, token)
    caption = f"Each row shares out 1 over the tokens up to itself. {words[0].upper()}{words[1:]}."
    alt = f"A map of {len(labels)} queries by {len(labels)} keys, empty above the diagonal. {words}"
    shown = [label.replace("$", r"\$") for label in labels]
    row = weights[layer - 1, head - 1, token - 1].tolist()
    best = max(range(len(row)), key=row.__getitem__)
    with figure(caption, alt=alt, width=8.4, height=4.4, columns=2) as fig:
        axes, map_ = fig.axes
        last = len(labels) - 1
        for s, (label, weight) in enumerate(zip(shown, row)):
            y = last - s
            seen = s < token
            axes.text(0.36, y, label, ha="right", va="center", fontsize=9,
                      color=palette.KEY if seen else palette.FAINT)  # fmt: skip
            if weight >= 0.01:
                arrow(axes, (0.8, last - token + 1), (0.38, y), palette.QUERY,
                      width=0.6 + 5 * weight)  # fmt: skip
        axes.text(0.82, last - token + 1, shown[token - 1], ha="left", va="center", fontsize=10,
                  color=palette.QUERY, weight="bold")  # fmt: skip
        note(axes, 0.82, last - token + 0.3, "asks", ha="left", colour=palette.QUERY)
        note(axes, 0.6, last + 0.9, f"{row[best]:.0%} goes to “{labels[best]}”",
             colour=palette.INK, size=10)  # fmt: skip
        axes.set(xlim=(0, 1.1), ylim=(-0.7, last + 1.3))
        axes.axis("off")
        from matplotlib.colors import LinearSegmentedColormap

        scale = LinearSegmentedColormap.from_list("query", [palette.PAPER, palette.QUERY])
        image = map_.imshow(weights[layer - 1, head - 1].tolist(), cmap=scale, vmin=0, vmax=1)
        map_.grid(False)
        map_.set_xticks(range(len(labels)), shown, rotation=90, fontsize=8)
        map_.set_yticks(range(len(labels)), shown, fontsize=8)
        map_.set_xlabel("is looked at (key)", color=palette.KEY)
        map_.set_ylabel("looks (query)", color=palette.QUERY)
        ends = dict(xmin=-0.5, xmax=len(labels) - 0.5, color=palette.INK, linewidth=1.2)
        map_.hlines([token - 1.5, token - 0.5], **ends)
        fig.canvas.colorbar(image, ax=map_, label="weight", shrink=0.7)
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
    starts = zip(("layer", "head", "token"), (layer, head, token), weights.shape)
    return explorer(
        [Slider(name, start, 1, size, live=False) for name, start, size in starts],
        picture=lambda layer, head, token: attention_figure(weights, labels, layer, head, token),
        words=lambda layer, head, token: attention_words(weights, labels, layer, head, token),
    )
