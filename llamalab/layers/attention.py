"""Attention: each position mixes the values of the positions before it, weighed by its query.

    weights = softmax(q k^T / sqrt(D))        output = weights v

Grouped-query attention: with fewer key heads than query heads, query head h uses key head
h // (H / n_kv). Key heads are repeated as 0 0 0 1 1 1 (repeat_interleave), never 0 1 0 1 0 1.
The queries are the LAST T of S positions: query t stands at position S - T + t, and may look at
that one and those before it (the causal mask). So the same function serves a whole text (T = S)
and one new token after a cache (T = 1).
`attention_slowly` writes every step out and hands its weights back, for pictures and as the
oracle; `attention` is torch's fused kernel. Softmax runs in float32.
Left out on purpose: dropout, which Llama 2's released code has none of.
Source: Meta's model.py; n_kv_heads = 8 in 34B and 70B.
"""

import torch
import torch.nn.functional as F


def attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """q (B, T, H, D), k and v (B, S, n_kv, D) -> (B, T, H, D).

    mask: True where query t may look at position s, (T, S), or (B, T, S) for each row of the
    batch; None is the causal mask. Every query needs at least one position to look at.
    """
    _check(q, k, v, mask)
    T, S = q.shape[1], k.shape[1]
    whole = mask is None and T == S  # the kernel has a causal mask of its own for this case
    if mask is None and 1 < T < S:
        mask = causal_mask(T, S, q.device)  # for T == 1 nothing is hidden
    if mask is not None and mask.ndim == 3:
        mask = mask.unsqueeze(1)  # (B, 1, T, S): the same for all heads
    out = F.scaled_dot_product_attention(
        q.transpose(1, 2),  # (B, H, T, D)
        k.transpose(1, 2),  # (B, n_kv, S, D)
        v.transpose(1, 2),
        attn_mask=mask,
        is_causal=whole and T > 1,
        enable_gqa=q.shape[2] != k.shape[2],
    )  # (B, H, T, D)
    return out.transpose(1, 2)  # (B, T, H, D)


def attention_slowly(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same step by step: the output (B, T, H, D) and the weights (B, H, T, S), whose last
    axis sums to 1. The softmax runs in float32 (float64 for float64), on scores in their own
    dtype."""
    _check(q, k, v, mask)
    T, H, D = q.shape[1:]
    S, n_kv = k.shape[1:3]
    k = k.repeat_interleave(H // n_kv, dim=2)  # (B, S, H, D): 0 0 0 1 1 1, not 0 1 0 1 0 1
    v = v.repeat_interleave(H // n_kv, dim=2)
    scores = torch.einsum("bthd,bshd->bhts", q, k) / D**0.5  # (B, H, T, S)
    if mask is None:
        mask = causal_mask(T, S, q.device)
    scores = scores.masked_fill(~mask.unsqueeze(-3), float("-inf"))  # ([B,] 1, T, S)
    wide = scores if scores.dtype == torch.float64 else scores.float()
    weights = wide.softmax(dim=-1)  # (B, H, T, S)
    out = torch.einsum("bhts,bshd->bthd", weights.type_as(v), v)  # (B, T, H, D)
    return out, weights


def causal_mask(T: int, S: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """(T, S) of booleans: True where the query may look. The last query sees all S positions."""
    return torch.ones(T, S, dtype=torch.bool, device=device).tril(S - T)


def _check(q, k, v, mask) -> None:
    if q.ndim != 4 or k.ndim != 4 or k.shape != v.shape:
        says = "q must be (B, T, H, D), k and v both (B, S, n_kv, D)"
        raise ValueError(f"{says}; given {_sizes(q, k, v)}")
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3]:
        says = "batch and head_dim of q and k must be equal"
        raise ValueError(f"{says}; given {_sizes(q, k, v)}")
    if q.shape[2] % k.shape[2]:
        raise ValueError(f"n_kv={k.shape[2]} must divide the {q.shape[2]} query heads")
    if q.shape[1] > k.shape[1]:
        raise ValueError(f"{q.shape[1]} queries, but only {k.shape[1]} keys: {_sizes(q, k, v)}")
    if mask is not None:
        fits = ((q.shape[1], k.shape[1]), (q.shape[0], q.shape[1], k.shape[1]))
        if mask.dtype != torch.bool or tuple(mask.shape) not in fits:
            raise ValueError(
                f"the mask must be True/False of shape (T, S) = {fits[0]} or (B, T, S) = "
                f"{fits[1]}; it is {mask.dtype} {tuple(mask.shape)}"
            )


def _sizes(q, k, v) -> str:
    """For the words of an error: made only then, since every token comes through here."""
    return f"q {tuple(q.shape)}, k {tuple(k.shape)}, v {tuple(v.shape)}"
