"""Gao's curves: what is put in comes out, and the peak is where the slope is 0."""

import math

import numpy as np
import pytest
import torch

from llamalab.alignment.over_optimisation import FORMS, fit, peak, true_reward

D = torch.linspace(0, 5, 11, dtype=torch.float64)


@pytest.mark.parametrize("form", FORMS)
def test_a_fit_finds_what_was_put_in(form):
    assert fit(D, true_reward(D, 1.3, 0.4, form), form) == pytest.approx((1.3, 0.4))


def test_best_of_n_is_numpys_parabola():
    g = torch.Generator().manual_seed(0)
    noisy = true_reward(D, 1.0, 0.2, "best of n") + torch.randn(11, generator=g).double()
    columns = np.stack([D.numpy(), -(D.numpy() ** 2)], 1)
    want = np.linalg.lstsq(columns, noisy.numpy(), rcond=None)[0]
    assert fit(D, noisy, "best of n") == pytest.approx(tuple(want))


def test_by_hand():
    d = torch.tensor([0.0, 1.0, math.e])
    assert true_reward(d, 3.0, 2.0, "rl").tolist() == pytest.approx([0, 3, math.e])
    assert true_reward(d, 3.0, 2.0, "best of n").tolist()[:2] == [0, 1]


@pytest.mark.parametrize("form", FORMS)
def test_at_the_peak_the_slope_is_0(form):
    top = torch.tensor([peak(1.3, 0.4, form)], dtype=torch.float64, requires_grad=True)
    true_reward(top, 1.3, 0.4, form).backward()
    assert top.grad.item() == pytest.approx(0, abs=1e-12)
    assert peak(1.3, 0.0, form) == math.inf


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="1 different distances"):
        fit(torch.tensor([0.0, 2.0, 2.0]), torch.zeros(3), "rl")
    with pytest.raises(ValueError, match="'sft'"):
        peak(1.0, 1.0, "sft")
    with pytest.raises(ValueError, match="one shape"):
        fit(D, D[:, None], "rl")
