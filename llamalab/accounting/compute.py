"""Exact parameter counts and training FLOPs from a config, without allocating a single tensor.

Per layer: wq and wo are dim x dim, wk and wv are dim x (n_kv_heads * head_dim), the feed-forward
layer has three matrices dim x hidden_dim, and two norms have dim weights each. Outside the
layers: the embedding, the last norm and the output head (none of its own when tied). No biases.

FLOPs of training, a multiplication and an addition being two: each parameter costs 2 a token going
forward and 4 backward, and attention 12 x n_layers x dim x seq_len beside (scores and mix, both
ways), counted without the causal mask's half. Source: PaLM's appendix B, as llama2.c has it.
"""

from llamalab.config import LlamaConfig


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


def training_flops(config: LlamaConfig, tokens: int, seq_len: int | None = None) -> float:
    """FLOPs to train on `tokens` in rows of seq_len (the whole context if None; 0 leaves
    attention's share out, which is the rule of thumb 6 N a token). ValueError for a number below
    0."""
    seq_len = config.max_seq_len if seq_len is None else seq_len
    if tokens < 0 or seq_len < 0:
        raise ValueError(f"tokens={tokens} and seq_len={seq_len} cannot be negative")
    attention = 12 * config.n_layers * config.n_heads * config.head_dim * seq_len
    return tokens * float(6 * count_parameters(config)["total"] + attention)
