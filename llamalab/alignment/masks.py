"""Sums and means over the tokens that count.

An answer shorter than its batch is padded, and what stands in the padding is undefined, perhaps
infinite or nan. So it is taken out before the arithmetic, not multiplied by 0 after it: 0 times
infinity is nan, and so is its gradient.
"""

import torch


def counted(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """x and mask of one shape, True or not 0 where a token counts -> the mask as True and False;
    without a mask all of x counts. ValueError for other shapes, and if nothing counts."""
    if mask is None:
        mask = torch.ones_like(x, dtype=torch.bool)
    if mask.shape != x.shape:
        raise ValueError(
            f"a mask of shape {tuple(mask.shape)} does not fit {tuple(x.shape)}: one mark a token"
        )
    if not (mask != 0).any():
        raise ValueError(f"the mask counts none of the {mask.numel()} tokens: nothing to average")
    return mask != 0


def masked_sum(x: torch.Tensor, mask: torch.Tensor | None, dim: int | None = None) -> torch.Tensor:
    """The sum over the counted places, of all or along `dim`; in float32 at least. ValueError as
    `counted`."""
    kept = wide(x).where(counted(x, mask), 0)
    return kept.sum() if dim is None else kept.sum(dim)


def masked_mean(x: torch.Tensor, mask: torch.Tensor | None, dim: int | None = None) -> torch.Tensor:
    """The mean over the counted places, of all or along `dim`; in float32 at least. ValueError as
    `counted`, and if a row along `dim` counts none."""
    mask = counted(x, mask)
    number = mask.sum() if dim is None else mask.sum(dim)
    if not number.all():
        raise ValueError(f"{int((number == 0).sum())} of {number.numel()} rows count no token")
    return masked_sum(x, mask, dim) / number


def wide(x: torch.Tensor) -> torch.Tensor:
    """x in float32; float64 stays. Losses in 16 bits keep three digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def check_shapes(**tensors: torch.Tensor) -> None:
    """ValueError, naming them, if tensors that belong together differ in shape: (B,) beside (B, 1)
    would broadcast to (B, B), and every answer would be compared with every other."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(f"one shape is asked for: {told}")
