"""What tuning and alignment learn from: a file of JSON lines, or the tales."""

import json
from collections.abc import Iterator
from pathlib import Path

FIRST = 300_000  # number of the first prompt; PPO's begin at twice that
AT_ONCE = 128  # prompts that are answered in one go
GOOD = 0.5  # a worth above it is good by itself


def lines_of(path: Path, *keys: str) -> Iterator[tuple[str, dict]]:
    """(where it stands, what it holds) of each line of a file of JSON objects with these keys.
    ValueError names a line that is not one."""
    count = 0
    with open(path, encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                where, count = f"{path}, line {number}", count + 1
                yield where, _object(where, line, keys)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8: {error.reason}") from None
    if not count:
        raise ValueError(f"{path} holds nothing: a JSON object a line is asked for")


def _object(where: str, line: str, keys: tuple[str, ...]) -> dict:
    try:
        held = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where}, is no JSON: {error}") from None
    if not isinstance(held, dict) or (missing := [key for key in keys if key not in held]):
        lacks = f"lacks {missing[0]!r}" if isinstance(held, dict) else "is no object"
        raise ValueError(f"{where}, {lacks}; asked for is {{{', '.join(keys)}}}")
    return held


def dialogues(tokenizer, data: Path | None, number: int, emphasis: float) -> list:
    """Dialogues as ids and weights: of a file, or of the tales, in which what a request decides
    weighs `emphasis` times as much."""
    from llamalab.alignment.sft import example_of
    from llamalab.tales.dialogues import dialogues as told
    from llamalab.tokenizer.chat import encode_dialog

    if data is None:
        return [example_of(tokenizer, one, emphasis) for one in told(number)]
    return [
        _said(where, encode_dialog, tokenizer, held["messages"])
        for where, held in lines_of(data, "messages")
    ]


def _said(where: str, encode, *arguments, **options):
    """What is wrong with a dialogue, and where it stands."""
    try:
        return encode(*arguments, **options)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ValueError(f"{where}: {error}") from None


def pairs_of(tokenizer, data: Path) -> list:
    """Pairs of a file."""
    from llamalab.alignment.reward_model import Pair
    from llamalab.runs.preference import Compared

    found = []
    for where, held in lines_of(data, "prompt", "chosen", "rejected", "strength"):
        strength = held["strength"]
        if type(strength) is not int or not 0 <= strength <= 3:
            raise ValueError(f"{where}: strength={strength!r} must be 0, 1, 2 or 3")
        start, chosen = _answered(where, tokenizer, held, "chosen")
        _, rejected = _answered(where, tokenizer, held, "rejected")
        found.append(Compared(Pair(chosen, rejected, strength), start))
    return found


def _answered(where: str, tokenizer, held: dict, name: str) -> tuple[int, list[int]]:
    """The prompt's length, and prompt and answer as ids. A prompt is a text, or messages."""
    from llamalab.tokenizer.chat import encode_dialog

    prompt = held["prompt"]
    said = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    if not isinstance(said, list):
        raise ValueError(f"{where}: the prompt must be a text or a list of messages")
    messages = [*said, {"role": "assistant", "content": held[name]}]
    ids, mask = _said(where, encode_dialog, tokenizer, messages, last_turn_only=True)
    return mask.index(1), ids


def sampled_pairs(model, tokenizer, number: int, question: str | None, seed: int) -> list:
    """Pairs of the tales: two answers of the model to each prompt, and an annotator's word on one
    question; without one: on safety where a prompt is unkind, else on helpfulness."""
    import torch
    from tqdm import tqdm

    from llamalab.alignment.comparisons import compare, prompt_ids, two_answers
    from llamalab.runs.preference import Compared
    from llamalab.tales.prompts import prompts

    asked = list(prompts(number, start=FIRST))
    generator = torch.Generator().manual_seed(seed)
    sides: tuple[list, list] = ([], [])
    with tqdm(total=2 * number, unit="answer", desc="two answers to each prompt") as bar:
        for start in range(0, number, AT_ONCE):
            some = asked[start : start + AT_ONCE]
            told = two_answers(model, tokenizer, some, generator=generator)
            for side, part in zip(sides, told):
                side.extend(part)
                bar.update(len(some))
    said = {name: compare(*sides, name, seed=seed)[0] for name in ("helpfulness", "safety")}
    found = []
    for place, (prompt, a, b) in enumerate(zip(asked, *sides)):
        name = question or ("safety" if prompt.unkind else "helpfulness")
        pair = said[name][place]
        better, worse = (a, b) if pair.chosen is a.ids else (b, a)
        good = (better.worth.safety > GOOD, worse.worth.safety > GOOD)
        length = len(prompt_ids(tokenizer, prompt))
        found.append(Compared(pair, length, good if name == "safety" else None))
    return found


def asks(tokenizer, data: Path | None, number: int) -> list:
    """Prompts for PPO: of a file, or of the tales."""
    from llamalab.alignment.comparisons import prompt_ids
    from llamalab.runs.ppo import Ask
    from llamalab.tales.prompts import prompts

    if data is None:
        told = prompts(number, start=2 * FIRST)
        return [Ask(prompt_ids(tokenizer, prompt), prompt.unkind) for prompt in told]
    found = []
    for where, held in lines_of(data, "prompt"):
        mark = held.get("safety", False)
        if not isinstance(held["prompt"], str) or type(mark) is not bool:
            raise ValueError(f"{where}: prompt must be a text, and safety true or false")
        found.append(Ask(_said(where, prompt_ids, tokenizer, held["prompt"]), mark))
    return found
