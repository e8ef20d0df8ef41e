"""A reward model: one number an answer, whatever stands behind it, learned from pairs."""

import copy

import pytest
import torch

from llamalab.alignment.fit import fit
from llamalab.alignment.reward_model import (
    Pair,
    pad,
    pair_batches,
    pair_loss,
    pair_scores,
    score_all,
    scores,
    with_scalar_head,
)
from llamalab.alignment.rewards import MARGINS
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import NonFiniteLoss, TrainConfig, TrainState, make_optimizer

CONFIG = LlamaConfig(dim=36, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=47, multiple_of=8,
                     max_seq_len=32, tie_embeddings=True)  # fmt: skip


def chat(seed=0):
    return Llama(CONFIG, generator=torch.Generator().manual_seed(seed))


def scorer(seed=0, **options):
    return with_scalar_head(chat(), generator=torch.Generator().manual_seed(seed), **options)


def rows(number, seed=0):
    g = torch.Generator().manual_seed(seed)
    lengths = torch.randint(2, 20, (number,), generator=g).tolist()
    return [torch.randint(3, 47, (n,), generator=g).tolist() for n in lengths]


def test_the_head_is_one_number_on_the_stream_that_the_model_had():
    model = chat()
    before = copy.deepcopy(model.state_dict())
    made = with_scalar_head(model, generator=torch.Generator().manual_seed(1))
    tokens = torch.tensor([[5, 9, 3], [7, 7, 2]])
    seen = []
    handle = model.norm.register_forward_hook(lambda *args: seen.append(args[-1]))
    model(tokens)
    handle.remove()
    expected = seen[0] @ made.output.weight[0]  # (B, T)
    assert made(tokens).shape == (2, 3, 1)
    torch.testing.assert_close(made(tokens)[..., 0], expected)
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    made.norm.weight.data.mul_(2)  # a copy: the chat model does not feel it
    assert torch.equal(before["norm.weight"], model.norm.weight)


def test_the_head_is_drawn_small_by_its_generator_or_is_zero():
    heads = torch.cat([scorer(seed).output.weight for seed in range(40)])
    assert heads.std().item() == pytest.approx((CONFIG.dim + 1) ** -0.5, rel=0.1)
    assert torch.equal(scorer(3).output.weight, scorer(3).output.weight)
    state = torch.get_rng_state()
    assert not scorer(zero=True).output.weight.any()
    assert torch.equal(state, torch.get_rng_state())


def test_what_stands_behind_an_answer_changes_nothing():
    model, some = scorer(), rows(5)
    tokens, last = pad(some)
    assert [tokens[i, : n + 1].tolist() for i, n in enumerate(last.tolist())] == some
    alone = torch.stack([model(torch.tensor([row]))[0, -1, 0] for row in some])
    for fill in (0, 46):
        torch.testing.assert_close(scores(model, *pad(some, fill)), alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(score_all(model, some, batch_size=2), alone, rtol=1e-4, atol=1e-5)
    for wrong in ([], [[1], []]):
        with pytest.raises(ValueError, match=f"{len(wrong)} rows"):
            pad(wrong)


def test_every_pair_comes_once_an_epoch_in_a_seeded_order():
    pairs = [Pair([i], [i + 50], 0) for i in range(10)]
    two = [[pair.chosen[0] for pair in batch] for batch in pair_batches(pairs, 4, epochs=2)]
    assert [len(batch) for batch in two] == [4, 4, 2, 4, 4, 2]
    first, second = sum(two[:3], []), sum(two[3:], [])
    assert sorted(first) == sorted(second) == list(range(10)) and first != second
    assert two != [[p.chosen[0] for p in b] for b in pair_batches(pairs, 4, epochs=2, seed=1)]
    for some, size in (([], 4), (pairs, 0)):
        with pytest.raises(ValueError, match=f"{len(some)} pairs, batch_size={size}"):
            next(pair_batches(some, size))


def test_the_loss_is_that_of_the_scores_and_their_margins():
    model, some = scorer(), rows(6)
    pairs = [Pair(a, b, strength) for a, b, strength in zip(some[:3], some[3:], (0, 3, 1))]
    chosen, rejected = pair_scores(model, pairs)
    gap = (chosen - rejected).detach()
    for name, margins in MARGINS.items():
        loss, told = pair_loss(name)(model, pairs)
        margin = torch.tensor([margins[pair.strength] for pair in pairs])
        expected = torch.nn.functional.binary_cross_entropy_with_logits(gap - margin, torch.ones(3))
        torch.testing.assert_close(loss.detach(), expected)
        assert told["accuracy"] == pytest.approx(float((gap > 0).double().mean()))


def test_it_learns_what_pairs_have_in_common():
    """Answers that end with 5 are preferred to those that end with 6."""
    pairs = [Pair([*row, 5], [*other, 6], 2) for row, other in zip(rows(64), rows(64, seed=1))]
    model = scorer()
    config = TrainConfig(steps=24, lr=3e-3, warmup_steps=2)
    told = list(fit(model, pair_batches(pairs, 16, epochs=6), pair_loss("none"), config))
    assert [record.step for record in told] == list(range(1, 25))
    assert told[-1].loss < 0.2 < 0.5 < told[0].loss and told[-1].measured["accuracy"] == 1.0
    test = rows(20, seed=2)
    good = score_all(model, [[*row, 5] for row in test])
    assert (good > score_all(model, [[*row, 6] for row in test])).all()


def test_fit_goes_on_where_it_was_and_stops_when_it_should():
    pairs = [Pair(a, b, 1) for a, b in zip(rows(24), rows(24, seed=1))]
    config = TrainConfig(steps=6, lr=1e-3, warmup_steps=2)
    whole, halves = scorer(), scorer()
    told = list(fit(whole, pair_batches(pairs, 4), pair_loss(), config))
    state = TrainState(make_optimizer(halves, config))
    batches = list(pair_batches(pairs, 4))
    parts = list(fit(halves, batches[:2], pair_loss(), config, state=state))
    parts += fit(halves, batches[2:], pair_loss(), config, state=state)
    assert [r.loss for r in parts] == [r.loss for r in told]
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), halves.parameters()))
    assert not list(fit(whole, batches, pair_loss(), config, state=state))  # all steps are taken
    for wrong in ({"grad_accum_steps": 2}, {"dtype": "bfloat16"}, {"compile": True}):
        with pytest.raises(ValueError, match="one batch a step, in float32"):
            list(fit(whole, batches, pair_loss(), TrainConfig(steps=6, **wrong)))


def test_what_is_no_number_takes_no_step():
    model = scorer()
    with torch.no_grad():
        model.output.weight[0, 0] = float("nan")
    before = [weight.clone() for weight in model.parameters()]
    pairs = [Pair([5, 6], [7, 8], 0)]
    with pytest.raises(NonFiniteLoss, match="the loss is nan"):
        list(fit(model, [pairs], pair_loss(), TrainConfig(steps=1)))
    for old, new in zip(before, model.parameters()):
        torch.testing.assert_close(old, new, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize("way", ["torch", "fused"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_each_answer_is_scored_as_if_alone_by_every_road(way, batch_size):
    model, some = scorer(), rows(5)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    found = score_all(model, iter(some), batch_size, way)
    assert found.shape == (5,) and found.dtype == torch.float32 and not found.requires_grad
    with torch.no_grad():
        alone = torch.stack([model(torch.tensor([row]))[0, -1, 0] for row in some])
    assert torch.allclose(found, alone, atol=1e-5) and found.std() > 0.01
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def test_all_that_is_made_stands_where_the_model_is():
    """Whatever is made without a device lands on "meta" in here, and a model on the CPU cannot use
    it: as on a GPU, the other way round."""
    model, ids = scorer(), rows(6)
    pairs = [Pair(a, b, strength) for a, b, strength in zip(ids[:3], ids[3:], (0, 1, 3))]
    loss_of = pair_loss("large")
    expected = score_all(model, ids), *pair_scores(model, pairs), loss_of(model, pairs)[0]
    with torch.device("meta"):
        found = score_all(model, ids), *pair_scores(model, pairs), loss_of(model, pairs)[0]
        found[-1].backward()
    for a, b in zip(found, expected):
        assert a.device.type == "cpu" and torch.equal(a, b)
    assert model.output.weight.grad.device.type == "cpu"
    assert all(x.device.type == "meta" for x in pad(ids, device="meta"))
