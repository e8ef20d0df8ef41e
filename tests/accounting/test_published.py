"""Tables of two papers, to the last digit. The printed numbers stand here a second time, by hand
from the sheet of facts: what the package holds is compared with them."""

from decimal import Decimal

import pytest

from llamalab.accounting import published as p

TABLE_2 = {  # GPU-hours, watts, tonnes as printed, tonnes to four decimals
    "llama-2-7b": (184_320, 400, "31.22", "31.2238"),
    "llama-2-13b": (368_640, 400, "62.44", "62.4476"),
    "llama-2-34b": (1_038_336, 350, "153.90", "153.9074"),
    "llama-2-70b": (1_720_320, 400, "291.42", "291.4222"),
}


@pytest.mark.parametrize("row", p.LLAMA_2, ids=lambda r: r.name)
def test_every_row_is_truncated(row):
    hours, watts, printed, exact = TABLE_2[row.name]
    assert (row.gpu_hours, row.watts, row.tco2e) == (hours, watts, float(printed))
    assert p.truncated(p.exact_tco2e(row), 2) == Decimal(printed)
    assert p.rounded(p.exact_tco2e(row), 4) == Decimal(exact)


def test_two_rows_tell_truncating_from_rounding():
    differ = [r.name for r in p.LLAMA_2 if p.rounded(p.exact_tco2e(r), 2) != Decimal(str(r.tco2e))]
    assert differ == ["llama-2-13b", "llama-2-34b"]


def test_the_total_is_of_the_numbers_before():
    assert sum(r.gpu_hours for r in p.LLAMA_2) == p.LLAMA_2_TOTAL.gpu_hours == 3_311_616
    exact = sum(p.exact_tco2e(r) for r in p.LLAMA_2)
    assert p.rounded(exact, 4) == Decimal("539.0010")
    assert p.truncated(exact, 2) == Decimal("539.00") == Decimal(str(p.LLAMA_2_TOTAL.tco2e))
    assert sum(Decimal(str(r.tco2e)) for r in p.LLAMA_2) == Decimal("538.98")


def test_no_other_constants_give_the_table():
    """Among round pairs, the product 0.4235 alone fits all four rows."""
    products = {
        Decimal(pue) / 100 * Decimal(kg) / 1000 for pue in range(100, 161) for kg in range(300, 501)
    }
    fits = {
        k
        for k in products
        if all(
            p.truncated(Decimal(r.gpu_hours) * r.watts / 10**6 * k, 2) == Decimal(str(r.tco2e))
            for r in p.LLAMA_2
        )
    }
    assert Decimal("0.4235") in fits
    assert max(fits) - min(fits) < Decimal("0.00002")


def test_the_copy_without_34b():
    assert sum(r.gpu_hours for r in p.MODEL_CARD) == 2_273_280
    assert sum(Decimal(str(r.tco2e)) for r in p.MODEL_CARD) == Decimal("385.08")
    hours, tonnes, watts = p.missing_row(p.MODEL_CARD, p.LLAMA_2_TOTAL)
    assert hours == 1_038_336 and tonnes == pytest.approx(153.92)
    assert round(watts) == 350  # the cap of the other cluster, out of two sums
    with pytest.raises(ValueError, match="3311616 GPU-hours and the total is 3311616"):
        p.missing_row(p.LLAMA_2, p.LLAMA_2_TOTAL)


def test_llama_1_truncates_energy_and_rounds_tonnes():
    printed = {"llama-1-7b": (82_432, 36, 14), "llama-1-13b": (135_168, 59, 23),
               "llama-1-33b": (530_432, 233, 90), "llama-1-65b": (1_022_362, 449, 173)}  # fmt: skip
    for row in p.LLAMA_1:
        assert (row.gpu_hours, row.mwh, row.tco2e) == printed[row.name]
        assert p.truncated(p.exact_mwh(row), 0) == row.mwh
        assert p.rounded(p.exact_tco2e(row), 0) == row.tco2e
    assert p.rounded(p.exact_mwh(p.LLAMA_1[-1]), 2) == Decimal("449.84")


def test_cutting_off_in_decimals():
    assert p.truncated(Decimal("0.29"), 2) == Decimal("0.29")  # floor(100 * 0.29) is 28
    assert p.truncated(Decimal("2.999"), 2) == Decimal("2.99")
    assert p.rounded(Decimal("2.995"), 2) == Decimal("3.00")
