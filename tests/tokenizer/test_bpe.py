"""The pure functions: what the lesson says of them, and the fast one against the slow one."""

import doctest
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.tokenizer import bpe
from llamalab.tokenizer.text import check_text

fixed = settings(max_examples=300)


def test_the_examples_in_the_docstrings():
    failed, tried = doctest.testmod(bpe)
    assert tried >= 5 and failed == 0


def test_count_pairs_weighs_words_and_counts_overlaps():
    words = {("l", "o", "w"): 5, ("l", "o", "w", "e", "r"): 2, ("a", "a", "a"): 1, ("x",): 9}
    pairs = bpe.count_pairs(words)
    assert pairs == {("l", "o"): 7, ("o", "w"): 7, ("w", "e"): 2, ("e", "r"): 2, ("a", "a"): 2}


def test_merge_pair_goes_from_left_to_right_and_keeps_its_argument():
    symbols = ("a", "a", "a", "a", "a", "b")
    assert bpe.merge_pair(symbols, ("a", "a")) == ("aa", "aa", "a", "b")
    assert symbols == ("a", "a", "a", "a", "a", "b")
    assert bpe.merge_pair(["ab", "c"], ("a", "b")) == ["ab", "c"]  # "ab" is one symbol here
    assert bpe.merge_pair([], ("a", "b")) == []


def test_the_higher_score_goes_first_and_the_leftmost_on_a_tie():
    assert bpe.encode_slow("abc", {"ab": -2.0, "bc": -1.0}) == ["a", "bc"]
    assert bpe.encode_slow("abc", {"ab": -1.0, "bc": -1.0}) == ["ab", "c"]
    assert list(bpe.merge_steps("aaa", {"aa": 0.0})) == [["a", "a", "a"], ["aa", "a"]]


scores = st.dictionaries(
    st.text("abc", min_size=2, max_size=5),
    st.sampled_from([-3.0, -2.0, -1.0, -1.0, 0.0, 0.5]) | st.floats(allow_nan=False, width=32),
    max_size=25,
)


@fixed
@given(st.text("abc", max_size=30), scores)
def test_the_queue_gives_what_the_slow_search_gives(word, scores):
    assert bpe.merge_by_score(word, scores) == bpe.encode_slow(word, scores)


@fixed
@given(st.text("ab▁ é大😀", max_size=20), st.dictionaries(st.text("ab▁", min_size=1), st.just(0.0)))
def test_no_text_is_lost(word, scores):
    pieces = bpe.encode_word(word, scores)
    expected = word.replace("▁", " ")
    assert bpe.decode_pieces(["▁", *pieces]) in (expected, word)  # ▁ in bytes stays ▁
    assert b"".join(
        bytes([bpe.BYTE_OF[p]]) if p in bpe.BYTE_OF else p.encode() for p in pieces
    ) == word.encode("utf-8")


def test_decode_pieces_marks_every_broken_byte():
    assert bpe.decode_pieces(["<0xE2>", "<0x96>", "a"]) == "\ufffd\ufffda"
    assert bpe.decode_pieces(["▁", "▁a"]) == " a"
    assert bpe.decode_pieces([]) == ""


def test_a_long_run_takes_time_in_proportion():
    """200,000 characters with no space; a quadratic merge would take hours."""
    scores = {"a" * 2**k: -float(k) for k in range(1, 5)} | {"ab": -9.0}

    def seconds(n):
        start = time.perf_counter()
        pieces = bpe.merge_by_score("a" * n, scores)
        assert "".join(pieces) == "a" * n
        return time.perf_counter() - start

    assert min(seconds(200_000) for _ in range(2)) < 40 * min(seconds(20_000) for _ in range(3))


@pytest.mark.parametrize("text, position", [("\ud800", 0), ("abc\udfff", 3)])
def test_a_lone_surrogate_is_refused_with_its_place(text, position):
    with pytest.raises(ValueError, match=f"position {position}"):
        check_text(text)
    with pytest.raises(ValueError, match=f"position {position + 7}"):
        check_text(text, 7)
