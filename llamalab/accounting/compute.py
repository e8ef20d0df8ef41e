"""Exact parameter counts from a config, without allocating a single tensor.

Per layer: wq and wo are dim x dim, wk and wv are dim x (n_kv_heads * head_dim), the feed-forward
layer has three matrices dim x hidden_dim, and two norms have dim weights each. Outside the
layers: the embedding, the last norm and the output head (none of its own when tied). No biases.
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
