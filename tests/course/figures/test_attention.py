"""The pictures of notebook 04 say what is so."""

import pytest
import torch

from llamalab.course.lessons.nb04.figures import (
    attention_explorer,
    attention_figure,
    attention_words,
    cost_of_writing,
    head_groups,
    room_on_a_card,
    saturation,
    who_looks,
)

LABELS = ("a", "b", "c")


@pytest.fixture
def weights():
    """(L, H, T, S) = (2, 4, 3, 3): in layer 2, head 3, "c" looks at "b" alone."""
    made = torch.ones(2, 4, 3, 3).tril()
    made = made / made.sum(-1, keepdim=True)
    made[1, 2, 2] = torch.tensor([0.0, 1.0, 0.0])
    return made


def test_the_words_name_the_largest_weight(weights):
    said = attention_words(weights, LABELS, layer=2, head=3, token=3)
    assert said == "layer 2, head 3: “c” looks most at “b” (1.00)"
    assert attention_words(weights, LABELS, 1, 1, 1).endswith("“a” looks most at “a” (1.00)")


def test_the_explorer_moves_and_its_twin_says_the_same(weights):
    live = attention_explorer(weights, LABELS, layer=1, head=1, token=3)
    assert repr(live) == live.widget.words.value == attention_words(weights, LABELS, 1, 1, 3)
    assert repr(live) in live.html and "<img" in live.html
    before = live.widget.picture.value
    live.widget.layer.value, live.widget.head.value = 2, 3
    assert live.widget.words.value == attention_words(weights, LABELS, 2, 3, 3)
    assert live.widget.picture.value != before
    assert (live.widget.layer.max, live.widget.head.max, live.widget.token.max) == (2, 4, 3)


def test_labels_that_do_not_fit_are_refused(weights):
    with pytest.raises(ValueError, match=r"\(2, 4, 3, 3\), with 2 labels"):
        attention_explorer(weights, LABELS[:2])


def test_the_map_is_the_weights_with_the_token_between_two_lines(weights):
    fig = attention_figure(weights, LABELS, 2, 3, 3)
    rows, chart = fig.axes
    (image,) = chart.get_images()
    assert image.get_array().tolist() == weights[1, 2].tolist()
    (lines,) = chart.collections
    assert [segment[0][1] for segment in lines.get_segments()] == [1.5, 2.5]
    assert [t.get_text() for t in rows.texts if "%" in t.get_text()] == ["100% goes to “b”"]
    assert "“c” looks most at “b”" in fig.caption and "“c” looks most at “b”" in fig.alt


def test_neighbouring_query_heads_share_a_key_head():
    fig = head_groups(8, (8, 2, 1))
    assert [axes.get_title() for axes in fig.axes] == [
        "multi-head, 8 KV", "grouped-query, 2 KV", "multi-query, 1 KV"
    ]  # fmt: skip
    lines = [line.get_xdata() for line in fig.axes[1].get_lines() if 1 in line.get_ydata()]
    lines = [ends for ends in lines if len(ends) == 2]
    assert [below for _, below in lines] == 4 * [1.5] + 4 * [5.5]
    said = [[t.get_text() for t in axes.texts if "bytes" in t.get_text()] for axes in fig.axes]
    assert said == [[f"{2 * n * 128 * 2:,} bytes a token and layer"] for n in (8, 2, 1)]


def test_nobody_is_joined_to_a_later_token():
    fig = who_looks(["a", "b", "c", "d"], new=2)
    arrows = [t for t in fig.axes.texts if getattr(t, "arrow_patch", None)]
    assert len(arrows) == 2 + 3  # what lies before each query; itself is a dot
    assert "“c” looks at 3 tokens. “d” looks at 4 tokens." in fig.alt


def test_a_label_is_a_word_and_no_markup(weights):
    live = attention_explorer(weights, ("<s>", "$x$", "b"), layer=1, head=1, token=1)
    assert "“&lt;s&gt;” looks most" in live.html and "<s>" not in live.html
    assert live.widget.words.value == repr(live)


def test_the_card_holds_what_is_left_beside_the_weights():
    lines = {"small": (20e9, 1000), "same, more heads": (20e9, 8000), "too large": (90e9, 10)}
    fig = room_on_a_card(lines, card=80e9)
    small, more, none = (line.get_ydata() for line in fig.axes.get_lines())
    assert small[-1] == pytest.approx(60e9 / 1000 / 4096)
    assert small[0] == pytest.approx(8 * more[0])
    assert set(none) == {0}
    assert "small 14,648" in fig.alt and "too large 0" in fig.alt


def test_figures_are_pictures():
    for fig in (
        saturation([4, 8, 16], [0.3, 0.5, 0.7], [0.1, 0.1, 0.1]),
        head_groups(4, (4, 2, 1)),
        cost_of_writing([1, 2, 3], [1.0, 3.0, 6.0], [1.0, 2.0, 3.0]),
        room_on_a_card({"a": (1e9, 1000)}, card=80e9),
    ):
        assert fig.png.startswith(b"\x89PNG") and fig.caption and fig.alt
