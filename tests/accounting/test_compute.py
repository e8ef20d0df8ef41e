"""Parameter counts against the exact totals of Llama 2's published checkpoints."""

from dataclasses import replace

import pytest

from llamalab.accounting import count_parameters
from llamalab.config import LlamaConfig

# attention, feed-forward and norms of one layer; one V × D table; everything
PAPER = {
    "llama-2-7b": (67_108_864, 135_266_304, 8_192, 131_072_000, 6_738_415_616),
    "llama-2-13b": (104_857_600, 212_336_640, 10_240, 163_840_000, 13_015_864_320),
    "llama-2-34b": (150_994_944, 541_065_216, 16_384, 262_144_000, 33_743_970_304),
    "llama-2-70b": (150_994_944, 704_643_072, 16_384, 262_144_000, 68_976_648_192),
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_models(name):
    c = LlamaConfig.from_name(name)
    count = count_parameters(c)
    attention, feed_forward, norms, table, total = PAPER[name]
    assert count == {
        "embedding": table,
        "attention": c.n_layers * attention,
        "feed_forward": c.n_layers * feed_forward,
        "norms": c.n_layers * norms + c.dim,
        "output": table,
        "total": total,
    }


def test_a_tied_head_costs_nothing():
    c = LlamaConfig.from_name("llama-2-7b")
    tied = count_parameters(replace(c, tie_embeddings=True))
    assert tied["output"] == 0
    assert tied["total"] == 6_738_415_616 - 131_072_000


def test_by_hand():
    """dim 4, 1 layer, 2 heads of 2, 1 KV head, 3 tokens, hidden 5."""
    c = LlamaConfig(dim=4, n_layers=1, n_heads=2, n_kv_heads=1, vocab_size=3, hidden_dim=5)
    assert count_parameters(c) == {
        "embedding": 12,
        "attention": 16 + 8 + 8 + 16,
        "feed_forward": 60,
        "norms": 12,
        "output": 12,
        "total": 144,
    }
