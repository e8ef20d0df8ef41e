"""fit: the loop of training for any loss over a batch, one record a step.

`training.train` is this loop for the next token; alignment has other losses, over pairs of answers
or over what a policy has just written, and the same optimizer, schedule and clipping.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import nn

from llamalab.recipe import TrainConfig
from llamalab.runtime.cpu_kernels import matmul
from llamalab.training.fused import in_fewer_passes
from llamalab.training.loop import NonFiniteLoss, TrainState
from llamalab.training.optim import learning_rate, make_optimizer

# forward (a model), batch -> the loss, and what else was measured.
Loss = Callable[[nn.Module, Any], tuple[torch.Tensor, dict[str, float]]]


class FitRecord(NamedTuple):
    """One step: its loss in nats, its learning rate, the gradient's norm before clipping, seconds,
    and what else the loss function measured."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    seconds: float
    measured: dict[str, float]


def fit(
    model: nn.Module,
    batches: Iterable[Any],
    loss_of: Loss,
    config: TrainConfig,
    *,
    state: TrainState | None = None,
) -> Iterator[FitRecord]:
    """Train `model` in place until `config.steps` or the end of the batches. state: where to
    resume. NonFiniteLoss stops before the weights change; ValueError for options of `train`
    alone."""
    if config.grad_accum_steps != 1 or config.dtype != "float32" or config.compile:
        raise ValueError("fit takes one batch a step, in float32, and does not compile")
    state = state or TrainState(make_optimizer(model, config))
    forward = in_fewer_passes(model, config.matmul)
    for batch in batches:
        if state.step >= config.steps:
            return
        start, lr = time.perf_counter(), learning_rate(state.step + 1, config)
        with matmul(config.matmul):
            loss, measured = loss_of(forward, batch)
            norm = descend(loss, model, state.optimizer, lr, config.max_grad_norm)
        state.step += 1
        yield FitRecord(
            state.step, float(loss.detach()), lr, norm, time.perf_counter() - start, measured
        )


def descend(
    loss: torch.Tensor,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    lr: float,
    max_grad_norm: float,
) -> float:
    """Backward pass, clipping and one optimizer step; the gradient's norm before it was clipped.
    NonFiniteLoss, and no step, if loss or gradient is nan or infinite."""
    loss.backward()
    weights = [weight for weight in model.parameters() if weight.grad is not None]
    norm, value = float(nn.utils.clip_grad_norm_(weights, max_grad_norm)), float(loss.detach())
    if not (math.isfinite(norm) and math.isfinite(value)):
        optimizer.zero_grad(set_to_none=True)
        raise NonFiniteLoss(
            f"the loss is {value} and the gradient's length {norm}, so no step was taken. "
            f"Look at the rate (now {lr:.2g}: try a third) and at this batch"
        )
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm
