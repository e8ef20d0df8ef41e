"""Every format on the shipped model: quality against bits, memory, tokens a second.

    python benchmarks/quantization.py                    all, into data/golden/quantization12.json
    python benchmarks/quantization.py quality | speed    one part; the other stays as it is

quality: held-out tales, each read alone from its BOS, as in training. Perplexity; KL to the
original, in nats a token; how often the likeliest token is the same; how many tokens of a greedy
tale are the same before the first that differs; the judge's score of the greedy tales. GPTQ and AWQ
read the first 128 tokens of training tales.
speed: the shipped shape, and a wide one whose weights no longer fit in a cache, with random
weights. A prompt of 128 tokens, and single tokens behind it, by the model and its KV cache (without
the FusedDecoder, which only plain float32 has), all in turns, the best of several, in seconds of
the processor's time, so that whatever else runs here counts little. Memory is what the process grew
by when the wide model was loaded, in a process of its own.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.config import LlamaConfig
from llamalab.formats import load, save
from llamalab.generation import generate_batch
from llamalab.layers import KVCache
from llamalab.model import Llama
from llamalab.quantization import Int8KVCache, bits_per_weight, quantize_model, weight_bytes
from llamalab.quantization.quantize import read_format
from llamalab.runtime.json_files import write_json
from llamalab.tales import judge

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "data" / "golden" / "quantization12.json"
LADDER = ["q8_0", "int8", "q4_1", "q4_0", "nf4", "rtn-4", "awq-4", "gptq-4", "rtn-3",
          "gptq-3"]  # fmt: skip
SPEED = ["float32", "bfloat16", "int8", "q8_0", "q4_0", "nf4"]
ROWS, LENGTH = 32, 256
CALIBRATION = 48, 128  # tales, tokens
WIDE = LlamaConfig(dim=1024, n_layers=2, n_heads=8, n_kv_heads=2, vocab_size=1024, multiple_of=256,
                   max_seq_len=256)  # fmt: skip
MEASURE = """
import sys, psutil, torch
torch.set_num_threads(1)
from llamalab import Llama, LlamaConfig, load
from llamalab.quantization import quantize_model
quantize_model(Llama(LlamaConfig.from_name("tiny")), "q8_0")(torch.zeros(1, 2, dtype=torch.long))
me = psutil.Process()
def own():
    found = me.memory_info()
    return found.rss - getattr(found, "shared", 0)
before = own()
how = dict(dtype=torch.float32) if sys.argv[2] == "float32" else dict(quantize=sys.argv[2])
if sys.argv[2] == "bfloat16":
    how = dict(dtype=torch.bfloat16)
model, _ = load(sys.argv[1], **how)
for weight in model.parameters():
    weight.data = weight.data.clone()  # out of the file's pages, so that all are counted alike
print(own() - before)
"""


def read_tales(tokenizer, name: str) -> list[list[int]]:
    """All of a file's, each with BOS and EOS."""
    lines = (ROOT / "data" / "tales" / name).read_text(encoding="utf-8").splitlines()
    return [tokenizer.encode(line, bos=True, eos=True) for line in lines]


def in_rows(tales: list[list[int]], filler: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens (B, T + 1), filled up behind, and which of the T targets are a tale's own."""
    longest = max(map(len, tales))
    tokens = torch.tensor([ids + [filler] * (longest - len(ids)) for ids in tales])
    own = torch.tensor([[place < len(ids) for place in range(1, longest)] for ids in tales])
    return tokens, own


@torch.no_grad()
def quality() -> list[dict]:
    model, tokenizer = load("tales", dtype=torch.float32)
    unseen, own = in_rows(read_tales(tokenizer, "valid.txt")[:ROWS], tokenizer.eos_id)
    number, long = CALIBRATION
    read = torch.tensor([
        ids[:long] for ids in read_tales(tokenizer, "train.txt") if len(ids) > long
    ][:number])  # fmt: skip
    tales = (ROOT / "data" / "tales" / "valid.txt").read_text(encoding="utf-8").splitlines()
    prompts = [tokenizer.encode(tale.split(". ")[0] + ".", bos=True) for tale in tales[:ROWS]]
    original = model(unseen[:, :-1]).log_softmax(-1)[own]  # (N, V)

    def texts(which: Llama, **options) -> list[list[int]]:
        room = LENGTH - max(map(len, prompts))
        return generate_batch(which, prompts, room, temperature=0, stop_ids=(tokenizer.eos_id,),
                              **options)  # fmt: skip

    greedy, table = texts(model), []

    def measure(name: str, which: Llama, **options) -> None:
        found = which(unseen[:, :-1], **cached(which, options)).log_softmax(-1)[own]
        told = texts(which if name == "int8" else unpacked(which), **options)
        same = [next((i for i, (a, b) in enumerate(zip(x, y)) if a != b), min(len(x), len(y)))
                for x, y in zip(told, greedy)]  # fmt: skip
        whole = [tokenizer.decode(ids + new) for ids, new in zip(prompts, told)]
        loss = F.nll_loss(found, unseen[:, 1:][own])
        kl = F.kl_div(found, original, log_target=True, reduction="batchmean")
        table.append({
            "format": name,
            "bits": round(bits_per_weight(which), 3),
            "bytes": weight_bytes(which),
            "perplexity": round(float(loss.exp()), 4),
            "kl": float(f"{max(float(kl), 0.0):.3g}"),
            "same_token": round(float((found.argmax(-1) == original.argmax(-1)).float().mean()), 4),
            "same_tokens_before": round(sum(same) / len(same), 1),
            "judge": round(sum(judge(tale).score for tale in whole) / len(whole), 4),
        })  # fmt: skip
        print(table[-1], flush=True)

    measure("float32", model)
    measure("float32, int8 cache", model, kv_cache=Int8KVCache)
    for name in LADDER:
        text = {"text": read} if read_format(name)[0] in ("gptq", "awq") else {}
        measure(name, quantize_model(model, name, **text))
    return table


def unpacked(model: Llama) -> Llama:
    """A plain model of the same numbers, which writes faster (int8 rounds activations besides)."""
    if list(model.tok_embeddings.parameters()):
        return model
    plain = Llama(model.config)
    for name, weight in plain.named_parameters():
        packed = model.get_submodule(name.removesuffix(".weight")).weight
        weight.copy_(packed if isinstance(packed, torch.Tensor) else packed.unpacked())
    return plain


def cached(model: Llama, options: dict) -> dict:
    kind = options.get("kv_cache")
    return {} if kind is None else {"cache": kind(model.config, ROWS, LENGTH)}


@torch.inference_mode()
def speed(rounds: int) -> list[dict]:
    table = []
    with tempfile.TemporaryDirectory() as folder:
        save(Llama(WIDE, generator=torch.Generator().manual_seed(0)), Path(folder) / "wide")
        for shape, path in (("tales", "tales"), ("wide", f"{folder}/wide")):
            plain, _ = load(path, dtype=torch.float32)
            models = {
                name: plain
                if name == "float32"
                else plain.__class__(plain.config).bfloat16()
                if name == "bfloat16"
                else quantize_model(plain, name)
                for name in SPEED
            }
            best = {name: [float("inf")] * 2 for name in SPEED}
            for _ in range(rounds):
                for name, model in models.items():
                    times = seconds(model, 4 if shape == "wide" else 24)
                    best[name] = [min(pair) for pair in zip(best[name], times)]
            for name, model in models.items():
                prompt, step = best[name]
                grown = memory(path, name) if shape == "wide" else None
                table.append({
                    "shape": shape,
                    "format": name,
                    "weights_bytes": weight_bytes(model),
                    "process_bytes": grown,
                    "prompt_tokens_per_second": round(128 / prompt),
                    "tokens_per_second": round(1 / step, 1),
                })  # fmt: skip
                print(table[-1], flush=True)
    return table


def memory(path: str, name: str) -> int:
    """Bytes that a process of its own grows by."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path, name], check=True, capture_output=True, cwd=ROOT
    )
    return int(done.stdout)


def seconds(model: Llama, steps: int) -> tuple[float, float]:
    """Of a prompt of 128 tokens, and of one token behind it."""
    tokens = torch.arange(128)[None] % model.config.vocab_size
    cache = KVCache(model.config, 1, 128 + steps, dtype=model.norm.weight.dtype)
    start = time.process_time()
    model(tokens, cache)
    middle = time.process_time()
    for _ in range(steps):
        model(tokens[:, :1], cache)
    return middle - start, (time.process_time() - middle) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", default=["quality", "speed"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    found = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    if "quality" in given.parts:
        found["quality"] = quality()
    if "speed" in given.parts:
        found["speed"] = speed(given.rounds)
        found["machine"] = {"torch": torch.__version__, "system": platform.system(),
                            "capability": torch.backends.cpu.get_cpu_capability(),
                            "threads": given.threads}  # fmt: skip
    write_json(FILE, found)


if __name__ == "__main__":
    main()
