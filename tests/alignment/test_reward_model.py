"""A reward model's scores: each answer as if alone, by every road, whatever stands beside it."""

import pytest
import torch

from llamalab.alignment.reward_model import Pair, pad, pair_scores, score_all, with_scalar_head
from llamalab.config import LlamaConfig
from llamalab.model import Llama

ROWS = [[3, 1, 4, 1, 5, 9], [2], [6, 5, 3], [5, 8], [9, 7, 9, 3, 2, 3, 8]]


@pytest.fixture
def scorer():
    config = LlamaConfig(
        dim=36, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=11, multiple_of=8, max_seq_len=16
    )
    model = Llama(config, generator=torch.Generator().manual_seed(0))
    return with_scalar_head(model, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("way", ["torch", "fused"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_each_answer_is_scored_as_if_alone(scorer, way, batch_size):
    before = {name: weight.clone() for name, weight in scorer.state_dict().items()}
    found = score_all(scorer, iter(ROWS), batch_size, way)
    assert found.shape == (5,) and found.dtype == torch.float32 and not found.requires_grad
    with torch.no_grad():
        alone = torch.stack([scorer(torch.tensor([row]))[0, -1, 0] for row in ROWS])
    assert torch.allclose(found, alone, atol=1e-5) and found.std() > 0.01
    assert all(torch.equal(before[name], weight) for name, weight in scorer.state_dict().items())


def test_pairs_get_the_scores_of_their_answers(scorer):
    pairs = [Pair(ROWS[0], ROWS[1], 3), Pair(ROWS[2], ROWS[4], 0)]
    chosen, rejected = pair_scores(scorer, pairs)
    both = score_all(scorer, ROWS)
    assert torch.allclose(chosen, both[[0, 2]], atol=1e-5)
    assert torch.allclose(rejected, both[[1, 4]], atol=1e-5)
    assert chosen.requires_grad


def test_padding_says_where_rows_end():
    tokens, last = pad(ROWS)
    assert tokens.shape == (5, 7) and last.tolist() == [5, 0, 2, 1, 6]
    with pytest.raises(ValueError, match="none may be empty"):
        pad([[1], []])
