"""Llama 2's optimizer and its learning rate over time.

    AdamW, beta 0.9 and 0.95, eps 1e-5, weight decay 0.1 on matrices, gradients clipped to length 1
    rate:  up in a straight line for `warmup_steps`, then half a cosine down to 10 % of the peak

Decay pulls weights towards 0. It is kept from the norms, whose weights rest at 1, and from the
embedding, of which a batch sees a few rows only: the others would fade unused.
Source: the paper, section 2.2. Its peak rate, 3e-4 for 7B, is for width 4,096; small models learn
at rates ten times as high.
"""

import math

import torch
from torch import nn

from llamalab.recipe import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of step 1, 2, … config.steps. The last step of the warm-up has the peak, the last
    of all min_lr_ratio of it; later steps stay there. ValueError for a step below 1."""
    if step < 1:
        raise ValueError(f"step={step}: steps are counted from 1")
    if step <= config.warmup_steps:
        return config.lr * step / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    share = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))  # 1 at the peak, 0 at the end
    return config.lr * (config.min_lr_ratio + (1 - config.min_lr_ratio) * share)


def decayed(name: str, weight: torch.Tensor) -> bool:
    """Whether weight decay is for this parameter: for matrices other than the embedding."""
    return weight.ndim >= 2 and not name.endswith("tok_embeddings.weight")


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW over two groups, with decay and without. `train` sets the rate at every step."""
    groups: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            groups[not decayed(name, weight)].append(weight)
    kinds = {weight.device.type for group in groups for weight in group}
    return torch.optim.AdamW(
        [
            {"params": group, "weight_decay": decay}
            for group, decay in zip(groups, (config.weight_decay, 0.0))
            if group
        ],
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=config.eps,
        fused=kinds <= {"cpu", "cuda"},  # one call for all weights, and the same arithmetic
    )
