"""Notebook 09: the chat format, what is learned of it, rows, ghost attention, LoRA."""

ORDER = (
    "encode_dialog",
    "answer_mask",
    "pack_examples",
    "ghost_attention",
    "lora_linear",
    "lora_merge",
)
