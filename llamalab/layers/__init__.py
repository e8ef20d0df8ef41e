"""The layers of Llama 2, each a pure function in a file of its own.

Shapes throughout: B batch, T positions, D = dim, V = vocab_size.
"""

from llamalab.layers.embedding import embed
from llamalab.layers.norm import layer_norm, rms_norm

__all__ = ["embed", "layer_norm", "rms_norm"]
