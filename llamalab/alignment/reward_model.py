"""A reward model: the chat model, with a head that gives one number instead of V logits.

    score = w . x_last          x_last: the stream, normalised, at the answer's last token

It reads prompt and answer to the end and says how good the answer is. It begins as the chat model
and not as random numbers, so it already knows what the policy knows. Its score at the other tokens
means nothing until something is trained on it: PPO's value model is such a model.
Source: the Llama 2 paper, section 3.2.2; the head is drawn N(0, 1/sqrt(dim + 1)), as in Stiennon
et al. 2020.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import nn

from llamalab.alignment.rewards import MARGINS, reward_loss
from llamalab.model import Llama
from llamalab.runtime.cpu_kernels import matmul
from llamalab.training.fused import in_fewer_passes


class Pair(NamedTuple):
    """Two answers to a prompt, as ids, each with its prompt before it; which was preferred, and how
    strongly, from 0 to 3."""

    chosen: Sequence[int]
    rejected: Sequence[int]
    strength: int


def with_scalar_head(
    model: Llama, *, generator: torch.Generator | None = None, zero: bool = False
) -> Llama:
    """A copy of `model` whose output is one number a token: model(tokens) is (B, T, 1). zero: a
    head of zeros, for a value model that is to start from "no idea"."""
    scorer, weight = copy.deepcopy(model), model.norm.weight
    head = torch.zeros(1, model.config.dim)
    if not zero:
        head.normal_(0, (model.config.dim + 1) ** -0.5, generator=generator)
    scorer.output = nn.Linear(model.config.dim, 1, bias=False, device="meta")  # nothing is drawn
    scorer.output.weight = nn.Parameter(head.to(weight))
    return scorer


def pad(
    rows: Sequence[Sequence[int]], fill: int = 0, *, device: torch.device | str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of ids -> tokens (B, T), padded on the right, and the place of each row's last id (B,),
    both on `device`. A causal model does not see the padding from the ids before it. ValueError
    for an empty row."""
    if not rows or not all(len(row) for row in rows):
        raise ValueError(f"{len(rows)} rows, of which none may be empty")
    longest = max(map(len, rows))
    filled = [[*row, *[fill] * (longest - len(row))] for row in rows]
    last = [len(row) - 1 for row in rows]
    return torch.tensor(filled, device=device), torch.tensor(last, device=device)


def device_of(model: nn.Module) -> torch.device:
    """Where the model's weights are."""
    return next(model.parameters()).device


def scores(model: nn.Module, tokens: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """tokens (B, T), last (B,) the place of each row's last token -> scores (B,)."""
    return model(tokens)[torch.arange(len(tokens), device=tokens.device), last, 0]


def pair_batches(
    pairs: Sequence[Pair], batch_size: int, *, epochs: int = 1, seed: int = 0
) -> Iterator[list[Pair]]:
    """Batches in a seeded order, each pair once an epoch; the last of an epoch may be smaller.
    ValueError for no pairs."""
    if not pairs or batch_size < 1:
        raise ValueError(f"{len(pairs)} pairs, batch_size={batch_size}: both must be at least 1")
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        order = torch.randperm(len(pairs), generator=generator).tolist()
        for start in range(0, len(order), batch_size):
            yield [pairs[i] for i in order[start : start + batch_size]]


def pair_loss(margins: str = "small"):
    """The loss of a batch of pairs, for `fit`, with the share of pairs in the right order as
    `accuracy`. margins: a name of MARGINS."""
    table = MARGINS[margins]

    def loss_of(model: nn.Module, batch: Sequence[Pair]) -> tuple[torch.Tensor, dict[str, float]]:
        chosen, rejected = pair_scores(model, batch)
        margin = chosen.new_tensor([table[pair.strength] for pair in batch])  # (B,)
        right = (chosen > rejected).double().mean()
        return reward_loss(chosen, rejected, margin), {"accuracy": float(right)}

    return loss_of


def pair_scores(model: nn.Module, batch: Sequence[Pair]) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs -> scores of the chosen and of the rejected answers, (B,) each."""
    rows = [pair.chosen for pair in batch] + [pair.rejected for pair in batch]
    both = scores(model, *pad(rows, device=device_of(model)))  # (2 B,)
    return both[: len(batch)], both[len(batch) :]


@torch.no_grad()
def score_all(
    model: nn.Module, rows: Iterable[Sequence[int]], batch_size: int = 64, way: str = "torch"
) -> torch.Tensor:
    """Scores (N,), float32, of rows of ids, prompt and answer in each, on the model's device. way:
    how matrix products are computed, one of `cpu_kernels.MATMULS`."""
    rows, model = list(rows), in_fewer_passes(model, way)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))  # alike in length: little padding
    device = device_of(model)
    found = torch.empty(len(rows), device=device)
    for start in range(0, len(rows), batch_size):
        part = order[start : start + batch_size]
        with matmul(way):
            batch = pad([rows[i] for i in part], device=device)
            found[part] = scores(model, *batch).float()
    return found
