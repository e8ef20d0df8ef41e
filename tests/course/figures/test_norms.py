"""The pictures of notebook 02 say what is so."""

import pytest
import torch

from llamalab.course.figures import palette
from llamalab.course.lessons.nb02.figures import (
    COLOUR,
    EPS,
    SIZES,
    clouds,
    eps_explorer,
    eps_figure,
    eps_words,
    growth_by_depth,
    left_by_depth,
    river,
    size_after,
)


@pytest.mark.parametrize("eps", [1e-6, 1e-5, 1e-3])
def test_the_curve_is_flat_at_one_and_passes_071_at_the_root_of_eps(eps):
    assert size_after(100.0, eps) == pytest.approx(1, abs=1e-6)
    assert size_after(eps**0.5, eps) == pytest.approx(0.5**0.5)
    assert size_after(0.0, eps) == 0


def test_the_explorer_moves_and_its_twin_says_the_same():
    live = eps_explorer(size=0.02, eps=1e-5)
    assert repr(live) == live.widget.words.value == eps_words(0.02, 1e-5)
    assert eps_words(0.02, 1e-5) in live.html and "<img" in live.html
    before = live.widget.picture.value
    live.widget.size.value, live.widget.eps.value = 1e-3, 1e-6
    assert live.widget.words.value == "size before 0.001, eps 1e-06: size after 0.707"
    assert live.widget.picture.value != before


def test_the_knee_of_every_eps_can_be_reached_with_the_slider():
    for eps in EPS:
        assert any(abs(size / eps**0.5 - 1) < 1e-9 for size in SIZES), eps


def test_figures_are_pictures():
    points = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    for fig in (
        river(),
        eps_figure(0.02, 1e-5),
        clouds(points, points, points),
        left_by_depth({"a": [1, 0.5, 0.2], "b": [1, 0.1, 0.01]}),
    ):
        assert fig.png.startswith(b"\x89PNG") and fig.caption and fig.alt


def test_every_curve_has_its_name_at_its_end_in_its_colour():
    curves = {name: [1.0, 2.0, 4.0 + k] for k, name in enumerate(list(COLOUR)[:5])}
    axes = growth_by_depth(curves).axes
    said = {text.get_text(): text.get_color() for text in axes.texts}
    for name in curves:
        assert said[name] == palette.for_words(COLOUR[name])  # the hue, dark enough to read
    assert axes.get_legend() is None
    assert len(axes.get_lines()) == 6  # the curves, and the limit of float16
    assert len({line.get_color() for line in axes.get_lines()}) == 6
    assert COLOUR["x ← x + W norm(x)"] == COLOUR["pre-norm"] == palette.NORM


def test_the_layer_at_which_float16_ends_is_read_off_the_curve():
    axes = growth_by_depth({"x ← x + W x": [10.0, 70_000.0, 1e6], "x ← W x": [1.0] * 3}).axes
    said = [text.get_text() for text in axes.texts]
    assert "x ← x + W x leaves\nfloat16 at layer 2" in said
    assert not any("x ← W x leaves" in words for words in said)


def test_the_river_has_two_norms_in_the_block_and_one_behind_it():
    said = [text.get_text() for text in river().axes.texts]
    assert said.count("norm") == 3 and said.count("+") == 2
    assert {"embedding", "attention", "feed-forward", "head"} <= set(said)
