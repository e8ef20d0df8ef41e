"""RMSNorm: give every vector the same length, then let each coordinate have its own gain.

    y = x / sqrt(mean(x^2) + eps) * weight

The mean runs over the last axis. eps stands inside the root. The arithmetic runs in fp32 and
the result is cast back *before* the weight multiplies it: Meta's order, which matters in half
precision. LayerNorm stands beside it for comparison: it subtracts the mean, and has a bias.
Source: Meta's model.py; facts of section 1.5 (norm_eps is 1e-5 in every Llama 2).
"""

import torch


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x (..., D), weight (D,) -> (..., D) in x's dtype (or the wider of x's and weight's)."""
    _check(x, weight)
    wide = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)  # (..., D)
    return normed.type_as(x) * weight


def layer_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """The older norm, for comparison: x (..., D), weight and bias (D,) -> (..., D)."""
    _check(x, weight)
    centred = x - x.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps) * weight + bias


def _check(x: torch.Tensor, weight: torch.Tensor) -> None:
    if x.shape[-1:] != weight.shape:
        raise ValueError(
            f"the weight has shape {tuple(weight.shape)}, but x ends in {x.shape[-1]} numbers: "
            f"it needs one weight for each"
        )
