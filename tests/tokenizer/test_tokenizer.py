"""BPETokenizer: the door that lessons and everything later use."""

import copy
import pickle

import numpy as np
import pytest
import torch

from llamalab.tokenizer import BPETokenizer


def pieces(tokenizer, text):
    return [tokenizer.id_to_piece(i) for i in tokenizer.encode(text)]


def test_what_llama_2_does_with_small_texts(ours):
    """The behaviour of Llama 2's own file, with our pieces."""
    assert ours.encode("") == []
    assert pieces(ours, "\n") == ["▁", "<0x0A>"]
    assert ours.encode("\n")[1] == 13
    assert ours.encode("\t")[1] == 12
    assert pieces(ours, "1234") == ["▁", "1", "2", "3", "4"]
    assert pieces(ours, " ") == ["▁▁"]
    assert pieces(ours, "the  the") == ["▁the", "▁", "▁the"]  # ▁▁ would merge last
    assert pieces(ours, "🪁") == ["▁", "<0xF0>", "<0x9F>", "<0xAA>", "<0x81>"]
    assert pieces(ours, "the\nthe")[:2] == ["▁the", "<0x0A>"]
    assert ours.encode("é") != ours.encode("e\u0301")  # nothing is rewritten


def test_text_comes_back(ours, corpus):
    for text in (corpus.replace("▁", ""), " a", "  a  ", "\n\n", "e\u0301é ﬁ", "a\0b", "<s></s>"):
        assert ours.decode(ours.encode(text)) == text
    assert ours.decode(ours.encode("▁a▁")) == " a "  # a ▁ in the text counts as a space


def test_bos_and_eos_are_asked_for_and_never_read_from_text(ours):
    ids = ours.encode("the")
    assert ours.encode("the", bos=True, eos=True) == [1, *ids, 2]
    assert ours.encode("", bos=True, eos=True) == [1, 2]
    assert ours.decode([1, *ids, 2]) == "the"
    for text in ("<s>", "</s>", "<unk>", "a<s>b"):
        assert not {0, 1, 2} & set(ours.encode(text))
        assert ours.decode(ours.encode(text)) == text
    assert 13 not in ours.encode("<0x0A>")


def test_a_model_without_bos_says_so(model_bytes):
    tokenizer = BPETokenizer.from_bytes(model_bytes("other specials"))
    assert tokenizer.bos_id == -1
    with pytest.raises(ValueError, match="no bos piece"):
        tokenizer.encode("a", bos=True)


@pytest.mark.parametrize("text", [None, b"bytes", 3, ["a"], np.str_])
def test_what_is_no_text_is_refused(ours, text):
    for method in (ours.encode, ours.encode_pieces, lambda t: list(ours.merge_steps(t))):
        with pytest.raises(TypeError, match="must be a str"):
            method(text)


def test_lone_surrogates_are_refused(ours):
    for method in (ours.encode, ours.encode_pieces, lambda t: list(ours.merge_steps(t))):
        with pytest.raises(ValueError, match=r"U\+DC80, at position 2"):
            method("ab\udc80")


@pytest.mark.parametrize("bad", [-1, 10**6, 2**70])
def test_ids_outside_the_vocabulary(ours, bad):
    with pytest.raises(ValueError, match=f"id {bad} at position 1 .* {ours.vocab_size} pieces"):
        ours.decode([3, bad])
    with pytest.raises(ValueError, match=f"id {bad}"):
        ours.id_to_piece(bad)


@pytest.mark.parametrize("bad", [True, "a", 1.0, None, [1]])
def test_ids_that_are_no_integers(ours, bad):
    with pytest.raises(TypeError, match="an id must be an integer"):
        ours.decode([3, bad])


@pytest.mark.parametrize("bad", ["13", b"ab", 13, None])
def test_decode_wants_a_sequence(ours, bad):
    with pytest.raises(TypeError, match="sequence of ids"):
        ours.decode(bad)


def test_ids_of_other_libraries(ours):
    ids = ours.encode("the river")
    assert ours.decode(np.array(ids)) == ours.decode(torch.tensor(ids)) == "the river"
    assert ours.decode(tuple(ids)) == ours.decode(iter(ids)) == "the river"


def test_merge_steps_start_with_characters_and_end_with_the_pieces(ours):
    steps = list(ours.merge_steps("the tallest"))
    assert steps[0] == list("▁the▁tallest")
    assert steps[-1] == ours.encode_pieces("the tallest")
    assert [len(step) for step in steps] == list(range(len(steps[0]), len(steps[-1]) - 1, -1))


def test_a_copy_and_a_pickle_are_the_same_tokenizer(ours):
    for other in (copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert other.to_bytes() == ours.to_bytes()
        assert other.encode("the river") == ours.encode("the river")


def test_the_memory_of_segments_is_bounded(ours):
    tokenizer = copy.deepcopy(ours)
    memory = tokenizer._encoder.segments
    memory.MAX_ENTRIES = 10
    text = " ".join(f"w{i}x" for i in range(100))
    assert tokenizer.encode(text) == ours.encode(text)
    tokenizer.encode("x" * (memory.MAX_LENGTH + 1))
    assert 0 < len(memory) <= 10 and max(map(len, memory)) <= memory.MAX_LENGTH


def test_segments_are_remembered_only_where_that_is_exact(model_bytes):
    exact = {
        "llama2": True, "nmt_nfkc": True, "symbols": True, "symbols with spaces": False,
        "inner spaces": False, "suffix": False, "unused": False,
    }  # fmt: skip
    for kind in exact:
        tokenizer = BPETokenizer.from_bytes(model_bytes(kind))
        assert (tokenizer._encoder.segments is not None) == exact[kind], kind
