"""Several processes do what one does: on the CPU with gloo, started by torchrun, really killed.

The judge is one process. Two processes share each batch, three do so unevenly; masks give each
another number of tokens; checkpoints go both ways between one and several.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from llamalab.config import LlamaConfig
from llamalab.model import Llama
from llamalab.runs.plan import Plan
from llamalab.runs.run import begin, resume
from llamalab.runtime import distributed
from llamalab.tokenizer import BPETokenizer
from llamalab.training import TrainConfig
from tests.runtime import together

ROOT = Path(__file__).parents[2]
NEAR = 1e-5


def torchrun(processes: int, *arguments: str, **more) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc-per-node", str(processes), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8",
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path()}, **more,
    )  # fmt: skip


def path() -> str:
    return os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """Name of the processes -> what they saw. One process first: the others read from it."""
    folder = tmp_path_factory.mktemp("together")
    found = {}
    for processes, rows in ((2, 4), (3, 5)):
        one, several = folder / f"one{rows}", folder / str(processes)
        found[f"one{rows}"] = together.all_ways(one, ("ddp",), rows, None)
        several.mkdir()
        script = str(Path(together.__file__))
        process = torchrun(processes, script, str(several))
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        found[processes] = json.loads((several / "seen.json").read_text(encoding="utf-8"))
        assert found[processes].pop("world") == processes
    return folder, found


without = pytest.mark.skipif(not together.FSDP, reason="this torch's FSDP2 needs a GPU")
CASES = [(2, "ddp"), *(pytest.param(n, "fsdp", marks=without) for n in (2, 3))]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("processes, way", CASES)
def test_several_processes_take_the_steps_of_one(seen, processes, way, tied):
    rows, name = (4 if processes == 2 else 5), " tied" * tied
    one, several = seen[1][f"one{rows}"][f"ddp{name}"], seen[1][processes][f"{way}{name}"]
    assert_near(one, several)
    assert len(one) == 6
    assert (
        min(step["grad_norm"] for step in one) > together.RECIPE.max_grad_norm
    )  # every step was clipped
    assert several[-1]["again"] == pytest.approx(one[-1]["again"], abs=NEAR)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("processes, way", CASES)
def test_several_go_on_from_a_checkpoint_of_one(seen, processes, way, tied):
    rows, name = (4 if processes == 2 else 5), " tied" * tied
    one, several = seen[1][f"one{rows}"][f"ddp{name}"], seen[1][processes][f"{way}{name} read"]
    assert_near(one[together.STOP :], several)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("processes, way", CASES)
def test_one_goes_on_from_a_checkpoint_of_several(seen, tmp_path, processes, way, tied):
    rows, name = (4 if processes == 2 else 5), " tied" * tied
    read = seen[0] / str(processes) / f"{way}{name}" / f"step-{together.STOP:08}"
    alone = together.run(tmp_path, "ddp", tied, rows, read)
    assert_near(seen[1][f"one{rows}"][f"ddp{name}"][together.STOP :], alone)


@pytest.mark.parametrize("processes, way", CASES)
def test_a_checkpoint_of_several_is_that_of_one(seen, processes, way):
    folder, rows = seen[0], 4 if processes == 2 else 5
    for name in ("", " tied"):
        for step in (together.STOP, together.RECIPE.steps):
            one = folder / f"one{rows}" / f"ddp{name}" / f"step-{step:08}"
            several = folder / str(processes) / f"{way}{name}" / f"step-{step:08}"
            for file in ("model.safetensors", "optimizer.safetensors"):
                a, b = load_file(one / file), load_file(several / file)
                assert a.keys() == b.keys()
                for key in a.keys() - {"random.torch"}:
                    assert a[key].shape == b[key].shape and a[key].dtype == b[key].dtype
                    torch.testing.assert_close(a[key], b[key], atol=NEAR, rtol=0)
                    if key.startswith("exp_avg."):
                        assert a[key].abs().max() > 1e-4 and b[key].abs().max() > 1e-4  # no zeros


def assert_near(one: list[dict], several: list[dict]) -> None:
    assert [step["step"] for step in one] == [step["step"] for step in several]
    for a, b in zip(one, several):
        assert (a["tokens"], a["lr"]) == (b["tokens"], b["lr"])
        for what in ("loss", "grad_norm", "val_loss"):
            assert (a[what] is None) == (b[what] is None)
            if a[what] is not None:
                assert b[what] == pytest.approx(a[what], abs=NEAR), (a["step"], what)


# --- the command line under torchrun ---

SLOWLY = """
import time
from llamalab.training import loop
rate = loop.learning_rate
loop.learning_rate = lambda *a: (time.sleep(0.05), rate(*a))[1]
from llamalab.cli import app
app()
"""


def logged(out: Path) -> list[dict]:
    log = out / "losses.jsonl"
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines(keepends=True)
            if line.endswith("\n")]  # fmt: skip


def until(process: subprocess.Popen, moment) -> None:
    deadline = time.monotonic() + 300
    while not moment():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def workers(process: subprocess.Popen, script: Path) -> dict[int, psutil.Process]:
    """The processes that torchrun started, by rank."""
    found = (p for p in psutil.Process(process.pid).children(True) if str(script) in p.cmdline())
    return {int(p.environ()["RANK"]): p for p in found}


def test_a_killed_process_ends_the_run_and_the_rest_goes_on_from_the_checkpoint(tmp_path):
    texts = ["one red kite sat on our hill", "so the cat ran home and saw a mat"] * 60
    text, script = tmp_path / "text.txt", tmp_path / "slowly.py"
    text.write_text("\n".join(texts), encoding="utf-8", newline="\n")
    script.write_text(SLOWLY, encoding="utf-8", newline="\n")
    tokenizer = BPETokenizer.train(texts, 290)
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=tokenizer.vocab_size,
        max_seq_len=24, multiple_of=16,
    )  # fmt: skip
    recipe = TrainConfig(steps=40, lr=3e-3, grad_accum_steps=2, eval_every=8)
    plan = Plan(train=recipe, batch_size=4, seq_len=24, save_every=8, hold_out=0.1)
    one, two = (begin(tmp_path / out, config, plan, texts, tokenizer=tokenizer).out
                for out in ("one", "two"))  # fmt: skip
    assert len(list(resume(one))) == 40

    # kill -9 for process 0, the one that writes; process 1 has to say so, and end
    train = (str(script), "train", "--device", "cpu", "--resume", "--out", str(two))
    process = torchrun(2, *train)
    until(process, lambda: len(logged(two)) >= 11)
    workers(process, script)[0].kill()
    killed = time.monotonic()
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - killed < 60 and process.returncode != 0
    words = [line for line in err.splitlines() if "has lost another one" in line]
    assert len(words) == 1 and words[0].startswith("process 1 of 2")
    assert "step-00000008, is whole: start again with --resume" in words[0]
    assert "llamalab/cli/train.py" not in err  # no traceback of ours

    # Ctrl+C goes to torchrun, and through it to both: they finish the step, and save once
    before = len(logged(two))
    process = torchrun(2, *train, start_new_session=True)
    until(process, lambda: len(logged(two)) >= before + 3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    step = len(logged(two))
    assert before + 3 <= step < 40
    assert out.count(f"stopped at step {step} of 40, and saved") == 1, err
    assert (two / "checkpoints" / f"step-{step:08}").is_dir()

    # one process finishes what two began: losses and weights are those of one from the start
    run = resume(two)
    assert run.state.step == step and len(list(run)) == 40 - step
    assert_near(logged(one), logged(two))
    a, b = (load_file(out / "model.safetensors") for out in (one, two))
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], atol=NEAR, rtol=0)


def test_a_batch_that_cannot_be_shared_is_refused_with_both_numbers(tmp_path, monkeypatch):
    config, plan = LlamaConfig.from_name("tales"), Plan(train=TrainConfig(steps=1), batch_size=16)
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    tokenizer = BPETokenizer.train(["some text to learn from"], 300)
    with pytest.raises(ValueError, match="16 rows cannot be shared by 3 processes"):
        begin(tmp_path / "run", config, plan, ["a text"], tokenizer=tokenizer)
    assert not (tmp_path / "run").exists()


def test_alone_everything_does_nothing(monkeypatch):
    assert (distributed.world_size(), distributed.rank(), distributed.active()) == (1, 0, False)
    model = torch.nn.Linear(2, 2)
    assert distributed.wrap(model, "ddp") is distributed.wrap(model, "fsdp") is model
    assert distributed.any_rank(True) and not distributed.any_rank(False)
    assert distributed.rows(5) == slice(0, 5, 1)
    assert not distributed.lost(RuntimeError("Connection closed by peer"))  # nobody to lose
    with pytest.raises(ValueError, match="'pipeline'.*ddp and fsdp"):
        distributed.wrap(model, "pipeline")
    monkeypatch.setenv("LOCAL_RANK", "3")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="4 processes cannot share 2 GPUs"):
        distributed.init("cuda")


def test_where_fsdp_needs_a_gpu_it_says_so(monkeypatch):
    monkeypatch.setattr(distributed, "active", lambda: True)
    monkeypatch.delattr("torch.distributed.fsdp.fully_shard", raising=False)  # as in torch 2.5
    with pytest.raises(ValueError, match="fsdp on cpu .* torch .* --parallel ddp"):
        distributed.wrap(Llama(together.CONFIG), "fsdp")
