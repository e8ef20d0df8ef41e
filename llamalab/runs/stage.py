"""A stage of alignment in a folder: what tuning, reward models, DPO and PPO runs have in common.

    out/  run.json             the kind of run, and what was asked
          start/  …            the models that it began from: a resumed run needs nothing else
          data.jsonl           what it learns from, as ids
          records.jsonl        one line a step
          checkpoints/step-N   see `checkpoint`
          config.json  model.safetensors  tokenizer.model      the finished model

A run that was killed goes on at its last whole checkpoint, and takes the steps that it would have
taken. To the last bit, if torch computes with as many threads as before.
"""

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from llamalab import formats
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.log import log_step, shorten
from llamalab.runs.places import refuse_if_there
from llamalab.runtime.files import atomic_write
from llamalab.runtime.json_files import Fields, read_json, write_json
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState

Start = tuple[Llama, float]  # a model, and the offset of its scores


class Stage:
    """A run that can be iterated: trains from where it stands, saves, and yields records. Kinds of
    it set what is trained (`model`, `state`, what lies `beside` them, `batches` with a position)
    and give `records`. Set `stop`, and the run saves and ends after the step."""

    kind = ""
    model: Any
    state: TrainState
    steps: int
    save_every: int

    def __init__(self, out: Path, tokenizer: BPETokenizer):
        self.out, self.tokenizer = Path(out), tokenizer
        self.beside: dict[str, checkpoint.Beside] = {}
        self.generators: dict[str, torch.Generator] = {}
        self.batches: Any = None
        self.resumed: Path | None = None
        self.stop = False

    def records(self) -> Iterator[Any]:
        """Take a step for each record that is asked for. NotImplementedError for a kind of run that
        does not define it."""
        raise NotImplementedError(f"{self.kind} has no steps of its own")

    def go_on(self) -> None:
        """Take up the newest whole checkpoint, if there is one. ValueError names what is wrong with
        one of its files."""
        self.resumed = checkpoint.latest(self.out / "checkpoints")
        if self.resumed is None:
            return
        notes = checkpoint.restore(self.resumed, self.model, self.state, beside=self.beside)
        held = Fields(self.resumed / "training.json", notes)
        position = held.whole("position", least=0)
        checkpoint.restore_optimizer(
            self.resumed, self.model, self.state, beside=self.beside, generators=self.generators
        )
        if self.batches is not None:
            self.batches.position = position

    def __iter__(self) -> Iterator[Any]:
        log, checkpoints = self.out / "records.jsonl", self.out / "checkpoints"
        shorten(log, self.state.step)
        saved = self.state.step
        records = self.records() if saved < self.steps else iter(())
        for record in records:
            step, stop = self.state.step, self.stop
            due = stop or step == self.steps or (self.save_every and step % self.save_every == 0)
            with checkpoint.writing(log, checkpoints):
                log_step(log, record, lasting=bool(due))
            if due:
                self.save()
                saved = step
            yield record
            if stop:
                break
        if saved == self.steps:
            with checkpoint.writing(self.out, checkpoints):
                self.finish()

    def save(self) -> Path:
        """A checkpoint of the state as it is."""
        return checkpoint.save(
            self.out / "checkpoints",
            self.model,
            self.state,
            tokenizer=self.tokenizer,
            notes={"position": 0 if self.batches is None else self.batches.position},
            beside=self.beside,
            generators=self.generators,
        )

    def finish(self) -> None:
        """Write the finished model."""
        formats.save(self.model, self.out, tokenizer=self.tokenizer)


def lay_out(
    out: Path,
    kind: str,
    plan: Any,
    models: Mapping[str, Start],
    tokenizer: BPETokenizer,
    rows: Iterable[dict],
) -> None:
    """The files of a run before its first step, run.json last; none of them if anything fails.
    models: by the names of their folders, "start" the first. Errors: see `refuse_if_there`."""
    out = Path(out)
    refuse_if_there(out)
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    try:
        for name, (model, offset) in models.items():
            formats.save(model, out / name, tokenizer=tokenizer, offset=offset)
        with atomic_write(out / "data.jsonl") as part:
            with open(part, "w", encoding="utf-8", newline="\n") as file:
                file.writelines(json.dumps(row) + "\n" for row in rows)
        about = {"kind": kind, "plan": asdict(plan), "data": _digest(out / "data.jsonl")}
        write_json(out / "run.json", about)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            for name in models:
                shutil.rmtree(out / name, ignore_errors=True)
            (out / "data.jsonl").unlink(missing_ok=True)
            for folder in new:
                folder.rmdir()
        raise


def kind_of(out: Path) -> str | None:
    """The kind of run that is in a folder, by its run.json; None for a run of `llamalab train`.
    FileNotFoundError if there is none, ValueError if run.json is not JSON."""
    path = Path(out) / "run.json"
    if not path.exists():
        raise FileNotFoundError(f"there is no run to resume in {out}: no run.json")
    kind = read_json(path).get("kind")
    return kind if isinstance(kind, str) else None


def steps_of(out: Path) -> int:
    """How many steps, or iterations, a run was asked for. ValueError if run.json does not say."""
    plan = Fields(Path(out) / "run.json").inner("plan")
    if "ppo" in plan:
        return plan.inner("ppo").whole("iterations")
    return plan.inner("train").whole("steps")


def read_plan(out: Path, kind: str) -> dict[str, Any]:
    """The numbers that run.json holds, once data.jsonl is known to be what the run began with.
    ValueError if one of them is not."""
    path = Path(out) / "run.json"
    if (found := kind_of(out)) != kind:
        raise ValueError(f"{path} is of another kind of run: {found or 'train'}, not {kind}")
    fields = Fields(path)
    plan, digest = fields.inner("plan").values, fields.values.get("data")
    data = Path(out) / "data.jsonl"
    if not data.is_file() or _digest(data) != digest:
        raise ValueError(
            f"{data} is not what this run began with: it cannot go on to the same bits"
        )
    return plan


def read_rows(out: Path) -> list[dict[str, Any]]:
    """The lines of data.jsonl. ValueError names one that is not a JSON object."""
    path = Path(out) / "data.jsonl"
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            found.append(dict(json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number}, is no JSON object: {error}") from None
    return found


def load_start(out: Path, name: str = "start") -> tuple[Llama, BPETokenizer, float]:
    """A model that the run began from, in float32, its tokenizer, and the offset of its scores.
    ValueError names what is wrong with a file."""
    folder = Path(out) / name
    model, tokenizer = formats.load(folder, dtype=torch.float32)
    if tokenizer is None:
        raise ValueError(f"{folder} has no tokenizer.model")
    return model, tokenizer, formats.score_offset(folder)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
