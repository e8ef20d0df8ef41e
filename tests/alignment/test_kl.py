"""The estimators of KL against the KL itself, summed over the whole vocabulary."""

import math

import pytest
import torch

from llamalab.alignment import best_of_n_kl, exact_kl, k1, k2, k3

g = torch.Generator().manual_seed(8)
NEW, REF = torch.randn(2, 4, 9, generator=g, dtype=torch.float64)
NEVER = float("-inf")


def expected(estimator, new, ref):
    """The mean over ALL tokens, each as often as the new policy draws it."""
    new, ref = new.log_softmax(-1), ref.log_softmax(-1)
    return (new.exp() * estimator(new, ref)).sum(-1)


def test_exact_kl_is_torchs():
    p, q = (torch.distributions.Categorical(logits=x) for x in (NEW, REF))
    want = torch.distributions.kl_divergence(p, q)
    torch.testing.assert_close(exact_kl(NEW, REF), want, rtol=0, atol=1e-12)
    assert (
        exact_kl(NEW, REF) - exact_kl(REF, NEW)
    ).abs().max() > 0.1  # a direction has been chosen


@pytest.mark.parametrize("estimator", [k1, k3])
def test_k1_and_k3_are_unbiased(estimator):
    got = expected(estimator, NEW, REF)
    torch.testing.assert_close(got, exact_kl(NEW, REF), rtol=0, atol=1e-12)


def test_k2_is_biased_and_right_for_small_steps():
    assert (expected(k2, NEW, REF) - exact_kl(NEW, REF)).abs().max() > 0.05
    near = NEW + 0.01 * REF
    small = exact_kl(near, NEW)
    torch.testing.assert_close(expected(k2, near, NEW), small, rtol=0.03, atol=0)


def test_k2_and_k3_are_never_negative_and_k1_is():
    new, ref = NEW.log_softmax(-1), REF.log_softmax(-1)
    assert (k1(new, ref) < 0).any()
    assert (k2(new, ref) >= 0).all() and (k3(new, ref) >= 0).all()
    for estimator in (k1, k2, k3):
        assert (estimator(new, new) == 0).all()


def test_the_mean_gradient_of_k1_is_0_and_of_k2_the_kls():
    """Why k1 is a penalty in the reward and no loss. Tokens as drawn, counted as drawn."""
    counts = NEW.softmax(-1)
    true = NEW.clone().requires_grad_()
    exact_kl(true, REF).sum().backward()
    for estimator, want in ((k1, torch.zeros_like(NEW)), (k2, true.grad)):
        new = NEW.clone().requires_grad_()
        (counts * estimator(new.log_softmax(-1), REF.log_softmax(-1))).sum().backward()
        torch.testing.assert_close(new.grad, want, rtol=0, atol=1e-12)


def test_by_hand():
    """A token twice as likely as before: l = -ln 2."""
    new, ref = torch.tensor([math.log(0.5)]), torch.tensor([math.log(0.25)])
    assert k1(new, ref).item() == pytest.approx(math.log(2))
    assert k2(new, ref).item() == pytest.approx(math.log(2) ** 2 / 2)
    assert k3(new, ref).item() == pytest.approx(0.5 - 1 + math.log(2))


def test_k3_keeps_the_digits_of_small_steps():
    new = torch.tensor([-1.0])
    assert k3(new, new + 2**-12).item() == pytest.approx(2**-25, rel=1e-3)


@pytest.mark.parametrize("gap", [1e4, -1e4])
def test_far_apart_is_finite(gap):
    for estimator in (k1, k2, k3):
        new = torch.tensor([0.0, -1e4], requires_grad=True)
        got = estimator(new, new.detach() + gap)
        got.sum().backward()
        assert got.isfinite().all() and new.grad.isfinite().all()


def test_tokens_that_cannot_come():
    new, ref = torch.tensor([0.0, 1.0, NEVER]), torch.tensor([0.5, 0.5, 0.5])
    assert exact_kl(new, ref).isfinite()
    assert exact_kl(new, torch.tensor([0.0, 0.5, NEVER])).isfinite()
    assert exact_kl(ref, new) == math.inf


def test_shapes_are_refused():
    for function in (k1, k2, k3, exact_kl):
        with pytest.raises(ValueError, match="one shape"):
            function(NEW, REF[:, :1])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_best_of_n_by_enumeration(n):
    """V equally likely answers, ranked; every draw of n counted, and the limit of large V taken
    from outside: P(best = k-th of V) = (k^n - (k-1)^n) / V^n."""
    V = 3000
    k = torch.arange(1, V + 1, dtype=torch.float64)
    p = (k / V) ** n - ((k - 1) / V) ** n
    assert best_of_n_kl(n) == pytest.approx((p * (p * V).log()).sum().item(), abs=2e-3)


def test_best_of_1_is_no_step_and_of_0_is_refused():
    assert best_of_n_kl(1) == 0
    assert best_of_n_kl(4) == pytest.approx(0.636294, abs=1e-6)
    with pytest.raises(ValueError, match="n=0"):
        best_of_n_kl(0)
