"""LoRA beside full tuning, at equal steps, where the tales' world has changed: golden/lora09.json.

    python benchmarks/lora.py                some minutes on one core
    python benchmarks/lora.py --steps 20     shorter runs

The shipped checkpoint goes on learning, in float32, from stories of a world in which one thing is
different: `order`, where adjectives follow their nouns ("a kite red"), or `sad`, where every story
ends sadly. All ways get the same batches, and two peak rates each; the better one, by the loss on
held-out stories of the new world, counts, and both are written down. What is also asked: the loss
on stories of the OLD world (what was forgotten), and how much of what the tuned model tells by
itself is of the new world. The file is written after every run. Seconds are the processor's, on the
machine that ran it: compare them with each other.
"""

import argparse
import json
import re
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab import formats, tales
from llamalab.alignment import lora
from llamalab.generation import generate_batch
from llamalab.runtime.files import atomic_write
from llamalab.tales import world
from llamalab.training import Batches, TrainConfig, evaluate, train

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "lora09.json"
SEQ, BATCH, HELD_OUT, TOLD, START = 192, 4, 24, 16, 100_000
ATTENTION = ("wq", "wv")
WAYS = [("full", 0, ()), *(("lora", r, t) for t in (ATTENTION, lora.TARGETS) for r in (1, 4, 16))]
RATES = ({"full": 1e-3, "lora": 1e-2}, {"full": 3e-4, "lora": 3e-3})
ADJECTIVES = "|".join(world.ADJECTIVES)
NOUNS = "|".join(toy.noun for toy in world.TOYS)
PAIR = re.compile(rf"\b({ADJECTIVES}) ({NOUNS})\b")
BEHIND = re.compile(rf"\b({NOUNS}) ({ADJECTIVES})\b")


def turned(text: str) -> str:
    """ "a red kite" -> "a kite red" """
    return PAIR.sub(r"\2 \1", text)


WORLDS = {"order": (lambda story: True, turned),
          "sad": (lambda story: not story.happy, lambda text: text)}  # fmt: skip


def of_this_world(name: str, text: str) -> bool:
    """Whether a reader would take a story for one of that world."""
    if name == "sad":
        return tales.judge(text).ending == "sad"
    return PAIR.search(text) is None and BEHIND.search(text) is not None


def told(name: str, *, held_out: bool):
    """The stories of a world, without end; the checkpoint has read none of them."""
    wanted, say = WORLDS[name]
    number = START
    while True:
        story = tales.tell(number, held_out=held_out)
        number += 1
        if wanted(story):
            yield say(story.text)


def held(stories, tokenizer) -> list:
    """One batch of whole stories, filled up on the right under a mask."""
    ids = [tokenizer.encode(next(stories), bos=True, eos=True) for _ in range(HELD_OUT)]
    longest = max(map(len, ids))
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return list(zip(rows.split(8), mask.split(8)))


def run(name: str, way: tuple, rate: float, data: dict, steps: int) -> dict:
    """Tune one fresh copy of the checkpoint; what it costs and what it gives."""
    kind, rank, targets = way
    model, tokenizer = formats.load("tales", dtype=torch.float32)
    if kind == "lora":
        lora.add(model, rank, 2 * rank, targets, generator=torch.Generator().manual_seed(0))
    learned = sum(w.numel() for w in lora.trainable_parameters(model).values())
    config = TrainConfig(steps=steps, lr=rate, warmup_steps=steps // 10, weight_decay=0.0)
    batches = Batches(data["row"], BATCH, SEQ, seed=0, bos_id=tokenizer.bos_id)
    start = time.process_time()
    curve = [round(record.loss, 4) for record in train(model, batches, config)]
    seconds = time.process_time() - start
    if kind == "lora":
        lora.merge(model)
    found = {"way": kind, "rank": rank, "targets": list(targets), "lr": rate, "learned": learned,
             "seconds": round(seconds, 2), "curve": curve}  # fmt: skip
    return found | asked_of(name, model, data, tokenizer)


def asked_of(name: str, model, data: dict, tokenizer) -> dict:
    """Losses in nats a token, and the share of its own stories that are of this world."""
    losses = {key: round(evaluate(model, data[key]), 4) for key in ("new", "old")}
    return losses | {"belongs": belongs(name, model, tokenizer)}


def belongs(name: str, model, tokenizer) -> float:
    """The share of what it tells that a reader would take for the new world's."""
    ids = generate_batch(
        model.eval(), [[tokenizer.bos_id]] * TOLD, 230, temperature=0.8,
        stop_ids=[tokenizer.eos_id], generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    return sum(of_this_world(name, tokenizer.decode(row)) for row in ids) / TOLD


def data_of(name: str, steps: int, tokenizer) -> dict:
    stories, row = told(name, held_out=False), []
    while len(row) <= BATCH * (SEQ + 1) * steps:
        row += tokenizer.encode(next(stories), bos=True, eos=True)
    old = (story.text for story in tales.stories(HELD_OUT, start=START, held_out=True))
    new = told(name, held_out=True)
    held_out = {"new": held(new, tokenizer), "old": held(old, tokenizer)}
    return {"row": np.array(row, dtype=np.uint16)} | held_out


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--steps", type=int, default=40, help="of a run")
    steps = options.parse_args().steps
    torch.set_num_threads(1)
    model, tokenizer = formats.load("tales", dtype=torch.float32)
    data = {name: data_of(name, steps, tokenizer) for name in WORLDS}
    found: dict = {
        "settings": {"seq_len": SEQ, "batch": BATCH, "steps": steps, "held_out": HELD_OUT,
                     "told": TOLD, "alpha": "2 rank", "weight_decay": 0.0, "dtype": "float32"}
    }  # fmt: skip
    for name in WORLDS:
        before = asked_of(name, model, data[name], tokenizer)
        print(name, before, flush=True)
        found[name] = {"before": before, "runs": []}
    for rates in RATES:  # every way once, before any has its second rate
        for name in WORLDS:
            for way in WAYS:
                made = run(name, way, rates[way[0]], data[name], steps)
                print(name, {k: v for k, v in made.items() if k != "curve"}, flush=True)
                found[name]["runs"].append(made)
                store(found)


def store(found: dict) -> None:
    with atomic_write(FILE) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
