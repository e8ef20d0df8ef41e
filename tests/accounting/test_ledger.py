"""The ledger: only ever added to, whole after a crash and under two writers, and never guessing."""

import json
import subprocess
import sys

import pytest

from llamalab.accounting import Range, grid, ledger
from llamalab.accounting.ledger import Entry


@pytest.fixture(autouse=True)
def learner(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path / "my_llama"))
    return tmp_path / "my_llama"


def entry(identity="a", name="notebook 06", when=1.0, wh=0.5, measured=False):
    known_by = "RAPL package-0" if measured else "10 W for a busy core"
    return Entry(identity, name, when, 20.0, 10.0, 300.0, wh, known_by, measured)


def test_nothing_kept_is_an_empty_ledger(learner):
    kept = ledger.read()
    assert kept.entries == () and kept.energy_wh == 0 and kept.place == ""
    assert "Nothing is kept yet" in ledger.report(kept)
    assert not learner.exists()


def test_what_is_added_is_read_back_in_order():
    second, first = entry("b", when=2.0), entry("a", when=1.0, measured=True)
    assert ledger.add(second) and ledger.add(first)
    assert ledger.read().entries == (first, second)


def test_a_meter_counts_once_with_its_last_line():
    for wh in (0.5, 0.7, 0.6):
        ledger.add(entry("a", wh=wh))
    ledger.add(entry("b", wh=1.0))
    assert ledger.read().energy_wh == pytest.approx(1.6)


def test_sums_by_name_and_by_how_they_are_known():
    ledger.add(entry("a", "notebook 06", wh=0.5))
    ledger.add(entry("b", "notebook 07", wh=3.0, measured=True))
    ledger.add(entry("c", "notebook 06", wh=0.25))
    kept = ledger.read()
    assert kept.by_name() == {"notebook 06": (2, 20.0, 0.75), "notebook 07": (1, 10.0, 3.0)}
    assert kept.measured_wh == 3.0 and kept.energy_wh == 3.75


def test_grams_need_a_place_and_follow_it():
    ledger.add(entry(wh=1000.0))
    kept = ledger.read()
    with pytest.raises(ValueError, match="where"):
        kept.carbon_gco2e()
    for place in ("France", "India", "Iowa"):  # a kilowatt-hour: kilograms of the table, in grams
        assert kept.carbon_gco2e(place) == grid(place) * 1000.0
    ledger.live_in("India")
    assert ledger.home() == "India" and ledger.read().carbon_gco2e() == grid("India") * 1000.0
    ledger.live_in("France")
    assert ledger.home() == "France"
    with pytest.raises(KeyError, match="Atlantis"):
        ledger.live_in("Atlantis")
    assert ledger.home() == "France"


SPOILT = [
    "{", "[]", "null", "7", '"x"', '{"place": "Atlantis"}', '{"place": 3}', "\x00\x01",
    '{"identity": "z"}', "[" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("line", SPOILT, ids=lambda line: line[:12])
def test_a_spoilt_line_is_skipped_and_counted(line):
    ledger.add(entry("a"))
    with open(ledger.path(), "a", encoding="utf-8") as file:
        file.write(line + "\n")
    ledger.add(entry("b"))
    kept = ledger.read()
    assert len(kept.entries) == 2 and kept.spoilt == 1 and kept.place == ""
    assert "1 lines could not be read" in ledger.report(kept)


@pytest.mark.parametrize("field, value", [
    ("energy_wh", -1), ("energy_wh", "3"), ("energy_wh", True), ("measured", 1), ("name", None),
    ("seconds", float("nan")), ("seconds", float("inf")),
])  # fmt: skip
def test_a_field_of_another_kind_is_spoilt(field, value):
    ledger.add(entry("a"))
    good = json.loads(ledger.path().read_text(encoding="utf-8"))
    with open(ledger.path(), "a", encoding="utf-8") as file:
        file.write(json.dumps(good | {"identity": "b", field: value}) + "\n")
    kept = ledger.read()
    assert [e.identity for e in kept.entries] == ["a"] and kept.spoilt == 1


def test_a_line_cut_off_by_a_crash_spoils_no_other():
    ledger.add(entry("a"))
    with open(ledger.path(), "a", encoding="utf-8") as file:
        file.write('{"identity": "b", "na')
    ledger.add(entry("c"))
    kept = ledger.read()
    assert [e.identity for e in kept.entries] == ["a", "c"] and kept.spoilt == 1


def test_two_writers_at_once_lose_nothing():
    script = (
        "from llamalab.accounting import ledger\nimport sys\n"
        "for i in range(40):\n"
        "    who, n = f'{sys.argv[1]}{i}', [1.0] * 5\n"
        "    ledger.add(ledger.Entry(who, 'name', *n, 'watts', False))"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, who]) for who in "xy"]
    assert [process.wait(120) for process in both] == [0, 0]
    kept = ledger.read()
    assert len(kept.entries) == 80 and kept.spoilt == 0


def test_the_report_says_all_that_it_rests_on():
    ledger.add(entry("a", wh=1.0))
    ledger.add(entry("b", "llamalab train", wh=3.0, measured=True))
    text = ledger.report(ledger.read())
    assert "in all 4.000 Wh: 75% of it measured, the rest by 10 W for a busy core." in text
    assert "For grams say where (--place): France, India, Iowa" in text and " g CO2e" not in text
    text = ledger.report(ledger.read(), "Iowa")
    assert "In Iowa, 0.432 (0.2876 to 0.432) kg CO2e per kWh: 1.728 (1.151 to 1.728) g" in text
    times = 539e6 / (4 * 0.43195)
    assert f"539.00 t, {times:,.0f} times as much" in text


def test_a_ledger_of_nothing_does_not_divide_by_it():
    ledger.add(entry(wh=0.0))
    text = ledger.report(ledger.read(), "France")
    assert "0% of it measured" in text and "times as much" not in text


def test_a_range_is_what_it_was():
    assert ledger.Ledger((entry(wh=2000.0),)).carbon_gco2e("Québec") == Range(4.0, 22.72, 22.72)
