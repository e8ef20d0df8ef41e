"""Greedy decoding with the cache, beside transformers' generate on the same weights, in one run.

    python benchmarks/decoding.py [--tokens 200]

Shape: the preset `tales` (dim 192, 6 layers, 6 heads, 2 KV heads, 1,024 pieces), batch 1, float32.
Both are timed in turns, the best of several; the ids must be equal. Needs transformers.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.config import LlamaConfig
from llamalab.interop import save
from llamalab.layers import KVCache
from llamalab.model import Llama


@torch.inference_mode()
def ours(model: Llama, prompt: torch.Tensor, new: int) -> tuple[list[int], list[float]]:
    """Greedy ids, and the seconds that each took."""
    cache = KVCache(model.config, 1, prompt.shape[1] + new)
    ids, seconds, tokens = [], [], prompt
    for _ in range(new):
        start = time.perf_counter()
        tokens = model(tokens, cache)[:, -1:].argmax(-1)  # (1, 1)
        ids.append(int(tokens))
        seconds.append(time.perf_counter() - start)
    return ids, seconds


@torch.inference_mode()
def theirs(model, prompt: torch.Tensor, new: int) -> list[int]:
    ids = model.generate(prompt, max_new_tokens=new, min_new_tokens=new, do_sample=False,
                         pad_token_id=0, attention_mask=torch.ones_like(prompt))  # fmt: skip
    return ids[0, prompt.shape[1] :].tolist()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--tokens", type=int, default=200)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    generator = torch.Generator().manual_seed(0)
    config = LlamaConfig.from_name("tales")
    model = Llama(config, generator=generator).eval()
    prompt = torch.randint(3, config.vocab_size, (1, 8), generator=generator)
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder, format="hf")
        peers = {
            kind: transformers.AutoModelForCausalLM.from_pretrained(
                folder, attn_implementation=kind
            ).eval()
            for kind in ("eager", "sdpa")
        }
    best, ids = {}, {}
    for _ in range(asked.rounds):
        start = time.perf_counter()
        ids["ours"], seconds = ours(model, prompt, asked.tokens)
        best["ours"] = min(best.get("ours", 1e9), time.perf_counter() - start)
        for kind, peer in peers.items():
            start = time.perf_counter()
            ids[kind] = theirs(peer, prompt, asked.tokens)
            best[kind] = min(best.get(kind, 1e9), time.perf_counter() - start)
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    print(f"{versions}, {torch.get_num_threads()} threads")
    print(f"{asked.tokens} tokens, best of {asked.rounds}")
    for name, taken in best.items():
        same = "" if ids[name] == ids["ours"] else "   OTHER IDS"
        ratio = taken / best["ours"]
        print(f"{name:6} {asked.tokens / taken:8.0f} tokens/s, {ratio:5.2f} times our time{same}")
    n = max(1, len(seconds) // 8)
    early, late = sorted(seconds[1 : 1 + n])[n // 2 - 1], sorted(seconds[-n:])[n // 2 - 1]
    print(f"a token, early: {1e3 * early:.2f} ms; late: {1e3 * late:.2f} ms")


if __name__ == "__main__":
    main()
