"""The number of CPUs: from files written out as Linux, Docker and Kubernetes write them."""

import os
import subprocess
import sys
from pathlib import PurePosixPath

import pytest
import torch

from llamalab.runtime import threads
from llamalab.runtime.threads import (
    cpu_quota,
    groups,
    quota_v1,
    quota_v2,
    usable_cpus,
    usable_threads,
    wished_threads,
)  # fmt: skip


def write(root, files: dict):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii")
    return root


V1 = "12:cpuset:/\n4:cpu,cpuacct:{}\n3:memory:{}\n1:name=systemd:{}\n"
CPU = "sys/fs/cgroup/cpu,cpuacct"
TREES = {
    "v2, in a container": (2.0, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"}),
    "v2, no limit": (None, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}),
    "v2, half a CPU and another period": (0.5, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "25000 50000\n"}),
    "v2, the limit is two groups above": (1.5, {
        "proc/self/cgroup": "0::/kubepods.slice/pod7/ctr\n",
        "sys/fs/cgroup/kubepods.slice/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/kubepods.slice/pod7/cpu.max": "max 100000\n",
        "sys/fs/cgroup/kubepods.slice/pod7/ctr/cpu.max": "max 100000\n"}),
    "v2, the tightest of three counts": (1.0, {
        "proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/cpu.max": "400000 100000\n",
        "sys/fs/cgroup/a/cpu.max": "100000 100000\n",
        "sys/fs/cgroup/a/b/cpu.max": "800000 100000\n"}),
    "v2, another group's limit is not ours": (None, {
        "proc/self/cgroup": "0::/ours\n", "sys/fs/cgroup/ours/cpu.max": "max 100000\n",
        "sys/fs/cgroup/theirs/cpu.max": "100000 100000\n"}),
    "v2, the host's path, and the inner part mounted": (3.0, {
        "proc/self/cgroup": "0::/system.slice/docker-12ab.scope\n",
        "sys/fs/cgroup/cpu.max": "300000 100000\n"}),
    "v2, a group outside of the mount": (2.0, {
        "proc/self/cgroup": "0::/../other\n", "sys/fs/cgroup/cpu.max": "200000 100000\n",
        "sys/other/cpu.max": "100000 100000\n"}),
    "v1": (2.5, {
        "proc/self/cgroup": V1.format("/", "/", "/"),
        f"{CPU}/cpu.cfs_quota_us": "250000\n", f"{CPU}/cpu.cfs_period_us": "100000\n"}),
    "v1, no limit": (None, {
        "proc/self/cgroup": V1.format("/", "/", "/"),
        f"{CPU}/cpu.cfs_quota_us": "-1\n", f"{CPU}/cpu.cfs_period_us": "100000\n"}),
    "v1, nested": (2.0, {
        "proc/self/cgroup": V1.format("/docker/12ab", "/docker/12ab", "/"),
        f"{CPU}/cpu.cfs_quota_us": "-1\n",
        f"{CPU}/docker/12ab/cpu.cfs_quota_us": "200000\n",
        f"{CPU}/docker/12ab/cpu.cfs_period_us": "100000\n"}),
    "v1, under the short name": (4.0, {
        "proc/self/cgroup": V1.format("/docker/12ab", "/", "/"),
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}),
    "v1, the memory group's folder says nothing of CPUs": (None, {
        "proc/self/cgroup": V1.format("/", "/", "/"),
        "sys/fs/cgroup/memory/cpu.cfs_quota_us": "100000\n"}),
    "hybrid: the limit is in version 1": (2.0, {
        "proc/self/cgroup": V1.format("/x", "/x", "/x") + "0::/x\n",
        f"{CPU}/x/cpu.cfs_quota_us": "200000\n", f"{CPU}/x/cpu.cfs_period_us": "100000\n"}),
    "hybrid: the limit is in version 2's own folder": (1.0, {
        "proc/self/cgroup": "1:name=systemd:/x\n0::/x\n",
        "sys/fs/cgroup/unified/x/cpu.max": "100000 100000\n"}),
    "a colon in a group's name": (1.0, {
        "proc/self/cgroup": "0::/a:b\n", "sys/fs/cgroup/a:b/cpu.max": "100000 100000\n"}),
    "the file that names groups is missing": (None, {
        "sys/fs/cgroup/cpu.max": "100000 100000\n"}),
    "the limits are missing": (None, {"proc/self/cgroup": "0::/\n"}),
    "an empty limit": (None, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": ""}),
    "garbage": (None, {
        "proc/self/cgroup": "what\n::\n0:relative\n\n0::/\n",
        "sys/fs/cgroup/cpu.max": "lots of it\n"}),
    "a limit of 0 is none": (None, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "0 100000\n"}),
    "a period of 0 is none": (None, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "100000 0\n"}),
    "bytes that are no text": (None, {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "\x00\x7f\n"}),
}  # fmt: skip


@pytest.mark.parametrize("name", TREES)
def test_the_quota_of_a_tree_of_files(tmp_path, name):
    expected, files = TREES[name]
    assert cpu_quota(write(tmp_path, files)) == expected


def test_where_nothing_can_be_read_there_is_no_quota(tmp_path, monkeypatch):
    """As on macOS and Windows: all CPUs then."""
    assert cpu_quota(tmp_path) is None
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


def test_the_parsers_alone():
    assert groups("4:cpu,cpuacct:/a\n0::/b:c\nnonsense\n5:cpu:relative\n") == [
        (("cpu", "cpuacct"), PurePosixPath("/a")), ((), PurePosixPath("/b:c")),
    ]  # fmt: skip
    assert quota_v2("150000 100000") == 1.5 and quota_v2("50000") == 0.5
    assert quota_v2("max") is None and quota_v2("") is None and quota_v2(None) is None
    assert quota_v1("150000", None) == 1.5 and quota_v1(None, None) is None
    assert quota_v1("-1", "100000") is None and quota_v1("50000", "x") is None
