"""LoRA beside full tuning, at equal steps, where the tales' world has changed: golden/lora09.json.

    python benchmarks/lora.py                four minutes on one core
    python benchmarks/lora.py --steps 20     shorter runs, all anew

The shipped checkpoint goes on learning, in float32, from stories of a world in which one thing is
different: adjectives follow their nouns ("a kite red"). All ways get the same batches, and two peak
rates each; the better one, by the loss on held-out stories of the new world, counts, and both are
written down. What is also asked: the loss on stories of the OLD world (what was forgotten), and how
many of the stories that the tuned model tells by itself keep to the new order. The file is written
after every run, and runs that it holds are not made again. Seconds are the processor's, on the
machine that ran it: compare them with each other.
"""

import argparse
import itertools
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
RATES = {"full": (1e-3, 3e-3), "lora": (1e-2, 3e-3)}
ADJECTIVES = "|".join(world.ADJECTIVES)
NOUNS = "|".join(toy.noun for toy in world.TOYS)
PAIR = re.compile(rf"\b({ADJECTIVES}) ({NOUNS})\b")
BEHIND = re.compile(rf"\b({NOUNS}) ({ADJECTIVES})\b")


def turned(text: str) -> str:
    """ "a red kite" -> "a kite red" """
    return PAIR.sub(r"\2 \1", text)


def of_this_world(text: str) -> bool:
    """Whether every adjective of a toy stands behind it, and there is one."""
    return PAIR.search(text) is None and BEHIND.search(text) is not None


def told(say=str, *, held_out: bool = False):
    """Stories without end, of which the checkpoint has read none."""
    for number in itertools.count(START):
        yield say(tales.tell(number, held_out=held_out).text)


def held(stories, tokenizer) -> list:
    """One batch of whole stories, filled up on the right under a mask."""
    ids = [tokenizer.encode(next(stories), bos=True, eos=True) for _ in range(HELD_OUT)]
    longest = max(map(len, ids))
    rows = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids])
    return list(zip(rows.split(8), mask.split(8)))


def run(way: tuple, rate: float, data: dict, steps: int) -> dict:
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
    return found | asked_of(model, data, tokenizer)


def asked_of(model, data: dict, tokenizer) -> dict:
    """Losses in nats a token, and the share of its own stories that are of the new world."""
    losses = {key: round(evaluate(model, data[key]), 4) for key in ("new", "old")}
    return losses | {"belongs": belongs(model, tokenizer)}


def belongs(model, tokenizer) -> float:
    """The share of what it tells that a reader would take for the new world's."""
    ids = generate_batch(
        model.eval(), [[tokenizer.bos_id]] * TOLD, 230, temperature=0.8,
        stop_ids=[tokenizer.eos_id], generator=torch.Generator().manual_seed(1),
    )  # fmt: skip
    return sum(of_this_world(tokenizer.decode(row)) for row in ids) / TOLD


def data_of(steps: int, tokenizer) -> dict:
    stories, row = told(turned), []
    while len(row) <= BATCH * (SEQ + 1) * steps:
        row += tokenizer.encode(next(stories), bos=True, eos=True)
    new, old = (held(told(say, held_out=True), tokenizer) for say in (turned, str))
    return {"row": np.array(row, dtype=np.uint16), "new": new, "old": old}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--steps", type=int, default=40, help="of a run")
    steps = options.parse_args().steps
    torch.set_num_threads(1)
    model, tokenizer = formats.load("tales", dtype=torch.float32)
    data = data_of(steps, tokenizer)
    settings = {"seq_len": SEQ, "batch": BATCH, "steps": steps, "held_out": HELD_OUT, "told": TOLD,
                "alpha": "2 rank", "weight_decay": 0.0, "dtype": "float32"}  # fmt: skip
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if found.get("settings") != settings:
        found = {"settings": settings, "before": asked_of(model, data, tokenizer), "runs": []}
    made = {(r["way"], r["rank"], tuple(r["targets"]), r["lr"]) for r in found["runs"]}
    for number, way in itertools.product(range(2), WAYS):  # each once, before any again
        rate = RATES[way[0]][number]
        if (*way, rate) not in made:
            found["runs"].append(run(way, rate, data, steps))
            print({k: v for k, v in found["runs"][-1].items() if k != "curve"}, flush=True)
            store(found)


def store(found: dict) -> None:
    with atomic_write(FILE) as part:
        part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
