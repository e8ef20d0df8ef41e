"""The reward of PPO: two reward models, one number for each answer.

    R = whiten(logit(Rc)),   Rc = Rs if the prompt is about safety or Rs < 0.15, else Rh

Rs and Rh are sigmoids of the two scores, each with an offset and a gain: pairs teach differences,
and leave open where 0 is, and two models learn them at two scales. `zero_at` sets the offset, by
labels or by the mean; the gains give both the same deviation, or one model would drown the other.
Whitening is by two numbers, mean and deviation over answers of the policy that training begins
with; they stay for the run. So a reward of 1 means "a deviation better than where we began", in
every iteration. (The paper says nothing of gains, and not over what it whitens.)
"""

from dataclasses import dataclass, replace

import torch

from llamalab.alignment.reward_model import scores
from llamalab.alignment.rewards import combined_reward
from llamalab.alignment.rollout import PORTION, Rollout
from llamalab.model import Llama
from llamalab.runtime.cpu_kernels import matmul
from llamalab.training.fused import in_fewer_passes


@dataclass(frozen=True)
class Scorer:
    """A reward model; its score is (head's output + offset) * gain."""

    model: Llama
    offset: float = 0.0
    gain: float = 1.0

    def logits(self, drawn: Rollout, way: str = "torch") -> torch.Tensor:
        """Scores (B,) of a rollout's answers: (score + offset) gain."""
        last = drawn.prompt_lengths + drawn.mask.sum(1) - 1  # (B,) where each answer's last id is
        order, found = last.argsort(), []  # rows of similar length together, a few at a time
        with torch.no_grad(), matmul(way):
            model = in_fewer_passes(self.model, way)
            for rows in order.split(PORTION):
                found.append(scores(model, drawn.rows(rows).tokens, last[rows]))
        return (torch.cat(found)[order.argsort()] + self.offset) * self.gain


@dataclass(frozen=True)
class Reward:
    """helpfulness and safety in one; mean and deviation are those of `whitened_by`. way: how matrix
    products are computed, one of `cpu_kernels.MATMULS`."""

    helpfulness: Scorer
    safety: Scorer
    mean: float = 0.0
    deviation: float = 1.0
    way: str = "torch"

    def __call__(
        self, drawn: Rollout, about_safety: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """A rollout, and whether each prompt is about safety (B,) -> rewards (B,), and the means of
        the two scores, between 0 and 1."""
        safety = self.safety.logits(drawn, self.way).sigmoid()
        helpfulness = self.helpfulness.logits(drawn, self.way).sigmoid()
        reward = combined_reward(safety, helpfulness, about_safety.to(safety.device))
        measured = {"helpfulness": float(helpfulness.mean()), "safety": float(safety.mean())}
        return (reward - self.mean) / self.deviation, measured

    def balanced_by(self, drawn: Rollout, about_safety: torch.Tensor) -> "Reward":
        """The same, with gains that give both models a deviation of 1: safety over all of these
        answers, helpfulness, with a mean of 0, over those where it decides. ValueError if all
        answers are scored the same, or none is there for one of the two."""
        safety = replace(self.safety, gain=1.0).logits(drawn, self.way)
        plain = replace(self.helpfulness, offset=0.0, gain=1.0).logits(drawn, self.way)
        plain = plain[~about_safety.bool()]
        if not (len(plain) > 1 and plain.std() > 0 and safety.std() > 0):
            raise ValueError(
                f"{len(safety)} answers, {len(plain)} of them not about safety: the "
                f"scores of both kinds have to differ"
            )
        return replace(
            self,
            safety=replace(self.safety, gain=1 / float(safety.std())),
            helpfulness=replace(
                self.helpfulness, offset=-float(plain.mean()), gain=1 / float(plain.std())
            ),
        )

    def whitened_by(self, drawn: Rollout, about_safety: torch.Tensor) -> "Reward":
        """The same, with mean 0 and deviation 1 over these answers. ValueError for fewer than two
        answers, or if all are paid the same."""
        raw, _ = replace(self, mean=0.0, deviation=1.0)(drawn, about_safety)
        if len(raw) < 2 or not raw.std() > 0:
            raise ValueError(f"{len(raw)} answers with one and the same reward: nothing to whiten")
        return replace(self, mean=float(raw.mean()), deviation=float(raw.std()))


def zero_at(scores: torch.Tensor, good: torch.Tensor | None = None) -> float:
    """The offset that puts a model's 0 between good answers and others: scores and good (N,), of
    all cuts the one that most often agrees with the labels. Without labels: the mean becomes 0.
    ValueError for no scores."""
    if not len(scores):
        raise ValueError("no scores: there is no 0 to be found")
    if good is None:
        return -float(scores.mean())
    ordered, order = scores.sort()
    good = (good.to(scores.device)[order] != 0).double()
    # cut k: the k lowest are called bad
    right = torch.cat((good.new_zeros(1), (1 - good).cumsum(0))) + torch.cat(
        (good.flip(0).cumsum(0).flip(0), good.new_zeros(1))
    )
    cut = int(right.argmax())
    below = ordered[cut - 1] if cut > 0 else ordered[0] - 1
    above = ordered[cut] if cut < len(ordered) else ordered[-1] + 1
    return -float((below + above) / 2)
