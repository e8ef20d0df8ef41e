"""Measuring leaves no trace, and strikes out what is slow, wrong or not to be had."""

from dataclasses import asdict, replace

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import autotune
from llamalab.runs.autotune import PLAIN, Way, fastest
from llamalab.runtime import cpu_kernels
from llamalab.training import TrainConfig

CPU = torch.device("cpu")
TOKENS = torch.randint(0, 30, (3, 11), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    config = LlamaConfig(dim=12, n_layers=1, n_heads=6, n_kv_heads=2, vocab_size=30, hidden_dim=20)
    return Llama(config, generator=torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to."""
    now = [0.0]
    monkeypatch.setattr(autotune.time, "perf_counter", lambda: now[0])
    return now


def _slow(monkeypatch, clock, seconds: dict):
    """Give each way the seconds of `seconds` a pass; an exception is raised instead."""
    precision = autotune.precision

    def slower(device, dtype):
        value = seconds.get(dtype, 1.0)
        if isinstance(value, Exception):
            raise value
        clock[0] += value
        return precision(device, dtype)

    monkeypatch.setattr(autotune, "precision", slower)


def test_measuring_leaves_no_trace(model):
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    gradients = {}
    for name, weight in model.named_parameters():
        weight.grad = torch.randn_like(weight)
        gradients[name] = weight.grad.clone()
    plain = model.layers[0].feed_forward.swiglu
    model.layers[0].feed_forward.swiglu = lambda x, *w: plain(torch.dropout(x, 0.01, True), *w)
    random = torch.get_rng_state()
    found = fastest(model, TOKENS)
    assert torch.equal(torch.get_rng_state(), random) and not model.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, weights[name])
    for name, weight in model.named_parameters():
        assert torch.equal(weight.grad, gradients[name])
    assert PLAIN in found.seconds and found.way in found.seconds
    assert all(0 < seconds < 60 for seconds in found.seconds.values())


def test_exact_means_float32():
    assert {way.dtype for way in autotune.ways(CPU, exact=True, compile=True)} == {"float32"}
    assert {way.dtype for way in autotune.ways(CPU)} == {"float32", "bfloat16"}
    assert all(way.matmul == "torch" for way in autotune.ways(torch.device("cuda")))
    assert sum(way.compile for way in autotune.ways(CPU, compile=True)) == 2


def test_a_way_is_three_fields_of_a_config():
    config = TrainConfig(steps=3)
    for way in autotune.ways(CPU, compile=True):
        taken = replace(config, **asdict(way))
        assert Way(taken.dtype, taken.matmul, taken.compile) == way
    assert str(Way("bfloat16", "blocks")) == "bfloat16, blocks"


def test_the_fastest_is_the_one_that_took_least(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"float32": 1.0, "bfloat16": 0.5})
    found = fastest(model, TOKENS)
    assert found.way.dtype == "bfloat16" and found.gain(found.way) == 2.0
    assert str(found).splitlines()[0].split() == "bfloat16 500.0 ms 2.00 times float32".split()
    assert fastest(model, TOKENS, exact=True).way.dtype == "float32"


def test_a_hopeless_way_is_tried_on_a_row_only(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"float32": 1.0, "bfloat16": 1e6})
    found = fastest(model, TOKENS)
    assert {way.dtype for way in found.seconds} == {"float32"}
    assert clock[0] < 5e6  # two ways, two rows each


def test_a_way_that_raises_is_left_out(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"bfloat16": RuntimeError("no such thing here")})
    assert {way.dtype for way in fastest(model, TOKENS).seconds} == {"float32"}
    _slow(monkeypatch, clock, {"float32": RuntimeError("the model itself is broken")})
    with pytest.raises(RuntimeError, match="itself"):
        fastest(model, TOKENS)
    assert not model.training


def test_a_way_with_another_loss_is_left_out(model, monkeypatch):
    def wrong(x, w, bias=None):
        return x @ w.T + torch.arange(len(w))

    monkeypatch.setitem(cpu_kernels.MATMULS, "blocks", {torch.nn.functional.linear: wrong})
    monkeypatch.setattr(autotune, "HOPELESS", 1e9)
    assert all(way.matmul != "blocks" for way in fastest(model, TOKENS).seconds)


def test_without_onednn_its_way_is_not_there(model, monkeypatch):
    monkeypatch.setattr(autotune, "has_onednn", lambda: False)
    assert {way.matmul for way in fastest(model, TOKENS).seconds} == {"torch", "blocks"}
