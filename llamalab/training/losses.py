"""The loss of pretraining: the surprise at each next token, averaged over the tokens that count.

    loss = sum over counted tokens of -ln p(target)  /  their number

The number is that of a whole step, over all its micro-batches and processes: a mean of means would
weigh a short answer's tokens more than a long one's. So the sum and the division stand apart.
`shift` is the one place where "next" happens; a mask shifts with the targets, not with the inputs.
A fresh model's loss is ln(vocab_size): it knows nothing, and knows it.
"""

import torch
import torch.nn.functional as F


def shift(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """tokens (B, T + 1), or a mask over them -> inputs (B, T), targets (B, T): each the next.
    ValueError for another shape."""
    if tokens.ndim != 2 or tokens.shape[1] < 2:
        raise ValueError(f"tokens must be (B, T + 1), T at least 1; they are {tuple(tokens.shape)}")
    return tokens[:, :-1], tokens[:, 1:]


def summed_loss(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """logits (B, T, V), targets (B, T), mask (B, T) of weights or True/False -> the sum, in nats,
    a float32 scalar (float64 for float64). Where the mask is 0 the target may be any id. ValueError
    for shapes that do not go together."""
    if logits.shape[:-1] != targets.shape or (mask is not None and mask.shape != targets.shape):
        sizes = f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)}"
        sizes += "" if mask is None else f" and mask {tuple(mask.shape)}"
        raise ValueError(f"{sizes} do not go together: (B, T, V), (B, T), (B, T) are asked for")
    wide = torch.promote_types(logits.dtype, torch.float32)
    logits, targets = logits.flatten(0, -2).to(wide), targets.flatten()  # (B T, V), (B T)
    if mask is None:
        return F.cross_entropy(logits, targets, reduction="sum")
    mask = mask.flatten()
    each = F.cross_entropy(logits, targets.where(mask != 0, 0), reduction="none")  # (B T,)
    return (each * mask).sum()


def next_token_loss(
    logits: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean over the counted tokens, in nats. ValueError if the mask counts none."""
    counted = targets.numel() if mask is None else mask.sum()
    if counted == 0:
        raise ValueError(f"the mask counts none of the {targets.numel()} tokens: nothing to learn")
    return summed_loss(logits, targets, mask) / counted
