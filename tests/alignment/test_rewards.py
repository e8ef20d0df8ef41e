"""The reward model's loss against torch's, the combined reward by hand, whitening by its mean."""

import math

import pytest
import torch
import torch.nn.functional as F

from llamalab.alignment import MARGINS, STRENGTHS, combined_reward, reward_loss, whiten

g = torch.Generator().manual_seed(5)
CHOSEN, REJECTED = torch.randn(2, 6, generator=g, dtype=torch.float64)
MARGIN = torch.tensor([0.0, 1 / 3, 2 / 3, 1.0, 0.0, 3.0], dtype=torch.float64)


@pytest.mark.parametrize("margin", [0.0, 1.5, MARGIN], ids=["none", "one", "each"])
def test_it_is_torchs_binary_cross_entropy(margin):
    """The chosen one is always the right one: a label of 1."""
    got = reward_loss(CHOSEN, REJECTED, margin)
    want = F.binary_cross_entropy_with_logits(CHOSEN - REJECTED - margin, torch.ones_like(CHOSEN))
    torch.testing.assert_close(got, want, rtol=0, atol=1e-12)


def test_by_hand():
    assert reward_loss(torch.zeros(3), torch.zeros(3)).item() == pytest.approx(math.log(2))
    three = torch.tensor([math.log(3)])  # odds of 3 to 1
    assert reward_loss(three, torch.zeros(1)).item() == pytest.approx(math.log(4 / 3))
    assert reward_loss(three, torch.zeros(1), math.log(3)).item() == pytest.approx(math.log(2))


def test_only_differences_count():
    want = reward_loss(CHOSEN, REJECTED, MARGIN)
    torch.testing.assert_close(reward_loss(CHOSEN + 7, REJECTED + 7, MARGIN), want)


def test_its_gradient_by_hand():
    """-sigma(-(c - r - m)) / B for the chosen, the opposite for the rejected."""
    chosen, rejected = CHOSEN.clone().requires_grad_(), REJECTED.clone().requires_grad_()
    reward_loss(chosen, rejected, MARGIN).backward()
    want = -torch.sigmoid(-(CHOSEN - REJECTED - MARGIN)) / 6
    torch.testing.assert_close(chosen.grad, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(rejected.grad, -want, rtol=0, atol=1e-12)


def test_scores_far_apart_stay_finite():
    chosen = torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = reward_loss(chosen, torch.tensor([1e4, -1e4]))
    loss.backward()
    assert loss.item() == 1e4
    assert chosen.grad.tolist() == [-0.5, 0]


def test_16_bits_are_widened():
    loss = reward_loss(CHOSEN.bfloat16(), REJECTED.bfloat16())
    assert loss.dtype == torch.float32


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"chosen \(6,\), rejected \(6, 1\)"):
        reward_loss(CHOSEN, REJECTED[:, None])
    with pytest.raises(ValueError, match=r"margin \(6, 1\)"):
        reward_loss(CHOSEN, REJECTED, MARGIN[:, None])
    with pytest.raises(ValueError, match="0 pairs"):
        reward_loss(CHOSEN[:0], REJECTED[:0])


def test_the_margins_are_table_27s():
    assert MARGINS["small"] == (0, 1 / 3, 2 / 3, 1)
    assert MARGINS["large"] == (0, 1, 2, 3)
    assert all(len(each) == len(STRENGTHS) for each in MARGINS.values())


def test_who_decides():
    """A safety prompt: safety. A score below 0.15: safety. Else helpfulness."""
    safety = torch.tensor([0.9, 0.9, 0.1, 0.15, 0.1499], dtype=torch.float64)
    helpful = torch.tensor([0.2, 0.2, 0.8, 0.8, 0.8], dtype=torch.float64)
    asked = torch.tensor([True, False, False, False, False])
    decides = torch.tensor([0.9, 0.2, 0.1, 0.8, 0.1499], dtype=torch.float64)
    want = (decides / (1 - decides)).log()
    torch.testing.assert_close(combined_reward(safety, helpful, asked), want)
    torch.testing.assert_close(combined_reward(safety, helpful, asked.long()), want)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_logit_undoes_the_sigmoid_and_is_finite_at_its_ends(kind):
    score = torch.tensor([-1e4, -3.0, 0.0, 2.0, 1e4])
    safe = torch.ones(5, dtype=kind)
    got = combined_reward(safe, torch.sigmoid(score).to(kind), torch.zeros(5, dtype=torch.bool))
    end = math.log(1e6 - 1)
    want = torch.tensor([-end, -3.0, 0.0, 2.0, end])
    torch.testing.assert_close(got.float(), want, rtol=2e-2, atol=1e-5)
    assert got.dtype == (torch.float64 if kind == torch.float64 else torch.float32)


def test_scores_before_the_sigmoid_are_refused():
    no = torch.zeros(2, dtype=torch.bool)
    with pytest.raises(ValueError, match="helpfulness goes from -1 to 2"):
        combined_reward(torch.tensor([0.5, 0.5]), torch.tensor([-1.0, 2.0]), no)
    with pytest.raises(ValueError, match="safety"):
        combined_reward(torch.tensor([0.5, float("nan")]), torch.tensor([0.5, 0.5]), no)
    with pytest.raises(ValueError, match="one shape"):
        combined_reward(torch.ones(2), torch.ones(2, 1), no)


X = 3 + 5 * torch.randn(4, 6, generator=g, dtype=torch.float64)
MASK = torch.arange(6) < torch.tensor([[6], [1], [4], [2]])


def test_a_whitened_mean_is_0_and_its_deviation_1():
    got = whiten(X, MASK)
    assert got[MASK].mean().item() == pytest.approx(0, abs=1e-12)
    assert got[MASK].std(correction=0).item() == pytest.approx(1, abs=1e-8)
    assert (got[~MASK] == 0).all()


def test_without_a_shift_the_mean_stays():
    got = whiten(X, MASK, shift_mean=False)
    assert got[MASK].mean().item() == pytest.approx(X[MASK].mean().item())
    assert got[MASK].std(correction=0).item() == pytest.approx(1, abs=1e-8)
    assert (got[~MASK] == 0).all()


def test_whitening_ignores_scale_and_shift():
    torch.testing.assert_close(whiten(-2 * X + 7, MASK), -whiten(X, MASK), rtol=0, atol=1e-8)


def test_padding_changes_nothing():
    wild = X.where(MASK, torch.tensor([float("nan"), float("inf"), 1e30]).double().repeat(2))
    grads = []
    for given in (X, wild):
        x = given.clone().requires_grad_()
        (whiten(x, MASK) * torch.arange(24).reshape(4, 6)).sum().backward()
        grads.append(x.grad)
    assert torch.equal(whiten(wild, MASK), whiten(X, MASK))
    assert torch.equal(*grads) and (grads[0][~MASK] == 0).all()


def test_a_batch_of_scores_needs_no_mask():
    assert whiten(torch.tensor([1.0, 3.0])).tolist() == pytest.approx([-1, 1])


def test_equal_numbers_become_0():
    assert whiten(torch.full((2, 3), 4.0), torch.ones(2, 3)).abs().max() == 0
    assert whiten(torch.tensor([[7.0]])).tolist() == [[0]]


def test_large_scores_stay_finite():
    got = whiten(torch.tensor([[1e4, -1e4, 1e4]]))
    assert got.isfinite().all() and got.mean().item() == pytest.approx(0, abs=1e-6)


def test_a_mask_of_zeros_is_refused():
    with pytest.raises(ValueError, match="none of the 24 tokens"):
        whiten(X, torch.zeros_like(MASK))
