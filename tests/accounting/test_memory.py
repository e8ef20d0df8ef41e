"""The memory plan against the paper's sizes and against real tensors."""

from types import SimpleNamespace

import pytest
import torch

from llamalab.accounting import kv_cache_bytes, memory, memory_plan
from llamalab.config import LlamaConfig
from llamalab.layers import KVCache
from llamalab.model import Llama
from llamalab.runtime.cgroups import MemoryLimit

GIB = 2**30
TINY = LlamaConfig.from_name("tiny")


@pytest.mark.parametrize(
    "name, per_token, at_4096",
    [("7b", 524_288, 2.0), ("13b", 819_200, 3.125), ("34b", 196_608, 0.75), ("70b", 327_680, 1.25)],
)
def test_the_papers_caches(name, per_token, at_4096):
    config = LlamaConfig.from_name(f"llama-2-{name}")
    assert kv_cache_bytes(config, 1) == per_token
    assert kv_cache_bytes(config, 4096) == at_4096 * GIB
    assert kv_cache_bytes(config, 4096, 3, 4) == 6 * at_4096 * GIB


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_plan_is_what_the_tensors_take(dtype):
    cache = KVCache(TINY, 5, 70, dtype=dtype)
    plan = memory_plan(TINY, seq_len=70, batch=5, dtype=str(dtype).removeprefix("torch."))
    rows = dict(plan.rows)
    assert rows["KV cache"] == cache.keys.nbytes + cache.values.nbytes
    assert rows["weights"] == sum(w.nbytes for w in Llama(TINY).to(dtype).parameters())
    assert plan.total == sum(rows.values())


@pytest.mark.parametrize(
    "name, gb", [("7b", 107.8), ("13b", 208.3), ("34b", 539.9), ("70b", 1103.6)]
)
def test_training_takes_sixteen_bytes_a_parameter(name, gb):
    plan = memory_plan(LlamaConfig.from_name(f"llama-2-{name}"), training=True, available=0)
    assert round(plan.total / 1e9, 1) == gb
    wide = memory_plan(
        LlamaConfig.from_name(f"llama-2-{name}"), training=True, dtype="float32", available=0
    )
    assert wide.total == plan.total


@pytest.mark.parametrize("dtype, gib", [("float32", 25.10), ("bfloat16", 12.55),
                                        ("q8_0", 6.67), ("q4_0", 3.53)])  # fmt: skip
def test_weights_of_7b(dtype, gib):
    plan = memory_plan(LlamaConfig.from_name("llama-2-7b"), dtype=dtype, available=0)
    assert round(dict(plan.rows)["weights"] / GIB, 2) == gib


def test_it_fits_or_says_what_would():
    config = LlamaConfig.from_name("llama-2-7b")
    plan = memory_plan(config, available=15 * GIB)
    assert plan.fits and "14.55 GiB of 15.00 GiB" in repr(plan)
    plan = memory_plan(config, available=14 * GIB)
    assert not plan.fits
    assert "14.55 GiB" in plan.verdict and "14.00 GiB" in plan.verdict
    assert plan.ways_out == ("the weights in q8_0", "a context of 2,048 tokens")
    assert plan.verdict in plan._repr_html_()
    crowd = memory_plan(config, batch=8, available=16 * GIB)
    assert "one row at a time" in crowd.ways_out
    small = memory_plan(config, available=4 * GIB)
    assert small.ways_out == ("the weights in q4_0 with one row of 512 tokens",)
    assert memory_plan(config, available=GIB).ways_out == ()
    training = memory_plan(config, training=True, available=24 * GIB)
    assert training.ways_out == ("running it, not training it, in bfloat16",)


def test_every_way_out_is_one():
    """What is promised to fit, fits."""
    config = LlamaConfig.from_name("llama-2-13b")
    for gib in range(4, 60):
        plan = memory_plan(config, dtype="float32", batch=4, available=gib * GIB)
        for way in plan.ways_out:
            words = way.replace(",", "").split()
            dtype = next((w for w in words if w in memory.BYTES), "float32")
            seq_len = next((int(w) for w in words if w.isdigit()), 4096)
            batch = 1 if "one" in words else 4
            fitting = memory_plan(
                config, dtype=dtype, seq_len=seq_len, batch=batch, available=gib * GIB
            )
            assert fitting.fits, f"{gib} GiB: {way}"


def test_refusal_says_the_numbers_and_the_ways_out():
    config = LlamaConfig.from_name("llama-2-70b")
    with pytest.raises(MemoryError) as caught:
        memory.refuse_if_too_large(config, 2, available=100 * GIB)
    for words in ("68,976,648,192", "128.48 GiB", "100.00 GiB", "q8_0", "q4_0", "1.25 GiB"):
        assert words in str(caught.value)
    memory.refuse_if_too_large(config, 2, available=129 * GIB)
    with pytest.raises(MemoryError, match="No format is small enough"):
        memory.refuse_if_too_large(config, 2, available=GIB)


def test_bad_questions():
    with pytest.raises(ValueError, match="int3"):
        memory_plan(TINY, dtype="int3")
    with pytest.raises(ValueError, match="not trained"):
        memory_plan(TINY, dtype="q4_0", training=True)
    with pytest.raises(ValueError, match="-1"):
        kv_cache_bytes(TINY, -1)


@pytest.mark.parametrize("groups, free", [
    ([], 1000), ([(900, 300), (2000, 500)], 300), ([(9000, 8000)], 1000), ([(900, 0)], 0),
])  # fmt: skip
def test_a_container_leaves_what_its_tightest_group_leaves(monkeypatch, groups, free):
    """All that is in the group counts, not this process alone."""
    machine = SimpleNamespace(available=1000)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(memory, "memory_limits", lambda: [MemoryLimit(*one) for one in groups])
    assert memory.available_memory() == free


def test_what_is_free_is_known():
    assert 10**6 < memory.available_memory() < 10**15
    assert memory_plan(TINY).fits
