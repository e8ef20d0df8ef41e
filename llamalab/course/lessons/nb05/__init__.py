"""Notebook 05: SiLU, the gated layer, its hidden size, its gradient."""

ORDER = (
    "silu",
    "swiglu",
    "ffn_hidden",
    "swiglu_backward",
)
