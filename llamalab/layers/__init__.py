"""The layers of Llama 2, each a pure function in a file of its own.

Shapes throughout: B batch, T positions asked about, S positions looked at, H query heads, n_kv
KV heads, D = dim for whole vectors and head_dim inside attention, V = vocab_size.
"""

from llamalab.layers.attention import attention, attention_slowly, causal_mask
from llamalab.layers.embedding import embed
from llamalab.layers.feedforward import swiglu
from llamalab.layers.kv_cache import KVCache, take_rows
from llamalab.layers.norm import layer_norm, rms_norm
from llamalab.layers.rope import RopeTable, apply_rope, rope_table

__all__ = ["KVCache", "RopeTable", "apply_rope", "attention", "attention_slowly", "causal_mask",
           "embed", "layer_norm", "rms_norm", "rope_table", "swiglu",
           "take_rows"]  # fmt: skip
