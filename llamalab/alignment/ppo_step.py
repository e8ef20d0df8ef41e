"""One iteration of PPO after sampling: advantages of the answers, and the optimizer's steps.

    weigh    a rollout and its scores -> experience: advantages for the policy, returns for the
             value model, and what the old policy and the reference thought of each token
    update   some epochs of mini-batches over it: the policy by `ppo_loss`, the values by
             `value_loss`, one step of each a mini-batch

All log-probabilities come by the training path (`score`), not from the sampler: the ratio begins
at 1, and the KL of a policy that has not moved is 0.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch

from llamalab.alignment.fit import descend
from llamalab.alignment.kl import k1, k2, k3
from llamalab.alignment.masks import masked_mean, masked_sum
from llamalab.alignment.ppo import (
    explained_variance,
    gae,
    ppo_loss,
    replace_unended,
    token_rewards,
    value_loss,
)
from llamalab.alignment.rewards import whiten
from llamalab.alignment.rollout import Rollout, score
from llamalab.model import Llama
from llamalab.recipe import TrainConfig
from llamalab.runtime.cpu_kernels import MATMULS, matmul
from llamalab.runtime.numbers import require_between_0_and_1, require_positive, require_whole
from llamalab.training.fused import in_fewer_passes
from llamalab.training.optim import make_optimizer


@dataclass(frozen=True, kw_only=True)
class PPOConfig:
    """The numbers of a run. beta: the price of a nat of KL, in units of the whitened score.
    unended: the score of an answer without EOS. lam is 1: the score comes at the end, and of it a
    token at distance n is credited lam^n, which is 0.006 with 0.95 and n = 100. ValueError for
    numbers that make no sense."""

    iterations: int
    batch_size: int = 48
    mini_batch_size: int = 16
    epochs: int = 2
    lr: float = 3e-4
    value_lr: float = 1e-3
    beta: float = 0.05
    gamma: float = 1.0
    lam: float = 1.0
    clip: float = 0.2
    temperature: float = 1.0
    max_new_tokens: int = 192
    unended: float = -3.0
    max_grad_norm: float = 1.0
    matmul: str = "torch"

    def __post_init__(self) -> None:
        require_whole(self, "iterations", "batch_size", "mini_batch_size", "epochs")
        require_whole(self, "max_new_tokens")
        require_positive(self, "lr", "value_lr", "clip", "temperature", "max_grad_norm")
        require_between_0_and_1(self, "gamma", "lam")
        if not 0 <= self.beta < float("inf"):
            raise ValueError(f"beta={self.beta!r} must be a finite number, 0 or above")
        if self.matmul not in MATMULS:
            raise ValueError(f"matmul={self.matmul!r} must be one of {', '.join(MATMULS)}")


@dataclass
class PPOState:
    """What an iteration depends on besides the weights: two optimizers, the random generator, and
    how many iterations have been made."""

    policy_optimizer: torch.optim.Optimizer
    value_optimizer: torch.optim.Optimizer
    generator: torch.Generator
    iteration: int = 0


def start(policy: Llama, values: Llama, config: PPOConfig, *, seed: int = 0) -> PPOState:
    """The state before the first iteration."""
    recipe = TrainConfig(steps=1, lr=config.lr)
    return PPOState(
        make_optimizer(policy, recipe),
        make_optimizer(values, TrainConfig(steps=1, lr=config.value_lr)),
        torch.Generator().manual_seed(seed),
    )


class Experience(NamedTuple):
    """A rollout, and for each of its tokens (B, T - 1) the old policy's log-probability, the old
    value, the whitened advantage and the return; 0 where the mask is False."""

    drawn: Rollout
    logp: torch.Tensor
    values: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor


def warm_up(
    values: Llama,
    drawn: Rollout,
    scores: torch.Tensor,
    config: PPOConfig,
    state: PPOState,
    *,
    epochs: int = 2,
) -> list[float]:
    """Teach the value model, before the policy moves, what answers like `drawn` are worth, scores
    (B,): with no KL yet, each token's return is the answer's score. The losses, one a mini-batch.

    PPO measures answers against what was expected. A value model that expects 0 of everything
    credits an answer for its prompt: all refusals look good if unkind prompts pay well.
    """
    fast, losses = in_fewer_passes(values, config.matmul), []
    returns = replace_unended(scores, drawn.ended, config.unended)[:, None] * drawn.mask
    for _ in range(epochs):
        order = torch.randperm(len(scores), generator=state.generator)
        for which in order.split(config.mini_batch_size):
            part = drawn.rows(which)
            with matmul(config.matmul):
                expected = fast(part.tokens)[:, :-1, 0]
                target = returns[which, : part.mask.shape[1]]
                loss = value_loss(expected, target, target, part.mask, float("inf"))
                descend(loss, values, state.value_optimizer, config.value_lr, config.max_grad_norm)
            losses.append(float(loss.detach()))
    return losses


def weigh(
    policy: Llama,
    values: Llama,
    reference: Llama,
    drawn: Rollout,
    scores: torch.Tensor,
    config: PPOConfig,
) -> tuple[Experience, dict[str, float]]:
    """What a rollout with its scores (B,) teaches, and its half of the record."""
    mask = drawn.mask
    logp = score(policy, drawn, config.temperature, way=config.matmul)
    ref_logp = score(reference, drawn, config.temperature, way=config.matmul)
    expected = in_fewer_passes(values, config.matmul)(drawn.tokens)[:, :-1, 0]  # (B, T - 1)
    scores = replace_unended(scores, drawn.ended, config.unended)
    rewards = token_rewards(scores, logp, ref_logp, mask, config.beta)
    advantages, returns = gae(rewards, expected, config.gamma, config.lam, mask)
    record = {
        "score": float(scores.mean()),
        "reward": float(masked_sum(rewards, mask, dim=1).mean()),
        "kl": float(masked_sum(k1(logp, ref_logp), mask, dim=1).mean()),
        "k2": float(masked_mean(k2(logp, ref_logp), mask)),
        "k3": float(masked_mean(k3(logp, ref_logp), mask)),
        "entropy": -float(masked_mean(logp, mask)),
        "explained_variance": float(explained_variance(expected, returns, mask)),
        "ended": float(drawn.ended.double().mean()),
        "length": float(mask.sum(1).double().mean()),
    }
    return Experience(drawn, logp, expected, whiten(advantages, mask), returns), record


def update(
    policy: Llama, values: Llama, batch: Experience, config: PPOConfig, state: PPOState
) -> dict[str, float]:
    """Train policy and value model in place, `config.epochs` times over the batch in mini-batches.
    Gives the means over all mini-batches: both losses, clip_fraction, approx_kl."""
    told: list[tuple[float, ...]] = []
    number = len(batch.logp)
    fast_values = in_fewer_passes(values, config.matmul)
    for _ in range(config.epochs):
        order = torch.randperm(number, generator=state.generator)
        for at in range(0, number, config.mini_batch_size):
            which = order[at : at + config.mini_batch_size]
            part = batch.drawn.rows(which)
            logp, old, advantages, returns = (
                x[which, : part.mask.shape[1]]
                for x in (batch.logp, batch.values, batch.advantages, batch.returns)
            )
            with matmul(config.matmul):
                new = score(policy, part, config.temperature, way=config.matmul)
                loss, clipped, drift = ppo_loss(new, logp, advantages, part.mask, config.clip)
                descend(loss, policy, state.policy_optimizer, config.lr, config.max_grad_norm)
                expected = fast_values(part.tokens)[:, :-1, 0]
                error = value_loss(expected, old, returns, part.mask, config.clip)
                descend(error, values, state.value_optimizer, config.value_lr, config.max_grad_norm)
            told.append(tuple(float(x.detach()) for x in (loss, error, clipped, drift)))
    means = [sum(column) / len(told) for column in zip(*told)]
    return dict(zip(("policy_loss", "value_loss", "clip_fraction", "approx_kl"), means))
