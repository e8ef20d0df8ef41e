"""Does a reward model look at the request, once its pairs say that the request counts?

    python benchmarks/misheard.py        about half an hour on two cores: data/golden/misheard.json

The shipped pairs are two answers of one model, which mostly does what it is asked: what tells them
apart is seldom the request. Here one answer of some pairs, a third of those of plain kind prompts
or all of them, was given to a request that was *misheard*: another hero, thing or place. The rest
is as in tools/chain.py: annotators, loss, one epoch, seed 0. Then, on prompts that are held out:

    pairs    one of the two misheard: how often the model agrees with the judge, where he is sure
    words    a good story behind its own request, and behind the same one with a word changed: how
             often the model prefers the first, for each of the three words
"""

import platform
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.alignment import load, mean
from llamalab.alignment.comparisons import FIRST, Answer, answers, compare, prompt_ids
from llamalab.alignment.reward_model import score_all
from llamalab.runtime.json_files import write_json
from llamalab.tales.preferences import worth
from llamalab.tales.prompts import Prompt, drawer, prompts
from llamalab.tales.world import BOYS, GIRLS, PLACES, TOYS
from tools import chain

FILE = chain.DATA / "golden" / "misheard.json"
SHARES = (1 / 3, 1.0)  # of the pairs that could be: plain prompts
TEMPERATURES = (0.7, 1.1)
SURE = 0.05  # a gap before the judge
WORDS = ("hero", "thing", "place")


def misheard(prompt: Prompt, word: str, draw) -> Prompt:
    """The same prompt with another hero, thing or place of the same kind in its text; what was
    really asked for stays in its request."""
    said = getattr(prompt.request, word)
    if word == "hero":
        old, kind = said, GIRLS if said in GIRLS else BOYS
    elif word == "thing":
        old, kind = said.split()[-1], [toy.noun for toy in TOYS]
    else:
        at = {place.noun: place.at for place in PLACES}  # "on the hill", "on the beach"
        old, kind = said, [noun for noun in at if at[noun] == at[said]]
    others = [other for other in kind if other != old]
    return replace(prompt, text=re.sub(rf"\b{old}\b", others[draw(len(others))], prompt.text))


def asked_words(prompt: Prompt) -> list[str]:
    return [word for word in WORDS if getattr(prompt.request, word)]


def answered(model, tokenizer, asked: list[Prompt], heard: list[Prompt], temperature: float, seed):
    """Answers to what was heard, as answers to what was asked."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for first in range(0, len(asked), 256):
        some = answers(model, tokenizer, heard[first : first + 256], temperature=temperature,
                       generator=generator)  # fmt: skip
        for prompt, misread, answer in zip(asked[first:], heard[first:], some):
            told = answer.ids[len(prompt_ids(tokenizer, misread)) :]
            ids = prompt_ids(tokenizer, prompt) + told
            found.append(Answer(ids, answer.text, worth(prompt, answer.text), answer.ended))
    return found


def two_sides(model, tokenizer, asked: list[Prompt], share: float):
    """Two answers to each prompt, and which pairs have one that was misheard."""
    sides: list[list[Prompt]] = [[], []]
    where = []
    for number, prompt in enumerate(asked):
        draw = drawer(number, False, 0, "misheard")
        mishear = prompt.wish is None and draw(3000) < 3000 * share
        words, side = asked_words(prompt), draw(2)
        other = misheard(prompt, words[draw(len(words))], draw) if mishear else prompt
        sides[side].append(other)
        sides[1 - side].append(prompt)
        where.append(mishear)
    found = [
        answered(model, tokenizer, asked, heard, temperature, seed)
        for seed, (heard, temperature) in enumerate(zip(sides, TEMPERATURES))
    ]
    return *found, where


def agrees(scorer, first: list[Answer], second: list[Answer]) -> tuple[float, int]:
    """How often the model prefers what the judge prefers, of the pairs in which he is sure."""
    one, two = (score_all(scorer, [a.ids for a in side], way=chain.WAY) for side in (first, second))
    gap = torch.tensor([a.worth.helpfulness - b.worth.helpfulness for a, b in zip(first, second)])
    sure = gap.abs() > SURE
    return float(((one - two).sign() == gap.sign())[sure].double().mean()), int(sure.sum())


def good_stories(model, tokenizer, number: int = 200) -> list[tuple[Prompt, Answer]]:
    """Held-out plain prompts, and whole answers that are all that was asked for."""
    asked = [p for p in prompts(2 * number, held_out=True, unkind=0.0) if p.wish is None][:number]
    found = answered(model, tokenizer, asked, asked, TEMPERATURES[0], seed=2)
    return [
        (prompt, answer)
        for prompt, answer in zip(asked, found)
        if answer.ended and answer.worth.helpfulness > 0.99
    ]


def look(scorer, tokenizer, good: list[tuple[Prompt, Answer]]) -> dict:
    """For each of the three words: how many stories have it asked for, how often the model prefers
    the story behind its own request, and by how much."""
    result = {}
    for word in WORDS:
        own, other = [], []
        for number, (prompt, answer) in enumerate(good):
            if getattr(prompt.request, word):
                changed = misheard(prompt, word, drawer(number, True, 0, "misheard"))
                told = answer.ids[len(prompt_ids(tokenizer, prompt)) :]
                own.append(answer.ids)
                other.append(prompt_ids(tokenizer, changed) + told)
        gap = score_all(scorer, own, way=chain.WAY) - score_all(scorer, other, way=chain.WAY)
        prefers = ((gap.sign() + 1) / 2).double()
        result[word] = {"stories": len(own), "prefers": float(prefers.mean()),
                        "gap": float(gap.mean())}  # fmt: skip
    return result


def main() -> None:
    chat, tokenizer = load("chat")
    shipped, _ = load("helpfulness")
    asked = list(prompts(chain.PAIRS, start=FIRST))
    tests = list(prompts(chain.TEST_PAIRS, start=FIRST + chain.PAIRS, unkind=0.0))
    first_test, second_test, where = two_sides(chat, tokenizer, tests, 1.0)
    test = [(a, b) for a, b, mishear in zip(first_test, second_test, where) if mishear]
    good = good_stories(chat, tokenizer)

    def row(scorer) -> dict:
        share, number = agrees(scorer, *map(list, zip(*test)))
        return {"pairs": {"agrees": share, "of": number}, "words": look(scorer, tokenizer, good)}

    result: dict = {"shipped": row(shipped)}
    print("shipped", result["shipped"], flush=True)
    for share in SHARES:
        start = time.perf_counter()
        first, second, where = two_sides(chat, tokenizer, asked, share)
        told, _ = compare(first, second, "helpfulness")
        base, _ = load("chat")
        scorer, losses = chain.learn(base, told, f"{share:.2f}")
        gaps = [abs(a.worth.helpfulness - b.worth.helpfulness) for a, b in zip(first, second)]
        result[f"{share:.2f}"] = {
            "misheard": sum(where), "of": len(where),
            "clear": mean(g > SURE for g, mishear in zip(gaps, where) if mishear),
            "losses": chain.smooth(losses, 4), **row(scorer.eval()),
            "minutes": (time.perf_counter() - start) / 60,
        }  # fmt: skip
        print(share, result[f"{share:.2f}"], flush=True)
    result |= {"torch": torch.__version__.partition("+")[0], "python": platform.python_version()}
    write_json(FILE, chain.rounded(result))


if __name__ == "__main__":
    main()
