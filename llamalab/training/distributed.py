"""Several processes as one: torch's own DDP or FSDP2, started by torchrun.

    DDP    every process has the whole model; gradients are averaged after each step
    FSDP2  every process keeps a part of each weight, and borrows the rest layer by layer

Each process takes every n-th row of the same batch, and the loss is divided by the tokens of all,
so n processes do what one would, up to the rounding of a sum. In a run of one process every
function here does nothing.
"""

import contextlib
import os

import torch
import torch.distributed as dist
from torch import nn

WAYS = ("ddp", "fsdp")


def active() -> bool:
    return dist.is_available() and dist.is_initialized()


def world() -> int:
    """The number of processes."""
    return dist.get_world_size() if active() else 1


def rank() -> int:
    """This process's number, from 0; process 0 speaks and writes for all."""
    return dist.get_rank() if active() else 0


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def begin(device: str) -> torch.device:
    """Join the others, and say which device is this process's."""
    local = int(os.environ.get("LOCAL_RANK", 0))
    if device == "cuda":
        torch.cuda.set_device(local)
        dist.init_process_group("nccl")
        return torch.device("cuda", local)
    dist.init_process_group("gloo")
    return torch.device("cpu")


def end() -> None:
    if active():
        dist.destroy_process_group()


def wrap(model: nn.Module, way: str) -> nn.Module:
    """The model, spread over the processes. FSDP2 shards the model in place."""
    if not active():
        return model
    if way == "ddp":
        on_gpu = next(model.parameters()).is_cuda
        return nn.parallel.DistributedDataParallel(
            model, device_ids=[torch.cuda.current_device()] if on_gpu else None
        )
    if way != "fsdp":
        raise ValueError(f"no way called {way!r}; there are {', '.join(WAYS)}")
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:  # torch 2.5
        from torch.distributed._composable.fsdp import fully_shard
    for layer in model.layers:
        fully_shard(layer)
    return fully_shard(model)


def bare(model: nn.Module) -> nn.Module:
    """The model inside DDP's shell."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def rows(count: int) -> slice:
    """Which of a batch's rows are this process's."""
    return slice(rank(), count, world())


def total(value: torch.Tensor) -> torch.Tensor:
    """The sum of a scalar over all processes."""
    if active():
        value = value.detach().clone()
        if dist.get_backend() == "nccl":
            value = value.cuda()
        dist.all_reduce(value)
    return value


def synced(model: nn.Module, last: bool):
    """Let gradients pile up here until the last micro-batch, and only then be averaged."""
    if last or not isinstance(model, nn.parallel.DistributedDataParallel):
        return contextlib.nullcontext()
    return model.no_sync()


def clip(model: nn.Module, longest: float | None) -> float:
    """Shorten the gradient to `longest` if it is longer; its length before. None: nan, at once."""
    if longest is None:
        return float("nan")
    norm = nn.utils.clip_grad_norm_(model.parameters(), longest)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def anyone(flag: bool) -> bool:
    """Whether any process says so: all then do the same."""
    return bool(flag) if not active() else float(total(torch.tensor(float(flag)))) > 0


def wait() -> None:
    """Until all processes are here."""
    if active():
        dist.barrier()
