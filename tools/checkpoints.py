"""Make the course's own checkpoint again: `python tools/checkpoints.py`, under 40 minutes on two
cores.

    data/tokenizer.model           learned from the tales
    data/checkpoints/tales/        the model (Hugging Face layout, float16), its card and its record
    data/golden/tales.json         logits and greedy text that every platform has to give

The run itself goes into --work (a temporary folder if not given) and can be stopped and started
again there. With the same seed another machine gives a model of the same quality, not the same
bits: sums are added in another order there.
"""

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import llamalab
from llamalab import tales
from llamalab.accounting import Meter, count_parameters, training_flops
from llamalab.config import LlamaConfig
from llamalab.generation import generate, generate_batch
from llamalab.model import Llama
from llamalab.runs.autotune import fastest
from llamalab.runs.plan import Plan
from llamalab.runs.run import begin, resume
from llamalab.runtime.device import choose_device
from llamalab.runtime.files import atomic_write
from llamalab.tokenizer import BPETokenizer
from llamalab.training import TrainConfig, read_tokens, validation_batches, write_tokens
from llamalab.training.loop import evaluate

ROOT = Path(__file__).resolve().parents[1]
CONFIG = LlamaConfig.from_name("tales")
STORIES, FOR_TOKENIZER, FOR_VALIDATION = 160_000, 20_000, 1_000
STEPS, PEAK_RATE = 9000, 4e-3
SAMPLES, TEMPERATURE, SEED = 200, 0.8, 0
# The golden text is the greedy continuation of that one of these whose closest choice is clearest:
# rounding on another platform must not change a word of it.
NAMES = "girl Mia, boy Leo, girl Zoe, boy Sam, girl Lucy, boy Ravi, girl Ida, boy Omar".split(", ")
OPENINGS = ("Once upon a time there was", "Once there was")
PROMPTS = [f"{a} a {b.replace(' ', ' named ')}" for a in OPENINGS for b in NAMES]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--work", type=Path, help="folder of the run (default: a temporary one)")
    options.add_argument("--data", type=Path, default=ROOT / "data")
    options.add_argument("--only-files", action="store_true", help="the run is there: judge, write")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = asked.work or Path(temporary)
        if not asked.only_files:
            pretrain(work, asked.data)
        publish(work, asked.data / "checkpoints" / "tales")
    golden(asked.data)


def tokenizer_of(data: Path) -> BPETokenizer:
    """The tokenizer of all the course's models, learned from the first stories."""
    texts = (story.text for story in tales.stories(FOR_TOKENIZER))
    tokenizer = BPETokenizer.train(texts, CONFIG.vocab_size)
    tokenizer.save(data / "tokenizer.model")
    return tokenizer


def pretrain(work: Path, data: Path) -> None:
    """The run, into `work`; or what is left of it, if it was stopped there."""
    device, seconds = choose_device().device, work / "seconds.json"
    if (work / "run.json").exists():
        run = resume(work, device=device)
    else:
        batch = torch.randint(3, CONFIG.vocab_size, (16, CONFIG.max_seq_len + 1))
        found = fastest(Llama(CONFIG).to(device), batch)
        print(found, flush=True)
        train = TrainConfig(steps=STEPS, lr=PEAK_RATE, eval_every=100, **asdict(found.setting))
        plan = Plan(
            train=train, batch_size=16, seq_len=CONFIG.max_seq_len, seed=SEED,
            save_every=100, hold_out=0.01,
        )  # fmt: skip
        stories = (story.text for story in tales.stories(STORIES))
        run = begin(work, CONFIG, plan, stories, tokenizer=tokenizer_of(data), device=device)
    held = json.loads(seconds.read_text("utf-8")) if seconds.exists() else {"clock": 0, "cores": 0}
    meter, start = Meter(), time.perf_counter()
    for record in run:
        if record.step % 50 == 0:
            valid = "" if record.val_loss is None else f"  validation {record.val_loss:.4f}"
            print(f"step {record.step:5}  loss {record.loss:.4f}{valid}  "
                  f"{record.tokens_per_second:,.0f} tokens/s", flush=True)  # fmt: skip
        spent = {"clock": held["clock"] + time.perf_counter() - start,
                 "cores": held["cores"] + meter.read().core_seconds}  # fmt: skip
        seconds.write_text(json.dumps(spent), encoding="utf-8")


def publish(work: Path, folder: Path) -> None:
    """The float16 model, what the judge says of it, its record and its card."""
    trained, tokenizer = llamalab.load(work)
    llamalab.save(trained.half(), folder, format="hf", tokenizer=tokenizer)
    model, tokenizer = llamalab.load(folder, dtype=torch.float32)
    texts = told(model, tokenizer, SEED)
    verdicts = [tales.judge(text) for text in texts]
    more = [tales.judge(t) for i in range(1, 6) for t in told(model, tokenizer, SEED + i)]
    known = {story.text for story in tales.stories(STORIES)}
    plan = json.loads((work / "run.json").read_text("utf-8"))["plan"]
    spent = json.loads((work / "seconds.json").read_text("utf-8"))
    losses = [json.loads(line) for line in (work / "losses.jsonl").read_text("utf-8").splitlines()]
    way = plan["train"]["dtype"]
    record = {
        "model": asdict(model.config),
        "parameters": count_parameters(model.config)["total"],
        "plan": plan,
        "stories": STORIES,
        "tokens_seen": losses[-1]["tokens"],
        "training_flops": training_flops(model.config, losses[-1]["tokens"]),
        "seconds": round(spent["clock"]),
        "core_seconds": round(spent["cores"]),
        "torch": torch.__version__.partition("+")[0],
        "python": platform.python_version(),
        "machine": f"{os.cpu_count()} CPU cores, {way} products",
        "loss": smooth(losses)[-1][1],
        "validation_loss": [[x["step"], round(x["val_loss"], 4)] for x in losses
                            if x["val_loss"] is not None],
        "losses": smooth(losses),
        "held_out_loss": round(held_out_loss(model, tokenizer), 4),
        "judge": {
            "samples": SAMPLES,
            "temperature": TEMPERATURE,
            "consistent": sum(v.consistent for v in verdicts),
            "whole": sum(v.whole for v in verdicts),
            "names": round(sum(v.names for v in verdicts) / SAMPLES, 4),
            "things": round(sum(v.things for v in verdicts) / SAMPLES, 4),
            "copied_from_training": sum(text in known for text in texts),
            "different_texts": len(set(texts)),
            "more_samples": len(more),
            "more_consistent": sum(v.consistent for v in more),
        },
    }  # fmt: skip
    write(folder / "record.json", json.dumps(record, indent=1) + "\n")
    write(folder / "samples.txt", "\n\n".join(texts[:10]) + "\n")
    write(folder / "README.md", card(record, texts))
    print(json.dumps(record["judge"], indent=1), record["held_out_loss"])
    for text, verdict in zip(texts, verdicts):
        if not verdict.consistent:
            print("\n- ", text, "\n  ", verdict.complaints)


def told(model, tokenizer, seed: int) -> list[str]:
    """As many stories as are judged, from nothing but BOS."""
    start = tokenizer.encode("", bos=True)
    ids = generate_batch(
        model, [start] * SAMPLES, model.config.max_seq_len - len(start), temperature=TEMPERATURE,
        stop_ids=(tokenizer.eos_id,), generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip
    return [tokenizer.decode(row) for row in ids]


def held_out_loss(model, tokenizer) -> float:
    """The loss on stories whose combinations were never in the training set, in nats a token."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "held_out.npy")
        texts = (s.text for s in tales.stories(FOR_VALIDATION, held_out=True))
        write_tokens(path, texts, tokenizer)
        tokens = read_tokens(path).astype("int64")
        return evaluate(
            model, validation_batches(tokens, 8, model.config.max_seq_len, bos_id=tokenizer.bos_id)
        )


def smooth(losses: list[dict], every: int = 25) -> list[list[float]]:
    """[step, mean loss of the last `every` steps]: enough for a curve, small enough to ship."""
    rows = []
    for end in range(every, len(losses) + 1, every):
        part = [x["loss"] for x in losses[end - every : end]]
        rows.append([losses[end - 1]["step"], round(sum(part) / every, 4)])
    return rows


def golden(data: Path) -> None:
    """What every platform has to reproduce: greedy ids, and logits, from the float16 weights."""
    model, tokenizer = llamalab.load(data / "checkpoints" / "tales", dtype=torch.float32)

    def greedy(prompt: str) -> tuple:
        ids = tokenizer.encode(prompt, bos=True)
        new = list(generate(model, ids, 100, temperature=0, stop_ids=(tokenizer.eos_id,)))
        with torch.inference_mode():
            logits = model(torch.tensor([ids + new]))[0]  # (T, V)
        first, second = logits[len(ids) - 1 : -1].topk(2).values.unbind(-1)
        return float((first - second).min()), prompt, ids, new, logits

    closest, prompt, ids, new, logits = max(map(greedy, PROMPTS), key=lambda found: found[0])
    places = [0, len(ids), len(ids) + len(new) // 2, len(ids) + len(new) - 1]
    held = {
        "prompt": prompt,
        "prompt_ids": ids,
        "greedy_ids": new,
        "greedy_text": tokenizer.decode(ids + new),
        "closest_choice": round(closest, 4),
        "places": places,
        "logits": [[round(x, 5) for x in logits[place].tolist()] for place in places],
    }
    (data / "golden").mkdir(exist_ok=True)
    write(data / "golden" / "tales.json", json.dumps(held) + "\n")
    print(held["greedy_text"], "\nclosest choice:", held["closest_choice"])


def card(record: dict, texts: list[str]) -> str:
    judge, model = record["judge"], record["model"]
    n, fresh = judge["samples"], math.log(model["vocab_size"])
    share, more = judge["consistent"] / n, judge["more_consistent"] / judge["more_samples"]
    sample = "\n\n".join(f"> {text}" for text in texts[:3])
    return f"""# tales: the course's own small model

A Llama 2 of {record["parameters"]:,} parameters (dim {model["dim"]}, {model["n_layers"]} layers,
{model["n_heads"]} heads, {model["n_kv_heads"]} KV heads, {model["vocab_size"]:,} pieces, context
{model["max_seq_len"]}) that tells little stories. It was trained from random numbers on
{record["stories"]:,} of the course's tales, {record["tokens_seen"]:,} tokens, in
{record["seconds"] / 60:.0f} minutes on {record["machine"]}.

| measured | |
|---|--:|
| held-out loss, nats a token (when fresh {fresh:.2f}) | {record["held_out_loss"]:.3f} |
| consistent stories, says the judge, of {n} at temperature {judge["temperature"]} | {share:.1%} |
| the same, of {judge["more_samples"]:,} others | {more:.1%} |
| stories with a beginning and an end | {judge["whole"] / n:.1%} |
| word for word a training story | {judge["copied_from_training"]} of {n} |

The first three of those {n}, as they came:

{sample}

It knows the tales and nothing else: about a thousand words, no facts, no instructions. Made again
with `python tools/checkpoints.py`; `record.json` says how. Weights, tokenizer and text are under
the course's licence (MIT).
"""


def write(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
