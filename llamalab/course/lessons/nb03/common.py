"""What several exercises of notebook 03 share."""

import torch


def _angles(positions, head_dim, theta, exponent):
    """Angles from any list of exponents: for the misconceptions below."""
    return positions[..., None] * theta**exponent


def rope_angles_of(positions, head_dim, theta):
    """The right angles, for misconceptions that spoil them afterwards."""
    return _angles(positions, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)
