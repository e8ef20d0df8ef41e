"""load(save(x)) is x, bit for bit; saving changes nothing that is there already."""

import json
import os
import struct
import subprocess
import sys

import pytest
import torch
from safetensors import safe_open

import llamalab
from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.formats import llama2c, llama2c_layout
from llamalab.formats.build import weights_of
from llamalab.model import Llama, Parts

SHAPES = [
    dict(),
    dict(tie_embeddings=True),
    dict(n_kv_heads=None, hidden_dim=40),
    dict(n_kv_heads=1, ffn_dim_multiplier=1.3),
]
FOLDERS = [("hf", {}), ("hf", {"max_shard_bytes": 3000}), ("meta", {}), ("meta", {"shards": 2})]
DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("format, options", FOLDERS)
@pytest.mark.parametrize("sizes", SHAPES)
def test_folders_hold_everything(sizes, format, options, dtype, small, same, tmp_path):
    if options.get("shards") == 2 and sizes.get("n_kv_heads") == 1:
        pytest.skip("one KV head cannot be cut in two")
    model = small(dtype=dtype, rope_theta=20000.0, norm_eps=1e-6, **sizes)
    formats.save(model, tmp_path / "x", format=format, **options)
    again, tokenizer = formats.load(tmp_path / "x")
    same(model, again)
    assert again.config == model.config and tokenizer is None
    assert (again.output.weight is again.tok_embeddings.weight) == model.config.tie_embeddings


def test_as_meta_wrote_it(small, same, tmp_path):
    """8 files cut here by hand; vocab_size -1, no context, theta or hidden size; rope.freqs."""
    model = small(dim=64, n_heads=16, n_kv_heads=8, max_seq_len=4096, multiple_of=32)
    for number in range(8):
        piece = {"rope.freqs": torch.ones(2)}
        for name, weight in model.state_dict().items():
            if weight.ndim == 2:
                inputs = name.endswith(("wo.weight", "w2.weight", "tok_embeddings.weight"))
                weight = weight.chunk(8, dim=1 if inputs else 0)[number].clone()
            piece[name] = weight
        torch.save(piece, tmp_path / f"consolidated.0{number}.pth")
    params = {"dim": 64, "multiple_of": 32, "n_heads": 16, "n_kv_heads": 8, "n_layers": 2,
              "norm_eps": 1e-05, "vocab_size": -1}  # fmt: skip
    (tmp_path / "params.json").write_text(json.dumps(params), encoding="utf-8")
    again, _ = formats.load(tmp_path)
    same(model, again)
    assert again.config == model.config
    formats.save(model, tmp_path / "ours", format="meta", shards=8)
    for path in (tmp_path / "ours").glob("*.pth"):
        ours, by_hand = (torch.load(p, weights_only=True) for p in (path, tmp_path / path.name))
        assert all(torch.equal(weight, by_hand[name]) for name, weight in ours.items())
        assert path.stat().st_size < 1.1 * (tmp_path / path.name).stat().st_size  # its slice only


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("sizes", SHAPES)
def test_llama2c_holds_the_weights(sizes, version, small, same, tmp_path):
    model = small(**sizes)
    formats.save(model, tmp_path / "x.bin", format="llama2c", version=version)
    again, _ = formats.load(tmp_path / "x.bin")
    same(model, again)
    for field in (*llama2c_layout.SIZES, "tie_embeddings", "norm_eps", "rope_theta"):
        assert getattr(again.config, field) == getattr(model.config, field)


@pytest.mark.parametrize("sizes", SHAPES)
def test_q8_is_within_half_a_step_and_stays(sizes, small, same, tmp_path):
    model = small(**sizes)
    with torch.no_grad():
        model.layers[0].attention.wk.weight[:3] = 0.0  # groups of nothing but zeros
    formats.save(model, tmp_path / "a.bin", format="llama2c-q8")
    again, _ = formats.load(tmp_path / "a.bin")
    for name, weight in model.named_parameters():
        gap, group = (again.get_parameter(name) - weight).abs(), 8
        if weight.ndim == 1:
            assert gap.max() == 0
            continue
        step = weight.detach().reshape(-1, group).abs().amax(1, keepdim=True) / 127
        assert (gap.reshape(-1, group) <= step * 0.5001).all(), name
        assert gap.max() > 0, name
    formats.save(again, tmp_path / "b.bin", format="llama2c-q8")
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()
    same(again, formats.load(tmp_path / "b.bin")[0])


def test_numbers_too_small_for_a_scale():
    """Below 127 times the smallest float32 the scale is 0: nothing divides by it."""
    whole, scales = llama2c.quantize(torch.tensor([1e-45, -1e-45, 0.0, 0.0]), 4)
    assert whole.tolist() == [[127, -127, 0, 0]] and scales.tolist() == [0.0]


def test_the_group_size_is_where_runq_looks(small, tmp_path):
    formats.save(small(dim=96, hidden_dim=128), tmp_path / "x.bin", format="llama2c-q8")
    data = (tmp_path / "x.bin").read_bytes()
    assert data[:4] == b"24ka" and data[36] == 0  # untied
    assert struct.unpack_from("<i", data, 37) == (32,)  # 64 does not divide 96


@pytest.mark.parametrize("sizes", [dict(), dict(tie_embeddings=True)])
def test_llama2c_files_byte_by_byte(sizes, small, tmp_path):
    """Written here by hand in the order of export.py, and read."""
    model = small(**sizes)
    c, w = model.config, {n: p.detach().numpy().tobytes() for n, p in model.named_parameters()}
    layers = range(c.n_layers)

    def every(kind):
        return b"".join(w[f"layers.{i}.{kind}.weight"] for i in layers)

    vocab_size = c.vocab_size if c.tie_embeddings else -c.vocab_size
    head = struct.pack("<7i", 24, c.hidden_dim, 2, 6, 2, vocab_size, 32)
    matrices = [f"attention.w{x}" for x in "qkvo"]
    data = head + w["tok_embeddings.weight"] + every("attention_norm")
    data += b"".join(map(every, matrices)) + every("ffn_norm")
    data += b"".join(every(f"feed_forward.w{i}") for i in (1, 2, 3)) + w["norm.weight"]
    data += model.rope.cos.numpy().tobytes() + model.rope.sin.numpy().tobytes()
    data += w.get("output.weight", b"")
    formats.save(model, tmp_path / "x.bin", format="llama2c")
    assert (tmp_path / "x.bin").read_bytes() == data


def test_the_sizes_that_llama2c_reports_for_7b():
    config = LlamaConfig.from_name("llama-2-7b")
    assert 256 + llama2c_layout.file_size(config, 2, 64) == 7_160_348_928
    config = LlamaConfig(dim=4096, n_layers=32, n_heads=32, max_seq_len=2048)
    assert 28 + llama2c_layout.file_size(config, 0, 0) == 26_954_711_068


def test_another_dtype_and_the_learners_parts(small, tmp_path):
    model = small()
    formats.save(model, tmp_path)
    calls = []

    def rms_norm(*given):
        calls.append(1)
        return Parts().rms_norm(*given)

    again, _ = formats.load(tmp_path, dtype=torch.bfloat16, parts=Parts(rms_norm=rms_norm))
    assert {weight.dtype for weight in again.parameters()} == {torch.bfloat16}
    assert again.rope.cos.dtype == torch.float32
    again(torch.tensor([[1, 2]]))
    assert len(calls) == 2 * model.config.n_layers + 1


def test_mixed_dtypes_become_the_widest(small, tmp_path):
    model = small(dtype=torch.float16)
    model.norm.float()
    formats.save(model, tmp_path)
    again, _ = formats.load(tmp_path)
    assert {weight.dtype for weight in again.parameters()} == {torch.float32}


def test_a_loaded_model_can_be_trained_and_its_file_stays(small, tmp_path):
    for name, format in (("hf", "hf"), ("m", "meta"), ("x.bin", "llama2c")):
        formats.save(small(), tmp_path / name, format=format)
        files = [tmp_path / name] if format == "llama2c" else sorted((tmp_path / name).iterdir())
        before = [file.read_bytes() for file in files]
        model, _ = formats.load(tmp_path / name)
        model(torch.tensor([[1, 2, 3]])).sum().backward()
        torch.optim.SGD(model.parameters(), lr=1.0).step()
        assert [file.read_bytes() for file in files] == before


@pytest.mark.parametrize("format", formats.FORMATS)
def test_saving_changes_nothing_in_the_model(format, small, same, tmp_path):
    model = small()
    before, config = {n: t.clone() for n, t in model.state_dict().items()}, model.config
    pointers = [weight.data_ptr() for weight in model.parameters()]
    formats.save(model, tmp_path / "x", format=format)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())
    assert model.config is config
    assert pointers == [weight.data_ptr() for weight in model.parameters()]
    assert all(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("format", formats.FORMATS)
def test_saving_over_what_was_loaded(format, small, same, tmp_path):
    """The file that the weights are mapped from is replaced, not written into."""
    if os.name == "nt":
        pytest.skip("Windows does not replace a file that is mapped")
    formats.save(small(), tmp_path / "x", format=format)
    model, _ = formats.load(tmp_path / "x")
    formats.save(small(seed=1), tmp_path / "x", format=format)
    if format != "llama2c-q8":
        same(model, small())
        same(formats.load(tmp_path / "x")[0], small(seed=1))


def test_fewer_shards_than_before(small, same, tmp_path):
    """What an earlier save left would be read as part of the model; it goes. Others' files stay."""
    (tmp_path / "model-card.md").write_text("mine", encoding="utf-8")
    for format, many, few in (("hf", {"max_shard_bytes": 2000}, {}), ("meta", {"shards": 2}, {})):
        formats.save(small(), tmp_path, format=format, **many)
        formats.save(small(seed=1), tmp_path, format=format, **few)
        (tmp_path / "params.json").unlink(missing_ok=True)
        same(formats.load(tmp_path)[0], small(seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "config.json", "consolidated.00.pth", "model-card.md", "model.safetensors"
    ]  # fmt: skip


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_crash_leaves_the_old_checkpoint(format, small, same, tmp_path, monkeypatch):
    formats.save(small(), tmp_path / "x", format=format)
    old, _ = formats.load(tmp_path / "x")

    def crash(*given, **options):
        raise OSError("disk full")

    for where, name in ((formats.hf, "save_file"), (torch, "save"), (llama2c, "_bytes")):
        monkeypatch.setattr(where, name, crash)
    with pytest.raises(OSError, match="disk full"):
        formats.save(small(seed=1), tmp_path / "x", format=format)
    same(old, formats.load(tmp_path / "x")[0])
    assert not list(tmp_path.rglob("*.part"))


def test_transformers_config_keys(small, tokenizer, tmp_path):
    formats.save(small(vocab_size=320, dtype=torch.float16), tmp_path, tokenizer=tokenizer)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["architectures"] == ["LlamaForCausalLM"] and config["model_type"] == "llama"
    assert config["torch_dtype"] == config["dtype"] == "float16"
    assert (config["bos_token_id"], config["eos_token_id"]) == (1, 2)
    assert config["rope_scaling"] is None and config["rope_theta"] == 10000.0
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}


@pytest.mark.parametrize("format", formats.FORMATS)
def test_the_tokenizer_goes_along(format, small, tokenizer, tmp_path):
    model = small(vocab_size=tokenizer.vocab_size)
    formats.save(model, tmp_path / "x", format=format, tokenizer=tokenizer)
    _, again = formats.load(tmp_path / "x")
    for text in ("the hen", " the  river\n12 or 130", "Straße 🦙 <s>", ""):
        ids = again.encode(text, bos=True, eos=True)
        assert ids == tokenizer.encode(text, bos=True, eos=True)
        assert again.decode(ids) == text
    assert again.scores == tokenizer.scores


def test_tokenizer_bin_byte_by_byte(small, tokenizer, tmp_path):
    n = tokenizer.vocab_size
    formats.save(small(vocab_size=n), tmp_path / "x", format="llama2c", tokenizer=tokenizer)
    data = (tmp_path / "tokenizer.bin").read_bytes()
    pieces = [tokenizer.id_to_piece(i).replace("▁", " ").encode() for i in range(n)]
    pieces[1:3] = [b"\n<s>\n", b"\n</s>\n"]
    want = struct.pack("<I", max(map(len, pieces)))
    for piece, score in zip(pieces, tokenizer.scores):
        want += struct.pack("<fi", score, len(piece)) + piece
    assert data == want


def test_names_on_the_front_page():
    assert llamalab.load is formats.load and llamalab.save is formats.save
    assert llamalab.Llama is Llama and llamalab.Parts is Parts
    assert "load" in dir(llamalab)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        llamalab.lode  # noqa: B018
    code = "import llamalab, sys; assert 'torch' not in sys.modules; llamalab.KVCache"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_shards_are_filled_in_order(small):
    weights = weights_of(small())
    shards = formats.hf._shards(weights, 4000)
    assert [name for shard in shards for name in shard] == list(weights)
    for shard in shards:
        assert len(shard) == 1 or sum(weights[name].nbytes for name in shard) <= 4000
    assert len(formats.hf._shards(weights, None)) == 1
