"""Runs of alignment: killed after any step and resumed, each kind is the run that never stopped.

The judge is an unbroken run: its checkpoints, its log and its finished model, to the bit.
"""

import errno
import json
import os
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from llamalab import formats
from llamalab.alignment.comparison import Comparison
from llamalab.alignment.reward_model import with_scalar_head
from llamalab.alignment.rlhf import PPOConfig
from llamalab.model import Llama
from llamalab.runs import checkpoint
from llamalab.runs.ppo import Ask, begin_ppo
from llamalab.runs.preference import PairPlan, begin_pairs
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
PAIRS = [Comparison(p, some(2, 9) + [2], some(2, 9), n % 4) for n, p in enumerate(PROMPTS)]
EXAMPLES = [(p + one.chosen, [0.0] * len(p) + [1.0] * len(one.chosen))
            for p, one in zip(PROMPTS, PAIRS)]  # fmt: skip
PPO = PPOConfig(iterations=5, batch_size=4, mini_batch_size=3, lr=0.01, max_new_tokens=6)


def model(seed=0):
    return Llama(CONFIG, generator=torch.Generator().manual_seed(seed))


def scorer(seed):
    return with_scalar_head(model(seed), generator=torch.Generator().manual_seed(seed)), 0.1


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
    assert checkpoint.latest(two / "checkpoints").name == f"step-0000000{3 if save_every == 1 else 2}"
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
