"""PPO as a run: `alignment.rlhf` with the combined reward of two reward models.

    r = whitened logit of (safety if the prompt is about safety or safety < 0.15, else helpfulness)

Mean and deviation of the logit are measured once, on answers of the model that the run began from,
and stay: a score means the same in each iteration, and to a resumed run. (The paper does not say
over what it whitens.)
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch

from llamalab.alignment.reward_model import score_all, with_scalar_head
from llamalab.alignment.rewards import combined_reward
from llamalab.alignment.rlhf import PPOConfig, PPORecord, PPOState, rlhf, start
from llamalab.alignment.rollout import Rollout, sample
from llamalab.alignment.shuffled import Shuffled
from llamalab.model import Llama
from llamalab.runs.stage import Stage, lay_out, load_start, read_plan, read_rows
from llamalab.tokenizer import BPETokenizer
from llamalab.training.loop import TrainState

WHITENED_ON = 256  # answers, at least, of which mean and deviation are measured


class Ask(NamedTuple):
    """A prompt as ids, and whether it is about safety."""

    prompt: Sequence[int]
    safety: bool = False


@dataclass(frozen=True, kw_only=True)
class PPOPlan:
    """What a run of PPO is; mean and deviation are those of the combined reward's logits at the
    start. ValueError for a number that makes no sense."""

    ppo: PPOConfig
    seed: int = 0
    save_every: int = 10
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        if type(self.save_every) is not int or self.save_every < 0:
            raise ValueError(f"save_every={self.save_every!r} must be a whole number of at least 0")
        if not 0 < self.deviation < float("inf"):
            raise ValueError(
                f"deviation={self.deviation!r} must be above 0: the reward models give all answers "
                f"the same score, and nothing can be learned from it"
            )


class Rewards:
    """The two reward models as one: a `Score` for `rlhf`. It remembers nothing from batch to batch;
    whether a prompt is about safety it knows by the prompt's ids."""

    def __init__(self, helpfulness, safety, asks: Sequence[Ask], mean=0.0, deviation=1.0):
        self.models = {"helpfulness": helpfulness, "safety": safety}  # each with its offset
        self.about_safety = {tuple(one.prompt): one.safety for one in asks}
        self.mean, self.deviation = mean, deviation

    def __call__(self, drawn: Rollout) -> tuple[torch.Tensor, dict[str, float]]:
        prompts, answers = drawn.prompt_lengths.tolist(), drawn.answers()
        asked = [row[:n].tolist() for row, n in zip(drawn.tokens, prompts)]
        texts = [prompt + answer for prompt, answer in zip(asked, answers)]
        found = {
            name: torch.sigmoid(score_all(model, texts) + offset)
            for name, (model, offset) in self.models.items()
        }
        marks = torch.tensor([self.about_safety.get(tuple(prompt), False) for prompt in asked])
        logits = combined_reward(found["safety"], found["helpfulness"], marks)  # (B,)
        told = {name: float(score.double().mean()) for name, score in found.items()}
        return (logits - self.mean) / self.deviation, told


class PPORun(Stage):
    """A run of PPO in a folder, at its newest checkpoint. ValueError names what is wrong."""

    kind = "ppo"

    def __init__(self, out: Path):
        plan = read_plan(out, self.kind)
        try:
            self.plan = PPOPlan(**plan | {"ppo": PPOConfig(**plan["ppo"])})
            self.asks = [Ask(row["prompt"], row["safety"]) for row in read_rows(out)]
        except (TypeError, KeyError, ValueError) as error:
            raise ValueError(f"{Path(out) / 'run.json'} is no run's plan: {error}") from None
        self.steps, self.save_every = self.plan.ppo.iterations, self.plan.save_every
        self.model, tokenizer, _ = load_start(out)
        super().__init__(out, tokenizer)
        self.reference, _, _ = load_start(out)
        helpfulness, safety = (load_start(out, name) for name in ("helpfulness", "safety"))
        self.rewards = Rewards(
            helpfulness[::2], safety[::2], self.asks, self.plan.mean, self.plan.deviation
        )
        self.values = with_scalar_head(self.model, zero=True)
        self.ppo: PPOState = start(self.model, self.values, self.plan.ppo, seed=self.plan.seed)
        self.state = TrainState(self.ppo.policy_optimizer)
        self.beside = {"values": (self.values, self.ppo.value_optimizer)}
        self.generators = {"ppo": self.ppo.generator}
        self.go_on()
        self.ppo.iteration = self.state.step

    def prompts(self, iteration: int) -> list[list[int]]:
        """Those of one iteration, by its number."""
        batches = Shuffled(self.asks, self.plan.ppo.batch_size, seed=self.plan.seed)
        batches.position = iteration
        return [list(one.prompt) for one in next(batches)]

    def records(self) -> Iterator[PPORecord]:
        for record in rlhf(
            self.model, self.values, self.reference, self.rewards, self.prompts, self.plan.ppo,
            eos_id=self.tokenizer.eos_id, state=self.ppo,
        ):  # fmt: skip
            self.state.step = record.iteration
            yield record


def begin_ppo(
    out: Path,
    policy: Llama,
    tokenizer: BPETokenizer,
    helpfulness: tuple[Llama, float],
    safety: tuple[Llama, float],
    config: PPOConfig,
    asks: Sequence[Ask],
    *,
    seed: int = 0,
    save_every: int = 10,
) -> PPORun:
    """A new run in a folder. helpfulness, safety: reward models, each with its offset. Mean and
    deviation of their reward are measured here. FileExistsError if there is a run already;
    ValueError for prompts that leave no room for an answer, and for reward models that cannot tell
    answers apart."""
    longest = max((len(one.prompt) for one in asks), default=0)
    room = policy.config.max_seq_len - config.max_new_tokens
    if not 0 < longest <= room:
        raise ValueError(
            f"{len(asks)} prompts, the longest of {longest} tokens, and max_new_tokens="
            f"{config.max_new_tokens} in a context of {policy.config.max_seq_len}"
        )
    mean, deviation = _measured(policy, tokenizer, helpfulness, safety, config, asks, seed)
    plan = PPOPlan(ppo=config, seed=seed, save_every=save_every, mean=mean, deviation=deviation)
    models = {"start": (policy, 0.0), "helpfulness": helpfulness, "safety": safety}
    rows = [{"prompt": list(one.prompt), "safety": one.safety} for one in asks]
    lay_out(Path(out), PPORun.kind, plan, models, tokenizer, rows)
    return PPORun(out)


def _measured(policy, tokenizer, helpfulness, safety, config, asks, seed) -> tuple[float, float]:
    """Mean and deviation of the combined reward's logits over answers of the policy."""
    generator = torch.Generator().manual_seed(seed)
    batches = Shuffled(asks, WHITENED_ON, seed=seed + 1)
    drawn = sample(
        policy,
        [list(one.prompt) for one in next(batches)],
        config.max_new_tokens,
        temperature=config.temperature,
        eos_id=tokenizer.eos_id,
        generator=generator,
    )
    logits, _ = Rewards(helpfulness, safety, asks)(drawn)
    logits = logits.double()
    return float(logits.mean()), float(logits.std(correction=0))
