"""Notebook 06: the block, the exact count, the initialisation, and a checkpoint in shards."""

ORDER = (
    "block",
    "init_std",
    "count_llama",
    "merge_shards",
)
