"""What the doctor says of the CPUs: how many of how many, why, and what to do about a wish."""

import subprocess
import sys

import pytest

from llamalab.course import doctor
from llamalab.runtime import threads


@pytest.fixture
def machine(monkeypatch):
    def there_are(cpus, quota=None, wish=None):
        monkeypatch.setattr(doctor.os, "cpu_count", lambda: cpus)
        monkeypatch.setattr(threads, "affinity", lambda: cpus)
        monkeypatch.setattr(threads, "cpu_quota", lambda *root: quota)
        monkeypatch.setattr(threads, "wished_threads", lambda: wish)
        return doctor._cores()

    return there_are


def test_all_of_them(machine):
    found = machine(4)
    assert (found.value, found.ok, found.way_out) == ("4", True, "")


def test_a_containers_quota_is_named(machine):
    found = machine(64, quota=2.0)
    assert found.value == "2 of 64, since this container may use 2" and found.ok
    assert machine(64, quota=1.5).value == "2 of 64, since this container may use 1.5"


def test_a_quota_that_takes_nothing_is_not_named(machine):
    assert machine(2, quota=8.0).value == "2"


def test_one_core_is_slow_but_well(machine):
    found = machine(64, quota=0.5)
    assert found.ok and "2 cores" in found.way_out and found.value.startswith("1 of 64")


def test_a_wish_is_shown_and_too_large_a_one_is_a_warning(machine):
    found = machine(4, wish=2)
    assert found.ok and found.value == "4; OMP_NUM_THREADS asks for 2 threads"
    found = machine(64, quota=2.0, wish=64)
    assert not found.ok and "unset OMP_NUM_THREADS" in found.way_out


def test_a_lesson_begins_with_as_many_threads_as_there_are_cpus():
    """In a process of its own, where nobody has said a number: as in a notebook in a container."""
    program = (
        "import os; os.environ.pop('OMP_NUM_THREADS', None)\n"
        "import torch; torch.set_num_threads(5)\n"
        "from llamalab.runtime import threads; threads.usable_threads = lambda: 3\n"
        "import llamalab.course; print(torch.get_num_threads())\n"
        "from llamalab.course import ex; print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["5", "3"], done.stderr
