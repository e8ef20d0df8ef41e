"""The meter: it measures, it computes from what it shows, and it shows its inputs."""

import time

import pytest

from llamalab.accounting import Meter
from llamalab.accounting.meter import Cost


def test_it_counts_work_and_not_the_clock():
    meter = Meter()
    time.sleep(0.3)
    asleep = meter.read()
    sum(i * i for i in range(3_000_000))
    awake = meter.read()
    assert 0 <= asleep.core_seconds < 0.1
    assert awake.core_seconds > asleep.core_seconds + 0.03
    assert awake.memory_mb > 10


def test_a_core_hour_at_15_watts_is_15_watt_hours():
    cost = Cost(core_seconds=3600, memory_mb=100, watts=15, kg_per_kwh=0.4)
    assert cost.energy_wh == pytest.approx(15)
    assert cost.carbon_gco2e == pytest.approx(6)


def test_the_text_shows_what_is_measured_assumed_and_estimated():
    text = repr(Cost(core_seconds=360, memory_mb=1234, watts=20, kg_per_kwh=0.5))
    assert text.splitlines() == [
        "measured   360.0 s of processor time, 1,234 MB held at the end",
        "assumed    20 W for a busy core, 0.5 kg CO2e per kWh",
        "estimated  2.000 Wh, 1.000 g CO2e",
    ]


def test_the_assumptions_can_be_changed():
    cost = Meter().read(watts=300, kg_per_kwh=0.05)
    assert (cost.watts, cost.kg_per_kwh) == (300, 0.05)
