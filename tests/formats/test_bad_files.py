"""Damaged shards of Meta's and files of llama2.c; models and tokenizers that cannot be saved."""

import re
import struct

import pytest
import torch

from llamalab import formats
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

# --- Meta's shards --------------------------------------------------------------------------------


def test_shards_that_are_missing_or_differ(refused, meta, small, tmp_path):
    first, second = (meta / f"consolidated.0{i}.pth" for i in (0, 1))
    piece = torch.load(second, weights_only=True)
    for odd, words in (
        ({n: w for n, w in piece.items() if n != "norm.weight"}, ["holds 20", "the first 21"]),
        ({**piece, "norm.weight": torch.ones(23)}, ["(23,)", "(24,)"]),
        ({**piece, "norm.weight": piece["norm.weight"] + 1}, ["not the same in all 2 files"]),
        ({**piece, "norm.weight": torch.ones(24).long()}, ["torch.int64"]),
    ):
        torch.save(odd, second)
        refused(meta, "meta", *words)
    first.rename(meta / "consolidated.02.pth")
    refused(meta, "without a gap", [1, 2])
    for path in meta.glob("*.pth"):
        path.unlink()
    refused(meta, "consolidated.00.pth", "[]")


def test_one_shard_of_two(refused, meta):
    (meta / "consolidated.01.pth").unlink()
    refused(meta, "tok_embeddings.weight has shape (40, 12)", "(40, 24)")


@pytest.mark.parametrize(
    "shards, field", [(5, "dim=24"), (3, "hidden_dim=64"), (4, "n_kv_heads=2")]
)
def test_sizes_that_cannot_be_cut(shards, field, small, tmp_path):
    with pytest.raises(ValueError, match=f"shards={shards} must divide {field}"):
        formats.save(small(), tmp_path / "x", format="meta", shards=shards)


# --- llama2.c -------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"version": 1}, {"format": "llama2c-q8"}])
def test_llama2c_sizes_and_headers(refused, options, small, tmp_path):
    path = tmp_path / "x.bin"
    formats.save(small(), path, **{"format": "llama2c", **options})
    good = path.read_bytes()
    for data in (good[:-1], good + b"\0", good[:300], good[:40]):
        path.write_bytes(data)
        refused(path, path, len(data), *([len(good)] if len(data) > 256 else []))
    start = 0 if not options else 8
    for field in range(7):
        for value in (0, -3, 2**31 - 1, -(2**31)):
            data = bytearray(good)
            struct.pack_into("<i", data, start + 4 * field, value)
            path.write_bytes(data)
            refused(path, path)
    data = bytearray(good)
    data[-4:] = struct.pack("<f", float("nan"))
    path.write_bytes(data)
    refused(path, "output.weight", "nan")


@pytest.mark.parametrize(
    "offset, value, words",
    [(4, 3, "version 3"), (36, 2, "tie flag 2"), (40, 7, "group_size"), (41, 1, "not empty"),
     (37, 0, "header"), (37, 5, "group_size=5 must divide dim=24")],
)  # fmt: skip
def test_q8_header(refused, offset, value, words, small, tmp_path):
    formats.save(small(), tmp_path / "x.bin", format="llama2c-q8")
    data = bytearray((tmp_path / "x.bin").read_bytes())
    data[offset] = value
    (tmp_path / "x.bin").write_bytes(data)
    refused(tmp_path / "x.bin", "x.bin", words)


@pytest.mark.parametrize("format", ["llama2c", "llama2c-q8"])
def test_what_llama2c_cannot_hold(format, small, tmp_path):
    for model, words in (
        (small(rope_theta=5e5), "rope_theta=500000.0"),
        (small(rope_scaling_factor=2.0), "rope_scaling_factor=2.0"),
        (small(norm_eps=1e-6), "norm_eps=1e-06"),
        (small(dtype=torch.float16), "float16"),
    ):
        with pytest.raises(ValueError, match=words):
            formats.save(model, tmp_path / "x.bin", format=format)
    assert not list(tmp_path.iterdir())


# --- models and tokenizers that cannot be saved ---------------------------------------------------


@pytest.mark.parametrize("format", formats.FORMATS)
def test_models_that_could_not_be_loaded_again(format, small, tmp_path):
    broken = small()
    with torch.no_grad():
        broken.layers[1].feed_forward.w2.weight[0, 0] = float("nan")
    with torch.device("meta"):
        empty = Llama(broken.config)
    larger = small()
    larger.extra = torch.nn.Parameter(torch.ones(1))
    other = small()
    other.norm.weight = torch.nn.Parameter(torch.ones(23))
    for model, words in (
        (broken, r"layers.1.feed_forward.w2.weight holds NaN"),
        (empty, "meta device"),
        (larger, "extra"),
        (other, r"norm.weight is torch.float32 \(23,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            formats.save(model, tmp_path / "x", format=format)
    assert not list(tmp_path.iterdir())


def test_tokenizers_of_other_sizes(refused, small, tokenizer, tmp_path):
    n = tokenizer.vocab_size
    for format in formats.FORMATS:
        with pytest.raises(ValueError, match=f"{n} pieces, the model only 40"):
            formats.save(small(), tmp_path / "x", format=format, tokenizer=tokenizer)
    larger = small(vocab_size=n + 8)
    formats.save(larger, tmp_path / "hf", tokenizer=tokenizer)  # rows without a piece are usual
    assert formats.load(tmp_path / "hf")[1].vocab_size == n
    with pytest.raises(ValueError, match=f"{n} pieces, vocab_size={n + 8}"):
        formats.save(larger, tmp_path / "x.bin", format="llama2c", tokenizer=tokenizer)
    formats.save(small(), tmp_path / "hf")
    refused(tmp_path / "hf", "tokenizer.model", n, 40)


@pytest.mark.parametrize("damage", ["cut", "more", "longest", "length", "score", "text", "byte"])
def test_tokenizer_bin_door(refused, damage, small, tokenizer, tmp_path):
    formats.save(small(vocab_size=tokenizer.vocab_size), tmp_path / "x", format="llama2c",
                 tokenizer=tokenizer)  # fmt: skip
    path = tmp_path / "tokenizer.bin"
    data = bytearray(path.read_bytes())
    place = re.search(rb"<0x00>", data).start()
    if damage in ("cut", "more"):
        data = data[:-1] if damage == "cut" else data + b"\0"
    elif damage == "longest":
        data[:4] = struct.pack("<I", 2)
    elif damage == "length":
        data[place - 4 : place] = struct.pack("<i", -6)
    elif damage == "score":
        data[place - 8 : place - 4] = struct.pack("<f", float("inf"))
    else:
        data[place : place + 6] = b"\xff<0x0>" if damage == "text" else b"<0xGG>"
    path.write_bytes(data)
    refused(tmp_path / "x", "tokenizer.bin")


def test_a_tokenizer_that_tokenizer_bin_cannot_hold(small, tokenizer, tmp_path):
    from llamalab.tokenizer.sentencepiece.model_file import parse_model

    model = parse_model(tokenizer.to_bytes(), "ours")
    model.normalizer_spec.add_dummy_prefix = False
    odd = BPETokenizer.from_bytes(model.SerializeToString())
    with pytest.raises(ValueError, match="cannot hold this tokenizer"):
        formats.save(small(vocab_size=odd.vocab_size), tmp_path / "x", format="llama2c",
                     tokenizer=odd)  # fmt: skip
    assert not list(tmp_path.iterdir())
