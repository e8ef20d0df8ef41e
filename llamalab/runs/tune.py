"""Supervised fine-tuning as a run: `training.train` on dialogues, of all weights or of LoRA's."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from llamalab import formats
from llamalab.alignment import lora
from llamalab.alignment.sft import DialogBatches, Example, collate, fitting
from llamalab.formats.adapter import save_adapter
from llamalab.model import Llama
from llamalab.recipe import TrainConfig
from llamalab.runs.stage import Stage, lay_out, load_start, read_plan, read_rows
from llamalab.runtime.numbers import require_share, require_whole
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import StepRecord, TrainState, train
from llamalab.training.optim import make_optimizer

VALIDATION_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class TunePlan:
    """What a run of tuning is. rank: of LoRA's adapters; None tunes all weights. hold_out: the
    share of the dialogues kept apart. ValueError for a number that makes no sense."""

    train: TrainConfig
    tokens_per_batch: int = 4096
    seq_len: int = 256
    seed: int = 0
    save_every: int = 50
    hold_out: float = 0.02
    rank: int | None = None
    alpha: float = 16.0
    targets: tuple[str, ...] = lora.TARGETS

    def __post_init__(self) -> None:
        require_whole(self, "tokens_per_batch", "seq_len")
        require_whole(self, "save_every", least=0)
        require_share(self, "hold_out")


class TuneRun(Stage):
    """A run of tuning in a folder, at its newest checkpoint. ValueError names what is wrong."""

    kind = "tune"

    def __init__(self, out: Path):
        said = read_plan(out, self.kind)
        try:
            recipe, targets = TrainConfig(**said["train"]), tuple(said["targets"])
            self.plan = plan = TunePlan(**said | {"train": recipe, "targets": targets})
            examples = [(row["ids"], row["weights"]) for row in read_rows(out)]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{Path(out) / 'run.json'} is no run's plan: {error}") from None
        self.steps, self.save_every = plan.train.steps, plan.save_every
        self.model, tokenizer, _ = load_start(out)
        super().__init__(out, tokenizer)
        held = int(len(examples) * plan.hold_out)
        self.batches = DialogBatches(
            examples[: len(examples) - held], plan.tokens_per_batch, plan.seq_len, seed=plan.seed
        )
        self.validation = _validation(examples[len(examples) - held :], plan) if held else None
        if plan.rank is not None:
            generator = torch.Generator().manual_seed(plan.seed)
            lora.add(self.model, plan.rank, plan.alpha, plan.targets, generator=generator)
        self.state = TrainState(make_optimizer(self.model, plan.train))
        self.go_on()

    def records(self) -> Iterator[StepRecord]:
        yield from train(
            self.model, self.batches, self.plan.train, validation=self.validation, state=self.state
        )

    def finish(self) -> None:
        if self.plan.rank is None:
            return super().finish()
        save_adapter(self.model, self.out / "adapter.safetensors")
        merged = copy.deepcopy(self.model)
        lora.merge(merged)
        formats.save(merged, self.out, tokenizer=self.tokenizer)


def _validation(examples: Sequence[Example], plan: TunePlan):
    """Batches of held-out dialogues, in which all tokens of answers weigh the same."""
    kept = fitting(examples, plan.seq_len)[:VALIDATION_ROWS]
    rows = [collate(kept[i : i + 16]) for i in range(0, len(kept), 16)]
    return [(tokens, (mask != 0).float()) for tokens, mask in rows]


def begin_tune(
    out: Path, model: Llama, tokenizer: BPETokenizer, plan: TunePlan, examples: Sequence[Example]
) -> TuneRun:
    """A new run in a folder. FileExistsError if there is one already; ValueError if no dialogue
    fits, if seq_len is past the model's context, or if LoRA cannot be added."""
    out = Path(out)
    if plan.seq_len > model.config.max_seq_len:
        raise ValueError(
            f"seq_len={plan.seq_len} is past the model's context, "
            f"max_seq_len={model.config.max_seq_len}"
        )
    if plan.rank is not None:  # before there is a folder
        with torch.device("meta"):
            lora.add(Llama(model.config), plan.rank, plan.alpha, plan.targets)
    kept = fitting(examples, plan.seq_len)
    rows = [{"ids": list(ids), "weights": list(weights)} for ids, weights in kept]
    lay_out(out, TuneRun.kind, plan, {"start": (model, 0.0)}, tokenizer, rows)
    return TuneRun(out)
