"""Inputs for the comparison with TRL: the same here and where TRL runs (tools/golden_trl.py)."""

import torch

SIZES = {0: (3, 7), 1: (1, 5), 2: (4, 1), 3: (5, 6)}  # seed: (B, T)
V = 11
GAMMA, LAM, BETA, CLIP, CLIP_VALUE = 0.97, 0.9, 0.07, 0.2, 0.15


def answers(seed: int) -> dict[str, torch.Tensor]:
    """What PPO sees of a batch of answers: (B,) or (B, T), in float64. They begin at the left, and
    behind their ends there are numbers too, which must not count."""
    B, T = SIZES[seed]
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=g, dtype=torch.float64)

    length = torch.randint(1, T + 1, (B, 1), generator=g)
    length[0] = T if seed == 3 else length[0]
    old, values = -2 * draw(B, T).abs(), draw(B, T)
    return {
        "score": draw(B),
        "logp_old": old,
        "ref_logp": old + 0.3 * draw(B, T),
        "logp_new": old + 0.3 * draw(B, T),
        "rewards": draw(B, T),
        "values": values,
        "new_values": values + 0.4 * draw(B, T),
        "advantages": draw(B, T),
        "logits": 2 * draw(B, T, V),
        "ref_logits": 2 * draw(B, T, V),
        "tokens": torch.randint(V, (B, T), generator=g),
        "mask": torch.arange(T) < length,
    }


def pairs(seed: int) -> dict[str, torch.Tensor]:
    """What reward model and DPO see of B pairs, each (B,), in float64."""
    B, _ = SIZES[seed]
    g = torch.Generator().manual_seed(100 + seed)
    names = ("chosen", "rejected", "reference_chosen", "reference_rejected")
    made = {n: 3 * torch.randn(B, generator=g, dtype=torch.float64) for n in names}
    made["margin"] = torch.randint(4, (B,), generator=g).double() / 3
    return made
