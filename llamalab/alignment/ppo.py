"""PPO for a model that writes: a token is a move, an answer is a game.

    reward    r_t = -beta (ln new - ln ref) at every token, + the score at the last one
    surprise  d_t = r_t + gamma V_{t+1} - V_t
    advantage A_t = d_t + gamma lam A_{t+1}                        (GAE)
    policy    -mean of min(rho A, clip(rho, 1 - c, 1 + c) A),  rho = exp(ln new - ln old)
    value     half the mean of max((V - R)^2, (V_clipped - R)^2),  R = A + V_old

All of shape (B, T): T places for an answer, which begins at the left; after its last token the mask
is False, and what stands there changes nothing. The last token is EOS if the answer ended, and the
score stands ON it. Only the newest log-probabilities and values are learned: the other arguments
are constants, and no gradient goes into them.
Source: the Llama 2 paper, section 3.2.3 (beta 0.01 or 0.005, clip 0.2; gamma, lam and the value's
loss are not given); Schulman et al. 2017; "The N Implementation Details of RLHF with PPO".
"""

from typing import NamedTuple

import torch

from llamalab.alignment.kl import LARGEST, k1, k3
from llamalab.alignment.masks import check_shapes, counted, masked_mean, wide


def replace_unended(score: torch.Tensor, ended: torch.Tensor, value: float = -1.0) -> torch.Tensor:
    """score (B,), ended (B,): whether the answer came to its EOS -> (B,), with `value` in the place
    of the score of each that did not. Without it the policy learns never to stop. ValueError for
    two shapes."""
    check_shapes(score=score, ended=ended)
    return torch.where(ended != 0, score, value)


def token_rewards(
    score: torch.Tensor,
    logp: torch.Tensor,
    ref_logp: torch.Tensor,
    mask: torch.Tensor,
    beta: float,
) -> torch.Tensor:
    """score (B,); log-probabilities of policy and reference, and mask, (B, T) -> rewards (B, T):
    the KL's price on every token, the score once, on the last. ValueError for other shapes, and
    for an answer without a token."""
    penalty = -beta * k1(logp, ref_logp).where(counted(logp, mask), 0)  # (B, T)
    if score.shape != penalty.shape[:1]:
        raise ValueError(f"score is {tuple(score.shape)}; {len(penalty)} answers have one each")
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    last = places.where(mask != 0, -1).amax(1, keepdim=True)  # (B, 1)
    if (last < 0).any():
        raise ValueError(f"{int((last < 0).sum())} of {len(last)} answers have no token to score")
    return penalty + (places == last) * wide(score)[:, None]


def gae(
    rewards: torch.Tensor,
    values: torch.Tensor,
    gamma: float,
    lam: float,
    mask: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """rewards, values, mask (B, T) -> advantages and returns (B, T), 0 where the mask is.

    After the last token the game is over: its next value and next advantage are 0. lam = 0 trusts
    the values (the advantage is one step's surprise), lam = 1 the rewards (what came, less what
    was expected). ValueError for other shapes, and if the mask counts nothing.
    """
    check_shapes(rewards=rewards, values=values)
    if rewards.ndim != 2:
        raise ValueError(f"rewards are {tuple(rewards.shape)}; (B, T) is asked for")
    mask = counted(rewards, mask)
    rewards, values = wide(rewards).where(mask, 0), wide(values).where(mask, 0)
    following = torch.zeros_like(values[:, 0])  # (B,), V_{t+1}
    advantage = torch.zeros_like(following)  # (B,), A_{t+1}
    found = []
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following - values[:, t]
        advantage = surprise + gamma * lam * advantage
        following = values[:, t]
        found.append(advantage)
    advantages = torch.stack(found[::-1], dim=1).where(mask, 0)  # (B, T); a prompt may come first
    return advantages, advantages + values


class PolicyLoss(NamedTuple):
    """loss: to call backward() on. clip_fraction: the share of tokens that no longer teach, because
    their ratio has gone far enough. approx_kl: from the old policy to the new, by k3, in nats."""

    loss: torch.Tensor
    clip_fraction: torch.Tensor
    approx_kl: torch.Tensor


def ppo_loss(
    logp_new: torch.Tensor,
    logp_old: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
    clip: float = 0.2,
) -> PolicyLoss:
    """All of (B, T) -> three scalars, means over the counted tokens of the batch. ValueError for
    other shapes, and if the mask counts nothing."""
    check_shapes(logp_new=logp_new, logp_old=logp_old, advantages=advantages, mask=mask)
    mask, old = counted(logp_new, mask), logp_old.detach()
    rho = ratio(logp_new.where(mask, 0), old.where(mask, 0))  # (B, T)
    advantages = wide(advantages.detach())
    free, held = rho * advantages, rho.clamp(1 - clip, 1 + clip) * advantages
    with torch.no_grad():
        clipped = masked_mean((held < free).float(), mask)
        drift = masked_mean(k3(old.where(mask, 0), logp_new.where(mask, 0)), mask)
    return PolicyLoss(-masked_mean(torch.minimum(free, held), mask), clipped, drift)


def ratio(logp_new: torch.Tensor, logp_old: torch.Tensor) -> torch.Tensor:
    """new / old (...), by way of the logarithms; e^20 at most, since inf has no gradient."""
    return (wide(logp_new) - wide(logp_old)).clamp(max=LARGEST).exp()


def value_loss(
    values: torch.Tensor,
    old_values: torch.Tensor,
    returns: torch.Tensor,
    mask: torch.Tensor,
    clip: float = 0.2,
) -> torch.Tensor:
    """All of (B, T) -> a scalar: half the squared error, where a value that moves further than
    `clip` from its old one gains nothing by it. The LARGER error counts. ValueError for other
    shapes, and if the mask counts nothing."""
    check_shapes(values=values, old_values=old_values, returns=returns, mask=mask)
    mask = counted(values, mask)
    values = wide(values).where(mask, 0)
    old, target = (wide(x.detach()).where(mask, 0) for x in (old_values, returns))
    held = old + (values - old).clamp(-clip, clip)
    return masked_mean(torch.maximum((values - target) ** 2, (held - target) ** 2), mask) / 2


def explained_variance(
    values: torch.Tensor, returns: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """1 - Var(R - V) / Var(R) over the counted tokens, all (B, T): 1 for values that foresee
    everything, 0 for those that know the mean alone, below 0 for worse. 0 if all returns are equal:
    there is nothing to explain. ValueError for other shapes, and if the mask counts nothing."""
    check_shapes(values=values, returns=returns, mask=mask)

    def variance(x: torch.Tensor) -> torch.Tensor:
        return masked_mean((x - masked_mean(x, mask)) ** 2, mask)

    total, left = variance(returns), variance(returns - values)
    return torch.where(total > 0, 1 - left / total.where(total > 0, 1), 0.0)
