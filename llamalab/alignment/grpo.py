"""GRPO, for comparison: no value model; an answer is measured against others to its prompt.

    A_i = (r_i - mean of the group) / (deviation of the group + 1e-4), the same for all its tokens
    loss = mean over answers of the mean over tokens of [-min(rho A, clip(rho) A) + beta k3]

The KL stands in the loss, by k3, not in the reward. Where all answers of a group are scored alike
there is nothing to learn from it.
Source: Shao et al. 2024 (DeepSeekMath). Llama 2 does not use it.
"""

import torch

from llamalab.alignment.kl import k3
from llamalab.alignment.masks import check_shapes, counted, masked_mean, wide
from llamalab.alignment.ppo import ratio


def group_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """rewards (P, G), G answers to each of P prompts -> (P, G), a mean of 0 in each group. The
    deviation is the unbiased one. ValueError if G is below 2: one answer has no other to beat."""
    if rewards.ndim != 2 or rewards.shape[1] < 2:
        raise ValueError(f"rewards are {tuple(rewards.shape)}; (P, G), G at least 2, is asked for")
    rewards = wide(rewards)
    above = rewards - rewards.mean(1, keepdim=True)
    return above / (rewards.std(1, keepdim=True) + 1e-4)


def grpo_loss(
    logp_new: torch.Tensor,
    logp_old: torch.Tensor,
    ref_logp: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    beta: float,
    clip: float = 0.2,
) -> torch.Tensor:
    """Log-probabilities and mask (B, T), advantages (B,) -> a scalar. No gradient goes into
    anything but logp_new. ValueError for other shapes, and for an answer without a token."""
    check_shapes(logp_new=logp_new, logp_old=logp_old, ref_logp=ref_logp, mask=mask)
    if advantages.shape != mask.shape[:1]:
        raise ValueError(f"advantages are {tuple(advantages.shape)}; {len(mask)} answers have one")
    mask = counted(logp_new, mask)
    new = logp_new.where(mask, 0)
    old, ref = (x.detach().where(mask, 0) for x in (logp_old, ref_logp))
    rho, advantage = ratio(new, old), wide(advantages.detach())[:, None]
    gain = torch.minimum(rho * advantage, rho.clamp(1 - clip, 1 + clip) * advantage)
    return masked_mean(beta * k3(new, ref) - gain, mask, dim=1).mean()
