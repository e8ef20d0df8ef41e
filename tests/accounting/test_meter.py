"""The meter: it measures, it computes from what it shows, and it shows its inputs."""

import time

import psutil
import pytest

from llamalab.accounting import Cost, Meter, Range, ledger, meter
from llamalab.accounting.counters import Counter


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path / "my_llama"))
    return tmp_path / "my_llama"


def nothing():
    return []


def work():
    return sum(i * i for i in range(3_000_000))


def test_it_counts_work_and_not_the_clock():
    running = Meter()
    time.sleep(0.3)
    asleep = running.read()
    work()
    awake = running.read()
    assert 0 <= asleep.core_seconds < 0.1 and 0.3 <= asleep.seconds
    assert awake.core_seconds > asleep.core_seconds + 0.03
    assert awake.seconds > awake.core_seconds - 0.05  # one thread


def test_a_with_begins_and_ends():
    running = Meter(counted_by=nothing)
    work()
    with running as same:
        assert same is running
    ended = running.read()
    work()
    assert running.read().core_seconds == ended.core_seconds < 0.03
    assert running.watt_hours() == ended.energy_wh


def test_a_with_that_fails_still_ends_and_hides_nothing():
    running = Meter(counted_by=nothing)
    with pytest.raises(KeyError, match="mine"):
        with running:
            raise KeyError("mine")
    ended = running.read()
    work()
    assert running.read().core_seconds == ended.core_seconds


def test_memory_is_the_most_ever_held():
    now = psutil.Process().memory_info().rss / 1e6
    block = bytearray(60_000_000)
    block[::4096] = b"x" * len(block[::4096])  # touched, so that it is really there
    most = Meter().read().memory_mb
    del block
    assert most > max(now, 60) * 0.95
    assert Meter().read().memory_mb >= most


def test_a_core_hour_at_15_watts_is_15_watt_hours():
    cost = Cost(core_seconds=3600, memory_mb=100, watts=15, kg_per_kwh=Range(0.3, 0.4, 0.6))
    assert cost.energy_wh == pytest.approx(15)
    grams = cost.carbon_gco2e
    assert (grams.low, grams.central, grams.high) == pytest.approx((4.5, 6, 9))


def test_the_text_shows_what_is_measured_assumed_and_estimated():
    text = repr(Cost(360, 1234, 20, Range.of(0.5), seconds=400, place="here"))
    assert text.splitlines() == [
        "measured   360.0 s of processor time in 400.0 s, at most 1,234 MB",
        "assumed    20 W for a busy core, 0.5 kg CO2e per kWh (here)",
        "estimated  2.000 Wh, 1.000 g CO2e",
    ]


def test_a_measured_energy_is_called_measured_and_no_watts_are_assumed():
    cost = Cost(360, 1234, 20, Range(0.1, 0.5, 1), 400, "here", 7.5, "RAPL package-0")
    assert cost.energy_wh == 7.5
    assert repr(cost).splitlines() == [
        "measured   360.0 s of processor time in 400.0 s, at most 1,234 MB; 7.500 Wh by RAPL "
        "package-0, whoever used it",
        "assumed    0.5 (0.1 to 1) kg CO2e per kWh (here)",
        "estimated  3.750 g CO2e (0.750 to 7.500)",
    ]
    nowhere = repr(Cost(360, 1234, measured_wh=7.5, counted="RAPL package-0"))
    assert "estimated" not in nowhere and "assumed" not in nowhere


def test_counters_are_read_over_the_with():
    joules = [100.0]
    running = Meter("x", counted_by=lambda: [Counter("a", lambda: joules[0]),
                                             Counter("b", lambda: 2 * joules[0])])  # fmt: skip
    joules[0] = 500.0
    with running:
        joules[0] = 4100.0
    joules[0] = 9999.0
    cost = running.read()
    assert cost.measured_wh == pytest.approx(3 * 3600 / 3600) and cost.counted == "a, b"
    assert running.watt_hours() == cost.energy_wh == cost.measured_wh


def test_without_a_place_there_are_no_grams():
    cost = Meter(counted_by=nothing).read()
    assert cost.kg_per_kwh is None and "for grams say where" in repr(cost)
    with pytest.raises(ValueError, match="Wh where"):
        _ = cost.carbon_gco2e


def test_a_place_is_said_at_the_end_or_at_the_start_or_once():
    assert Meter().read(place="India").kg_per_kwh == Range(0.47255, 0.7117, 0.727)
    assert Meter(place="France").read().place == "France"
    assert Meter(place="France").read(place="India").place == "India"
    own = Meter(place="France").read(kg_per_kwh=0.05, watts=300)
    assert (own.watts, own.kg_per_kwh, own.place) == (300, Range.of(0.05), "as you said")
    ledger.live_in("Iowa")
    assert Meter().read().place == "Iowa"
    assert Meter(place="France").read().place == "France"
    with pytest.raises(KeyError, match="Atlantis"):
        Meter().read(place="Atlantis")


def test_keeping_writes_a_line_and_keeping_again_replaces_it(learner):
    running = Meter("notebook 13", counted_by=nothing)
    first = running.keep(watts=12)
    work()
    second = running.keep(watts=12)
    (entry,) = ledger.read().entries
    assert entry.energy_wh == second.energy_wh > first.energy_wh
    assert (entry.name, entry.known_by, entry.measured) == (
        "notebook 13", "12 W for a busy core", False,
    )  # fmt: skip
    assert entry.when == pytest.approx(time.time(), abs=60)
    Meter("notebook 13", counted_by=nothing).keep()
    assert len(ledger.read().entries) == 2
    assert [p.name for p in learner.iterdir()] == ["ledger.jsonl"]


def test_a_measured_run_is_kept_as_measured():
    Meter("run", counted_by=lambda: [Counter("RAPL package-0", time.perf_counter)]).keep()
    (entry,) = ledger.read().entries
    assert entry.measured and entry.known_by == "RAPL package-0"


def test_a_nameless_meter_is_not_kept(learner):
    with pytest.raises(ValueError, match="name="):
        Meter().keep()
    assert not learner.exists()


def test_a_folder_that_cannot_be_written_stops_nothing(learner):
    learner.parent.mkdir(exist_ok=True)
    learner.write_text("a file where the folder should be", encoding="utf-8")
    assert Meter("run", counted_by=nothing).keep().energy_wh >= 0


def test_the_assumption_is_one_constant():
    assert meter.WATTS == 10 and Meter(counted_by=nothing).read().watts == 10
