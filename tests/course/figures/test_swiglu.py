"""The pictures of notebook 05 say what is so."""

import math

import pytest
import torch

from llamalab.course.lessons.nb05.figures import (
    BENDS,
    UNCHANGED,
    bends,
    by_seed,
    gate_explorer,
    gate_figure,
    gate_words,
    gated,
    layer_by_hand,
    slopes,
)


@pytest.mark.parametrize("z", [-3.0, -1.0, 0.5, 2.0])
def test_slopes_are_what_nudges_say(z):
    nudge = 1e-6
    for bend in BENDS.values():
        low, high = bend(torch.tensor([z - nudge, z + nudge], dtype=torch.float64))
        slope = slopes(bend, torch.tensor([z]).double()).item()
        assert slope == pytest.approx(((high - low) / (2 * nudge)).item(), abs=1e-4)


def test_the_dips_that_the_alt_text_names():
    x = torch.linspace(-5, 5, 2001).double()
    assert BENDS["GELU"](x).min().item() == pytest.approx(-0.17, abs=0.005)
    assert BENDS["SiLU"](x).min().item() == pytest.approx(-0.28, abs=0.005)
    fig = bends()
    assert "-0.17" in fig.alt and "-0.28" in fig.alt


def test_a_gate_is_silu_times_the_value():
    for gate, value in ((2.0, -1.0), (-4.0, 3.0), (0.0, 5.0)):
        assert gated(gate, value) == pytest.approx(gate / (1 + math.exp(-gate)) * value)


def test_the_explorer_moves_and_its_twin_says_the_same():
    live = gate_explorer(gate=2.0, value=-1.0)
    assert repr(live) == live.widget.words.value == gate_words(2.0, -1.0)
    assert gate_words(2.0, -1.0) in live.html and "<img" in live.html
    before = live.widget.picture.value
    live.widget.gate.value, live.widget.value.value = 0.0, 3.0
    assert live.widget.words.value == (
        "gate 0.0 is 50% open: silu(gate) = 0.00, times value 3.0 is 0.00"
    )
    assert live.widget.picture.value != before


def test_the_explorer_shows_the_number_that_it_was_given_or_refuses_it():
    assert gate_explorer(gate=9, value=-7).widget.gate.value == 9.0
    assert "gate 9.0 is 100% open" in repr(gate_explorer(gate=9))
    with pytest.raises(ValueError, match="gate=11 is not between -10 and 10"):
        gate_explorer(gate=11)


def test_the_dashed_line_is_a_gate_that_changes_nothing():
    assert gated(UNCHANGED, 3.0) == pytest.approx(3.0, abs=1e-6)
    for gate, value in ((2.0, -1.0), (-10.0, 10.0), (10.0, 10.0)):
        axes = gate_figure(gate, value).axes
        (line,) = [one for one in axes.get_lines() if one.get_linestyle() == "--"]
        assert list(line.get_ydata()) == pytest.approx(list(line.get_xdata()))
        low, high = axes.get_ylim()
        assert low < gated(gate, value) < high


def test_the_layer_shows_the_numbers_of_the_hand():
    fig = layer_by_hand([1, 2], [[1, 1], [1, -2]], [[1, 1], [1, -1]], [[2, 0], [0, 3]])
    shown = {text.get_text() for text in fig.axes.texts}
    assert {"3.00", "-3.00", "2.86", "-0.14", "5.72", "-0.85", "4.86", "6.57"} <= shown
    assert "(5.72, -0.85)" in fig.alt and "(4.86, 6.57)" in fig.alt


def test_nothing_is_minus_nothing():
    assert "-0.00" not in gate_words(0.0, -2.0) and "-0.00" not in gate_words(-3.0, 0.0)


def test_figures_are_pictures():
    losses = {"ReLU": [2.4, 2.5], "SwiGLU": [2.3, 2.2]}
    for fig in (bends(), gate_figure(2.0, -1.0), by_seed(losses, "A claim.")):
        assert fig.png.startswith(b"\x89PNG") and fig.caption and fig.alt


def test_every_seed_is_a_dot_every_mean_a_bar_and_a_line_joins_a_seed():
    fig = by_seed({"a": [1.0, 2.0, 4.0], "b": [3.0, 3.5, 5.0]}, "A claim.")
    dots, bar, *_ = fig.axes.get_lines()
    assert list(dots.get_xdata()) == [1.0, 2.0, 4.0]
    assert bar.get_xdata()[0] == pytest.approx(7 / 3)
    joined = [list(line.get_xdata()) for line in fig.axes.get_lines()[-3:]]
    assert joined == [[1.0, 3.0], [2.0, 3.5], [4.0, 5.0]]
    assert [label.get_text() for label in fig.axes.get_yticklabels()] == ["a", "b"]
    assert "a 2.33, b 3.83" in fig.alt
    assert "2.333" in {text.get_text() for text in fig.axes.texts}
