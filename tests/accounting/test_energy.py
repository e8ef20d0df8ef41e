"""Energy and carbon against Llama 2's table 2, whose rows are truncated to two decimals."""

import math

import pytest

from llamalab.accounting import carbon_tco2e, energy_kwh

# GPU-hours, watts, tCO2e as printed
TABLE_2 = [
    (184_320, 400, 31.22),
    (368_640, 400, 62.44),
    (1_038_336, 350, 153.90),
    (1_720_320, 400, 291.42),
]


@pytest.mark.parametrize("hours, watts, printed", TABLE_2)
def test_the_papers_rows(hours, watts, printed):
    tonnes = carbon_tco2e(energy_kwh(hours, watts, pue=1.1), kg_per_kwh=0.385)
    assert math.floor(100 * tonnes) / 100 == pytest.approx(printed)


def test_units():
    assert energy_kwh(hours=1, watts=1000) == 1
    assert energy_kwh(hours=2, watts=500, pue=1.5) == 1.5
    assert carbon_tco2e(energy_kwh=1000, kg_per_kwh=1) == 1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: energy_kwh(-1, 5), "hours=-1 and watts=5"),
        (lambda: energy_kwh(1, -5), "hours=1 and watts=-5"),
        (lambda: energy_kwh(1, 5, pue=0.9), "pue=0.9"),
        (lambda: carbon_tco2e(-1, 0.4), "energy_kwh=-1 and kg_per_kwh=0.4"),
        (lambda: carbon_tco2e(1, -0.4), "energy_kwh=1 and kg_per_kwh=-0.4"),
    ],
)
def test_impossible_inputs_are_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()
