"""Notebook 12: a block of Q8_0, one of Q4_0, NF4's codes, whole numbers and outliers, GPTQ."""

ORDER = (
    "q8_block",
    "q4_block",
    "nf4_codes",
    "int8_product",
    "gptq_columns",
)
