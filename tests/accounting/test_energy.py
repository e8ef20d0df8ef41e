"""Energy and carbon against Llama 2's table 2, whose rows are truncated to two decimals."""

import math

import pytest

from llamalab.accounting import Range, carbon_tco2e, energy_kwh, footprint

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


def test_a_footprint_carries_every_input_through():
    made = footprint(gpu_hours=(90, 100, 120), watts=(200, 300, 400), pue=(1.1, 1.2, 1.5),
                     kg_per_kwh=(0.1, 0.4, 0.5), place=" here ")  # fmt: skip
    kwh, tonnes = made.energy_kwh, made.carbon_tco2e
    assert (kwh.low, kwh.central, kwh.high) == pytest.approx((19.8, 36, 72))
    assert (tonnes.low, tonnes.central, tonnes.high) == pytest.approx((0.00198, 0.0144, 0.036))
    assert made.place == "here"
    for words in ("100 (90 to 120)", "300 (200 to 400) W", "PUE 1.2", "0.4 (0.1 to 0.5)", "(here)",
                  "assumed", "estimated", "gross"):  # fmt: skip
        assert words in repr(made)


@pytest.mark.parametrize("hours, watts, printed", TABLE_2)
def test_a_footprint_of_exact_numbers_is_the_table(hours, watts, printed):
    made = footprint(gpu_hours=hours, watts=watts, pue=1.1, kg_per_kwh=0.385, place="US average")
    assert made.carbon_tco2e.exact
    assert made.carbon_tco2e.central == pytest.approx(
        carbon_tco2e(energy_kwh(hours, watts, 1.1), 0.385)
    )


GIVEN = dict(gpu_hours=1, watts=1, pue=1, kg_per_kwh=1, place="here")


@pytest.mark.parametrize("name", GIVEN)
def test_nothing_has_a_default(name):
    with pytest.raises(TypeError, match=name):
        footprint(**{key: value for key, value in GIVEN.items() if key != name})


@pytest.mark.parametrize(
    "change, words",
    [({"pue": 0.9}, "pue=0.9"), ({"pue": (0.8, 1.1, 1.2)}, "pue=0.8"), ({"watts": -1}, "-1"),
     ({"place": "  "}, "place"), ({"kg_per_kwh": (3, 2, 1)}, "low=3")],
)  # fmt: skip
def test_a_footprint_refuses(change, words):
    with pytest.raises(ValueError, match=words):
        footprint(**GIVEN | change)


def test_a_range_goes_in_as_it_is():
    assert footprint(**GIVEN | {"watts": Range(1, 2, 3)}).energy_kwh == Range(0.001, 0.002, 0.003)
