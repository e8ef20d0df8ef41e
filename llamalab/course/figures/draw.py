"""What is drawn on a figure's axes: labels at the lines, the claim in the picture, and for an
explanation tokens, boxes and arrows in place of axes.

    label_lines(axes, [(x, y, "with a cache", CACHE), …])     a word at each line's end
    claim(axes, "bends here", at=(3, 0.4), to=(5, 0.8))       the sentence, and what it points at
    blank(axes, 10, 4); box(axes, 1, 2, "<s>"); arrow(axes, (1, 2), (3, 2))
"""

from collections.abc import Sequence

from llamalab.course.figures.palette import FAINT, INK, PAPER, for_words

Point = tuple[float, float]


def label_lines(
    axes, ends: Sequence[tuple[float, float, str, str]], *, gap: float = 0.062, away: float = 5,
) -> None:  # fmt: skip
    """A label right of each end (x, y, text, colour), in the line's colour, dark enough to read;
    those that would lie on each other are moved apart by `gap`, a share of the axes' height; `away`
    is how far from the end it begins, in points. Call it last: it reads the limits. `$` is a dollar
    here and below."""
    axes.figure.draw_without_rendering()  # so that limits and scales are final
    to_share = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        ([*to_share.transform((x, y)), text, colour] for x, y, text, colour in ends),
        key=lambda end: end[1],
    )
    heights = spread([end[1] for end in placed], gap)
    for (x, _, text, colour), height in zip(placed, heights):
        axes.annotate(
            _plain(text), (x, height), xycoords="axes fraction", xytext=(away, 0),
            textcoords="offset points", color=_legible(colour), fontsize=9, va="center",
            ha="left", annotation_clip=False,
        )  # fmt: skip


def spread(heights: Sequence[float], gap: float) -> list[float]:
    """Rising numbers, moved as little as can be so that neighbours are `gap` apart or more:
    those that touch become a group, and a group keeps its middle."""
    groups: list[list[float]] = []  # each: [middle, count]
    for height in heights:
        groups.append([height, 1])
        while len(groups) > 1 and _top(groups[-2], gap) + gap > _bottom(groups[-1], gap):
            middle, count = groups.pop()
            below, below_count = groups[-1]
            both = count + below_count
            groups[-1] = [(middle * count + below * below_count) / both, both]
    return [
        _bottom(group, gap) + k * gap for group in groups for k in range(int(group[1]))
    ]  # fmt: skip


def _bottom(group: list[float], gap: float) -> float:
    return group[0] - gap * (group[1] - 1) / 2


def _top(group: list[float], gap: float) -> float:
    return group[0] + gap * (group[1] - 1) / 2


def claim(axes, text: str, at: Point, to: Point, *, colour: str = INK, size: float = 9) -> None:
    """The claim, written at `to` (data), with a thin line to what it is about at `at` (data)."""
    axes.annotate(
        _plain(text), at, xytext=to, color=_legible(colour), fontsize=size, ha="center",
        va="center",
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 0.9, "shrinkB": 3},
        bbox={"boxstyle": "round,pad=0.2", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip


def blank(axes, width: float, height: float) -> None:
    """Make the axes a sheet of `width` by `height`, y upwards, with nothing on it."""
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.set_axis_off()


def box(
    axes, x: float, y: float, text: str, colour: str = INK, *, fill: str | None = None,
    size: float = 10, mono: bool = False, pad: float = 0.35,
):  # fmt: skip
    """A token or a part: its text in a rounded box around (x, y)."""
    return axes.text(
        x, y, _plain(text), ha="center", va="center", fontsize=size,
        family="monospace" if mono else None, color=INK,
        bbox={"boxstyle": f"round,pad={pad}", "facecolor": fill or PAPER, "edgecolor": colour,
              "linewidth": 1.4},
    )  # fmt: skip


def arrow(
    axes, start: Point, end: Point, colour: str = INK, *, width: float = 1.4, shrink: float = 0.0,
) -> None:  # fmt: skip
    """An arrow from `start` to `end` (data), each end `shrink` points short of its point."""
    axes.annotate(
        "", end, xytext=start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": width,
                    "shrinkA": shrink, "shrinkB": shrink},
    )  # fmt: skip


def note(axes, x: float, y: float, text: str, *, colour: str = FAINT, size: float = 9, **where):
    """Small words on the sheet, centred unless told (ha=, va=)."""
    where = {"ha": "center", "va": "center"} | where
    return axes.text(x, y, _plain(text), color=colour, fontsize=size, **where)


def _legible(colour: str) -> str:
    from matplotlib.colors import to_hex

    return for_words(to_hex(colour).upper())


def _plain(text: str) -> str:
    """Two dollars would be read as mathematics."""
    return text.replace("$", r"\$")
