"""Pictures for the lesson on RoPE: pairs as clock hands, what two places share, how far a table
reaches, and what theta does to all of it."""

import math
from collections.abc import Mapping, Sequence

import torch

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live

HEAD_DIM = 128  # of every Llama 2
CONTEXT = 4096
THETAS = (100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
DISTANCES = tuple(2**k for k in range(17))


def speeds(head_dim: int, theta: float) -> torch.Tensor:
    """What each pair turns by at every position, in radians: (D/2,), float64."""
    return theta ** -(torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)


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
    with figure(caption, alt=alt, width=7, height=0.6 + 0.88 * n_pairs) as fig:
        from matplotlib.patches import Circle

        axes = fig.axes
        for i, row in enumerate(turns):
            for t, turn in enumerate(row):
                angle = 2 * math.pi * turn
                y = n_pairs - 1 - i  # pair 0 on top
                axes.add_patch(Circle((t, y), 0.38, fill=False, color="#999999"))
                tip = (t + 0.36 * math.cos(angle), y + 0.36 * math.sin(angle))
                axes.plot([t, tip[0]], [y, tip[1]], color=COLOURS[i % 6], linewidth=2.4)
                axes.plot([t + 0.3, t + 0.38], [y, y], color="#999999", linewidth=1)
        axes.set(xlim=(-0.5, n_places - 0.5), ylim=(-0.5, n_pairs - 0.5), aspect="equal")
        axes.set_xticks(range(n_places), [f"{p:,}" for p in positions])
        names = [
            f"pair {i}\n{row[1] / positions[1] * 2 * math.pi:.3g}" for i, row in enumerate(turns)
        ]
        axes.set_yticks(range(n_pairs), names[::-1])
        axes.set_xlabel("position (angles run anticlockwise, from three o'clock)")
        axes.set_ylabel("radians a position")
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return fig


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
    with figure(caption, alt=alt, width=7.4, height=3.0, columns=len(places)) as fig:
        reach = 1.25 * max(math.hypot(*q), math.hypot(*k))
        for axes, (s, t) in zip(fig.axes, places):
            for vector, place, colour, name in ((q, s, COLOURS[0], "q"), (k, t, COLOURS[1], "k")):
                x, y = _turned(vector, place * step)
                start = {
                    "arrowstyle": "-|>",
                    "color": colour,
                    "linewidth": 2,
                    "shrinkA": 0,
                    "shrinkB": 0,
                }
                axes.annotate("", (x, y), (0, 0), arrowprops=start)
                axes.text(1.13 * x, 1.13 * y, name, color=colour, ha="center", va="center")
            axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            score = _score(q, k, s - t, step)
            axes.set_title(f"q at {s}, k at {t}\nscore {score:.2f}", fontsize=10)
            axes.set_xlabel("first of the pair")
        fig.axes[0].set_ylabel("second of the pair")
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
    with figure(caption, alt=alt) as fig:
        axes = fig.axes
        for (name, row), style in zip(gaps.items(), ("-", "--", ":")):
            axes.plot(distances, row, style, label=name, linewidth=2)
        axes.axhline(2**0.5, color=COLOURS[6], linewidth=1)
        axes.text(distances[-1], 2**0.5 + 0.02, "no relation at all: √2", fontsize=9, ha="right")
        axes.set_xlabel("distance between query and key, in positions")
        axes.set_ylabel("typical error of a score,\nas a share of its spread")
        axes.set_ylim(0, 1.6)
        axes.legend(fontsize=9, loc="lower right")
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
        axes.plot(range(inside), waves[:inside], "o", markersize=4, color=COLOURS[0])
        axes.plot(range(inside, len(waves)), waves[inside:], "s", markersize=4, color=COLOURS[1])
        axes.axhline(context, color=COLOURS[6], linewidth=1)
        axes.text(0, context * 1.25, f"the context: {context:,}", fontsize=9)
        axes.set_yscale("log")
        axes.minorticks_off()
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
        for (name, row), style in zip(slowed.items(), ("-", "--", ":")):
            axes.plot(range(len(row)), row, style, linewidth=2, label=name)
        axes.set_xlabel("pair i")
        axes.set_ylabel("slowed by this factor")
        axes.set_ylim(bottom=0)
        axes.legend(fontsize=9)
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
    far = [2 ** (k / 8) for k in range(8 * 16 + 1)]
    caption = (
        "The larger theta is, the slower the hands: at one distance fewer have gone round, and "
        "as a rule more of the score is left."
    )
    alt = (
        f"Left, turns made by each of 64 pairs, logarithmic and falling; right, the score against "
        f"distance, falling from 1 with ripples. {theta_words(theta, distance)}; with Llama 2's "
        f"theta of 10,000 it is {kept(distance, 10_000.0):.2f}."
    )
    with figure(caption, alt=alt, width=8.2, height=3.3, columns=2) as fig:
        left, right = fig.axes
        for value, colour, style in ((10_000.0, COLOURS[1], "--"), (theta, COLOURS[0], "-")):
            name = f"theta {value:,.0f}" + (" (Llama 2)" if value == 10_000.0 else "")
            turns = (distance * speeds(HEAD_DIM, value) / (2 * math.pi)).tolist()
            left.plot(range(len(turns)), turns, style, color=colour, linewidth=2, label=name)
            scores = [kept(d, value) for d in far]
            right.plot(far, scores, style, color=colour, linewidth=2, label=name)
        left.axhline(1, color=COLOURS[6], linewidth=1)
        left.text(63, 1.3, "one turn", fontsize=9, ha="right")
        left.set_yscale("log")
        left.set_ylim(1e-7, 1e5)
        left.set_xlabel("pair i")
        left.set_ylabel(f"turns made at distance {distance:,}")
        right.plot([distance], [kept(distance, theta)], "o", color=COLOURS[0], markersize=9)
        right.axhline(0, color=COLOURS[6], linewidth=1)
        right.set_xscale("log")
        right.set_ylim(-0.3, 1.05)
        right.set_xlabel("distance, in positions")
        right.set_ylabel("score, as a share of distance 0")
        right.legend(fontsize=9, loc="lower left")
        for axes in fig.axes:
            axes.minorticks_off()
    return fig


def theta_explorer(theta: float = 10_000.0, distance: int = 4096) -> Live:
    """Move theta and the distance, and see the hands and the score. The widget has `.theta`,
    `.distance` and `.words`."""

    def make():
        import ipywidgets

        def slider(values: Sequence, value: float, name: str):
            return ipywidgets.SelectionSlider(
                options=[(f"{v:,.0f}", v) for v in values],
                value=value,
                description=name,
                layout=ipywidgets.Layout(width="30em"),
            )

        base, far = slider(THETAS, theta, "theta"), slider(DISTANCES, distance, "distance")
        words, picture = ipywidgets.Label(), ipywidgets.HTML()

        def draw(change=None) -> None:
            words.value = theta_words(base.value, far.value)
            picture.value = theta_figure(base.value, far.value)._repr_html_()

        base.observe(draw, "value")
        far.observe(draw, "value")
        draw()
        box = ipywidgets.VBox([base, far, words, picture])
        box.theta, box.distance, box.words, box.picture = base, far, words, picture
        return box

    words = theta_words(theta, distance)
    return Live(f"<p>{words}</p>{theta_figure(theta, distance)._repr_html_()}", words, make)
