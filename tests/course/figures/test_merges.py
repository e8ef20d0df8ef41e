"""The merge explorer shows what the tokenizer does, with and without a kernel."""

import pytest

from llamalab.course.lessons.nb01.figures import compression, work
from llamalab.course.lessons.nb01.merges import merge_explorer, merged_at, sentence, steps
from llamalab.tokenizer import BPETokenizer

TEXT = "the then hen them the hen the " * 3


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXT, vocab_size=3 + 256 + 6 + 5)


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


def test_the_explorer_follows_its_slider_its_text_and_its_vocabulary(tokenizer):
    pytest.importorskip("ipywidgets")
    other = BPETokenizer.train("xyz xyz", vocab_size=266)
    box = merge_explorer({"farm": tokenizer, "other": other}, "the").widget
    box.step.value = 1
    assert "h + e = he" in box.words() and "h + e = he" in box.says.value
    box.step.value = box.step.max
    box.text.value = "xy"  # fewer merges: the slider is moved back to the last one
    assert box.step.value == box.step.max == 0
    assert "Before any merge" in box.words()
    box.vocabulary.value = "other"
    assert box.step.max == 1
    box.text.value = ""
    assert "0 pieces for 0 bytes" in box.words()


def test_half_an_emoji_does_not_stop_the_explorer(tokenizer):
    pytest.importorskip("ipywidgets")
    box = merge_explorer({"farm": tokenizer}, "the").widget
    box.text.value = "\ud83d"
    assert "surrogate" in box.says.value
    box.text.value = "hen"
    assert "In the end" in box.says.value


def test_without_a_kernel_every_step_is_on_the_page(tokenizer):
    live = merge_explorer({"farm": tokenizer}, "then")
    assert live.html.count("<tr>") == len(list(tokenizer.merge_steps("then")))
    assert repr(live).splitlines()[-1] == "|".join(tokenizer.encode_pieces("then"))


def test_the_figures_say_their_claim_from_the_data():
    curve = compression([512, 1024, 2048], [2.0, 2.5, 2.75])
    assert "2.00 bytes" in curve.alt and "last step adds 0.25" in curve.alt and curve.png
    growth = work([10, 80], {"slow": [100, 6400], "queue": [30, 240]})
    assert "8 times as long, the questions grow: 64 times (slow), and 8" in growth.caption
    assert growth.png
