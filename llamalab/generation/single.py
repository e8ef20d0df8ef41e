"""generate: one prompt, one token after another.

Each step asks the model for the logits behind the text so far, chooses one id and puts it there.
A KV cache makes a step cost one position, whatever stands before it. A stop id ends the text and
is not part of it. What is wrong with the options is said at the call, not at the first token.
"""

from collections.abc import Iterable, Iterator

import torch

from llamalab.generation.choice import Choice
from llamalab.generation.prompt import check_room, read_prompt
from llamalab.generation.steps import next_logits
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
) -> Iterator[int]:
    """The ids that follow one prompt (a list or a 1-D tensor), each as soon as it is chosen.

    temperature 0 is greedy. `generator` lives on the model's device; the same seed gives the same
    ids. ValueError for options out of range, an empty prompt, and more than the context holds.
    """
    prompt = read_prompt(model, ids)
    check_room(model, prompt, max_new_tokens)
    choice = Choice(
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        generator=generator,
    )
    return _stream(model, prompt, max_new_tokens, choice, frozenset(stop_ids))


@torch.inference_mode()  # on a generator: it holds while a token is computed, not while one reads
def _stream(model, prompt, max_new_tokens, choice, stop_ids) -> Iterator[int]:
    device, length = model.norm.weight.device, len(prompt)
    text = torch.zeros(1, length + max_new_tokens, dtype=torch.long, device=device)
    text[0, :length] = torch.tensor(prompt)
    step = next_logits(model, 1, length, max_new_tokens)
    tokens = text[:, :length]  # (1, T)
    for end in range(length, length + max_new_tokens):
        tokens = choice(step(tokens), text[:, :end])[:, None]  # (1, 1)
        chosen = int(tokens)
        if chosen in stop_ids:
            return
        yield chosen
        text[:, end : end + 1] = tokens
