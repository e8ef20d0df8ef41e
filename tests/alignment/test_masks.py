"""Padding reaches nothing: neither a value nor a gradient, whatever stands there."""

import pytest
import torch

from llamalab.alignment import masked_mean, masked_sum

X = torch.tensor([[1.0, 2.0, 6.0], [4.0, float("nan"), float("inf")]], dtype=torch.float64)
MASK = torch.tensor([[True, True, True], [True, False, False]])


def test_by_hand():
    assert masked_sum(X, MASK).item() == 13
    assert masked_mean(X, MASK).item() == 13 / 4
    assert masked_sum(X, MASK, dim=1).tolist() == [9, 4]
    assert masked_mean(X, MASK, dim=1).tolist() == [3, 4]
    assert masked_mean(X[:1], None).item() == 3


def test_numbers_do_for_a_mask():
    for kind in (torch.int64, torch.float32):
        assert masked_mean(X, MASK.to(kind)).item() == 13 / 4


def test_padding_has_a_gradient_of_0():
    x = X.clone().requires_grad_()
    masked_mean(x, MASK).backward()
    assert torch.equal(x.grad, MASK / 4)


def test_16_bits_are_summed_in_32():
    x = torch.ones(1, 3000, dtype=torch.bfloat16)  # in bfloat16 1 added to 256 is 256
    total = masked_sum(x, None)
    assert total.dtype == torch.float32 and total.item() == 3000


def test_a_mask_that_counts_nothing_is_refused():
    with pytest.raises(ValueError, match="none of the 6 tokens"):
        masked_mean(X, torch.zeros_like(MASK))
    with pytest.raises(ValueError, match="1 of 3 rows"):
        masked_mean(X.T, torch.tensor([[True, False], [True, True], [False, False]]), dim=1)


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\(2, 1\).*\(2, 3\)"):
        masked_mean(X, MASK[:, :1])
