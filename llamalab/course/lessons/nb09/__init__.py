"""Notebook 09: a model that answers; LoRA."""

ORDER = (
    "lora_linear",
    "lora_merge",
)
