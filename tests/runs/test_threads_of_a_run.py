"""How many threads a run takes, and when what is open in its plan is chosen."""

import json
import time
from dataclasses import replace

import pytest
import torch

from llamalab.runs import run as runs
from llamalab.runs.plan import Plan, read_plan
from llamalab.runs.run import begin, resume
from llamalab.runtime.governor import ThreadGovernor
from llamalab.training import TrainConfig
from tests.runs.small import CONFIG, STORIES

PLAN = Plan(train=TrainConfig(steps=4, lr=0.01), batch_size=2, seq_len=16, save_every=2)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch):
    """As on a machine where nobody has said a number."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def start(tokenizer, tmp_path):
    def start(plan=PLAN, texts=STORIES, **options):
        return begin(tmp_path / "run", CONFIG, plan, texts, tokenizer=tokenizer, **options)

    return start


def _logged(tmp_path):
    lines = (tmp_path / "run" / "losses.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["threads"] for line in lines]


def test_the_plans_number_is_taken_logged_and_put_back(start, tmp_path):
    seen = [torch.get_num_threads() for _ in start(replace(PLAN, threads=1))]
    assert seen == [1] * 4 == _logged(tmp_path) and torch.get_num_threads() == 2
    assert read_plan(tmp_path / "run")[1].threads == 1


def test_without_a_number_torch_is_left_alone(start, tmp_path):
    assert [torch.get_num_threads() for _ in start()] == [2] * 4 == _logged(tmp_path)


def test_a_run_of_a_larger_machine_takes_what_there_is(start):
    assert [torch.get_num_threads() for _ in start(replace(PLAN, threads=64))] == [2] * 4


def test_the_number_is_put_back_when_a_run_is_left_or_fails(start, monkeypatch):
    steps = iter(start(replace(PLAN, threads=1)))
    next(steps)
    assert torch.get_num_threads() == 1
    steps.close()
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("threads", [0, -1, 1.5, "2", True])
def test_a_number_that_makes_no_sense_is_refused(threads):
    with pytest.raises(ValueError, match="threads="):
        replace(PLAN, threads=threads)


class Nervous(ThreadGovernor):
    """Says another number after the second step."""

    made = []

    def __init__(self, most, threads):
        super().__init__(most, threads)
        self.told = []
        self.made.append((most, threads, self))

    def after(self, seconds):
        self.told.append(seconds)
        if len(self.told) != 2:
            return None
        self.threads = 1
        return "now on 1 thread"


def test_the_governor_is_told_of_every_step_and_obeyed(start, tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "ThreadGovernor", Nervous)
    run = start(watch_threads=True)
    told = [(record.seconds, run.news) for record in run]
    (most, threads, governor) = Nervous.made[-1]
    assert (most, threads) == (2, 2) and governor.told == [seconds for seconds, _ in told]
    assert [news for _, news in told] == [None, "now on 1 thread", None, None]
    assert _logged(tmp_path) == [2, 2, 1, 1] and torch.get_num_threads() == 2


def test_the_governor_begins_with_the_plans_number(start, monkeypatch):
    monkeypatch.setattr(runs, "ThreadGovernor", Nervous)
    list(start(replace(PLAN, threads=1), watch_threads=True))
    assert Nervous.made[-1][:2] == (2, 1)


def test_nobody_watches_unless_asked_or_where_a_number_was_wished(start, tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("no governor was asked for")

    monkeypatch.setattr(runs, "ThreadGovernor", refuse)
    list(start())
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    run = resume(tmp_path / "run", watch_threads=True)
    assert list(run) == [] and not run.watch_threads


def test_the_losses_are_the_same_to_the_bit_whoever_watches_a_quiet_machine(
    start, tmp_path, monkeypatch
):
    """A governor with nothing to do is not felt."""
    losses = [record.loss for record in start(watch_threads=True)]
    (tmp_path / "run").rename(tmp_path / "first")
    assert losses == [record.loss for record in start()]


def test_what_is_open_is_chosen_once_the_text_is_known_to_do(start, tmp_path):
    asked = []

    def choose(config, plan):
        asked.append(config.vocab_size)
        assert (tmp_path / "run" / "tokens.npy").exists()
        assert not (tmp_path / "run" / "run.json").exists()
        return replace(plan, threads=1, train=replace(plan.train, matmul="fused"))

    run = start(choose=choose)
    assert asked == [290] and (run.plan.threads, run.plan.train.matmul) == (1, "fused")
    assert resume(tmp_path / "run").plan == run.plan


def test_a_text_that_is_too_short_is_refused_before_anything_is_tried(start, tmp_path):
    def choose(*_):
        raise AssertionError("there was nothing to choose for")

    begun = time.perf_counter()
    with pytest.raises(ValueError):
        start(texts=["the hen"], choose=choose)
    assert time.perf_counter() - begun < 3
    assert list(tmp_path.iterdir()) == []


def test_a_choice_that_fails_leaves_nothing_behind(start, tmp_path):
    def choose(*_):
        raise MemoryError("no room to try anything")

    with pytest.raises(MemoryError):
        start(choose=choose)
    assert list(tmp_path.iterdir()) == []
