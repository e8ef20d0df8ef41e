"""Several processes as one: torch's own DDP or FSDP2, started by torchrun.

    DDP    every process has the whole model; gradients are averaged after each step
    FSDP2  every process keeps a part of each weight, and borrows the rest layer by layer

Each process takes every n-th row of the same batch, and the loss is divided by the tokens of all,
so n processes do what one would, up to the rounding of a sum. In a run of one process every
function here does nothing. Left out on purpose: tensor and pipeline parallelism.
"""

import contextlib
import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

MODES = ("ddp", "fsdp")
PATIENCE = timedelta(hours=24)  # process 0 may read a long text; one that dies is seen at once
LOST = ("connection", "peer", "socket", "timed out", "nccl", "gloo")


def active() -> bool:
    """Whether this process is one of a group that trains together."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if active() else 1


def rank() -> int:
    """This process's number, from 0; process 0 speaks and writes for all."""
    return dist.get_rank() if active() else 0


def launched() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "RANK" in os.environ


def init(device: str) -> torch.device:
    """Join the others, and say which device is this process's: one GPU each, or the CPU.
    ValueError if there are fewer GPUs than processes."""
    if not device.startswith("cuda"):
        dist.init_process_group("gloo", timeout=PATIENCE)
        return torch.device("cpu")
    local, gpus = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= gpus:
        raise ValueError(
            f"{os.environ.get('LOCAL_WORLD_SIZE', local + 1)} processes cannot share {gpus} GPUs: "
            f"give torchrun --nproc-per-node {gpus}, or llamalab train --device cpu"
        )
    torch.cuda.set_device(local)
    dist.init_process_group("nccl", timeout=PATIENCE)
    return torch.device("cuda", local)


def shutdown() -> None:
    """Leave the group, if there is one."""
    if active():
        dist.destroy_process_group()


def wrap(model: nn.Module, mode: str) -> nn.Module:
    """The model, spread over the processes. FSDP2 shards the model in place. ValueError for
    another way, or where this torch's FSDP2 needs a GPU."""
    if mode not in MODES:
        raise ValueError(
            f"parallel={mode!r} is no way to share a model; there are {' and '.join(MODES)}"
        )
    if not active():
        return model
    device = next(model.parameters()).device
    if mode == "ddp":
        ids = [device.index] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(model, device_ids=ids)
    try:
        from torch.distributed.fsdp import fully_shard
    except ImportError:  # torch 2.5
        if device.type != "cuda":
            raise ValueError(
                f"fsdp on {device.type} is beyond torch {torch.__version__}: take --parallel ddp, "
                f"or a newer torch"
            ) from None
        from torch.distributed._composable.fsdp import fully_shard
    mesh = dist.init_device_mesh(device.type, (world_size(),))
    for layer in model.get_submodule("layers").children():
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def unwrap(model: nn.Module) -> nn.Module:
    """The model inside DDP's shell."""
    return model.module if isinstance(model, nn.parallel.DistributedDataParallel) else model


def reshard(model: nn.Module) -> None:
    """Part the weights again that FSDP2 leaves whole after a forward without a backward."""
    if callable(part := getattr(model, "reshard", None)):
        part()


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of which each process may hold a part, gathered: every process has to ask."""
    tensor = tensor.detach()
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def shard_like(tensor: torch.Tensor, weight: Any) -> torch.Tensor:
    """A whole tensor, spread over the processes (or not) as `weight` is."""
    tensor = tensor.to(weight.device)
    if not hasattr(weight, "full_tensor"):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor, weight.device_mesh, weight.placements)


def rows(count: int) -> slice:
    """Which of a batch's rows are this process's: none, if there are more processes than rows."""
    return slice(rank(), count, world_size())


def all_reduce_sum(value: torch.Tensor) -> torch.Tensor:
    """The sum of a scalar over all processes."""
    if active():
        value = value.detach().clone()
        if dist.get_backend() == "nccl":
            value = value.cuda()
        dist.all_reduce(value)
    return value


def synced(model: nn.Module, last: bool) -> contextlib.AbstractContextManager:
    """Let DDP's gradients pile up until the last micro-batch, and only then be averaged. FSDP2
    averages each: to wait would take the memory of all gradients, which it is there to save."""
    if last or not isinstance(model, nn.parallel.DistributedDataParallel):
        return contextlib.nullcontext()
    return model.no_sync()


def clip_grad_norm(model: nn.Module, longest: float | None) -> float:
    """Shorten the gradient to `longest` if it is longer; its length before. None: nan, at once."""
    if longest is None:
        return float("nan")
    norm = nn.utils.clip_grad_norm_(model.parameters(), longest)
    return float(full_tensor(norm))


def any_rank(flag: bool) -> bool:
    """Whether any process says so: all then do the same."""
    return bool(flag) if not active() else float(all_reduce_sum(torch.tensor(float(flag)))) > 0


def barrier() -> None:
    """Until all processes are here."""
    if active():
        dist.barrier()


def lost(error: RuntimeError) -> bool:
    """Whether this is the end of a connection to another process, in gloo's or NCCL's words."""
    return active() and any(word in str(error).lower() for word in LOST)
