"""A step in fewer passes is the same step, and a learner's own part is never passed over."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from llamalab import layers
from llamalab.config import LlamaConfig
from llamalab.layers import KVCache
from llamalab.model import Llama, Parts
from llamalab.runtime import cpu_kernels, fused_layers
from llamalab.training import TrainConfig, next_token_loss, shift, train
from llamalab.training import fused as fused_module
from llamalab.training.fused import BY, in_fewer_passes

CONFIG = LlamaConfig(
    dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=50, hidden_dim=40, max_seq_len=80
)
TOKENS = torch.randint(0, 50, (3, 71), generator=torch.Generator().manual_seed(0))
NAMES = [name for name in BY if "onednn" not in name or cpu_kernels.has_onednn()]


@pytest.fixture
def halves(monkeypatch):
    """Which halves went the short road, in order."""
    taken = []

    def counting(name):
        half = getattr(fused_layers, name)
        monkeypatch.setattr(fused_layers, name, lambda *a: taken.append(name) or half(*a))

    counting("attention_half")
    counting("feed_forward_half")
    return taken


def _model(parts=None, **changes):
    return Llama(replace(CONFIG, **changes), parts, generator=torch.Generator().manual_seed(3))


def _loss_and_gradients(model, forward, tokens=TOKENS):
    inputs, targets = shift(tokens)
    loss = next_token_loss(forward(inputs), targets)
    return loss.item(), torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("dtype, close", [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("changes", [{}, {"tie_embeddings": True}, {"n_kv_heads": 6}])
@pytest.mark.parametrize("name", NAMES)
def test_loss_and_every_gradient_are_the_plain_models(name, changes, dtype, close, halves):
    if dtype == torch.float64 and "onednn" in name:
        name = "fused"
    model = _model(**changes).to(dtype)
    expected, plain = _loss_and_gradients(model, model)
    assert not halves
    with cpu_kernels.matmul(name):
        got, gradients = _loss_and_gradients(model, in_fewer_passes(model, name))
    assert halves == ["attention_half", "feed_forward_half"] * 2
    assert got == pytest.approx(expected, rel=close)
    for ours, theirs in zip(gradients, plain, strict=True):
        assert (ours - theirs).norm() <= 10 * close * theirs.norm()


@pytest.mark.parametrize("tokens", [TOKENS[:1], TOKENS[:, :2], TOKENS[:1, :2]])
def test_one_row_and_one_token(tokens, halves):
    model = _model()
    expected, plain = _loss_and_gradients(model, model, tokens)
    got, gradients = _loss_and_gradients(model, in_fewer_passes(model, "fused"), tokens)
    assert len(halves) == 4 and got == pytest.approx(expected, rel=1e-5)
    assert all(torch.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in zip(gradients, plain))


def test_the_weights_are_the_models_own():
    model = _model()
    twin = in_fewer_passes(model, "fused")
    names = {id(weight) for weight in model.parameters()}
    assert twin is not model and {id(weight) for weight in twin.parameters()} == names
    assert all(type(block).__name__ == "Block" for block in model.layers)
    assert list(model.state_dict()) == list(_model().state_dict())


PARTS = {
    "rms_norm": layers.rms_norm, "apply_rope": layers.apply_rope,
    "attention": layers.attention, "swiglu": layers.swiglu,
}  # fmt: skip
LEFT = {  # which halves may still go the short road when this part is the learner's
    "rms_norm": [], "apply_rope": ["feed_forward_half"], "attention": ["feed_forward_half"],
    "swiglu": ["attention_half"],
}  # fmt: skip
A_PASS = {"rms_norm": 2 * 2 + 1, "apply_rope": 2 * 2, "attention": 2, "swiglu": 2}


@pytest.mark.parametrize("part", PARTS)
def test_a_learners_part_runs_as_it_is(part, halves):
    """It is counted, and does something that ours does not: it must be felt."""
    calls = []

    def own(*inputs):
        calls.append(part)
        return PARTS[part](*inputs) * 0.3

    model = _model(Parts(**{part: own}))
    expected, plain = _loss_and_gradients(model, model)
    assert len(calls) == A_PASS[part]
    got, gradients = _loss_and_gradients(model, in_fewer_passes(model, "fused"))
    assert len(calls) == 2 * A_PASS[part] and halves == LEFT[part] * 2
    assert got == pytest.approx(expected, rel=1e-5)
    ours = _model()
    assert got != pytest.approx(_loss_and_gradients(ours, ours)[0], rel=2e-4)
    assert all((a - b).norm() <= 1e-4 * b.norm() for a, b in zip(gradients, plain))


def test_a_learners_part_is_what_the_loop_trains(halves):
    calls = []

    def swiglu(*inputs):
        calls.append(1)
        return layers.swiglu(*inputs)

    model = _model(Parts(swiglu=swiglu))
    list(train(model, iter(lambda: TOKENS, None), TrainConfig(steps=3, matmul="fused")))
    assert len(calls) == 3 * CONFIG.n_layers and halves == ["attention_half"] * 3 * 2


def test_a_part_that_is_set_later_counts_as_well(halves):
    model = _model()
    twin = in_fewer_passes(model, "fused")
    calls = []
    own = model.layers[1].feed_forward
    own.swiglu = lambda *inputs: calls.append(1) or layers.swiglu(*inputs)
    twin(TOKENS)
    assert calls == [1]
    assert halves == ["attention_half", "feed_forward_half", "attention_half"]


def _listen(model):
    model.layers[0].attention.wq.register_forward_hook(lambda *_: None)


def _listen_before(model):
    model.layers[0].attention_norm.register_forward_pre_hook(lambda *_: None)


def _listen_backwards(model):
    model.layers[0].attention.register_full_backward_hook(lambda *_: None)


def _another_linear(model):
    class Adapter(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    model.layers[0].attention.wo = Adapter(24, 24, bias=False)


def _a_bias(model):
    model.layers[0].attention.wv.bias = nn.Parameter(torch.ones(8))


def _another_forward(model):
    attention = model.layers[0].attention
    plain = attention.forward
    attention.forward = lambda *inputs: plain(*inputs) * 3


@pytest.mark.parametrize(
    "change",
    [_listen, _listen_before, _listen_backwards, _another_linear, _a_bias, _another_forward],
)
def test_what_was_changed_or_is_listened_to_goes_the_plain_road(change, halves):
    model = _model()
    change(model)
    expected = model(TOKENS)
    got = in_fewer_passes(model, "fused")(TOKENS)
    assert halves == ["feed_forward_half", "attention_half", "feed_forward_half"]
    assert torch.allclose(got, expected, atol=1e-5)


def test_a_hook_on_a_block_sees_the_block(halves):
    model = _model()
    seen = []
    model.layers[1].register_forward_hook(lambda *_: seen.append(1))
    in_fewer_passes(model, "fused")(TOKENS)
    assert seen == [1] and halves == ["attention_half", "feed_forward_half"]


def test_autocast_other_dtypes_and_caches_go_the_plain_road(halves):
    model = _model()
    twin = in_fewer_passes(model, "fused")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(twin(TOKENS), model(TOKENS))
    cache, other = (KVCache(CONFIG, 3, 80) for _ in range(2))
    assert not halves
    assert torch.allclose(twin(TOKENS, cache), model(TOKENS, other), atol=1e-5)
    assert set(halves) == {"feed_forward_half"}  # attention has a cache to write
    halves.clear()
    half = _model().to(torch.bfloat16)
    assert torch.equal(in_fewer_passes(half, "fused")(TOKENS), half(TOKENS)) and not halves


def test_past_the_limit_no_weights_are_kept(monkeypatch, halves):
    model = _model()
    monkeypatch.setattr(fused_module, "KEPT", 3 * 6 * 71 * 71 - 1)
    in_fewer_passes(model, "fused")(TOKENS)
    assert set(halves) == {"feed_forward_half"}
    monkeypatch.setattr(fused_module, "KEPT", 3 * 6 * 71 * 71)
    in_fewer_passes(model, "fused")(TOKENS)
    assert "attention_half" in halves


def test_what_is_no_llama_and_other_names_are_left_alone():
    class Mine(Llama):
        pass

    for name in ("torch", "blocks", "onednn"):
        model = _model()
        assert in_fewer_passes(model, name) is model
    for other in (nn.Linear(2, 3), nn.DataParallel(_model()), Mine(CONFIG)):
        assert in_fewer_passes(other, "fused") is other


def test_a_model_is_told_of_wrong_tokens_as_before():
    twin = in_fewer_passes(_model(), "fused")
    with pytest.raises(ValueError, match="context"):
        twin(torch.zeros(1, 81, dtype=torch.int64))
    with pytest.raises(ValueError, match="50"):
        twin(torch.tensor([[50]]))
