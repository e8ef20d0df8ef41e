"""A run's log of losses: a line of JSON for each step that was taken for good."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from llamalab.runtime.files import atomic_write


def log_step(log: Path, record: Any, *, lasting: bool) -> None:
    """Add a line; before a checkpoint, whose steps are not taken again, also to the disk. record: a
    dataclass or a named tuple with a step; what it holds under `measured` is spread out."""
    with open(log, "a", encoding="utf-8", newline="\n") as file:
        line = record._asdict() if hasattr(record, "_asdict") else asdict(record)
        line |= {"threads": torch.get_num_threads(), **line.pop("measured", {})}
        file.write(json.dumps(line) + "\n")
        if lasting:
            file.flush()
            os.fsync(file.fileno())


def shorten(log: Path, step: int) -> None:
    """Forget the lines after the checkpoint's step: those steps are taken again."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    with atomic_write(log) as part:
        part.write_text("".join(f"{k}\n" for k in kept), encoding="utf-8", newline="\n")


def _step_of(line: str) -> float:
    try:
        held = json.loads(line)
        return float(held["step"] if "step" in held else held["iteration"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that a kill cut short
