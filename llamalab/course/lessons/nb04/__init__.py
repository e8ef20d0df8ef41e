"""Notebook 04: the causal mask, one head, grouped heads, a step with a cache, streaming softmax."""

ORDER = (
    "causal_mask",
    "one_head",
    "attention",
    "cached_step",
    "streaming_softmax",
)
