"""The sweeps of notebook 07, measured once and drawn there: data/golden/sweeps07.json.

    python benchmarks/sweeps.py              every part; some minutes on one core
    python benchmarks/sweeps.py rate scale   these alone; the others stay in the file as they are
    python benchmarks/sweeps.py --steps 60   shorter runs of everything

Each run is a small Llama on tales, in float32, from a seed that draws both its weights and its
batches; windows begin where a story does. What is kept of it: the loss on held-out stories, and
that on their copied names alone: places at which a name stands that this story has named before.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab import tales
from llamalab.accounting import count_parameters
from llamalab.config import LlamaConfig
from llamalab.model import Llama, init_weights
from llamalab.runtime.files import atomic_write
from llamalab.tales import world
from llamalab.tokenizer import BPETokenizer
from llamalab.training import Batches, TrainConfig, evaluate, train

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "sweeps07.json"
SMALL = LlamaConfig(dim=64, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=1024, multiple_of=32,
                    max_seq_len=256, tie_embeddings=True)  # fmt: skip
SEQ, BATCH, LR, WARMUP, SEEDS = 128, 8, 5e-3, 20, (0, 1, 2)
STDS = (0.02, 0.06, 0.125, 0.5)  # 1/sqrt(64) = 0.125
RATES = (1e-4, 5e-4, 2e-3, 5e-3, 2e-2, 1e-1)
BATCHES = (2, 8, 32)
DIMS = (16, 32, 48, 64, 96)
LENGTHS = (0.25, 0.5, 1.0, 2.0)  # of a run, in parts of the usual one
HELD_OUT = 96
LIVE = replace(SMALL, n_layers=3)  # the model that the lesson trains live


class Corpus:
    """Tokens of enough stories, and the beginnings of held-out ones with a mask of names."""

    def __init__(
        self,
        tokens: int,
        seq: int = SEQ,
        plot: str | None = None,
        told: Callable[[str], str] = str,
        held_told: Callable[[str], str] = str,
    ):
        self.tokenizer, self.seq = BPETokenizer.load(ROOT / "data" / "tokenizer.model"), seq
        row, count = [], 0
        while len(row) <= tokens:
            story = tales.tell(count)
            if plot in (None, story.plot):
                row += self.encode(told(story.text))
            count += 1
        self.row = np.array(row, dtype=np.uint16)
        held = (s for s in tales.stories(HELD_OUT * 12, held_out=True) if plot in (None, s.plot))
        held = [self.encode(held_told(s.text))[: seq + 1] for _, s in zip(range(HELD_OUT), held)]
        self.held = torch.tensor([ids for ids in held if len(ids) == seq + 1])
        names = {self.tokenizer.encode(person.name)[0] for person in world.PEOPLE}
        self.copied = torch.zeros_like(self.held, dtype=torch.bool)
        for row, mask in zip(self.held.tolist(), self.copied):
            for place, token in enumerate(row):
                mask[place] = token in names and token in row[:place]

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, bos=True, eos=True)


def run(corpus, config=SMALL, *, seed, steps, batch=BATCH, std=None, **settings) -> dict:
    """Train one model; its held-out loss, and that on copied names, six times on the way."""
    generator = torch.Generator().manual_seed(seed)
    model = Llama(config, generator=generator)
    init_weights(model, std=std, generator=generator)
    warmup = min(WARMUP, steps // 4)
    plan = TrainConfig(steps=steps, **{"lr": LR, "warmup_steps": warmup} | settings)
    found = {"tokens": [], "train": [], "loss": [], "names": []}
    marks = {max(1, steps * sixth // 6) for sixth in range(1, 7)}
    batches = Batches(corpus.row, batch, corpus.seq, seed=seed, bos_id=corpus.tokenizer.bos_id)
    for record in train(model, batches, plan):
        if record.step in marks:
            found["tokens"].append(record.tokens)
            found["train"].append(round(record.loss, 4))
            found["loss"].append(round(evaluate(model, [corpus.held]), 4))
            found["names"].append(round(evaluate(model, [(corpus.held, corpus.copied)]), 4))
    return found


def init(corpus, steps):
    """The standard deviation of the fresh weights, on runs three times as long as usual."""
    for std, seed in product(STDS, SEEDS):
        yield {"std": std, "seed": seed} | run(corpus, std=std, seed=seed, steps=3 * steps)


def rate(corpus, steps):
    """The peak of the learning rate."""
    for lr, seed in product(RATES, SEEDS):
        yield {"lr": lr, "seed": seed} | run(corpus, lr=lr, seed=seed, steps=steps)


def warmup(corpus, steps):
    """With and without a warm-up, at a good rate and at a high one."""
    for lr, climb, seed in product((5e-3, 2e-2), (0, WARMUP), SEEDS):
        found = run(corpus, lr=lr, seed=seed, steps=steps, warmup_steps=climb)
        yield {"lr": lr, "warmup": climb, "seed": seed} | found


def batch(corpus, steps):
    """As many tokens in steps of different size, at one rate."""
    for size, seed in product(BATCHES, SEEDS):
        found = run(corpus, seed=seed, batch=size, steps=steps * BATCH // size)
        yield {"batch": size, "seed": seed} | found


def scale(corpus, steps):
    """Sizes times tokens, each run with a schedule of its own length."""
    for dim, length in product(DIMS, LENGTHS):
        config = replace(SMALL, dim=dim)
        count = count_parameters(config)
        tables = count["embedding"] + count["output"]
        found = run(corpus, config, seed=0, steps=int(length * steps))
        seen = found["tokens"][-1]
        yield {"dim": dim, "parameters": count["total"], "tables": tables, "seen": seen} | found


def once(text: str) -> str:
    """A tale in which nobody is called twice: "Ida! Ida!" becomes "Ida!"."""
    return re.sub(r"\b(\w+)([!,?]) \1\2", r"\1\2", text)


def calls(_, steps):
    """The lesson's live model, longer, on tales with their calls and without; both are then asked
    about the same held-out stories, in which nobody is called twice."""
    steps = int(7.5 * steps)
    for twice, told in ((True, str), (False, once)):
        corpus = Corpus(steps * BATCH * 192, 192, "wish", told, once)
        for seed in SEEDS[:2]:
            found = run(corpus, LIVE, seed=seed, steps=steps, lr=1e-2)
            yield {"twice": twice, "seed": seed} | found


PARTS = {part.__name__: part for part in (init, rate, warmup, batch, scale, calls)}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if left out")
    options.add_argument("--steps", type=int, default=200, help="of a usual run")
    asked = options.parse_args()
    torch.set_num_threads(1)
    corpus = Corpus(3 * asked.steps * BATCH * SEQ)
    for name in asked.parts or PARTS:
        runs = []
        for found in PARTS[name](corpus, asked.steps):
            runs.append(found)
            print(name, list(found.items())[:2], found["loss"][-1], found["names"][-1], flush=True)
        store(name, runs, asked.steps)


def store(name: str, runs: list[dict], steps: int) -> None:
    """One part of the file; the others stay."""
    held = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    held[name] = runs
    shape = {"dim": SMALL.dim, "n_layers": SMALL.n_layers, "seq_len": SEQ, "batch": BATCH,
             "steps": steps, "lr": LR, "warmup_steps": WARMUP, "seeds": len(SEEDS)}  # fmt: skip
    ordered = {"settings": shape} | {part: held[part] for part in PARTS if part in held}
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(FILE) as part:
        part.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
