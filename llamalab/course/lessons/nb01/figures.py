"""Figures for the tokenizer: what a larger vocabulary saves, and what a slow encoder costs."""

from collections.abc import Mapping, Sequence

from llamalab.course.figures.figure import COLOURS, Figure, figure


def compression(sizes: Sequence[int], bytes_per_token: Sequence[float]) -> Figure:
    """Bytes that one token stands for, over the size of the vocabulary (log scale)."""
    gains = [b - a for a, b in zip(bytes_per_token, bytes_per_token[1:])]
    alt = (
        f"A rising line that bends: from {bytes_per_token[0]:.2f} bytes per token with "
        f"{sizes[0]:,} pieces to {bytes_per_token[-1]:.2f} with {sizes[-1]:,}. The last step adds "
        f"{gains[-1]:.2f}, the largest {max(gains):.2f}."
    )
    caption = "Every doubling of the vocabulary buys less than the one before."
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        axes.plot(sizes, bytes_per_token, "o-", label="pieces, on text not trained on")
        axes.axhline(1, color=COLOURS[1], linestyle="--", label="single bytes")
        for size, ratio in zip(sizes, bytes_per_token):
            axes.annotate(f"{ratio:.2f}", (size, ratio), (0, 7), textcoords="offset points",
                          ha="center", fontsize=9)  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_ylim(0, 1.15 * max(bytes_per_token))
        axes.set_xlabel("vocabulary (pieces, each tick doubles it)")
        axes.set_ylabel("bytes per token")
        axes.legend(loc="lower right")
    return fig


def work(lengths: Sequence[int], questions: Mapping[str, Sequence[int]]) -> Figure:
    """Look-ups in the vocabulary, over the length of the text, for each way to encode."""
    ends = "; ".join(f"{name} from {n[0]:,} to {n[-1]:,}" for name, n in questions.items())
    grown = (f"{n[-1] / n[0]:.0f} times ({name})" for name, n in questions.items())
    longer = f"{lengths[-1] / lengths[0]:g} times"
    caption = f"For a text {longer} as long, the questions grow: {', and '.join(grown)}."
    alt = f"Two straight lines on logarithmic axes, one twice as steep. Look-ups: {ends}."
    with figure(caption, alt=alt) as fig:
        for (name, counts), style in zip(questions.items(), ("o-", "s--")):
            fig.axes.plot(lengths, counts, style, label=name)
        fig.axes.set_xscale("log")
        fig.axes.set_yscale("log")
        fig.axes.minorticks_off()
        fig.axes.set_xticks(lengths, [f"{n:,}" for n in lengths])
        fig.axes.set_xlabel("length of the text (characters)")
        fig.axes.set_ylabel("questions to the vocabulary")
        fig.axes.legend()
    return fig
