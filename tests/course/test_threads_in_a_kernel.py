"""A notebook's kernel in a container that may use 2 of 64 cores: torch and OpenMP follow.

The kernel is real, and so are the files of control groups that it reads; only they do not lie under
/. Threads are counted twice: what torch says, and on Linux how many a large sum really started.
"""

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
HOST = 8  # threads that torch would take: it counts the host's cores

BEGIN = """
import json, os, pathlib, re, sys
import torch

torch.set_num_threads({host})
from llamalab.runtime import threads

threads.affinity = lambda: 64  # nobody tied this process to fewer
threads.usable_threads.__defaults__ = os.environ, pathlib.Path({root!r})
"""
LESSON = "from llamalab.course import ex, mine, quiz"  # how every lesson begins
COUNT = r"""
def alive():
    return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0

before, big = alive(), torch.rand(3000, 3000)
started = [big.add_(1.0) for _ in range(3)] and alive() - before
said = re.findall(r"(at::get_num_threads|omp_get_max_threads)\(\) : (\d+)",
                  torch.__config__.parallel_info())
print(json.dumps({"said": {name: int(n) for name, n in said}, "started": started}))
"""
FILES = {
    "v2": {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "200000 100000\n"},
    "v2, 1.5 CPUs, two groups above": {
        "proc/self/cgroup": "0::/pods/pod7/ctr\n",
        "sys/fs/cgroup/pods/cpu.max": "150000 100000\n",
        "sys/fs/cgroup/pods/pod7/ctr/cpu.max": "max 100000\n",
    },
    "v1": {
        "proc/self/cgroup": "4:cpu,cpuacct:/docker/12ab\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/12ab/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu,cpuacct/docker/12ab/cpu.cfs_period_us": "100000\n",
    },
    "no limit": {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"},
    "no such files": {},
}


def threads_in_a_kernel(root, monkeypatch, *cells: str) -> dict:
    """What COUNT prints in a kernel of its own, where nobody has set OMP_NUM_THREADS."""
    for name in ("OMP_NUM_THREADS", "PYTHON_CPU_COUNT"):
        monkeypatch.delenv(name, raising=False)
    begin = BEGIN.format(host=HOST, root=str(root))
    sources = [begin, *cells, COUNT]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ["PYTHONPATH"]]))
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return json.loads(notebook.cells[-1].outputs[0].text)


@pytest.mark.parametrize("name", FILES)
def test_a_lesson_computes_with_as_many_threads_as_the_container_has_cpus(
    name, tmp_path, monkeypatch
):
    for file, text in FILES[name].items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="ascii")
    found = threads_in_a_kernel(tmp_path, monkeypatch, LESSON)
    expected = 2 if name.startswith("v") else HOST
    assert found["said"].get("omp_get_max_threads", expected) == expected  # macOS may have none
    assert found["said"]["at::get_num_threads"] == expected
    if sys.platform == "linux":
        assert found["started"] == expected - 1  # the one that asks computes too
