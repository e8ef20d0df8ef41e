"""The fast roads lead where torch's own do: values and gradients beside torch in float64."""

import contextlib
import functools

import pytest
import torch
import torch.nn.functional as F

from llamalab.config import LlamaConfig
from llamalab.model import Llama, Parts
from llamalab.runtime import cpu_kernels
from llamalab.runtime.cpu_kernels import attention, attention_by_blocks, linear, matmul
from llamalab.training import TrainConfig, train

SDPA = F.scaled_dot_product_attention
# B, H, n_kv, T, D: sizes that no block divides, one block, one token, groups of 1, 2 and 3
SHAPES = [(2, 6, 2, 13, 8), (3, 4, 4, 7, 6), (2, 4, 2, 64, 10), (1, 6, 2, 130, 4), (2, 3, 1, 1, 2)]


def _operator() -> bool:
    """Asked of torch and not of our code: a mistake in ours must fail, not skip."""
    x, w = torch.ones(2, 3), torch.ones(4, 3)
    try:
        y = torch.ops.mkldnn._linear_pointwise(x, w, None, "none", [], "")
    except (AttributeError, RuntimeError, TypeError):
        return False
    return torch.equal(y, torch.full((2, 4), 3.0))


onednn = pytest.mark.skipif(not _operator(), reason="no oneDNN product in this torch")


def _qkv(shape, dtype=torch.float64, seed=0):
    """q, k, v as the model hands them over: (B, T, H, D) in memory, seen as (B, H, T, D)."""
    B, H, n_kv, T, D = shape
    generator = torch.Generator().manual_seed(seed)
    sizes = ((B, T, H, D), (B, T, n_kv, D), (B, T, n_kv, D))
    drawn = (torch.randn(*s, generator=generator, dtype=torch.float64) * 1.5 for s in sizes)
    return [x.to(dtype).transpose(1, 2).requires_grad_() for x in drawn]


def _with_gradients(function, *inputs):
    """The output, and the gradients for an output gradient that is not constant."""
    y = function(*inputs)
    weights = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad(y, inputs, weights)]


def _torch_in_float64(inputs):
    wide = [x.detach().double().requires_grad_() for x in inputs]
    return _with_gradients(lambda q, k, v: SDPA(q, k, v, is_causal=True, enable_gqa=True), *wide)


@pytest.mark.parametrize("block", [1, 4, 64])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, close", [(torch.float64, 1e-12), (torch.float32, 1e-5),
                                          (torch.bfloat16, 0.02)])  # fmt: skip
def test_attention_and_its_gradients_are_torchs(shape, dtype, close, block):
    inputs = _qkv(shape, dtype)
    got = _with_gradients(lambda *qkv: attention_by_blocks(*qkv, block=block), *inputs)
    for ours, theirs in zip(got, _torch_in_float64(inputs)):
        assert ours.dtype == dtype and ours.shape == theirs.shape
        error = (ours.double() - theirs).norm() / theirs.norm().clamp(min=1e-6)
        assert error < close


def test_attention_has_the_gradients_that_differences_give():
    inputs = _qkv((2, 6, 2, 5, 4))
    assert torch.autograd.gradcheck(lambda *qkv: attention_by_blocks(*qkv, block=2), inputs)


def test_attention_sees_no_future():
    q, k, v = _qkv((2, 6, 2, 70, 4))
    before = attention_by_blocks(q, k, v)
    k.data[:, :, 66], v.data[:, :, 66] = 9.0, 9.0
    after = attention_by_blocks(q, k, v)
    assert torch.equal(before[:, :, :66], after[:, :, :66])
    assert not torch.isclose(before[:, :, 66:], after[:, :, 66:]).all(-1).any()


def test_attention_takes_blocks_where_it_can(monkeypatch):
    q, k, v = _qkv((2, 6, 2, 13, 8), torch.float32)
    seen = []
    monkeypatch.setattr(
        cpu_kernels, "attention_by_blocks", lambda q, k, v: seen.append(q.dtype) or q
    )
    attention(q, k, v, is_causal=True, enable_gqa=True)
    with torch.autocast("cpu", torch.bfloat16):  # as torch's: in autocast's dtype
        attention(q, k, v, is_causal=True, enable_gqa=True)
    assert seen == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize("case", [
    {}, {"attn_mask": torch.rand(13, 13) > 0.2}, {"dropout_p": 0.5, "is_causal": True},
    {"is_causal": True, "scale": 0.1},
])  # fmt: skip
def test_what_is_not_causal_attention_goes_to_torch(case):
    q, k, v = _qkv((2, 4, 4, 13, 8), torch.float32)
    torch.manual_seed(1)
    expected = SDPA(q, k, v, **case)
    torch.manual_seed(1)
    assert torch.equal(attention(q, k, v, **case), expected)


def test_past_the_limit_torch_keeps_no_weights(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "attention_by_blocks", None)  # calling it would raise
    q, k, v = _qkv((2, 6, 2, 13, 8), torch.float32)
    monkeypatch.setattr(cpu_kernels, "KEPT", 2 * 6 * 13 * 13 - 1)
    expected = SDPA(q, k, v, is_causal=True, enable_gqa=True)
    assert torch.equal(attention(q, k, v, is_causal=True, enable_gqa=True), expected)
    monkeypatch.setattr(cpu_kernels, "KEPT", 2 * 6 * 13 * 13)
    with pytest.raises(TypeError):
        attention(q, k, v, is_causal=True, enable_gqa=True)


def test_what_torch_refuses_is_refused():
    q, k, v = _qkv((2, 6, 2, 13, 8), torch.float32)
    with pytest.raises(RuntimeError):
        attention(q, k, v, is_causal=True)  # groups, but no enable_gqa
    with pytest.raises(RuntimeError):
        attention(q, k.double(), v, is_causal=True, enable_gqa=True)


def test_a_causal_mask_and_another_go_to_torch(monkeypatch):
    monkeypatch.setattr(
        cpu_kernels, "attention_by_blocks", None
    )  # calling it would raise a TypeError
    mask = torch.ones(13, 13, dtype=torch.bool)
    with contextlib.suppress(RuntimeError):  # some versions of torch refuse the two together
        attention(*_qkv((2, 4, 4, 13, 8), torch.float32), mask, is_causal=True)


def test_more_keys_than_queries_goes_to_torch():
    q, k, v = _qkv((2, 4, 4, 13, 8), torch.float32)
    expected = SDPA(q[:, :, :5], k, v, is_causal=True)
    assert torch.equal(attention(q[:, :, :5], k, v, is_causal=True), expected)


@onednn
@pytest.mark.parametrize("rows", [(5,), (2, 3), (2, 1, 7)])
@pytest.mark.parametrize("inputs, outputs", [(7, 3), (3, 7), (16, 16), (1, 1), (192, 65)])
def test_linear_and_its_gradients_are_torchs(rows, inputs, outputs):
    x = torch.randn(*rows, inputs).requires_grad_()
    w = torch.randn(outputs, inputs).requires_grad_()
    wide = [t.detach().double().requires_grad_() for t in (x, w)]
    for ours, theirs in zip(_with_gradients(linear, x, w), _with_gradients(F.linear, *wide)):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours.double(), theirs, rtol=1e-5, atol=1e-5 * inputs**0.5)


@onednn
def test_where_the_operator_is_its_way_is_to_be_had():
    assert cpu_kernels.has_onednn()


@onednn
def test_linear_takes_whatever_lies_across():
    """Every second row or column, transposed, expanded: and an expanded output gradient."""
    x = torch.randn(6, 4, 10)
    for view in (x.transpose(0, 1), x[::2], x[:, ::2], x[:1].expand(3, 4, 10), x.mT.mT):
        for w in (
            torch.randn(6, 20)[::2, ::2],
            torch.randn(10, 7).T,
            torch.randn(10).expand(5, 10),
        ):
            a, b = view.detach().requires_grad_(), w.detach().requires_grad_()
            y = linear(a, b)
            assert torch.allclose(y, F.linear(a, b), atol=1e-5)
            y.sum().backward()
            dx, dw = torch.autograd.grad(F.linear(a, b).sum(), (a, b))
            assert torch.allclose(a.grad, dx, atol=1e-5) and torch.allclose(b.grad, dw, atol=1e-4)


@onednn
def test_linear_computes_no_gradient_that_is_not_asked_for(monkeypatch):
    calls, onednn = [], cpu_kernels.onednn_nt
    monkeypatch.setattr(cpu_kernels, "onednn_nt", lambda a, b: calls.append(1) or onednn(a, b))
    for first, second in ((True, False), (False, True), (True, True)):
        a, b = torch.randn(5, 7, requires_grad=first), torch.randn(3, 7, requires_grad=second)
        calls.clear()
        linear(a, b).square().sum().backward()
        assert (a.grad is not None, b.grad is not None) == (first, second)
        assert len(calls) == 1 + first + second


def test_what_is_not_a_float32_matrix_goes_to_torch(monkeypatch):
    monkeypatch.setattr(cpu_kernels, "_OneDNN", None)  # touching it would raise
    x, w = torch.randn(5, 7), torch.randn(3, 7)
    for a, b, bias in ((x, w, torch.randn(3)), (x.double(), w.double(), None), (x[0], w, None),
                       (x, w[0], None), (x[:0], w, None)):  # fmt: skip
        assert torch.equal(linear(a, b, bias), F.linear(a, b, bias))
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, w).dtype == torch.bfloat16
    with pytest.raises(RuntimeError):
        linear(x, w[:, :6])


def _broken(error=None):
    def onednn(a, b):
        if error:
            raise error
        return F.linear(a, b) + 1

    return onednn


@pytest.mark.parametrize("error", [AttributeError(), RuntimeError(), TypeError(), None])
def test_a_torch_without_the_operator_has_no_such_products(monkeypatch, error):
    monkeypatch.setattr(cpu_kernels, "onednn_nt", _broken(error))
    monkeypatch.setattr(cpu_kernels, "has_onednn", cpu_kernels.has_onednn.__wrapped__)
    assert not cpu_kernels.has_onednn()
    with pytest.raises(ValueError, match="'onednn'"), matmul("onednn"):
        pass
    with matmul("blocks"):
        pass


def test_an_unknown_name_is_refused():
    with pytest.raises(ValueError, match="'mkl'.*torch, blocks, onednn"):
        matmul("mkl")
    with pytest.raises(ValueError, match="'mkl'.*torch, blocks, onednn"):
        TrainConfig(steps=1, matmul="mkl")
    with pytest.raises(ValueError, match="'blocks'"):
        TrainConfig(steps=1, matmul="blocks", compile=True)


CONFIG = LlamaConfig(
    dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=50, hidden_dim=40, max_seq_len=80
)


@functools.cache
def _plainly():
    return _losses()[0]


def _losses(steps=20, seed=3, **options):
    model = Llama(CONFIG, generator=torch.Generator().manual_seed(seed))
    batch = torch.randint(0, 50, (4, 71), generator=torch.Generator().manual_seed(seed))
    config = TrainConfig(steps=steps, lr=1e-2, **options)
    losses = [r.loss for r in train(model, iter(lambda: batch, None), config)]
    return losses, torch.cat([w.detach().flatten() for w in model.parameters()])


@onednn
@pytest.mark.parametrize("options, close", [
    ({"matmul": "blocks"}, 1e-4), ({"matmul": "onednn"}, 1e-4),
    ({"matmul": "fused"}, 1e-4), ({"matmul": "fused-onednn"}, 1e-4),
    ({"dtype": "bfloat16"}, 0.02), ({"dtype": "bfloat16", "matmul": "blocks"}, 0.02),
])  # fmt: skip
def test_twenty_steps_lose_as_in_plain_float32(options, close):
    plain, got = _plainly(), _losses(**options)[0]
    assert plain[-1] < plain[0] - 1
    assert got == pytest.approx(plain, rel=close)


@onednn
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["blocks", "onednn", "fused", "fused-onednn"])
def test_two_runs_are_equal_to_the_bit(dtype, name):
    (losses, weights), (again, weights_again) = (
        _losses(6, dtype=dtype, matmul=name) for _ in range(2)
    )
    assert losses == again and torch.equal(weights, weights_again)


@onednn
def test_a_learners_own_parts_are_what_is_trained(monkeypatch):
    """Their function runs, and what it asks of torch is served the fast way."""
    called, served = [], []
    onednn = cpu_kernels.onednn_nt
    monkeypatch.setattr(cpu_kernels, "onednn_nt", lambda a, b: served.append(1) or onednn(a, b))

    def swiglu(x, w1, w2, w3):  # a ReLU by mistake
        called.append(1)
        return F.linear(torch.relu(F.linear(x, w1)) * F.linear(x, w3), w2)

    model = Llama(CONFIG, Parts(swiglu=swiglu), generator=torch.Generator().manual_seed(0))
    tokens = torch.arange(40).view(2, 20)
    expected = model(tokens)
    assert len(called) == 2 and not served
    with matmul("onednn"):
        got = model(tokens)
    assert len(called) == 4 and len(served) == 7 * CONFIG.n_layers + 1
    assert torch.allclose(got, expected, atol=1e-5)
    model(tokens)
    assert len(served) == 7 * CONFIG.n_layers + 1  # outside, torch is itself again


def test_named_arguments_are_torchs():
    g = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 4, 9, 8, generator=g) for _ in range(3))
    x, w = torch.randn(3, 8, generator=g), torch.randn(5, 8, generator=g)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    for way in cpu_kernels.MATMULS:
        with matmul(way):
            found = F.scaled_dot_product_attention(query=q, key=k, value=v, is_causal=True)
            torch.testing.assert_close(found, mixed)
            torch.testing.assert_close(F.linear(input=x, weight=w), x @ w.T)
