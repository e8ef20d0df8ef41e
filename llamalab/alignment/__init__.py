"""Alignment: reward models, PPO, DPO, and how far a policy has moved from its reference."""

from llamalab.alignment.calibration import (
    Calibration,
    accuracy,
    accuracy_by_strength,
    best_accuracy,
    calibration,
    flip_probability,
)
from llamalab.alignment.dpo import dpo_loss, implicit_reward
from llamalab.alignment.grpo import group_advantages, grpo_loss
from llamalab.alignment.kl import best_of_n_kl, exact_kl, k1, k2, k3
from llamalab.alignment.logprobs import entropy, sequence_log_prob, token_log_probs
from llamalab.alignment.masks import masked_mean, masked_sum
from llamalab.alignment.ppo import (
    PolicyLoss,
    explained_variance,
    gae,
    ppo_loss,
    replace_unended,
    token_rewards,
    value_loss,
)
from llamalab.alignment.rewards import (
    MARGINS,
    STRENGTHS,
    combined_reward,
    reward_loss,
    whiten,
)

__all__ = [
    "MARGINS",
    "STRENGTHS",
    "Calibration",
    "PolicyLoss",
    "accuracy",
    "accuracy_by_strength",
    "best_accuracy",
    "best_of_n_kl",
    "calibration",
    "combined_reward",
    "dpo_loss",
    "entropy",
    "exact_kl",
    "explained_variance",
    "flip_probability",
    "gae",
    "group_advantages",
    "grpo_loss",
    "implicit_reward",
    "k1",
    "k2",
    "k3",
    "masked_mean",
    "masked_sum",
    "ppo_loss",
    "replace_unended",
    "reward_loss",
    "sequence_log_prob",
    "token_log_probs",
    "token_rewards",
    "value_loss",
    "whiten",
]
