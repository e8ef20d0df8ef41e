"""The limits of control groups: from files as Linux, Docker and Kubernetes write them."""

from pathlib import PurePosixPath

import pytest

from llamalab.runtime.cgroups import cpu_quota, groups, memory_limits, quota_v1, quota_v2


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


GIB = 2**30
NONE_V1 = "9223372036854771712\n"  # how version 1 writes "no limit"


def group_v2(place: str, limit: str, used: int = 0, inactive: int = 0) -> dict:
    return {
        f"{place}/memory.max": f"{limit}\n", f"{place}/memory.current": f"{used}\n",
        f"{place}/memory.stat": f"anon {used}\nfile 0\ninactive_file {inactive}\n",
    }  # fmt: skip


def group_v1(place: str, limit: str, used: int = 0, inactive: int = 0) -> dict:
    return {
        f"{place}/memory.limit_in_bytes": f"{limit}\n",
        f"{place}/memory.usage_in_bytes": f"{used}\n",
        f"{place}/memory.stat": f"inactive_file 7\ntotal_inactive_file {inactive}\n",
    }  # fmt: skip


MEMORY = "sys/fs/cgroup/memory"
MEMORIES = {
    "v2, in a container": ([(4 * GIB, 3 * GIB)], {
        "proc/self/cgroup": "0::/\n", **group_v2("sys/fs/cgroup", str(4 * GIB), GIB)}),
    "v2, no limit": ([], {"proc/self/cgroup": "0::/\n", **group_v2("sys/fs/cgroup", "max", GIB)}),
    "v2, what was read from files and lies idle is free": ([(4 * GIB, 3 * GIB)], {
        "proc/self/cgroup": "0::/\n",
        **group_v2("sys/fs/cgroup", str(4 * GIB), 3 * GIB, inactive=2 * GIB)}),
    "v2, never less than nothing is free, nor more than all": ([(GIB, 0), (2 * GIB, 2 * GIB)], {
        "proc/self/cgroup": "0::/a\n", **group_v2("sys/fs/cgroup/a", str(GIB), 3 * GIB),
        **group_v2("sys/fs/cgroup", str(2 * GIB), 1, inactive=GIB)}),
    "v2, the group's own file, the group above, not the neighbour": (
        [(2 * GIB, GIB), (8 * GIB, 2 * GIB)], {
            "proc/self/cgroup": "0::/pods/ours\n",
            **group_v2("sys/fs/cgroup/pods/ours", str(2 * GIB), GIB),
            **group_v2("sys/fs/cgroup/pods/theirs", str(GIB), GIB),
            **group_v2("sys/fs/cgroup/pods", str(8 * GIB), 6 * GIB)}),
    "v2, the host's path, and the inner part mounted": ([(GIB, GIB)], {
        "proc/self/cgroup": "0::/system.slice/docker-12ab.scope\n",
        **group_v2("sys/fs/cgroup", str(GIB))}),
    "v2, no usage is written": ([(GIB, GIB)], {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": f"{GIB}\n"}),
    "v1": ([(4 * GIB, 3 * GIB)], {
        "proc/self/cgroup": V1.format("/", "/", "/"),
        **group_v1(MEMORY, str(4 * GIB), 3 * GIB, inactive=2 * GIB)}),
    "v1, no limit": ([], {
        "proc/self/cgroup": V1.format("/", "/", "/"), **group_v1(MEMORY, NONE_V1.strip(), GIB)}),
    "v1, nested": ([(2 * GIB, GIB)], {
        "proc/self/cgroup": V1.format("/", "/docker/12ab", "/"),
        **group_v1(MEMORY, NONE_V1.strip(), 9 * GIB),
        **group_v1(f"{MEMORY}/docker/12ab", str(2 * GIB), GIB)}),
    "v1, the CPU group's folder says nothing of memory": ([], {
        "proc/self/cgroup": V1.format("/", "/", "/"), **group_v1(CPU, str(GIB))}),
    "hybrid: the limit is in version 1": ([(GIB, GIB)], {
        "proc/self/cgroup": V1.format("/x", "/x", "/x") + "0::/x\n",
        **group_v1(f"{MEMORY}/x", str(GIB))}),
    "garbage": ([], {
        "proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "lots\n",
        "sys/fs/cgroup/memory.stat": "one two three\n\n"}),
    "the file that names groups is missing": ([], group_v2("sys/fs/cgroup", str(GIB))),
}  # fmt: skip


@pytest.mark.parametrize("name", MEMORIES)
def test_the_memory_of_a_tree_of_files(tmp_path, name):
    expected, files = MEMORIES[name]
    assert memory_limits(write(tmp_path, files)) == expected


def test_where_nothing_can_be_read_there_is_no_limit(tmp_path):
    """As on macOS and Windows."""
    assert cpu_quota(tmp_path) is None and memory_limits(tmp_path) == []


def test_the_parsers_alone():
    assert groups("4:cpu,cpuacct:/a\n0::/b:c\nnonsense\n5:cpu:relative\n") == [
        (("cpu", "cpuacct"), PurePosixPath("/a")), ((), PurePosixPath("/b:c")),
    ]  # fmt: skip
    assert quota_v2("150000 100000") == 1.5 and quota_v2("50000") == 0.5
    assert quota_v2("max") is None and quota_v2("") is None and quota_v2(None) is None
    assert quota_v1("150000", None) == 1.5 and quota_v1(None, None) is None
    assert quota_v1("-1", "100000") is None and quota_v1("50000", "x") is None
