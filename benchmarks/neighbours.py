"""Several learners on one machine: steps of training a second, of all of them together.

    python benchmarks/neighbours.py [--processes 1 2 4] [--seconds 8]

OpenMP's threads wait for each other busily. Where more of them wait than there are cores, each
waits for one that has no core to run on. Each row: what the environment says; each column: so many
processes at once, each training the preset `tales` (8 rows of 128 tokens, float32).
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runtime.threads import usable_cpus

SAID = ("", "OMP_NUM_THREADS=1", "OMP_WAIT_POLICY=PASSIVE")


def steps_a_second(seconds: float) -> float:
    """Of this process alone, after one step that is not counted."""
    model = Llama(LlamaConfig.from_name("tales"))
    optimizer = torch.optim.AdamW(model.parameters())
    tokens = torch.randint(0, model.config.vocab_size, (8, 128))

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten()).backward()
        optimizer.step()

    step()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        step()
        done += 1
    return done / (time.perf_counter() - start)


def together(processes: int, said: str, seconds: float) -> float:
    """Steps a second of all processes, begun at once, with `said` in their environment."""
    told = {name: value for name, value in os.environ.items() if not name.startswith("OMP_")}
    told |= dict([said.split("=")]) if said else {}
    command = [sys.executable, __file__, "--alone", str(seconds)]
    running = [
        subprocess.Popen(command, env=told, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    return sum(float(process.communicate()[0]) for process in running)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--alone", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        print(steps_a_second(asked.alone))
        return
    print(f"{usable_cpus()} CPUs, torch {torch.__version__}; steps a second of all together")
    print("| the environment says | " + " | ".join(f"{n} at once" for n in asked.processes) + " |")
    print("|---|" + "--:|" * len(asked.processes))
    for said in SAID:
        speeds = [together(n, said, asked.seconds) for n in asked.processes]
        print(f"| {said or 'nothing'} | " + " | ".join(f"{speed:.1f}" for speed in speeds) + " |")


if __name__ == "__main__":
    main()
