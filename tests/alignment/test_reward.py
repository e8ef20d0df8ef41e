"""What PPO is paid: two models, their zeros and scales, and one whitened number."""

import pytest
import torch

from llamalab.alignment.reward import Reward, Scorer, zero_at
from llamalab.alignment.reward_model import with_scalar_head
from llamalab.alignment.rewards import combined_reward
from llamalab.alignment.rollout import Rollout, sample
from llamalab.config import LlamaConfig
from llamalab.model import Llama

CONFIG = LlamaConfig(dim=36, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=23, multiple_of=8,
                     max_seq_len=40)  # fmt: skip
EOS = 2


def scorer(seed, **options):
    g = torch.Generator().manual_seed(seed)
    return Scorer(with_scalar_head(Llama(CONFIG, generator=g), generator=g).eval(), **options)


def drawn(number=12, seed=0) -> tuple[Rollout, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    prompts = [torch.randint(3, 23, (3 + i % 4,), generator=g).tolist() for i in range(number)]
    model = Llama(CONFIG, generator=g)
    found = sample(model, prompts, 9, temperature=2.0, eos_id=EOS, generator=g)
    return found, torch.arange(number) % 3 == 0


def by_hand(model, found):
    """Each answer alone, its score at its last token."""
    said = []
    for row, length, answer in zip(found.tokens, found.prompt_lengths.tolist(), found.answers()):
        text = [*row[:length].tolist(), *answer]
        said.append(model(torch.tensor([text]))[0, -1, 0])
    return torch.stack(said).detach()


@pytest.mark.parametrize("way", ["torch", "fused"])
def test_a_score_stands_at_the_last_token_of_the_answer(way):
    found, _ = drawn()
    one = scorer(1, offset=0.7, gain=3.0)
    expected = (by_hand(one.model, found) + 0.7) * 3.0
    torch.testing.assert_close(one.logits(found, way), expected, rtol=1e-4, atol=1e-5)
    assert not one.logits(found, way).requires_grad


def test_the_two_are_combined_as_in_the_paper():
    found, marks = drawn()
    helpful, safe = scorer(1, gain=4.0), scorer(2, gain=4.0)
    paid, told = Reward(helpful, safe)(found, marks)
    h, s = helpful.logits(found).sigmoid(), safe.logits(found).sigmoid()
    torch.testing.assert_close(paid, combined_reward(s, h, marks))
    assert told == {"helpfulness": pytest.approx(h.mean().item()),
                    "safety": pytest.approx(s.mean().item())}  # fmt: skip
    other, _ = Reward(helpful, safe)(found, ~marks)
    assert not torch.equal(paid, other)


def test_whitening_is_by_the_first_answers_and_stays():
    found, marks = drawn()
    reward = Reward(scorer(1), scorer(2)).whitened_by(found, marks)
    paid, _ = reward(found, marks)
    assert paid.mean().item() == pytest.approx(0, abs=1e-5)
    assert paid.std().item() == pytest.approx(1, abs=1e-4)
    others, theirs = drawn(seed=5)
    raw, _ = Reward(scorer(1), scorer(2))(others, theirs)
    again, _ = reward(others, theirs)
    torch.testing.assert_close(again, (raw - reward.mean) / reward.deviation)
    assert reward.whitened_by(found, marks).mean == pytest.approx(reward.mean)  # not twice over


def test_balance_gives_both_models_one_scale():
    found, marks = drawn()
    loud = Reward(scorer(1, offset=5.0), scorer(2, gain=50.0, offset=0.1))
    even = loud.balanced_by(found, marks)
    helpful = even.helpfulness.logits(found)[~marks]
    assert helpful.mean().item() == pytest.approx(0, abs=1e-5)
    assert helpful.std().item() == pytest.approx(1, abs=1e-4)
    assert even.safety.logits(found).std().item() == pytest.approx(1, abs=1e-4)
    assert even.safety.offset == 0.1  # its zero has a meaning, and stays
    with pytest.raises(ValueError, match="12 answers, 0 of them not about safety"):
        loud.balanced_by(found, torch.ones(12, dtype=torch.bool))


def test_one_answer_or_equal_ones_cannot_be_whitened():
    found, marks = drawn()
    with pytest.raises(ValueError, match="1 answers with one and the same reward"):
        Reward(scorer(1), scorer(2)).whitened_by(found.rows([0]), marks[:1])


def test_the_zero_stands_where_most_labels_agree():
    scores = torch.tensor([3.0, -1.0, 2.0, 0.5, -2.0])
    assert zero_at(scores, torch.tensor([1, 0, 1, 0, 0])) == pytest.approx(-1.25)
    assert zero_at(scores) == pytest.approx(-scores.mean().item())
    for seed in range(30):
        g = torch.Generator().manual_seed(seed)
        scores = torch.randn(1 + seed % 7, generator=g)
        good = torch.rand(len(scores), generator=g) < 0.5
        found = zero_at(scores, good)
        cuts = [*scores.tolist(), float("inf")]
        best = max(((scores >= cut) == good).sum().item() for cut in cuts)
        assert ((scores + found > 0) == good).sum().item() >= best
    with pytest.raises(ValueError, match="no scores"):
        zero_at(torch.empty(0))
