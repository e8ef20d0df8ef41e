"""generate: one prompt, one token after another.

Each step computes the logits after the text so far, chooses one id and appends it.
A KV cache makes a step cost one position, whatever stands before it. Several texts after one prompt
begin from the same logits: the prompt is read once. A stop id ends the text and is not part of it.
Wrong options are refused at the call, not at the first token.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from llamalab.generation.choice import Choice
from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import Step, next_logits
from llamalab.layers import KVCache
from llamalab.model import Llama


def generate(
    model: Llama,
    ids: Iterable[int] | torch.Tensor,
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop_ids: Iterable[int] = (),
    generator: torch.Generator | None = None,
    kv_cache: type[KVCache] = KVCache,
) -> Iterator[int]:
    """The ids that follow one prompt (a list or a 1-D tensor), each as soon as it is chosen.

    temperature 0 is greedy. `generator` lives on the model's device; the same seed gives the same
    ids. kv_cache: the kind of cache, as `quantization.Int8KVCache`. ValueError for options out of
    range, an empty prompt, and more than the context holds.
    """
    options: dict[str, Any] = {
        "temperature": temperature, "top_k": top_k, "top_p": top_p, "stop_ids": stop_ids,
        "repetition_penalty": repetition_penalty, "generator": generator, "kv_cache": kv_cache,
    }  # fmt: skip
    return next(generate_samples(model, ids, max_new_tokens, 1, **options))


def generate_samples(
    model: Llama,
    ids: Iterable[int] | torch.Tensor,
    max_new_tokens: int,
    samples: int,
    *,
    stop_ids: Iterable[int] = (),
    kv_cache: type[KVCache] = KVCache,
    **choice: Any,
) -> Iterator[Iterator[int]]:
    """`samples` texts after one prompt: streams as of `generate`, with its options and errors.
    The prompt is read once, so a stream ends where the next one begins. ValueError, too, for less
    than one of them."""
    if samples < 1:
        raise ValueError(f"samples={samples} must be at least 1")
    prompt = _Prompt(model, read_prompt(model, ids), max_new_tokens, kv_cache)
    chosen, ends = Choice(**choice), frozenset(stop_ids)
    return (_stream(prompt, chosen, ends) for _ in range(samples))


class _Prompt:
    """A prompt, and the logits after it, which are computed when they are first needed."""

    step: Step | None

    def __init__(self, model: Llama, ids: list[int], max_new_tokens: int, kv_cache: type[KVCache]):
        check_room(model, ids, max_new_tokens)
        self.model, self.ids, self.room = model, ids, max_new_tokens
        self.kv_cache, self.step = kv_cache, None

    def read(self, tokens: torch.Tensor) -> tuple[Step, torch.Tensor]:
        """tokens (1, T) -> the step, at the prompt's end, and the logits (1, V) there."""
        if self.step is None:
            self.step = next_logits(self.model, 1, len(self.ids), self.room, kv_cache=self.kv_cache)
            self.logits = self.step(tokens)
        self.step.rewind(len(self.ids))
        return self.step, self.logits


@torch.inference_mode()  # on a generator: it holds while a token is computed, not while one reads
def _stream(prompt: _Prompt, choice: Choice, stop_ids: frozenset[int]) -> Iterator[int]:
    device, length = prompt.model.norm.weight.device, len(prompt.ids)
    if prompt.room == 0:
        return
    text = torch.zeros(1, length + prompt.room, dtype=torch.long, device=device)
    text[0, :length] = torch.tensor(prompt.ids)
    step, logits = prompt.read(text[:, :length])
    for end in range(length, length + prompt.room):
        tokens = choice(logits, text[:, :end])[:, None]  # (1, 1)
        chosen = int(tokens)
        if chosen in stop_ids:
            return
        yield chosen
        text[:, end : end + 1] = tokens
        if end + 1 < length + prompt.room:
            logits = step(tokens)
