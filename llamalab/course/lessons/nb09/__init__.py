"""Notebook 09: the chat format, what is learned of it, rows, ghost attention, LoRA."""

ORDER = (
    "lora_linear",
    "lora_merge",
)
