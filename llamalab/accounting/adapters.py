"""What LoRA saves in training: gradients and optimizer state of the adapters alone.

    parameters   n_layers x rank x (out + in) for each matrix: A is (rank, in) and B (out, rank)
    memory       every weight once, frozen; and for each adapter parameter what training takes

7B at rank 8 on wq and wv: 32 x 8 x 2 x (4096 + 4096) = 4,194,304, one parameter in 1,600. What
LoRA does not save is not counted, as in `memory_plan`: activations, and the time of the forward
pass; going backward only the gradients of the frozen matrices themselves are left out.
"""

from collections.abc import Iterable

from llamalab.accounting.compute import count_parameters, matrix_shapes
from llamalab.accounting.memory import BYTES, MemoryPlan, available_memory, memory_plan
from llamalab.config import LlamaConfig


def lora_parameters(
    config: LlamaConfig, rank: int, targets: Iterable[str] = ("wq", "wv")
) -> dict[str, int]:
    """Parameters of the adapters on each target, in all layers, and their `total`. ValueError for
    an unknown target, or a rank that is not 1 … the smaller side of each matrix."""
    sides = {name.partition(".")[2]: shape for name, shape in matrix_shapes(config).items()}
    counts: dict[str, int] = {}
    for name in targets:
        if name not in sides:
            raise ValueError(f"no target called {name!r}; there are {', '.join(sides)}")
        if not 1 <= rank <= min(sides[name]):
            raise ValueError(f"rank={rank} must be 1 to {min(sides[name])}, the sides of {name}")
        counts[name] = config.n_layers * rank * sum(sides[name])
    return counts | {"total": sum(counts.values())}


def lora_plan(
    config: LlamaConfig,
    rank: int,
    targets: Iterable[str] = ("wq", "wv"),
    *,
    dtype: str = "bfloat16",
    available: int | None = None,
) -> MemoryPlan:
    """Plan for training adapters on top of frozen weights in `dtype`, to be compared with
    `memory_plan(config, training=True)`. The adapters are in the same dtype, or in bfloat16 beside
    blocks ("q8_0", "q4_0"). available: bytes; what this machine has free if None. ValueError as in
    `lora_parameters`, and for an unknown dtype."""
    targets = tuple(dict.fromkeys(targets))
    everything = count_parameters(config)["total"]
    adapters = lora_parameters(config, rank, targets)["total"]
    available = available_memory() if available is None else available
    frozen = memory_plan(config, seq_len=0, dtype=dtype, available=available).rows[0][1]
    wide = "bfloat16" if dtype in ("q8_0", "q4_0") else dtype
    full = memory_plan(config, dtype=wide, training=True, available=available)
    rows = [("frozen weights", frozen)]
    for what, size in full.rows:  # each is a number of bytes times all parameters
        rows.append((f"adapters' {what}", size // everything * adapters))
    title = (
        f"{adapters:,} parameters learn beside {everything:,} in {dtype}: "
        f"rank {rank} on {', '.join(targets)}"
    )
    state = sum(size for _, size in rows[1:])
    ways = tuple(
        f"frozen weights in {name}"
        for name, size in BYTES.items()
        if size < BYTES[dtype] and everything * size + state <= available
    )
    fits = frozen + state <= available
    return MemoryPlan(title, tuple(rows), available, () if fits else ways)
