"""SwiGLU, the feed-forward layer: one projection is a gate on another.

    y = w2 ( silu(w1 x) * w3 x )        silu(z) = z * sigmoid(z)

w1 is the gate, w3 goes up beside it, w2 comes down and writes into the residual stream. Weights
are stored as torch's Linear stores them, (out, in). No biases.
Source: Meta's model.py; `config.ffn_hidden_dim` gives the hidden size.
"""

import torch
import torch.nn.functional as F


def swiglu(x: torch.Tensor, w1: torch.Tensor, w2: torch.Tensor, w3: torch.Tensor) -> torch.Tensor:
    """x (..., D), w1 and w3 (hidden, D), w2 (D, hidden) -> (..., D). ValueError for shapes that do
    not fit."""
    if w1.shape != w3.shape or w2.shape != w1.shape[::-1] or x.shape[-1] != w1.shape[1]:
        raise ValueError(
            f"x {tuple(x.shape)} needs w1 and w3 (hidden, {x.shape[-1]}) and w2 "
            f"({x.shape[-1]}, hidden); they are w1 {tuple(w1.shape)}, w2 {tuple(w2.shape)}, "
            f"w3 {tuple(w3.shape)}"
        )
    return F.linear(F.silu(F.linear(x, w1)) * F.linear(x, w3), w2)
