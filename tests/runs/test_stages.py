"""Runs of alignment: killed after any step and resumed, each kind is the run that never stopped.

The judge is an unbroken run: its checkpoints, its log and its finished model, to the bit.
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
from llamalab.alignment.reward import Scorer
from llamalab.alignment.reward_model import Pair, with_scalar_head
from llamalab.alignment.rlhf import PPOConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.ppo import Ask, begin_ppo
from llamalab.runs.preference import Compared, PairPlan, begin_pairs
from llamalab.runs.stages import resume_stage
from llamalab.runs.tune import TunePlan, begin_tune
from llamalab.training import TrainConfig
from tests.runs.small import CONFIG

RECIPE = TrainConfig(steps=5, lr=0.01)
KINDS = ("tune", "lora", "reward", "dpo", "ppo")
NUMBERS = torch.Generator().manual_seed(1)


def some(least, most):
    """Ids, never EOS."""
    length = int(torch.randint(least, most, (), generator=NUMBERS))
    return torch.randint(3, 290, (length,), generator=NUMBERS).tolist()


PROMPTS = [some(3, 7) for _ in range(9)]
PAIRS = [Compared(Pair(p + some(2, 9) + [2], p + some(2, 9), n % 4), len(p), (True, n % 2 == 0))
         for n, p in enumerate(PROMPTS)]  # fmt: skip
EXAMPLES = [(pair.chosen, [0.0] * start + [1.0] * (len(pair.chosen) - start))
            for pair, start, _ in PAIRS]  # fmt: skip
PPO = PPOConfig(iterations=5, batch_size=4, mini_batch_size=3, lr=0.01, max_new_tokens=6)


def model(seed=0):
    return Llama(CONFIG, generator=torch.Generator().manual_seed(seed))


def scorer(seed):
    return Scorer(with_scalar_head(model(seed), generator=torch.Generator().manual_seed(seed)), 0.1)


def begin(kind, out, tokenizer, save_every=1):
    chat = model()
    if kind in ("tune", "lora"):
        plan = TunePlan(train=RECIPE, tokens_per_batch=40, seq_len=20, hold_out=0.2, seed=4,
                        save_every=save_every, rank=2 if kind == "lora" else None)  # fmt: skip
        return begin_tune(out, chat, tokenizer, plan, EXAMPLES)
    if kind == "ppo":
        asks = [Ask(prompt, n % 2 == 0) for n, prompt in enumerate(PROMPTS)]
        return begin_ppo(out, chat, tokenizer, scorer(1), scorer(2), PPO, asks, seed=4,
                         save_every=save_every)  # fmt: skip
    plan = PairPlan(train=RECIPE, batch_size=2, hold_out=0.3, seed=4, save_every=save_every)
    return begin_pairs(out, kind, chat, tokenizer, plan, PAIRS)


def log(out):
    lines = (out / "records.jsonl").read_text(encoding="utf-8").splitlines()
    timing = ("seconds", "tokens_per_second")
    return [{k: v for k, v in json.loads(line).items() if k not in timing} for line in lines]


def tensors(out):
    """All that the newest checkpoint holds, but torch's own random state: each process has its
    own, and nothing here draws from it."""
    newest = checkpoint.latest(out / "checkpoints")
    return {
        (file.relative_to(newest).as_posix(), name): tensor
        for file in sorted(newest.rglob("*.safetensors"))
        for name, tensor in load_file(file).items()
        if name != "random.torch"
    }


def assert_same_run(one, two):
    assert log(one) == log(two)
    a, b = tensors(one), tensors(two)
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    for file in ("model.safetensors", "config.json"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


@pytest.fixture(scope="module")
def unbroken(tokenizer, tmp_path_factory):
    found = {}

    def of(kind):
        if kind not in found:
            out = tmp_path_factory.mktemp("unbroken") / kind
            found[kind] = out, list(begin(kind, out, tokenizer))
        return found[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("save_every", [1, 2])
def test_killed_and_resumed_it_is_the_run_that_never_stopped(
    tokenizer, tmp_path, unbroken, kind, save_every
):
    one, records = unbroken(kind)
    two = tmp_path / "two"
    run = begin(kind, two, tokenizer, save_every=save_every)
    for _ in zip(range(3), run):  # a kill: nothing is saved behind the last checkpoint
        pass
    assert (
        checkpoint.latest(two / "checkpoints").name == f"step-0000000{3 if save_every == 1 else 2}"
    )
    with open(two / "records.jsonl", "a", encoding="utf-8") as file:
        file.write('{"step": 9, "iteration": 9}\n{"it')
    torch.manual_seed(77)
    run = resume_stage(two)
    assert run.state.step == (3 if save_every == 1 else 2) and run.resumed
    list(run)
    assert_same_run(one, two)
    assert len(log(one)) == len(records) == 5
    assert list(resume_stage(two)) == []  # it is done
    assert_same_run(one, two)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_without_a_checkpoint_begins_anew(tokenizer, tmp_path, unbroken, kind):
    run = begin(kind, tmp_path / "two", tokenizer, save_every=0)
    next(iter(run))
    assert checkpoint.latest(run.out / "checkpoints") is None
    list(resume_stage(run.out))
    assert_same_run(unbroken(kind)[0], run.out)


@pytest.mark.parametrize("kind", KINDS)
def test_asked_to_stop_it_saves_and_goes_on(tokenizer, tmp_path, unbroken, kind):
    run = begin(kind, tmp_path / "two", tokenizer, save_every=0)
    for _ in run:
        run.stop = True  # that step was taken; the next one is the last
    assert run.state.step == 2 and not (run.out / "model.safetensors").exists()
    list(resume_stage(run.out))
    assert_same_run(unbroken(kind)[0], run.out)


# ---- what goes wrong -------------------------------------------------------------------------


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


def other(path, name, tensor):
    held = {key: value.clone() for key, value in load_file(path).items()}
    save_file(held | {name: tensor}, path)


DAMAGE = {
    "values cut": ("values/model.safetensors", lambda p: cut(p, 900)),
    "values missing": ("values", shutil.rmtree),
    "values' averages cut": ("values/optimizer.safetensors", lambda p: cut(p, 900)),
    "values' averages missing": ("values/optimizer.safetensors", os.unlink),
    "values' config cut": ("values/config.json", lambda p: cut(p, 30)),
    "values with a head of logits": (
        "values",
        lambda p: formats.save(model(), p),
    ),
    "the policy in the values' place": (
        "values/optimizer.safetensors",
        lambda p: shutil.copy(p.parents[1] / p.name, p),
    ),
    "no random numbers": (
        "optimizer.safetensors",
        lambda p: other(p, "random.ppo", torch.zeros(5056, dtype=torch.uint8)),
    ),
    "random numbers of another kind": (
        "optimizer.safetensors",
        lambda p: other(p, "random.ppo", torch.zeros(3, dtype=torch.uint8)),
    ),
    "JSON cut": ("training.json", lambda p: cut(p, 20)),
    "no position": (
        "training.json",
        lambda p: p.write_text('{"step": 2, "tokens": 0, "notes": {}}', encoding="utf-8"),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_refused_by_name(unbroken, tmp_path, damage):
    shutil.copytree(unbroken("ppo")[0], tmp_path / "run")
    newest = checkpoint.latest(tmp_path / "run" / "checkpoints")
    name, harm = DAMAGE[damage]
    harm(newest / name)
    with pytest.raises(ValueError) as refusal:
        resume_stage(tmp_path / "run")
    assert str(newest) in str(refusal.value) and name.partition("/")[0] in str(refusal.value)


def test_a_damaged_adapter_is_refused_by_name(unbroken, tmp_path):
    for number, harm in enumerate(
        (lambda p: cut(p, 500), os.unlink,
         lambda p: other(p, "layers.0.attention.wq.lora_A", torch.zeros(3, 12)))
    ):  # fmt: skip
        shutil.copytree(unbroken("lora")[0], tmp_path / f"{number}")
        file = checkpoint.latest(tmp_path / f"{number}" / "checkpoints") / "adapter.safetensors"
        harm(file)
        with pytest.raises(ValueError, match=r"adapter\.safetensors"):
            resume_stage(tmp_path / f"{number}")


@pytest.mark.parametrize(
    "file, harm, words",
    [
        ("data.jsonl", lambda p: cut(p, 50), "not what this run began with"),
        ("data.jsonl", os.unlink, "not what this run began with"),
        ("run.json", lambda p: cut(p, 50), "no proper JSON"),
        ("run.json", lambda p: p.write_text('{"kind": "war"}'), "holds a run of llamalab train"),
        ("run.json", lambda p: p.write_text('{"kind": "dpo"}'), "not what this run began with"),
        ("start/model.safetensors", lambda p: cut(p, 900), "start/model.safetensors"),
        ("start/tokenizer.model", os.unlink, "has no tokenizer.model"),
    ],
)
def test_a_run_s_own_files_are_looked_at(unbroken, tmp_path, file, harm, words):
    shutil.copytree(unbroken("dpo")[0], tmp_path / "run")
    harm(tmp_path / "run" / file)
    with pytest.raises(ValueError, match=words):
        resume_stage(tmp_path / "run")


@pytest.mark.parametrize("plan", [{"batch_size": 0}, {"margins": "wide"}, {"beta": 0.0}, {"x": 1},
                                  {"train": 3}, {"train": {"steps": 0}}])  # fmt: skip
def test_a_plan_that_makes_no_sense_is_refused(unbroken, tmp_path, plan):
    shutil.copytree(unbroken("dpo")[0], tmp_path / "run")
    file = tmp_path / "run" / "run.json"
    held = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(held | {"plan": held["plan"] | plan}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"run\.json is no run's plan"):
        resume_stage(tmp_path / "run")


class Death(BaseException):
    """A kill: whatever the code still wants to do, nothing is done."""


CALLS = [
    (os, "replace"),
    (os, "fsync"),
    (shutil, "rmtree"),
    (pathlib.Path, "replace"),
    (pathlib.Path, "mkdir"),
    (pathlib.Path, "write_text"),
    (checkpoint, "save_file"),
    (checkpoint, "save_adapter"),
    (formats, "save"),
]


@pytest.mark.parametrize("kind, alive", [("ppo", True), ("ppo", False), ("lora", False)])
def test_a_fault_at_any_call_of_a_save_leaves_a_whole_checkpoint(
    tokenizer, tmp_path, unbroken, kind, alive
):
    """A full disk (alive), or a kill, at each call that touches the disk, in turn."""
    run = begin(kind, tmp_path / "run", tokenizer, save_every=1)
    for _ in zip(range(2), run):
        pass
    run.save_every = 0
    next(iter(run))
    start = run.out / "checkpoints"
    second, faults = tensors(run.out), 0
    for fatal in range(1, 100):
        run.out = tmp_path / f"{fatal}"
        shutil.copytree(start, run.out / "checkpoints")
        count = 0

        def guarded(call, name, fatal=fatal):
            def touch(*args, **kwargs):
                nonlocal count
                count += 1
                if count == fatal or (count > fatal and not alive):
                    if name == "save_file" and count == fatal:
                        pathlib.Path(args[1]).write_bytes(b"half of a file")
                    if not alive:
                        raise Death
                    if not kwargs.get("ignore_errors"):
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return None if name == "fsync" else call(*args, **kwargs)

            return touch

        with pytest.MonkeyPatch.context() as patch:
            for owner, name in CALLS:
                patch.setattr(owner, name, guarded(getattr(owner, name), name))
            try:
                run.save()
            except (OSError, Death) as error:
                assert isinstance(error, Death) or "--resume" in str(error)
        newest = checkpoint.latest(run.out / "checkpoints")
        assert newest.name in ("step-00000002", "step-00000003")
        held = tensors(run.out)
        if newest.name == "step-00000002":
            assert held.keys() == second.keys()
            assert all(torch.equal(held[name], second[name]) for name in held)
        if count < fatal:
            break
        faults += 1
        shutil.rmtree(run.out)
    assert 10 < faults < 99
    shutil.rmtree(start)
    shutil.copytree(run.out / "checkpoints", start)  # the one that was not disturbed
    list(resume_stage(start.parent))
    a, b = tensors(unbroken(kind)[0]), tensors(start.parent)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_that_is_there_is_not_begun_again(tokenizer, unbroken, tmp_path):
    for kind in ("tune", "dpo", "ppo"):
        with pytest.raises(FileExistsError, match="holds a run already"):
            begin(kind, unbroken(kind)[0], tokenizer)
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(FileExistsError, match="is a file"):
        begin("ppo", tmp_path / "file", tokenizer)


def test_what_fails_at_its_beginning_leaves_nothing_behind(tokenizer, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("llamalab.runs.stage.write_json", full)
    for kind in KINDS:
        with pytest.raises(OSError):
            begin(kind, tmp_path / "deep" / "run", tokenizer)
    assert list(tmp_path.iterdir()) == []


def test_refused_before_there_is_a_folder(tokenizer, tmp_path):
    out, chat = tmp_path / "x", model()
    plan = PairPlan(train=RECIPE)
    one = PAIRS[0]
    with pytest.raises(ValueError, match="kind='war' must be one of reward, dpo"):
        begin_pairs(out, "war", chat, tokenizer, plan, PAIRS)
    with pytest.raises(ValueError, match="0 pairs"):
        begin_pairs(out, "dpo", chat, tokenizer, plan, [])
    long = one._replace(pair=one.pair._replace(chosen=[5] * 33))
    with pytest.raises(ValueError, match="33 tokens with its prompt.*max_seq_len=32"):
        begin_pairs(out, "reward", chat, tokenizer, plan, [one, long])
    with pytest.raises(ValueError, match="longest of 27 tokens, and max_new_tokens=6"):
        begin_ppo(out, chat, tokenizer, scorer(1), scorer(2), PPO, [Ask([5] * 27)])
    with pytest.raises(ValueError, match="seq_len=40 is past the model's context, max_seq_len=32"):
        begin_tune(out, chat, tokenizer, TunePlan(train=RECIPE, seq_len=40), EXAMPLES)
    other_words = Llama(replace(CONFIG, vocab_size=291))
    wrong = Scorer(with_scalar_head(other_words), 0.0)
    with pytest.raises(ValueError, match="the safety model reads 291 pieces and 32 positions"):
        begin_ppo(out, chat, tokenizer, scorer(1), wrong, PPO, [Ask([5])])
    assert not out.exists()


def test_a_run_begins_with_its_own_copies(tokenizer, tmp_path):
    """Who goes on training the model that was given does not change the run."""
    chat = model()
    plan = PairPlan(train=RECIPE, batch_size=2, seed=4, save_every=0)
    run = begin_pairs(tmp_path / "run", "dpo", chat, tokenizer, plan, PAIRS)
    with torch.no_grad():
        chat.norm.weight.zero_()
    assert run.model.norm.weight.min() > 0
    assert formats.load(run.out / "start")[0].norm.weight.min() > 0


def test_the_log_spreads_out_what_was_measured(unbroken):
    lines = log(unbroken("ppo")[0])
    assert [line["iteration"] for line in lines] == [1, 2, 3, 4, 5]
    assert {"helpfulness", "safety", "kl", "threads"} <= lines[0].keys()
    assert "measured" not in lines[0] and lines[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert log(unbroken("dpo")[0])[0]["loss"] == pytest.approx(0.693147, abs=1e-5)


def test_a_reward_run_ends_with_its_zero_between_good_and_bad(unbroken):
    """Against a search by hand: no other cut agrees with more marks."""
    run = resume_stage(unbroken("reward")[0])
    given = torch.cat(run.scores(run.pairs))
    good = torch.tensor([one.good[0] for one in run.pairs] + [one.good[1] for one in run.pairs])
    offset = formats.score_offset(run.out)

    def right(cut):
        return int(((given > cut) == good).sum())

    assert right(-offset) == max(right(float(cut)) for cut in [*given, given.min() - 1])
    accuracy = run.accuracy()
    assert sum(count for _, count in accuracy.values()) == len(run.held) == 2
