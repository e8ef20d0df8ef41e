"""The pictures of notebook 03 say what is so."""

import math

import pytest
import torch

from llamalab.course.lessons.nb03.figures import (
    clocks,
    clocks_and_score,
    drift,
    gone_round,
    kept,
    same_angle,
    speeds,
    stretched,
    theta_explorer,
    theta_figure,
    theta_words,
    wavelengths,
)
from llamalab.layers import rope_table


@pytest.mark.parametrize("theta", [100.0, 10_000.0, 1_000_000.0])
def test_speeds_are_those_of_the_table(theta):
    cos, sin = rope_table(128, 2, theta)
    torch.testing.assert_close(speeds(128, theta), torch.atan2(sin[1], cos[1]).double())


def test_what_is_left_of_a_score():
    assert kept(0, 10_000.0) == 1
    assert kept(1, 10_000.0, head_dim=2) == pytest.approx(math.cos(1))
    assert [round(kept(d, 10_000.0), 2) for d in (10, 100, 1000)] == [0.67, 0.48, 0.16]
    assert kept(1000, 1_000_000.0) > kept(1000, 10_000.0)


def test_how_many_have_gone_round():
    assert gone_round(6, 10_000.0) == 0 and gone_round(7, 10_000.0) > 0
    assert gone_round(4096, 10_000.0) == 46 and gone_round(2048, 10_000.0) == 41
    assert gone_round(54_409, 10_000.0) == 63 and gone_round(54_411, 10_000.0) == 64


def test_the_explorer_moves_and_its_twin_says_the_same():
    live = theta_explorer(theta=10_000.0, distance=4096)
    assert repr(live) == live.widget.words.value == theta_words(10_000.0, 4096)
    assert theta_words(10_000.0, 4096) in live.html and "<img" in live.html
    before = live.widget.picture.value
    live.widget.theta.value = 1_000_000.0
    words = "theta 1,000,000, distance 4,096: 31 of 64 pairs have gone round, score 0.28"
    assert live.widget.words.value == words
    assert live.widget.picture.value != before


def test_figures_are_pictures():
    places = ((2, 1), (7, 6))
    for fig in (
        clocks(torch.rand(3, 4), [0, 1, 10]),
        same_angle((2, 1), (2, 0), places, math.pi / 6),
        theta_figure(100.0, 1),
        stretched({"a": [4, 4], "b": [1, 4]}, 4),
        drift({"a": [0, 1, 1.4]}, [0, 1, 2]),
    ):
        assert fig.png.startswith(b"\x89PNG") and fig.caption and fig.alt


def test_hands_point_where_the_angles_say():
    quarter = torch.tensor([[0.0, 0.0], [math.pi / 2, math.pi]])  # (T, D/2)
    lines = clocks(quarter, [0, 1]).axes.get_lines()[1::2]  # before each a mark
    tips = [(x[1] - x[0], y[1] - y[0]) for x, y in (line.get_data() for line in lines)]
    for tip, want in zip(tips, [(1, 0), (0, 1), (1, 0), (-1, 0)]):
        assert tip == pytest.approx((0.36 * want[0], 0.36 * want[1]), abs=1e-6)


def test_the_clocks_say_the_score_of_their_distance():
    fig = clocks_and_score(((5, 3), (105, 103), (9, 9)), head_dim=4, theta=100.0)
    words = [t.get_text() for t in fig.axes.texts if t.get_text().startswith("score")]
    want = f"score {math.cos(2) + math.cos(0.2):.2f}"
    assert words == [want, want, "score 2.00"]
    assert "q at 105, k at 103: " + want in fig.alt


def test_the_explorer_stops_between_powers_of_two():
    distances = [value for _, value in theta_explorer().widget.distance.options]
    assert sum(2048 < d < 4096 for d in distances) >= 5
    assert distances[0] == 1 and distances[-1] == 65_536


def test_both_panels_show_one_score_at_one_distance():
    fig = same_angle((2, 1), (2, 0), ((2, 1), (7, 6), (7, 4)), math.pi / 6)
    scores = [axes.get_title().split()[-1] for axes in fig.axes]
    assert scores[0] == scores[1] != scores[2]


@pytest.mark.parametrize("context, inside", [(4096, 46), (2048, 41)])
def test_the_caption_counts_the_hands_that_go_round(context, inside):
    fig = wavelengths(context=context)
    assert f"Of 64 pairs, {inside} make" in fig.caption
    assert [len(line.get_xdata()) for line in fig.axes.get_lines()[:2]] == [inside, 64 - inside]
