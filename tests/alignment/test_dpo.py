"""DPO against torch's cross-entropy and its gradient by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from llamalab.alignment import accuracy, dpo_loss, implicit_reward
from tests.alignment import cases

NAMES = ("chosen", "rejected", "reference_chosen", "reference_rejected")


@pytest.fixture(params=sorted(cases.SIZES))
def given(request):
    return [cases.pairs(request.param)[n] for n in NAMES]


def test_it_is_torchs_cross_entropy(given):
    """Of two classes, chosen and rejected, whose logits are the implicit rewards."""
    pc, pr, rc, rr = given
    logits = 0.3 * torch.stack((pc - rc, pr - rr), 1)
    want = F.cross_entropy(logits, torch.zeros(len(pc), dtype=torch.long))
    torch.testing.assert_close(dpo_loss(*given, 0.3), want, rtol=0, atol=1e-12)


def test_its_gradient_by_hand(given):
    """beta sigma(r_rejected - r_chosen) / B: each pair pulls by how wrong it is ordered."""
    pc, pr, rc, rr = given
    leaves = [x.clone().requires_grad_() for x in given]
    dpo_loss(*leaves, 0.3).backward()
    wrong = torch.sigmoid(0.3 * ((pr - rr) - (pc - rc)))
    pull = 0.3 * wrong / len(pc)
    for leaf, sign in zip(leaves, (-1, 1, 1, -1)):
        torch.testing.assert_close(leaf.grad, sign * pull, rtol=0, atol=1e-12)


def test_at_first_it_is_ln_2(given):
    pc, pr, *_ = given
    assert dpo_loss(pc, pr, pc, pr, 0.1).item() == pytest.approx(math.log(2))


def test_by_hand():
    """The policy doubled the chosen and halved the rejected: odds of 4 to 1 at beta 1, 2 at 1/2."""
    ln2 = math.log(2)
    args = [torch.tensor([x]) for x in (-1 + ln2, -2 - ln2, -1.0, -2.0)]
    assert dpo_loss(*args, 1.0).item() == pytest.approx(math.log(5 / 4))
    assert dpo_loss(*args, 0.5).item() == pytest.approx(math.log(3 / 2))
    rewards = [implicit_reward(args[i], args[i + 2], 0.5) for i in (0, 1)]
    assert rewards[0].item() == pytest.approx(ln2 / 2)
    assert accuracy(*rewards) == 1


def test_what_one_answer_gains_another_may_lose(given):
    """Only the difference counts: both may become less likely together, and often do."""
    pc, pr, rc, rr = given
    want = dpo_loss(*given, 0.3)
    torch.testing.assert_close(dpo_loss(pc - 4, pr - 4, rc, rr, 0.3), want)


def test_far_apart_is_finite():
    far = torch.tensor([-1e4, 0.0], requires_grad=True)
    loss = dpo_loss(far, torch.zeros(2), torch.zeros(2), torch.zeros(2), 1.0)
    loss.backward()
    assert loss.isfinite() and far.grad.isfinite().all()


def test_shapes_are_refused(given):
    pc, pr, rc, rr = given
    for bad in ((pc[:, None], pr, rc, rr), (pc, pr, rc[:, None], rr), (pc, pr, rc, rr[:0])):
        with pytest.raises(ValueError, match="one shape"):
            dpo_loss(*bad, 0.1)
    with pytest.raises(ValueError, match="0 pairs"):
        dpo_loss(*(x[:0] for x in given), 0.1)
