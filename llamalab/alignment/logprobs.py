"""What a model thinks of a text that is already written: the log-probability of each next token.

    log p(token t + 1 | tokens up to t),  p = softmax(logits / temperature)

Alignment lives on these numbers: KL, ratios and DPO are differences of them. "Next" happens here,
in `training.shift`. What was drawn at a temperature has to be scored at that temperature, or the
policy seems to have drifted from itself before its first step.
"""

import torch

from llamalab.alignment.masks import check_shapes, counted, masked_sum, wide
from llamalab.sampling import scale_temperature
from llamalab.training.losses import shift


def token_log_probs(
    logits: torch.Tensor, tokens: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """logits (B, T, V), tokens (B, T) -> (B, T - 1), in nats: at t the log-probability of token
    t + 1. In float32 at least. ValueError for shapes that do not go together, fewer than two
    tokens, and a temperature that cannot be divided by."""
    if logits.shape[:-1] != tokens.shape:
        raise ValueError(
            f"logits {tuple(logits.shape)} and tokens {tuple(tokens.shape)} do not go together: "
            "(B, T, V) and (B, T) are asked for"
        )
    _, targets = shift(tokens)  # (B, T - 1)
    logs = scale_temperature(wide(logits[:, :-1]), temperature).log_softmax(-1)  # (B, T - 1, V)
    return logs.gather(-1, targets[..., None])[..., 0]  # (B, T - 1)


def sequence_log_prob(
    logits: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """logits (B, T, V), tokens (B, T), mask (B, T) True on the answer's tokens -> (B,): the
    log-probability of each whole answer, a sum and not a mean. The mask moves with the tokens that
    it marks. ValueError for other shapes, and for a row whose mask marks nothing to predict."""
    check_shapes(tokens=tokens, mask=mask)
    logs, (_, marked) = token_log_probs(logits, tokens), shift(mask)  # (B, T - 1) each
    empty = (marked != 0).sum(-1) == 0
    if empty.any():
        raise ValueError(f"{int(empty.sum())} of {len(empty)} rows have no answer under the mask")
    return masked_sum(logs, counted(logs, marked), dim=-1)


def entropy(logits: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """logits (..., V) -> (...), in nats: ln V for one that knows nothing, 0 for one that is sure.
    A logit of -inf adds nothing. ValueError for a temperature that cannot be divided by."""
    logs = scale_temperature(wide(logits), temperature).log_softmax(-1)
    finite = logs.masked_fill(logs == float("-inf"), 0)  # 0 ln 0 is 0
    return -(logs.exp() * finite).sum(-1)
