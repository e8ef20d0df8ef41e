"""Notebook 07: packing, the loss under a mask, AdamW, the schedule, accumulated gradients."""

ORDER = (
    "pack",
    "masked_loss",
    "adamw_step",
    "cosine_rate",
    "accumulate",
)
