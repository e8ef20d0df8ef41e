"""A text and a model so small that a run of them takes a second."""

from llamalab.config import LlamaConfig

STORIES = [f"the hen went {n} miles to the river, and {n} more to the sea." for n in range(60)]
CONFIG = LlamaConfig(dim=12, n_layers=1, n_heads=3, n_kv_heads=1, vocab_size=290, multiple_of=8,
                     max_seq_len=32)  # fmt: skip
