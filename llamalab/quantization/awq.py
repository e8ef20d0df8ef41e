"""AWQ: a few input channels carry large activations; scale their weights up before rounding.

    (W s) (x / s) = W x          exactly, before rounding; after it, the scaled columns err less

A column that is multiplied by s > 1 is rounded in steps that are s times finer for it, as long as
it does not set its group's range. Which channels deserve that is seen in the ACTIVATIONS, not in
the weights: s = mean|x|^alpha, and of 20 alphas the one with the least error of the output is kept.
1/s is folded into what comes before (a norm's weight), so that running costs nothing more.
Left out on purpose: AWQ's second search, for a clipping of the range.
Source: AWQ (Lin and others 2023) and its repository's auto_scale.py.
"""

import torch

from .blocks import checked
from .grid import round_to_nearest

ALPHAS = 20


def awq_scales(
    weight: torch.Tensor, inputs: torch.Tensor, bits: int = 4, group_size: int | None = None
) -> torch.Tensor:
    """weight (out, in), inputs (..., in) -> s (in,): round weight * s, and divide the inputs by s.

    Matrices that read the same input share one s: give them stacked along `out`. ValueError for
    what `round_to_nearest` refuses, and for inputs of another width.
    """
    weight, inputs = checked(weight), checked(inputs)
    if inputs.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"inputs have {inputs.shape[-1]} numbers, the weight's rows {weight.shape[-1]}"
        )
    x = inputs.flatten(0, -2)  # (n, in)
    size = x.abs().mean(0)  # (in,): the activations' salience
    second = x.double().T @ x.double() / len(x)  # (in, in): all that the output's error needs
    best, least = torch.ones_like(size), float("inf")
    for step in range(ALPHAS):  # step 0 is s = 1: rounding to nearest as it is
        s = size.pow(step / ALPHAS).clamp(min=1e-4)
        s = s / (s.max() * s.min()).sqrt()
        rounded = round_to_nearest(weight * s, bits, group_size).numbers() / s
        gap = (rounded - weight).double()
        error = float(((gap @ second) * gap).sum())
        if error < least:
            best, least = s, error
    return best
