"""The pictures of notebook 01 show what the tokenizer does, with and without a kernel."""

import pytest

from llamalab.course.lessons.nb01.figures import compression, scripts, work
from llamalab.course.lessons.nb01.merges import (
    merge_explorer,
    merge_tree,
    merged_at,
    sentence,
    steps,
)
from llamalab.tokenizer import BPETokenizer

TEXT = "the then hen them the hen the " * 3


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT, vocab_size=3 + 256 + 6 + 5)


@pytest.fixture(scope="module")
def scores(tokenizer):
    return {tokenizer.id_to_piece(i): s for i, s in enumerate(tokenizer.scores)}


def test_the_place_of_a_merge_is_found_also_among_equal_symbols():
    assert merged_at(["a", "b", "a", "b"], ["a", "b", "ab"]) == 2
    assert merged_at(["a", "a", "a"], ["aa", "a"]) == 0
    assert merged_at(["a"], ["a"]) is None


def test_steps_frame_exactly_the_piece_that_was_made(tokenizer):
    rows = list(tokenizer.merge_steps("then"))
    html = steps(rows)._repr_html_()
    assert html.count("solid #000") == len(rows) - 1
    assert repr(steps(rows)).splitlines()[0] == "  0  ▁|t|h|e|n"


def test_a_step_in_words_names_both_halves_and_the_score(tokenizer):
    rows = list(tokenizer.merge_steps("the"))
    assert sentence(tokenizer, rows, 1) == f"Merge 1 of {len(rows) - 1}: h + e = he, score 0."


def test_markup_in_the_text_is_shown_and_not_obeyed(tokenizer):
    html = steps(list(tokenizer.merge_steps("<b>&")))._repr_html_()
    assert "<b>" not in html and "&lt;" in html and "&amp;" in html


def test_a_tree_has_every_character_and_every_merge_once(tokenizer, scores):
    rows = list(tokenizer.merge_steps("then hen"))
    tree = merge_tree(rows, scores)
    drawn = [text.get_text() for text in tree.axes.texts]
    made = [rows[i][merged_at(rows[i - 1], rows[i])] for i in range(1, len(rows))]
    for symbol in {*rows[0], *made}:
        assert drawn.count(symbol) == rows[0].count(symbol) + made.count(symbol), symbol
    filled = [t for t in tree.axes.texts if t.get_bbox_patch() and
              t.get_bbox_patch().get_facecolor()[2] < 0.5]  # fmt: skip
    assert [t.get_text() for t in sorted(filled, key=lambda t: t.get_position()[0])] == rows[-1]
    assert f"{len(rows[0])} characters become {len(rows[-1])} pieces" in tree.caption
    assert f"merge 1 makes {made[0]}" in tree.alt


def test_a_tree_may_stop_on_the_way(tokenizer, scores):
    rows = list(tokenizer.merge_steps("then"))
    assert f"become {len(rows[1])} pieces" in merge_tree(rows, scores, upto=1).caption
    assert f"become {len(rows[0])} pieces" in merge_tree(rows, scores, upto=0).caption
    assert merge_tree(rows, scores, upto=99).png == merge_tree(rows, scores).png


def test_the_explorer_follows_its_slider_its_text_and_its_vocabulary(tokenizer):
    pytest.importorskip("ipywidgets")
    other = BPETokenizer.train("xyz xyz", vocab_size=266)
    box = merge_explorer({"farm": tokenizer, "other": other}, "the").widget
    box.merges.value = 1
    assert "h + e = he" in box.words.value and "merge 1 makes he" in box.picture.value
    before = box.picture.value
    box.merges.value = box.merges.max  # beyond the last merge nothing happens any more
    assert box.words.value.startswith("Merge 3 of 3") and box.picture.value != before
    box.text.value = "xy"
    assert "Before any merge" in box.words.value
    box.vocabulary.value = "other"
    assert "Merge 1 of 1: x + y = xy" in box.words.value
    box.text.value = ""
    assert "0 pieces for 0 bytes" in box.words.value


def test_a_long_text_and_one_in_another_script_are_shown_as_a_row(tokenizer):
    for text in ("the hen " * 6, "猫 <b>"):
        live = merge_explorer({"farm": tokenizer}, text)
        assert "<figure" not in live.html and "<b>" not in live.html
        assert "monospace" in live.html


def test_half_an_emoji_does_not_stop_the_explorer(tokenizer):
    pytest.importorskip("ipywidgets")
    box = merge_explorer({"farm": tokenizer}, "the").widget
    box.text.value = "\ud83d"
    assert "surrogate" in box.words.value and box.picture.value == box.more.value == ""
    box.text.value = "hen"
    assert "In the end" in box.words.value


def test_without_a_kernel_the_whole_tree_and_the_pieces_are_on_the_page(tokenizer):
    live = merge_explorer({"farm": tokenizer}, "then")
    rows = list(tokenizer.merge_steps("then"))
    assert f"merge {len(rows) - 1} makes" in live.html
    assert f"In the end: {len(rows[-1])} pieces for 4 bytes." in repr(live)


def test_the_figures_say_their_claim_from_the_data():
    curve = compression([512, 1024, 2048], [2.0, 2.5, 2.75])
    assert "2.00 bytes" in curve.alt and "last step adds 0.25" in curve.alt and curve.png
    said = [text.get_text() for text in curve.axes.texts]
    assert "+0.50 bytes\na token" in said and "+0.25 bytes\na token" in said
    growth = work([10, 80], {"slow": [100, 6400], "queue": [30, 240]})
    assert "8 times as long, the questions grow: 64 times (slow), and 8" in growth.caption
    assert {text.get_text() for text in growth.axes.texts} == {"slow:\n6,400", "queue:\n240"}


def test_scripts_without_pieces_are_told_from_those_with():
    fig = scripts({"Long": 10, "Short": 30, "Other": 25}, {"Long": 20, "Short": 30, "Other": 24})
    assert "10 tokens in Long, 30 in Short" in fig.caption
    assert "In Other, Short there are no fewer tokens than bytes" in fig.alt
    colours = [bar.get_facecolor() for bar in fig.axes.patches]
    assert colours[0] != colours[1] == colours[2]
