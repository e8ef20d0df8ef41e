"""Llama 2's optimizer and its learning rate over time.

    AdamW, beta 0.9 and 0.95, eps 1e-5, weight decay 0.1 on matrices, gradients clipped to length 1
    rate:  up in a straight line for `warmup_steps`, then half a cosine down to 10 % of the peak

Decay pulls weights towards 0. It is kept from the norms, whose weights rest at 1, and from the
embedding, of which a batch sees a few rows only: the others would fade unused.
Source: the paper, section 2.2. Its peak rate, 3e-4 for 7B, is for width 4,096; small models learn
at rates ten times as high.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from llamalab.runtime.cpu_kernels import MATMULS

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How to train. `warmup_steps=None` means a twentieth of the steps, at most Llama 2's 2,000.
    `grad_accum_steps` micro-batches make one step. `dtype` is that of the matrix products; weights
    and optimizer stay float32; `matmul` says by what road they are computed, see `runs.autotune`.
    `eval_every=0`: only after the last step, if there is validation."""

    steps: int
    lr: float = 1e-3
    min_lr_ratio: float = 0.1
    warmup_steps: int | None = None
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-5
    weight_decay: float = 0.1
    max_grad_norm: float = 1.0
    grad_accum_steps: int = 1
    eval_every: int = 0
    dtype: str = "float32"
    matmul: str = "torch"
    compile: bool = False

    def __post_init__(self) -> None:
        if self.warmup_steps is None and isinstance(self.steps, int):
            object.__setattr__(self, "warmup_steps", min(2000, max(0, self.steps) // 20))
        least_of = {"steps": 1, "warmup_steps": 0, "grad_accum_steps": 1, "eval_every": 0}
        for name, least in least_of.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name}={value!r} must be a whole number of at least {least}")
        if self.warmup_steps > self.steps:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} is more than steps={self.steps}: the rate would "
                f"never reach its peak"
            )
        for name in ("lr", "eps", "max_grad_norm"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name}={getattr(self, name)!r} must be a finite number above 0")
        for name in ("min_lr_ratio", "beta1", "beta2", "weight_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must lie between 0 and 1")
        if self.dtype not in DTYPES:
            raise ValueError(f"dtype={self.dtype!r} must be one of {', '.join(DTYPES)}")
        if self.matmul not in MATMULS:
            raise ValueError(f"matmul={self.matmul!r} must be one of {', '.join(MATMULS)}")
        if self.compile and self.matmul != "torch":
            raise ValueError(f"compile=True goes with matmul='torch', not {self.matmul!r}")


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of step 1, 2, … config.steps. The last step of the warm-up has the peak, the last
    of all min_lr_ratio of it; later steps stay there."""
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
    groups = ([], [])
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
