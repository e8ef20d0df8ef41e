"""The pictures of notebook 13 say what is so."""

import pytest

from llamalab.accounting import PLACES, Range, footprint, grid, published
from llamalab.config import LlamaConfig
from llamalab.course.lessons.nb13.figures import (
    SIZES,
    beside,
    calculator,
    chain,
    company,
    estimate,
    estimate_words,
    hole,
    ladder,
    places_figure,
    spoken,
    utilization,
)

STATES = dict(model="llama-2-70b", trillions=2.0, mfu=46, device="A100-80GB", drawn=100, pue=1.1,
              place="United States")  # fmt: skip


def shown(fig):
    return {text.get_text() for text in fig.axes.texts}


def test_a_ladder_stands_at_its_numbers_and_says_the_steps():
    fig = ladder([("small", 10.0), ("middle", 1e4), ("large", 1e12)], "A claim.")
    (line,) = fig.axes.get_lines()
    assert list(line.get_xdata()) == [10.0, 1e4, 1e12] and fig.axes.get_xscale() == "log"
    assert {"× 1,000", "× 100 million", "small: 1.0e+01"} <= shown(fig)
    assert "middle 1.0e+04" in fig.alt and fig.caption == "A claim."


def test_the_chain_shows_every_input():
    made = footprint(gpu_hours=1000, watts=400, pue=1.1, kg_per_kwh=(0.3, 0.4, 0.5), place="here")
    fig = chain(made, 1e20, "÷ speed", "A claim.")
    said = shown(fig)
    assert {"1.00e+20\nFLOPs", "1,000\nGPU-hours", "0.44\nMWh", "0.176 t\nCO2e"} <= said
    assert {"÷ speed", "× 400 W\n× PUE 1.1", "× 0.4\nkg / kWh,\nhere"} <= said
    assert "0.132 to 0.22 t" in said and "0.132 to 0.22 t" in fig.alt
    exact = footprint(gpu_hours=1000, watts=400, pue=1.1, kg_per_kwh=0.4, place="here")
    assert not any(" to " in words for words in shown(chain(exact, 1e20, "÷", "A claim.")))


def test_utilization_adds_attention_on_top():
    fig = utilization({"7B": (0.25, 0.4), "70B": (0.5, 0.6)}, "A claim.")
    plain, more = fig.axes.containers
    assert [bar.get_width() for bar in plain] == [25, 50]
    assert [bar.get_width() for bar in more] == pytest.approx([15, 10])
    assert "with attention 40.0 %" in shown(fig) and "70B: 50.0 % and 60.0 %" in fig.alt


def test_the_hole_is_as_wide_as_what_is_missing():
    fig = hole(published.MODEL_CARD, published.LLAMA_2_TOTAL.gpu_hours, "A claim.")
    widths = [bar[0].get_width() for bar in fig.axes.containers]
    assert widths[-2:] == pytest.approx([1.038336, 3.311616])
    assert "1,038,336 hours that no row has" in shown(fig) and "Missing: 1,038,336" in fig.alt
    whole = hole(published.LLAMA_2, published.LLAMA_2_TOTAL.gpu_hours, "A claim.")
    assert not any("no row has" in words for words in shown(whole))


def test_a_place_is_a_dot_with_its_ends():
    fig = places_figure({"here": Range(1, 2, 4), "there": Range.of(8)}, "t", "A claim.")
    lines = [list(line.get_xdata()) for line in fig.axes.get_lines()]
    assert lines == [[1, 4], [2], [8, 8], [8]]
    assert "here 2 (1 to 4)" in fig.alt


def test_company_is_drawn_with_its_band_and_theirs():
    lines = {"7B": {1: Range(1, 2, 3), 64: Range(0.1, 0.2, 0.3)}}
    fig = company(lines, {"7B": 0.25}, "A claim.")
    line, theirs = fig.axes.get_lines()
    assert list(line.get_ydata()) == [2, 0.2] and list(theirs.get_ydata()) == [0.25]
    assert "7B: 2 alone, 0.2 with 64 at once; EcoLogits for 7B: 0.25 at 64" in fig.alt
    assert "EcoLogits" not in company(lines, {}, "A claim.").alt


def test_grams_are_spoken_in_a_persons_unit():
    assert [spoken(x) for x in (539e6, 2500.0, 3.0, 0.02)] == ["539 t", "2.5 kg", "3 g", "20 mg"]
    fig = beside([("mine", 0.02), ("theirs", 539e6)], "A claim.")
    assert {"mine: 20 mg", "theirs: 539 t"} == shown(fig)


def test_the_calculator_agrees_with_the_papers_row():
    flops, made = estimate(**STATES)
    hours = published.LLAMA_2[-1].gpu_hours
    assert flops == pytest.approx(8.921e23, rel=1e-3)
    assert made.gpu_hours.central == pytest.approx(hours, rel=0.01)  # 46.2 % is what it was
    assert made.carbon_tco2e.central == pytest.approx(291.42, rel=0.01)
    assert made.kg_per_kwh == grid("United States")
    assert "in United States, gross" in estimate_words(**STATES)


@pytest.mark.parametrize("change, factor", [
    ({"mfu": 23}, 2), ({"drawn": 50}, 0.5), ({"pue": 2.2 / 2}, 1), ({"trillions": 1.0}, 0.5),
])  # fmt: skip
def test_each_control_moves_what_it_should(change, factor):
    before, after = (estimate(**STATES | c)[1].carbon_tco2e.central for c in ({}, change))
    assert after == pytest.approx(factor * before)


def test_it_moves_and_its_twin_says_the_same():
    live = calculator()
    play = live.widget
    assert repr(live) == play.words.value and "<img" in live.html
    before = play.picture.value
    play.place.value = "France"
    assert "in France" in play.words.value and play.picture.value != before


@pytest.mark.parametrize("model", ("tales", *SIZES))
def test_every_model_and_place_can_be_asked(model):
    assert LlamaConfig.from_name(model)
    for place in PLACES:
        assert place in estimate_words(**STATES | {"model": model, "place": place})
