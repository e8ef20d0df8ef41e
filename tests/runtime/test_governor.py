"""The governor is told seconds, and says when another number of threads is worth a try."""

import pytest

from llamalab.runtime.governor import LATER, SEVERAL, ThreadGovernor


class Machine:
    """How long a step takes with so many threads, quiet or beside a neighbour."""

    def __init__(self, governor, quiet=(0.20, 0.12), busy=(0.21, 3.0)):
        self.governor, self.neighbour = governor, False
        self.quiet, self.busy = quiet, busy
        self.taken, self.said = [], []

    def steps(self, count):
        for _ in range(count):
            self.taken.append(self.governor.threads)
            seconds = (self.busy if self.neighbour else self.quiet)[self.governor.threads > 1]
            if sentence := self.governor.after(seconds):
                self.said.append(sentence)
        return self.taken[-count:]


@pytest.fixture
def machine():
    return Machine(ThreadGovernor(2))


def test_on_a_quiet_machine_nothing_happens(machine):
    assert machine.steps(500) == [2] * 500 and not machine.said


def test_a_neighbour_is_noticed_after_some_slow_steps_and_one_thread_kept(machine):
    machine.steps(20)
    machine.neighbour = True
    assert machine.steps(SEVERAL) == [2] * SEVERAL
    assert machine.steps(50) == [1] * 50
    assert machine.said == ["steps took 3.00 s instead of 0.12: now on 1 thread, 0.21 s a step"]


def test_when_the_neighbour_is_gone_all_threads_are_taken_again(machine):
    machine.steps(20)
    machine.neighbour = True
    machine.steps(20)
    machine.neighbour = False
    machine.steps(LATER)
    assert machine.steps(50) == [2] * 50
    assert machine.said[-1] == "looked again: now on 2 threads, 0.12 s a step"
    assert len(machine.said) == 2


def test_while_it_stays_a_look_costs_one_step_and_comes_ever_more_rarely(machine):
    machine.steps(20)
    machine.neighbour = True
    taken = machine.steps(16 * LATER)
    looks = [i for i, threads in enumerate(taken) if threads == 2][SEVERAL:]
    gaps = [b - a for a, b in zip(looks, looks[1:])]
    assert len(looks) == 4 and all(b > 1.9 * a for a, b in zip(gaps, gaps[1:]))
    assert len(machine.said) == 1


def test_a_second_neighbour_is_noticed_as_the_first(machine):
    for _ in range(2):
        machine.neighbour = False
        machine.steps(2 * LATER)
        assert machine.governor.threads == 2
        machine.neighbour = True
        machine.steps(SEVERAL + SEVERAL)
        assert machine.governor.threads == 1
    assert len(machine.said) == 3


def test_one_slow_step_or_two_are_no_reason(machine):
    """A laptop that slept, a disk that was full of other things."""
    machine.steps(20)
    for slow in (1, 2, 1, 2):
        machine.neighbour = True
        machine.steps(slow)
        machine.neighbour = False
        assert machine.steps(1) == [2]
    assert set(machine.taken) == {2} and not machine.said


def test_slow_first_steps_are_no_reason():
    """There is no median yet: memory is fetched for the first time, code is compiled."""
    governor = ThreadGovernor(2)
    assert all(governor.after(seconds) is None for seconds in [9.0, 7.0, 0.1, 0.1, 0.1, 0.1])
    assert governor.threads == 2


def test_where_one_thread_is_no_better_the_number_stays():
    """All CPUs are slow: a battery, heat."""
    machine = Machine(ThreadGovernor(2), busy=(6.0, 3.0))
    machine.steps(20)
    machine.neighbour = True
    taken = machine.steps(40)
    assert taken.count(1) == 1 and not machine.said and machine.governor.threads == 2


def test_a_run_that_began_on_one_thread_looks_later():
    machine = Machine(ThreadGovernor(2, threads=1))
    assert machine.steps(LATER) == [1] * LATER
    assert machine.steps(10) == [2] * 10


def test_with_one_cpu_there_is_nothing_to_choose():
    machine = Machine(ThreadGovernor(1), quiet=(0.1, 0.1), busy=(5.0, 5.0))
    machine.steps(20)
    machine.neighbour = True
    assert machine.steps(300) == [1] * 300 and not machine.said


def test_of_many_threads_one_and_all_are_tried():
    machine = Machine(ThreadGovernor(8))
    machine.steps(20)
    machine.neighbour = True
    machine.steps(10)
    machine.neighbour = False
    machine.steps(2 * LATER)
    assert set(machine.taken) == {1, 8}
    assert "8 threads" in machine.said[1]
