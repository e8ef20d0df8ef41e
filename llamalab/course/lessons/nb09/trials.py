"""What notebook 09 measures, small enough for a cell: which of a request's wishes a model grants,
whether it refuses where it should, and how long it holds a manner.

The first two write nothing: the model reads a true dialogue, and is asked how probable it found
the words that matter. So a number costs one reading, and no draw of a sampler is in it.
"""

import re
from collections.abc import Sequence

import torch

from llamalab.alignment.reward_model import pad
from llamalab.alignment.sft import Example
from llamalab.generation import generate_batch
from llamalab.tales import dialogues as talks
from llamalab.tales.dialogues import short_story, turn
from llamalab.tales.prompts import REFUSALS, TWINS, ask_for, drawer
from llamalab.tales.request import Request
from llamalab.tokenizer import BPETokenizer
from llamalab.tokenizer.chat import encode_dialog

WISHES = ("hero", "thing", "place", "ending")


@torch.no_grad()
def log_probs(model, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """What was said before each next token: (B, T - 1, V)."""
    was_training = model.training
    model.eval()
    tokens, _ = pad(rows)
    logs = torch.cat([model(part[:, :-1]).log_softmax(-1) for part in tokens.split(16)])
    model.train(was_training)
    return logs


def dialog(request: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": request}, {"role": "assistant", "content": answer}]


def first(word: Sequence[int], ids: Sequence[int], mask: Sequence[float]) -> list[int]:
    """The places of a word's first mention in the answer. ValueError if it is not there."""
    word, ids = list(word), list(ids)
    for n in range(len(ids) - len(word) + 1):
        if mask[n] and ids[n : n + len(word)] == word:
            return list(range(n, n + len(word)))
    raise ValueError(f"{word} is not in the answer")


def cut(example: Example, place: Sequence[int], more: int = 12) -> Example:
    """The example up to a little behind the place's first mention: what is decided stands in the
    first half of a story, and a trial of a minute has no time for the second."""
    ids, mask = example
    end = first(place, ids, mask)[-1] + more
    return ids[:end], mask[:end]


class Wishes:
    """Held-out requests for all four, with the places at which the story grants each. `whole`:
    to the story's end, else up to a little behind the place, where its turn is yet to come."""

    def __init__(self, tokenizer: BPETokenizer, count: int = 24, *, whole: bool = False):
        self.asked: list[Sequence[int]] = []
        self.other: list[Sequence[int]] = []
        self.found: list[dict[str, list[int]]] = []
        for number in range(count):
            story = short_story(number, held_out=True)
            request = story.request
            ids, mask = encode_dialog(tokenizer, dialog(str(request), story.text))
            words = {"hero": request.hero, "thing": request.thing, "place": request.place}
            where = {k: first(tokenizer.encode(str(w)), ids, mask) for k, w in words.items()}
            if whole:
                where["ending"] = first(tokenizer.encode(turn(story)), ids, mask)
                turned = "sad" if request.ending == "happy" else "happy"
                said = Request(request.hero, request.thing, request.place, turned)
                self.other.append(encode_dialog(tokenizer, dialog(str(said), story.text))[0])
            else:
                ids, _ = cut((ids, mask), tokenizer.encode(str(request.place)))
                where = {wish: at for wish, at in where.items() if at[-1] < len(ids)}
            self.asked.append(ids)
            self.found.append(where)

    def look(self, model) -> dict[str, float]:
        """The mean probability of each wish's words at their first mention, given what stands
        before. For the ending: how often the story's turn is likelier under its own wish than
        under the other one, which is 0.5 for a model that does not listen."""
        found: dict[str, list[float]] = {}
        asked = log_probs(model, self.asked)
        other = log_probs(model, self.other) if self.other else None
        for row, where in enumerate(self.found):
            for wish, places in where.items():
                said = _said(asked[row], self.asked[row], places)
                right = said.exp().item()
                if other is not None and wish == "ending":
                    shift = len(self.other[row]) - len(self.asked[row])
                    there = [place + shift for place in places]
                    right = float(said > _said(other[row], self.other[row], there))
                found.setdefault(wish, []).append(right)
        return {wish: round(sum(all_) / len(all_), 4) for wish, all_ in found.items()}


def _said(logs: torch.Tensor, ids: Sequence[int], places: Sequence[int]) -> torch.Tensor:
    return torch.stack([logs[place - 1, ids[place]] for place in places]).sum()


def wished(number: int, *, held_out: bool = False) -> tuple[bool, list[dict[str, str]]]:
    """A dialogue with a wish, and whether it is unkind: then it is refused; to its kind twin there
    is a story."""
    draw = drawer(number, held_out, 0, "rows")
    story = short_story(number, held_out=held_out)
    unkind = draw(4) == 0
    while not (unkind or story.kind):
        number += talks.NEXT
        story = short_story(number, held_out=held_out)
    asked = ask_for(story, draw, "unkind" if unkind else "kind")
    return unkind, dialog(asked.text, talks.pick(REFUSALS, draw) if unkind else story.text)


class Refusals:
    """Held-out wishes, at the start of a text and behind another dialogue."""

    def __init__(self, tokenizer: BPETokenizer, count: int = 24):
        self.begins = sorted({tokenizer.encode(text)[0] for text in REFUSALS})
        others = (
            encode_dialog(tokenizer, wished(n, held_out=True)[1])[0] for n in range(1000, 2000)
        )
        before = next(ids for ids in others if 140 <= len(ids) <= 160)
        self.rows: dict[str, list[list[int]]] = {}
        for number in range(count):
            draw = drawer(number, True, 0, "refusals")
            asked = ask_for(short_story(number, held_out=True), draw, "kind").request
            for name, twin in zip(("unkind", "kind"), TWINS[number % len(TWINS)]):
                said = f"{asked} {twin.format(H=asked.hero or 'somebody')}"
                ids, _ = encode_dialog(tokenizer, [{"role": "user", "content": said}])
                self.rows.setdefault(f"{name} at the start", []).append([*ids, 0])
                self.rows.setdefault(f"{name} behind another", []).append([*before, *ids, 0])

    def look(self, model) -> dict[str, float]:
        """The mean probability that the answer's first token begins a refusal."""
        found = {}
        for name, rows in self.rows.items():
            logs = log_probs(model, rows)
            said = torch.stack([logs[i, len(row) - 2] for i, row in enumerate(rows)])
            found[name] = round(said[:, self.begins].exp().sum(-1).mean().item(), 4)
        return found


def held(model, tokenizer: BPETokenizer, turns: int = 4, count: int = 24) -> list[float]:
    """The share of talks in which the n-th answer begins with the name that the system line asked
    for. The model writes all answers itself, greedily."""
    began, said = [0] * turns, []
    for number in range(count):
        draw = drawer(number, True, 0, "held")
        said.append(list(talks.manner(draw, turns).messages))
    history = [[messages[0]] for messages in said]
    model.eval()
    for n in range(turns):
        prompts = []
        for talk, messages in zip(history, said):
            talk.append(messages[1 + 2 * n])
            prompts.append(encode_dialog(tokenizer, talk)[0])
        room = model.config.max_seq_len - max(map(len, prompts))
        written = generate_batch(
            model, prompts, min(28, room), temperature=0, stop_ids=[tokenizer.eos_id]
        )
        for talk, ids in zip(history, written):
            answer = re.sub(r"[\[\]<>]", "", tokenizer.decode(ids)).strip() or "Yes."
            name = talk[0]["content"].removeprefix("Call me ").rstrip(".")
            began[n] += answer.startswith(name)
            talk.append({"role": "assistant", "content": answer})
    return [round(number / count, 4) for number in began]
