"""GGUF: beside the gguf package and transformers, byte by byte, and files that lie."""

import random
import re
import struct
import sys

import numpy as np
import pytest
import torch

from llamalab import formats
from llamalab.formats import gguf as ours
from llamalab.model import Parts
from llamalab.quantization import dequantize, quantize_model, quantize_q4_0, quantize_q8_0

SIZES = dict(dim=32, n_layers=2, n_heads=4, n_kv_heads=2, hidden_dim=64, vocab_size=40)
TOKENS = torch.tensor([[1, 5, 9, 3], [2, 2, 30, 7]])


@pytest.fixture
def package():
    return pytest.importorskip("gguf")


def value(x):
    """A value with its type in front, as in the metadata."""
    if isinstance(x, bool):
        return struct.pack("<I?", 7, x)
    if isinstance(x, int):
        return struct.pack("<IQ", 10, x)  # the text of the format says uint64; writers use uint32
    if isinstance(x, float):
        return struct.pack("<If", 6, x)
    if isinstance(x, str):
        return struct.pack("<I", 8) + text(x)
    kind, pack = {str: (8, text), float: (6, lambda n: struct.pack("<f", n))}.get(
        type(x[0]), (5, lambda n: struct.pack("<i", n))
    )
    return struct.pack("<IIQ", 9, kind, len(x)) + b"".join(map(pack, x))


def text(x):
    raw = x.encode()
    return struct.pack("<Q", len(raw)) + raw


def by_hand(metadata, tensors, *, version=3, alignment=32):
    """A file's bytes. tensors: name -> (sizes, fastest first, type's number, bytes)."""
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    head += b"".join(text(key) + value(x) for key, x in metadata.items())
    data = b""
    for name, (sizes, kind, raw) in tensors.items():
        head += text(name) + struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
        head += struct.pack("<IQ", kind, len(data))
        data += raw.ljust(-(-len(raw) // alignment) * alignment, b"\0")
    return head.ljust(-(-len(head) // alignment) * alignment, b"\0") + data


METADATA = {
    "general.architecture": "llama",
    "llama.embedding_length": 32,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "llama.feed_forward_length": 64,
    "llama.context_length": 32,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
}
GGUF_NAMES = {
    "attention_norm": "attn_norm", "attention.wq": "attn_q", "attention.wk": "attn_k",
    "attention.wv": "attn_v", "attention.wo": "attn_output", "ffn_norm": "ffn_norm",
    "feed_forward.w1": "ffn_gate", "feed_forward.w2": "ffn_down", "feed_forward.w3": "ffn_up",
}  # fmt: skip


def gguf_name(name):
    name = re.sub(r"^layers\.", "blk.", name)
    for mine, theirs in GGUF_NAMES.items():
        name = name.replace(f".{mine}.", f".{theirs}.")
    for mine, theirs in (("tok_embeddings", "token_embd"), ("norm.", "output_norm.")):
        name = theirs + name.removeprefix(mine) if name.startswith(mine) else name
    return name


def tensors_of(model, kind=0):
    """Every weight in float32, or the matrices in another of ggml's types, as bytes."""
    found = {}
    for name, weight in model.named_parameters():
        x, number = weight.detach(), kind if weight.ndim == 2 else 0
        raw = {0: lambda x: x.numpy().tobytes(), 1: lambda x: x.half().numpy().tobytes(),
               30: lambda x: x.bfloat16().view(torch.int16).numpy().tobytes(),
               2: lambda x: quantize_q4_0(x).data.numpy().tobytes(),
               8: lambda x: quantize_q8_0(x).data.numpy().tobytes()}[number](x)  # fmt: skip
        found[gguf_name(name)] = (tuple(x.shape[::-1]), number, raw)
    return found


@pytest.fixture
def file(tmp_path):
    def put(metadata=METADATA, tensors=None, **options):
        path = tmp_path / "x.gguf"
        path.write_bytes(by_hand(metadata, tensors or {}, **options))
        return path

    return put


@pytest.mark.parametrize("version, alignment", [(3, 32), (2, 32), (3, 64)])
@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": True}])
def test_a_file_written_by_hand_is_read(sizes, version, alignment, small, same, file):
    model = small(**SIZES, **sizes)
    metadata = METADATA | ({"general.alignment": alignment} if alignment != 32 else {})
    path = file(metadata, tensors_of(model), version=version, alignment=alignment)
    again, tokenizer = formats.load(path)
    same(model, again)
    assert tokenizer is None and again.config.norm_eps == 1e-5
    assert again.config.n_kv_heads == 2 and again.config.hidden_dim == 64


@pytest.mark.parametrize("kind, dtype", [(1, torch.float16), (30, torch.bfloat16)])
def test_sixteen_bits(kind, dtype, small, same, file):
    model = small(**SIZES)
    again, _ = formats.load(file(tensors=tensors_of(model, kind)))
    same(model.to(dtype), again)


@pytest.mark.parametrize("kind, quantize", [(8, quantize_q8_0), (2, quantize_q4_0)])
def test_blocks_become_floats_or_stay(kind, quantize, small, file):
    model = small(**SIZES)
    path = file(tensors=tensors_of(model, kind))
    again, _ = formats.load(path)
    for name, weight in model.named_parameters():
        want = dequantize(quantize(weight)) if weight.ndim == 2 else weight
        assert torch.equal(again.get_parameter(name), want)
    calls = []

    def swiglu(*given):
        calls.append(1)
        return Parts().swiglu(*given)

    packed, _ = formats.load(path, quantize="stored", parts=Parts(swiglu=swiglu))
    direct = quantize_model(model, "q8_0" if kind == 8 else "q4_0")
    assert packed.state_dict().keys() == direct.state_dict().keys()
    assert all(torch.equal(x, direct.state_dict()[n]) for n, x in packed.state_dict().items())
    with torch.no_grad():
        torch.testing.assert_close(packed(TOKENS), again(TOKENS), atol=1e-5, rtol=1e-5)
    assert len(calls) == 2


def test_scaled_positions_and_theta(small, file):
    metadata = METADATA | {"llama.rope.freq_base": 50000.0, "llama.rope.scaling.type": "linear",
                           "llama.rope.scaling.factor": 2.5}  # fmt: skip
    config = formats.load(file(metadata, tensors_of(small(**SIZES))))[0].config
    assert (config.rope_theta, config.rope_scaling_factor) == (50000.0, 2.5)


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"tie_embeddings": True, "rope_scaling_factor": 2.0},
        {"norm_eps": 1e-6, "rope_theta": 1e6, "n_kv_heads": 4},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_what_is_written_comes_back(dtype, sizes, package, small, same, tmp_path):
    model = small(dtype=dtype, **{**SIZES, **sizes})
    formats.save(model, tmp_path / "x.gguf", format="gguf")
    again, _ = formats.load(tmp_path / "x.gguf")
    same(model, again)
    for field in ("dim", "n_layers", "n_heads", "n_kv_heads", "hidden_dim", "vocab_size",
                  "norm_eps", "max_seq_len", "rope_theta", "rope_scaling_factor",
                  "tie_embeddings"):  # fmt: skip
        assert getattr(again.config, field) == getattr(model.config, field)


@pytest.mark.parametrize("format, name", [("gguf", "F32"), ("gguf-q8_0", "Q8_0"),
                                          ("gguf-q4_0", "Q4_0")])  # fmt: skip
def test_the_packages_own_reader_finds_the_same(format, name, package, small, tmp_path):
    model = small(**SIZES)
    before = {n: w.clone() for n, w in model.state_dict().items()}
    formats.save(model, tmp_path / "x.gguf", format=format)
    assert all(torch.equal(w, before[n]) for n, w in model.state_dict().items())
    reader = package.GGUFReader(tmp_path / "x.gguf")
    found = {tensor.name: tensor for tensor in reader.tensors}
    assert found.keys() == {gguf_name(n) for n in before}
    for n, weight in before.items():
        tensor = found[gguf_name(n)]
        kind = package.GGMLQuantizationType[name if weight.ndim == 2 else "F32"]
        assert tensor.tensor_type == kind
        assert tensor.shape.tolist() == list(weight.shape[::-1])
        want = weight.numpy()
        want = package.quants.quantize(want, kind) if kind.name[0] == "Q" else want
        assert np.array_equal(tensor.data, want), n  # wq and wk too: Meta's rows
    fields = {"general.architecture": "llama", "llama.block_count": 2, "llama.context_length": 32,
              "llama.rope.dimension_count": 8, "llama.attention.head_count_kv": 2,
              "general.file_type": {"F32": 0, "Q8_0": 7, "Q4_0": 2}[name]}  # fmt: skip
    for key, want in fields.items():
        assert reader.get_field(key).contents() == want
    assert (reader.get_field("general.quantization_version") is None) == (name == "F32")


@pytest.mark.parametrize("sizes", [{}, {"tie_embeddings": True}])
def test_transformers_reads_it_and_says_the_same(sizes, package, small, tokenizer, tmp_path):
    """The sharp test of the rows of wq and wk: transformers turns them back from this file."""
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")  # which transformers asks for here
    model = small(**{**SIZES, **sizes, "vocab_size": tokenizer.vocab_size})
    formats.save(model, tmp_path / "x.gguf", format="gguf", tokenizer=tokenizer)
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path, gguf_file="x.gguf")
    with torch.no_grad():
        torch.testing.assert_close(theirs(TOKENS).logits, model(TOKENS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("format", ours.FORMATS)
def test_the_tokenizer_goes_along(format, package, small, tokenizer, tmp_path):
    model = small(**{**SIZES, "vocab_size": tokenizer.vocab_size})
    formats.save(model, tmp_path / "x.gguf", format=format, tokenizer=tokenizer)
    _, again = formats.load(tmp_path / "x.gguf")
    for words in ("the hen", " the  river\n12 or 130", "Straße 🦙 <s>", ""):
        ids = again.encode(words, bos=True, eos=True)
        assert ids == tokenizer.encode(words, bos=True, eos=True)
        assert again.decode(ids) == words
    assert again.scores == tokenizer.scores
    reader = package.GGUFReader(tmp_path / "x.gguf")
    types = reader.get_field("tokenizer.ggml.token_type").contents()
    assert types[:4] == [2, 3, 3, 6] and types[-1] == 1
    assert reader.get_field("tokenizer.ggml.tokens").contents()[1] == "<s>"


def test_a_packed_model_is_written_as_it_is(package, small, tmp_path):
    model = small(**SIZES)
    for kind in ("q8_0", "q4_0"):
        packed = quantize_model(model, kind)
        formats.save(packed, tmp_path / "a.gguf", format=f"gguf-{kind}")
        formats.save(model, tmp_path / "b.gguf", format=f"gguf-{kind}")
        a, b = (formats.load(tmp_path / f"{x}.gguf", quantize="stored")[0] for x in "ab")
        assert all(torch.equal(x, b.state_dict()[n]) for n, x in a.state_dict().items())
        with pytest.raises(ValueError, match="packed as Q4_0|packed as Q8_0"):
            formats.save(packed, tmp_path / "c.gguf", format="gguf")
    assert not (tmp_path / "c.gguf").exists()


def test_what_gguf_cannot_hold(package, small, tokenizer, tmp_path):
    path = tmp_path / "x.gguf"
    for model, words in (
        (small(**SIZES).double(), "GGUF has no torch.float64"),
        (small(**SIZES, rope_theta=10000.0000001), "keeps rope_theta in float32"),
    ):
        with pytest.raises(ValueError, match=words):
            formats.save(model, path, format="gguf")
    with pytest.raises(ValueError, match="blocks of 32 must divide a row, and a row has 24"):
        formats.save(small(), path, format="gguf-q8_0")
    with pytest.raises(ValueError, match="tokenizer of the model's size"):
        larger = small(**{**SIZES, "vocab_size": 400})
        formats.save(larger, path, format="gguf", tokenizer=tokenizer)
    assert not list(tmp_path.iterdir())


def test_without_the_package_one_can_read_but_not_write(small, file, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "gguf", None)
    formats.load(file(tensors=tensors_of(small(**SIZES))))
    with pytest.raises(ImportError, match=r"pip install 'llamalab\[gguf\]'"):
        formats.save(small(**SIZES), tmp_path / "y.gguf", format="gguf")


def changed(**fields):
    return {**METADATA, **{key.replace("__", "."): x for key, x in fields.items()}}


@pytest.mark.parametrize("fields, words", [
    ({"general__architecture": "qwen2"}, ["architecture", "qwen2"]),
    ({"llama__block_count": 3}, ["holds 21 weights", "n_layers=3 need 30"]),
    ({"llama__block_count": 2**40}, ["holds 21 weights"]),
    ({"llama__block_count": 2.0}, ["block_count", "whole number"]),
    ({"llama__embedding_length": 48}, ["has shape (40, 32)", "(40, 48)"]),
    ({"llama__attention__head_count": 5}, ["n_heads=5 must divide dim=32"]),
    ({"llama__attention__sliding_window": 8}, ["sliding_window", "not known"]),
    ({"llama__rope__dimension_count": 4}, ["dimension_count=4 must be 8"]),
    ({"llama__vocab_size": 41}, ["vocab_size=41 must be 40"]),
    ({"llama__rope__scaling__type": "yarn"}, ["yarn"]),
    ({"llama__expert_count": 8}, ["mixture of experts"]),
    ({"llama__attention__layer_norm_rms_epsilon": float("nan")}, ["layer_norm_rms_epsilon"]),
    ({"general__alignment": 7}, ["general.alignment=7"]),
    ({"llama__context_length": 2**40}, ["context of"]),
])  # fmt: skip
def test_metadata_that_lies(fields, words, small, file, refused):
    refused(file(changed(**fields), tensors_of(small(**SIZES))), "x.gguf", *words)


def test_a_key_that_is_missing(small, file, refused):
    for key in METADATA:
        if key != "llama.attention.head_count_kv":
            metadata = {name: x for name, x in METADATA.items() if name != key}
            refused(file(metadata, tensors_of(small(**SIZES))), f"has no {key}")


def test_tensors_that_lie(small, file, refused):
    good = tensors_of(small(**SIZES))
    sizes, kind, raw = good["output.weight"]
    for bad, words in (
        ((sizes, 12, raw), ["Q4_K"]),
        ((sizes, 99, raw), ["type 99"]),
        (((*sizes, 1), kind, raw), ["3 axes"]),
        (((0, 40), kind, raw), ["cannot have the shape (40, 0)"]),
        (((2**62, 2**62), kind, raw), ["goes past the end"]),
        (((32, 41), kind, raw + bytes(128)), ["(41, 32)"]),
        ((sizes, kind, struct.pack("<f", float("nan")) + raw[4:]), ["NaN"]),
        ((sizes, 8, b"\xff\x7f" + bytes(34 * 40)), ["output.weight holds NaN"]),
    ):
        refused(file(tensors={**good, "output.weight": bad}), "x.gguf", *words)
    refused(file(tensors={n: t for n, t in good.items() if n != "blk.1.ffn_up.weight"}), "w3")
    for extra in ("rope_freqs.weight", "blk.01.ffn_up.weight", "blk.x.ffn_up.weight", "a.bias"):
        refused(file(tensors={**good, extra: good["output_norm.weight"]}), extra)


@pytest.mark.parametrize("data, words", [
    (b"", "too short"), (b"GGUF" + bytes(19), "too short"), (b"GGUF" + bytes(30), "version 0"),
    (b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + bytes(9), "version 50331648"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "more than fit"),
    (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "more than fit"),
    (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**63) + bytes(9), "are announced"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("\u00e9")[:-1] + b"\xff" * 9, "not UTF-8"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<IIQ", 9, 9, 1) + bytes(9),
     "array of values of type 9"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("a") + struct.pack("<I", 13) + bytes(9),
     "value of type 13"),
    (b"GGUF" + struct.pack("<IQQ", 3, 0, 2) + 2 * (text("a") + value(1)), "more than once"),
])  # fmt: skip
def test_broken_files(data, words, tmp_path, refused):
    (tmp_path / "x.gguf").write_bytes(data)
    if data.startswith(b"GGUF"):
        refused(tmp_path / "x.gguf", words)


def test_tensors_on_each_other(small, file, refused):
    data = bytearray(by_hand(METADATA, tensors_of(small(**SIZES))))
    place = data.index(b"output_norm.weight")
    offset = place + len("output_norm.weight") + 4 + 8 + 4
    data[offset : offset + 8] = struct.pack("<Q", 0)
    path = file()
    path.write_bytes(data)
    refused(path, "lie on each other")


PIECES = ["<unk>", "<s>", "</s>"] + [f"<0x{n:02X}>" for n in range(256)] + ["a", "b", "ab"]
WORDS = {
    "tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": PIECES,
    "tokenizer.ggml.scores": [0.0] * 259 + [-1.0, -2.0, -0.5],
    "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * 3,
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
}


@pytest.mark.parametrize("fields, words", [
    ({"model": "gpt2"}, "'gpt2'"),
    ({"tokens": PIECES[:-1]}, "entries, the model 262 rows"),
    ({"scores": [1] * 262}, "no list of float"),
    ({"scores": [float("inf")] * 262}, "score inf"),
    ({"token_type": [7] * 262}, "kind 7"),
    ({"bos_token_id": 300}, "bos_token_id=300"),
    ({"add_space_prefix": 1}, "must be true or false"),
    ({"precompiled_charsmap": [300, -1]}, "no list of bytes"),
    ({"tokens": "abc"}, "no list of str"),
])  # fmt: skip
def test_tokenizers_that_lie(fields, words, small, file, refused):
    tensors = tensors_of(small(**{**SIZES, "vocab_size": 262}))
    good = formats.load(file(METADATA | WORDS, tensors))[1]
    assert good.encode("ab", bos=True)[0] == 1 and good.decode([1, 261]) == "ab"
    bad = {f"tokenizer.ggml.{key}": x for key, x in fields.items()}
    refused(file(METADATA | WORDS | bad, tensors), "x.gguf", words)


def test_damaged_files_are_loaded_or_refused(small, tmp_path):
    """As in test_fuzz, for a file that holds a model, a tokenizer, floats and blocks."""
    tensors = tensors_of(small(dim=32, n_layers=1, n_heads=2, n_kv_heads=1, hidden_dim=32,
                               vocab_size=262), 8)  # fmt: skip
    sizes = changed(llama__block_count=1, llama__attention__head_count=2,
                    llama__attention__head_count_kv=1, llama__feed_forward_length=32)  # fmt: skip
    good, rng, path = by_hand(sizes | WORDS, tensors), random.Random(0), tmp_path / "x.gguf"
    head, seen = good.index(b"output.weight") + 60, {"loaded": 0, "refused": 0}
    path.write_bytes(good)
    formats.load(path)
    for _ in range(500):
        data, place = bytearray(good), rng.randrange(rng.choice((24, 400, head, len(good))))
        kind = rng.choice(("flip", "flip", "number", "cut", "insert", "remove"))
        if kind == "flip":
            data[place] ^= 1 << rng.randrange(8)
        elif kind == "number":
            data[place : place + 8] = struct.pack("<q", rng.choice((0, -1, 1, 2**31, 2**62, 8)))
        elif kind == "cut":
            del data[place:]
        elif kind == "insert":
            data[place:place] = rng.randbytes(rng.choice((1, 8)))
        else:
            del data[place : place + rng.choice((1, 8))]
        path.unlink()
        path.write_bytes(data)
        try:
            for how in (None, "stored"):
                model, _ = formats.load(path, quantize=how)
                with torch.no_grad():
                    model(torch.tensor([[1]]))
            seen["loaded"] += 1
        except ValueError as error:
            assert str(error)
            seen["refused"] += 1
    assert min(seen.values()) > 50, seen
