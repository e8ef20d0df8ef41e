"""What devices send each other in one step of training: bytes, counted from the model's shape.

A ring all-reduce among n devices: each sends 2 (n - 1) / n of the data, once around to add up and
once around to hand out.

    data parallel    every device holds the model; the gradients are summed once a step
    fully sharded    each holds 1 / n of it; weights are gathered going forward and again going
                     back, gradients scattered: (n - 1) / n of the data three times

A link sends and receives at once, so bytes / bandwidth is the least time it can take. Sources: the
factors, NVIDIA nccl-tests, doc/PERFORMANCE.md; that full sharding moves half as much again as data
parallel, ZeRO (arXiv 1910.02054). Left out: tensor parallelism, which sends activations.
"""

from llamalab.accounting.compute import count_parameters
from llamalab.config import LlamaConfig


def all_reduce_bytes(size: float, devices: int) -> float:
    """Bytes that each of `devices` sends to sum `size` bytes with the others. ValueError for a
    size below 0, or fewer than 1 device."""
    _refuse(size, devices)
    return 2 * (devices - 1) / devices * size


def data_parallel_bytes(config: LlamaConfig, devices: int, bytes_per_gradient: float = 2) -> float:
    """Bytes each device sends a step when all of them hold the whole model."""
    return all_reduce_bytes(bytes_per_gradient * count_parameters(config)["total"], devices)


def fully_sharded_bytes(config: LlamaConfig, devices: int, bytes_per_number: float = 2) -> float:
    """Bytes each device sends a step when weights, gradients and optimizer state are cut evenly.
    ValueError for fewer than 1 device, or bytes below 0."""
    size = bytes_per_number * count_parameters(config)["total"]
    _refuse(size, devices)
    return 3 * (devices - 1) / devices * size


def _refuse(size: float, devices: int) -> None:
    if size < 0 or devices < 1:
        raise ValueError(f"size={size} cannot be below 0, and devices={devices} not below 1")
