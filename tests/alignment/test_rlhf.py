"""PPO's loop: nothing has moved before the first step, and then what pays is done more often."""

import copy
from dataclasses import replace

import pytest
import torch

from llamalab.alignment.ppo_step import PPOConfig, start, update, warm_up, weigh
from llamalab.alignment.reward_model import with_scalar_head
from llamalab.alignment.rlhf import Prompts, rlhf
from llamalab.alignment.rollout import sample, score
from llamalab.config import LlamaConfig
from llamalab.model import Llama

SIZES = LlamaConfig(dim=36, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=19, multiple_of=8,
                    max_seq_len=32)  # fmt: skip
EOS, LIKED = 2, 7
CONFIG = PPOConfig(iterations=2, batch_size=8, mini_batch_size=4, max_new_tokens=6, lr=1e-3,
                   value_lr=1e-3, unended=-1.0)  # fmt: skip


def models(seed=0):
    """Policy, value model, reference."""
    policy = Llama(SIZES, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        policy.output.weight.mul_(4)
    return policy, with_scalar_head(policy, zero=True), copy.deepcopy(policy)


def prompts(iteration: int, number: int = 8) -> Prompts:
    g = torch.Generator().manual_seed(iteration)
    ids = [[1, *torch.randint(3, 19, (1 + i % 3,), generator=g).tolist()] for i in range(number)]
    return Prompts(ids, torch.zeros(number, dtype=torch.bool))


def many(iteration: int) -> Prompts:
    return prompts(iteration, 32)


def likes(drawn, about_safety):
    """Pays for each LIKED token."""
    number = torch.tensor([answer.count(LIKED) for answer in drawn.answers()]).float()
    return number, {"liked": float(number.mean())}


def experience(config=CONFIG, seed=0):
    policy, values, reference = models(seed)
    drawn = sample(policy, prompts(0).ids, 6, eos_id=EOS, temperature=config.temperature,
                   generator=torch.Generator().manual_seed(3))  # fmt: skip
    scores, _ = likes(drawn, None)
    with torch.no_grad():
        return policy, values, drawn, *weigh(policy, values, reference, drawn, scores, config)


@pytest.mark.parametrize("way", ["torch", "fused"])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_before_the_first_step_kl_is_0_and_the_ratio_1(way, temperature):
    config = replace(CONFIG, matmul=way, temperature=temperature)
    policy, _, drawn, batch, told = experience(config)
    assert told["kl"] == told["k2"] == told["k3"] == 0.0
    again = score(policy, drawn, temperature, way=way)
    assert torch.equal((again - batch.logp).exp(), torch.ones_like(again))


def test_advantages_are_whitened_and_padding_counts_nowhere():
    _, _, drawn, batch, told = experience()
    mask = drawn.mask
    inside = batch.advantages[mask]
    assert inside.mean().item() == pytest.approx(0, abs=1e-5)
    assert inside.std(correction=0).item() == pytest.approx(1, abs=1e-3)
    for part in (batch.logp, batch.advantages, batch.returns):
        assert not part[~mask].any()
    lengths = torch.tensor([len(answer) for answer in drawn.answers()]).float()
    assert told["length"] == pytest.approx(lengths.mean().item())
    # Values are 0, and behind the last token there is nothing: its return is its own reward.
    last = mask.sum(1) + drawn.prompt_lengths - 2
    ended = batch.returns[torch.arange(8), last]
    scores, _ = likes(drawn, None)
    expected = torch.where(drawn.ended, scores, -1.0)
    torch.testing.assert_close(ended, expected)


def test_an_update_moves_both_models_and_nothing_else():
    policy, values, drawn, batch, _ = experience()
    state = start(policy, values, CONFIG)
    kept = [x.clone() for x in (batch.logp, batch.values, batch.advantages, batch.returns)]
    before = [[w.clone() for w in model.parameters()] for model in (policy, values)]
    told = update(policy, values, batch, CONFIG, state)
    assert set(told) == {"policy_loss", "value_loss", "clip_fraction", "approx_kl"}
    for model, old in zip((policy, values), before):
        assert any(not torch.equal(a, b) for a, b in zip(model.parameters(), old))
        assert all(weight.grad is None for weight in model.parameters())
    for x, y in zip(kept, (batch.logp, batch.values, batch.advantages, batch.returns)):
        assert torch.equal(x, y)
    assert told["approx_kl"] > 0


def test_the_first_step_is_the_gradient_of_the_reward():
    """One mini-batch, one epoch: the ratio is 1, so the policy's gradient is that of
    -mean(A ln p), which is pulled back here by hand."""
    config = replace(CONFIG, mini_batch_size=8, epochs=1, max_grad_norm=1e9)
    policy, values, drawn, batch, _ = experience(config)
    twin = copy.deepcopy(policy)
    logp = score(twin, drawn)
    mask = drawn.mask
    (-(batch.advantages * logp)[mask].mean()).backward()
    seen = {}
    state = start(policy, values, config)
    step = state.policy_optimizer.step

    def watched():
        seen.update({name: w.grad.clone() for name, w in policy.named_parameters()})
        return step()

    state.policy_optimizer.step = watched
    update(policy, values, batch, config, state)
    for name, weight in twin.named_parameters():
        torch.testing.assert_close(seen[name], weight.grad, rtol=1e-4, atol=1e-7)


LEARNS = replace(CONFIG, iterations=16, mini_batch_size=16, lr=3e-3, value_lr=3e-3, beta=0.01)


def test_what_pays_is_done_more_often():
    policy, values, reference = models()
    kept = [weight.clone() for weight in reference.parameters()]
    told = list(rlhf(policy, values, reference, likes, many, LEARNS, eos_id=EOS))
    assert [record.iteration for record in told] == list(range(1, 17))
    first, last = (sum(r.measured["liked"] for r in part) for part in (told[:3], told[-3:]))
    assert last > 3 * first
    assert told[0].kl == 0.0 and told[-1].kl > 1
    assert all(torch.equal(a, b) for a, b in zip(kept, reference.parameters()))


def test_a_high_price_keeps_the_policy_at_home():
    dear = replace(LEARNS, beta=3.0)
    free, held = (
        list(rlhf(*models(), likes, many, config, eos_id=EOS)) for config in (LEARNS, dear)
    )
    assert held[-1].kl < free[-1].kl / 3
    assert held[-1].measured["liked"] < free[-1].measured["liked"]


def test_a_run_can_be_gone_on_with():
    whole, parts = models(), models()
    one = list(rlhf(*whole, likes, prompts, replace(CONFIG, iterations=4), eos_id=EOS, seed=5))
    state = start(parts[0], parts[1], CONFIG, seed=5)
    for iterations in (1, 4):
        config = replace(CONFIG, iterations=iterations)
        last = list(rlhf(*parts, likes, prompts, config, eos_id=EOS, state=state))
    assert [r.iteration for r in last] == [2, 3, 4] and last[-1].score == one[-1].score
    for a, b in zip(whole[0].parameters(), parts[0].parameters()):
        assert torch.equal(a, b)


def test_values_are_warmed_up_before_the_policy_moves():
    policy, values, drawn, _, _ = experience()
    state = start(policy, values, replace(CONFIG, value_lr=3e-3))
    before = [weight.clone() for weight in policy.parameters()]
    scores = 2.0 + torch.zeros(8)
    losses = warm_up(values, drawn, scores, replace(CONFIG, value_lr=3e-3), state, epochs=10)
    assert losses[-1] < losses[0] / 3
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters()))


@pytest.mark.parametrize(
    "wrong",
    [{"iterations": 0}, {"batch_size": 2.5}, {"lr": 0.0}, {"clip": -0.2}, {"gamma": 1.1},
     {"lam": -0.1}, {"beta": float("inf")}, {"temperature": 0.0}, {"matmul": "fast"}],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"{name}={value!r} must"):
        PPOConfig(**{"iterations": 1, **wrong})
