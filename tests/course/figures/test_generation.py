"""The pictures of notebook 08 say what is so."""

import math

import pytest
import torch

from llamalab.course.figures.html import plain
from llamalab.course.figures.palette import INK
from llamalab.course.lessons.nb08.figures import (
    counted,
    dullness,
    entropy,
    price_of_a_token,
    sampler_explorer,
    sampler_figure,
    sampler_words,
    samplers,
    top_p_cut,
)

LABELS = ("a", "b", "c", "d", "e")
LOGITS = torch.tensor([8.0, 1.0, 4.0, 2.0, 1.0]).log()  # shares of 16


def write(**options):
    return f"told <with> {options}"


def test_entropy_is_yes_or_no_questions():
    assert entropy(torch.full((8,), 1 / 8)) == pytest.approx(3)
    assert entropy(torch.tensor([0.0, 1.0, 0.0])) == 0
    law = torch.tensor([0.5, 0.25, 0.25])
    assert entropy(law) == pytest.approx(
        torch.distributions.Categorical(law).entropy() / math.log(2)
    )


def test_the_words_count_what_can_come():
    assert sampler_words(LOGITS, 1.0, 0, 1.0) == (
        "temperature 1.0, top-k off, top-p off: 5 of 5 tokens can come, entropy 1.9 bits"
    )
    assert "top-k 3, top-p off: 3 of 5" in sampler_words(LOGITS, 1.0, 3, 1.0)
    assert "top-p 0.70: 2 of 5" in sampler_words(LOGITS, 1.0, 0, 0.7)  # 8/16, 12/16
    assert "1 of 5 tokens can come, entropy 0.0 bits" in sampler_words(LOGITS, 0.0, 0, 1.0)
    assert "top-p 0.70: 1 of 5" in sampler_words(LOGITS, 0.5, 0, 0.7)  # the temperature comes first


def test_the_bars_are_the_model_s_share_and_the_drawn_one():
    fig = sampler_figure(LOGITS, LABELS, 1.0, 0, 0.7)
    grey, blue = ([bar.get_width() for bar in part] for part in fig.axes.containers)
    assert grey == pytest.approx([8 / 16, 4 / 16, 2 / 16, 1 / 16, 1 / 16, 0])
    assert blue == pytest.approx([2 / 3, 1 / 3, 0, 0, 0, 0])
    names = fig.axes.get_yticklabels()
    assert [name.get_text() for name in names] == ["a", "c", "d", "b", "e", "all others"]
    assert [name.get_color() for name in names[:3]] == [INK, INK, "#A9A59A"]
    assert [text.get_text() for text in fig.axes.texts] == ["drawn from", "the model's own"]


def test_one_panel_a_sampler_on_the_same_tokens():
    before = LOGITS.softmax(-1)
    after = {"top-k 1": torch.eye(5)[0], "as it is": before}
    fig = samplers(LABELS, before, after, top=3)
    for axes, probs in zip(fig.axes, after.values()):
        grey, blue = ([bar.get_width() for bar in part] for part in axes.containers)
        assert grey == pytest.approx([8 / 16, 4 / 16, 2 / 16, 2 / 16])
        assert blue[0] == pytest.approx(float(probs[0])) and sum(blue) == pytest.approx(1)
    assert "top-k 1: 1 can come, “a” with 1.00; as it is: 5 can come" in fig.alt


def test_each_bar_of_the_cut_stands_on_those_in_front_of_it():
    law, sure = LOGITS.softmax(-1), torch.tensor([0.0, 0.96, 0.02, 0.02, 0.0])
    fig = top_p_cut(LABELS, {"open": law, "sure": sure}, 0.7)
    steps = [bar for part in fig.axes[0].containers for bar in part]
    assert [bar.get_y() for bar in steps] == pytest.approx([0, 8 / 16, 12 / 16, 14 / 16, 15 / 16])
    colours = [bar.get_facecolor() for bar in steps]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert fig.alt.endswith("open: 2 stay; sure: 1 stays.")
    names = [text.get_text() for text in fig.axes[1].texts]
    assert {"b", "crosses p, and stays", "2 others", "p = 0.7"} <= set(names)


def test_the_explorer_moves_and_its_twin_says_the_same():
    live = sampler_explorer(LOGITS, LABELS, write, temperature=1.0, top_p=0.7)
    words = sampler_words(LOGITS, 1.0, 0, 0.7)
    assert repr(live) == live.widget.words.value == words
    assert words in live.html and "<img" in live.html
    assert "told <with> {'temperature': 1.0, 'top_k': None, 'top_p': 0.7}" in plain(live.html)
    assert "&lt;with&gt;" in live.html and "<with>" not in live.widget.more.value
    before = live.widget.picture.value
    live.widget.temperature.value, live.widget.top_k.value = 0.5, 2
    live.widget.top_p.value = 1.0
    assert live.widget.words.value == sampler_words(LOGITS, 0.5, 2, 1.0)
    assert "'temperature': 0.5, 'top_k': 2, 'top_p': None" in plain(live.widget.more.value)
    assert live.widget.picture.value != before


def test_labels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"\(5,\), 3"):
        sampler_explorer(LOGITS, LABELS[:3], write)


def test_the_price_of_a_token_is_a_line_for_each_way():
    fig = price_of_a_token([10, 100], {"again": [2.0, 9.0], "cached": [1.0, 1.5]})
    again, cached = fig.axes.get_lines()
    assert list(again.get_ydata()) == [2.0, 9.0] and list(cached.get_ydata()) == [1.0, 1.5]
    assert "behind 10 to 100" in fig.alt
    assert "again: from 2.0 to 9.0; cached: from 1.0 to 1.5" in fig.alt


def test_every_way_of_choosing_is_a_point():
    fig = dullness({"greedy": (-0.25, 0.4), "hot": (-2.0, 0.9)})
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in fig.axes.get_lines()]
    assert points == [(-0.25, 0.4), (-2.0, 0.9)]
    assert "greedy -0.25 and 40%, hot -2.00 and 90%" in fig.alt


def test_what_fell_wrong_is_counted():
    fig = counted("xyz", [0.5, 0.3, 0.2], {"right": [0.5, 0.3, 0.2], "wrong": [0.4, 0.3, 0.3]})
    assert "right 0.0%, wrong 10.0%" in fig.alt
    bars = [[bar.get_height() for bar in axes.containers[0]] for axes in fig.axes]
    assert bars == [[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]]
    assert [axes.get_title("left") or axes.get_title() for axes in fig.axes] == [
        "right\nthe model's law", "wrong\n10% fall wrong"
    ]  # fmt: skip
    assert fig.png.startswith(b"\x89PNG") and fig.caption
