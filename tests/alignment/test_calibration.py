"""Accuracy and its ceiling: by hand, and against drawn labels."""

import pytest
import torch

from llamalab.alignment import (
    accuracy,
    accuracy_by_strength,
    best_accuracy,
    calibration,
    flip_probability,
)

CHOSEN = torch.tensor([2.0, 1.0, 0.0, 5.0, 3.0])
REJECTED = torch.tensor([1.0, 2.0, 0.0, 4.0, 0.0])
STRENGTH = torch.tensor([3, 0, 0, 3, 1])


def test_accuracy_by_hand():
    assert accuracy(CHOSEN, REJECTED).item() == pytest.approx(3.5 / 5)
    assert accuracy(CHOSEN[:1].bfloat16(), REJECTED[:1].bfloat16()).item() == 1
    assert accuracy_by_strength(CHOSEN, REJECTED, STRENGTH) == {0: (0.25, 2), 1: (1, 1), 3: (1, 2)}


def test_the_ceiling_by_hand():
    assert best_accuracy(torch.tensor([0.0, 0.0])).item() == 1
    assert best_accuracy(torch.tensor([0.1, 0.3, 0.5])).item() == pytest.approx(
        (0.9 + 0.7 + 0.5) / 3
    )
    assert best_accuracy(torch.tensor([1.0])).item() == 1  # a label that is always wrong says all
    assert flip_probability(torch.tensor([0.0, 1e4, -1e4])).tolist() == [0.5, 0, 0]


def test_the_ceiling_is_what_the_truth_itself_scores():
    """Labels drawn by Bradley and Terry's rule; nobody knows better than the true scores."""
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 40_000, generator=g)
    first = torch.rand(40_000, generator=g) < torch.sigmoid(a - b)
    chosen, rejected = torch.where(first, a, b), torch.where(first, b, a)
    seen = accuracy(chosen, rejected).item()
    assert best_accuracy(flip_probability(a - b)).item() == pytest.approx(seen, abs=0.01)
    result = calibration(chosen, rejected)
    assert result.error < 0.02
    assert calibration(3 * chosen, 3 * rejected).error > 0.1  # three times too sure
    assert 1 - flip_probability(a - b).mean().item() == pytest.approx(seen, abs=0.01)


def test_calibration_by_hand():
    """Two bins: differences of 0 and 1 are below 0.75 sure, of 3 above. In the first are three
    pairs that came out as the model says, one that did not, and a tie."""
    chosen = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 3.0])
    rejected = torch.tensor([0.0, 0.0, 0.0, 1.0, 0.0, 0.0])
    got = calibration(chosen, rejected, bins=2)
    one, three = torch.sigmoid(torch.tensor([1.0, 3.0])).tolist()
    assert got.count.tolist() == [5, 1]
    assert got.confidence.tolist() == pytest.approx([(4 * one + 0.5) / 5, three])
    assert got.accuracy.tolist() == pytest.approx([3.5 / 5, 1])
    gaps = (abs((4 * one + 0.5) / 5 - 0.7), 1 - three)
    assert got.error == pytest.approx((5 * gaps[0] + gaps[1]) / 6)


def test_empty_bins_are_left_out_and_1_is_in_the_last():
    got = calibration(torch.tensor([1e4, 1e4]), torch.tensor([-1e4, -1e4]), bins=7)
    assert got.count.tolist() == [2] and got.confidence.tolist() == [1] and got.error == 0
    assert calibration(CHOSEN, REJECTED, bins=1).count.tolist() == [5]


def test_the_order_of_pairs_does_not_matter():
    order = torch.tensor([4, 2, 0, 1, 3])
    once, again = calibration(CHOSEN, REJECTED), calibration(CHOSEN[order], REJECTED[order])
    assert once.error == pytest.approx(again.error)


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="0 pairs"):
        accuracy(CHOSEN[:0], REJECTED[:0])
    with pytest.raises(ValueError, match="one shape"):
        accuracy_by_strength(CHOSEN, REJECTED, STRENGTH[:2])
    with pytest.raises(ValueError, match="bins=0"):
        calibration(CHOSEN, REJECTED, bins=0)
    for bad in (torch.tensor([1.5]), torch.tensor([-0.1]), torch.tensor([])):
        with pytest.raises(ValueError, match="between 0 and 1"):
            best_accuracy(bad)
