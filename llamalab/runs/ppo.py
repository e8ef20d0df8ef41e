"""PPO as a run: `alignment.rlhf`, with the reward of two reward models.

Mean and deviation of the reward are measured once, on answers of the model that the run began from,
and are part of the plan: a score means the same in each iteration, and to a resumed run. On the
same answers the value model is warmed up before the first iteration.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from llamalab.alignment.ppo_step import warm_up
from llamalab.alignment.reward import Reward, Scorer
from llamalab.alignment.reward_model import with_scalar_head
from llamalab.alignment.rlhf import PPOConfig, PPORecord, PPOState, Prompts, rlhf, start
from llamalab.alignment.rollout import Rollout, sample
from llamalab.model import Llama
from llamalab.runs.shuffled import Shuffled
from llamalab.runs.stage import Stage, lay_out, load_start, read_plan, read_rows, refuse_if_there
from llamalab.runtime.numbers import require_positive, require_whole
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState

FIRST_ANSWERS = 256  # of which mean and deviation are measured


class Ask(NamedTuple):
    """A prompt as ids, and whether it is about safety."""

    prompt: Sequence[int]
    about_safety: bool = False


@dataclass(frozen=True, kw_only=True)
class PPOPlan:
    """What a run of PPO is; offset, gains, mean and deviation are those that `Reward` measured at
    the start. ValueError for a number that makes no sense."""

    ppo: PPOConfig
    seed: int = 0
    save_every: int = 5
    offset: float = 0.0  # of the helpfulness model; that of safety stays as it was saved
    gains: tuple[float, float] = (1.0, 1.0)  # of helpfulness and safety
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        require_whole(self, "save_every", least=0)
        require_positive(self, "deviation")


class PPORun(Stage):
    """A run of PPO in a folder, at its newest checkpoint. ValueError names what is wrong."""

    kind = "ppo"

    def __init__(self, out: Path):
        said = read_plan(out, self.kind)
        try:
            self.plan = plan = PPOPlan(**said | {"ppo": PPOConfig(**said["ppo"])})
            self.asks = [Ask(**row) for row in read_rows(out)]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{Path(out) / 'run.json'} is no run's plan: {error}") from None
        self.steps, self.save_every = plan.ppo.iterations, plan.save_every
        self.model, tokenizer, _ = load_start(out)
        super().__init__(out, tokenizer)
        self.reference, _, _ = load_start(out)
        helpful, _, _ = load_start(out, "helpfulness")
        safe, _, offset = load_start(out, "safety")
        helpfulness = Scorer(helpful.eval(), plan.offset, plan.gains[0])
        safety = Scorer(safe.eval(), offset, plan.gains[1])
        self.reward = Reward(helpfulness, safety, plan.mean, plan.deviation, plan.ppo.matmul)
        self.values = with_scalar_head(helpful, zero=True)
        self.ppo: PPOState = start(self.model, self.values, plan.ppo, seed=plan.seed)
        self.state = TrainState(self.ppo.policy_optimizer)
        self.beside = {"values": (self.values, self.ppo.value_optimizer)}
        self.generators = {"ppo": self.ppo.generator}
        self.go_on()
        self.ppo.iteration = self.state.step

    def prompts(self, iteration: int) -> Prompts:
        """Those of one iteration, by its number."""
        return batch_of(self.asks, self.plan.ppo.batch_size, iteration, self.plan.seed)

    def records(self) -> Iterator[PPORecord]:
        if self.ppo.iteration == 0:
            drawn, marks = first_answers(
                self.model, self.tokenizer, self.asks, self.plan.ppo, self.plan.seed
            )
            scores, _ = self.reward(drawn, marks)
            warm_up(self.values, drawn, scores, self.plan.ppo, self.ppo)
        for record in rlhf(
            self.model, self.values, self.reference, self.reward.__call__, self.prompts,
            self.plan.ppo, eos_id=self.tokenizer.eos_id, state=self.ppo,
        ):  # fmt: skip
            self.state.step = record.iteration
            yield record


def batch_of(asks: Sequence[Ask], size: int, number: int, seed: int) -> Prompts:
    """Batch `number` of the prompts in a seeded order."""
    batches = Shuffled(asks, size, seed=seed)
    batches.position = number
    chosen = next(batches)
    marks = torch.tensor([one.about_safety for one in chosen])
    return Prompts([list(one.prompt) for one in chosen], marks)


def first_answers(
    policy: Llama, tokenizer: BPETokenizer, asks: Sequence[Ask], config: PPOConfig, seed: int
) -> tuple[Rollout, torch.Tensor]:
    """Answers of the model that a run begins from, and which prompts are about safety; the same
    each time."""
    first = batch_of(asks, FIRST_ANSWERS, 0, seed + 1)
    drawn = sample(
        policy, list(first.ids), config.max_new_tokens, temperature=config.temperature,
        eos_id=tokenizer.eos_id, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return drawn, first.about_safety


def begin_ppo(
    out: Path,
    policy: Llama,
    tokenizer: BPETokenizer,
    helpfulness: Scorer,
    safety: Scorer,
    config: PPOConfig,
    asks: Sequence[Ask],
    *,
    seed: int = 0,
    save_every: int = 5,
) -> PPORun:
    """A new run in a folder; mean and deviation of the reward are measured here. FileExistsError if
    there is a run already; ValueError for prompts that leave no room for an answer, reward models
    of another vocabulary, and reward models that score all answers the same."""
    refuse_if_there(Path(out))
    longest = max((len(one.prompt) for one in asks), default=0)
    if not 0 < longest <= policy.config.max_seq_len - config.max_new_tokens:
        raise ValueError(
            f"{len(asks)} prompts, the longest of {longest} tokens, and max_new_tokens="
            f"{config.max_new_tokens}: both have to fit into the model's context, max_seq_len="
            f"{policy.config.max_seq_len}"
        )
    for name, scorer in (("helpfulness", helpfulness), ("safety", safety)):
        theirs, ours = scorer.model.config, policy.config
        if theirs.vocab_size != ours.vocab_size or theirs.max_seq_len < ours.max_seq_len:
            raise ValueError(
                f"the {name} model reads {theirs.vocab_size} pieces and {theirs.max_seq_len} "
                f"positions, the policy {ours.vocab_size} and {ours.max_seq_len}"
            )
    drawn, marks = first_answers(policy, tokenizer, asks, config, seed)
    reward = Reward(helpfulness, safety, way=config.matmul).balanced_by(drawn, marks)
    reward = reward.whitened_by(drawn, marks)
    plan = PPOPlan(
        ppo=config, seed=seed, save_every=save_every,
        offset=reward.helpfulness.offset, gains=(reward.helpfulness.gain, reward.safety.gain),
        mean=reward.mean, deviation=reward.deviation,
    )  # fmt: skip
    models = {
        "start": (policy, 0.0),
        "helpfulness": (helpfulness.model, helpfulness.offset),
        "safety": (safety.model, safety.offset),
    }
    rows = [one._asdict() | {"prompt": list(one.prompt)} for one in asks]
    lay_out(Path(out), PPORun.kind, plan, models, tokenizer, rows)
    return PPORun(out)
