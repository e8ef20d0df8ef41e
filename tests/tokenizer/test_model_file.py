"""The .model file: the library's own fields, clear refusals, and no clash with other libraries."""

import random
import subprocess
import sys

import pytest
from sentencepiece import sentencepiece_model_pb2

from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.sentencepiece.model_file import ModelProto


@pytest.mark.parametrize("name", ["ModelProto", "TrainerSpec", "NormalizerSpec", "SentencePiece"])
def test_fields_numbers_and_defaults_are_the_librarys(name):
    ours = ModelProto.DESCRIPTOR.file.message_types_by_name[name]
    theirs = sentencepiece_model_pb2.DESCRIPTOR.message_types_by_name
    theirs = theirs[name] if name in theirs else theirs["ModelProto"].nested_types_by_name[name]
    for field in ours.fields:
        other = theirs.fields_by_name[field.name]
        assert (field.number, field.type) == (other.number, other.type), field.name
        if field.message_type is None:
            assert field.default_value == other.default_value, field.name
        if field.enum_type is not None:
            assert {value.name: value.number for value in field.enum_type.values} == {
                value.name: value.number for value in other.enum_type.values
            }


def test_what_we_do_not_read_is_kept(model_bytes):
    theirs = sentencepiece_model_pb2.ModelProto.FromString(model_bytes("symbols"))
    assert list(theirs.trainer_spec.user_defined_symbols)
    again = BPETokenizer.from_bytes(theirs.SerializeToString()).to_bytes()
    assert sentencepiece_model_pb2.ModelProto.FromString(again) == theirs


def test_the_spec_of_what_we_train_is_honest(ours):
    model = sentencepiece_model_pb2.ModelProto.FromString(ours.to_bytes())
    spec, normalizer = model.trainer_spec, model.normalizer_spec
    assert spec.model_type == 2 and spec.vocab_size == len(model.pieces) == ours.vocab_size
    assert spec.byte_fallback and spec.split_digits and spec.allow_whitespace_only_pieces
    assert not spec.treat_whitespace_as_suffix and spec.max_sentencepiece_length == 16
    assert normalizer.name == "identity" and normalizer.precompiled_charsmap == b""
    assert normalizer.add_dummy_prefix and normalizer.escape_whitespaces
    assert not normalizer.remove_extra_whitespaces
    assert (spec.unk_id, spec.bos_id, spec.eos_id, spec.pad_id) == (0, 1, 2, -1)


@pytest.mark.parametrize("first", ["llamalab.tokenizer", "sentencepiece.sentencepiece_model_pb2"])
def test_it_lives_beside_the_librarys_own_messages(first):
    """Two files of one name in protobuf's shared pool would end the process."""
    second = ({"llamalab.tokenizer", "sentencepiece.sentencepiece_model_pb2"} - {first}).pop()
    subprocess.run([sys.executable, "-c", f"import {first}, {second}"], check=True)


@pytest.mark.parametrize("kind", ["unigram", "word", "char"])
def test_other_kinds_of_model_are_named(train_library, corpus, tmp_path, kind):
    path = tmp_path / "other.model"
    path.write_bytes(train_library(corpus.split("\n") * 3, model_type=kind, vocab_size=600))
    with pytest.raises(ValueError, match=f"other.model: a {kind} model; only .* BPE"):
        BPETokenizer.load(path)


def edited(data, edit):
    model = sentencepiece_model_pb2.ModelProto.FromString(data)
    edit(model)
    return model.SerializeToString()


def twice(model):
    model.pieces[300].piece = model.pieces[301].piece


def no_unknown(model):
    model.pieces[0].type = 1


def two_unknown(model):
    model.pieces[300].type = 2


def one_byte_less(model):
    del model.pieces[20]


def byte_by_another_name(model):
    model.pieces[20].piece = "<0xZZ>"


def bytes_undeclared(model):
    model.trainer_spec.byte_fallback = False


def empty_piece(model):
    model.pieces[300].piece = ""


def nul_piece(model):
    model.pieces[300].piece = "a\0"


def not_a_number(model):
    model.pieces[300].score = float("nan")


def no_pieces(model):
    del model.pieces[:]


def no_normalizer(model):
    model.ClearField("normalizer_spec")


def broken_table(model):
    model.normalizer_spec.precompiled_charsmap = b"\xff\xff\xff\x7f----"


@pytest.mark.parametrize(
    "edit, match",
    [
        (twice, "is there twice, as number 300 and 301"),
        (no_unknown, "0 pieces are marked as unknown"),
        (two_unknown, r"2 pieces are marked as unknown .*\[0, 300\]"),
        (one_byte_less, "255 of 256 byte pieces"),
        (byte_by_another_name, "piece 20, '<0xZZ>', is marked as a byte"),
        (bytes_undeclared, "byte_fallback=False, but 256"),
        (empty_piece, "piece 300 is ''"),
        (nul_piece, "holds no NUL"),
        (not_a_number, "score NaN"),
        (no_pieces, "there is no piece"),
        (no_normalizer, "no normalizer_spec"),
        (broken_table, "precompiled_charsmap"),
    ],
)
def test_models_with_something_wrong(model_bytes, tmp_path, edit, match):
    path = tmp_path / "bad.model"
    path.write_bytes(edited(model_bytes("llama2"), edit))
    with pytest.raises(ValueError, match=match) as caught:
        BPETokenizer.load(path)
    assert "bad.model" in str(caught.value)


@pytest.mark.parametrize(
    "data, match",
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"just some text, no model at all\n", "no SentencePiece model"),
        (b'{"model": {"type": "BPE"}}', "no SentencePiece model"),
        (b"PK\x03\x04" + bytes(100), "no SentencePiece model"),
        (bytes(1000), "no SentencePiece model"),
        (b"\x0a\x02\x0a\x00", "trainer_spec|never empty"),
    ],
)
def test_files_that_are_no_model(tmp_path, data, match):
    path = tmp_path / "what.model"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=match) as caught:
        BPETokenizer.load(path)
    assert "what.model" in str(caught.value)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        BPETokenizer.load(tmp_path / "nowhere.model")


def test_every_kind_of_cut_is_noticed(model_bytes):
    data = model_bytes("llama2")
    for length in range(0, len(data), 97):
        with pytest.raises(ValueError):
            BPETokenizer.from_bytes(data[:length])


@pytest.mark.parametrize("kind", ["llama2", "nmt_nfkc"])
def test_damaged_files_give_a_value_error_or_a_tokenizer(model_bytes, kind):
    draw = random.Random(11)
    data = model_bytes(kind)
    for _ in range(300 if kind == "llama2" else 100):
        damaged = bytearray(data)
        for _ in range(draw.choice([1, 1, 2, 10])):
            near_the_end = len(damaged) - 1 - draw.randrange(200)
            at = draw.choice([draw.randrange(len(damaged)), draw.randrange(200), near_the_end])
            if draw.random() < 0.7:
                damaged[at] = draw.randrange(256)
            else:
                del damaged[at : at + draw.randrange(1, 9)]
        try:
            tokenizer = BPETokenizer.from_bytes(bytes(damaged))
            tokenizer.decode(tokenizer.encode("Größe: the ﬁne ¨  boat\n大海 e\u0301"))
        except ValueError:
            pass


def test_a_crash_while_saving_leaves_the_old_file(ours, tmp_path, monkeypatch):
    path = tmp_path / "own.model"
    path.write_bytes(b"the old one")

    def crash(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", crash)
    with pytest.raises(OSError):
        ours.save(path)
    assert path.read_bytes() == b"the old one" and list(tmp_path.iterdir()) == [path]
    monkeypatch.undo()
    ours.save(path)
    assert path.read_bytes() == ours.to_bytes() and list(tmp_path.iterdir()) == [path]
