"""Counters that are read from a folder laid out as Linux lays it out, and from a library that
speaks as NVIDIA's does. The layout: the kernel's Documentation/power/powercap/powercap.rst."""

import sys
import threading
import time
import types

import pytest

from llamalab.accounting import counters


def package(powercap, number, name="package-0", microjoules=5_000_000, wraps=262_143_328_850):
    folder = powercap / f"intel-rapl:{number}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n", encoding="ascii")
    (folder / "energy_uj").write_text(f"{microjoules}\n", encoding="ascii")
    (folder / "max_energy_range_uj").write_text(f"{wraps}\n", encoding="ascii")
    return folder / "energy_uj"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # importing it is an ImportError


def test_a_machine_without_counters_has_none(tmp_path):
    assert counters.counters(tmp_path / "nothing") == []


def test_whole_packages_are_counted_and_their_parts_are_not(tmp_path):
    one, two = package(tmp_path, "0"), package(tmp_path, "1", "package-1")
    package(tmp_path, "0:0", "core")
    (tmp_path / "intel-rapl").mkdir()
    found = counters.counters(tmp_path)
    assert [c.name for c in found] == ["RAPL package-0", "RAPL package-1"]
    one.write_text("12000000\n", encoding="ascii")
    two.write_text("5500000\n", encoding="ascii")
    assert [c.joules() for c in found] == pytest.approx([7.0, 0.5])


def test_a_counter_that_runs_over_goes_on(tmp_path):
    file = package(tmp_path, "0", microjoules=90_000_000, wraps=100_000_000)
    (counter,) = counters.rapl(tmp_path)
    for reading, joules in ((99_000_000, 9), (4_000_000, 14), (8_000_000, 18), (1_000_000, 111)):
        file.write_text(str(reading), encoding="ascii")
        assert counter.joules() == pytest.approx(joules)


def test_a_counter_is_asked_while_nobody_reads_it():
    """Three turns between two readings of ours: seen, since somebody asks in between."""
    clock = [0.0]

    def read():
        clock[0] += 40.0  # a step at every look, on a counter of 100 J
        return clock[0] % 100.0

    counter = counters.Counter("fast", read, wraps=100.0)
    before = threading.active_count()
    counters.keep_asking([counter], every=0.01)
    time.sleep(0.5)
    assert counter.joules() >= 8 * 40.0  # not less than 100, which one look would say
    assert counter.joules() % 40.0 == 0.0
    del counter
    for _ in range(200):
        if threading.active_count() <= before:
            break
        time.sleep(0.02)
    assert threading.active_count() <= before  # the thread ends with the counter


def test_a_counter_that_does_not_run_over_needs_nobody():
    before = threading.active_count()
    counters.keep_asking([counters.Counter("gpu", lambda: 1.0)], every=0.01)
    assert threading.active_count() == before


def test_what_only_root_may_read_is_no_counter(tmp_path, monkeypatch):
    file = package(tmp_path, "0")
    read = type(file).read_text

    def refuse(self, *args, **kwargs):
        if self == file:
            raise PermissionError(13, "Permission denied")
        return read(self, *args, **kwargs)

    monkeypatch.setattr(type(file), "read_text", refuse)
    assert counters.rapl(tmp_path) == []


def test_nonsense_is_no_counter(tmp_path):
    package(tmp_path, "0").write_text("none", encoding="ascii")
    assert counters.rapl(tmp_path) == []


class NVMLError(Exception):
    pass


def library(millijoules: list, fails_at: int | None = None):
    made = types.ModuleType("pynvml")
    made.nvmlInit = lambda: None
    made.nvmlDeviceGetCount = lambda: len(millijoules)
    made.nvmlDeviceGetHandleByIndex = lambda index: index

    def energy(handle):
        if handle == fails_at:
            raise NVMLError("Not Supported")
        return millijoules[handle]

    made.nvmlDeviceGetTotalEnergyConsumption = energy
    return made


def test_gpus_are_counted_in_millijoules(monkeypatch):
    readings = [1000, 50_000]
    monkeypatch.setitem(sys.modules, "pynvml", library(readings))
    found = counters.nvml()
    assert [c.name for c in found] == ["NVML GPU 0", "NVML GPU 1"]
    readings[:] = [4000, 50_500]
    assert [c.joules() for c in found] == [3.0, 0.5]


def test_an_old_gpu_and_a_missing_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", library([1, 2], fails_at=0))
    assert [c.name for c in counters.nvml()] == ["NVML GPU 1"]
    broken = library([1])
    broken.nvmlInit = lambda: (_ for _ in ()).throw(NVMLError("Driver Not Loaded"))
    monkeypatch.setitem(sys.modules, "pynvml", broken)
    assert counters.nvml() == []
