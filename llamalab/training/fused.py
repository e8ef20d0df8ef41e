"""The same model with its blocks in fewer passes over memory, for a step of training on a CPU.

`in_fewer_passes(model, matmul)` gives a model of the same weights, whose blocks go through
`runtime.fused_layers` where that is the same function: wherever the parts are the package's own. A
learner's own part always runs as it is, and so does what is hooked, wrapped or moved elsewhere.
This is decided at every call and for each half of each block, so a part that is set later counts
too.
"""

import copy
from typing import Any

import torch
from torch import nn

from llamalab import layers
from llamalab.model import Attention, Block, FeedForward, Llama, Norm
from llamalab.runtime import fused_layers
from llamalab.runtime.cpu_kernels import KEPT

BY = {"fused": fused_layers.BY_TORCH, "fused-onednn": fused_layers.BY_ONEDNN}


def in_fewer_passes(model: nn.Module, matmul: str) -> nn.Module:
    """A model of the same weights, if `matmul` is one of BY and this is a Llama; else the model."""
    if matmul not in BY or type(model) is not Llama:
        return model
    twin = copy.copy(model)  # shallow: parameters, buffers and hooks are the model's
    blocks = nn.ModuleList(_InFewerPasses(block, BY[matmul]) for block in model.layers)
    twin._modules = model._modules | {"layers": blocks}
    return twin


class _InFewerPasses(nn.Module):
    """A block, computed by `fused_layers` where that is the same function."""

    block: Any  # a Block, or what stands in its place

    def __init__(self, block: nn.Module, by: fused_layers.Products):
        super().__init__()
        self.block, self.by = block, by

    def forward(self, x, cos, sin, mask, cache) -> torch.Tensor:
        block, by = self.block, self.by
        if not (_plain(block, Block) and _fits(x, block) and cos.ndim == 2):
            return block(x, cos, sin, mask, cache)
        a, f = block.attention, block.feed_forward
        before, between = block.attention_norm, block.ffn_norm
        causal = mask is None and cache is None
        if causal and _attention_is_ours(before, a) and _weights_of_all_pairs(x, a) <= KEPT:
            turn = torch.complex(cos.to(x.dtype), sin.to(x.dtype))
            qkvo = a.wq.weight, a.wk.weight, a.wv.weight, a.wo.weight
            x = fused_layers.attention_half(x, before.weight, *qkvo, turn, before.eps, by)
        else:
            x = x + a(before(x), cos, sin, mask, cache)
        if _feed_forward_is_ours(between, f):
            w123 = f.w1.weight, f.w2.weight, f.w3.weight
            return fused_layers.feed_forward_half(x, between.weight, *w123, between.eps, by)
        return x + f(between(x))


def _attention_is_ours(norm: Any, attention: Any) -> bool:
    return (
        _norm_is_ours(norm)
        and _plain(attention, Attention)
        and all(_plain(getattr(attention, name), nn.Linear) for name in ("wq", "wk", "wv", "wo"))
        and attention.apply_rope is layers.apply_rope
        and attention.attention is layers.attention
    )


def _feed_forward_is_ours(norm: Any, feed_forward: Any) -> bool:
    return (
        _norm_is_ours(norm)
        and _plain(feed_forward, FeedForward)
        and all(_plain(getattr(feed_forward, name), nn.Linear) for name in ("w1", "w2", "w3"))
        and feed_forward.swiglu is layers.swiglu
    )


def _norm_is_ours(norm: nn.Module) -> bool:
    return _plain(norm, Norm) and norm.rms_norm is layers.rms_norm


def _plain(module: nn.Module, kind: type) -> bool:
    """Exactly of this class, without hooks, a bias, or a forward of its own."""
    return (
        type(module) is kind
        and "forward" not in vars(module)
        and getattr(module, "bias", None) is None
        and not any(vars(module)[name] for name in vars(module) if name.endswith("_hooks"))
    )


def _fits(x: torch.Tensor, block: nn.Module) -> bool:
    """float32 or float64 on a CPU, the weights too, and no autocast, whose roundings would fall in
    other places."""
    kinds = {(t.device.type, t.dtype) for t in (x, *block.parameters())}
    return (
        kinds in ({("cpu", torch.float32)}, {("cpu", torch.float64)})
        and x.numel() > 0
        and not torch.is_autocast_enabled("cpu")
    )


def _weights_of_all_pairs(x: torch.Tensor, attention: Any) -> int:
    """How many attention weights the half keeps, at most: heads times pairs of positions."""
    B, T, _ = x.shape
    return B * (attention.wq.weight.shape[0] // attention.head_dim) * T * T
