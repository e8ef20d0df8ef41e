"""Notebook 09: a model that answers. The chat format, what is learned of it, packing, GAtt."""

ORDER = (
    "encode_dialog",
    "answer_mask",
    "pack_examples",
    "ghost_attention",
)
