"""Thousands of damaged files: each is loaded or refused with a ValueError, and nothing else.

A good checkpoint of every kind is damaged in one file at a time: bits flipped (headers first),
cut off, stuffed, numbers overwritten with extreme ones, JSON fields replaced, removed, doubled.
The seed is fixed. What loads must also run and have finite weights.
"""

import json
import random
import shutil
import struct
from collections import Counter

import pytest
import torch

from llamalab import formats

RUNS = 400  # for each of the files below
SIZES = dict(dim=8, n_layers=1, n_heads=2, n_kv_heads=1, multiple_of=8, max_seq_len=8)
RAW = ("-1", "0", "1", "2", "3", "7", "2147483648", "1" + "0" * 30, "1e400", "-1e400", "NaN",
       "Infinity", "true", "false", "null", '"8"', '"float16"', '"../x"', '"/etc/passwd"',
       '"\\u0000"', "[]", "{}", "[" * 3000 + "]" * 3000, '{"rope_type": "linear", "factor": 2}',
       "1.5", "1e-320", "9" * 5000, '""')  # fmt: skip
EXTREME = (0, -1, 1, 2, 127, 2**31 - 1, -(2**31), 2**24)
CASES = {
    "hf": ["config.json", "model.safetensors", "tokenizer.model"],
    "hf-sharded": ["model.safetensors.index.json", "model-00002-of-00003.safetensors"],
    "hf-bin": ["pytorch_model.bin"],
    "hf-old": ["pytorch_model.bin"],
    "meta": ["params.json", "consolidated.00.pth", "consolidated.01.pth"],
    "v0": ["x.bin", "tokenizer.bin"],
    "v1": ["x.bin"],
    "q8": ["x.bin"],
}


@pytest.fixture(scope="session")
def good(tmp_path_factory, small, tokenizer):
    """A folder with a good checkpoint of every kind."""
    root = tmp_path_factory.mktemp("good")
    model = small(vocab_size=tokenizer.vocab_size, **SIZES)
    plain = small(vocab_size=20, **{**SIZES, "n_kv_heads": 2})
    formats.save(model, root / "hf", tokenizer=tokenizer)
    formats.save(plain, root / "hf-sharded", max_shard_bytes=2000)
    shutil.copytree(root / "hf-sharded", root / "hf-bin")
    for path in (root / "hf-bin").glob("model*"):
        path.unlink()
    weights = {formats.names.hf_name(n): w for n, w in plain.state_dict().items()}
    torch.save(weights, root / "hf-bin" / "pytorch_model.bin")
    shutil.copytree(root / "hf-bin", root / "hf-old")
    old = root / "hf-old" / "pytorch_model.bin"
    torch.save(weights, old, _use_new_zipfile_serialization=False)
    formats.save(plain, root / "meta", format="meta", shards=2)
    formats.save(model, root / "v0" / "x.bin", format="llama2c", tokenizer=tokenizer)
    formats.save(plain, root / "v1" / "x.bin", format="llama2c", version=1)
    formats.save(plain, root / "q8" / "x.bin", format="llama2c-q8")
    return root


def damage(data, rng):
    """Bytes -> (kind of damage, damaged bytes). Half of it hits the first bytes, the header."""
    data, end = bytearray(data), rng.choice((60, 600, len(data), len(data)))
    place = rng.randrange(min(end, len(data)))
    kind = rng.choice(("flip", "flip", "flip", "cut", "insert", "remove", "number", "number"))
    if kind == "flip":
        for _ in range(rng.choice((1, 1, 3))):
            data[min(place + rng.randrange(40), len(data) - 1)] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[place:]
    elif kind == "insert":
        data[place:place] = rng.randbytes(rng.choice((1, 4, 64)))
    elif kind == "remove":
        del data[place : place + rng.choice((1, 4, 64))]
    else:
        width = rng.choice(("<i", "<q"))
        place -= place % 4 if rng.random() < 0.7 else 0
        data[place : place + struct.calcsize(width)] = struct.pack(width, rng.choice(EXTREME))
    return kind, bytes(data)


def damage_json(text, rng):
    """One field, at any depth, gets another value, goes, or is there twice."""
    found = json.loads(text)
    holders = [found] + [value for value in found.values() if isinstance(value, dict) and value]
    holder = rng.choice(holders)
    key = rng.choice(list(holder) + ["rope_scaling", "rope_parameters", "head_dim"])
    kind = rng.choice(("value", "value", "value", "gone", "twice", "name"))
    if kind == "gone":
        holder.pop(key, None)
    elif kind == "name":
        holder[key + rng.choice("s_.")] = holder.pop(key, 1)
    else:
        other = key if kind == "value" else "HERE AGAIN"
        holder[other] = "THIS VALUE"
    text = json.dumps(found, indent=1).replace("HERE AGAIN", key)
    return kind, text.replace('"THIS VALUE"', rng.choice(RAW)).encode()


def attempt(path, data, rng):
    """Damage the file, load what it belongs to: -> (kind, "loaded" or "refused")."""
    is_json = path.suffix == ".json" and rng.random() < 0.8
    kind, damaged = damage_json(data.decode(), rng) if is_json else damage(data, rng)
    path.write_bytes(damaged)
    target = path.parent / "x.bin" if path.suffix == ".bin" else path.parent
    target = target if target.exists() else path.parent  # pytorch_model.bin
    try:
        model, _ = formats.load(target)
    except ValueError as error:
        assert str(error)
        return kind, "refused"
    with torch.no_grad():
        model(torch.tensor([[1]]))
    assert all(weight.isfinite().all() for weight in model.parameters())
    return kind, "loaded"


def run(good, work, name, file, runs, seed):
    """-> how often each kind of damage was loaded and refused."""
    shutil.copytree(good / name, work)
    rng, data, seen = random.Random(f"{name}/{file}/{seed}"), (work / file).read_bytes(), Counter()
    for _ in range(runs):
        (work / file).unlink()  # what was mapped before keeps its pages
        seen[attempt(work / file, data, rng)] += 1
    return seen


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name, file", [(name, file) for name in CASES for file in CASES[name]])
def test_damaged_files_are_loaded_or_refused(name, file, good, tmp_path):
    formats.load(good / name / "x.bin" if (good / name / "x.bin").exists() else good / name)
    seen = run(good, tmp_path / "work", name, file, RUNS, seed=0)
    assert sum(n for (_, end), n in seen.items() if end == "refused") > RUNS / 10
    assert sum(seen.values()) == RUNS
