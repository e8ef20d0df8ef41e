"""The reward model's loss, and how two scores become one.

    loss = mean of -ln sigma(r_chosen - r_rejected - margin)

is Bradley and Terry's: sigma(r_a - r_b) is the probability that a is preferred to b. Only
differences count, so the scores have no zero and no unit until they are whitened. With a margin
the chosen answer has to win by that much.
Source: the Llama 2 paper, sections 3.2.2 and 3.2.3, margins in table 27. It does not say which
margin the final model used, nor over what the scores are whitened.
"""

import torch
import torch.nn.functional as F

from llamalab.alignment.masks import check_shapes, counted, masked_mean, wide

# By how much the chosen answer is better, as annotators say it, from 0 to 3; and the margins.
STRENGTHS = ("negligibly better or unsure", "slightly better", "better", "significantly better")
MARGINS = {
    "none": (0.0, 0.0, 0.0, 0.0),
    "small": (0.0, 1 / 3, 2 / 3, 1.0),
    "large": (0.0, 1.0, 2.0, 3.0),
}
UNSAFE = 0.15  # a safety score below it counts whatever the prompt
LOGIT_EPS = 1e-6  # probabilities are kept this far from 0 and 1: logits within 13.8


def reward_loss(
    chosen: torch.Tensor, rejected: torch.Tensor, margin: float | torch.Tensor = 0.0
) -> torch.Tensor:
    """Scores (B,) of the chosen and the rejected answer, margin one number or (B,) -> a scalar, in
    nats: ln 2 for a model that cannot tell. ValueError for other shapes and for no pairs."""
    check_shapes(chosen=chosen, rejected=rejected)
    if isinstance(margin, torch.Tensor) and margin.ndim:
        check_shapes(chosen=chosen, margin=margin)
    if not chosen.numel():
        raise ValueError("0 pairs: there is nothing to average")
    return -F.logsigmoid(wide(chosen) - wide(rejected) - margin).mean()


def combined_reward(
    safety: torch.Tensor, helpfulness: torch.Tensor, is_safety_prompt: torch.Tensor
) -> torch.Tensor:
    """Two scores between 0 and 1 (sigmoids) and a mark, all of one shape -> the logit of the one
    that decides: safety if the prompt is about safety or the answer looks unsafe, else helpfulness.

    Finite at 0 and at 1. It is not whitened here: the paper's next step, `whiten`, needs a batch,
    and which one is the caller's choice. ValueError for other shapes and for scores that are not
    between 0 and 1.
    """
    check_shapes(safety=safety, helpfulness=helpfulness, is_safety_prompt=is_safety_prompt)
    for name, score in (("safety", safety), ("helpfulness", helpfulness)):
        if not ((score >= 0) & (score <= 1)).all():
            lowest, highest = score.min().item(), score.max().item()
            raise ValueError(
                f"{name} goes from {lowest:g} to {highest:g}; it must lie between 0 and 1: "
                "a sigmoid's output, not the score before it"
            )
    decides = (is_safety_prompt != 0) | (safety < UNSAFE)
    return torch.where(decides, wide(safety), wide(helpfulness)).logit(LOGIT_EPS)


def whiten(
    x: torch.Tensor, mask: torch.Tensor | None = None, shift_mean: bool = True
) -> torch.Tensor:
    """x and mask of one shape -> mean 0 and deviation 1 over the counted places, 0 at the others.

    The variance is the biased one, plus 1e-8: equal numbers become 0. With shift_mean=False only
    the deviation is made 1 and the mean stays, as rewards want it: their sign has a meaning.
    ValueError for other shapes, and if nothing counts.
    """
    mask = counted(x, mask)
    x = wide(x).where(mask, 0)  # what stands in padding reaches nothing, gradients included
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean) ** 2, mask)
    white = (x - mean) * torch.rsqrt(variance + 1e-8)
    return (white if shift_mean else white + mean).where(mask, 0)
