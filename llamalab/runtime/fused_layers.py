"""Half a block in one call, forward and backward: the same numbers in fewer passes over memory.

    attention_half      x + wo attention(rope(wq n), rope(wk n), wv n)        n = rms_norm(x)
    feed_forward_half   x + w2 (silu(w1 n) * w3 n)

On a CPU without units for bf16 the matrix products are little more than half of a plain step; the
rest goes over the same memory again and again. What is saved here, and how:

    norm         its weight is multiplied into the matrices after it, its scale one number a row
    wq, wk, wv   one matrix for three, with 1/sqrt(D) in its first rows
    RoPE         one product of complex numbers, written where the heads of a group lie together
    attention    by blocks of queries, as in `cpu_kernels`; only a block's last square has a future
    gate         rows in portions that stay in the cache; silu(w1 n) is computed twice, not kept
    backward     by hand; what is added, the residual too, is added by the product itself

`by` says who multiplies matrices. Nothing here knows of modules: `training.fused` decides for
which blocks of a model these are the same function. Oracle: the taught layers, in the tests.
Tried and left out, as no gain: cross-entropy by portions of rows, attention by portions of a batch.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from .cpu_kernels import onednn_nt, onednn_tn, query_blocks

ROWS = 1024  # of a portion of the feed-forward half

Product = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Products(NamedTuple):
    """Three products of two matrices: a b^T, a b and a^T b. With a third, added onto it."""

    nt: Callable[..., torch.Tensor]
    nn: Callable[..., torch.Tensor]
    tn: Callable[..., torch.Tensor]


def _by_torch(a: torch.Tensor, b: torch.Tensor, onto: torch.Tensor | None = None) -> torch.Tensor:
    return torch.mm(a, b) if onto is None else onto.addmm_(a, b)


def _added(product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]):
    """The same product, which can be added onto something."""
    return lambda a, b, onto=None: product(a, b) if onto is None else onto.add_(product(a, b))


BY_TORCH = Products(
    lambda a, b, *onto: _by_torch(a, b.T, *onto), _by_torch,
    lambda a, b, *onto: _by_torch(a.T, b, *onto),
)  # fmt: skip
BY_ONEDNN = Products(_added(onednn_nt), _added(lambda a, b: onednn_nt(a, b.T)), _added(onednn_tn))


def attention_half(x, norm, wq, wk, wv, wo, turn, eps: float, by: Products = BY_TORCH):
    """x (B, T, dim), norm (dim,), turn (T, D/2) of complex cos + i sin -> (B, T, dim). Causal, from
    position 0 on; all of one dtype, float32 or float64, and turn of the complex one beside it."""
    return _AttentionHalf.apply(x, norm, wq, wk, wv, wo, turn, eps, by)


def feed_forward_half(x, norm, w1, w2, w3, eps: float, by: Products = BY_TORCH):
    """x (..., dim), norm (dim,), w1 and w3 (hidden, dim), w2 (dim, hidden) -> (..., dim)."""
    return _FeedForwardHalf.apply(x, norm, w1, w2, w3, eps, by)


class _AttentionHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, norm, wq, wk, wv, wo, turn, eps, by):
        B, T, dim = x.shape
        D = 2 * turn.shape[1]
        H, G = len(wq) // D, len(wk) // D  # query heads, and groups of them: KV heads
        rows = x.reshape(-1, dim)  # (B T, dim)
        w = torch.cat((wq * D**-0.5, wk, wv)).mul_(norm)  # ((H + 2G) D, dim)
        n, scale = _normed(rows, eps)
        heads = by.nt(n, w).view(B, T, H + 2 * G, D)
        q = _pairs(heads)[:, :, :H].unflatten(2, (G, -1))  # (B, T, G, R, D/2)
        q = q.permute(0, 2, 3, 1, 4)  # (B, G, R, T, D/2)
        k = _turned(_pairs(heads)[:, :, H : H + G].transpose(1, 2), turn).view(B * G, T, D)
        v = heads[:, :, H + G :].transpose(1, 2).reshape(B * G, T, D)
        mixed = x.new_empty(B, T, G, H // G, D)
        kept: list[torch.Tensor] = []
        for a, b in query_blocks(T):
            asking = _turned(q[:, :, :, a:b], turn[a:b]).view(B * G, -1, D)  # (B G, R (b-a), D)
            scores = torch.bmm(asking, k[:, :b].transpose(1, 2))  # (B G, R (b-a), b)
            future = x.new_full((b - a, b - a), float("-inf")).triu_(1)
            scores.view(B * G, -1, b - a, b)[..., a:].add_(future)
            weights = scores.softmax(-1)
            found = torch.bmm(weights, v[:, :b])  # (B G, R (b-a), D)
            mixed[:, a:b] = found.view(B, G, -1, b - a, D).permute(0, 3, 1, 2, 4)
            kept += asking, weights
        mixed = mixed.view(B * T, -1)
        ctx.save_for_backward(x, norm, wq, wk, wv, wo, turn, w, scale, k, v, mixed, *kept)
        ctx.by = by
        return by.nt(mixed, wo, rows.clone()).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, norm, wq, wk, wv, wo, turn, w, scale, k, v, mixed, *kept = ctx.saved_tensors
        by, (B, T, dim), D = ctx.by, x.shape, v.shape[-1]
        H, G = len(wq) // D, len(wk) // D
        g = g.reshape(-1, dim)  # (B T, dim)
        d_mixed = by.nn(g, wo).view(B, T, G, -1, D).permute(0, 2, 3, 1, 4)  # (B, G, R, T, D)
        d_heads = x.new_empty(B, T, H + 2 * G, D)
        d_q = _pairs(d_heads)[:, :, :H].unflatten(2, (G, -1)).permute(0, 2, 3, 1, 4)
        back = turn.conj().resolve_conj()
        blocks = list(zip(query_blocks(T), kept[0::2], kept[1::2]))
        for (a, b), asking, weights in reversed(blocks):  # the longest first: it starts the sums
            d_found = d_mixed[:, :, :, a:b].reshape(B * G, -1, D)
            d_weights = torch.bmm(d_found, v[:, :b].transpose(1, 2))
            d_scores = torch.ops.aten._softmax_backward_data(d_weights, weights, -1, x.dtype)
            d_asking = torch.bmm(d_scores, k[:, :b]).view(B, G, -1, b - a, D)
            torch.mul(_pairs(d_asking), back[a:b], out=d_q[:, :, :, a:b])
            to_k, to_v = (
                torch.bmm(s.transpose(1, 2), y) for s, y in ((d_scores, asking), (weights, d_found))
            )
            if b == T:
                d_k, d_v = to_k, to_v
            else:
                d_k[:, :b] += to_k
                d_v[:, :b] += to_v
        d_k = _pairs(d_k.view(B, G, T, D)).transpose(1, 2)  # (B, T, G, D/2)
        torch.mul(d_k, back[:, None], out=_pairs(d_heads)[:, :, H : H + G])
        d_heads[:, :, H + G :] = d_v.view(B, G, T, D).transpose(1, 2)
        d_heads = d_heads.view(B * T, -1)
        n = x.reshape(-1, dim) * scale
        dx = _through_norm(by.nn(d_heads, w), n, scale, g)
        dw = by.tn(d_heads, n)  # of w: the three matrices' and the norm's are in it
        d_norm = (dw * torch.cat((wq * D**-0.5, wk, wv))).sum(0)
        d_wq, d_wk, d_wv = dw.mul_(norm).split((len(wq), len(wk), len(wv)))
        d_wo = by.tn(g, mixed)
        return dx.view(x.shape), d_norm, d_wq * D**-0.5, d_wk, d_wv, d_wo, None, None, None


class _FeedForwardHalf(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, norm, w1, w2, w3, eps, by):
        u1, u3 = w1 * norm, w3 * norm
        out = x.reshape(-1, x.shape[-1]).clone()
        kept: list[torch.Tensor] = []
        for rows in out.split(ROWS):  # x, onto which the rest is added
            n, scale = _normed(rows, eps)
            gate, up = by.nt(n, u1), by.nt(n, u3)  # (rows, hidden) each
            by.nt(F.silu(gate).mul_(up), w2, rows)
            kept += scale, gate, up
        ctx.save_for_backward(x, norm, w1, w2, w3, u1, u3, *kept)
        ctx.by = by
        return out.view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx, g):
        x, norm, w1, w2, w3, u1, u3, *kept = ctx.saved_tensors
        by, dim = ctx.by, x.shape[-1]
        dx, (du1, dw2, du3) = [], (torch.zeros_like(w) for w in (w1, w2, w3))
        portions = (tensor.reshape(-1, dim).split(ROWS) for tensor in (x, g))
        for rows, g_rows, scale, gate, up in zip(*portions, kept[0::3], kept[1::3], kept[2::3]):
            n, opened, d = rows * scale, F.silu(gate), by.nn(g_rows, w2)  # d: of opened * up
            by.tn(g_rows, opened * up, dw2)
            d_up = opened.mul_(d)
            d_gate = torch.ops.aten.silu_backward(d.mul_(up), gate)
            by.tn(d_gate, n, du1)
            by.tn(d_up, n, du3)
            dn = by.nn(d_up, u3, by.nn(d_gate, u1))
            dx.append(_through_norm(dn, n, scale, g_rows))
        d_norm = (du1 * w1).sum(0).add_((du3 * w3).sum(0))
        dw1, dw3 = du1.mul_(norm), du3.mul_(norm)
        return torch.cat(dx).view(x.shape), d_norm, dw1, dw2, dw3, None, None


def _normed(x: torch.Tensor, eps: float) -> tuple[torch.Tensor, torch.Tensor]:
    """x (N, dim) -> the same at length sqrt(dim), and the factor of each row (N, 1)."""
    length = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    scale = length.square_().div_(x.shape[1]).add_(eps).rsqrt_()
    return x * scale, scale


def _through_norm(dn, n, scale, g) -> torch.Tensor:
    """The gradient of x from that of n = scale x, and g past them both; written over dn.
    The scale depends on x, so what lies along n itself is nearly lost: all but eps's share."""
    along = (dn * n).mean(1, keepdim=True)
    return dn.addcmul_(n, along, value=-1).mul_(scale).add_(g)


def _pairs(x: torch.Tensor) -> torch.Tensor:
    """(..., D) real -> (..., D/2) complex, the same memory: neighbours (a, b) are a + ib."""
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))


def _turned(pairs: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """(…, T, D/2) complex -> (…, T, D) real, turned, and laid out in that order."""
    out = pairs.real.new_empty(*pairs.shape, 2)
    torch.mul(pairs, turn, out=torch.view_as_complex(out))
    return out.flatten(-2)
