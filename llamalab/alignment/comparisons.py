"""Pairs to learn preferences from: prompts, two answers to each, and an annotator's word.

Llama 2's annotators wrote a prompt, saw two answers from two variants of the model at different
temperatures, and said which was better and how much. So here: one model, two temperatures, and the
tales' annotators, who ask one of two questions, helpfulness or safety.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from llamalab.alignment.reward_model import Pair
from llamalab.alignment.rollout import sample
from llamalab.model import Llama
from llamalab.runtime.files import atomic_write
from llamalab.tales.preferences import Worth, prefer, worth
from llamalab.tales.prompts import Prompt, prompts
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import encode_dialog

QUESTIONS = Worth._fields
FIRST = 300_000  # the number of the first prompt that the shipped comparisons answer


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


def two_answers(
    model: Llama,
    tokenizer: BPETokenizer,
    prompts: Sequence[Prompt],
    *,
    temperatures: tuple[float, float] = (0.8, 1.2),
    generator: torch.Generator,
) -> tuple[list[Answer], list[Answer]]:
    """Two answers to each prompt, one cool and one hot. ValueError as for `sample`."""
    first, second = (
        answers(model, tokenizer, prompts, temperature=temperature, generator=generator)
        for temperature in temperatures
    )
    return first, second


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


def write_comparisons(
    path: str | os.PathLike, first: Sequence[Answer], second: Sequence[Answer]
) -> None:
    """Two answers to each prompt, as ids; what they are worth is the judge's to say, again and
    again the same. ValueError if one side has more."""
    if len(first) != len(second):
        raise ValueError(
            f"{len(first)} first answers, {len(second)} second ones: one pair a prompt"
        )
    rows = [np.asarray(answer.ids, np.uint16) for answer in (*first, *second)]
    with atomic_write(Path(path)) as part, open(part, "wb") as file:
        np.savez_compressed(
            file, ids=np.concatenate(rows), lengths=np.asarray([len(r) for r in rows], np.uint16)
        )


def read_comparisons(
    path: str | os.PathLike,
    tokenizer: BPETokenizer,
    *,
    start: int = 0,
    stop: int | None = None,
) -> tuple[list[Prompt], list[Answer], list[Answer]]:
    """Prompts, first answers and second answers of pairs `start` to `stop` of the shipped file (all
    if left out). ValueError for a part that is empty."""
    with np.load(path, allow_pickle=False) as held:
        ends = np.cumsum(held["lengths"].astype(int))
        rows = np.split(held["ids"].astype(int), ends[:-1])
    number = len(rows) // 2
    chosen = range(number)[start:stop]
    if not chosen:
        raise ValueError(f"start={start}, stop={stop}: none of the {number} pairs is in between")
    asked = list(prompts(len(chosen), start=FIRST + chosen[0]))

    def side(offset: int) -> list[Answer]:
        return [
            _judged(tokenizer, prompt, rows[offset + i].tolist())
            for prompt, i in zip(asked, chosen)
        ]

    return asked, side(0), side(number)


def _judged(tokenizer: BPETokenizer, prompt: Prompt, ids: list[int]) -> Answer:
    text = tokenizer.decode(ids[len(prompt_ids(tokenizer, prompt)) :])
    return Answer(ids, text, worth(prompt, text), ids[-1] == tokenizer.eos_id)
