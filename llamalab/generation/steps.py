"""Who computes the next token's logits: the fast FusedDecoder where it fits, else the model itself.

Both are called alike, first with the prompt and then with one token after another, and both give
the same numbers to float rounding; which one it was cannot be seen from outside, but for the time.
"""

from typing import Protocol

import torch

from llamalab.generation.fused import FusedDecoder, why_not
from llamalab.layers import KVCache
from llamalab.model import Llama

SHORT = 16  # new tokens: for fewer, making a FusedDecoder may cost more than it saves


class Step(Protocol):
    """step(tokens (B, T)) -> the logits (B, V) after them: first the prompt, then token by token;
    `rewind` goes back to where `length` positions were filled, `keep` changes the rows: row i
    goes on as what row rows[i] was."""

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor: ...
    def rewind(self, length: int) -> None: ...
    def keep(self, rows: list[int]) -> None: ...


class PlainStep:
    """The model itself, with a KV cache."""

    def __init__(self, model: Llama, cache: KVCache):
        self.model, self.cache, self.rewind = model, cache, cache.rewind
        self.keep = cache.keep

    def __call__(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.model(tokens, self.cache)[:, -1]


def next_logits(
    model: Llama,
    batch_size: int,
    prompt_length: int,
    max_new_tokens: int,
    padding: torch.Tensor | None = None,
    kv_cache: type[KVCache] = KVCache,
) -> Step:
    """A FusedDecoder where one fits and pays, else the model with a KV cache of that kind."""
    room = prompt_length + max_new_tokens
    if max_new_tokens >= SHORT and kv_cache is KVCache and why_not(model) is None:
        return FusedDecoder(model, batch_size, room, padding=padding)
    return PlainStep(model, new_cache(model, batch_size, room, kv_cache, padding=padding))


def new_cache(
    model: Llama, batch_size: int, room: int, kind: type[KVCache] = KVCache, **options
) -> KVCache:
    """A KV cache where the model's weights are, in their dtype."""
    weight = model.norm.weight
    return kind(model.config, batch_size, room, dtype=weight.dtype, device=weight.device, **options)
