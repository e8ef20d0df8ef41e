"""Notebook 13: FLOPs, utilization, ranges of carbon, a table to its last digit, its lost row."""

ORDER = (
    "training_flops",
    "mfu",
    "carbon_range",
    "printed_tonnes",
    "missing_row",
)
