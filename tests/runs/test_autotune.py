"""Measuring leaves no trace, and strikes out what is slow, wrong or not to be had."""

from dataclasses import asdict, replace

import pytest
import torch

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import autotune
from llamalab.runs.autotune import PLAIN, Setting, fastest
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
    assert PLAIN in found.seconds and found.setting in found.seconds
    assert all(0 < seconds < 60 for seconds in found.seconds.values())


def test_exact_means_float32():
    assert {way.dtype for way in autotune.settings(CPU, exact=True, compile=True)} == {"float32"}
    assert {way.dtype for way in autotune.settings(CPU)} == {"float32", "bfloat16"}
    assert all(way.matmul == "torch" for way in autotune.settings(torch.device("cuda")))
    assert sum(way.compile for way in autotune.settings(CPU, compile=True)) == 2


def test_a_setting_is_three_fields_of_a_config():
    config = TrainConfig(steps=3)
    for way in autotune.settings(CPU, compile=True):
        taken = replace(config, **asdict(way))
        assert Setting(taken.dtype, taken.matmul, taken.compile) == way
    assert str(Setting("bfloat16", "blocks")) == "bfloat16, blocks"


def test_the_fastest_is_the_one_that_took_least(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"float32": 1.0, "bfloat16": 0.5})
    found = fastest(model, TOKENS)
    assert found.setting.dtype == "bfloat16" and found.gain(found.setting) == 2.0
    assert str(found).splitlines()[0].split() == "bfloat16 500.0 ms 2.00 times float32".split()


def test_a_hopeless_setting_is_tried_on_a_row_only(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"float32": 1.0, "bfloat16": 1e6})
    found = fastest(model, TOKENS)
    assert {way.dtype for way in found.seconds} == {"float32"}
    assert clock[0] < 5e6  # two ways, two rows each


def test_a_setting_that_raises_is_left_out(model, monkeypatch, clock):
    _slow(monkeypatch, clock, {"bfloat16": RuntimeError("no such thing here")})
    assert {way.dtype for way in fastest(model, TOKENS).seconds} == {"float32"}
    _slow(monkeypatch, clock, {"float32": RuntimeError("the model itself is broken")})
    with pytest.raises(RuntimeError, match="itself"):
        fastest(model, TOKENS)
    assert not model.training


def test_a_setting_with_another_loss_is_left_out(model, monkeypatch):
    def wrong(x, w, bias=None):
        return x @ w.T + torch.arange(len(w))

    monkeypatch.setitem(cpu_kernels.MATMULS, "blocks", {torch.nn.functional.linear: wrong})
    monkeypatch.setattr(autotune, "HOPELESS", 1e9)
    assert all(way.matmul != "blocks" for way in fastest(model, TOKENS).seconds)


def test_a_setting_with_a_wrong_gradient_is_left_out(model, monkeypatch):
    """Its values are right, and a run would learn with it: another thing, and in silence."""

    class Half(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g * 0.9

    def wrong(x, w, bias=None):
        return Half.apply(x) @ w.T

    monkeypatch.setitem(cpu_kernels.MATMULS, "blocks", {torch.nn.functional.linear: wrong})
    monkeypatch.setattr(autotune, "HOPELESS", 1e9)
    assert {way.matmul for way in fastest(model, TOKENS).seconds} >= {"torch", "fused"}
    assert all(way.matmul != "blocks" for way in fastest(model, TOKENS).seconds)


def test_a_gradient_that_is_missing_is_not_the_same():
    ones = [torch.ones(3), torch.ones(2)]
    assert autotune._same(ones, ones, 1e-6)
    assert autotune._same([ones[0], None], [ones[0], None], 1e-6)  # unused in both
    assert not autotune._same([ones[0], None], ones, 1e-6)
    assert not autotune._same([], ones, 1e-6)
    assert not autotune._same([ones[0] * 1.1, ones[1]], ones, 0.05)
    assert not autotune._same([ones[0], ones[1] * float("nan")], ones, 0.05)
    noise = [torch.ones(1), torch.full((1,), 1e-9)]
    assert autotune._same([noise[0], -noise[1]], noise, 0.05)  # roundings of nothing


def test_a_part_that_rolls_dice_does_not_rule_out_every_setting(model, monkeypatch):
    monkeypatch.setattr(autotune, "HOPELESS", 1e9)
    plain = model.layers[0].feed_forward.swiglu
    model.layers[0].feed_forward.swiglu = lambda x, *w: plain(torch.dropout(x, 0.5, True), *w)
    assert {"torch", "blocks", "fused"} <= {way.matmul for way in fastest(model, TOKENS).seconds}


@pytest.fixture
def threads(monkeypatch, clock):
    """A torch whose number of threads decides how long a plain step takes, and who asked."""
    state = {"now": 7, "seconds": {}, "asked": []}
    monkeypatch.setattr(autotune.torch, "get_num_threads", lambda: state["now"])
    monkeypatch.setattr(autotune.torch, "set_num_threads", lambda n: state.update(now=n))
    precision = autotune.precision

    def slower(device, dtype):
        state["asked"].append(state["now"])
        clock[0] += state["seconds"].get(state["now"], 1.0)
        return precision(device, dtype)

    monkeypatch.setattr(autotune, "precision", slower)
    return state


@pytest.mark.parametrize("seconds, best", [({4: 0.7, 1: 1.3}, 4), ({4: 3.0, 1: 1.3}, 1)])
def test_the_number_of_threads_is_tried_first_and_taken_for_the_rest(model, threads, seconds, best):
    threads["seconds"] = seconds
    found = fastest(model, TOKENS, threads=(4, 1))
    assert found.threads == best and found.by_threads == pytest.approx(seconds)
    first, rest = threads["asked"][:4], threads["asked"][4:]
    assert first == [4, 1, 4, 1] and set(rest) == {best}  # a row each, then a batch each
    assert threads["now"] == 7  # as it was
    thread_lines = str(found).splitlines()[:2]
    assert thread_lines[0].split()[0] == str(best) and "thread" in thread_lines[1]


def test_a_close_race_of_threads_takes_another_turn(model, threads):
    threads["seconds"] = {2: 1.0, 1: 1.2}
    assert fastest(model, TOKENS, threads=(2, 1)).threads == 2
    assert threads["asked"][:6] == [2, 1, 2, 1, 2, 1]


def test_without_a_choice_the_number_of_threads_is_left_alone(model, threads):
    found = fastest(model, TOKENS)
    assert found.threads is None and not found.by_threads and set(threads["asked"]) == {7}


def test_the_number_of_threads_is_put_back_after_an_error_too(model, threads, monkeypatch):
    def broken(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(autotune, "matmul", broken)
    with pytest.raises(RuntimeError):
        fastest(model, TOKENS, threads=(3, 1))
    assert threads["now"] == 7


def test_without_onednn_its_settings_are_not_there(model, monkeypatch):
    monkeypatch.setattr(autotune, "has_onednn", lambda: False)
    assert {way.matmul for way in fastest(model, TOKENS).seconds} <= {"torch", "blocks", "fused"}
