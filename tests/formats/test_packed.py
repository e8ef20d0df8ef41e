"""Quantized models in folders, and checkpoints that are quantized while they are read."""

import json
import os
import random
import shutil
import struct
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.formats import pack
from llamalab.formats import packed as folders
from llamalab.model import Parts
from llamalab.quantization import FORMATS, quantize_model, weight_bytes
from llamalab.quantization.layout import planned_bytes
from llamalab.quantization.quantize import read_format

SIZES = dict(dim=64, n_layers=2, n_heads=8, n_kv_heads=2, hidden_dim=128, vocab_size=40)
TOKENS = torch.tensor([[1, 5, 9, 3], [2, 2, 30, 7]])
READ = [name for name in FORMATS if not name.startswith(("gptq", "awq"))]


def equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].dtype == b[name].dtype and torch.equal(a[name], b[name]), name


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("format", [*FORMATS, "rtn-3"])
def test_a_folder_holds_it(format, tied, small, tokenizer, tmp_path):
    model = small(**{**SIZES, "vocab_size": tokenizer.vocab_size}, tie_embeddings=tied)
    packed = quantize_model(model, format, text=TOKENS, group_size=32)
    formats.save(packed, tmp_path / "x", format=format, tokenizer=tokenizer)
    calls = []

    def rms_norm(*given):
        calls.append(1)
        return Parts().rms_norm(*given)

    again, words = formats.load(tmp_path / "x", parts=Parts(rms_norm=rms_norm))
    equal(packed, again)
    assert again.config == model.config and words.encode("the hen") == tokenizer.encode("the hen")
    with torch.no_grad():
        assert torch.equal(again(TOKENS), packed(TOKENS)) and len(calls) == 5
    kind, bits = read_format(format)
    assert weight_bytes(again) == planned_bytes(model.config, kind, bits, 32)
    size = (tmp_path / "x" / "model.safetensors").stat().st_size
    assert weight_bytes(again) < size < weight_bytes(again) + 12_000


def test_only_what_is_packed_so_is_saved_so(small, tmp_path):
    model = small(**SIZES)
    with pytest.raises(ValueError, match="is not packed: quantize_model"):
        formats.save(model, tmp_path / "x", format="nf4")
    with pytest.raises(ValueError, match="is not packed as q4_0"):
        formats.save(quantize_model(model, "q8_0"), tmp_path / "x", format="q4_0")
    with pytest.raises(ValueError, match="no plain Llama"):
        formats.save(quantize_model(model, "q8_0"), tmp_path / "x")
    with pytest.raises(ValueError, match="no format called 'q5_0'; there are hf, meta"):
        formats.save(model, tmp_path / "x", format="q5_0")
    assert not (tmp_path / "x").exists()


@pytest.fixture
def folder(small, tmp_path):
    packed = quantize_model(small(**SIZES), "rtn-4", group_size=32)
    formats.save(packed, tmp_path / "x", format="rtn-4")
    return tmp_path / "x"


@pytest.mark.parametrize("field, words", [
    ({"format": "q5_0"}, "no format called 'q5_0'"),
    ({"format": "rtn-3"}, "codes"), ({"format": "q8_0"}, "tensors; 21 are needed"),
    ({"group_size": 64}, "scales"), ({"group_size": 48}, "blocks of 48"),
    ({"group_size": -1}, "group_size=-1"), ({"bits": 4}, "must say quant_method"),
    ({"format": 4}, "must say quant_method"),
])  # fmt: skip
def test_a_config_that_lies(field, words, folder, edit, refused):
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))["quantization_config"]
    edit(folder / "config.json", quantization_config={**said, **field})
    refused(folder, words)


def test_tensors_that_lie(folder, edit, refused):
    # Copies: an old safetensors maps the file, which is written over here.
    good = {name: x.clone() for name, x in load_file(folder / "model.safetensors").items()}
    scales = "layers.0.attention.wq.scales"
    nan = torch.full_like(good[scales], float("nan"))
    for name, x, words in (
        (scales, nan, "NaN"), (scales, good[scales].float(), "is torch.float32"),
        (scales, good[scales].T.contiguous(), "not torch.float16 (64, 2)"),
        ("norm.weight", good["norm.weight"] * float("inf"), "norm.weight holds NaN"),
    ):  # fmt: skip
        save_file({**good, name: x}, folder / "model.safetensors")
        refused(folder, words)
    renamed = {name.replace("wq.zeros", "wq.ones"): x for name, x in good.items()}
    save_file(renamed, folder / "model.safetensors")
    refused(folder, "lacks layers.0.attention.wq.zeros")
    edit(folder / "config.json", num_hidden_layers=2**40)
    refused(folder, "tensors;")
    (folder / "model.safetensors").unlink()
    refused(folder, "no model.safetensors")


def test_damaged_folders_are_loaded_or_refused(folder, tmp_path):
    rng, seen = random.Random(0), {"loaded": 0, "refused": 0}
    for n in range(300):
        shutil.copytree(folder, tmp_path / str(n))
        path = tmp_path / str(n) / rng.choice(("config.json", "model.safetensors"))
        data = bytearray(path.read_bytes())
        place = rng.randrange(min(len(data), rng.choice((60, 2000, len(data)))))
        if rng.random() < 0.5:
            data[place] ^= 1 << rng.randrange(8)
        elif rng.random() < 0.5:
            del data[place:]
        else:
            data[place : place + 8] = struct.pack("<q", rng.choice((0, -1, 2**31, 2**62)))
        path.write_bytes(data)
        try:
            model, _ = formats.load(tmp_path / str(n))
            with torch.no_grad():
                model(torch.tensor([[1]]))
            seen["loaded"] += 1
        except ValueError as error:
            assert str(error)
            seen["refused"] += 1
        shutil.rmtree(tmp_path / str(n))
    assert min(seen.values()) > 20, seen


@pytest.mark.parametrize("source", ["hf", "meta", "llama2c"])
@pytest.mark.parametrize("format", READ)
def test_quantized_while_it_is_read(format, source, small, tmp_path, monkeypatch):
    """Strip by strip the same as at once; sharded; tied or not."""
    monkeypatch.setattr(pack, "STRIP", 64 * 7)  # rows in strips of 7
    tied = source == "llama2c"
    model = small(**SIZES, tie_embeddings=tied)
    options = {"hf": {"max_shard_bytes": 20_000}, "meta": {"shards": 2}}.get(source, {})
    formats.save(model, tmp_path / "x", format=source, **options)
    again, _ = formats.load(tmp_path / "x", quantize=format)
    equal(again, quantize_model(model, format))
    again(TOKENS)


def test_what_cannot_be_quantized_while_it_is_read(hf, small, tmp_path):
    formats.save(small(**SIZES), tmp_path / "y")
    for format, words in (("gptq-4", "load the model, then quantize_model"),
                          ("q5_0", "no format called")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            formats.load(tmp_path / "y", quantize=format)
    with pytest.raises(ValueError, match="computes in float32"):
        formats.load(tmp_path / "y", quantize="q8_0", dtype=torch.float16)
    with pytest.raises(ValueError, match="blocks of 32 must divide a row, and a row has 24"):
        formats.load(hf, quantize="q8_0")


def test_the_plan_is_asked_before_anything_is_read(small, tmp_path, monkeypatch):
    formats.save(small(**SIZES), tmp_path / "x")

    def refuse(config, bytes_per_parameter):
        total = sum(w.numel() for w in small(**SIZES).parameters())
        assert bytes_per_parameter * total == pytest.approx(planned_bytes(config, "q4_0"))
        raise MemoryError("too large")

    monkeypatch.setattr(pack, "refuse_if_too_large", refuse)
    with pytest.raises(MemoryError, match="too large"):
        formats.load(tmp_path / "x", quantize="q4_0")


@pytest.mark.parametrize("name, gb", [("7b", (3.79, 7.16)), ("13b", (7.32, 13.83)),
                                      ("70b", (38.8, 73.3))])  # fmt: skip
def test_the_papers_models_in_four_and_eight_bits(name, gb):
    """Parameters times 4.5 and 8.5 bits, in 10^9 bytes; norms are a hair more."""
    config = LlamaConfig.from_name(f"llama-2-{name}")
    for format, want in zip(("q4_0", "q8_0"), gb):
        assert planned_bytes(config, format) / 1e9 == pytest.approx(want, rel=0.002)
    sizes = {format: planned_bytes(config, *read_format(format)) for format in FORMATS}
    assert sizes["nf4"] < sizes["gptq-4"] == sizes["rtn-4"] == sizes["awq-4"] < 1.03 * sizes["q4_0"]
    assert sizes["q4_0"] < sizes["q4_1"] < sizes["int8"] < sizes["q8_0"]


MEASURE = """
import sys, threading, time, psutil, torch
torch.set_num_threads(1)
from llamalab import Llama, LlamaConfig, load
from llamalab.quantization import quantize_q4_0, weight_bytes
with torch.device("meta"):
    Llama(LlamaConfig.from_name("tiny"))
quantize_q4_0(torch.randn(64, 64))
me = psutil.Process()
def own():  # pages of a mapped file can be given back at any time
    found = me.memory_info()
    return found.rss - getattr(found, "shared", 0)
before = highest = own()
done = False
def watch():
    global highest
    while not done:
        highest = max(highest, own())
        time.sleep(0.001)
thread = threading.Thread(target=watch)
thread.start()
model, _ = load(sys.argv[1], quantize="q4_0")
done = True
thread.join()
print(weight_bytes(model), max(highest, own()) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="shared memory is told by Linux")
@pytest.mark.parametrize("source, options", [("meta", {"shards": 2}),
                                             ("hf", {"max_shard_bytes": 40_000_000})])  # fmt: skip
def test_memory_stays_near_the_plan(source, options, tmp_path):
    """A small Llama in float16 of 111 MB, 31 MB in Q4_0: beside these never more than one weight
    as it is stored (17 MB, in shards: merged) and a strip of it."""
    config = LlamaConfig(dim=1024, n_layers=3, n_heads=8, vocab_size=8192, hidden_dim=2816)
    with torch.device("meta"):
        model = formats.Llama(config).to(torch.float16)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for i, weight in enumerate(model.parameters()):
            weight.copy_(torch.arange(weight.numel()).remainder(97 + i).view_as(weight) / 997)
    formats.save(model, tmp_path / "x", format=source, **options)
    whole = sum(weight.nbytes for weight in model.parameters())
    del model
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "x")],
        check=True, capture_output=True, env={**os.environ, "MALLOC_TRIM_THRESHOLD_": "0"},
    )  # fmt: skip
    size, peak = map(float, done.stdout.split())
    assert size == planned_bytes(config, "q4_0") and 100e6 < whole < 120e6
    largest = 2 * config.vocab_size * config.dim
    assert peak < size + largest + 30e6, f"{peak / 1e6:.0f} MB for {size / 1e6:.0f} MB"
    assert peak < 0.75 * whole


def test_it_is_recognised(folder, hf, tmp_path):
    assert folders.recognises(folder)
    assert not folders.recognises(hf) and not folders.recognises(tmp_path)
