"""DPO over batches: the reference is asked once, and the loss begins at ln 2."""

import copy
import math

import pytest
import torch

from llamalab.alignment.dpo_fit import dpo_loss_of, log_probs, with_reference
from llamalab.alignment.fit import fit
from llamalab.alignment.reward_model import Pair, pair_batches
from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.training import TrainConfig

SIZES = LlamaConfig(dim=36, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=19, multiple_of=8,
                    max_seq_len=32)  # fmt: skip


def pairs(number=10, seed=0):
    """(pair, length of its prompt): answers that end with 5 are preferred to those with 6."""
    g = torch.Generator().manual_seed(seed)
    made = []
    for i in range(number):
        prompt = [1, *torch.randint(7, 19, (1 + i % 4,), generator=g).tolist()]
        answers = [torch.randint(7, 19, (1 + (i + k) % 5,), generator=g).tolist() for k in (0, 2)]
        made.append((Pair([*prompt, *answers[0], 5], [*prompt, *answers[1], 6], 1), len(prompt)))
    return made


def model(seed=0):
    return Llama(SIZES, generator=torch.Generator().manual_seed(seed))


def by_hand(one, ids, start):
    logs = one(torch.tensor([ids]))[0].log_softmax(-1)
    return sum(logs[n - 1, ids[n]] for n in range(start, len(ids)))


@pytest.mark.parametrize("way", ["torch", "fused"])
def test_the_reference_is_asked_once_for_each_answer_alone(way):
    one, some = model(), pairs()
    known = with_reference(one, some, batch_size=3, way=way)
    assert [k.pair for k in known] == [pair for pair, _ in some]
    for k, (pair, start) in zip(known, some):
        assert k.chosen == pytest.approx(by_hand(one, pair.chosen, start).item(), abs=1e-4)
        assert k.rejected == pytest.approx(by_hand(one, pair.rejected, start).item(), abs=1e-4)


def test_the_loss_begins_at_ln_2_and_its_gradient_is_that_of_the_formula():
    one = model()
    known = with_reference(model(), pairs())
    loss, told = dpo_loss_of(0.3)(one, known)
    assert loss.item() == pytest.approx(math.log(2), abs=1e-5)
    assert told["chosen_moved"] == pytest.approx(0, abs=1e-5)
    loss.backward()
    twin = model()
    gaps = [by_hand(twin, k.pair.chosen, k.prompt_length)
            - by_hand(twin, k.pair.rejected, k.prompt_length) for k in known]  # fmt: skip
    # At the start the logistic's slope is a half, for every pair.
    (-0.3 * 0.5 * sum(gaps) / len(gaps)).backward()
    for (name, a), b in zip(one.named_parameters(), twin.parameters()):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=name)


def test_it_learns_the_preference_and_leaves_the_reference():
    reference = model()
    policy, kept = copy.deepcopy(reference), [w.clone() for w in reference.parameters()]
    known = with_reference(reference, pairs(40))
    config = TrainConfig(steps=30, lr=2e-3, warmup_steps=2)
    told = list(fit(policy, pair_batches(known, 8, epochs=6), dpo_loss_of(0.5), config))
    assert told[-1].loss < 0.3 and told[-1].measured["accuracy"] == 1.0
    assert told[-1].measured["margin"] > 0.5
    assert all(torch.equal(a, b) for a, b in zip(kept, reference.parameters()))
    test = pairs(20, seed=9)
    fresh = with_reference(reference, test)
    chosen, rejected = log_probs(policy, fresh)
    gains = chosen - rejected - torch.tensor([k.chosen - k.rejected for k in fresh])
    assert (gains > 0).all()


def test_all_that_is_made_stands_where_the_model_is():
    """Whatever is made without a device lands on "meta" in here, as in test_reward_model."""
    policy, reference, some = model(), model(1), pairs(4)
    known = with_reference(reference, some)
    expected, measured = dpo_loss_of(0.1)(policy, known)
    with torch.device("meta"):
        assert with_reference(reference, some) == known
        loss, same = dpo_loss_of(0.1)(policy, known)
        loss.backward()
    assert torch.equal(loss, expected) and same == measured
    assert policy.norm.weight.grad.device.type == "cpu"
