"""GRPO: groups against numpy, the loss at its start, padding."""

import math

import numpy as np
import pytest
import torch

from llamalab.alignment import group_advantages, grpo_loss
from tests.alignment import cases

g = torch.Generator().manual_seed(2)
REWARDS = torch.randn(3, 4, generator=g, dtype=torch.float64)


def test_groups_are_numpys():
    r = REWARDS.numpy()
    want = (r - r.mean(1, keepdims=True)) / (r.std(1, ddof=1, keepdims=True) + 1e-4)
    np.testing.assert_allclose(group_advantages(REWARDS).numpy(), want, rtol=0, atol=1e-12)


def test_a_group_knows_nothing_of_the_others():
    other = REWARDS.clone()
    other[1:] *= 100
    assert torch.equal(group_advantages(other)[0], group_advantages(REWARDS)[0])
    torch.testing.assert_close(group_advantages(REWARDS).mean(1), torch.zeros(3).double())


def test_where_all_are_alike_there_is_nothing_to_learn():
    assert (group_advantages(torch.full((2, 3), 1e4)) == 0).all()
    assert group_advantages(torch.tensor([[1e4, -1e4]])).isfinite().all()


def test_a_group_of_one_is_refused():
    for bad in (torch.zeros(3, 1), torch.zeros(3)):
        with pytest.raises(ValueError, match="at least 2"):
            group_advantages(bad)


def call(given, **changed):
    names = ("logp_new", "logp_old", "ref_logp", "score", "mask")
    return grpo_loss(*(changed.get(n, given[n]) for n in names), beta=0.07)


@pytest.fixture(params=sorted(cases.SIZES))
def given(request):
    return cases.answers(request.param)


def test_at_first_it_is_less_the_mean_advantage(given):
    old = given["logp_old"]
    got = call(given, logp_new=old, ref_logp=old)
    torch.testing.assert_close(got, -given["score"].mean(), rtol=0, atol=1e-12)


def test_the_kl_is_a_price_in_the_loss():
    """A token half as likely as under the reference: l = ln 2, k3 = 2 - 1 - ln 2."""
    new, ref = torch.tensor([[math.log(0.25)]]), torch.tensor([[math.log(0.5)]])
    got = grpo_loss(new, new, ref, torch.tensor([3.0]), torch.ones(1, 1), beta=0.5)
    assert got.item() == pytest.approx(-3 + 0.5 * (1 - math.log(2)))


def test_padding_changes_nothing(given):
    mask, found = given["mask"], []
    for fill in (None, float("nan"), float("inf")):

        def change(x, fill=fill):
            return x if fill is None else x.masked_fill(~mask, fill)

        new = change(given["logp_new"]).clone().requires_grad_()
        loss = call(
            given, logp_new=new, logp_old=change(given["logp_old"]),
            ref_logp=change(given["ref_logp"]),
        )  # fmt: skip
        loss.backward()
        found.append((loss, new.grad))
    for loss, grad in found[1:]:
        assert torch.equal(loss, found[0][0]) and torch.equal(grad, found[0][1])


def test_every_answer_counts_alike_however_long():
    """One token or four: with the same advantage the gradients of the two answers add up alike."""
    new = torch.zeros(2, 4, requires_grad=True)
    mask = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1]])
    grpo_loss(new, torch.zeros(2, 4), torch.zeros(2, 4), torch.ones(2), mask, 0.0).backward()
    assert new.grad.sum(1).tolist() == [-0.5, -0.5]


def test_only_the_new_policy_learns(given):
    floats = {n: given[n].clone().requires_grad_() for n in ("logp_old", "ref_logp", "score")}
    new = given["logp_new"].requires_grad_()
    call(given, **floats).backward()
    assert new.grad.abs().sum() > 0
    assert all(x.grad is None for x in floats.values())


def test_shapes_are_refused(given):
    B = len(given["score"])
    with pytest.raises(ValueError, match="one shape"):
        call(given, ref_logp=given["ref_logp"][:, :0])
    with pytest.raises(ValueError, match="answers have one"):
        call(given, score=torch.zeros(B, 1))
    with pytest.raises(ValueError, match="counts none"):
        call(given, mask=torch.zeros_like(given["mask"]))
