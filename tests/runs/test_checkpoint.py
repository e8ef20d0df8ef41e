"""Resuming is exact to the last bit, and whatever goes wrong while saving, a whole one stays.

The judge of the first is a run that never stopped; of the second, faults at every single call that
touches the disk: once as a full disk, once as a death, after which nothing more is done.
"""

import errno
import json
import os
import pathlib
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from llamalab import formats
from llamalab.config import LlamaConfig
from llamalab.formats import hf
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.plan import Plan
from llamalab.runs.run import begin, resume
from llamalab.tokenizer import BPETokenizer
from llamalab.training import TrainConfig, make_optimizer, train
from llamalab.training.loop import TrainState

CONFIG = LlamaConfig(
    dim=24, n_layers=2, n_heads=4, n_kv_heads=2, vocab_size=50, max_seq_len=12, multiple_of=8
)
TIMING = ("seconds", "tokens_per_second")


class Random:
    """Batches with a mask. The ids follow from the position, the mask from torch's own random
    state: both have to come back."""

    def __init__(self, position: int = 0):
        self.position = position

    def __iter__(self):
        return self

    def __next__(self):
        generator = torch.Generator().manual_seed(self.position)
        self.position += 1
        tokens = torch.randint(50, (3, 9), generator=generator)
        return tokens, torch.rand(3, 9) < 0.7


def fresh(config=CONFIG, recipe=None, seed=0):
    model = Llama(config, generator=torch.Generator().manual_seed(seed))
    return model, TrainState(make_optimizer(model, recipe or TrainConfig(steps=7)))


def steps(model, state, batches, recipe, count=None):
    """`count` steps, each as a record without its timing."""
    records = train(model, batches, recipe, state=state)
    taken = [next(records) for _ in range(count)] if count is not None else list(records)
    return [replace(r, **dict.fromkeys(TIMING, 0)) for r in taken]


def bits(model, state) -> dict[str, torch.Tensor]:
    """Everything that the next step depends on, by name, copied."""
    held = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for number, averages in state.optimizer.state_dict()["state"].items():
        held |= {f"{number}.{kind}": tensor.clone() for kind, tensor in averages.items()}
    return held | {"random": torch.get_rng_state(), "at": torch.tensor([state.step, state.tokens])}


def assert_same(one: dict, other: dict) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize(
    "tied, accumulate, dtype, stop",
    [
        (False, 1, "float32", 1),
        (False, 3, "bfloat16", 4),
        (True, 1, "bfloat16", 6),
        (True, 3, "float32", 3),
        (False, 1, "float32", 0),  # before the first step
        (True, 1, "float32", 7),  # behind the last
    ],
)
def test_a_resumed_run_takes_the_same_steps_to_the_bit(tmp_path, tied, accumulate, dtype, stop):
    config = replace(CONFIG, tie_embeddings=tied)
    recipe = TrainConfig(steps=7, warmup_steps=2, grad_accum_steps=accumulate, dtype=dtype)
    torch.manual_seed(5)
    model, state = fresh(config, recipe)
    unbroken = steps(model, state, Random(), recipe)
    end = bits(model, state)

    torch.manual_seed(5)
    model, state = fresh(config, recipe)
    batches = Random()
    before = steps(model, state, batches, recipe, stop)
    saved = bits(model, state)
    path = checkpoint.save(tmp_path, model, state, notes={"position": batches.position})
    assert_same(bits(model, state), saved)  # saving changes nothing

    torch.manual_seed(999)
    model, state = fresh(config, recipe, seed=1)  # another model, until it is restored
    position = checkpoint.restore(path, model, state)["position"]
    checkpoint.restore_optimizer(path, model, state)
    after = steps(model, state, Random(position), recipe)
    assert before + after == unbroken
    assert_same(bits(model, state), end)
    if tied:
        assert model.output.weight is model.tok_embeddings.weight


WORDS = "the cat sat on a mat and saw one red kite over our hill so they ran home".split()
TEXTS = [" ".join(WORDS[i * k % 17] for i in range(1, 20)) for k in range(1, 30)]


@pytest.fixture(scope="module")
def tokenizer():
    return BPETokenizer.train(TEXTS, 300)


def new_run(out, tokenizer, **changes):
    config = replace(CONFIG, vocab_size=tokenizer.vocab_size)
    recipe = TrainConfig(steps=12, grad_accum_steps=2, eval_every=4)
    plan = Plan(train=recipe, batch_size=9, seq_len=12, save_every=5, hold_out=0.1, seed=3)
    return begin(out, config, replace(plan, **changes), TEXTS, tokenizer=tokenizer)


def losses(out) -> list[dict]:
    lines = (out / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return [{k: v for k, v in json.loads(line).items() if k not in TIMING} for line in lines]


def test_a_stopped_and_resumed_run_logs_and_ends_as_an_unbroken_one(tmp_path, tokenizer):
    unbroken = new_run(tmp_path / "one", tokenizer)
    assert [record.step for record in unbroken] == list(range(1, 13))
    assert unbroken.batches.epoch >= 1  # so the order of an epoch was drawn anew on the way

    run, stops = new_run(tmp_path / "two", tokenizer), iter((3, 8))
    for _ in range(2):
        at = next(stops)
        for record in run:
            run.stop = record.step == at - 1  # as Ctrl+C does: that step is the last
        assert run.state.step == at
        log = tmp_path / "two" / "losses.jsonl"
        with open(log, "a", encoding="utf-8") as file:  # a kill behind the checkpoint: two lines,
            file.write('{"step": 99, "loss": 1.0}\n{"step": 100, "lo')  # one of them cut short
        run = resume(tmp_path / "two")
    list(run)
    assert losses(tmp_path / "two") == losses(tmp_path / "one")
    one, two = (tmp_path / out / "model.safetensors" for out in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    assert_same(*(averages(tmp_path / out) for out in ("one", "two")))
    kept = sorted(path.name for path in (tmp_path / "two" / "checkpoints").iterdir())
    assert kept == ["step-00000010", "step-00000012"]
    again = resume(tmp_path / "two")  # a finished run has nothing more to do
    assert list(again) == [] and losses(tmp_path / "two") == losses(tmp_path / "one")


def averages(out) -> dict[str, torch.Tensor]:
    found = load_file(out / "checkpoints" / "step-00000012" / "optimizer.safetensors")
    return {name: tensor for name, tensor in found.items() if not name.startswith("random")}


# What touches the disk. Each call is one place where a disk can be full or a process can die.
CALLS = [
    (os, "replace"),
    (os, "fsync"),
    (os, "unlink"),
    (shutil, "rmtree"),
    (pathlib.Path, "replace"),
    (pathlib.Path, "mkdir"),
    (pathlib.Path, "write_text"),
    (pathlib.Path, "write_bytes"),
    (checkpoint, "save_file"),
    (hf, "save_file"),
    (formats, "save"),
    (BPETokenizer, "save"),
]


class Death(BaseException):
    """A kill: whatever the code still wants to do, nothing is done."""


class Disk:
    """Counts the calls and lets the `fatal`-th one fail, half done where that is possible."""

    def __init__(self, monkeypatch, fatal: int, kind: str):
        self.count, self.fatal, self.kind = 0, fatal, kind
        for owner, name in CALLS:
            monkeypatch.setattr(owner, name, self.guarded(getattr(owner, name), name))

    def guarded(self, call, name):
        def touch(*args, **kwargs):
            self.count += 1
            if self.kind == "dead" and self.count > self.fatal:
                raise Death
            if self.count == self.fatal:
                if name == "save_file":
                    pathlib.Path(args[1]).open("wb").write(b"half of a file")
                elif name == "rmtree":
                    half = sorted(pathlib.Path(args[0]).glob("*"))[::2]
                    list(map(pathlib.Path.unlink, half))
                elif name == "write_text":
                    args[0].open("w").write(args[1][: len(args[1]) // 2])
                if self.kind == "dead":
                    raise Death
                if not kwargs.get("ignore_errors"):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return None if name == "fsync" else call(*args, **kwargs)

        return touch


@pytest.mark.parametrize("kind", ["full", "dead"])
@pytest.mark.parametrize("number", [3, 2])  # a new step; and one that is there already
def test_a_fault_at_any_call_leaves_a_whole_checkpoint(tmp_path, tokenizer, kind, number):
    config = replace(CONFIG, n_layers=1, vocab_size=tokenizer.vocab_size)
    models = {}
    for step in (1, 2, 3):
        model, state = fresh(config, seed=step)
        steps(model, state, Random(), TrainConfig(steps=7), 1)
        state.step = step
        models[step] = model, state, bits(model, state)

    def save(folder, step):
        model, state, _ = models[step]
        checkpoint.save(folder, model, state, tokenizer=tokenizer)

    start = tmp_path / "start"
    save(start, 1)
    save(start, 2)
    told = faults = 0
    for fatal in range(1, 100):
        folder = tmp_path / f"{kind}{fatal}"
        shutil.copytree(start, folder)
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, fatal, kind)
            try:
                save(folder, number)
            except OSError as error:
                told += 1
                assert f"step-0000000{number}" in str(error) and "--resume" in str(error)
                assert os.strerror(errno.ENOSPC) in str(error) and "\n" not in str(error)
                assert str(checkpoint.latest(folder)) in str(error)
            except Death:
                pass
        newest = checkpoint.latest(folder)
        model, state = fresh(config, seed=9)
        checkpoint.restore(newest, model, state)
        checkpoint.restore_optimizer(newest, model, state)
        assert state.step in ({2, 3} if number == 3 else {2})
        torch.set_rng_state(models[state.step][2]["random"])
        assert_same(bits(model, state), models[state.step][2])
        save(folder, 3)  # there is room again: two are left, one perhaps under its .old name
        names = sorted(path.name.removesuffix(".old") for path in folder.iterdir())
        assert names == ["step-00000002", "step-00000003"]
        if disk.count < fatal:
            break
        faults += 1
    assert 14 < faults < 99 and (kind == "dead" or told > 10)


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path):
    """The system's own refusal, in the middle of a write: a limit on the size of a file."""
    resource = pytest.importorskip("resource")  # everywhere but on Windows
    model, state = fresh()
    steps(model, state, Random(), TrainConfig(steps=7), 2)
    checkpoint.save(tmp_path, model, state)
    saved = bits(model, state)
    steps(model, state, Random(), TrainConfig(steps=7), 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (tmp_path / "step-00000002" / "model.safetensors").stat().st_size
    for most in (100, 5_000, size + 100):  # in the JSON, the weights, the averages
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        try:
            with pytest.raises(OSError, match=r"step-00000003 could not be.*too large.*--resume"):
                checkpoint.save(tmp_path, model, state)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]
    model, state = fresh(seed=1)
    checkpoint.restore(tmp_path / "step-00000002", model, state)
    checkpoint.restore_optimizer(tmp_path / "step-00000002", model, state)
    assert_same(bits(model, state), saved)


def test_only_a_folder_that_was_finished_counts(tmp_path):
    assert checkpoint.latest(tmp_path / "nothing") is None
    for name in ("step-00000009.part", "step-00000012", "notes", "step-3"):
        (tmp_path / name).mkdir()
    (tmp_path / "step-00000009.part" / "training.json").write_text("{}", encoding="utf-8")
    assert checkpoint.latest(tmp_path) is None
    model, state = fresh()
    for state.step in (99_999_999, 100_000_000, 5):
        path = checkpoint.save(tmp_path, model, state)
    assert path.exists()  # what was just written is never among the old
    assert checkpoint.latest(tmp_path).name == "step-100000000"  # by number, not by letters


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def other_tensor(path, name, tensor):
    held = {key: value.clone() for key, value in load_file(path).items()}
    save_file({key: value for key, value in (held | {name: tensor}).items() if value.numel()}, path)


DAMAGE = {
    "weights cut": ("model.safetensors", lambda p: cut(p, 3_000)),
    "weights cut in the head": ("model.safetensors", lambda p: cut(p, 7)),
    "weights missing": ("model.safetensors", os.unlink),
    "averages cut": ("optimizer.safetensors", lambda p: cut(p, 3_000)),
    "averages empty": ("optimizer.safetensors", lambda p: cut(p, 0)),
    "averages missing": ("optimizer.safetensors", os.unlink),
    "average without its weight": (
        "optimizer.safetensors",
        lambda p: other_tensor(p, "exp_avg.layers.7.wq", torch.zeros(2)),
    ),
    "average of another shape": (
        "optimizer.safetensors",
        lambda p: other_tensor(p, "exp_avg.norm.weight", torch.zeros(12)),
    ),
    "average of another dtype": (
        "optimizer.safetensors",
        lambda p: other_tensor(p, "exp_avg_sq.norm.weight", torch.zeros(24, dtype=torch.half)),
    ),
    "no random state": (
        "optimizer.safetensors",
        lambda p: other_tensor(p, "random.torch", torch.zeros(0, dtype=torch.uint8)),
    ),
    "random state of zeros": (
        "optimizer.safetensors",
        lambda p: other_tensor(p, "random.torch", torch.zeros(5056, dtype=torch.uint8)),
    ),
    "JSON cut": ("training.json", lambda p: cut(p, 20)),
    "JSON empty": ("training.json", lambda p: cut(p, 0)),
    "step below 0": ("training.json", lambda p: p.write_text('{"step": -1, "tokens": 1}')),
    "step a text": ("training.json", lambda p: p.write_text('{"step": "1", "tokens": 1}')),
    "no tokens": ("training.json", lambda p: p.write_text('{"step": 1}')),
    "notes a list": ("training.json", lambda p: p.write_text('{"step":1,"tokens":1,"notes":[]}')),
    "config missing": ("step-00000002", lambda p: os.unlink(p / "config.json")),
    "config cut": ("config.json", lambda p: cut(p, 30)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_by_name_and_changes_nothing(tmp_path, damage):
    model, state = fresh()
    steps(model, state, Random(), TrainConfig(steps=7), 2)
    path = checkpoint.save(tmp_path, model, state)
    name, harm = DAMAGE[damage]
    harm(path if name == path.name else path / name)
    model, state = fresh(seed=1)
    before = bits(model, state)
    with pytest.raises(ValueError, match=name) as refusal:
        checkpoint.restore(path, model, state)
        before = bits(model, state)
        checkpoint.restore_optimizer(path, model, state)
    assert str(path) in str(refusal.value)
    assert_same(bits(model, state), before)


@pytest.mark.parametrize(
    "changes",
    [{"n_layers": 3}, {"hidden_dim": 40}, {"n_heads": 6}, {"rope_theta": 500.0}, {"dim": 32}],
)
def test_another_model_s_checkpoint_is_refused(tmp_path, changes):
    path = checkpoint.save(tmp_path, *fresh())
    model, state = fresh(replace(CONFIG, **{"hidden_dim": None} | changes))
    name = next(iter(changes))
    with pytest.raises(ValueError, match=rf"step-.* is of another model: .*{name} is .* there"):
        checkpoint.restore(path, model, state)


def test_a_run_s_place_in_the_data_must_be_in_its_checkpoint(tmp_path, tokenizer):
    run = new_run(tmp_path, tokenizer)
    next(iter(run))
    path = run.save()
    (path / "training.json").write_text('{"step": 1, "tokens": 1, "notes": {}}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"training\.json has no position"):
        resume(tmp_path)


@pytest.mark.parametrize("file", ["losses.jsonl", "model"])
def test_a_disk_that_fills_up_elsewhere_is_one_sentence_too(tmp_path, tokenizer, file, monkeypatch):
    run = new_run(tmp_path, tokenizer, train=TrainConfig(steps=2), save_every=1)
    if file == "model":  # of the end, in Hugging Face's layout
        real = hf.save_file

        def full(tensors, path, **more):
            if pathlib.Path(path).parent == tmp_path:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(tensors, path, **more)

        monkeypatch.setattr(hf, "save_file", full)
    else:
        next(iter(run))
        os.unlink(tmp_path / file)
        (tmp_path / file).mkdir()
        monkeypatch.setattr("llamalab.runs.run.shorten", lambda log, step: None)
    with pytest.raises(OSError, match=r"could not be written.*step-0000000\d, is whole.*--resume"):
        list(run)


def test_nothing_is_pickled_or_unpickled(tmp_path, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("a pickle")

    for owner, name in [(torch, "load"), (torch, "save")]:
        monkeypatch.setattr(owner, name, never)
    for name in ("load", "loads", "dump", "dumps", "Unpickler", "Pickler"):
        monkeypatch.setattr(f"pickle.{name}", never)
    path = checkpoint.save(tmp_path, *fresh())
    model, state = fresh(seed=1)
    checkpoint.restore(path, model, state)
    checkpoint.restore_optimizer(path, model, state)
    kinds = {file.suffix for file in path.iterdir()}
    assert kinds == {".json", ".safetensors"}
