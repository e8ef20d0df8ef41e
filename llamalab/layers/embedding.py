"""Token ids to vectors: row `id` of a (V, D) matrix.

A lookup is a matrix product in disguise: a one-hot row times the matrix picks one row. Nobody
multiplies, because V is 32,000 and all but one of the factors are zero.
"""

import torch


def embed(tokens: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """tokens (B, T) of int32 or int64, weight (V, D) -> (B, T, D).

    ValueError for ids outside 0 .. V-1 and for ids that are not int32 or int64. Indexing alone
    would let negative ids count from the end, and would take booleans for a mask.
    """
    if tokens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"token ids must be int32 or int64; these are {tokens.dtype}")
    if tokens.numel() and (tokens.min() < 0 or tokens.max() >= weight.shape[0]):
        raise ValueError(
            f"token ids run from {tokens.min()} to {tokens.max()}, "
            f"but the embedding has rows 0 to {weight.shape[0] - 1}"
        )
    return weight[tokens]  # (B, T, D)
