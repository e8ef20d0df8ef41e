"""How good is a reward model, and how good could it be?

People disagree. If a pair's label goes against the truth with probability f, then even one who
knows the truth agrees with the labels in 1 - f of the cases: the ceiling is not 100 %. Under
Bradley and Terry's model f = sigma(-|gap|), so the ceiling is low where answers are close. And a
score is calibrated if of the pairs that it is 80 % sure of, 80 % come out as it says.
The paper's reward models agree with 63 and 65 % of the labels of their own test sets (table 7).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from llamalab.alignment.masks import check_shapes, wide


def accuracy(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """Scores (N,) each -> the share of pairs in which the chosen answer has the higher one. A tie
    is half right, as a coin would be. ValueError for other shapes and for no pairs."""
    return _right(chosen, rejected).mean()


def accuracy_by_strength(
    chosen: torch.Tensor, rejected: torch.Tensor, strength: torch.Tensor
) -> Mapping[int, tuple[float, int]]:
    """Scores and strengths (N,) -> {strength: (accuracy, number of pairs)}, for the strengths that
    occur. ValueError for other shapes and for no pairs."""
    right = _right(chosen, rejected)
    check_shapes(chosen=chosen, strength=strength)
    groups = {level: right[strength == level] for level in strength.unique().tolist()}
    return {level: (group.mean().item(), len(group)) for level, group in groups.items()}


def flip_probability(gap: torch.Tensor) -> torch.Tensor:
    """True score of one answer less that of the other (N,) -> how often a Bradley-Terry annotator
    prefers the worse one, from 0 to a half."""
    return torch.sigmoid(-wide(gap).abs())


def best_accuracy(flip: torch.Tensor) -> torch.Tensor:
    """The probability, pair by pair (N,), that its label goes against the truth -> the highest
    accuracy that any model can be expected to have on such labels: the mean of max(f, 1 - f). A
    label that is more often wrong than right can be learned too, inverted. ValueError for
    numbers that are not probabilities, and for no pairs."""
    if not flip.numel() or not ((flip >= 0) & (flip <= 1)).all():
        raise ValueError(f"{flip.numel()} probabilities: some are asked for, between 0 and 1")
    flip = wide(flip)
    return torch.maximum(flip, 1 - flip).mean()


@dataclass(frozen=True)
class Calibration:
    """A number a bin, for the bins that hold pairs: how sure the model was, how often it was right,
    of how many pairs. error: the expected calibration error, the mean gap weighed by pairs."""

    confidence: torch.Tensor
    accuracy: torch.Tensor
    count: torch.Tensor
    error: float


def calibration(chosen: torch.Tensor, rejected: torch.Tensor, bins: int = 10) -> Calibration:
    """Scores (N,) each -> how sure against how often right, in equal bins from a half to 1.

    Which answer was chosen is the label, so sigma(r_chosen - r_rejected) has always come true. What
    can be compared is the answer that the MODEL prefers: it is sigma(|difference|) sure of it.
    ValueError for other shapes, no pairs, and less than one bin.
    """
    if bins < 1:
        raise ValueError(f"bins={bins} must be at least 1")
    right = _right(chosen, rejected)
    sure = torch.sigmoid((wide(chosen) - wide(rejected)).abs())  # (N,), from a half to 1
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)  # 1 itself is in the last bin
    count = place.new_zeros(bins).index_add(0, place, torch.ones_like(place))
    filled = count > 0

    def mean(values: torch.Tensor) -> torch.Tensor:
        sums = values.new_zeros(bins).index_add(0, place, values)
        return (sums / count.clamp(min=1))[filled]

    confidence, share, count = mean(sure), mean(right), count[filled]
    error = ((confidence - share).abs() * count).sum() / len(right)
    return Calibration(confidence, share, count, error.item())


def _right(chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """1, 0, and a half for a tie."""
    check_shapes(chosen=chosen, rejected=rejected)
    if not chosen.numel():
        raise ValueError("0 pairs: there is nothing to average")
    gap = wide(chosen) - wide(rejected)
    return (gap.sign() + 1) / 2
