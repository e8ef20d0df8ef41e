"""AdamW written out in float64, the paper's settings, and schedules that others wrote."""

import math

import pytest
import torch
from torch import nn
from transformers import get_cosine_with_min_lr_schedule_with_warmup

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import TrainConfig, decayed, learning_rate, make_optimizer, train

SIZES = dict(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=40, multiple_of=8)
CONFIG = LlamaConfig(**SIZES, max_seq_len=16)


def small(config=CONFIG):
    return Llama(config, generator=torch.Generator().manual_seed(0))


def test_the_defaults_are_llama_2s():
    """The paper, section 2.2."""
    config = TrainConfig(steps=500_000)
    assert (config.beta1, config.beta2, config.eps) == (0.9, 0.95, 1e-5)
    assert (config.weight_decay, config.max_grad_norm) == (0.1, 1.0)
    assert (config.warmup_steps, config.min_lr_ratio) == (2000, 0.1)
    assert TrainConfig(steps=600).warmup_steps == 30
    optimizer = make_optimizer(small(), config)
    assert isinstance(optimizer, torch.optim.AdamW)
    for group in optimizer.param_groups:
        assert group["betas"] == (0.9, 0.95) and group["eps"] == 1e-5
        assert not group["amsgrad"] and not group["maximize"]


def test_decay_is_for_matrices_only():
    model = small()
    groups = make_optimizer(model, TrainConfig(steps=1)).param_groups
    decay = {id(w): group["weight_decay"] for group in groups for w in group["params"]}
    got = {name: decay[id(weight)] for name, weight in model.named_parameters()}
    assert len(decay) == len(got) == len(list(model.parameters()))
    matrices = ("wq", "wk", "wv", "wo", "w1", "w2", "w3", "output")
    for name, value in got.items():
        assert value == (0.1 if name.split(".")[-2] in matrices else 0.0), name
    assert got["tok_embeddings.weight"] == got["norm.weight"] == 0.0


def test_frozen_weights_are_left_out():
    model = small()
    for weight in model.layers[0].parameters():
        weight.requires_grad_(False)
    held = {id(w) for g in make_optimizer(model, TrainConfig(steps=1)).param_groups
            for w in g["params"]}  # fmt: skip
    assert held == {id(w) for w in model.parameters() if w.requires_grad}
    assert not any(id(w) in held for w in model.layers[0].parameters())


class Toy(nn.Module):
    """An embedding, a matrix and a norm: logits (B, T, 7) in float64."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.tok_embeddings = nn.Module()
        table = torch.randn(7, 4, generator=generator, dtype=torch.float64)
        self.tok_embeddings.weight = nn.Parameter(table)
        self.norm = nn.Parameter(torch.ones(4, dtype=torch.float64))
        matrix = torch.randn(7, 4, generator=generator, dtype=torch.float64)
        self.output = nn.Parameter(matrix)

    def forward(self, tokens):
        return (self.tok_embeddings.weight[tokens] * self.norm) @ self.output.T


def by_hand(model, batches, config):
    """Loshchilov and Hutter's AdamW behind a clip by the whole gradient's length, in numbers."""
    weights = {n: w.detach().clone() for n, w in model.named_parameters()}
    first = {n: torch.zeros_like(w) for n, w in weights.items()}
    second = {n: torch.zeros_like(w) for n, w in weights.items()}
    norms = []
    for step, tokens in enumerate(batches, 1):
        for name, weight in model.named_parameters():
            weight.data.copy_(weights[name])
        model.zero_grad()
        logits = model(tokens[:, :-1]).log_softmax(-1)
        (-logits.gather(-1, tokens[:, 1:, None]).mean()).backward()
        grads = {n: w.grad for n, w in model.named_parameters()}
        length = math.sqrt(sum(float((g**2).sum()) for g in grads.values()))
        norms.append(length)
        lr = learning_rate(step, config)
        for name, w in weights.items():
            g = grads[name] * min(1.0, config.max_grad_norm / (length + 1e-6))
            m = first[name] = config.beta1 * first[name] + (1 - config.beta1) * g
            v = second[name] = config.beta2 * second[name] + (1 - config.beta2) * g**2
            m, v = m / (1 - config.beta1**step), v / (1 - config.beta2**step)
            decay = config.weight_decay if name == "output" else 0.0
            weights[name] = w - lr * decay * w - lr * m / (v.sqrt() + config.eps)
    return weights, norms


@pytest.mark.parametrize("clip", [0.05, 1.0, 50.0])
def test_seven_steps_are_adamw_written_by_hand(clip):
    config = TrainConfig(steps=7, lr=0.05, warmup_steps=2, max_grad_norm=clip, weight_decay=0.3)
    generator = torch.Generator().manual_seed(5)
    batches = [torch.randint(7, (3, 6), generator=generator) for _ in range(7)]
    model = Toy()
    records = list(train(model, batches, config))
    want, norms = by_hand(Toy(), batches, config)
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), want[name], rtol=0, atol=1e-12)
    assert [r.grad_norm for r in records] == pytest.approx(norms, rel=1e-12)
    assert any(n > 0.05 for n in norms) and all(n < 50 for n in norms)


def test_the_rate_at_named_steps():
    config = TrainConfig(steps=110, lr=2.0, warmup_steps=10)
    assert learning_rate(1, config) == pytest.approx(0.2)
    assert learning_rate(5, config) == pytest.approx(1.0)
    assert learning_rate(10, config) == pytest.approx(2.0)
    assert learning_rate(60, config) == pytest.approx(0.2 + 1.8 / 2)  # the middle of the cosine
    assert learning_rate(110, config) == pytest.approx(0.2)  # 10 %
    assert learning_rate(500, config) == pytest.approx(0.2)
    falling = [learning_rate(step, config) for step in range(10, 111)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("steps, warmup, ratio", [(60, 7, 0.1), (33, 1, 0.0), (20, 19, 0.5)])
def test_it_is_the_schedule_of_transformers(steps, warmup, ratio):
    """Theirs counts from 0, with a first step of rate 0; ours from 1, and no step is for nothing.
    So our step n has their rate of step n, the one that comes after n calls."""
    config = TrainConfig(steps=steps, lr=3e-4, warmup_steps=warmup, min_lr_ratio=ratio)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=3e-4)
    schedule = get_cosine_with_min_lr_schedule_with_warmup(
        optimizer, warmup, steps, min_lr_rate=ratio
    )
    assert schedule.get_last_lr() == [0.0]
    for step in range(1, steps + 1):
        optimizer.step()
        schedule.step()
        assert learning_rate(step, config) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)


def test_it_is_torchs_cosine_behind_the_warm_up():
    config = TrainConfig(steps=50, lr=1.0, warmup_steps=0)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 50, eta_min=0.1)
    for step in range(1, 51):
        optimizer.step()
        cosine.step()
        assert learning_rate(step, config) == pytest.approx(cosine.get_last_lr()[0], abs=1e-12)


def test_steps_are_counted_from_one():
    with pytest.raises(ValueError, match="step=0"):
        learning_rate(0, TrainConfig(steps=3))


@pytest.mark.parametrize(
    "field, value",
    [
        ("steps", 0), ("steps", -5), ("steps", 2.5), ("steps", "9"), ("steps", True),
        ("warmup_steps", -1), ("grad_accum_steps", 0), ("eval_every", -1),
        ("lr", 0.0), ("lr", -1e-3),
        ("lr", math.nan), ("lr", math.inf), ("eps", 0.0), ("max_grad_norm", 0.0), ("beta1", 1.5),
        ("beta2", -0.1), ("weight_decay", math.nan), ("min_lr_ratio", 2), ("dtype", "float8"),
    ],
)  # fmt: skip
def test_nonsense_is_named(field, value):
    with pytest.raises(ValueError, match=f"{field}="):
        TrainConfig(**{"steps": 10, field: value})


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match="warmup_steps=20 is more than steps=10"):
        TrainConfig(steps=10, warmup_steps=20)


def test_a_tied_head_is_decayed_like_the_embedding():
    model = small(LlamaConfig(**SIZES, tie_embeddings=True))
    groups = make_optimizer(model, TrainConfig(steps=1)).param_groups
    shared = [g["weight_decay"] for g in groups for w in g["params"] if w is model.output.weight]
    assert shared == [0.0]
    assert decayed("output.weight", torch.zeros(2, 2))
    assert not decayed("module.tok_embeddings.weight", torch.zeros(2, 2))
