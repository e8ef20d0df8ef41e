"""What several processes do together, and one alone, in the same words: a script for torchrun.

    python -m torch.distributed.run --standalone --nproc-per-node 2 together.py FOLDER

Trains tiny models in every way, on masked batches that give the processes different numbers of
tokens, saves and reads checkpoints. Process 0 leaves what it saw in FOLDER/seen.json.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.distributed.fsdp

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runtime import distributed
from llamalab.training import TrainConfig, evaluate, make_optimizer, train
from llamalab.training.loop import TrainState

CONFIG = LlamaConfig(
    dim=24, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=51, max_seq_len=10, multiple_of=8
)
RECIPE = TrainConfig(
    steps=6, lr=3e-3, warmup_steps=2, grad_accum_steps=3, max_grad_norm=0.3, eval_every=2
)
STOP = 3
FSDP = hasattr(torch.distributed.fsdp, "fully_shard")  # torch 2.5 has it for GPUs alone


def batches(rows: int, position: int = 0):
    """Row 0 counts few tokens, row 1 most of them: a mean of means would be another loss."""
    while True:
        generator = torch.Generator().manual_seed(position)
        tokens = torch.randint(51, (rows, 9), generator=generator)
        share = torch.tensor([0.1, 0.9, 0.5, 0.7, 0.2, 1.0])[:rows, None]
        yield tokens, torch.rand(rows, 9, generator=generator) < share
        position += 1


def validation(rows: int) -> list[torch.Tensor]:
    """The last batch has one row: fewer than there are processes."""
    generator = torch.Generator().manual_seed(99)
    return [torch.randint(51, (n, 9), generator=generator) for n in (rows, rows, 1)]


def begin(way: str, tied: bool, seed: int = 0, read: Path | None = None):
    model = Llama(
        replace(CONFIG, tie_embeddings=tied), generator=torch.Generator().manual_seed(seed)
    )
    state = TrainState(None)
    if read:
        checkpoint.restore(read, model, state)
    model = distributed.wrap(model, way)
    state.optimizer = make_optimizer(model, RECIPE)
    if read:
        checkpoint.restore_optimizer(read, model, state)
    return model, state


def run(folder: Path, way: str, tied: bool, rows: int, read: Path | None = None) -> list[dict]:
    """From the start, or from `read`, to the end; saved in the middle and at the end."""
    model, state = begin(way, tied, seed=5 if read else 0, read=read)
    micro = batches(rows, state.step * RECIPE.grad_accum_steps)
    seen = []
    for record in train(model, micro, RECIPE, validation=validation(rows), state=state):
        seen.append(asdict(record))
        if record.step in (STOP, RECIPE.steps):
            checkpoint.save(folder, model, state, keep=9)
    seen[-1]["again"] = evaluate(model, validation(rows))  # the model is as it was
    return seen


def all_ways(folder: Path, ways: tuple[str, ...], rows: int, others: Path | None) -> dict:
    """Every way from the start and, where `others` has checkpoints, from theirs."""
    seen = {}
    for way in ways:
        for tied in (False, True):
            name = f"{way}{' tied' * tied}"
            seen[name] = run(folder / name, way, tied, rows)
            if others:
                read = others / f"ddp{' tied' * tied}" / f"step-{STOP:08}"
                seen[f"{name} read"] = run(folder / f"{name} read", way, tied, rows, read)
    return seen


if __name__ == "__main__":
    where = Path(sys.argv[1])
    distributed.init("cpu")
    ways = ("ddp", "fsdp") if distributed.world_size() == 2 else ("fsdp",)
    ways = tuple(way for way in ways if way == "ddp" or FSDP)
    rows = (
        4 if distributed.world_size() == 2 else 5
    )  # 5 rows for 3 processes: not the same number each
    seen = all_ways(where, ways, rows, where.parent / f"one{rows}")
    if distributed.rank() == 0:
        seen["world"] = distributed.world_size()
        (where / "seen.json").write_text(json.dumps(seen), encoding="utf-8")
    distributed.shutdown()
