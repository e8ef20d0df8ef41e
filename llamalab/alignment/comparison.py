"""Two answers to one prompt, for DPO: how much more likely than the reference makes them each.

The prompt stands apart from the answers here: it is read by the model, and not weighed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import nn

from llamalab.alignment.dpo import dpo_loss, implicit_reward
from llamalab.alignment.reward_model import Pair, pad
from llamalab.alignment.rollout import Rollout, score
from llamalab.model import Llama


class Comparison(NamedTuple):
    """A prompt and two answers to it, as ids, with their EOS where they have one; and how strongly
    the first was preferred, from 0 to 3."""

    prompt: Sequence[int]
    chosen: Sequence[int]
    rejected: Sequence[int]
    strength: int

    def pair(self) -> Pair:
        """As a reward model reads it: each answer behind its prompt."""
        prompt = list(self.prompt)
        return Pair([*prompt, *self.chosen], [*prompt, *self.rejected], self.strength)


def texts(prompts: Sequence[Sequence[int]], answers: Sequence[Sequence[int]]) -> Rollout:
    """Prompts and answers that are there already, as if they had just been drawn. ValueError for a
    prompt or an answer without a token."""
    if not all(map(len, prompts)) or not all(map(len, answers)):
        raise ValueError("a prompt or an answer has no token")
    tokens, last = pad([[*prompt, *answer] for prompt, answer in zip(prompts, answers)])
    lengths = torch.tensor([len(prompt) for prompt in prompts])
    place = torch.arange(1, tokens.shape[1])  # of the token that is next
    mask = (place >= lengths[:, None]) & (place <= last[:, None])  # (B, T - 1)
    return Rollout(tokens, lengths, mask, torch.ones(len(prompts), dtype=torch.bool))


def comparison_loss(
    reference: Llama, beta: float, *, way: str = "torch"
) -> Callable[[nn.Module, Sequence[Comparison]], tuple[torch.Tensor, dict[str, float]]]:
    """DPO's loss of a batch of comparisons, for `fit`. accuracy: the share of pairs in which the
    policy has gained more on the chosen answer; reward_chosen: what it has gained there, times
    beta. way: one of `cpu_kernels.MATMULS`. ValueError if beta is not above 0."""
    if not beta > 0:
        raise ValueError(f"beta={beta} must be above 0")

    def loss_of(
        policy: nn.Module, batch: Sequence[Comparison]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        prompts = [one.prompt for one in batch] * 2
        both = texts(prompts, [one.chosen for one in batch] + [one.rejected for one in batch])
        assert isinstance(policy, Llama)
        new = score(policy, both, way=way).sum(1).unflatten(0, (2, -1))  # (2, B)
        with torch.no_grad():
            old = score(reference, both, way=way).sum(1).unflatten(0, (2, -1))
            chosen, rejected = implicit_reward(new, old, beta)  # (B,) each
        measured = {
            "accuracy": float(((chosen - rejected).sign() + 1).double().mean()) / 2,
            "reward_chosen": float(chosen.mean()),
            "reward_rejected": float(rejected.mean()),
        }
        return dpo_loss(new[0], new[1], old[0], old[1], beta), measured

    return loss_of
