"""The pictures of notebook 02 say what is so."""

import pytest
import torch

from llamalab.course.lessons.nb02.figures import (
    clouds,
    eps_explorer,
    eps_figure,
    eps_words,
    growth_by_depth,
    left_by_depth,
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


def test_figures_are_pictures():
    points = torch.tensor([[1.0, 2.0], [-1.0, 0.5]])
    for fig in (
        eps_figure(0.02, 1e-5),
        clouds(points, points, points),
        left_by_depth({"a": [1, 0.5, 0.2], "b": [1, 0.1, 0.01]}),
    ):
        assert fig.png.startswith(b"\x89PNG") and fig.caption and fig.alt


def test_every_curve_is_drawn_and_the_limit_of_float16():
    curves = {name: [1.0, 2.0, 4.0] for name in "abcde"}
    axes = growth_by_depth(curves).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list("abcde")
    assert len(axes.get_lines()) == 6
    assert len({line.get_linestyle() + line.get_color() for line in axes.get_lines()}) == 6
