"""One run that is killed, killed while it writes, interrupted and terminated, and goes on each
time, against one that nobody disturbed: the same losses and the same weights, bit for bit.

The signals are real, and so are the processes: only a pause in each step and each write makes
sure that there is a moment to be killed in.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

ROOT = Path(__file__).parents[2]
SHAPE = "--dim 32 --n-heads 4 --n-kv-heads 2 --n-layers 2 --batch-size 4 --seq-len 24 --seed 7"
PLAN = "--steps 30 --save-every 4 --eval-every 6 --grad-accum-steps 2 --dtype float32 --device cpu"
SLOWLY = """
import os, time
from llamalab.training import loop
rate, fsync = loop.learning_rate, os.fsync
loop.learning_rate = lambda *a: (time.sleep(0.04), rate(*a))[1]
os.fsync = lambda f: (time.sleep(0.04), fsync(f))[1]
from llamalab.cli import app
app()
"""
SIGNALS = [] if os.name == "nt" else [signal.SIGINT, signal.SIGTERM]


def command(*arguments: str, slowly: bool) -> list[str]:
    return [sys.executable, *(["-c", SLOWLY] if slowly else ["-m", "llamalab"]), *arguments]


def start(*arguments: str) -> subprocess.Popen:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command(*arguments, slowly=True), cwd=ROOT, env=environment, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def until(process: subprocess.Popen, moment) -> None:
    deadline = time.monotonic() + 300
    while not moment():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "nothing happened for five minutes"
        time.sleep(0.002)


def losses(out: Path) -> list[dict]:
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    timing = ("seconds", "tokens_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in lines]


def logged(out: Path) -> int:
    log = out / "losses.jsonl"
    return log.read_bytes().count(b"\n") if log.exists() else 0


def last(out: Path) -> int:
    whole = (p.name for p in (out / "checkpoints").glob("step-*") if p.suffix != ".part")
    return max((int(name[5:13]) for name in whole), default=0)


def averages(checkpoint: Path) -> dict:
    """Without torch's random state: each new process draws its own, and training needs none."""
    held = load_file(checkpoint / "optimizer.safetensors")
    return {name: tensor for name, tensor in held.items() if name != "random.torch"}


def test_killed_at_random_moments_and_resumed_it_is_the_run_that_never_stopped(tmp_path):
    text, one, two = tmp_path / "text.txt", tmp_path / "one", tmp_path / "two"
    chance = random.Random(11)
    words = "the cat sat on a mat and saw one red kite over our hill so they ran home".split()
    lines = (" ".join(chance.choice(words) for _ in range(30)) for _ in range(60))
    text.write_text("\n".join(lines), encoding="utf-8", newline="\n")
    asked = ["--text", str(text), "--lines", *SHAPE.split(), *PLAN.split()]

    unbroken = subprocess.run(
        command("train", "--out", str(one), *asked, slowly=False), cwd=ROOT, capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"}, text=True, encoding="utf-8",
    )  # fmt: skip
    assert unbroken.returncode == 0, unbroken.stderr
    assert "done: loss" in unbroken.stdout

    # 1. kill -9 between two checkpoints: steps that were taken, and logged, are lost
    process = start("train", "--out", str(two), *asked)
    moment = 5 + chance.randrange(3)
    until(process, lambda: logged(two) >= moment)
    process.kill()
    process.communicate()
    assert process.returncode != 0 and 4 <= last(two) and logged(two) >= moment

    # 2. kill -9 in the middle of writing a checkpoint, which stays behind, half done
    moment = last(two) + chance.choice([4, 8])
    process = start("train", "--out", str(two), "--resume")
    half = two / "checkpoints" / f"step-{moment:08}.part"
    until(process, lambda: (half / "optimizer.safetensors").exists())
    process.kill()
    process.communicate()
    assert half.exists() and last(two) == moment - 4

    # 3. and 4. asked politely: the step is finished, saved, and the way on is said
    for kind in SIGNALS:
        moment = logged(two) + 2 + chance.randrange(2)  # past all that earlier lives logged
        process = start("train", "--out", str(two), "--resume")
        until(process, lambda: logged(two) >= moment)  # noqa: B023
        process.send_signal(kind)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        step = last(two)
        assert moment <= step == logged(two) < 30
        assert f"stopped at step {step} of 30, and saved" in out
        assert f"--out {two} --resume" in out and "behind this step" in err
        assert "Traceback" not in err

    # 5. to the end, and nothing is left lying about
    process = start("train", "--out", str(two), "--resume")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0 and "done: loss" in out, err
    assert losses(two) == losses(one) and len(losses(one)) == 30
    assert (two / "model.safetensors").read_bytes() == (one / "model.safetensors").read_bytes()
    names = sorted(path.name for path in (one / "checkpoints").iterdir())
    assert names == ["step-00000028", "step-00000030"]
    assert sorted(path.name for path in (two / "checkpoints").iterdir()) == names
    for name in names:
        a, b = (averages(run / "checkpoints" / name) for run in (one, two))
        assert a.keys() == b.keys() and all((a[key] == b[key]).all() for key in a)


def test_a_second_signal_ends_the_run_at_once(tmp_path, monkeypatch):
    """Without a process: the handler is asked directly."""
    from llamalab.cli.follow import stopping

    class Run:
        stop = False

    run, before = Run(), signal.getsignal(signal.SIGINT)
    with stopping(run):
        handler = signal.getsignal(signal.SIGINT)
        assert signal.getsignal(signal.SIGTERM) is handler
        handler(signal.SIGINT, None)
        assert run.stop
        with pytest.raises(KeyboardInterrupt):
            handler(signal.SIGINT, None)
    assert signal.getsignal(signal.SIGINT) is before
