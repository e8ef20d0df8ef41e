"""generate_batch: many prompts at once, each row as if it were alone.

Prompts of different length share a batch by padding on the LEFT, so that every row's newest token
stands in the last column; nobody looks at the empty columns, and a row's first token has position
0 all the same (`KVCache`). A row that has stopped is computed, and ignored, until all have.
"""

from collections.abc import Iterable

import torch

from llamalab.generation.choice import Choice
from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import next_logits
from llamalab.layers import KVCache
from llamalab.model import Llama


@torch.inference_mode()
def generate_batch(
    model: Llama,
    prompts: Iterable[Iterable[int] | torch.Tensor],
    max_new_tokens: int,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop_ids: Iterable[int] = (),
    generator: torch.Generator | None = None,
    kv_cache: type[KVCache] = KVCache,
) -> list[list[int]]:
    """The ids that follow each prompt; options and errors as in `generate`. Greedy rows are what
    `generate` gives for each alone; drawn ones share one generator, so they depend on the batch."""
    read = [read_prompt(model, ids, f"prompt {row}") for row, ids in enumerate(prompts)]
    for row, prompt in enumerate(read):
        check_room(model, prompt, max_new_tokens, f"prompt {row}")
    choice = Choice(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        generator=generator,
    )
    if not read:
        return []
    device, longest = model.norm.weight.device, max(map(len, read))
    empty = [longest - len(prompt) for prompt in read]
    padding = torch.tensor(empty, device=device) if any(empty) else None  # (B,)
    # A row is filled up with its own first id: that changes nothing about which ids it has seen.
    filled = [prompt[:1] * n + prompt for n, prompt in zip(empty, read)]
    tokens = seen = torch.tensor(filled, device=device)  # (B, T)
    step = next_logits(model, len(read), longest, max_new_tokens, padding, kv_cache)
    stop_ids = frozenset(stop_ids)
    written: list[list[int]] = [[] for _ in read]
    writing = set(range(len(read)))
    for _ in range(max_new_tokens):
        tokens = choice(step(tokens), seen)[:, None]  # (B, 1)
        for row, chosen in enumerate(tokens[:, 0].tolist()):
            if chosen in stop_ids:
                writing.discard(row)
            if row in writing:
                written[row].append(chosen)
        if not writing:
            break
        seen = torch.cat((seen, tokens), 1)
    return written
