"""generate, as a user calls it, beside transformers' generate on the same weights, in one run.

    python benchmarks/decoding.py [--tokens 200] [--rounds 10]

Greedy, batch 1, float32. Shape: the preset `tales` (dim 192, 6 layers, 6 heads, 2 KV heads, 1,024
pieces). All are timed in turns, the best of several, with what it costs to begin (our decoder is
made anew for each call); the ids must be equal. `model` is our own model with its KV cache and no
FusedDecoder. Needs transformers.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.config import LlamaConfig
from llamalab.formats import save
from llamalab.generation import generate
from llamalab.layers import KVCache
from llamalab.model import Llama


def ours(model: Llama, prompt: torch.Tensor, new: int) -> list[int]:
    return list(generate(model, prompt[0], new, temperature=0))


@torch.inference_mode()
def plain(model: Llama, prompt: torch.Tensor, new: int) -> list[int]:
    cache = KVCache(model.config, 1, prompt.shape[1] + new)
    ids, tokens = [], prompt
    for _ in range(new):
        tokens = model(tokens, cache)[:, -1:].argmax(-1)  # (1, 1)
        ids.append(int(tokens))
    return ids


@torch.inference_mode()
def theirs(model, prompt: torch.Tensor, new: int) -> list[int]:
    ids = model.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False,
                         pad_token_id=0, attention_mask=torch.ones_like(prompt))  # fmt: skip
    return ids[0, prompt.shape[1] :].tolist()


def seconds_of_each(model: Llama, prompt: torch.Tensor, new: int) -> list[float]:
    """How long each of our tokens took; the first holds the prompt and the decoder's making."""
    stream, seconds = generate(model, prompt[0], new, temperature=0), []
    for _ in range(new):
        start = time.perf_counter()
        next(stream)
        seconds.append(time.perf_counter() - start)
    return seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tokens", type=int, default=200)
    options.add_argument("--rounds", type=int, default=10)
    asked = options.parse_args()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    generator = torch.Generator().manual_seed(0)
    config = LlamaConfig.from_name("tales")
    model = Llama(config, generator=generator).eval()
    prompt = torch.randint(3, config.vocab_size, (1, 8), generator=generator)
    runs = {"generate": (ours, model), "model": (plain, model)}
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder, format="hf")
        for kind in ("sdpa", "eager"):
            peer = transformers.AutoModelForCausalLM.from_pretrained(
                folder, attn_implementation=kind
            )
            runs[f"transformers, {kind}"] = (theirs, peer.eval())
    best, ids, each = dict.fromkeys(runs, float("inf")), {}, []
    for _ in range(asked.rounds):
        for name, (run, of) in runs.items():
            start = time.perf_counter()
            ids[name] = run(of, prompt, asked.tokens)
            best[name] = min(best[name], time.perf_counter() - start)
        each.append(seconds_of_each(model, prompt, asked.tokens))
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, {torch.get_num_threads()} threads")
    print(f"{asked.tokens} tokens behind {prompt.shape[1]}, best of {asked.rounds}")
    for name, taken in best.items():
        same = "" if ids[name] == ids["generate"] else "   OTHER IDS"
        ratio = taken / best["generate"]
        print(f"{name:20} {asked.tokens / taken:6.0f} tokens/s {ratio:6.2f} times our time{same}")
    least = [1e3 * min(column) for column in zip(*each)]  # of the rounds, for each token
    n = max(1, asked.tokens // 8)
    print(f"the first token, with prompt and FusedDecoder: {least[0]:.2f} ms")
    print(f"a token early: {statistics.median(least[1 : 1 + n]):.3f} ms; ", end="")
    print(f"late: {statistics.median(least[-n:]):.3f} ms")


if __name__ == "__main__":
    main()
