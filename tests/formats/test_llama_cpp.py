"""llama.cpp runs our GGUF files. Optional, since it is built from C++ for some minutes:

    LLAMALAB_LLAMA_CPP=build      builds llama-cpp-python in a folder of its own (needs a network)
    LLAMALAB_LLAMA_CPP=PYTHON     a Python that has it already

In F32 with a float32 cache it gives our logits, and in blocks it writes our bytes. Running blocks
it is further from us, and that is its own doing: it rounds what goes INTO a product to 8 bits too,
where our matrices take it as it is. Let ours do the same, and in a model of one layer both agree.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import llamalab
from llamalab import formats
from llamalab.quantization import Q4_0, Q8_0, quantize_model, quantize_q8_0

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("llama_cpp_run.py")
ASKED = os.environ.get("LLAMALAB_LLAMA_CPP")
TEXTS = ["Once there was a girl named Mia.", " two  spaces, a\nline and 1234", "Straße 🦙", ""]
SIZES = [
    dict(dim=192, n_heads=6, n_kv_heads=2, hidden_dim=224, rope_theta=1e6, norm_eps=1e-6),
    dict(dim=128, n_heads=4, n_kv_heads=4, hidden_dim=96, tie_embeddings=True),
    dict(dim=256, n_heads=8, n_kv_heads=1, hidden_dim=160, rope_scaling_factor=2.0),
]
pytestmark = pytest.mark.skipif(
    not ASKED, reason="LLAMALAB_LLAMA_CPP=build builds llama.cpp, some minutes, and asks it"
)


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """A Python that has llama_cpp."""
    if ASKED != "build":
        return ASKED
    folder = tmp_path_factory.mktemp("llama-cpp")
    online = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}  # not behind our wall
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=online)
    python = next(path for path in folder.glob("*/python*") if path.stem == "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "llama-cpp-python"], check=True,
                   env=online)  # fmt: skip
    return python


@pytest.fixture
def run(python, tmp_path):
    """run(model, tokenizer, format, rows) -> (logits of each row, ids of TEXTS)."""

    def run(model, tokenizer, format, rows):
        file, asked, answer = tmp_path / "x.gguf", tmp_path / "asked.json", tmp_path / "answer.npz"
        formats.save(model, file, format=format, tokenizer=tokenizer)
        asked.write_text(json.dumps({"ids": rows, "texts": TEXTS}), encoding="utf-8")
        subprocess.run([python, SCRIPT, "run", file, asked, answer], check=True)
        with np.load(answer) as found:
            logits = [torch.from_numpy(found[f"logits_{i}"]) for i in range(len(rows))]
            return logits, [found[f"ids_{i}"].tolist() for i in range(len(TEXTS))]

    return run


@pytest.fixture(scope="module")
def tales():
    return llamalab.load("tales", dtype=torch.float32)


@pytest.fixture(scope="module")
def rows(tales):
    lines = (ROOT / "data" / "tales" / "valid.txt").read_text(encoding="utf-8").splitlines()
    ids = [tales[1].encode(line, bos=True) for line in lines[:3]]
    return [ids[0][:1], ids[1][:37], ids[2] + ids[1][:60]]  # one token, a few, and many


@torch.no_grad()
def ours(model, rows):
    return [model(torch.tensor([ids]))[0] for ids in rows]


@pytest.fixture
def rounded_inputs(monkeypatch):
    """Our blocks as ggml runs them: what goes into a product becomes blocks of 8 bits first."""
    for kind in (Q8_0, Q4_0):

        def product(self, x, plain=kind.product):
            return plain(self, quantize_q8_0(x).numbers())

        monkeypatch.setattr(kind, "product", product)


def furthest(some, others):
    return max(float((a - b).abs().max()) for a, b in zip(some, others))


def mean_gap(some, others):
    return float(torch.cat([(a - b).abs().mean(-1) for a, b in zip(some, others)]).mean())


def test_the_shipped_model_gives_our_logits_and_reads_our_ids(tales, rows, run):
    model, tokenizer = tales
    logits, ids = run(model, tokenizer, "gguf", rows)
    own = ours(model, rows)
    assert furthest(logits, own) < 1e-4
    assert ids == [tokenizer.encode(text, bos=True) for text in TEXTS]


@pytest.mark.parametrize("sizes", SIZES)
def test_every_shape_gives_our_logits(sizes, tales, rows, small, run):
    model = small(n_layers=2, vocab_size=1024, max_seq_len=256, **sizes)
    logits, _ = run(model, tales[1], "gguf", rows)
    assert furthest(logits, ours(model, rows)) < 1e-5


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_blocks_are_run_as_ours_are_with_rounded_inputs(kind, tales, rows, small, run, request):
    """One layer: behind more of them a number that is rounded the other way moves all the rest."""
    model = small(n_layers=1, vocab_size=1024, max_seq_len=256, **SIZES[0])
    packed = quantize_model(model, kind)
    logits, _ = run(model, tales[1], f"gguf-{kind}", rows)
    unrounded = mean_gap(logits, ours(packed, rows))
    request.getfixturevalue("rounded_inputs")
    rounded = mean_gap(logits, ours(packed, rows))
    assert rounded < 1e-3 < unrounded / 5


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_the_shipped_model_in_blocks(kind, tales, rows, run):
    """Of logits up to 39, on average 0.1 away and no more; the likeliest token is the same."""
    model, tokenizer = tales
    logits, _ = run(model, tokenizer, f"gguf-{kind}", rows)
    own = ours(quantize_model(model, kind), rows)
    same = [(a.argmax(-1) == b.argmax(-1)).float() for a, b in zip(logits, own)]
    assert mean_gap(logits, own) < 0.1 and torch.cat(same).mean() > 0.95


@pytest.mark.parametrize("kind, number", [("q8_0", 7), ("q4_0", 2)])
def test_its_own_quantizer_writes_our_bytes(kind, number, python, tales, tmp_path):
    gguf = pytest.importorskip("gguf")
    model, tokenizer = tales
    plain, theirs, own = (tmp_path / f"{name}.gguf" for name in ("plain", "theirs", "own"))
    formats.save(model, plain, format="gguf", tokenizer=tokenizer)
    formats.save(model, own, format=f"gguf-{kind}", tokenizer=tokenizer)
    subprocess.run([python, SCRIPT, "quantize", plain, theirs, str(number)], check=True)
    found, want = (
        {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors} for path in (own, theirs)
    )
    assert found.keys() == want.keys()
    for name, tensor in want.items():
        assert found[name].tensor_type == tensor.tensor_type, name
        assert np.array_equal(found[name].data, tensor.data), name
