"""The same step in less time: two functions of torch, computed by other kernels.

    F.linear(x, w)                         float32 products by oneDNN
    F.scaled_dot_product_attention(…)      causal attention, block by block of queries

Products and attention are almost nine tenths of a plain float32 step on a CPU. Inside
`with matmul(name):` calls of these two functions are redirected here, from the model as from a
learner's own part. Nothing in the model changes, and cases not covered here (a bias, a mask, a GPU)
go on to torch. Whole halves of a block stand in `fused_layers`.

Gains are shares of a step's time, measured with the preset `tales` and batches of 16 x 256 on one
core of an AMD Zen 5 (AVX-512 with bf16, no AMX). Elsewhere they may be losses: see `runs.autotune`.
Tried and left out, as less than 5 % each: casting an input once for all that read it, a backward
pass of attention by hand, torch.compile on top.
"""

import contextlib
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

BLOCK = 64  # queries at a time, at least; and at most 8 blocks
KEPT = 2**25  # most weights a call may keep: past it, torch's kernel, which keeps none


def matmul(name: str):
    """A context in which torch's products are computed as `name` says, one of MATMULS.
    ValueError if there is no such name, or this torch or machine has no such products."""
    if name not in MATMULS:
        raise ValueError(f"matmul={name!r} must be one of {', '.join(MATMULS)}")
    if linear in MATMULS[name].values() and not has_onednn():
        raise ValueError(
            f"matmul={name!r} need oneDNN's float32 product, which torch {torch.__version__} "
            f"does not have on this machine; take 'blocks' or 'torch'"
        )
    return _Instead(MATMULS[name]) if MATMULS[name] else contextlib.nullcontext()


def attention_by_blocks(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, block: int = BLOCK
) -> torch.Tensor:
    """Causal attention, q (B, H, T, D), k and v (B, n_kv, T, D) -> (B, H, T, D).

    A block of queries meets only the keys up to its end: with 4 blocks, 5/8 of all scores. The
    query heads of a group are stacked as rows, so keys are read once and never repeated. The
    weights are kept for the backward pass, which torch's kernel computes a second time.
    In bfloat16 a score is rounded to 8 bits (torch's kernel keeps 24); softmax and sums run in
    float32. Share of a bfloat16 step saved: 32 % (with torch's kernel attention takes almost half
    of it); of a float32 step with oneDNN: 5 %.
    """
    B, H, T, D = q.shape
    N, R = B * k.shape[1], H // k.shape[1]  # groups, and query heads in each
    q = (q * D**-0.5).reshape(N, R, T, D)
    k, v = k.reshape(N, T, D), v.reshape(N, T, D)
    out = []
    for a, b in query_blocks(T, block):
        rows = q[:, :, a:b].reshape(N, -1, D)  # (N, R (b-a), D)
        hidden = q.new_full((b - a, b), float("-inf")).triu(a + 1).repeat(R, 1)  # the future
        scores = torch.baddbmm(hidden, rows, k[:, :b].transpose(1, 2))  # (N, R (b-a), b)
        mixed = torch.bmm(scores.softmax(-1), v[:, :b])  # (N, R (b-a), D)
        out.append(mixed.view(N, R, b - a, D))
    return torch.cat(out, dim=2).view(B, H, T, D)


def query_blocks(T: int, least: int = BLOCK) -> list[tuple[int, int]]:
    """Where each block of T queries begins and ends: `least` of them or more, and at most 8
    blocks."""
    block = max(least, -(-T // 8))
    return [(a, min(a + block, T)) for a in range(0, T, block)]


def attention(
    query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False
) -> torch.Tensor:
    """F.scaled_dot_product_attention: by blocks where that is possible, else torch's own."""
    q, k, v = query, key, value
    on = q.device.type == "cpu" and torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if on else q.dtype
    if (
        (is_causal and attn_mask is None and dropout_p == 0 and scale is None)
        and q.device.type == "cpu"
        and dtype in (torch.float32, torch.float64, torch.bfloat16)
        and (on or q.dtype == k.dtype == v.dtype)
        and (q.ndim == 4 and k.shape == v.shape == (q.shape[0], k.shape[1], *q.shape[2:]))
        and (q.shape[1] == k.shape[1] or (enable_gqa and q.shape[1] % k.shape[1] == 0))
        and 0 < q.shape[:3].numel() * q.shape[2] <= KEPT
    ):
        with torch.autocast("cpu", enabled=False):
            return attention_by_blocks(q.to(dtype), k.to(dtype), v.to(dtype))
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
    )


def linear(input: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None):
    """F.linear: by oneDNN for float32 matrices on a CPU, else torch's own."""
    x = input
    if (
        bias is None
        and x.device.type == weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and (x.ndim > 1 and weight.ndim == 2 and x.shape[-1] == weight.shape[1])
        and (x.numel() > 0 and weight.numel() > 0)
    ):
        return _OneDNN.apply(x, weight)
    return F.linear(x, weight, bias)


class _OneDNN(torch.autograd.Function):
    """x (..., I), w (O, I) -> x w^T (..., O), and both gradients, in full float32.

    torch gives such products to MKL; on the CPU above oneDNN is twice as fast. Share of a float32
    step saved: 34 %.
    """

    @staticmethod
    def forward(ctx, x, w):
        x, w = x.contiguous(), w.contiguous()
        ctx.save_for_backward(x, w)
        return onednn_nt(x, w)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        g, dx, dw = g.contiguous(), None, None
        if ctx.needs_input_grad[0]:
            dx = onednn_nt(g, w.T)  # (..., I)
        if ctx.needs_input_grad[1]:
            dw = onednn_tn(g.flatten(0, -2), x.flatten(0, -2))  # (O, I)
        return dx, dw


def onednn_nt(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a (..., K), b (M, K) -> a b^T (..., M), by an operator that torch keeps for its compiler."""
    return torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")


def onednn_tn(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a (N, O), b (N, I) -> a^T b (O, I). oneDNN copies its first factor if it lies across: let
    that be the narrow one."""
    narrow = a.shape[1] <= b.shape[1]
    return onednn_nt(a.T, b.T) if narrow else onednn_nt(b.T, a.T).T


@functools.cache
def has_onednn() -> bool:
    """Whether that operator is here, and right: one product and its gradients, beside torch's."""
    generator = torch.Generator().manual_seed(0)
    x, w, g = (torch.randn(*size, generator=generator) for size in ((5, 7), (3, 7), (5, 3)))
    with torch.device("cpu"), torch.enable_grad(), torch.autocast("cpu", enabled=False):
        x, w = x.requires_grad_(), w.requires_grad_()
        try:
            y = _OneDNN.apply(x, w)
            got = y, *torch.autograd.grad(y, (x, w), g)
        except (AttributeError, RuntimeError, TypeError):  # not there, or with other arguments
            return False
        return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(got, (x @ w.T, g @ w, g.T @ x)))


class _Instead(TorchFunctionMode):
    """Call `table[function]` where `function` of torch is called; inside, torch is itself."""

    def __init__(self, table: dict):
        super().__init__()
        self.table = table

    def __torch_function__(self, function, types, args=(), kwargs=None):
        return self.table.get(function, function)(*args, **(kwargs or {}))


MATMULS: dict[str, dict[Callable, Callable]] = {
    "torch": {},
    "blocks": {F.scaled_dot_product_attention: attention},
    "onednn": {F.scaled_dot_product_attention: attention, F.linear: linear},
    "fused": {},  # whole halves of blocks, see `training.fused`; these are for what is left
    "fused-onednn": {F.scaled_dot_product_attention: attention, F.linear: linear},
}
