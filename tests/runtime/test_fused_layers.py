"""Half a block in one call: values and gradients beside the taught layers, written out plainly."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.runtime import cpu_kernels, fused_layers
from llamalab.runtime.fused_layers import BY_ONEDNN, BY_TORCH, attention_half, feed_forward_half

EPS = 1e-5
# B, T, dim, H, n_kv, D, hidden: no two sizes alike, one token, one row, one block and a bit, groups
# of 1, 2, 3 and 4 heads, more heads than fit in dim, and so long that blocks are longer than 64
SHAPES = [
    (2, 5, 14, 6, 2, 4, 10), (3, 1, 6, 2, 1, 4, 5), (1, 7, 10, 4, 4, 2, 3), (1, 1, 2, 3, 1, 2, 1),
    (2, 70, 12, 6, 3, 8, 9), (1, 131, 4, 4, 1, 2, 6), (2, 64, 8, 2, 2, 6, 7),
    (1, 520, 4, 2, 1, 2, 3),
]  # fmt: skip


def _inputs(shape, dtype):
    """A half's tensors, and the angles of positions as the model hands them over."""
    B, T, dim, H, n_kv, D, hidden = shape
    generator = torch.Generator().manual_seed(sum(shape))

    def drawn(*sizes):
        values = torch.randn(*sizes, generator=generator, dtype=torch.float64)
        return (values * 0.6).to(dtype).requires_grad_()

    x, norm = drawn(B, T, dim), drawn(dim)
    attention = [drawn(rows, dim) for rows in (H * D, n_kv * D, n_kv * D)] + [drawn(dim, H * D)]
    feed_forward = drawn(hidden, dim), drawn(dim, hidden), drawn(hidden, dim)
    return x, norm, attention, feed_forward, layers.rope_table(D, T)


def _attention_plainly(x, norm, wq, wk, wv, wo, table):
    """The taught layers, with the attention that writes every step out."""
    n, split = layers.rms_norm(x, norm, EPS), (-1, 2 * table[0].shape[1])
    q, k = (layers.apply_rope((n @ w.T).unflatten(-1, split), *table) for w in (wq, wk))
    mixed, _ = layers.attention_slowly(q, k, (n @ wv.T).unflatten(-1, split))
    return x + mixed.flatten(-2) @ wo.T


def _feed_forward_plainly(x, norm, w1, w2, w3):
    n = layers.rms_norm(x, norm, EPS)
    return x + (F.silu(n @ w1.T) * (n @ w3.T)) @ w2.T


def _turn(table, dtype):
    return torch.complex(*(part.to(dtype) for part in table))


def _with_gradients(function, inputs):
    """The output, and the gradients for an output gradient that is not constant."""
    y = function(*inputs)
    pull = torch.linspace(-1, 2, y.numel(), dtype=y.dtype).view_as(y)
    return [y.detach(), *torch.autograd.grad(y, inputs, pull)]


def _in_float64(function, inputs):
    return _with_gradients(function, [t.detach().double().requires_grad_() for t in inputs])


def _assert_same(got, expected, close):
    for ours, plain in zip(got, expected, strict=True):
        assert ours.shape == plain.shape
        assert (ours.double() - plain).norm() <= close * plain.norm().clamp(min=1e-6)


WAYS = [
    pytest.param(torch.float64, BY_TORCH, 1e-12, id="float64"),
    pytest.param(torch.float32, BY_TORCH, 1e-5, id="float32"),
    pytest.param(torch.float32, BY_ONEDNN, 1e-5, id="onednn", marks=pytest.mark.skipif(
        not cpu_kernels.has_onednn(), reason="no oneDNN product in this torch")),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, by, close", WAYS)
def test_the_attention_half_and_its_gradients_are_the_plain_ones(shape, dtype, by, close):
    x, norm, matrices, _, table = _inputs(shape, dtype)
    inputs = [x, norm, *matrices]
    turn = _turn(table, dtype)
    got = _with_gradients(lambda *each: attention_half(*each, turn, EPS, by), inputs)
    _assert_same(got, _in_float64(lambda *each: _attention_plainly(*each, table), inputs), close)


@pytest.mark.parametrize("rows", [3, 64, 1024])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype, by, close", WAYS)
def test_the_feed_forward_half_and_its_gradients_are_the_plain_ones(
    shape, dtype, by, close, rows, monkeypatch
):
    monkeypatch.setattr(fused_layers, "ROWS", rows)
    x, norm, _, matrices, _ = _inputs(shape, dtype)
    got = _with_gradients(lambda *each: feed_forward_half(*each, EPS, by), [x, norm, *matrices])
    _assert_same(got, _in_float64(_feed_forward_plainly, [x, norm, *matrices]), close)


def test_the_gradients_are_those_that_differences_give():
    x, norm, attention, feed_forward, table = _inputs((2, 5, 6, 4, 2, 2, 3), torch.float64)
    turn = _turn(table, torch.float64)
    assert torch.autograd.gradcheck(
        lambda *each: attention_half(*each, turn, EPS), (x, norm, *attention)
    )
    assert torch.autograd.gradcheck(
        lambda *each: feed_forward_half(*each, EPS), (x, norm, *feed_forward)
    )


def test_differences_agree_where_a_row_spans_two_blocks(monkeypatch):
    by_two = partial(cpu_kernels.query_blocks, least=2)
    monkeypatch.setattr(fused_layers, "query_blocks", by_two)
    x, norm, attention, _, table = _inputs((1, 5, 4, 2, 1, 2, 3), torch.float64)
    turn = _turn(table, torch.float64)
    assert by_two(5) == [(0, 2), (2, 4), (4, 5)]
    assert torch.autograd.gradcheck(
        lambda *each: attention_half(*each, turn, EPS), (x, norm, *attention)
    )


def test_no_position_sees_what_comes_after_it():
    x, norm, matrices, _, table = _inputs((2, 70, 12, 6, 3, 8, 9), torch.float64)
    turn = _turn(table, torch.float64)
    before = attention_half(x, norm, *matrices, turn, EPS)
    x.data[:, 66] = 3.0
    after = attention_half(x, norm, *matrices, turn, EPS)
    assert torch.equal(before[:, :66], after[:, :66])
    assert not torch.isclose(before[:, 66:], after[:, 66:]).all(-1).any()


def test_inputs_and_output_gradients_may_lie_across():
    """Transposed and expanded: as a view of something larger would come."""
    x, norm, attention, feed_forward, table = _inputs((3, 6, 8, 4, 2, 2, 5), torch.float64)
    turn = _turn(table, torch.float64)
    across = x.detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    assert not across.is_contiguous()
    for half, plain, matrices in (
        (lambda *each: attention_half(*each, turn, EPS),
         lambda *each: _attention_plainly(*each, table), attention),
        (lambda *each: feed_forward_half(*each, EPS), _feed_forward_plainly, feed_forward),
    ):  # fmt: skip
        inputs = (across, norm, *matrices)
        for pull in (torch.ones(1, 1, 1).double().expand(3, 6, 8),
                     torch.arange(144.0).double().view(8, 6, 3).permute(2, 1, 0)):  # fmt: skip
            got = torch.autograd.grad(half(*inputs), inputs, pull)
            _assert_same(got, torch.autograd.grad(plain(*inputs), inputs, pull), 1e-12)


def test_a_second_backward_pass_over_a_kept_graph_is_the_same():
    """What was kept for it has not been written over."""
    x, norm, attention, feed_forward, table = _inputs((2, 70, 6, 2, 1, 4, 5), torch.float64)
    y = attention_half(x, norm, *attention, _turn(table, torch.float64), EPS)
    y = feed_forward_half(y, norm, *feed_forward, EPS).square().sum()
    inputs = (x, norm, *attention, *feed_forward)
    first = torch.autograd.grad(y, inputs, retain_graph=True)
    assert all(map(torch.equal, first, torch.autograd.grad(y, inputs)))


def test_a_gate_far_out_has_finite_gradients():
    x, norm, _, (w1, w2, w3), _ = _inputs((2, 5, 14, 6, 2, 4, 10), torch.float32)
    inputs = [x, norm, (w1 * 300).detach().requires_grad_(), w2, w3]
    got = _with_gradients(lambda *each: feed_forward_half(*each, EPS), inputs)
    assert all(part.isfinite().all() for part in got)
    _assert_same(got, _in_float64(_feed_forward_plainly, inputs), 1e-4)


def test_a_row_of_zeros_is_saved_by_eps():
    x, norm, attention, feed_forward, table = _inputs((2, 5, 14, 6, 2, 4, 10), torch.float64)
    x.data[1, 2] = 0.0
    got = _with_gradients(lambda *each: feed_forward_half(*each, EPS), [x, norm, *feed_forward])
    _assert_same(got, _in_float64(_feed_forward_plainly, [x, norm, *feed_forward]), 1e-10)
