"""A whole run in a folder: tokens, model, checkpoints and a log of losses, to start and to resume.

    out/  run.json             what was asked: with it a resumed run is the same run
          tokenizer.model      tokens.npy
          losses.jsonl         one line a step
          checkpoints/step-N   see `checkpoint`
          config.json  model.safetensors      the finished model, for llamalab.load(out)

`llamalab train` is this with a progress bar. With several processes, process 0 writes and all
read; everybody builds the same model from the same seed.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import torch

from llamalab import formats
from llamalab.accounting import memory_plan
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.log import log_step, shorten
from llamalab.runs.places import refuse_if_there
from llamalab.runs.plan import Plan, read_plan
from llamalab.runs.text import batches_of, lay_out
from llamalab.runtime import distributed
from llamalab.runtime.governor import ThreadGovernor
from llamalab.runtime.json_files import Fields
from llamalab.runtime.threads import wished_threads
from llamalab.tokenizer import BPETokenizer
from llamalab.training.batches import read_tokens, validation_batches
from llamalab.training.loop import StepRecord, TrainState, train
from llamalab.training.optim import make_optimizer

VALIDATION_WINDOWS = 64


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
        self.batches = batches_of(tokens[:cut], plan, self.tokenizer)
        self.validation = None
        if cut < len(tokens):
            self.validation = validation_batches(
                tokens[cut:], plan.batch_size, plan.seq_len, VALIDATION_WINDOWS,
                bos_id=self.tokenizer.bos_id if plan.by_document else None,
            )  # fmt: skip
        generator = torch.Generator().manual_seed(plan.seed)
        model = Llama(config, generator=generator)
        self.resumed = checkpoint.latest(self.out / "checkpoints")
        state = TrainState()
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
        log = self.out / "losses.jsonl"
        if distributed.rank() == 0:
            shorten(log, self.state.step)
        saved = self.state.step
        for record in train(
            self.model, self.batches, self.plan.train, validation=self.validation, state=self.state
        ):
            stop = distributed.any_rank(self.stop)
            due = self.plan.save_every and record.step % self.plan.save_every == 0
            due = due or stop or record.step == self.plan.train.steps
            if distributed.rank() == 0:
                with checkpoint.writing(log, self.out / "checkpoints"):
                    log_step(log, record, lasting=due)
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
        lay_out(out, config, plan, documents, tokenizer, choose)
    distributed.barrier()
    return resume(out, device=device, watch_threads=watch_threads)


def check(out: Path, config: LlamaConfig, plan: Plan) -> None:
    """What can be refused before any text is read: FileExistsError if there is a run, or a model,
    already; ValueError for sizes that do not go together, MemoryError for a model that is too
    large."""
    refuse_if_there(out)
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


def _check_rows(plan: Plan) -> None:
    if plan.batch_size % distributed.world_size():
        raise ValueError(
            f"a batch of {plan.batch_size} rows cannot be shared by {distributed.world_size()} "
            f"processes: their number must divide it"
        )
