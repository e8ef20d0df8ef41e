"""DPO: preferences without a reward model and without drawing.

    loss = mean of -ln sigma(beta ((ln new - ln ref)(chosen) - (ln new - ln ref)(rejected)))

It is the reward model's loss with the policy itself as the reward model: beta (ln new - ln ref) is
the reward for which the policy would be the best answer to "much reward, little KL". Whole answers
are compared, so ln p is a SUM over their tokens (`sequence_log_prob`).
Source: Rafailov et al. 2023. Llama 2 does not use it; it stands here to be compared with PPO.
"""

import torch

from llamalab.alignment.masks import check_shapes, wide
from llamalab.alignment.rewards import reward_loss


def implicit_reward(policy: torch.Tensor, reference: torch.Tensor, beta: float) -> torch.Tensor:
    """Log-probabilities of whole answers (B,) under policy and reference -> rewards (B,).
    ValueError for two shapes."""
    check_shapes(policy=policy, reference=reference)
    return beta * (wide(policy) - wide(reference))


def dpo_loss(
    policy_chosen: torch.Tensor,
    policy_rejected: torch.Tensor,
    reference_chosen: torch.Tensor,
    reference_rejected: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    """Log-probabilities of whole answers, (B,) each -> a scalar: ln 2 at first, where policy and
    reference agree. ValueError for other shapes and for no pairs."""
    chosen = implicit_reward(policy_chosen, reference_chosen, beta)
    rejected = implicit_reward(policy_rejected, reference_rejected, beta)
    return reward_loss(chosen, rejected)
