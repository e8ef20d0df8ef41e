"""From logits to the next token: pure functions that bend a distribution, and one that draws.

    logits / temperature  ->  top-k  ->  top-p  ->  softmax  ->  draw

What is filtered out becomes -inf, so filters can follow each other in any order; `probabilities`
uses the order above, which is Meta's and transformers'. Equal logits: the lower id comes first.
Top-p is Meta's rule: a token stays if the probabilities BEFORE it add up to p or less, so the one
that crosses p stays. (transformers wants LESS than p; the two differ only where a sum hits p.)
Source: Meta's generation.py; top-p from Holtzman et al. 2019, repetition penalty from CTRL (2019).
"""

import math

import torch

GONE = float("-inf")


def scale_temperature(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """logits (..., V) -> (..., V): below 1 sharper, above 1 flatter. 0 is not a division: greedy
    choice is `probabilities(logits, temperature=0)`. ValueError for 0 and below."""
    if not 0 < temperature < math.inf:
        raise ValueError(f"temperature={temperature} must be a finite number above 0 to divide by")
    return logits / temperature


def keep_top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    """logits (..., V) -> (..., V): exactly the k largest stay (all, if k is larger than V).
    ValueError for k that is not a whole number of at least 1."""
    _check_k(k)
    order = logits.sort(dim=-1, descending=True, stable=True).indices  # (..., V)
    return logits.scatter(-1, order[..., k:], GONE)


def keep_top_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    """logits (..., V) -> (..., V): the most probable tokens stay until their sum has passed p.
    ValueError for p outside (0, 1]."""
    _check_p(p)
    if p == 1:
        return logits  # a rounded sum may pass 1 before its end
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probs = _softmax(ordered)
    before = probs.cumsum(-1) - probs  # (..., V): the sum of those in front of each
    kept = ordered.masked_fill(before > p, GONE)
    return logits.scatter(-1, order, kept)  # back in the order of ids


def penalize_repeats(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """logits (..., V), seen (..., N) the ids so far -> (..., V): a logit that was seen is divided
    by the penalty if positive, multiplied if negative. Once, however often it was seen."""
    check_penalty(penalty)
    found = logits.gather(-1, seen)  # (..., N)
    found = torch.where(found < 0, found * penalty, found / penalty)
    return logits.scatter(-1, seen, found)


def probabilities(
    logits: torch.Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> torch.Tensor:
    """logits (..., V) -> probabilities (..., V) in float32 (float64 for float64).

    temperature 0 puts everything on the largest logit. ValueError for options out of range, and
    for rows of logits without a finite maximum: nan, +inf, or nothing but -inf.
    """
    check_options(temperature, top_k, top_p)
    wide = logits if logits.dtype == torch.float64 else logits.float()
    largest = wide.amax(-1, keepdim=True)
    if not largest.isfinite().all():
        raise ValueError(
            f"a row's largest logit must be finite; {int(logits.isnan().sum())} of "
            f"{logits.numel()} logits are nan, {int(logits.isinf().sum())} are infinite"
        )
    if temperature == 0:
        return torch.zeros_like(wide).scatter(-1, wide.argmax(-1, keepdim=True), 1.0)
    wide = scale_temperature(wide - largest, temperature)  # 0 at most: no overflow, ever
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return _softmax(wide)


def draw(probs: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """probs (..., V) -> ids (...): one draw a row. Rows need not add up to 1. ValueError for one
    that is negative, and for a row of zeros."""
    total = probs.sum(-1)
    if not ((total > 0) & total.isfinite()).all() or (probs < 0).any():
        raise ValueError(
            f"probabilities must be 0 or more and not all 0; the smallest is "
            f"{float(probs.min()):g}, a row adds up to {float(total.min()):g}"
        )
    rows = probs.reshape(-1, probs.shape[-1])
    return torch.multinomial(rows, 1, generator=generator).reshape(probs.shape[:-1])


def check_options(temperature: float, top_k: int | None, top_p: float | None) -> None:
    """ValueError, naming the option, before anything is computed."""
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature={temperature} must be a finite number, 0 (greedy) or above")
    if top_k is not None:
        _check_k(top_k)
    if top_p is not None:
        _check_p(top_p)


def check_penalty(penalty: float) -> None:
    """ValueError, naming the option, before anything is computed."""
    if not 0 < penalty < math.inf:
        raise ValueError(f"repetition_penalty={penalty} must be a finite number above 0")


def _check_k(k: int) -> None:
    if not isinstance(k, int) or isinstance(k, bool) or k < 1:
        raise ValueError(f"top_k={k!r} must be a whole number of at least 1")


def _check_p(p: float) -> None:
    if not 0 < p <= 1:
        raise ValueError(f"top_p={p} must be above 0 and at most 1")


def _softmax(logits: torch.Tensor) -> torch.Tensor:
    """In float32 at least: bfloat16 sums have too few digits to be compared with p."""
    return logits.softmax(-1, dtype=None if logits.dtype == torch.float64 else torch.float32)
