"""The number of threads: by a wish, by affinity, and by a quota rounded up."""

import os
import subprocess
import sys

import pytest
import torch

from llamalab.runtime import threads
from llamalab.runtime.threads import usable_cpus, usable_threads, wished_threads


def write(root, files: dict):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


def test_where_nothing_can_be_read_there_is_no_quota(tmp_path, monkeypatch):
    """As on macOS and Windows: all CPUs then."""
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 12)
    assert usable_cpus(tmp_path) == 12
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus(tmp_path) == 1


@pytest.mark.parametrize("limit, cpus", [
    ("max", 64), ("200000", 2), ("150000", 2), ("200001", 3), ("1000", 1), ("9900000", 64),
])  # fmt: skip
def test_two_of_sixty_four(tmp_path, monkeypatch, limit, cpus):
    """A share is rounded up, and is never more than affinity allows."""
    monkeypatch.setattr(threads, "affinity", lambda: 64)
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{limit} 100000\n"}
    assert usable_cpus(write(tmp_path, files)) == cpus


def test_affinity_is_pythons_own_count_where_it_has_one(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5, 9}, raising=False)
    monkeypatch.delattr(os, "process_cpu_count", raising=False)
    assert threads.affinity() == 3
    monkeypatch.setattr(os, "process_cpu_count", lambda: 7, raising=False)
    assert threads.affinity() == 7


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="affinity is Linux's")
def test_a_process_that_was_tied_to_one_cpu_counts_one():
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from llamalab.runtime.threads import usable_cpus; print(usable_cpus())"
    )
    env = {k: v for k, v in os.environ.items() if k != "PYTHON_CPU_COUNT"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env
    )
    assert done.stdout.split() == ["1"]


@pytest.mark.parametrize("text, expected", [
    ("3", 3), (" 4 ", 4), ("6,2", 6), ("", None), ("0", None), ("-2", None), ("all", None),
    ("2.5", None),
])  # fmt: skip
def test_a_wish(text, expected, tmp_path, monkeypatch):
    monkeypatch.setattr(threads, "affinity", lambda: 64)
    assert wished_threads({"OMP_NUM_THREADS": text}) == expected
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}
    write(tmp_path, files)
    assert usable_threads({"OMP_NUM_THREADS": text}, tmp_path) == (expected or 2)
    assert wished_threads({}) is None and usable_threads({}, tmp_path) == 2


def test_torch_is_lowered_and_never_raised(monkeypatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setattr(threads, "usable_threads", lambda: 64)
        assert threads.fit_threads() == 3 == torch.get_num_threads()
        monkeypatch.setattr(threads, "usable_threads", lambda: 2)
        assert threads.fit_threads() == 2 == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("most, wish, numbers", [
    (2, None, (2, 1)), (16, None, (16, 1)), (1, None, ()), (2, 2, ()), (4, 1, ()),
])  # fmt: skip
def test_all_threads_and_one_are_worth_a_try(monkeypatch, most, wish, numbers):
    monkeypatch.setattr(threads, "fit_threads", lambda: most)
    monkeypatch.setattr(threads, "wished_threads", lambda: wish)
    assert threads.numbers_to_try() == numbers
