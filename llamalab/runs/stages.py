"""The kinds of runs of alignment, and which of them is in a folder."""

from pathlib import Path

from llamalab.runs.ppo import PPORun
from llamalab.runs.preference import DPORun, RewardRun
from llamalab.runs.stage import Stage, kind_of
from llamalab.runs.tune import TuneRun

KINDS = {run.kind: run for run in (TuneRun, RewardRun, DPORun, PPORun)}


def resume_stage(out: Path) -> Stage:
    """The run in `out`, at its newest whole checkpoint, or at its start if there is none yet.
    FileNotFoundError if there is none; ValueError if it is of no such kind, or damaged."""
    kind = kind_of(out)
    if kind not in KINDS:
        raise ValueError(f"{out} holds a run of llamalab train, not one of {', '.join(KINDS)}")
    return KINDS[kind](out)
