"""Pictures for the lesson on RoPE: pairs as clock hands, the score that two places share, how far
a table reaches, and what theta does to all of it."""

import math
from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures import palette
from llamalab.course.figures.draw import arrow, claim, label_lines, note
from llamalab.course.figures.explorer import Slider, explorer
from llamalab.course.figures.figure import Figure, figure
from llamalab.course.figures.live import Live

HEAD_DIM = 128  # of every Llama 2
CONTEXT = 4096
THETAS = (100.0, 1_000.0, 10_000.0, 40_890.0, 100_000.0, 1_000_000.0)
# Eight to the octave: between 1,024 and 2,048 alone the score goes down to 0 and up again.
DISTANCES = tuple(sorted({round(2 ** (k / 8)) for k in range(8 * 16 + 1)}))


def speeds(head_dim: int, theta: float) -> torch.Tensor:
    """What each pair turns by at every position, in radians: (D/2,), float64."""
    return theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)


def _face(axes, x: float, y: float, radius: float = 0.38) -> None:
    """An empty clock face, with its zero at three o'clock."""
    from matplotlib.patches import Circle

    axes.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=palette.FAINT))
    axes.plot([x + 0.8 * radius, x + radius], [y, y], color=palette.FAINT, linewidth=1)


def _hand(axes, x: float, y: float, angle: float, colour: str, length: float = 0.36) -> None:
    tip = (x + length * math.cos(angle), y + length * math.sin(angle))
    axes.plot([x, tip[0]], [y, tip[1]], color=colour, linewidth=2.6)


def clocks(angles: torch.Tensor, positions: Sequence[int]) -> Figure:
    """One clock for each pair (down) and position (across). angles: (T, D/2), in radians."""
    caption = (
        "Every pair is a hand of its own speed. The first tells neighbours apart, the last one "
        "has hardly moved after a hundred positions."
    )
    turns = (angles.double() / (2 * math.pi)).T.tolist()
    alt = "Rows of clock faces, a row for each pair and a column for each position. " + " ".join(
        f"Pair {i}: at position {positions[-1]} the hand has made {row[-1]:.3g} turns."
        for i, row in enumerate(turns)
    )
    n_pairs, n_places = len(turns), len(positions)
    with figure(caption, alt=alt, width=7.4, height=0.9 + 0.86 * n_pairs) as fig:
        axes = fig.axes
        for i, row in enumerate(turns):
            y = n_pairs - 1 - i  # pair 0 on top
            for t, turn in enumerate(row):
                _face(axes, t, y)
                _hand(axes, t, y, 2 * math.pi * turn, palette.INK)
            speed = row[1] / positions[1] * 2 * math.pi
            note(axes, -0.6, y, f"pair {i}\n{speed:.3g} rad a place", ha="right")
            gone = f"{row[-1]:.3g}"
            note(axes, n_places - 0.45, y, f"{gone} turns", ha="left", colour=palette.INK)
        for t, place in enumerate(positions):
            note(axes, t, n_pairs - 0.4, f"{place:,}", colour=palette.INK)
        note(axes, -0.6, n_pairs - 0.4, "place", ha="right", colour=palette.INK)
        note(axes, (n_places - 1) / 2, -0.62, "zero is at three o'clock; hands run anticlockwise")
        axes.set(xlim=(-1.9, n_places + 0.45), ylim=(-0.8, n_pairs - 0.2), aspect="equal")
        axes.set_axis_off()
    return fig


def clocks_and_score(
    places: Sequence[tuple[int, int]], head_dim: int = 8, theta: float = 10_000.0
) -> Figure:
    """A key like its query, each pair of both as two hands on one clock, for several places (of
    q, of k), and the score beside: what each pair adds is the cosine of the angle between."""
    turning = speeds(head_dim, theta).tolist()
    scores = [sum(math.cos((s - t) * speed) for speed in turning) for s, t in places]
    caption = (
        "The hands of query and key point somewhere else in each row. Where the distance is the "
        "same, so is the angle between them, on every clock, and so is the score."
    )
    said = [f"q at {s}, k at {t}: score {x:.2f}." for (s, t), x in zip(places, scores)]
    alt = "Rows of clocks with two hands each, query and key. " + " ".join(said)
    pairs = len(turning)
    with figure(caption, alt=alt, width=7.4, height=0.8 + 0.98 * len(places)) as fig:
        axes = fig.axes
        for row, ((s, t), score) in enumerate(zip(places, scores)):
            y = len(places) - 1 - row
            note(axes, -0.65, y + 0.14, f"query at {s}", ha="right", colour=palette.QUERY)
            note(axes, -0.65, y - 0.14, f"key at {t}", ha="right", colour=palette.KEY)
            for i, speed in enumerate(turning):
                _face(axes, i, y)
                _between(axes, i, y, t * speed, (s - t) * speed)
                _hand(axes, i, y, s * speed, palette.QUERY, 0.36)
                _hand(axes, i, y, t * speed, palette.KEY, 0.26)
                sign = " = " if i + 1 == pairs else " + "
                note(axes, i + 0.5, y - 0.42, sign, colour=palette.INK)
                note(axes, i, y - 0.46, f"{math.cos((s - t) * speed):.2f}", colour=palette.INK)
            note(axes, pairs - 0.2, y, f"score {score:.2f}", colour=palette.INK, size=12, ha="left")
            note(axes, pairs - 0.2, y - 0.28, f"distance {s - t}", ha="left")
        for i, speed in enumerate(turning):
            note(axes, i, len(places) - 0.48, f"{speed:.3g} rad a place", size=8)
        axes.set(xlim=(-1.9, pairs + 1.0), ylim=(-0.62, len(places) - 0.35), aspect="equal")
        axes.set_axis_off()
    return fig


def _between(axes, x: float, y: float, start: float, angle: float) -> None:
    """The angle from the key's hand to the query's, as a wedge: the short way round."""
    from matplotlib.patches import Wedge

    angle = math.remainder(angle, 2 * math.pi)
    low, high = sorted((math.degrees(start), math.degrees(start + angle)))
    axes.add_patch(Wedge((x, y), 0.22, low, high, facecolor=palette.GRID, edgecolor="none"))


def same_angle(q: tuple, k: tuple, places: Sequence[tuple[int, int]], step: float) -> Figure:
    """q and k, two numbers each, turned to several places (of q, of k), `step` radians each."""
    caption = (
        "Wherever the two stand, the angle between them depends on their distance alone, "
        "and so does their dot product."
    )
    words = [
        f"At places {s} and {t} the score is {_score(q, k, s - t, step):.2f}." for s, t in places
    ]
    alt = "Two arrows, q and k, turned to their places, in one panel each. " + " ".join(words)
    with figure(caption, alt=alt, width=7.4, height=2.9, columns=len(places)) as fig:
        from matplotlib.patches import Wedge

        reach = 1.25 * max(math.hypot(*q), math.hypot(*k))
        for axes, (s, t) in zip(fig.axes, places):
            ends = {}
            for vector, place, colour, name in (
                (q, s, palette.QUERY, f"q at {s}"),
                (k, t, palette.KEY, f"k at {t}"),
            ):
                x, y = ends[name[0]] = _turned(vector, place * step)
                arrow(axes, (0, 0), (x, y), colour, width=2.2)
                level = abs(x) > 0.7 * reach  # beside the arrow there is no room, above it there is
                note(axes, 1.2 * x if not level else 0.8 * x, 1.2 * y + 0.25 * level, name,
                     colour=colour, size=10)  # fmt: skip
            from_k = math.degrees(math.atan2(*ends["k"][::-1]))
            turn = math.degrees(math.atan2(*ends["q"][::-1])) - from_k
            turn = math.remainder(turn, 360)
            low, high = sorted((from_k, from_k + turn))
            axes.add_patch(Wedge((0, 0), 0.7, low, high, facecolor=palette.GRID))
            score = _score(q, k, s - t, step)
            axes.set_title(f"{abs(turn):.0f}° apart: score {score:.2f}", fontsize=10)
            axes.axhline(0, color=palette.GRID, linewidth=1)
            axes.axvline(0, color=palette.GRID, linewidth=1)
            axes.set(xlim=(-1.15 * reach, 1.15 * reach), ylim=(-1.15 * reach, 1.15 * reach))
            axes.set_aspect("equal")
            axes.set_axis_off()
    return fig


def _turned(vector: tuple, angle: float) -> tuple[float, float]:
    turned = complex(*vector) * complex(math.cos(angle), math.sin(angle))
    return turned.real, turned.imag


def _score(q: tuple, k: tuple, distance: int, step: float) -> float:
    x, y = _turned(q, distance * step)
    return x * k[0] + y * k[1]


def drift(gaps: Mapping[str, Sequence[float]], distances: Sequence[int]) -> Figure:
    """How far scores in a wrong layout are from the right ones, by distance; a line a mistake."""
    caption = (
        "A wrong layout is exactly right at distance 0, a little wrong nearby, and soon has "
        "little to do with the score that the weights were made for."
    )
    words = [
        f"{name}: {row[0]:.2f} at distance 0, {row[-1]:.2f} at the end."
        for name, row in gaps.items()
    ]
    alt = "Error of the score against distance, rising from 0 and level later. " + " ".join(words)
    with figure(caption, alt=alt, width=7.2) as fig:
        axes = fig.axes
        ends = []
        for (name, row), style in zip(gaps.items(), ("-", "--", ":")):
            axes.plot(distances, row, style, color=palette.WRONG)
            ends.append(
                (distances[-1], row[-1], name.replace(" instead", "\ninstead"), palette.WRONG)
            )
        axes.axhline(2**0.5, color=palette.FAINT, linewidth=1)
        note(axes, distances[0], 2**0.5 + 0.07, "√2: no relation at all", ha="left")
        first = next(iter(gaps.values()))
        right, off = (0.34 * distances[-1], 0.16), (0, first[0])
        claim(axes, "at distance 0 a test sees nothing", at=off, to=right)
        axes.set_xlabel("distance between query and key, in positions")
        axes.set_ylabel("typical error of a score,\nas a share of its spread")
        axes.set(ylim=(0, 1.6), xlim=(0, distances[-1]))
        label_lines(axes, ends)
    return fig


def wavelengths(
    head_dim: int = HEAD_DIM, theta: float = 10_000.0, context: int = CONTEXT
) -> Figure:
    """After how many positions each pair has made a full turn, against the context."""
    waves = (2 * math.pi / speeds(head_dim, theta)).tolist()
    inside = sum(wave <= context for wave in waves)
    caption = (
        f"Of {len(waves)} pairs, {inside} make at least one full turn in {context:,} positions. "
        f"The other {len(waves) - inside} never show all of their angles in training."
    )
    alt = (
        f"Positions for a full turn against the pair, logarithmic: a straight line from "
        f"{waves[0]:.1f} to {waves[-1]:,.0f}, which crosses the context of {context:,} after "
        f"{inside} pairs."
    )
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        axes.plot(range(inside), waves[:inside], "o", markersize=4, color=palette.RIGHT)
        axes.plot(range(inside, len(waves)), waves[inside:], "s", markersize=4, color=palette.WRONG)
        axes.axhline(context, color=palette.INK, linewidth=1)
        axes.set_yscale("log")
        axes.minorticks_off()
        axes.set_yticks([10, 100, 1000, 10_000], ["10", "100", "1,000", "10,000"])
        note(axes, 0, context * 1.45, f"the context: {context:,}", ha="left", colour=palette.INK)
        middle, late = inside // 2, (inside + len(waves)) // 2
        claim(axes, f"{inside} pairs go round", at=(middle, waves[middle]),
              to=(middle + 17, waves[middle] / 5), colour=palette.RIGHT)  # fmt: skip
        claim(axes, f"{len(waves) - inside} never do", at=(late, waves[late]),
              to=(late - 16, waves[late] * 2.2), colour=palette.WRONG)  # fmt: skip
        axes.set_xlabel("pair i")
        axes.set_ylabel("positions for a full turn")
    return fig


def stretched(slowed: Mapping[str, Sequence[float]], factor: float) -> Figure:
    """By how much each pair was slowed, one line a method: (D/2,) numbers each."""
    caption = (
        f"Both ways slow the last pair {factor:g} times, so that a text {factor:g} times as long "
        f"shows it no new angle. Only a larger theta leaves the first pair alone."
    )
    words = [
        f"{name}: {row[0]:.2f} for the first pair, {row[-1]:.2f} for the last."
        for name, row in slowed.items()
    ]
    alt = "By how much each pair is slowed, against the pair. " + " ".join(words)
    with figure(caption, alt=alt, height=3.0) as fig:
        axes = fig.axes
        lines = list(zip(slowed.items(), (palette.BLUE, palette.VERMILLION), ("-", "--")))
        for (_, row), colour, style in lines:
            axes.plot(range(len(row)), row, style, color=colour)
        last = len(next(iter(slowed.values()))) - 1
        axes.set(xlabel="pair i", ylabel="slowed by this factor", ylim=(0, 1.25 * factor))
        for ((name, row), colour, _), place in zip(lines, (0.25, 0.5)):
            i = round(place * last)
            up = 0.5 if row[i] > 0.8 * factor else -0.55
            first, final = f"{row[0]:.0f}", f"{row[-1]:.0f}"
            by = f"{first} times" if first == final else f"{first} to {final} times"
            note(axes, i, row[i] + up, f"{name}: {by}", colour=colour, ha="left")
        claim(axes, "both: the slowest hand\nsees no new angle", at=(last, factor),
              to=(0.88 * last, 0.45 * factor))  # fmt: skip
    return fig


# -- the explorer ----------------------------------------------------------------------------


def kept(distance: float, theta: float, head_dim: int = HEAD_DIM) -> float:
    """The score of a query with a key like itself, all pairs of one length, as a share of the
    score at distance 0: the mean of the cosines."""
    return (distance * speeds(head_dim, theta)).cos().mean().item()


def gone_round(distance: float, theta: float, head_dim: int = HEAD_DIM) -> int:
    """How many pairs have made at least one full turn at this distance."""
    return int((distance * speeds(head_dim, theta) >= 2 * math.pi).sum())


def theta_words(theta: float, distance: int) -> str:
    """What the explorer says about one setting."""
    return (
        f"theta {theta:,.0f}, distance {distance:,}: {gone_round(distance, theta)} of "
        f"{HEAD_DIM // 2} pairs have gone round, score {kept(distance, theta):.2f}"
    )


def theta_figure(theta: float, distance: int) -> Figure:
    """Left, the turns that each pair has made at this distance; right, the score of a key like
    the query at every distance. Both beside Llama 2's theta."""
    far = [2 ** (k / 16) for k in range(16 * 16 + 1)]
    caption = (
        "The larger theta is, the slower the hands: at one distance fewer have gone round, and "
        "as a rule more of the score is left."
    )
    alt = (
        f"Left, turns made by each of 64 pairs, logarithmic and falling; right, the score against "
        f"distance, falling from 1 with ripples. {theta_words(theta, distance)}; with Llama 2's "
        f"theta of 10,000 it is {kept(distance, 10_000.0):.2f}."
    )
    lines = [(10_000.0, palette.FAINT, "--", "Llama 2")]
    if theta != 10_000.0:
        lines.append((theta, palette.BLUE, "-", f"theta {theta:,.0f}"))
    with figure(caption, alt=alt, width=8.2, height=3.3, columns=2) as fig:
        left, right = fig.axes
        ends = []
        for value, colour, style, name in lines:
            turns = (distance * speeds(HEAD_DIM, value) / (2 * math.pi)).tolist()
            left.plot(range(len(turns)), turns, style, color=colour)
            ends.append((len(turns) - 1, turns[-1], name, colour))
            right.plot(far, [kept(d, value) for d in far], style, color=colour, linewidth=1.6)
        left.axhline(1, color=palette.INK, linewidth=1)
        left.set_yscale("log")
        left.set_ylim(1e-7, 1e5)
        left.set_yticks([1e-6, 1e-3, 1, 1e3], ["0.000001", "0.001", "1", "1,000"])
        note(left, 2, 0.25, "one turn", ha="left", colour=palette.INK)
        left.set_xlabel("pair i")
        left.set_ylabel(f"turns made at distance {distance:,}")
        share = kept(distance, theta)
        colour = lines[-1][1]
        right.plot([distance], [share], "o", color=colour, markersize=8)
        right.axhline(0, color=palette.INK, linewidth=1)
        right.set_xscale("log")
        right.set_xticks([1, 10, 100, 1000, 10_000], ["1", "10", "100", "1,000", "10,000"])
        right.set(xlim=(0.8, 70_000), ylim=(-0.35, 1.1))
        words_at = (min(max(distance, 3), 20_000), min(share + 0.3, 1.02))
        claim(right, f"{share:.2f} left", at=(distance, share), to=words_at, colour=colour)
        right.set_xlabel("distance, in positions")
        right.set_ylabel("score, as a share of distance 0")
        for axes in fig.axes:
            axes.minorticks_off()
        label_lines(left, ends)
    return fig


def theta_explorer(theta: float = 10_000.0, distance: int = 4096) -> Live:
    """Move theta and the distance, and see the hands and the score. The widget has `.theta`,
    `.distance` and `.words`."""
    return explorer(
        [
            Slider("theta", theta, values=THETAS, shown="{:,.0f}".format),
            Slider("distance", distance, values=DISTANCES),
        ],
        picture=theta_figure,
        words=theta_words,
    )
