"""Notebook 03: the angles, the turn, the two layouts, longer contexts."""

ORDER = (
    "rope_angles",
    "rope",
    "permute_rope",
    "rope_stretch",
)
