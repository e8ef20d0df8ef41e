"""rlhf: the loop of PPO. Write answers, have them scored, take a few small steps, write again.

    1  the policy answers a batch of prompts                        `sample`
    2  the reward models score each answer                          one number an answer
       policy and reference say how likely each token was           one KL a token
       the value model says what it expected at each token          `gae`
    3  some epochs of mini-batches: policy by `ppo_loss`, value model by `value_loss`

One iteration is one record. The log-probabilities that the ratio starts from are computed as the
training path computes them, so that the first ratio is exactly 1 and the first KL exactly 0.
Source: the Llama 2 paper, section 3.2.3 (clip 0.2, AdamW, constant rate, one step a mini-batch).
Not in the paper, and our choice: lam 1, gamma 1, the value model and its loss, two epochs.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch

from llamalab.alignment.ppo_step import PPOConfig, PPOState, start, update, weigh
from llamalab.alignment.rollout import Rollout, sample
from llamalab.model import Llama
from llamalab.runtime.cpu_kernels import matmul

__all__ = ["PPOConfig", "PPORecord", "PPOState", "Prompts", "rlhf", "start"]


class PPORecord(NamedTuple):
    """One iteration. score: the mean of the answers' scores; kl: nats an answer, by k1, and per
    token by k2 and k3; the rest are means over tokens or answers."""

    iteration: int
    score: float
    kl: float
    k2: float
    k3: float
    reward: float
    entropy: float
    clip_fraction: float
    approx_kl: float
    explained_variance: float
    policy_loss: float
    value_loss: float
    ended: float
    length: float
    seconds: float
    measured: dict[str, float]


class Prompts(NamedTuple):
    """A batch of prompts as ids, and whether each is about safety, (B,)."""

    ids: Sequence[list[int]]
    about_safety: torch.Tensor


# Answers, and which prompts are about safety -> rewards (B,), and what else to record.
Score = Callable[[Rollout, torch.Tensor], tuple[torch.Tensor, dict[str, float]]]


def rlhf(
    policy: Llama,
    values: Llama,
    reference: Llama,
    score_of: Score,
    prompts: Callable[[int], Prompts],
    config: PPOConfig,
    *,
    eos_id: int,
    seed: int = 0,
    state: PPOState | None = None,
) -> Iterator[PPORecord]:
    """Train policy and value model in place, one record per iteration. score_of: a `Reward`, or any
    function like it. prompts(i): the prompts of iteration i, so that a resumed run goes on with
    those that would have come."""
    state = state or start(policy, values, config, seed=seed)
    while state.iteration < config.iterations:
        began = time.perf_counter()
        asked = prompts(state.iteration)
        with torch.no_grad(), matmul(config.matmul):
            drawn = sample(
                policy,
                list(asked.ids),
                config.max_new_tokens,
                temperature=config.temperature,
                eos_id=eos_id,
                generator=state.generator,
            )
            rewards, measured = score_of(drawn, asked.about_safety)
            batch, record = weigh(policy, values, reference, drawn, rewards, config)
        sums = update(policy, values, batch, config, state)
        state.iteration += 1
        yield PPORecord(
            iteration=state.iteration,
            seconds=time.perf_counter() - began,
            measured=measured,
            **record,
            **sums,
        )
