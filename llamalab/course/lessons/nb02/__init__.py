"""Notebook 02: a lookup as a product, its gradient, RMSNorm, its half precision, its gradient."""

ORDER = (
    "embed_product",
    "embed_backward",
    "rms_norm",
    "rms_norm_half",
    "rms_norm_backward",
)
