"""Training beside transformers' Llama, in one run: a whole step, forward, backward and optimizer.

    python benchmarks/training.py [--rounds 9] [--float32] [--compile] [--threads 2]

Shape: the preset `tales` (dim 192, 6 layers, 6 heads, 2 KV heads, 1,024 pieces), batch 16 x 256.
Every setting of ours that this machine has, and the peer with eager and SDPA attention. All start
from the same weights and take the same steps (fused AdamW, the same rates, clipped to length 1)
with the same threads, in turns, so that whatever else runs here slows all alike. `times` is how
often our step fits into the peer's: the median over the rounds, and beside it that of the best
steps. Their losses must agree. Needs transformers.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.config import LlamaConfig
from llamalab.formats import save
from llamalab.model import Llama
from llamalab.runs.autotune import PLAIN, Setting, settings
from llamalab.training import TrainConfig, learning_rate, train

BATCH, SEQ_LEN = 16, 256
FLOAT32, BFLOAT16 = 1e-4, 1e-2  # shares by which the losses may differ


def ours(model: Llama, batch: torch.Tensor, config: TrainConfig):
    """A function that takes one step and returns the loss."""
    records = train(model, iter(lambda: batch, None), config)
    return lambda: next(records).loss


def theirs(model, batch: torch.Tensor, config: TrainConfig):
    """The same with transformers' model and its own loop."""
    optimizer = torch.optim.AdamW(
        model.parameters(), betas=(config.beta1, config.beta2), eps=config.eps,
        weight_decay=config.weight_decay, fused=True,
    )  # fmt: skip
    forward = torch.compile(model) if config.compile else model
    inputs, targets = batch[:, :-1], batch[:, 1:].flatten()
    number = 0
    model.train()

    def step() -> float:
        nonlocal number
        number += 1
        with torch.autocast("cpu", torch.bfloat16, enabled=config.dtype == "bfloat16"):
            logits = forward(input_ids=inputs, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.max_grad_norm)
        optimizer.param_groups[0]["lr"] = learning_rate(number, config)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


def runs(
    config: TrainConfig, *, exact: bool, compile: bool
) -> dict[tuple[str, Setting], Callable[[], float]]:
    """(who, setting) -> a function that takes one step."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    shape = LlamaConfig.from_name("tales")
    generator = torch.Generator().manual_seed(0)
    fresh = Llama(shape, generator=generator)
    batch = torch.randint(3, shape.vocab_size, (BATCH, SEQ_LEN + 1), generator=generator)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        save(fresh, folder, format="hf")
        for way in settings(torch.device("cpu"), exact=exact, compile=compile):
            taken = replace(config, **asdict(way))
            model = Llama(shape)
            model.load_state_dict(fresh.state_dict())
            found["ours", way] = ours(model, batch, taken)
            for kind in ("eager", "sdpa") if way.matmul == "torch" else ():
                peer = transformers.AutoModelForCausalLM.from_pretrained(
                    folder, attn_implementation=kind, dtype=torch.float32
                )
                found[f"transformers {kind}", way] = theirs(peer, batch, taken)
    return found


def cpu() -> str:
    """The processor and the units that torch uses of it, as far as this system says."""
    name, flags = platform.processor() or platform.machine(), ""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
            elif line.startswith("flags"):
                flags = line.partition(":")[2].split()
    except OSError:
        return name
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16")
    units = ", ".join(flag for flag in wanted if flag in flags)
    return f"{name} ({units}; torch takes {torch.backends.cpu.get_cpu_capability()})"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--float32", action="store_true", help="leave bfloat16 out")
    options.add_argument("--compile", action="store_true", help="also with torch.compile (minutes)")
    options.add_argument("--threads", type=int, help="default: torch's own choice")
    asked = options.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    # No decay: ours would spare the embedding and the norms, and the steps would not be the same.
    config = TrainConfig(steps=asked.rounds + 2, warmup_steps=2, weight_decay=0.0)
    everyone = runs(config, exact=asked.float32, compile=asked.compile)
    taken, losses = {name: [] for name in everyone}, {}
    for turn in range(config.steps):
        for name, step in everyone.items():
            start = time.perf_counter()
            losses[name] = step()
            if turn > 1:  # the first two warm up
                taken[name].append(time.perf_counter() - start)

    tokens = BATCH * SEQ_LEN
    middle = {name: statistics.median(seconds) for name, seconds in taken.items()}
    plain = [name for name in taken if name[1] == PLAIN and name[0] != "ours"]
    peer = min(plain, key=middle.get)
    print(f"{cpu()}, {torch.get_num_threads()} threads")
    print(
        f"torch {torch.__version__}; {asked.rounds} rounds of steps of {tokens:,} tokens; 1.00 is "
        f"{peer[0]} in float32"
    )
    print(f"{'':18} {'':22} {'ms':>6} {'tokens/s':>9} {'times':>6} {'best':>6} {'loss':>8}")
    for name, seconds in sorted(middle.items(), key=lambda item: item[1]):
        times = statistics.median(a / b for a, b in zip(taken[peer], taken[name]))
        best = min(taken[peer]) / min(taken[name])
        print(
            f"{name[0]:18} {str(name[1]):22} {1e3 * seconds:6.0f} {tokens / seconds:9,.0f} "
            f"{times:6.2f} {best:6.2f} {losses[name]:8.4f}"
        )
    expected = losses[peer]
    for (who, way), loss in losses.items():
        share = FLOAT32 if way.dtype == "float32" else BFLOAT16
        if abs(loss - expected) > share * expected:
            sys.exit(f"{who}, {way}: a loss of {loss:.5f} where {peer[0]} has {expected:.5f}")


if __name__ == "__main__":
    main()
