"""How far the policy has gone from where it began: KL(new || ref), in nats.

    KL = sum over x of new(x) (ln new(x) - ln ref(x))

The sum runs over all texts, so it is estimated from texts drawn from the NEW policy. With
l = ln ref(x) - ln new(x), three estimators for each token drawn:

    k1 = -l              unbiased, often negative for a single token
    k2 = l^2 / 2         never negative, biased, right for small steps
    k3 = e^l - 1 - l     never negative AND unbiased

Unbiased is said of their values. The gradient of k1's mean is 0 on average: it is a penalty inside
the reward, where no gradient is taken, and no loss. Source: Schulman, "Approximating KL
Divergence", 2020. PPO's reward here uses k1, GRPO's loss k3.
"""

import math

import torch

from llamalab.alignment.masks import check_shapes, wide

LARGEST = 20.0  # log-ratios stop here, at e^20 = 485 million: a number, and no gradient


def k1(logp_new: torch.Tensor, logp_ref: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the tokens drawn (...), twice -> (...). ValueError for two shapes."""
    return -_log_ratio(logp_new, logp_ref)


def k2(logp_new: torch.Tensor, logp_ref: torch.Tensor) -> torch.Tensor:
    """As k1."""
    return _log_ratio(logp_new, logp_ref) ** 2 / 2


def k3(logp_new: torch.Tensor, logp_ref: torch.Tensor) -> torch.Tensor:
    """As k1. `expm1` keeps the digits of e^l - 1 where l is small."""
    ratio = _log_ratio(logp_new, logp_ref).clamp(max=LARGEST)
    return torch.expm1(ratio) - ratio


def exact_kl(logits_new: torch.Tensor, logits_ref: torch.Tensor) -> torch.Tensor:
    """logits (..., V), twice -> (...): KL(new || ref) of one token, summed over the vocabulary.
    A logit of -inf in the new policy adds nothing; in the reference alone it makes the sum inf.
    ValueError for two shapes."""
    check_shapes(logits_new=logits_new, logits_ref=logits_ref)
    new, ref = wide(logits_new).log_softmax(-1), wide(logits_ref).log_softmax(-1)
    never = new == float("-inf")
    gap = new.masked_fill(never, 0) - ref.masked_fill(never, 0)
    return (new.exp() * gap).sum(-1)


def best_of_n_kl(n: int) -> float:
    """ln n - (n - 1) / n: how far choosing the best of n answers goes from drawing one, whatever
    the reward (if no two answers tie). ValueError for n below 1."""
    if n < 1:
        raise ValueError(f"n={n}: the best of at least 1 answer can be chosen")
    return math.log(n) - (n - 1) / n


def _log_ratio(logp_new: torch.Tensor, logp_ref: torch.Tensor) -> torch.Tensor:
    check_shapes(logp_new=logp_new, logp_ref=logp_ref)
    return wide(logp_ref) - wide(logp_new)
