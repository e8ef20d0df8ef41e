"""A run's log of losses: a line of JSON for each step that was taken for good."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch

from llamalab.runtime.files import atomic_write
from llamalab.training.loop import StepRecord


def log_step(log: Path, record: StepRecord, *, lasting: bool) -> None:
    """Add a line; before a checkpoint, whose steps are not taken again, also to the disk."""
    with open(log, "a", encoding="utf-8", newline="\n") as file:
        line = asdict(record) | {"threads": torch.get_num_threads()}
        file.write(json.dumps(line) + "\n")
        if lasting:
            file.flush()
            os.fsync(file.fileno())


def shorten(log: Path, step: int) -> None:
    """Forget the lines behind the checkpoint: those steps are taken again."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    with atomic_write(log) as part:
        part.write_text("".join(f"{k}\n" for k in kept), encoding="utf-8", newline="\n")


def _step_of(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that a kill cut short
