"""Rollouts: answers drawn for many prompts at once, and what a model thinks of them afterwards.

    sample   prompts -> tokens, drawn from softmax(logits / temperature)
    score    tokens  -> the log-probability of each answer's token, under the same distribution

Nothing else is done to the distribution while drawing (no top-k, no top-p): PPO's ratio must be 1
before the first step. Both compute the same numbers: one token at a time, and whole texts at once,
with gradients. What makes the first one fast:

    prompts     those that are equal (best of n) are read once
    EOS         a row that has ended gives its place to the last one: no step is spent on it
    drawing     one number in [0, 1) for each token, looked up among the summed probabilities

All those numbers are drawn at the start, a line of them for each prompt. So a row's answer depends
on its own line alone, and not on who else is in the batch or when they end.
"""

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from llamalab.alignment.masks import wide
from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import next_logits
from llamalab.model import Llama
from llamalab.runtime.cpu_kernels import matmul
from llamalab.sampling import scale_temperature
from llamalab.training.fused import in_fewer_passes
from llamalab.training.losses import shift

AT_ONCE = 128  # rows in a batch of drawing
PORTION = 16  # rows in one of scoring


@dataclass(frozen=True)
class Rollout:
    """Texts of prompt and answer, from the left, filled up on the right with any id.

    tokens (B, T) · prompt_lengths (B,) · mask (B, T - 1): True where the NEXT token is one of the
    answer's, its EOS too · ended (B,): whether EOS came."""

    tokens: torch.Tensor
    prompt_lengths: torch.Tensor
    mask: torch.Tensor
    ended: torch.Tensor

    def rows(self, which: list[int] | torch.Tensor) -> "Rollout":
        """Some of the rows, as long as the longest of them: a mini-batch."""
        mask = self.mask[which]
        T = 2 + int(mask.any(0).nonzero().max())
        lengths, ended = self.prompt_lengths[which], self.ended[which]
        return Rollout(self.tokens[which, :T], lengths, mask[:, : T - 1], ended)

    def answers(self) -> list[list[int]]:
        """The ids of each answer, with its EOS."""
        _, targets = shift(self.tokens)
        return [row[mask].tolist() for row, mask in zip(targets, self.mask)]


def sample(
    model: Llama,
    prompts: list[list[int]],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    eos_id: int | None,
    generator: torch.Generator | None = None,
) -> Rollout:
    """An answer to each prompt, at most max_new_tokens long; without an eos_id none is shorter.
    The rows stand as the prompts do. ValueError for no prompts, ids outside the vocabulary, a
    temperature that cannot be divided by, what does not fit the context, weights in half
    precision, and logits that are nan."""
    weight = model.norm.weight
    read = [read_prompt(model, ids, f"prompt {row}") for row, ids in enumerate(prompts)]
    for row, prompt in enumerate(read):
        check_room(model, prompt, max_new_tokens, f"prompt {row}")
    if not read or max_new_tokens < 1:
        raise ValueError(
            f"{len(read)} prompts and max_new_tokens={max_new_tokens}: both must be at least 1"
        )
    if weight.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"the weights are {weight.dtype}: a token at a time and whole texts at once would be "
            f"rounded differently, and the policy seem to drift; take model.float()"
        )
    if eos_id is not None and not 0 <= eos_id < model.config.vocab_size:
        raise ValueError(f"eos_id={eos_id} is no id of 0 to {model.config.vocab_size - 1}")
    scale_temperature(weight, temperature)  # says what is wrong with one
    where = generator.device if generator is not None else weight.device
    numbers = torch.rand(
        len(read), max_new_tokens, generator=generator, dtype=torch.float64, device=where
    ).to(weight.device)  # (B, N)
    answers: dict[int, list[int]] = {}
    order = sorted(range(len(read)), key=lambda row: (len(read[row]), read[row]))
    for start in range(0, len(order), AT_ONCE):
        rows = order[start : start + AT_ONCE]
        batch = [read[row] for row in rows], numbers[rows]
        answers.update(zip(rows, _draw_answers(model, *batch, temperature, eos_id)))
    return _rollout(read, [answers[row] for row in range(len(read))], eos_id, weight.device)


@torch.inference_mode()
def _draw_answers(model, prompts, numbers, temperature, eos_id) -> list[list[int]]:
    """The answers of one batch, numbers (B, N): lists of at most N ids."""
    places: dict[tuple[int, ...], int] = {}
    for prompt in prompts:
        places.setdefault(tuple(prompt), len(places))
    longest, N = max(map(len, prompts)), numbers.shape[1]
    empty = [longest - len(prompt) for prompt in places]
    padding = torch.tensor(empty, device=numbers.device) if any(empty) else None
    tokens = torch.tensor([(0,) * n + prompt for n, prompt in zip(empty, places)])
    step = next_logits(model, len(places), longest, N, padding)
    logits = step(tokens.to(numbers.device))  # (distinct, V)
    if len(places) < len(prompts):
        rows = [places[tuple(prompt)] for prompt in prompts]
        step.keep(rows)
        logits = logits[rows]  # (B, V)
    answers: list[list[int]] = [[] for _ in prompts]
    going = list(range(len(prompts)))  # whose answer each row of the batch is
    for n in range(N):
        chosen = pick(logits, numbers[:, n], temperature)  # (rows,)
        ids = chosen.tolist()
        for row, i in zip(going, ids):
            answers[row].append(i)
        if eos_id in ids:
            rows = _closed_up([i != eos_id for i in ids])
            if not rows:
                break
            step.keep(rows)
            going = [going[row] for row in rows]
            chosen, numbers = chosen[rows], numbers[rows]
        if n + 1 < N:
            logits = step(chosen[:, None])
    return answers


def pick(logits: torch.Tensor, numbers: torch.Tensor, temperature: float) -> torch.Tensor:
    """logits (B, V), numbers (B,) in [0, 1) -> ids (B,): the first id at which the cumulative
    probability is above the number. ValueError for rows of logits without a finite maximum."""
    weights = scale_temperature(logits - logits.amax(-1, keepdim=True), temperature).exp_()
    sums = weights.cumsum(-1, dtype=torch.float64)  # (B, V)
    total = sums[:, -1:]
    if not total.isfinite().all():
        raise ValueError(f"{int((~total.isfinite()).sum())} rows of logits have no finite largest")
    ids = torch.searchsorted(sums, numbers[:, None] * total, right=True)[:, 0]
    return ids.clamp_(max=logits.shape[-1] - 1)  # a product may be rounded up to the total


def _closed_up(alive: list[bool]) -> list[int]:
    """Rows that go on, those at the end in the places of those that have stopped."""
    n = sum(alive)
    last = iter([row for row in range(n, len(alive)) if alive[row]])
    return [row if alive[row] else next(last) for row in range(n)]


def _rollout(prompts, answers, eos_id: int | None, device) -> Rollout:
    texts = [prompt + answer for prompt, answer in zip(prompts, answers)]
    T = max(map(len, texts))
    tokens = torch.tensor([text + [eos_id or 0] * (T - len(text)) for text in texts], device=device)
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    ends = torch.tensor([len(text) for text in texts], device=device)
    place = torch.arange(1, T, device=device)  # of the token that is next
    mask = (place >= lengths[:, None]) & (place < ends[:, None])  # (B, T - 1)
    ended = torch.tensor([answer[-1] == eos_id for answer in answers], device=device)
    return Rollout(tokens, lengths, mask, ended)


def score(
    model: Llama, rollout: Rollout, temperature: float = 1.0, *, way: str = "fused"
) -> torch.Tensor:
    """Log-probabilities of the answers' tokens (B, T - 1), in nats and float32 at least; 0 where
    the mask is False. Rows of similar length go together, so that little padding is read, and the
    head is computed at the answers' places alone. way: one of `cpu_kernels.MATMULS`. ValueError for
    another one, and for a temperature as in `sample`."""
    order = (rollout.prompt_lengths + rollout.mask.sum(-1)).argsort()  # short texts first
    found = []
    with matmul(way):
        body = _without_head(in_fewer_passes(model, way))
        for rows in order.split(PORTION):
            part = rollout.rows(rows)
            inputs, targets = shift(part.tokens)
            hidden = body(inputs)[part.mask]  # (answers' tokens, dim)
            logs = _log_probs(model.output(hidden), targets[part.mask], temperature)
            logs = logs.new_zeros(part.mask.shape).masked_scatter(part.mask, logs)
            found.append(F.pad(logs, (0, rollout.mask.shape[1] - logs.shape[1])))
    return torch.cat(found)[order.argsort()]  # (B, T - 1)


def _log_probs(logits: torch.Tensor, targets: torch.Tensor, temperature: float) -> torch.Tensor:
    """logits (N, V), targets (N,) -> (N,)."""
    return -F.cross_entropy(scale_temperature(wide(logits), temperature), targets, reduction="none")


def _without_head(model: torch.nn.Module) -> torch.nn.Module:
    """The same model, which gives what its head would read: (B, T, dim)."""
    twin = copy.copy(model)
    twin._modules = model._modules | {"output": torch.nn.Identity()}
    return twin
