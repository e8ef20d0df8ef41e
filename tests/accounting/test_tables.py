"""The tables: every line has a source, nothing is a default, the ranges are those of the lines."""

import pytest

from llamalab.accounting import PLACES, accelerator, grid
from llamalab.accounting.hardware import ACCELERATORS, Accelerator
from llamalab.accounting.places import READINGS, newest, readings


@pytest.mark.parametrize("reading", READINGS, ids=lambda r: f"{r.area} {r.year} {r.kind}")
def test_a_line_is_dated_sourced_and_in_kilograms(reading):
    assert 2019 <= reading.year <= 2026 and len(reading.source) > 20
    assert reading.kind in ("operational", "life cycle")
    assert 0.001 < reading.kg_per_kwh < 1.2  # hydropower to coal: no pounds, no grams


def test_a_place_is_the_range_of_its_lines():
    for place in PLACES:
        every = [r.kg_per_kwh for r in readings(place)]
        assert (grid(place).low, grid(place).high) == (min(every), max(every))
        assert newest(place) in readings(place)


def test_three_places_as_their_sources_print_them():
    assert newest("France").kg_per_kwh == pytest.approx(0.01583)
    assert newest("India").kg_per_kwh == 0.7117
    assert newest("Iowa").kg_per_kwh == pytest.approx(0.43195)
    assert grid("France").high == 0.056 and grid("France").low == pytest.approx(0.01583)
    # EPA prints 634.156 lb/MWh; a pound is 453.59237 g by definition
    assert grid("Iowa").low == pytest.approx(634.156 * 453.59237 / 1e6)


def test_no_default_and_no_guess():
    with pytest.raises(TypeError):
        grid()
    for unknown in ("", "france", "Atlantis"):
        with pytest.raises(KeyError, match="there are France, India, Iowa"):
            grid(unknown)


def test_an_accelerator_has_its_figures_and_their_source():
    a100 = accelerator("A100-80GB")
    assert (a100.watts, a100.peak_tflops, a100.memory_gb) == (400, 312, 80)
    assert "table 2" in a100.source and "llama2.c" in a100.source
    assert all(len(a.source) > 20 for a in ACCELERATORS.values())
    with pytest.raises(KeyError, match="A100-80GB, H100-SXM"):
        accelerator("abacus")


def test_an_accelerator_of_ones_own():
    mine = dict(name="mine", watts=50, peak_tflops=1, memory_gb=8, bandwidth_gb_s=60, source="me")
    assert Accelerator(**mine).watts == 50
    with pytest.raises(ValueError, match="mine: watts=0"):
        Accelerator(**mine | {"watts": 0})
    with pytest.raises(ValueError, match="rumour"):
        Accelerator(**mine | {"source": " "})
