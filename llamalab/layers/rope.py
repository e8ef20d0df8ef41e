"""RoPE: the position of a token as an angle by which its query and its key are turned.

The numbers of a head are taken in pairs, and pair i at position t is turned by t * theta^(-2i/D):

    (a, b)  ->  (a cos - b sin,  a sin + b cos)

A score, the dot product of a turned query with a turned key, then depends on the distance between
the two positions alone. Pairs are NEIGHBOURS, (0, 1), (2, 3) and so on: Meta's layout, in which
Llama 2's weights were published. Hugging Face's files pair i with i + D/2 and have the rows of wq
and wk in another order to make up for it (`llamalab.formats.names` converts).

A model stretched over a longer context (`rope_scaling_factor`) turns position t by the angles of
t / factor: the positions are squeezed into those that it was trained on.

The angles are products of float32 numbers, as in Meta's code and in transformers: late positions
inherit their rounding (an angle of 4,000 is known to 0.0002), so it is part of the definition.
Source: Meta's model.py.
"""

import torch

from llamalab.config import LlamaConfig


class RopeTable:
    """A model's table of angles: float32 whatever the weights are, since bfloat16 has too few
    digits for an angle, and on the device that last asked. No part of a checkpoint."""

    def __init__(self, config: LlamaConfig):
        size, factor = config.max_seq_len, config.rope_scaling_factor
        self.cos, self.sin = rope_table(config.head_dim, size, config.rope_theta, factor=factor)

    def at(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """positions (T,) or (B, T) -> their cosines and sines, (T, D/2) or (B, T, D/2) each."""
        if self.cos.device != positions.device:
            self.cos, self.sin = self.cos.to(positions.device), self.sin.to(positions.device)
        return self.cos[positions], self.sin[positions]


def rope_table(
    head_dim: int, max_seq_len: int, theta: float = 10000.0, *, factor: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines for positions 0 .. max_seq_len - 1, each divided by `factor`: two float32
    (max_seq_len, D/2). ValueError for an odd head_dim, and for sizes that are not positive."""
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim={head_dim} must be even and at least 2: RoPE turns pairs")
    if max_seq_len < 1 or not (theta > 0 and factor > 0):
        sizes = f"max_seq_len={max_seq_len}, theta={theta} and factor={factor}"
        raise ValueError(f"{sizes} must be positive")
    even = torch.arange(0, head_dim, 2, dtype=torch.float32, device="cpu")  # 2i
    frequencies = 1.0 / theta ** (even / head_dim)  # (D/2,), in radians a position
    frequencies = frequencies / factor  # as transformers does it, to the bit
    positions = torch.arange(max_seq_len, dtype=torch.float32, device="cpu")
    angles = torch.outer(positions, frequencies)  # (max_seq_len, D/2)
    return angles.cos(), angles.sin()


def apply_rope(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn queries or keys, x (B, T, H, D) -> (B, T, H, D) in x's dtype.

    cos, sin: the table's rows for these T positions, (T, D/2); or (B, T, D/2) where each row of
    the batch has positions of its own. The arithmetic runs in float32 (float64 for float64).
    ValueError if the shapes do not go together.
    """
    if x.ndim != 4 or cos.shape != sin.shape or cos.shape[-2:] != (x.shape[1], x.shape[3] // 2):
        raise ValueError(
            f"x has shape {tuple(x.shape)}, so cos and sin must be "
            f"(T, D/2) = ({x.shape[1]}, {x.shape[-1] // 2}), alone or for each row of the batch; "
            f"they are {tuple(cos.shape)} and {tuple(sin.shape)}"
        )
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)  # ([B,] T, 1, D/2): the same for all heads
    wide = x if x.dtype == torch.float64 else x.float()
    a, b = wide[..., 0::2], wide[..., 1::2]  # (B, T, H, D/2) each: neighbours
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)  # (B, T, H, D/2, 2)
    return turned.flatten(-2).type_as(x)
