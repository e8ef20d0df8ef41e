"""Answers for PPO: ours beside transformers' generate, and what an iteration of PPO spends where.

    python benchmarks/rollouts.py [--rows 64] [--tokens 150] [--rounds 3] [--cpu]

The shipped model in float32, prompts of 32 to 48 tokens from the stories that it has not seen,
temperature 0.9, no top-k and no top-p. All are timed in turns, the best of several; what counts is
tokens of answers, EOS too, a second. Twice: answers that end where they end, and answers that are
all of full length. Then the parts of one iteration, on the longer texts. Seconds are the clock's:
ask for a quiet machine. --cpu counts the process's own seconds instead, which other work disturbs
less; then one thread is fair (OMP_NUM_THREADS=1), since threads that wait count too. Needs
transformers.
"""

import argparse
import platform
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import llamalab
from llamalab.alignment.rollout import sample, score
from llamalab.formats import save
from llamalab.generation import generate_batch

ROOT = Path(__file__).resolve().parents[1]
TEMPERATURE = 0.9


def ours(model, prompts, new: int, eos: int | None) -> int:
    drawn = sample(model, prompts, new, temperature=TEMPERATURE, eos_id=eos)
    return int(drawn.mask.sum())


def batch(model, prompts, new: int, eos: int | None) -> int:
    rows = generate_batch(
        model, prompts, new, temperature=TEMPERATURE, stop_ids=[] if eos is None else [eos]
    )
    return sum(min(len(row) + 1, new) for row in rows)


@torch.inference_mode()
def theirs(model, prompts, new: int, eos: int | None) -> int:
    longest = max(map(len, prompts))
    padded = torch.tensor([[0] * (longest - len(ids)) + ids for ids in prompts])
    seen = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in prompts])
    model.generation_config.eos_token_id = eos
    ids = model.generate(padded, attention_mask=seen, max_new_tokens=new, do_sample=True,
                         temperature=TEMPERATURE, top_k=0, top_p=1.0, pad_token_id=0)  # fmt: skip
    ends = (ids[:, longest:] == (-1 if eos is None else eos)).long()
    return int((ends.cumsum(1) - ends == 0).sum())


def cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rows", type=int, default=64)
    options.add_argument("--tokens", type=int, default=150)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--cpu", action="store_true")
    asked = options.parse_args()
    clock = time.process_time if asked.cpu else time.perf_counter
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    model, tokenizer = llamalab.load(ROOT / "data" / "checkpoints" / "tales")
    model = model.float()
    stories = (ROOT / "data" / "tales" / "valid.txt").read_text(encoding="utf-8").splitlines()
    prompts = [
        tokenizer.encode(story, bos=True)[: 32 + row % 17]
        for row, story in enumerate(stories[: asked.rows])
    ]
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder, format="hf")
        load = transformers.AutoModelForCausalLM.from_pretrained
        peer = load(folder, attn_implementation="sdpa").eval()
    runs = {
        "sample": (ours, model),
        "generate_batch": (batch, model),
        "transformers": (theirs, peer),
    }
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{cpu_name()}, {torch.get_num_threads()} threads, {versions}")
    print(f"{len(prompts)} rows, at most {asked.tokens} tokens, best of {asked.rounds} in turns")
    for name, eos in (("to their end", tokenizer.eos_id), ("full length", None)):
        rates = {who: [] for who in runs}
        for _ in range(asked.rounds):
            for who, (run, of) in runs.items():
                start = clock()
                count = run(of, prompts, asked.tokens, eos)
                rates[who].append(count / (clock() - start))
        print(f"answers {name}:")
        for who, found in rates.items():
            ratio = max(rates["sample"]) / max(found)
            print(f"  {who:15} {max(found):6.0f} tokens/s, ours {ratio:5.2f} times as many")
    for part, seconds in iteration(model, prompts, asked.tokens, asked.rounds, clock).items():
        print(f"  {part:36} {seconds:6.2f} s")


def iteration(model, prompts, new: int, rounds: int, clock) -> dict[str, float]:
    """Seconds of each part, the least of several: texts of full length."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0)
    least: dict[str, float] = {}

    def timed(part, run):
        start = clock()
        result = run()
        least[part] = min(least.get(part, float("inf")), clock() - start)
        return result

    def without_gradients():
        with torch.no_grad():
            return score(model, drawn, TEMPERATURE)

    def update():
        optimizer.zero_grad()
        ratio = (timed("- of which forward", lambda: score(model, drawn, TEMPERATURE)) - old).exp()
        (-ratio[drawn.mask].mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(rounds):
        drawn = timed(
            "sampling",
            lambda: sample(model, prompts, new, temperature=TEMPERATURE, eos_id=None),
        )
        old = timed("scoring, without gradients", without_gradients)
        timed("a step of learning", update)
    print(f"parts of an iteration, {drawn.tokens.shape[0]} x {drawn.tokens.shape[1]}:")
    return least


if __name__ == "__main__":
    main()
