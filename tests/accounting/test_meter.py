"""The stopwatch: it measures, it computes from what it shows, and it shows its inputs."""

import time

import pytest

from llamalab.accounting import Meter
from llamalab.accounting.meter import Cost


def test_it_counts_from_when_it_was_made():
    meter = Meter()
    time.sleep(0.02)
    first, second = meter.read(), meter.read()
    assert 0.02 <= first.seconds <= second.seconds < 5
    assert first.memory_mb > 10


def test_an_hour_at_15_watts_is_15_watt_hours():
    cost = Cost(seconds=3600, memory_mb=100, watts=15, kg_per_kwh=0.4)
    assert cost.energy_wh == pytest.approx(15)
    assert cost.carbon_gco2e == pytest.approx(6)


def test_the_text_shows_what_is_measured_assumed_and_estimated():
    text = repr(Cost(seconds=360, memory_mb=1234, watts=20, kg_per_kwh=0.5))
    assert text.splitlines() == [
        "measured   360.0 s, 1,234 MB held at the end",
        "assumed    20 W while it ran, 0.5 kg CO2e per kWh",
        "estimated  2.000 Wh, 1.000 g CO2e",
    ]


def test_the_assumptions_can_be_changed():
    cost = Meter().read(watts=300, kg_per_kwh=0.05)
    assert (cost.watts, cost.kg_per_kwh) == (300, 0.05)
