"""Pairs to learn preferences from: prompts, two answers to each, and an annotator's word.

Llama 2's annotators wrote a prompt, saw two answers from two variants of the model at different
temperatures, and said which was better and how much. So here: two models, two temperatures, and
the tales' annotators, who ask one of two questions, helpfulness or safety.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from llamalab.alignment.reward_model import Pair
from llamalab.alignment.rollout import sample
from llamalab.model import Llama
from llamalab.tales.preferences import Worth, prefer, worth
from llamalab.tales.prompts import Prompt
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import encode_dialog

QUESTIONS = Worth._fields


class Answer(NamedTuple):
    """An answer to a prompt: prompt and answer as ids, the answer's text, what it is worth, and
    whether it came to its end."""

    ids: list[int]
    text: str
    worth: Worth
    ended: bool


def prompt_ids(tokenizer: BPETokenizer, prompt: Prompt | str) -> list[int]:
    """What the model reads before it answers."""
    text = prompt if isinstance(prompt, str) else prompt.text
    return encode_dialog(tokenizer, [{"role": "user", "content": text}])[0]


def answers(
    model: Llama,
    tokenizer: BPETokenizer,
    prompts: Sequence[Prompt],
    *,
    temperature: float = 1.0,
    max_new_tokens: int = 200,
    generator: torch.Generator | None = None,
) -> list[Answer]:
    """One answer to each prompt, and the judge's opinion of it. ValueError as for `sample`."""
    read = [prompt_ids(tokenizer, prompt) for prompt in prompts]
    room = model.config.max_seq_len - max(map(len, read))
    drawn = sample(
        model,
        read,
        min(max_new_tokens, room),
        temperature=temperature,
        eos_id=tokenizer.eos_id,
        generator=generator,
    )
    found = []
    for prompt, ids, answer, ended in zip(prompts, read, drawn.answers(), drawn.ended.tolist()):
        text = tokenizer.decode(answer)
        found.append(Answer(ids + answer, text, worth(prompt, text), ended))
    return found


def compare(
    first: Iterable[Answer], second: Iterable[Answer], question: str, *, seed: int = 0
) -> tuple[list[Pair], list[float]]:
    """Two lists of answers to the same prompts -> pairs, and how likely each label is to go against
    the truth. ValueError for a question that is not asked here."""
    if question not in QUESTIONS:
        raise ValueError(f"question must be one of {', '.join(QUESTIONS)}; got {question!r}")
    pairs, doubts = [], []
    for number, (a, b) in enumerate(zip(first, second)):
        said = prefer(getattr(a.worth, question), getattr(b.worth, question), number, seed=seed)
        better, worse = (a, b) if said.first else (b, a)
        pairs.append(Pair(better.ids, worse.ids, said.strength))
        doubts.append(said.doubt)
    return pairs, doubts
