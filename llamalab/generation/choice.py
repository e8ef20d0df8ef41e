"""How the next token is chosen from its logits: greedily or at random, repeats penalized or not."""

import math
from dataclasses import dataclass

import torch

from llamalab import sampling


@dataclass(frozen=True, kw_only=True)
class Choice:
    """choice(logits (B, V), seen (B, N)) -> ids (B,). ValueError at once for wrong options."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    generator: torch.Generator | None = None

    def __post_init__(self):
        sampling.check_options(self.temperature, self.top_k, self.top_p)
        sampling.check_penalty(self.repetition_penalty)

    def __call__(self, logits: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        if self.repetition_penalty != 1:
            logits = sampling.penalize_repeats(logits, seen, self.repetition_penalty)
        if self.temperature == 0:
            largest, ids = logits.max(-1)
            if all(map(math.isfinite, largest.tolist())):
                return ids  # the shortest way, for speed
        return sampling.draw(self.probabilities(logits), self.generator)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """What is drawn from: (..., V) -> (..., V)."""
        return sampling.probabilities(
            logits, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p
        )
