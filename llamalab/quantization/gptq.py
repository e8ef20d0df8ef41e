"""GPTQ: round one column at a time, and let the columns that are still free make up for the error.

    H = 2/n sum x x^T                  how much each pair of inputs counts in the layer's output
    U = upper Cholesky of H^-1         row i says what column i passes on to those after it
    e = (w_i - q_i) / U_ii             the error of column i, in these units
    w_j = w_j - e U_ij                 for every later column j

Rounding to nearest asks which weights are near; GPTQ asks which outputs are. For each row it
minimises |(w - q) X|^2 greedily: after each column the rest is the least squares solution again.
A dead input (a zero on H's diagonal) gets weight 0; 1 % of the diagonal's mean is added (damping),
so that H can be inverted. Blocks of columns: inside one every step is passed on at once, to those
after it in one product.
Left out on purpose: act_order, which takes the columns with the largest H_ii first.
Source: GPTQ (Frantar and others 2022), algorithm 1, and its repository's gptq.py.
"""

import torch

from .blocks import checked
from .grid import Grid, check_grid, find_grid, make_grid, to_grid


def gptq(
    weight: torch.Tensor,
    inputs: torch.Tensor,
    bits: int = 4,
    group_size: int | None = None,
    *,
    damping: float = 0.01,
    block: int = 128,
) -> Grid:
    """weight (out, in), inputs (..., in) that the layer was given -> a Grid.

    group_size: numbers of a row that share a scale; None is the whole row. ValueError for what
    `round_to_nearest` refuses, for inputs of another width, and for a Hessian that damping does
    not make invertible.
    """
    weight = checked(weight)
    size = check_grid(weight, bits, group_size)
    H = hessian(inputs)
    if H.shape[0] != weight.shape[1]:
        raise ValueError(f"inputs have {H.shape[0]} numbers, the weight's rows {weight.shape[1]}")
    if damping < 0 or block < 1:
        raise ValueError(f"damping={damping} must be at least 0 and block={block} at least 1")
    dead = H.diagonal() == 0
    H[dead, dead] = 1
    weight = weight.masked_fill(dead, 0.0)
    codes, scales, zeros = _round(weight, inverse_cholesky(H, damping), size, bits, block)
    return make_grid(codes, scales, zeros, bits)


def hessian(inputs: torch.Tensor) -> torch.Tensor:
    """inputs (..., in) -> 2/n sum x x^T (in, in), in float64: it is about to be inverted."""
    x = checked(inputs).flatten(0, -2).double()  # (n, in)
    return 2 / len(x) * x.T @ x


def inverse_cholesky(H: torch.Tensor, damping: float) -> torch.Tensor:
    """The upper factor U of H^-1 = U^T U, H damped by a share of its diagonal's mean. ValueError
    if it has none."""
    damped = H + damping * H.diagonal().mean() * torch.eye(len(H), dtype=H.dtype, device=H.device)
    try:
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(damped))
        return torch.linalg.cholesky(inverse, upper=True)
    except torch.linalg.LinAlgError:
        raise ValueError(
            f"the Hessian of {len(H)} inputs cannot be inverted with damping={damping}: "
            "give more inputs, or more damping"
        ) from None


def _round(
    weight: torch.Tensor, U: torch.Tensor, size: int, bits: int, block: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """weight (out, in), U (in, in) -> codes (out, in), scales and zeros (out, groups), floats."""
    rows, width = weight.shape
    w = weight.double()  # a copy: it is written to
    codes = torch.empty(rows, width, device=w.device)
    scales = torch.empty(rows, width // size, device=w.device)
    zeros = torch.empty_like(scales)
    for start in range(0, width, block):
        stop = min(start + block, width)
        errors = torch.empty(rows, stop - start, dtype=w.dtype, device=w.device)
        for i in range(start, stop):
            group = i // size
            if i % size == 0:  # the grid of what the group has become by now
                seen = w[:, i : i + size].clone()
                if i + size > stop:  # columns after the block wait for the block's errors
                    seen[:, stop - i :] -= errors[:, : i - start] @ U[start:i, stop : i + size]
                scale, zero = find_grid(seen.float(), bits)
                scales[:, group], zeros[:, group] = scale[:, 0], zero[:, 0]
            scale, zero = scales[:, group], zeros[:, group]
            code = to_grid(w[:, i].float(), scale, zero, bits)
            codes[:, i] = code
            error = (w[:, i] - (code - zero) * scale) / U[i, i]  # (out,)
            w[:, i + 1 : stop] -= error[:, None] * U[i, i + 1 : stop]
            errors[:, i - start] = error
        w[:, stop:] -= errors @ U[start:stop, stop:]
    return codes, scales, zeros
