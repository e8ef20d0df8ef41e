"""Notebook 08: temperature, a draw, top-p, the repetition penalty, a round of speculation."""

ORDER = (
    "temperature",
    "sample_token",
    "top_p_filter",
    "repetition_penalty",
    "speculative_round",
)
