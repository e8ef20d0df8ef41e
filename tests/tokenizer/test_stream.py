"""encode_stream: the same ids as encode, wherever the text was cut."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.tokenizer import BPETokenizer

KINDS = [
    "llama2", "no byte fallback", "squeezed", "no prefix", "suffix", "inner spaces",
    "equal scores", "plain spaces, squeezed", "symbols", "ours", "squeezed, no prefix",
]  # fmt: skip
chunks = st.lists(
    st.text("ab the\n\n ▁大é🪁", max_size=12)
    | st.sampled_from(["\n", " \n ", "  ", "", "the tallest"]),
    max_size=8,
)


@pytest.mark.parametrize("kind", KINDS)
def test_the_chunks_add_up(model_bytes, kind):
    tokenizer = BPETokenizer.from_bytes(model_bytes(kind))

    @settings(max_examples=100)
    @given(chunks)
    def check(chunks):
        ids = list(itertools.chain.from_iterable(tokenizer.encode_stream(chunks)))
        assert ids == tokenizer.encode("".join(chunks))

    check()


def test_a_file_and_the_specials(ours, tmp_path, corpus):
    path = tmp_path / "text.txt"
    path.write_text(corpus * 20, encoding="utf-8", newline="\n")
    with path.open(encoding="utf-8", newline="") as lines:
        ids = list(itertools.chain.from_iterable(ours.encode_stream(lines, bos=True, eos=True)))
    assert ids == ours.encode(corpus * 20, bos=True, eos=True)
    assert list(ours.encode_stream([], bos=True, eos=True)) == [[1], [2]]
    assert list(ours.encode_stream(["", ""])) == []


def test_no_more_than_the_longest_line_is_read_ahead(ours):
    read = []

    def endless():
        for i in itertools.count():
            read.append(i)
            yield "the river\n"

    stream = ours.encode_stream(endless())
    for _ in range(1000):
        next(stream)
    assert len(read) <= 1002


def test_a_surrogate_is_placed_in_the_whole_text(ours):
    with pytest.raises(ValueError, match="position 5"):
        list(ours.encode_stream(["the\n", "a\ud800"]))


@pytest.mark.parametrize(
    "kind, why",
    [("nmt_nfkc", "may rewrite newlines"), ("rules both ways", "may rewrite newlines"),
     ("unused", "unused pieces")],
)  # fmt: skip
def test_models_that_cannot_be_streamed_say_why(model_bytes, kind, why):
    tokenizer = BPETokenizer.from_bytes(model_bytes(kind))
    with pytest.raises(ValueError, match=why):
        tokenizer.encode_stream(["a"])  # at once, not at the first line


def test_a_piece_that_reaches_over_a_newline_says_so(train_library, llama2_options):
    symbols = llama2_options | {"user_defined_symbols": ["a\nb"], "vocab_size": 300}
    tokenizer = BPETokenizer.from_bytes(train_library(["ab ab"] * 3, **symbols))
    with pytest.raises(ValueError, match="behind a newline"):
        tokenizer.encode_stream(["a\nb"])
