"""stream_text: what comes adds up to decode, in whole characters, as early as can be."""

import io
import itertools

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from llamalab.generation import stream_text
from llamalab.tokenizer import BPETokenizer

TEXT = [
    "The hen went to the river.",
    "naïve café 12",
    "小船去大海 🦙",
    "  two  spaces",
    "to the sea",
]
LLAMA2 = dict(byte_fallback=True, normalization_rule_name="identity",
              remove_extra_whitespaces=False)  # fmt: skip
KINDS = {
    "llama2": LLAMA2,
    "spaces squeezed": {**LLAMA2, "remove_extra_whitespaces": True},
    "no space in front": {**LLAMA2, "add_dummy_prefix": False},
    "no bytes": {"normalization_rule_name": "identity"},
    "space behind": {**LLAMA2, "treat_whitespace_as_suffix": True},
    "unknown is nothing": {"unk_surface": ""},
    "unknown is broken": {"unk_surface": "\ufffd"},
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT * 3), model_writer=model, minloglevel=3, num_threads=1,
        model_type="bpe", vocab_size=400, hard_vocab_limit=False, character_coverage=0.98,
        **KINDS[request.param],
    )  # fmt: skip
    return BPETokenizer.from_bytes(model.getvalue())


@pytest.fixture(scope="module")
def llama2():
    return BPETokenizer.train("the hen went to the river, and the river went to the sea\n" * 3, 290)


def pieces(tokenizer, ids):
    pieces = list(stream_text(tokenizer, iter(ids)))
    assert all(pieces), "an empty piece"
    assert "".join(pieces) == tokenizer.decode(ids)
    return pieces


def test_any_ids_add_up(tokenizer):
    size = tokenizer.vocab_size

    @settings(max_examples=300)
    @given(st.lists(st.integers(0, size - 1), max_size=20))
    def check(ids):
        pieces(tokenizer, ids)

    check()


def test_all_short_sequences_of_awkward_ids(tokenizer):
    """Starts and ends of characters, lone bytes, spaces, <s>, the unknown: all orders of four."""
    names = ["<0xE2>", "<0x82>", "<0xF0>", "▁", "▁the", "e"]
    ids = {tokenizer.unk_id, tokenizer.bos_id, *map(tokenizer.piece_to_id, names)}
    for n in range(5):
        for sequence in itertools.product(sorted(ids), repeat=n):
            pieces(tokenizer, list(sequence))


def test_texts_that_it_wrote(tokenizer):
    for text in [*TEXT, "🦙é€ß" * 3, " \n\n x", "日本語"]:
        pieces(tokenizer, tokenizer.encode(text, bos=True, eos=True))


def test_whole_characters_and_no_later_than_need_be(llama2):
    ids = llama2.encode("the 🦙 é")
    names = [llama2.id_to_piece(i) for i in ids]
    assert names[-8:] == ["▁", "<0xF0>", "<0x9F>", "<0xA6>", "<0x99>", "▁", "<0xC3>", "<0xA9>"]
    assert pieces(llama2, ids)[-4:] == [" ", "🦙", " ", "é"]
    given_out = []

    def watched():
        for i in ids:
            given_out.append(i)
            yield i

    stream = stream_text(llama2, watched())
    assert next(stream) == "the" and given_out == ids[:1]  # an id's text comes with the id
    assert next(stream) == " " and next(stream) == "🦙" and given_out == ids[:6]


def test_what_stays_broken_is_said_in_the_end(llama2):
    half = [llama2.piece_to_id(name) for name in ("<0xF0>", "<0x9F>", "<0xA6>")]
    assert pieces(llama2, half) == ["\ufffd\ufffd\ufffd"]
    the = llama2.encode("the")
    assert pieces(llama2, [*half, *the]) == ["\ufffd\ufffd\ufffd the"]
    assert pieces(llama2, the + half[:1] * 6)[:2] == ["the", "\ufffd"]


def test_nothing_at_all(llama2):
    assert pieces(llama2, []) == []
    assert pieces(llama2, [llama2.bos_id, llama2.eos_id]) == []


def test_the_work_does_not_grow_with_the_length(llama2, monkeypatch):
    longest, original = [], llama2.decode

    class Watched:
        def decode(self, ids):
            longest.append(len(ids))
            return original(ids)

    ids = llama2.encode("the hen went to the sea é " * 40)
    "".join(stream_text(Watched(), ids))
    assert len(ids) > 300 and max(longest) < 8
