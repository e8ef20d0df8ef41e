"""DPO's loss over batches of pairs, for `fit`; the reference's half of it is computed once.

The reference never changes, so its log-probabilities of all answers are known before the first
step. Each step then costs the policy alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from llamalab.alignment.dpo import dpo_loss, implicit_reward
from llamalab.alignment.fit import Loss
from llamalab.alignment.kl import k1
from llamalab.alignment.logprobs import sequence_log_prob
from llamalab.alignment.reward_model import Pair, device_of, pad
from llamalab.model import Llama
from llamalab.runtime.cpu_kernels import matmul
from llamalab.training.fused import in_fewer_passes


class Known(NamedTuple):
    """A pair, the length of its prompt, and the reference's log-probabilities of its two answers,
    in nats."""

    pair: Pair
    prompt_length: int
    chosen: float = 0.0
    rejected: float = 0.0


def log_probs(model: torch.nn.Module, batch: Sequence[Known]) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of the chosen and of the rejected answers, (B,) each."""
    rows = [known.pair.chosen for known in batch] + [known.pair.rejected for known in batch]
    tokens, last = pad(rows, device=device_of(model))
    starts = last.new_tensor([known.prompt_length for known in batch] * 2)
    places = torch.arange(tokens.shape[1], device=tokens.device)
    mask = (places >= starts[:, None]) & (places <= last[:, None])  # (2 B, T), the answers
    both = sequence_log_prob(model(tokens), tokens, mask)
    return both[: len(batch)], both[len(batch) :]


@torch.no_grad()
def with_reference(
    reference: Llama, pairs: Iterable[tuple[Pair, int]], *, batch_size: int = 32, way: str = "torch"
) -> list[Known]:
    """Pairs and the lengths of their prompts -> the same with the reference's log-probabilities.
    way: how matrix products are computed, one of `cpu_kernels.MATMULS`."""
    known = [Known(pair, length) for pair, length in pairs]
    model, found = in_fewer_passes(reference, way), []
    for start in range(0, len(known), batch_size):
        batch = known[start : start + batch_size]
        with matmul(way):
            chosen, rejected = log_probs(model, batch)
        for one, c, r in zip(batch, chosen.tolist(), rejected.tolist()):
            found.append(one._replace(chosen=c, rejected=r))
    return found


def dpo_loss_of(beta: float) -> Loss:
    """The loss of a batch, and what it measures: how often the chosen answer gained more than the
    rejected one, the gap between the two rewards, and how far the chosen answers have moved."""

    def loss_of(
        model: torch.nn.Module, batch: Sequence[Known]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen, rejected = log_probs(model, batch)
        ref_chosen = chosen.new_tensor([known.chosen for known in batch])
        ref_rejected = rejected.new_tensor([known.rejected for known in batch])
        loss = dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta)
        with torch.no_grad():
            gap = implicit_reward(chosen, ref_chosen, beta) - implicit_reward(
                rejected, ref_rejected, beta
            )
            moved = k1(chosen, ref_chosen).mean()
        return loss, {
            "accuracy": float((gap > 0).double().mean()),
            "margin": float(gap.mean()),
            "chosen_moved": float(moved),
        }

    return loss_of
