"""Exact parameter counts and FLOPs from a config, without allocating a single tensor.

Per layer: wq and wo are dim x dim, wk and wv are dim x (n_kv_heads * head_dim), the feed-forward
layer has three matrices dim x hidden_dim, and two norms have dim weights each. Outside the
layers: the embedding, the last norm and the output head (none of its own when tied). No biases.

FLOPs of training, a multiplication and an addition being two: each parameter costs 2 a token going
forward and 4 backward, and attention another 12 x n_layers x dim x seq_len (scores and mix, both
ways). That counts every pair of positions; a causal kernel skips those above the diagonal, which
is half. Source: PaLM's appendix B, as llama2.c has it.

MFU, model FLOPs utilization: those FLOPs over what the devices could have done in their hours.
"""

from llamalab.config import LlamaConfig


def matrix_shapes(config: LlamaConfig) -> dict[str, tuple[int, int]]:
    """Meta's name, without the layer's number, and shape (out, in) of every matrix of a layer."""
    heads, kv_heads = config.n_heads * config.head_dim, config.n_kv_heads * config.head_dim
    dim, hidden = config.dim, config.hidden_dim
    return {
        "attention.wq": (heads, dim),
        "attention.wk": (kv_heads, dim),
        "attention.wv": (kv_heads, dim),
        "attention.wo": (dim, heads),
        "feed_forward.w1": (hidden, dim),
        "feed_forward.w2": (dim, hidden),
        "feed_forward.w3": (hidden, dim),
    }


def count_parameters(config: LlamaConfig) -> dict[str, int]:
    """Parameters of each part and their `total`. Parts: embedding, attention, feed_forward,
    norms, output; output is 0 when the head shares the embedding's matrix."""
    kv_dim = config.n_kv_heads * config.head_dim
    parts = {
        "embedding": config.vocab_size * config.dim,
        "attention": config.n_layers * (2 * config.dim**2 + 2 * config.dim * kv_dim),
        "feed_forward": config.n_layers * 3 * config.dim * config.hidden_dim,
        "norms": (2 * config.n_layers + 1) * config.dim,
        "output": 0 if config.tie_embeddings else config.vocab_size * config.dim,
    }
    return parts | {"total": sum(parts.values())}


def training_flops(
    config: LlamaConfig, tokens: int, seq_len: int | None = None, *, causal: bool = False
) -> float:
    """FLOPs to train on `tokens` in rows of seq_len (the whole context if None; 0 leaves
    attention's share out, which is the rule of thumb 6 N a token). causal: count only the half of
    the pairs that a causal kernel computes. ValueError for a number below 0."""
    seq_len = config.max_seq_len if seq_len is None else seq_len
    _refuse_negative(tokens=tokens, seq_len=seq_len)
    attention = 12 * config.n_layers * config.n_heads * config.head_dim * seq_len
    if causal:
        attention //= 2
    return tokens * float(6 * count_parameters(config)["total"] + attention)


def inference_flops(config: LlamaConfig, tokens: int, context: int = 0) -> float:
    """FLOPs to write `tokens`, each looking back at `context` others: 2 a parameter, and 4 x
    n_layers x dim for each of those (one score, one share of the mix). ValueError below 0."""
    _refuse_negative(tokens=tokens, context=context)
    attention = 4 * config.n_layers * config.n_heads * config.head_dim * context
    return tokens * float(2 * count_parameters(config)["total"] + attention)


def mfu(flops: float, gpu_hours: float, peak_tflops: float) -> float:
    """The share of the peak that went into the model, from 0 to 1 (above 1 something is counted
    wrongly). peak_tflops: of one device, in 10^12 FLOP/s, dense. ValueError for hours or a peak
    that are not above 0, or FLOPs below 0."""
    _refuse_negative(flops=flops)
    if gpu_hours <= 0 or peak_tflops <= 0:
        raise ValueError(f"gpu_hours={gpu_hours} and peak_tflops={peak_tflops} must be above 0")
    return flops / (gpu_hours * 3600 * peak_tflops * 1e12)


def gpu_hours(flops: float, peak_tflops: float, mfu: float) -> float:
    """The other way round: hours of one device for so many FLOPs. ValueError for FLOPs below 0,
    a peak that is not above 0, or an mfu that is not above 0 and at most 1."""
    _refuse_negative(flops=flops)
    if peak_tflops <= 0 or not 0 < mfu <= 1:
        raise ValueError(f"peak_tflops={peak_tflops} must be above 0, and mfu={mfu} from 0 to 1")
    return flops / (peak_tflops * 1e12 * mfu) / 3600


def _refuse_negative(**given: float) -> None:
    if any(value < 0 for value in given.values()):
        said = " and ".join(f"{name}={value}" for name, value in given.items())
        raise ValueError(f"{said} cannot be negative")
