"""A reward model, or DPO, as a run: `alignment.fit` on pairs of answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from llamalab import formats
from llamalab.alignment.calibration import accuracy_by_strength
from llamalab.alignment.dpo_fit import Known, dpo_loss_of, with_reference
from llamalab.alignment.fit import FitRecord, fit
from llamalab.alignment.reward import zero_at
from llamalab.alignment.reward_model import Pair, pair_loss, score_all, with_scalar_head
from llamalab.alignment.rewards import MARGINS
from llamalab.model import Llama
from llamalab.recipe import TrainConfig
from llamalab.runs.shuffled import Shuffled
from llamalab.runs.stage import Stage, lay_out, load_start, read_plan, read_rows
from llamalab.runtime.numbers import require_positive, require_share, require_whole
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState
from llamalab.training.optim import make_optimizer

KINDS = ("reward", "dpo")
MEASURED = 512  # pairs, at most, from which the offset is measured


class Compared(NamedTuple):
    """A pair, the length of its prompt, and perhaps, for the offset of a reward model: whether the
    chosen and the rejected answer are good, each by itself (safe, say)."""

    pair: Pair
    prompt_length: int
    good: tuple[bool, bool] | None = None


@dataclass(frozen=True, kw_only=True)
class PairPlan:
    """What a run on pairs is. margins: of a reward model's loss; beta: of DPO's. hold_out: the
    share of the pairs kept apart. ValueError for a number that makes no sense."""

    train: TrainConfig
    batch_size: int = 16
    seed: int = 0
    save_every: int = 50
    hold_out: float = 0.1
    margins: str = "small"
    beta: float = 0.1
    question: str | None = None

    def __post_init__(self) -> None:
        require_whole(self, "batch_size")
        require_whole(self, "save_every", least=0)
        require_share(self, "hold_out")
        if self.margins not in MARGINS:
            raise ValueError(f"margins={self.margins!r} must be one of {', '.join(MARGINS)}")
        require_positive(self, "beta")


class PairRun(Stage):
    """A run on pairs in a folder, at its newest checkpoint. ValueError names what is wrong."""

    plan: PairPlan
    pairs: list[Compared]
    held: list[Compared]

    def _read(self, out: Path) -> Llama:
        """The plan and the pairs; the model that the run began from."""
        said = read_plan(out, self.kind)
        try:
            self.plan = PairPlan(**said | {"train": TrainConfig(**said["train"])})
            pairs = [_from_row(**row) for row in read_rows(out)]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{Path(out) / 'run.json'} is no run's plan: {error}") from None
        model, tokenizer, _ = load_start(out)
        Stage.__init__(self, out, tokenizer)
        held = int(len(pairs) * self.plan.hold_out)
        self.pairs, self.held = pairs[: len(pairs) - held], pairs[len(pairs) - held :]
        self.steps, self.save_every = self.plan.train.steps, self.plan.save_every
        return model

    def scores(self, compared: Sequence[Compared]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model thinks of the chosen and of the rejected answers, (N,) each;
        NotImplementedError for a kind of run that does not define it."""
        raise NotImplementedError(f"{self.kind} has no scores of its own")

    def accuracy(self) -> dict[int, tuple[float, int]]:
        """On the pairs that were held out: strength -> accuracy and number of pairs."""
        if not self.held:
            return {}
        strength = torch.tensor([one.pair.strength for one in self.held])
        return dict(accuracy_by_strength(*self.scores(self.held), strength))


class RewardRun(PairRun):
    """As PairRun: a copy of the model with a scalar head learns which answer was preferred."""

    kind = "reward"

    def __init__(self, out: Path):
        chat = self._read(out)
        generator = torch.Generator().manual_seed(self.plan.seed)
        self.model = with_scalar_head(chat, generator=generator)
        self.state = TrainState(make_optimizer(self.model, self.plan.train))
        pairs = [one.pair for one in self.pairs]
        self.batches = Shuffled(pairs, self.plan.batch_size, seed=self.plan.seed)
        self.go_on()

    def records(self) -> Iterator[FitRecord]:
        loss = pair_loss(self.plan.margins)
        yield from fit(self.model, self.batches, loss, self.plan.train, state=self.state)

    def scores(self, compared: Sequence[Compared]) -> tuple[torch.Tensor, torch.Tensor]:
        """The scores, without an offset."""
        rows = [one.pair.chosen for one in compared] + [one.pair.rejected for one in compared]
        both = score_all(self.model, rows)
        return both[: len(compared)], both[len(compared) :]

    def offset(self) -> float:
        """The offset that puts 0 between good answers and others, if the pairs say which are; else
        at the mean."""
        some = self.pairs[:MEASURED]
        given, marks = torch.cat(self.scores(some)), [one.good for one in some]
        if None in marks:
            return zero_at(given)
        return zero_at(given, torch.tensor(marks).T.flatten())

    def finish(self) -> None:
        formats.save(self.model, self.out, tokenizer=self.tokenizer, offset=self.offset())


class DPORun(PairRun):
    """As PairRun: the model itself learns, beside the one that it began from."""

    kind = "dpo"

    def __init__(self, out: Path):
        self.model = self._read(out)
        self.known = self._known(self.pairs)  # it is the reference until it learns
        self.held_known = self._known(self.held)
        self.state = TrainState(make_optimizer(self.model, self.plan.train))
        self.batches = Shuffled(self.known, self.plan.batch_size, seed=self.plan.seed)
        self.go_on()

    def _known(self, compared: Sequence[Compared]) -> list[Known]:
        """The pairs with the log-probabilities that the model gives them now."""
        told = [(one.pair, one.prompt_length) for one in compared]
        return with_reference(self.model, told, way=self.plan.train.matmul)

    def records(self) -> Iterator[FitRecord]:
        loss = dpo_loss_of(self.plan.beta)
        yield from fit(self.model, self.batches, loss, self.plan.train, state=self.state)

    def scores(self, compared: Sequence[Compared]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the model has gained on each answer, in nats: DPO's own reward, but for beta."""
        new = self._known(compared)
        held = self.held_known if compared is self.held else self.known
        gained = torch.tensor(
            [[n.chosen - o.chosen, n.rejected - o.rejected] for n, o in zip(new, held)]
        )
        return gained[:, 0], gained[:, 1]


def begin_pairs(
    out: Path,
    kind: str,
    model: Llama,
    tokenizer: BPETokenizer,
    plan: PairPlan,
    pairs: Sequence[Compared],
) -> "RewardRun | DPORun":
    """A new run in a folder; kind: "reward" or "dpo". FileExistsError if there is one already;
    ValueError for another kind, no pairs, and answers that are past the model's context."""
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} must be one of {', '.join(KINDS)}")
    longest = max((len(row) for one in pairs for row in one.pair[:2]), default=0)
    if longest > model.config.max_seq_len or not longest:
        raise ValueError(
            f"{len(pairs)} pairs, the longest answer of {longest} tokens with its prompt; the "
            f"model's context holds max_seq_len={model.config.max_seq_len}"
        )
    rows = [one.pair._asdict() | {"prompt": one.prompt_length, "good": one.good} for one in pairs]
    lay_out(Path(out), kind, plan, {"start": (model, 0.0)}, tokenizer, rows)
    return RewardRun(out) if kind == "reward" else DPORun(out)


def _from_row(chosen: Any, rejected: Any, strength: Any, prompt: Any, good: Any) -> Compared:
    return Compared(Pair(chosen, rejected, strength), prompt, None if good is None else tuple(good))
