"""The shape of a Llama 2: ten numbers and what follows from them.

Names are Meta's (params.json). Presets carry the paper's sizes; 34B was described in the paper
but never released, and its row here is CodeLlama-34B's shape, which is an inference.
`tiny` is the course's own: no two of its sizes coincide, so that a transposed axis or a
confusion of heads and KV heads cannot hide. `tales` is the shape of the small model that the
course trains and ships; like most small models it uses one table twice (tie_embeddings).
Source: Meta's model.py and params.json; facts recomputed in the lessons.
"""

from dataclasses import dataclass
from typing import Any

from llamalab.runtime.derived import derived
from llamalab.runtime.numbers import require_positive, require_whole

PRESETS: dict[str, dict[str, Any]] = {
    "llama-2-7b": dict(dim=4096, n_layers=32, n_heads=32),
    "llama-2-13b": dict(dim=5120, n_layers=40, n_heads=40),
    "llama-2-34b": dict(dim=8192, n_layers=48, n_heads=64, n_kv_heads=8),
    "llama-2-70b": dict(dim=8192, n_layers=80, n_heads=64, n_kv_heads=8,
                        multiple_of=4096, ffn_dim_multiplier=1.3),
    "tiny": dict(dim=96, n_layers=3, n_heads=6, n_kv_heads=2, vocab_size=512,
                 multiple_of=32, max_seq_len=192),
    "tales": dict(dim=192, n_layers=6, n_heads=6, n_kv_heads=2, vocab_size=1024,
                  multiple_of=32, max_seq_len=256, tie_embeddings=True),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LlamaConfig:
    """Sizes of one model. `n_kv_heads=None` means one per query head; `hidden_dim=None` means
    Meta's rule (see `ffn_hidden_dim`); both are numbers when read, and follow the other sizes in
    a `replace`. rope_scaling_factor: positions are divided by it, so that a model stretches over
    a longer context (position interpolation). A size that cannot be built is a ValueError."""

    dim: int
    n_layers: int
    n_heads: int
    n_kv_heads: derived = derived(lambda config: config.n_heads)
    vocab_size: int = 32000
    hidden_dim: derived = derived(
        lambda config: ffn_hidden_dim(config.dim, config.multiple_of, config.ffn_dim_multiplier)
    )
    multiple_of: int = 256
    ffn_dim_multiplier: float | None = None
    norm_eps: float = 1e-5
    max_seq_len: int = 4096
    rope_theta: float = 10000.0
    rope_scaling_factor: float = 1.0
    tie_embeddings: bool = False

    def __post_init__(self) -> None:
        require_whole(self, "dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size")
        require_whole(self, "multiple_of", "max_seq_len")
        require_positive(self, "norm_eps", "rope_theta", "rope_scaling_factor")
        if self.ffn_dim_multiplier is not None:
            require_positive(self, "ffn_dim_multiplier")
        require_whole(self, "hidden_dim")
        if self.dim % self.n_heads:
            raise ValueError(f"n_heads={self.n_heads} must divide dim={self.dim}")
        if self.n_heads % self.n_kv_heads:
            raise ValueError(f"n_kv_heads={self.n_kv_heads} must divide n_heads={self.n_heads}")
        if self.head_dim % 2:
            raise ValueError(
                f"dim/n_heads = {self.head_dim} must be even: RoPE turns pairs of numbers"
            )

    @property
    def head_dim(self) -> int:
        return self.dim // self.n_heads

    @classmethod
    def from_name(cls, name: str, **changes: Any) -> "LlamaConfig":
        """A preset by its exact name, with `changes` to its fields. ValueError, with the known
        names, for another one; and for sizes that cannot be built."""
        if name not in PRESETS:
            raise ValueError(f"no preset called {name!r}; there are {', '.join(PRESETS)}")
        return cls(**PRESETS[name] | changes)


def ffn_hidden_dim(dim: int, multiple_of: int, ffn_dim_multiplier: float | None = None) -> int:
    """Width of the feed-forward layer by Meta's rule. The order of the roundings matters:
    two thirds of 4*dim, truncated; times the multiplier, truncated; rounded up to multiple_of."""
    hidden = int(2 * (4 * dim) / 3)
    if ffn_dim_multiplier is not None:
        hidden = int(ffn_dim_multiplier * hidden)
    return multiple_of * -(-hidden // multiple_of)
