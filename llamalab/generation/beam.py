"""Beam search: keep the few likeliest texts so far, not one alone, and extend all of them.

    score = (sum of log-probabilities) / length ** length_penalty

Greedy choice is one beam. Of all continuations of all beams the likeliest go on; one that ends in
a stop id is set aside with its score, if it is among the best `beams`. The length counts the stop
id. The search ends when no running beam can still beat the worst of `beams` finished ones, by the
best score that any length up to max_new_tokens could give it (transformers' early_stopping="never";
its default guesses with the present length, and may end too soon).
Left out on purpose: batches of prompts, sampling, early stopping.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch

from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import new_cache
from llamalab.model import Llama

NEVER = float("-inf")


@dataclass(frozen=True)
class Beam:
    """A finished text: the new ids without the stop id, and the score that it was ranked by."""

    ids: list[int]
    score: float


@torch.inference_mode()
def beam_search(
    model: Llama,
    ids: Iterable[int] | torch.Tensor,
    max_new_tokens: int,
    *,
    beams: int = 4,
    length_penalty: float = 1.0,
    stop_ids: Iterable[int] = (),
) -> list[Beam]:
    """The best continuations found, at most `beams`, best first. length_penalty 0 ranks by
    probability alone, which favours short texts; above 0 longer ones gain. ValueError for options
    out of range, and for logits that are nan."""
    prompt = read_prompt(model, ids)
    check_room(model, prompt, max_new_tokens)
    if not isinstance(beams, int) or beams < 1:
        raise ValueError(f"beams={beams!r} must be a whole number of at least 1")
    if not abs(length_penalty) < float("inf"):
        raise ValueError(f"length_penalty={length_penalty} must be a finite number")
    stop_ids, V = frozenset(stop_ids), model.config.vocab_size
    cache = new_cache(model, beams, len(prompt) + max_new_tokens)
    device = model.norm.weight.device
    tokens = torch.tensor([prompt] * beams, device=device)  # (beams, T)
    running: list[list[int]] = [[] for _ in range(beams)]
    sums = torch.full((beams, 1), NEVER, device=device)
    sums[0] = 0  # all beams are the same prompt yet: only the first one counts
    finished: list[Beam] = []
    for length in range(1, max_new_tokens + 1):
        logits = model(tokens, cache)[:, -1]
        ahead = (sums + logits.float().log_softmax(-1)).flatten()  # (beams V,)
        if ahead.isnan().any():
            raise ValueError(f"{int(logits.isnan().sum())} of {logits.numel()} logits are nan")
        # So many that `beams` go on even if every beam's likeliest tokens are its stop ids.
        best = ahead.topk(min(beams * (1 + len(stop_ids)), len(ahead)))
        going: list[tuple[float, int, int]] = []
        for rank, (total, index) in enumerate(zip(best.values.tolist(), best.indices.tolist())):
            parent, token = divmod(index, V)
            stopped = token in stop_ids
            if total == NEVER:
                break
            if stopped or length == max_new_tokens:
                if rank < beams:
                    text = running[parent] + ([] if stopped else [token])
                    finished.append(Beam(text, total / length**length_penalty))
            elif len(going) < beams:
                going.append((total, parent, token))
        finished = sorted(finished, key=lambda beam: -beam.score)[:beams]
        if not going or _nothing_better(going[0][0], length, max_new_tokens, length_penalty) <= (
            finished[-1].score if len(finished) == beams else NEVER
        ):
            break
        going += [(NEVER, 0, 0)] * (beams - len(going))  # a small vocabulary fills no more
        running = [running[parent] + [token] for _, parent, token in going]
        sums = torch.tensor([[total] for total, _, _ in going], device=device)  # (beams, 1)
        tokens = torch.tensor([[token] for _, _, token in going], device=device)  # (beams, 1)
        cache.keep([parent for _, parent, _ in going])  # the past of the beam that goes on
    return finished


def _nothing_better(total: float, length: int, longest: int, penalty: float) -> float:
    """The best score a running beam can still reach: its sum only falls, and its length will be
    the longest where length helps, the next one where it hurts."""
    return total / (longest if penalty > 0 else length + 1) ** penalty
