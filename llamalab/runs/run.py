"""A whole run in a folder: tokens, model, checkpoints and a log of losses, to start and to resume.

    out/  run.json             what was asked: with it a resumed run is the same run
          tokenizer.model      tokens.npy
          losses.jsonl         one line a step
          checkpoints/step-N   see `checkpoint`
          config.json  model.safetensors      the finished model, for llamalab.load(out)

`llamalab train` is this with a progress bar. With several processes, process 0 writes and all
read; everybody builds the same model from the same seed.
"""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from llamalab import formats
from llamalab.accounting import memory_plan
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.plan import Plan, read_plan, write_plan
from llamalab.runtime import distributed
from llamalab.runtime.files import atomic_write
from llamalab.runtime.governor import ThreadGovernor
from llamalab.runtime.json_files import Fields
from llamalab.runtime.threads import wished_threads
from llamalab.tokenizer import BPETokenizer
from llamalab.training.batches import Batches, read_tokens, validation_batches, write_tokens
from llamalab.training.loop import StepRecord, TrainState, train
from llamalab.training.optim import make_optimizer

VALIDATION_WINDOWS = 64
FAR = 2**24  # tokens, at most, that the cut for validation moves to find a document's beginning


class Run:
    """A run that can be iterated: trains from where it stands, saves, and yields StepRecords.

    watch_threads: look again at the number of threads when steps grow slow (`runtime.governor`).
    Another number may round differently, so whoever compares runs to the bit leaves it off."""

    def __init__(
        self,
        out: Path,
        config: LlamaConfig,
        plan: Plan,
        cut: int,
        device: torch.device,
        watch_threads: bool = False,
    ):
        self.out, self.config, self.plan = Path(out), config, plan
        _check_rows(plan)
        self.tokenizer = BPETokenizer.load(self.out / "tokenizer.model")
        tokens = read_tokens(self.out / "tokens.npy")
        self.batches = _batches(tokens[:cut], plan, self.tokenizer)
        self.validation = None
        if cut < len(tokens):
            self.validation = validation_batches(
                tokens[cut:], plan.batch_size, plan.seq_len, VALIDATION_WINDOWS,
                bos_id=self.tokenizer.bos_id if plan.by_document else None,
            )  # fmt: skip
        generator = torch.Generator().manual_seed(plan.seed)
        model = Llama(config, generator=generator)
        self.resumed = checkpoint.latest(self.out / "checkpoints")
        state = TrainState(None)
        if self.resumed:
            notes = checkpoint.restore(self.resumed, model, state)
            held = Fields(self.resumed / "training.json", notes)
            self.batches.position = held.whole("position", least=0)
        self.model = distributed.wrap(model.to(device), plan.parallel)
        state.optimizer = make_optimizer(self.model, plan.train)
        if self.resumed:
            checkpoint.restore_optimizer(self.resumed, self.model, state)
        self.state = state
        self.stop = False  # set it, and the run saves and ends after the step
        alone = device.type == "cpu" and not distributed.active() and not wished_threads()
        self.watch_threads = watch_threads and alone
        self.news: str | None = None  # what to tell the user of the last step, in a line

    def __iter__(self) -> Iterator[StepRecord]:
        """Torch's number of threads is the plan's in between, or what the governor says."""
        most = torch.get_num_threads()
        threads = min(most, self.plan.threads or most)
        governor = ThreadGovernor(most, threads) if self.watch_threads else None
        try:
            torch.set_num_threads(threads)
            for record in self._steps():
                if governor is not None:
                    self.news = governor.after(record.seconds)
                    torch.set_num_threads(governor.threads)
                yield record
        finally:
            torch.set_num_threads(most)

    def _steps(self) -> Iterator[StepRecord]:
        if distributed.rank() == 0:
            _shorten(self.out / "losses.jsonl", self.state.step)
        saved = self.state.step
        for record in train(
            self.model, self.batches, self.plan.train, validation=self.validation, state=self.state
        ):
            stop = distributed.any_rank(self.stop)
            due = self.plan.save_every and record.step % self.plan.save_every == 0
            due = due or stop or record.step == self.plan.train.steps
            if distributed.rank() == 0:
                self._log(record, lasting=due)
            if due:
                self.save()
                saved = record.step
            yield record
            if stop:
                break
        if saved == self.plan.train.steps:
            whole = checkpoint.full_model(self.model)
            if distributed.rank() == 0:
                with checkpoint.writing(self.out, self.out / "checkpoints"):
                    formats.save(whole, self.out, tokenizer=self.tokenizer)

    def save(self) -> Path:
        """A checkpoint of the state as it is."""
        return checkpoint.save(
            self.out / "checkpoints",
            self.model,
            self.state,
            tokenizer=self.tokenizer,
            notes={"position": self.batches.position},
        )

    def _log(self, record: StepRecord, *, lasting: bool) -> None:
        """Add a line; before a checkpoint, whose steps are not taken again, also to the disk."""
        log = self.out / "losses.jsonl"
        with checkpoint.writing(log, self.out / "checkpoints"):
            with open(log, "a", encoding="utf-8", newline="\n") as file:
                line = asdict(record) | {"threads": torch.get_num_threads()}
                file.write(json.dumps(line) + "\n")
                if lasting:
                    file.flush()
                    os.fsync(file.fileno())


def begin(
    out: Path,
    config: LlamaConfig,
    plan: Plan,
    documents: Iterable,
    *,
    tokenizer: BPETokenizer,
    device: torch.device | str = "cpu",
    choose: Callable[[LlamaConfig, Plan], Plan] | None = None,
    watch_threads: bool = False,
) -> Run:
    """Make the folder and its token files. The last documents, about a share of
    plan.hold_out, are held back for validation. The model gets the tokenizer's vocabulary, so
    that it can write no id that has no piece. `choose` settles what is open in the plan, and takes
    its time: it is asked once the text is known to be long enough. Errors: see `check`;
    ValueError if the text is too short, and nothing is left behind then."""
    out, config = Path(out), replace(config, vocab_size=tokenizer.vocab_size)
    check(out, config, plan)
    distributed.barrier()  # everybody has looked before anything is there
    if distributed.rank() == 0:
        _lay_out(out, config, plan, documents, tokenizer, choose)
    distributed.barrier()
    return resume(out, device=device, watch_threads=watch_threads)


def _lay_out(
    out: Path,
    config: LlamaConfig,
    plan: Plan,
    documents: Iterable,
    tokenizer: BPETokenizer,
    choose: Callable[[LlamaConfig, Plan], Plan] | None,
) -> None:
    """The files of a run before its first step; none of them if the text will not do."""
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    files = out / "tokenizer.model", out / "tokens.npy"
    there = [file for file in files if file.exists()]
    try:
        tokenizer.save(files[0])
        write_tokens(files[1], documents, tokenizer)
        tokens = read_tokens(files[1])
        cut = _cut_for_validation(tokens, plan, tokenizer.bos_id)
        _batches(tokens[:cut], plan, tokenizer)  # is there enough text?
        plan = choose(config, plan) if choose else plan
        write_plan(out, config, plan, cut)  # last: now it counts
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            tokens = None  # Windows removes no file that is mapped into memory
            for file in files:
                if file not in there:
                    file.unlink(missing_ok=True)
            for folder in new:
                folder.rmdir()
        raise


def check(out: Path, config: LlamaConfig, plan: Plan) -> None:
    """What can be refused before any text is read: FileExistsError if there is a run already,
    ValueError for sizes that do not go together, MemoryError for a model that is too large."""
    if (out / "run.json").exists():
        raise FileExistsError(f"{out} holds a run already: --resume it, or name another folder")
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file, and a run needs a folder: name another one")
    if plan.seq_len > config.max_seq_len:
        raise ValueError(
            f"seq_len={plan.seq_len} is past the model's context, max_seq_len={config.max_seq_len}"
        )
    _check_rows(plan)
    memory = memory_plan(config, training=True)
    if not memory.fits:
        raise MemoryError(f"training takes more than there is. {memory.verdict}")


def resume(out: Path, *, device: torch.device | str = "cpu", watch_threads: bool = False) -> Run:
    """The run in `out`, at its newest whole checkpoint, or at its start if there is none yet."""
    out = Path(out)
    config, plan, cut = read_plan(out)
    return Run(out, config, plan, cut, torch.device(device), watch_threads)


def _cut_for_validation(tokens: np.ndarray, plan: Plan, bos_id: int) -> int:
    """Where the held-back end begins: between two documents, where that is near."""
    cut = int(len(tokens) * (1 - plan.hold_out))
    if not plan.hold_out:
        return cut
    nearest = max(1, int(len(tokens) * (1 - 2 * plan.hold_out)), cut - FAR)
    starts = np.flatnonzero(tokens[nearest : cut + 1] == bos_id)
    if len(starts):
        cut = nearest + int(starts[-1])
    if len(tokens) - cut <= plan.seq_len:
        raise ValueError(
            f"{plan.hold_out:.0%} of {len(tokens):,} tokens are too few to validate on windows of "
            f"{plan.seq_len} + 1. Give more text, a smaller seq_len, or a hold_out of 0"
        )
    return cut


def _batches(tokens: np.ndarray, plan: Plan, tokenizer: BPETokenizer) -> Batches:
    bos_id = tokenizer.bos_id if plan.by_document else None
    return Batches(tokens, plan.batch_size, plan.seq_len, seed=plan.seed, bos_id=bos_id)


def _check_rows(plan: Plan) -> None:
    if plan.batch_size % distributed.world_size():
        raise ValueError(
            f"a batch of {plan.batch_size} rows cannot be shared by {distributed.world_size()} "
            f"processes: their number must divide it"
        )


def _shorten(log: Path, step: int) -> None:
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
