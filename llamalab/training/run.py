"""A whole run in a folder: tokens, model, checkpoints and a log of losses, to start and to resume.

    out/  run.json             what was asked: with it a resumed run is the same run
          tokenizer.model      tokens.npy
          losses.jsonl         one line a step
          checkpoints/step-N   see `checkpoint`
          config.json  model.safetensors      the finished model, for llamalab.load(out)

`llamalab train` is this with a progress bar. With several processes, process 0 writes and all
read; everybody builds the same model from the same seed.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from llamalab import interop
from llamalab.accounting import memory_plan
from llamalab.config import LlamaConfig
from llamalab.interop.fields import read_json, write_json
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer

from . import checkpoint, distributed
from .batches import Batches, read_tokens, validation_batches, write_tokens
from .loop import StepRecord, TrainState, train
from .optim import TrainConfig, make_optimizer

VALIDATION_WINDOWS = 64


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run is, in numbers that go into run.json. `batch_size` rows of `seq_len` tokens are
    one micro-batch, over all processes. `save_every=0`: a checkpoint at the end alone."""

    train: TrainConfig
    batch_size: int = 16
    seq_len: int = 256
    seed: int = 0
    save_every: int = 100
    hold_out: float = 0.05
    parallel: str = "ddp"


class Run:
    """A run that can be iterated: trains from where it stands, saves, and yields StepRecords."""

    def __init__(self, out: Path, config: LlamaConfig, plan: Plan, cut: int, device: torch.device):
        self.out, self.config, self.plan = Path(out), config, plan
        if plan.batch_size % distributed.world():
            raise ValueError(
                f"a batch of {plan.batch_size} rows cannot be shared by {distributed.world()} "
                f"processes: their number must divide it"
            )
        self.tokenizer = BPETokenizer.load(self.out / "tokenizer.model")
        tokens = read_tokens(self.out / "tokens.npy")
        self.batches = Batches(tokens[:cut], plan.batch_size, plan.seq_len, seed=plan.seed)
        self.validation = None
        if cut < len(tokens):
            self.validation = validation_batches(
                tokens[cut:], plan.batch_size, plan.seq_len, VALIDATION_WINDOWS
            )
        generator = torch.Generator().manual_seed(plan.seed)
        model = Llama(config, generator=generator)
        self.resumed = checkpoint.latest(self.out / "checkpoints")
        state = TrainState(None)
        if self.resumed:
            notes = checkpoint.restore(self.resumed, model, state)
            self.batches.position = notes["position"]
        self.model = distributed.wrap(model.to(device), plan.parallel)
        state.optimizer = make_optimizer(self.model, plan.train)
        if self.resumed:
            checkpoint.restore_optimizer(self.resumed, self.model, state)
        self.state = state
        self.stop = False  # set it, and the run saves and ends after the step

    def __iter__(self) -> Iterator[StepRecord]:
        log = self.out / "losses.jsonl"
        if distributed.rank() == 0:
            _shorten(log, self.state.step)
        saved = self.state.step
        for record in train(
            self.model, self.batches, self.plan.train, validation=self.validation, state=self.state
        ):
            if distributed.rank() == 0:
                with open(log, "a", encoding="utf-8", newline="\n") as file:
                    file.write(json.dumps(asdict(record)) + "\n")
            stop = distributed.anyone(self.stop)
            due = self.plan.save_every and record.step % self.plan.save_every == 0
            if due or stop or record.step == self.plan.train.steps:
                self.save()
                saved = record.step
            yield record
            if stop:
                break
        if saved == self.plan.train.steps:
            whole = checkpoint.full_model(self.model)
            if distributed.rank() == 0:
                interop.save(whole, self.out, tokenizer=self.tokenizer)

    def save(self) -> Path:
        """A checkpoint of the state as it is."""
        return checkpoint.save(
            self.out / "checkpoints",
            self.model,
            self.state,
            tokenizer=self.tokenizer,
            notes={"position": self.batches.position},
        )


def begin(
    out: Path,
    config: LlamaConfig,
    plan: Plan,
    documents: Iterable,
    *,
    tokenizer: BPETokenizer,
    device: torch.device | str = "cpu",
) -> Run:
    """Make the folder and its token files. The last documents, about a share of
    plan.hold_out, are held back for validation. FileExistsError if there is a run already."""
    out = Path(out)
    if (out / "run.json").exists():
        raise FileExistsError(f"{out} holds a run already: resume it, or name another folder")
    if plan.seq_len > config.max_seq_len:
        raise ValueError(
            f"seq_len={plan.seq_len} is past the model's context, max_seq_len={config.max_seq_len}"
        )
    config = replace(config, vocab_size=max(config.vocab_size, tokenizer.vocab_size))
    memory = memory_plan(config, training=True)
    if not memory.fits:
        raise MemoryError(f"training takes more than there is. {memory.verdict}")
    if distributed.rank() == 0:
        out.mkdir(parents=True, exist_ok=True)
        tokenizer.save(out / "tokenizer.model")
        write_tokens(out / "tokens.npy", documents, tokenizer)
        cut = _cut_for_validation(read_tokens(out / "tokens.npy"), plan, tokenizer.bos_id)
        asked = {"plan": asdict(plan), "model": asdict(config), "cut": cut}
        write_json(out / "run.json", asked)  # last: now it counts
    distributed.wait()
    return resume(out, device=device)


def resume(out: Path, *, device: torch.device | str = "cpu") -> Run:
    """The run in `out`, at its newest whole checkpoint, or at its start if there is none yet."""
    out = Path(out)
    config, plan, cut = read_plan(out)
    return Run(out, config, plan, cut, torch.device(device))


def read_plan(out: Path) -> tuple[LlamaConfig, Plan, int]:
    """What run.json says: the model, the plan, and the token where validation begins.
    FileNotFoundError if `out` is no run."""
    path = Path(out) / "run.json"
    if not path.exists():
        raise FileNotFoundError(f"there is no run to resume in {out}: no run.json")
    held = read_json(path)
    try:
        plan = dict(held["plan"])
        plan = Plan(**plan | {"train": TrainConfig(**plan["train"])})
        return LlamaConfig(**held["model"]), plan, int(held["cut"])
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no run's plan: {error}") from None


def _cut_for_validation(tokens: np.ndarray, plan: Plan, bos_id: int) -> int:
    """Where the held-back end begins: between two documents, where that is near."""
    cut = int(len(tokens) * (1 - plan.hold_out))
    if not plan.hold_out:
        return cut
    starts = np.flatnonzero(tokens[: cut + 1] == bos_id)
    if len(starts) and starts[-1] > len(tokens) * (1 - 2 * plan.hold_out):
        cut = int(starts[-1])
    if len(tokens) - cut <= plan.seq_len:
        raise ValueError(
            f"{plan.hold_out:.0%} of {len(tokens):,} tokens are too few to validate on windows of "
            f"{plan.seq_len} + 1. Give more text, a smaller seq_len or hold_out=0"
        )
    return cut


def _shorten(log: Path, step: int) -> None:
    """Forget the lines behind the checkpoint: those steps are taken again."""
    if not log.exists():
        return
    lines = log.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    with interop.files.beside(log) as part:
        part.write_text("".join(f"{k}\n" for k in kept), encoding="utf-8", newline="\n")


def _step_of(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except (ValueError, KeyError):
        return float("inf")  # a line that a kill cut short
