"""Tensors that do not fit, files that are cut off, an index that leads astray, pickles."""

import os
import pickle
import struct
import zipfile

import pytest
import torch
from safetensors.torch import load_file, save_file

from llamalab import formats

# --- weights --------------------------------------------------------------------------------------

NORM, HEAD = "model.norm.weight", "lm_head.weight"
GATE, KEY = "model.layers.1.mlp.gate_proj.weight", "model.layers.0.self_attn.k_proj.weight"


@pytest.mark.parametrize(
    "changes, words",
    [({NORM: None}, ["lacks norm.weight", 20, 21]),
     ({HEAD: None}, ["lacks output.weight"]),
     ({"model.layers.0.self_attn.q_proj.bias": torch.zeros(24)}, ["q_proj.bias", "no weight"]),
     ({"model.layers.2.input_layernorm.weight": torch.ones(24)}, ["1 weights too many"]),
     ({NORM: torch.ones(23)}, ["norm.weight has shape (23,)", "(24,)"]),
     ({GATE: torch.ones(24, 64)}, ["w1.weight", "(24, 64)", "(64, 24)"]),
     ({KEY: torch.ones(24, 24)}, ["wk.weight", "(24, 24)", "(8, 24)"]),
     ({GATE: torch.full((64, 24), float("nan"))}, ["w1.weight", "nan"]),
     ({KEY: torch.full((8, 24), float("-inf"))}, ["wk.weight", "-inf"]),
     ({NORM: torch.ones(24, dtype=torch.int32)}, ["norm.weight", "I32"])],
)  # fmt: skip
def test_tensors_that_do_not_fit(refused, changes, words, hf):
    path = hf / "model.safetensors"
    weights = {**load_file(path), **changes}
    save_file({n: w for n, w in weights.items() if w is not None}, path)
    refused(hf, "hf", *words)


def test_a_tie_must_be_true(refused, edit, small, hf):
    edit(hf / "config.json", tie_word_embeddings=True)
    refused(hf, "tied", "differs")
    path = hf / "model.safetensors"
    weights = load_file(path)
    weights[HEAD] = weights["model.embed_tokens.weight"].clone()
    save_file(weights, path)
    assert formats.load(hf)[0].config.tie_embeddings
    save_file({**weights, HEAD: torch.ones(39, 24)}, path)
    refused(hf, "(39, 24)", "(40, 24)")


def test_what_float16_cannot_hold(small, tmp_path):
    model = small()
    with torch.no_grad():
        model.norm.weight[3] = 1e6
    formats.save(model, tmp_path)
    with pytest.raises(ValueError, match=r"norm.weight holds NaN or infinity as torch.float16"):
        formats.load(tmp_path, dtype=torch.float16)


@pytest.mark.parametrize("size", [0, 7, 8, 100, 3000, -1])
def test_safetensors_cut_off(refused, size, hf):
    path = hf / "model.safetensors"
    path.write_bytes(path.read_bytes()[:size])
    refused(hf, path, "no sound safetensors")


@pytest.mark.parametrize("length", [0, 2, 10**6, 2**62, 2**64 - 1])
def test_a_safetensors_header_that_lies(refused, length, hf):
    path = hf / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    refused(hf, path)


# --- the index and its paths ----------------------------------------------------------------------


@pytest.fixture
def sharded(small, tmp_path):
    formats.save(small(), tmp_path / "snapshots" / "abc", max_shard_bytes=20_000)
    return tmp_path / "snapshots" / "abc"


def redirect(folder, old, new):
    path = folder / "model.safetensors.index.json"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


@pytest.mark.parametrize(
    "name", ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "..\\\\x.safetensors",
             "C:x.safetensors", "x.pkl", "", "gone.safetensors", "..", "\\u0000.safetensors"],
)  # fmt: skip
def test_an_index_that_leads_astray(refused, name, sharded):
    first = next(sharded.glob("model-00001*"))
    (sharded.parent / "x.safetensors").write_bytes(first.read_bytes())
    redirect(sharded, first.name, name)
    refused(sharded, "abc")


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links(refused, sharded, tmp_path):
    """Out of the folder is refused, into the blobs of Hugging Face's own cache is followed."""
    first = next(sharded.glob("model-00001*"))
    for place, good in (("elsewhere", False), ("blobs", True)):
        (tmp_path / place).mkdir()
        there = tmp_path / place / "0123abcd"
        there.write_bytes(first.read_bytes())
        first.unlink()
        first.symlink_to(there)
        if good:
            formats.load(sharded)
        else:
            refused(sharded, "leads out of its folder", first)


def test_an_index_that_does_not_match(refused, sharded):
    redirect(sharded, "model.norm.weight", "model.norms.weight")
    refused(sharded, "in the index, but not in both")


# --- pickles --------------------------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("file", ["pytorch_model.bin", "consolidated.00.pth", "plain"])
def test_a_pickle_runs_nothing(refused, file, zipped, hf, meta, tmp_path):
    proof = tmp_path / "it ran"
    evil = {"norm.weight": torch.ones(24), "x": Evil(proof)}
    (hf / "model.safetensors").unlink()
    path = (meta if file.endswith("pth") else hf) / file
    torch.save(evil, path, _use_new_zipfile_serialization=zipped)
    if file == "plain":
        path = path.replace(hf / "pytorch_model.bin")
        path.write_bytes(pickle.dumps(evil["x"]))
    refused(path.parent, path, "safely")
    assert not proof.exists()


@pytest.mark.parametrize(
    "content, words",
    [([1, 2], "dict"), ({"norm.weight": 3}, "no named tensor"), ({3: torch.ones(2)}, "no named"),
     ({"norm.weight": torch.ones(2, 2).to_sparse()}, "no plain tensor"), ({}, "no weights"),
     ({"model.norm.weight": torch.ones(24, dtype=torch.int64)}, "torch.int64"),
     ({"model.norm.weight": torch.ones(1).expand(10**9, 10**9)}, "lacks")],
)  # fmt: skip
def test_a_pickle_of_other_things(refused, content, words, hf):
    (hf / "model.safetensors").unlink()
    torch.save(content, hf / "pytorch_model.bin")
    refused(hf, "hf", words)


def test_an_archive_that_swells(refused, hf):
    (hf / "model.safetensors").unlink()
    with zipfile.ZipFile(hf / "pytorch_model.bin", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x/data.pkl", bytes(10**7))
    refused(hf, "claims to unpack to 10000000")
