"""What may come in: prompts that hold ids, and a context with room for what is asked.

Nothing is cut in silence. A prompt and the tokens asked for must fit the model's context together,
or there is a ValueError before the first token that says how many would fit.
"""

import operator
from collections.abc import Iterable

import torch

from llamalab.model import Llama


def read_prompt(
    model: Llama, ids: Iterable[int] | torch.Tensor, name: str = "the prompt"
) -> list[int]:
    """A list of ids of this model's vocabulary, from a list or a 1-D tensor; at least one.
    ValueError, which calls it `name`, for anything else."""
    shape = tuple(getattr(ids, "shape", (0,)))
    if len(shape) != 1:
        raise ValueError(f"{name} must be one row of ids; its shape is {shape}")
    ids = ids.tolist() if isinstance(ids, torch.Tensor) else list(ids)
    if not ids:
        raise ValueError(f"{name} holds no ids: start with the tokenizer's bos_id at least")
    size = model.config.vocab_size
    for i in ids:
        if not hasattr(i, "__index__") or not 0 <= i < size:
            raise ValueError(f"{name} holds {i!r}, which is no id of 0 to {size - 1}")
    return [operator.index(i) for i in ids]  # numpy's integers are welcome


def check_room(
    model: Llama, prompt: list[int], max_new_tokens: int, name: str = "the prompt"
) -> None:
    """ValueError, with the numbers, if prompt and new tokens do not fit the context together."""
    context, held = model.config.max_seq_len, len(prompt)
    if isinstance(max_new_tokens, bool) or int(max_new_tokens) != max_new_tokens:
        raise ValueError(f"max_new_tokens={max_new_tokens!r} must be a whole number")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens={max_new_tokens} must be 0 or more")
    if held + max_new_tokens > context:
        room = max(0, context - held)
        raise ValueError(
            f"{name} holds {held} ids and max_new_tokens={max_new_tokens}: together that is "
            f"past this model's context, max_seq_len={context}. {room} new tokens would fit"
        )
