"""Figures for the tokenizer: what a larger vocabulary saves, what a script without pieces pays,
and what a slow encoder costs."""

from collections.abc import Mapping, Sequence

from llamalab.course.figures import Figure, claim, figure, label_lines, palette


def compression(sizes: Sequence[int], bytes_per_token: Sequence[float]) -> Figure:
    """Bytes that one token stands for, over the size of the vocabulary (log scale)."""
    gains = [b - a for a, b in zip(bytes_per_token, bytes_per_token[1:])]
    alt = (
        f"A rising line that bends: from {bytes_per_token[0]:.2f} bytes per token with "
        f"{sizes[0]:,} pieces to {bytes_per_token[-1]:.2f} with {sizes[-1]:,}. The last step adds "
        f"{gains[-1]:.2f}, the largest {max(gains):.2f}. A flat line at 1: single bytes."
    )
    caption = "Every doubling of the vocabulary buys less than the one before."
    with figure(caption, alt=alt, width=7) as fig:
        axes = fig.axes
        axes.plot(sizes, bytes_per_token, "o-", color=palette.BLUE)
        axes.plot(sizes, [1] * len(sizes), "--", color=palette.FAINT)
        for size, ratio in zip(sizes[:-1], bytes_per_token):
            axes.annotate(f"{ratio:.2f}", (size, ratio), (0, 8), textcoords="offset points",
                          ha="center", fontsize=9, color=palette.BLUE)  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
        axes.set_ylim(0, 1.2 * max(bytes_per_token))
        axes.set_xlabel("vocabulary (pieces, each tick doubles it)")
        axes.set_ylabel("bytes that a token stands for")
        for i in (0, len(gains) - 1):  # the first doubling and the last
            middle = ((sizes[i] * sizes[i + 1]) ** 0.5, sum(bytes_per_token[i : i + 2]) / 2)
            claim(axes, f"+{gains[i]:.2f} bytes\na token", at=middle,
                  to=(middle[0] * 1.3, middle[1] - 0.16 * max(bytes_per_token)))  # fmt: skip
        ends = [
            (
                sizes[-1],
                bytes_per_token[-1],
                f"{bytes_per_token[-1]:.2f}: pieces, on\ntext not trained on",
                palette.BLUE,
            ),
            (sizes[-1], 1, "single bytes", palette.FAINT),
        ]
        label_lines(axes, ends)
    return fig


def scripts(tokens: Mapping[str, int], sizes: Mapping[str, int]) -> Figure:
    """Tokens that one sentence costs in each language, and its bytes, as bars by cost."""
    names = sorted(tokens, key=lambda name: tokens[name])
    most, least = names[-1], names[0]
    near = [name for name in names if tokens[name] >= sizes[name]]
    caption = (
        f"The same sentence: {tokens[least]} tokens in {least}, {tokens[most]} in {most}. Where "
        f"the bar reaches the mark, every byte is a token."
    )
    alt = (
        "Bars of tokens for one sentence: "
        + ", ".join(f"{name} {tokens[name]} of {sizes[name]} bytes" for name in names)
        + f". In {', '.join(near)} there are no fewer tokens than bytes."
    )
    with figure(caption, alt=alt, width=7, height=0.75 + 0.26 * len(names)) as fig:
        axes = fig.axes
        for i, name in enumerate(names):
            spelled = name in near
            axes.barh(i, tokens[name], 0.72, color=palette.WRONG if spelled else palette.BLUE)
            axes.plot([sizes[name]] * 2, [i - 0.42, i + 0.42], color=palette.INK, linewidth=2)
            axes.text(max(tokens[name], sizes[name]) + 1, i, str(tokens[name]), va="center",
                      fontsize=9)  # fmt: skip
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("tokens; the black mark: bytes of the sentence")
        axes.grid(axis="y", visible=False)
        axes.set_xlim(0, 1.12 * max(*tokens.values(), *sizes.values()))
        for words, height, colour in (
            ("bar up to the mark: every piece is one byte", 0.3, palette.WRONG),
            ("bar short of the mark: some are longer", 0.22, palette.BLUE),
        ):
            axes.text(0.98, height, words, ha="right", transform=axes.transAxes, color=colour,
                      fontsize=9)  # fmt: skip
    return fig


def work(lengths: Sequence[int], questions: Mapping[str, Sequence[int]]) -> Figure:
    """Look-ups in the vocabulary, over the length of the text, for each way to encode."""
    ends = "; ".join(f"{name} from {n[0]:,} to {n[-1]:,}" for name, n in questions.items())
    grown = {name: round(n[-1] / n[0]) for name, n in questions.items()}
    longer = f"{lengths[-1] / lengths[0]:g} times"
    said = ", and ".join(f"{times} times ({name})" for name, times in grown.items())
    caption = f"For a text {longer} as long, the questions grow: {said}."
    alt = f"Two straight lines on logarithmic axes, one twice as steep. Look-ups: {ends}."
    with figure(caption, alt=alt, width=7) as fig:
        axes = fig.axes
        colours = (palette.WRONG, palette.RIGHT)
        for counts, colour, mark in zip(questions.values(), colours, "os"):
            axes.plot(lengths, counts, marker=mark, color=colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_xticks(lengths, [f"{n:,}" for n in lengths])
        axes.set_xlabel("length of the text (characters)")
        axes.set_ylabel("questions to the vocabulary")
        label_lines(
            axes,
            [
                (lengths[-1], counts[-1], f"{name}:\n{counts[-1]:,}", colour)
                for (name, counts), colour in zip(questions.items(), colours)
            ],
        )
    return fig
