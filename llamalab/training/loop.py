"""The training loop, as a generator: iterating it trains, and may stop between two steps.

    gradients of a step = those of (summed loss of all micro-batches) / (tokens counted in them)

`train` changes the model and `state` (optimizer, step, tokens), yields a `StepRecord`, and does
nothing else: notebooks draw, the command line shows a bar and saves, tests look.
A loss or gradient that is not finite stops the run before the weights are touched.
"""

import contextlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from llamalab.runtime import distributed
from llamalab.runtime.cpu_kernels import matmul

from .fused import in_fewer_passes
from .losses import shift, summed_loss
from .optim import TrainConfig, learning_rate, make_optimizer

Batch = torch.Tensor | tuple[torch.Tensor, torch.Tensor]  # tokens (B, T + 1), perhaps with a mask


@dataclass(frozen=True)
class StepRecord:
    """One step. Loss in nats a token; `tokens` seen so far; `seconds` and rate of this step;
    `grad_norm` before clipping; `val_loss` where there was an evaluation."""

    step: int
    loss: float
    lr: float
    grad_norm: float
    tokens: int
    seconds: float
    tokens_per_second: float
    val_loss: float | None = None


@dataclass
class TrainState:
    """What a run needs to continue besides the weights and its place in the data."""

    optimizer: Any = None  # a torch.optim.Optimizer; `runs` makes it once the model is spread
    step: int = 0
    tokens: int = 0


class MicroBatch(NamedTuple):
    """This process's rows of a batch, and the tokens that count in all rows."""

    inputs: torch.Tensor  # (B, T)
    targets: torch.Tensor  # (B, T)
    mask: torch.Tensor | None  # (B, T)
    counted: float


class NonFiniteLoss(ArithmeticError):
    """The loss or the gradient is nan or infinite; the weights are those of the step before."""


def train(
    model: nn.Module,
    batches: Iterable[Batch],
    config: TrainConfig,
    *,
    validation: Sequence[Batch] | None = None,
    state: TrainState | None = None,
) -> Iterator[StepRecord]:
    """Train `model` in place until `config.steps`, one record a step.

    batches: tokens (B, T + 1), or (tokens, mask) with a mask (B, T + 1) over the tokens that are
    to be predicted. With several processes each batch is the whole one, and every process takes
    its rows. state: where to resume; None starts afresh. NonFiniteLoss stops before the weights
    change; ValueError if the batches run out.
    """
    state = state or TrainState(make_optimizer(model, config))
    device = next(model.parameters()).device
    forward = torch.compile(model) if config.compile else in_fewer_passes(model, config.matmul)
    batches = iter(batches)
    model.train()
    while state.step < config.steps:
        start = time.perf_counter()
        step, lr = state.step + 1, learning_rate(state.step + 1, config)
        micro = [_take(batches, device, step, config) for _ in range(config.grad_accum_steps)]
        everyone = sum(batch.counted for batch in micro)  # a sum of weights, if the masks have any
        if everyone == 0:
            raise ValueError(f"step {step}: the masks count no token, there is nothing to learn")
        loss = torch.zeros((), device=device)
        for number, batch in enumerate(micro, 1):
            with (
                distributed.synced(model, last=number == len(micro)),
                precision(device, config.dtype),
                matmul(config.matmul),
            ):
                logits = forward(batch.inputs)
                part = summed_loss(logits, batch.targets, batch.mask) / everyone
                # Gradients are averaged over processes: their sum is what the loss asks for.
                (part * distributed.world_size()).backward()
            loss = loss + part.detach()  # in the wider dtype of the two
        mean = float(distributed.all_reduce_sum(loss))
        longest = config.max_grad_norm if math.isfinite(mean) else None
        norm = distributed.clip_grad_norm(model, longest)
        if not (math.isfinite(mean) and math.isfinite(norm)):
            state.optimizer.zero_grad(set_to_none=True)
            raise NonFiniteLoss(_not_finite(step, mean, norm, lr, config))
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        state.optimizer.step()
        state.optimizer.zero_grad(set_to_none=True)
        state.step, state.tokens = step, state.tokens + round(everyone)
        seconds = time.perf_counter() - start
        due = step == config.steps or (config.eval_every and step % config.eval_every == 0)
        val_loss = None
        if validation is not None and due:
            val_loss = evaluate(model, validation, dtype=config.dtype)
        yield StepRecord(step, mean, lr, norm, state.tokens, seconds, everyone / seconds, val_loss)


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch], *, dtype: str = "float32") -> float:
    """The loss over all counted tokens of `batches`, in nats; the model's mode stays as it was.
    ValueError if there are none."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    total, counted = torch.zeros((), dtype=torch.float64), 0.0
    try:
        for batch in batches:
            ready = _ready(batch, device)
            with precision(device, dtype):
                loss = summed_loss(model(ready.inputs), ready.targets, ready.mask)
            total += loss.double().cpu()
            counted += ready.counted
    finally:
        model.train(was_training)
    whole = float(distributed.all_reduce_sum(total))
    if counted == 0:
        raise ValueError("there is no token to evaluate on")
    return whole / counted


def precision(device: torch.device, dtype: str) -> contextlib.AbstractContextManager:
    """Matrix products in `dtype`, sums and weights in float32."""
    if dtype == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, dtype))


def _take(batches: Iterator[Batch], device, step: int, config: TrainConfig) -> MicroBatch:
    try:
        return _ready(next(batches), device)
    except StopIteration:
        raise ValueError(
            f"the batches ran out in step {step} of {config.steps}: a step takes "
            f"{config.grad_accum_steps}. Give more of them, or fewer steps"
        ) from None


def _ready(batch: Batch, device: torch.device) -> MicroBatch:
    tokens, mask = (batch, None) if isinstance(batch, torch.Tensor) else batch
    inputs, targets = shift(tokens)
    mask = None if mask is None else shift(mask)[1]
    counted = targets.numel() if mask is None else mask.sum().item()
    mine = distributed.rows(len(tokens))
    if mine.start >= len(tokens):  # no row is left for this process, but all must take part:
        mine, mask = slice(1), torch.zeros_like(targets)  # it takes one that does not count

    def here(part: torch.Tensor) -> torch.Tensor:
        return part[mine].to(device, non_blocking=True)

    mask = None if mask is None else here(mask)
    return MicroBatch(here(inputs), here(targets), mask, float(counted))


def _not_finite(step: int, loss: float, norm: float, lr: float, config: TrainConfig) -> str:
    return (
        f"step {step}: the loss is {loss} and the gradient's length {norm}, so no step was taken "
        f"and the weights are those of step {step - 1}. Look at the rate (now {lr:.2g}, peak "
        f"{config.lr:.2g}: try a third), the warm-up ({config.warmup_steps} steps), the deviation "
        f"of the fresh weights, and this step's batch; on dtype {config.dtype}, try float32"
    )
