"""RMSNorm: give every vector the same length, then let each coordinate have its own gain.

    y = x / sqrt(mean(x^2) + eps) * weight

The mean runs over the last axis. eps stands inside the root. The arithmetic runs in fp32 and
the result is cast back *before* the weight multiplies it: Meta's order, which matters in half
precision. LayerNorm stands beside it for comparison: it subtracts the mean, has a bias, and is
cast back last, which is torch's order.
Source: Meta's model.py; norm_eps is 1e-5 in every Llama 2.
"""

import torch


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """x (..., D), weight (D,) -> (..., D) in x's dtype (or the wider of x's and weight's)."""
    _check(x, weight)
    wide = _widened(x)
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)  # (..., D)
    return normed.type_as(x) * weight


def layer_norm(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, eps: float
) -> torch.Tensor:
    """The older norm, for comparison: x (..., D), weight and bias (D,) -> (..., D)."""
    _check(x, weight)
    wide = _widened(x)
    centred = wide - wide.mean(-1, keepdim=True)
    normed = centred * torch.rsqrt(centred.pow(2).mean(-1, keepdim=True) + eps)
    return (normed * weight + bias).type_as(x)


def _widened(x: torch.Tensor) -> torch.Tensor:
    """Squares overflow float16 from 256 on and lose digits in bfloat16: use float32."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _check(x: torch.Tensor, weight: torch.Tensor) -> None:
    if not x.is_floating_point():
        raise ValueError(f"x must hold floats to be normalised; it is {x.dtype}")
    if weight.ndim != 1 or x.shape[-1:] != weight.shape:
        raise ValueError(
            f"x has shape {tuple(x.shape)} and the weight {tuple(weight.shape)}: "
            f"it needs one weight for each of the numbers along x's last axis"
        )
