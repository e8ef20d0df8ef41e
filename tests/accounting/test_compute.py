"""Parameter counts against the exact totals of Llama 2's published checkpoints, and FLOPs."""

from dataclasses import replace

import pytest

from llamalab.accounting import (
    count_parameters,
    gpu_hours,
    inference_flops,
    mfu,
    training_flops,
)
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


# ---- FLOPs of training ----------------------------------------------------------------------

# 6N a token, 6N of 2T tokens and with attention over 4,096, by PaLM's appendix B; from the paper's
# GPU-hours (table 2) and an A100's 312 TFLOP/s: TFLOP/s of a GPU and MFU, without and with.
TRAINING = {
    "llama-2-7b": (4.043e10, 8.086e22, 9.375e22, 184_320, 121.9, 39.1, 141.3, 45.3, 15.9),
    "llama-2-13b": (7.810e10, 1.562e23, 1.763e23, 368_640, 117.7, 37.7, 132.9, 42.6, 12.9),
    "llama-2-34b": (2.025e11, 4.049e23, 4.436e23, 1_038_336, 108.3, 34.7, 118.7, 38.0, 9.5),
    "llama-2-70b": (4.139e11, 8.277e23, 8.921e23, 1_720_320, 133.7, 42.8, 144.1, 46.2, 7.8),
}
TOKENS = 2_000_000_000_000


@pytest.mark.parametrize("name", TRAINING)
def test_the_papers_training(name):
    config = LlamaConfig.from_name(name)
    each, plain, whole, hours, plain_rate, plain_mfu, rate, mfu, share = TRAINING[name]
    assert training_flops(config, 1, 0) == pytest.approx(each, rel=2e-4)
    assert training_flops(config, TOKENS, 0) == pytest.approx(plain, rel=4e-4)
    assert training_flops(config, TOKENS) == pytest.approx(whole, rel=4e-4)
    assert training_flops(config, TOKENS, 4096) == training_flops(config, TOKENS)
    for flops, want, of_peak in (
        (training_flops(config, TOKENS, 0), plain_rate, plain_mfu),
        (training_flops(config, TOKENS), rate, mfu),
    ):
        achieved = flops / (hours * 3600) / 1e12
        assert achieved == pytest.approx(want, abs=0.06)
        assert 100 * achieved / 312 == pytest.approx(of_peak, abs=0.06)
    with_attention = training_flops(config, 1) / training_flops(config, 1, 0) - 1
    assert 100 * with_attention == pytest.approx(share, abs=0.06)


def test_flops_by_hand():
    """The model of 144 parameters above; rows of 5: 12 x 1 layer x dim 4 x 5 beside."""
    c = LlamaConfig(dim=4, n_layers=1, n_heads=2, n_kv_heads=1, vocab_size=3, hidden_dim=5)
    assert training_flops(c, 1, 0) == 864
    assert training_flops(c, 10, 5) == 10 * (864 + 240)


def test_torch_counts_the_same_products():
    """Torch's own counter, both ways: all but the embedding, which is looked up, and the norms."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from llamalab.layers import apply_rope, rms_norm, swiglu
    from llamalab.model import Llama, Parts
    from llamalab.training import next_token_loss

    def attention(q, k, v, mask=None):  # two plain products, which the counter knows
        k, v = (x.repeat_interleave(q.shape[2] // x.shape[2], dim=2) for x in (k, v))
        scores = torch.einsum("bthd,bshd->bhts", q, k).softmax(-1)
        return torch.einsum("bhts,bshd->bthd", scores, v)

    sizes = dict(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=40, max_seq_len=16)
    config, batch = LlamaConfig(**sizes), 3
    parts = Parts(rms_norm=rms_norm, apply_rope=apply_rope, attention=attention, swiglu=swiglu)
    model = Llama(config, parts)
    tokens = torch.zeros(batch, 16, dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        next_token_loss(model(tokens), tokens).backward()
    count = count_parameters(config)
    uncounted = 6 * (count["embedding"] + count["norms"]) * batch * 16
    assert counter.get_total_flops() == training_flops(config, batch * 16, 16) - uncounted


def test_negative_numbers_are_refused():
    config = LlamaConfig.from_name("tiny")
    with pytest.raises(ValueError, match="tokens=-1"):
        training_flops(config, -1)
    with pytest.raises(ValueError, match="seq_len=-2"):
        training_flops(config, 1, -2)


def test_a_causal_kernel_computes_half_of_the_pairs():
    c = LlamaConfig.from_name("llama-2-7b")
    plain, full = training_flops(c, 7, 0), training_flops(c, 7, 4096)
    half = training_flops(c, 7, 4096, causal=True)
    assert half - plain == (full - plain) / 2
    assert training_flops(c, 7, 0, causal=True) == plain


@pytest.mark.parametrize("name", TRAINING)
def test_mfu_of_the_papers_hours(name):
    config, row = LlamaConfig.from_name(name), TRAINING[name]
    for seq_len, want in ((0, row[5]), (4096, row[7])):
        flops = training_flops(config, TOKENS, seq_len)
        assert 100 * mfu(flops, row[3], 312) == pytest.approx(want, abs=0.06)
        assert gpu_hours(flops, 312, mfu(flops, row[3], 312)) == pytest.approx(row[3])


def test_mfu_by_hand():
    assert mfu(3600 * 1e12, gpu_hours=1, peak_tflops=2) == 0.5
    assert mfu(0, 1, 1) == 0
    assert gpu_hours(3600 * 1e12, peak_tflops=2, mfu=0.5) == 1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: mfu(1, 0, 312), "gpu_hours=0"),
        (lambda: mfu(1, 1, 0), "peak_tflops=0"),
        (lambda: mfu(-1, 1, 1), "flops=-1"),
        (lambda: gpu_hours(1, 1, 0), "mfu=0"),
        (lambda: gpu_hours(1, 1, 1.1), "mfu=1.1"),
        (lambda: gpu_hours(1, 0, 0.5), "peak_tflops=0"),
        (lambda: inference_flops(LlamaConfig.from_name("tiny"), -1), "tokens=-1"),
    ],
)
def test_impossible_inputs_of_mfu(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_torch_counts_the_same_products_of_one_token_behind_others():
    """Forward only, one token that looks back at all of its row: torch's counter again."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from llamalab.layers import apply_rope, rms_norm, swiglu
    from llamalab.model import Llama, Parts

    def attention(q, k, v, mask=None):
        k, v = (x.repeat_interleave(q.shape[2] // x.shape[2], dim=2) for x in (k, v))
        scores = torch.einsum("bthd,bshd->bhts", q, k).softmax(-1)
        return torch.einsum("bhts,bshd->bthd", scores, v)

    config = LlamaConfig(dim=24, n_layers=2, n_heads=6, n_kv_heads=2, vocab_size=40, max_seq_len=16)
    parts = Parts(rms_norm=rms_norm, apply_rope=apply_rope, attention=attention, swiglu=swiglu)
    model, tokens = Llama(config, parts), torch.zeros(3, 16, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(tokens)  # every token looks at 16, itself among them
    count = count_parameters(config)
    uncounted = 2 * (count["embedding"] + count["norms"]) * 3 * 16
    assert counter.get_total_flops() == inference_flops(config, 3 * 16, 16) - uncounted
