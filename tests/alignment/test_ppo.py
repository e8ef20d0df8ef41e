"""PPO's parts: closed forms at the ends of lambda, gradients by hand, padding reaches nothing."""

import inspect
import math

import pytest
import torch

from llamalab.alignment import (
    explained_variance,
    gae,
    ppo_loss,
    replace_unended,
    token_rewards,
    value_loss,
)
from llamalab.alignment.ppo import ratio
from tests.alignment import cases

SEEDS = sorted(cases.SIZES)
JUNK = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -1e30])


@pytest.fixture(params=SEEDS)
def given(request):
    return cases.answers(request.param)


def spoiled(x, mask):
    """x with nan, infinities and large numbers where the mask is off."""
    return x.where(mask, JUNK.repeat(x.numel())[: x.numel()].reshape(x.shape).to(x.dtype))


# Rewards -----------------------------------------------------------------------------------------


def test_the_score_is_on_the_last_token_and_the_price_on_each():
    mask = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])
    logp = torch.tensor([[-1.0, -1.0, -2.0, -9.0], [-1.0, -9.0, -9.0, -9.0]])
    ref = torch.tensor([[-2.0, -1.0, -1.0, -1.0], [-3.0, -1.0, -1.0, -1.0]])
    got = token_rewards(torch.tensor([10.0, -5.0]), logp, ref, mask, beta=0.5)
    assert got.tolist() == [[-0.5, 0, 10.5, 0], [-6, 0, 0, 0]]


def test_all_rewards_of_an_answer_are_its_score_less_its_kl(given):
    args = (given["score"], given["logp_old"], given["ref_logp"], given["mask"])
    kl = ((given["logp_old"] - given["ref_logp"]) * given["mask"]).sum(1)
    got = token_rewards(*args, 0.3).sum(1)
    torch.testing.assert_close(got, given["score"] - 0.3 * kl, rtol=0, atol=1e-12)


def test_padding_is_paid_nothing(given):
    mask = given["mask"]
    want = token_rewards(given["score"], given["logp_old"], given["ref_logp"], mask, 0.1)
    old, ref = spoiled(given["logp_old"], mask), spoiled(given["ref_logp"], mask)
    assert torch.equal(token_rewards(given["score"], old, ref, mask, 0.1), want)
    assert (want[~mask] == 0).all()


def test_an_answer_without_an_end():
    score, ended = torch.tensor([3.0, 2.0]), torch.tensor([True, False])
    assert replace_unended(score, ended).tolist() == [3, -1]
    assert replace_unended(score, ended.long(), -4.0).tolist() == [3, -4]
    with pytest.raises(ValueError, match="one shape"):
        replace_unended(score, ended[:, None])


def test_an_answer_without_a_token_is_refused():
    mask = torch.tensor([[True, True], [False, False]])
    x = torch.zeros(2, 2)
    with pytest.raises(ValueError, match="1 of 2 answers have no token"):
        token_rewards(torch.zeros(2), x, x, mask, 0.1)
    with pytest.raises(ValueError, match="none of the 4"):
        token_rewards(torch.zeros(2), x, x, torch.zeros(2, 2), 0.1)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        token_rewards(torch.zeros(3), x, x, torch.ones(2, 2), 0.1)


# GAE ---------------------------------------------------------------------------------------------


def by_definition(rewards, values, gamma, lam, length):
    """A_t = sum over l of (gamma lam)^l d_{t+l}, each answer alone: no recursion."""
    out = torch.zeros_like(rewards)
    for b, n in enumerate(length):
        v = [*values[b, :n].tolist(), 0.0]
        d = [rewards[b, t].item() + gamma * v[t + 1] - v[t] for t in range(n)]
        for t in range(n):
            out[b, t] = sum((gamma * lam) ** (k - t) * d[k] for k in range(t, n))
    return out


@pytest.mark.parametrize(
    "gamma, lam", [(1.0, 0.95), (0.9, 0.5), (0.5, 1.0), (1.0, 0.0), (0.0, 1.0)]
)
def test_gae_is_its_definition(given, gamma, lam):
    rewards, values, mask = given["rewards"], given["values"], given["mask"]
    advantages, returns = gae(rewards, values, gamma, lam, mask)
    want = by_definition(rewards, values, gamma, lam, mask.sum(1).tolist())
    torch.testing.assert_close(advantages, want, rtol=0, atol=1e-12)
    torch.testing.assert_close(returns, want + values * mask, rtol=0, atol=1e-12)
    B, T = rewards.shape
    want = by_definition(rewards, values, gamma, lam, [T] * B)
    torch.testing.assert_close(gae(rewards, values, gamma, lam)[0], want, rtol=0, atol=1e-12)


def test_at_lambda_0_it_is_one_steps_surprise(given):
    r, v, mask = (given[n] for n in ("rewards", "values", "mask"))
    v = v * mask
    following = torch.cat((v[:, 1:], torch.zeros_like(v[:, :1])), 1)
    got = gae(r, given["values"], 0.9, 0.0, mask)[0]
    torch.testing.assert_close(got, (r + 0.9 * following - v) * mask, rtol=0, atol=1e-12)


def test_at_lambda_1_it_is_what_came_less_what_was_expected(given):
    r, v, mask = (given[n] for n in ("rewards", "values", "mask"))
    r = r * mask
    come = r.flip(1).cumsum(1).flip(1)  # gamma 1: all that is still to come
    advantages, returns = gae(r, v, 1.0, 1.0, mask)
    torch.testing.assert_close(advantages, (come - v) * mask, rtol=0, atol=1e-12)
    torch.testing.assert_close(returns, come * mask, rtol=0, atol=1e-12)


def test_padding_changes_nothing_in_gae(given):
    r, v, mask = (given[n] for n in ("rewards", "values", "mask"))
    want = gae(r, v, 0.9, 0.8, mask)
    got = gae(spoiled(r, mask), spoiled(v, mask), 0.9, 0.8, mask)
    assert torch.equal(got[0], want[0]) and torch.equal(got[1], want[1])
    assert (got[0][~mask] == 0).all() and (got[1][~mask] == 0).all()
    for b, n in enumerate(mask.sum(1).tolist()):  # and an answer alone is what it is in a batch
        alone = gae(r[b : b + 1, :n], v[b : b + 1, :n], 0.9, 0.8)
        torch.testing.assert_close(alone[0][0], want[0][b, :n])


def test_extremes_and_16_bits():
    r = torch.tensor([[1e4, -1e4, 1e4]])
    advantages, returns = gae(r, -r, 1.0, 0.95)
    assert advantages.isfinite().all() and returns.isfinite().all()
    assert gae(r.bfloat16(), r.bfloat16(), 1.0, 0.95)[0].dtype == torch.float32


def test_gae_refuses():
    with pytest.raises(ValueError, match="one shape"):
        gae(torch.zeros(2, 3), torch.zeros(2, 4), 1, 1)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        gae(torch.zeros(3), torch.zeros(3), 1, 1)
    with pytest.raises(ValueError, match="none of the 6"):
        gae(torch.zeros(2, 3), torch.zeros(2, 3), 1, 1, torch.zeros(2, 3))


# The policy's loss -------------------------------------------------------------------------------


def policy(given, **changed):
    names = ("logp_new", "logp_old", "advantages", "mask")
    return ppo_loss(*(changed.get(n, given[n]) for n in names), clip=0.2)


def test_at_first_the_ratio_is_1(given):
    old, mask = given["logp_old"], given["mask"]
    assert (ratio(old, old) == 1).all()
    got = policy(given, logp_new=old)
    assert got.clip_fraction == 0 and got.approx_kl == 0
    torch.testing.assert_close(got.loss, -given["advantages"][mask].mean(), rtol=0, atol=1e-12)


def test_at_first_its_gradient_is_the_policy_gradient(given):
    """-A / N for each counted token: no other than REINFORCE's, with A for the reward."""
    new, mask = given["logp_old"].clone().requires_grad_(), given["mask"]
    policy(given, logp_new=new).loss.backward()
    want = -given["advantages"] * mask / mask.sum()
    torch.testing.assert_close(new.grad, want, rtol=0, atol=1e-12)


def test_one_step_of_autograd_is_the_gradient_by_hand(given):
    """Two logits a token, the first one drawn: d ln p / d x = (1 - p, -(1 - p)). A token teaches
    with -rho A / N unless its ratio has left the clip on the side to which A pushes."""
    mask, A, old = given["mask"], given["advantages"], given["logp_old"]
    x = torch.stack((old, (-torch.expm1(old.clamp(max=-1e-3))).log()), -1)  # p = e^old, 1 - p
    x[..., 0] += 0.5 * given["rewards"]  # a step away, sometimes beyond the clip
    x.requires_grad_()
    new = x.log_softmax(-1)[..., 0]
    policy(given, logp_new=new).loss.backward()
    new = new.detach()
    rho = (new - old).exp()
    done = ((A > 0) & (rho > 1.2)) | ((A < 0) & (rho < 0.8))
    pull = -rho * A * mask * ~done / mask.sum()
    want = torch.stack((pull * (1 - new.exp()), -pull * (1 - new.exp())), -1)
    torch.testing.assert_close(x.grad, want, rtol=0, atol=1e-12)
    lr = 0.1  # and the step does what it should: ln p of each token moves against its pull
    after = (x - lr * x.grad).log_softmax(-1)[..., 0]
    assert ((after - new) * pull <= 1e-15).all()


@pytest.mark.parametrize(
    "rho, advantage, worth",
    [(1.5, 1.0, 1.2), (1.5, -1.0, -1.5), (0.5, 1.0, 0.5), (0.5, -1.0, -0.8), (1.1, 2.0, 2.2)],
)
def test_the_clip_by_hand(rho, advantage, worth):
    new = torch.tensor([[math.log(rho)]], dtype=torch.float64, requires_grad=True)
    a = torch.tensor([[advantage]], dtype=torch.float64)
    got = ppo_loss(new, torch.zeros_like(new), a, torch.ones(1, 1))
    assert got.loss.item() == pytest.approx(-worth)
    got.loss.backward()
    stopped = worth != pytest.approx(rho * advantage)
    assert (new.grad.item() == 0) == stopped == bool(got.clip_fraction)


def test_approx_kl_is_a_kl():
    """From the old policy to the new one: over all tokens, as often as the OLD one draws them."""
    g = torch.Generator().manual_seed(1)
    old, new = torch.randn(2, 1, 50, generator=g, dtype=torch.float64).log_softmax(-1)
    counts = 4000 * old.exp()
    where = torch.repeat_interleave(torch.arange(50), counts[0].round().long())
    new, old = new[:, where], old[:, where]
    got = ppo_loss(new, old, torch.zeros_like(new), torch.ones_like(new)).approx_kl
    full = (old - new).mean()
    assert got.item() == pytest.approx(full.item(), rel=0.02)
    assert got > 0


def test_padding_changes_nothing_in_the_policy_loss(given):
    mask, found = given["mask"], []
    for change in (lambda x: x, lambda x: spoiled(x, mask)):
        new = change(given["logp_new"]).clone().requires_grad_()
        got = policy(
            given, logp_new=new, logp_old=change(given["logp_old"]),
            advantages=change(given["advantages"]),
        )  # fmt: skip
        got.loss.backward()
        found.append((*got, new.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found))
    assert (found[1][-1][~mask] == 0).all()


def test_only_the_new_policy_learns(given):
    floats = {n: given[n].clone().requires_grad_() for n in ("logp_new", "logp_old", "advantages")}
    got = policy(given, **floats)
    got.loss.backward()
    assert floats["logp_new"].grad.abs().sum() > 0
    assert floats["logp_old"].grad is None and floats["advantages"].grad is None
    assert not got.clip_fraction.requires_grad and not got.approx_kl.requires_grad


@pytest.mark.parametrize("advantage", [1e4, -1e4])
def test_a_ratio_out_of_all_bounds_is_finite(advantage):
    new = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
    got = ppo_loss(new, torch.zeros(1, 3), torch.full((1, 3), advantage), torch.ones(1, 3))
    got.loss.backward()
    assert all(x.isfinite() for x in got) and new.grad.isfinite().all()


# The value's loss --------------------------------------------------------------------------------


def value(given, **changed):
    names = ("new_values", "values", "rewards", "mask")  # rewards stand in for returns here
    return value_loss(*(changed.get(n, given[n]) for n in names), clip=0.15)


@pytest.mark.parametrize(
    "v, target, worth",
    [
        (0.1, 1.0, 0.81),  # within the clip: the plain error
        (0.5, 1.0, 0.64),  # beyond, towards the target: as if at 0.2, and no gradient
        (0.5, -1.0, 2.25),  # beyond, away from it: the true error, which is larger
        (-0.5, 1.0, 2.25),
    ],
)
def test_the_value_clip_by_hand(v, target, worth):
    v = torch.tensor([[v]], dtype=torch.float64, requires_grad=True)
    old, target = torch.zeros(1, 1).double(), torch.full((1, 1), target).double()
    got = value_loss(v, old, target, torch.ones(1, 1), clip=0.2)
    assert got.item() == pytest.approx(worth / 2)
    got.backward()
    plain = (v - target).item()
    assert v.grad.item() == pytest.approx(0 if worth == 0.64 else plain)


def test_without_a_step_it_is_half_the_squared_error(given):
    mask = given["mask"]
    want = torch.nn.functional.mse_loss(given["values"][mask], given["rewards"][mask]) / 2
    torch.testing.assert_close(value(given, new_values=given["values"]), want, rtol=0, atol=1e-12)


def test_padding_changes_nothing_in_the_value_loss(given):
    mask, found = given["mask"], []
    for change in (lambda x: x, lambda x: spoiled(x, mask)):
        new = change(given["new_values"]).clone().requires_grad_()
        old, target = change(given["values"]), change(given["rewards"])
        loss = value(given, new_values=new, values=old, rewards=target)
        loss.backward()
        found.append((loss, new.grad))
    assert all(torch.equal(a, b) for a, b in zip(*found))


def test_only_the_new_values_learn(given):
    floats = {n: given[n].clone().requires_grad_() for n in ("new_values", "values", "rewards")}
    value(given, **floats).backward()
    assert floats["new_values"].grad is not None
    assert floats["values"].grad is None and floats["rewards"].grad is None


def test_explained_variance():
    returns = torch.tensor([[1.0, 2.0, 3.0, float("nan")]])
    mask = torch.tensor([[True, True, True, False]])
    assert explained_variance(returns, returns, mask) == 1
    assert explained_variance(returns + 5, returns, mask) == 1  # a constant is no variance
    assert explained_variance(torch.full((1, 4), 2.0), returns, mask) == 0
    assert explained_variance(-returns, returns, mask).item() == pytest.approx(-3)
    assert explained_variance(returns, torch.full((1, 4), 2.0), mask) == 0


def test_a_mask_of_zeros_is_refused(given):
    none = torch.zeros_like(given["mask"])
    for call in (policy, value):
        with pytest.raises(ValueError, match="counts none"):
            call(given, mask=none)
        with pytest.raises(ValueError, match="one shape"):
            call(given, mask=none[:, :0])
    with pytest.raises(ValueError, match="counts none"):
        explained_variance(given["values"], given["rewards"], none)


def test_arguments_stay_as_they_are(given):
    before = {n: x.clone() for n, x in given.items()}
    policy(given), value(given)
    gae(given["rewards"], given["values"], 0.9, 0.9, given["mask"])
    token_rewards(given["score"], given["logp_old"], given["ref_logp"], given["mask"], 0.1)
    assert all(torch.equal(before[n], given[n]) for n in given)


def test_the_clip_is_llama_2s():
    assert inspect.signature(ppo_loss).parameters["clip"].default == 0.2
