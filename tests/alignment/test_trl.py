"""Ours against what TRL's own code made of the same inputs (tools/golden_trl.py, golden/trl.json).

Two places where we part on purpose: TRL's GAE leaves numbers in padding, ours are 0 there; and TRL
whitens padding along.
"""

import json
from pathlib import Path

import pytest
import torch

from llamalab import alignment as ours
from llamalab.alignment.grpo import grpo_loss
from tests.alignment import cases

GOLDEN = json.loads((Path(__file__).parent / "golden" / "trl.json").read_text(encoding="utf-8"))
SEEDS = sorted(cases.SIZES)


def want(part, seed, name):
    return torch.tensor(GOLDEN[part]["seeds"][str(seed)][name], dtype=torch.float64)


def same(got, expected, mask=None, atol=1e-12):
    if mask is not None:
        got, expected = got[mask], expected[mask]
    torch.testing.assert_close(got, expected, rtol=0, atol=atol)


def test_the_file_says_which_versions():
    assert GOLDEN["ppo"]["versions"]["trl"] == "0.11.4"
    assert GOLDEN["preferences"]["versions"]["trl"] == "1.16.0"
    assert sorted(GOLDEN["ppo"]["seeds"]) == [str(seed) for seed in SEEDS]


@pytest.fixture(params=SEEDS)
def seed(request):
    return request.param


def test_rewards_and_gae(seed):
    given = cases.answers(seed)
    mask = given["mask"]
    args = given["score"], given["logp_old"], given["ref_logp"], mask
    same(ours.token_rewards(*args, cases.BETA), want("ppo", seed, "token_rewards"), mask)
    advantages, returns = ours.gae(given["rewards"], given["values"], cases.GAMMA, cases.LAM, mask)
    same(advantages, want("ppo", seed, "advantages"), mask)
    same(returns, want("ppo", seed, "returns"), mask)
    same(ours.whiten(advantages, mask), want("ppo", seed, "white_advantages"), mask, atol=1e-9)
    kept = ours.whiten(given["rewards"], mask, shift_mean=False)
    same(kept, want("ppo", seed, "white_rewards"), mask, atol=1e-9)


def test_the_losses_of_policy_and_value(seed):
    given = cases.answers(seed)
    new, values = given["logp_new"].requires_grad_(), given["new_values"].requires_grad_()
    loss, clipped, _ = ours.ppo_loss(
        new, given["logp_old"], given["advantages"], given["mask"], cases.CLIP
    )
    value = ours.value_loss(
        values, given["values"], given["rewards"], given["mask"], cases.CLIP_VALUE
    )
    (loss + value).backward()
    same(loss.detach(), want("ppo", seed, "ppo_loss"))
    same(value.detach(), want("ppo", seed, "value_loss"))
    same(new.grad, want("ppo", seed, "ppo_gradient"))
    same(values.grad, want("ppo", seed, "value_gradient"))
    same(clipped.double(), want("ppo", seed, "clip_fraction"), atol=1e-6)


def test_log_probabilities_entropy_and_kl(seed):
    given = cases.answers(seed)
    logits, tokens = given["logits"], given["tokens"]
    first = tokens[:, :1]  # ours looks at the NEXT token: put one in front
    shifted = torch.cat((logits, logits[:, :1]), 1), torch.cat((first, tokens), 1)
    same(ours.token_log_probs(*shifted), want("ppo", seed, "log_probs"))
    same(ours.entropy(logits), want("ppo", seed, "entropy"))
    same(ours.exact_kl(logits, given["ref_logits"]), want("ppo", seed, "exact_kl"))
    args = given["logp_old"], given["ref_logp"]
    same(ours.k1(*args), want("ppo", seed, "k1"))
    same(ours.k2(*args), want("ppo", seed, "k2"))
    k3 = ours.k3(given["logp_new"], given["ref_logp"])
    same(ours.masked_mean(k3, given["mask"]), want("preferences", seed, "mean_k3"))


@pytest.mark.parametrize("name", ["reward", "margin"])
def test_the_reward_models_loss(seed, name):
    given = cases.pairs(seed)
    chosen, rejected = given["chosen"].requires_grad_(), given["rejected"].requires_grad_()
    loss = ours.reward_loss(chosen, rejected, given["margin"] if name == "margin" else 0.0)
    loss.backward()
    same(loss.detach(), want("preferences", seed, f"{name}_loss"))
    same(torch.stack((chosen.grad, rejected.grad)), want("preferences", seed, f"{name}_gradient"))
    with torch.no_grad():
        right = ours.accuracy(chosen, rejected)
    same(right, want("preferences", seed, "accuracy"), atol=1e-6)


def test_dpo(seed):
    given = cases.pairs(seed)
    chosen, rejected = given["chosen"].requires_grad_(), given["rejected"].requires_grad_()
    reference = given["reference_chosen"], given["reference_rejected"]
    loss = ours.dpo_loss(chosen, rejected, *reference, cases.BETA)
    loss.backward()
    same(loss.detach(), want("preferences", seed, "dpo_loss"))
    same(torch.stack((chosen.grad, rejected.grad)), want("preferences", seed, "dpo_gradient"))
    rewards = [
        ours.implicit_reward(policy.detach(), ref, cases.BETA)
        for policy, ref in zip((chosen, rejected), reference)
    ]
    same(rewards[0].mean(), want("preferences", seed, "implicit_chosen"))
    same(rewards[1].mean(), want("preferences", seed, "implicit_rejected"))
    same(ours.accuracy(*rewards), want("preferences", seed, "implicit_accuracy"), atol=1e-6)


def test_grpo(seed):
    given = cases.answers(seed)
    new = given["logp_new"].requires_grad_()
    loss = grpo_loss(
        new, given["logp_old"], given["ref_logp"], given["score"], given["mask"], cases.BETA,
        cases.CLIP,
    )  # fmt: skip
    loss.backward()
    same(loss.detach(), want("preferences", seed, "grpo_loss"))
    same(new.grad, want("preferences", seed, "grpo_gradient"))
