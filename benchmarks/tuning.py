"""The trials of notebook 09, measured once and drawn there: data/golden/tuning09.json.

    python benchmarks/tuning.py               every part; a quarter of an hour on one core
    python benchmarks/tuning.py rows ghost    these alone; the others stay in the file as they are
    python benchmarks/tuning.py --steps 20    shorter runs of everything

    weight   requests with a hero, a thing and a place: which is copied, with weight 1 and with 10
    rows     short dialogues packed behind others, and every dialogue alone: who refuses where
    ghost    "Call me Mia." at the start of a talk: in how many turns it is held

Each run tunes the shipped base model (`load("tales")`) in float32; the seed draws the order of its
dialogues. All that is kept are figures on held-out stories and requests.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab import load
from llamalab.alignment.sft import Example, collate, emphasise, fitting
from llamalab.course.lessons.nb09 import trials
from llamalab.runtime.files import atomic_write
from llamalab.tales import dialogues as talks
from llamalab.tales.prompts import drawer
from llamalab.tokenizer.chat import encode_dialog
from llamalab.training import TrainConfig, train

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "tuning09.json"
SEQ, SEEDS, LR = 256, (0, 1), 1e-3


def tune(examples: Sequence[Example], look, *, seed: int, steps: int, rows: int) -> dict:
    """Tune the base; the loss of every step, and what `look(model)` sees twice on the way."""
    model, _ = load("tales", dtype=torch.float32)
    plan = TrainConfig(steps=steps, lr=LR, warmup_steps=min(20, steps // 4), matmul="fused")
    found: dict = {"seed": seed, "rows_per_step": rows, "loss": [], "steps": [], "seen": []}
    for record in train(model, shuffled(examples, rows, seed), plan):
        found["loss"].append(round(record.loss, 4))
        if record.step % max(1, steps // 2) == 0:
            found["steps"].append(record.step)
            found["seen"].append(look(model))
            print(seed, record.step, found["loss"][-1], found["seen"][-1], flush=True)
    return found


def shuffled(examples: Sequence[Example], rows: int, seed: int) -> Iterator:
    """Batches of so many rows, in a drawn order: every kind of dialogue in every batch."""
    generator = torch.Generator().manual_seed(seed)
    kept = fitting(examples, SEQ)
    while True:
        order = torch.randperm(len(kept), generator=generator).tolist()
        for start in range(0, len(order) - rows + 1, rows):
            yield collate([kept[i] for i in order[start : start + rows]])


def weight(tokenizer, steps: int, seeds: Sequence[int]) -> Iterator[dict]:
    """Requests with three wishes, and the first halves of their stories."""
    wishes = trials.Wishes(tokenizer, 20)
    examples: dict[float, list[Example]] = {1.0: [], 10.0: []}
    for number in range(14 * steps):
        story = trials.short_story(number)
        request = story.request
        plain = encode_dialog(tokenizer, trials.dialog(str(request), story.text))
        plain = trials.cut(plain, tokenizer.encode(request.place))
        words = [request.hero, *request.thing.split(), request.place]
        for much, kept in examples.items():
            kept.append(emphasise(plain, [tokenizer.encode(word) for word in words], much))
    for seed, much in product(seeds, examples):
        yield {"weight": much} | tune(examples[much], wishes.look, seed=seed, steps=steps, rows=14)


def rows(tokenizer, steps: int, seeds: Sequence[int]) -> Iterator[dict]:
    """The same dialogues, packed and alone. A row of 256 holds a story, and behind it a refusal if
    the story is short."""
    refusals = trials.Refusals(tokenizer, 16)
    alone = [encode_dialog(tokenizer, trials.wished(n)[1]) for n in range(11 * steps)]
    packed = first_fit(alone, SEQ + 1)
    for seed, (way, examples) in product(seeds, {"packed": packed, "alone": alone}.items()):
        yield {"way": way, "dialogues": len(alone), "rows": len(examples)} | tune(
            examples, refusals.look, seed=seed, steps=steps, rows=8 if way == "packed" else 11
        )


def first_fit(examples: Sequence[Example], room: int) -> list[Example]:
    """Each example behind others in the first row that has room for it, or in a row of its own."""
    packed: list[tuple[list[int], list[float]]] = []
    for ids, mask in examples:
        row = next((row for row in packed if len(row[0]) + len(ids) <= room), None)
        if row is None:
            packed.append(row := ([], []))
        row[0].extend(ids)
        row[1].extend(mask)
    return list(packed)


def ghost(tokenizer, steps: int, seeds: Sequence[int]) -> Iterator[dict]:
    """Small talk. Without ghost attention a system line comes with one turn, as where nobody wrote
    longer ones; with it, with several, and the loss on the last answer alone."""
    plain, once, whole = [], [], []
    for number in range(8 * steps):
        talk = talks.dialogue(number, task="talk").messages
        plain.append(encode_dialog(tokenizer, talk))
        draw = drawer(number, False, 0, "ghost")
        messages = talks.manner(draw, 1 + draw(4)).messages
        once.append(encode_dialog(tokenizer, messages[:3]))
        whole.append(encode_dialog(tokenizer, messages, last_turn_only=True))
    examples = {"without": plain + once, "with": plain + whole}

    def look(model) -> list[float]:
        return trials.held(model, tokenizer, count=16)

    for seed, way in product(seeds, examples):
        yield {"way": way} | tune(examples[way], look, seed=seed, steps=steps, rows=8)


PARTS = {"weight": (weight, 60), "rows": (rows, 60), "ghost": (ghost, 40)}  # and their steps


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if left out")
    options.add_argument("--steps", type=int, default=0, help="instead of each part's own number")
    options.add_argument("--seeds", type=int, nargs="*", default=SEEDS, help="others are kept")
    asked = options.parse_args()
    torch.set_num_threads(1)
    _, tokenizer = load("tales")
    kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if "before" not in kept:
        model, _ = load("tales", dtype=torch.float32)
        kept["before"] = trials.Wishes(tokenizer, 20).look(model)
    for name in asked.parts or PARTS:
        part, steps = PARTS[name]
        kept[name] = [run for run in kept.get(name, []) if run["seed"] not in asked.seeds]
        for found in part(tokenizer, asked.steps or steps, asked.seeds):
            kept[name].append(found)
            store({name: kept[name] for name in ("before", *PARTS) if name in kept})


def store(parts: dict) -> None:
    """Lists of numbers stand in one line each."""
    text = json.dumps(parts, indent=1)
    text = re.sub(r"\[\s+([^][{}]*?)\s+\]", lambda found: f"[{' '.join(found[1].split())}]", text)
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(FILE) as part:
        part.write_text(text + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
