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
from llamalab.device import choose_device
from llamalab.generation import generate, generate_batch
from llamalab.interop.files import beside
from llamalab.model import Llama
from llamalab.tokenizer import BPETokenizer
from llamalab.training import TrainConfig, read_tokens, validation_batches, write_tokens
from llamalab.training.loop import evaluate
from llamalab.training.run import Plan, begin, resume
from llamalab.training.ways import fastest

ROOT = Path(__file__).resolve().parents[1]
CONFIG = LlamaConfig.from_name("tales")
STORIES, FOR_TOKENIZER, FOR_VALIDATION = 80_000, 20_000, 1_000
# Two courses of training on stories of their own: (name, steps, peak rate). The second starts from
# the weights of the first; a rate that climbs once more finds what the first had settled beside.
COURSES = (("first", 5000, 4e-3), ("second", 2600, 3e-3))
SAMPLES, TEMPERATURE, SEED = 200, 0.8, 0
# The golden text is the greedy continuation of that one of these whose closest choice is clearest:
# rounding on another platform must not change a word of it.
NAMES = "girl Mia, boy Leo, girl Zoe, boy Sam, girl Lucy, boy Finn, girl Ida, boy Omar".split(", ")
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
        tokenizer_of(asked.data)
        before = None
        for number, (name, steps, lr) in enumerate(COURSES):
            if not asked.only_files:
                pretrain(work / name, asked.data, steps, lr, number, before)
            before = work / name
        publish(work, asked.data / "checkpoints" / "tales")
    golden(asked.data)


def tokenizer_of(data: Path) -> BPETokenizer:
    """The tokenizer of all the course's models, learned from the first stories."""
    texts = (story.text for story in tales.stories(FOR_TOKENIZER))
    tokenizer = BPETokenizer.train(texts, CONFIG.vocab_size)
    tokenizer.save(data / "tokenizer.model")
    return tokenizer


def pretrain(
    work: Path, data: Path, steps: int, lr: float, number: int, before: Path | None
) -> None:
    """Course `number` into `work`, from the weights of the course before; it can be resumed."""
    device, seconds = choose_device().device, work / "seconds.json"
    if (work / "run.json").exists():
        run = resume(work, device=device)
    else:
        batch = torch.randint(3, CONFIG.vocab_size, (16, CONFIG.max_seq_len + 1))
        found = fastest(Llama(CONFIG).to(device), batch)
        print(found, flush=True)
        train = TrainConfig(steps=steps, lr=lr, eval_every=100, **asdict(found.way))
        plan = Plan(
            train=train, batch_size=16, seq_len=CONFIG.max_seq_len, seed=SEED + number,
            save_every=100, hold_out=0.01,
        )  # fmt: skip
        stories = (story.text for story in tales.stories(STORIES, start=number * STORIES))
        tokenizer = BPETokenizer.load(data / "tokenizer.model")
        run = begin(work, CONFIG, plan, stories, tokenizer=tokenizer, device=device)
    if before and not run.resumed:
        run.model.load_state_dict(llamalab.load(before)[0].state_dict())
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
    runs = [work / name for name, _, _ in COURSES]
    trained, tokenizer = llamalab.load(runs[-1])
    llamalab.save(trained.half(), folder, format="hf", tokenizer=tokenizer)
    model, tokenizer = llamalab.load(folder, dtype=torch.float32)
    generator = torch.Generator().manual_seed(SEED)
    start = tokenizer.encode("", bos=True)
    room = model.config.max_seq_len - len(start)
    ids = generate_batch(model, [start] * SAMPLES, room, temperature=TEMPERATURE,
                         stop_ids=(tokenizer.eos_id,), generator=generator)  # fmt: skip
    texts = [tokenizer.decode(row) for row in ids]
    verdicts = [tales.judge(text) for text in texts]
    known = {story.text for story in tales.stories(STORIES * len(COURSES))}
    plans = [json.loads((run / "run.json").read_text("utf-8"))["plan"] for run in runs]
    spent = [json.loads((run / "seconds.json").read_text("utf-8")) for run in runs]
    losses = joined([run / "losses.jsonl" for run in runs])
    way = plans[-1]["train"]["dtype"]
    record = {
        "model": asdict(model.config),
        "parameters": count_parameters(model.config)["total"],
        "plans": plans,
        "stories": STORIES * len(COURSES),
        "tokens_seen": losses[-1]["tokens"],
        "training_flops": training_flops(model.config, losses[-1]["tokens"]),
        "seconds": round(sum(x["clock"] for x in spent)),
        "core_seconds": round(sum(x["cores"] for x in spent)),
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
        },
    }  # fmt: skip
    write(folder / "record.json", json.dumps(record, indent=1) + "\n")
    write(folder / "samples.txt", "\n\n".join(texts[:10]) + "\n")
    write(folder / "README.md", card(record, texts))
    print(json.dumps(record["judge"], indent=1), record["held_out_loss"])
    for text, verdict in zip(texts, verdicts):
        if not verdict.consistent:
            print("\n- ", text, "\n  ", verdict.complaints)


def held_out_loss(model, tokenizer) -> float:
    """The loss on stories whose combinations were never in the training set, in nats a token."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "held_out.npy")
        texts = (s.text for s in tales.stories(FOR_VALIDATION, held_out=True))
        write_tokens(path, texts, tokenizer)
        tokens = torch.from_numpy(read_tokens(path)[:].astype("int64")).numpy()
        return evaluate(
            model, validation_batches(tokens, 8, model.config.max_seq_len, bos_id=tokenizer.bos_id)
        )


def joined(logs: list[Path]) -> list[dict]:
    """The courses' logs as one: steps and tokens go on counting."""
    rows, step, tokens = [], 0, 0
    for log in logs:
        for line in log.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows.append(row | {"step": row["step"] + step, "tokens": row["tokens"] + tokens})
        step, tokens = rows[-1]["step"], rows[-1]["tokens"]
    return rows


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
    share = judge["consistent"] / n
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
| stories with a beginning and an end | {judge["whole"] / n:.1%} |
| word for word a training story | {judge["copied_from_training"]} of {n} |

The first three of those {n}, as they came:

{sample}

It knows the tales and nothing else: about a thousand words, no facts, no instructions. Made again
with `python tools/checkpoints.py`; `record.json` says how. Weights, tokenizer and text are under
the course's licence (MIT).
"""


def write(path: Path, text: str) -> None:
    with beside(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
