"""The pictures of notebook 12 say what is so."""

import pytest
import torch

from llamalab.course.lessons.nb12.figures import (
    FORMATS,
    KINDS,
    MEMORY_GB,
    NUMBERS,
    error_by_bits,
    fits_explorer,
    fits_words,
    gptq_stages,
    gptq_steps,
    grid_explorer,
    grid_figure,
    grid_words,
    ladder,
    numbers,
    outlier_figure,
    relative_error,
    what_fits,
)
from llamalab.quantization import dequantize, quantize_absmax

SIZES = {
    "7b": {"16 bits": 13.5, "q8_0": 7.2, "q4_0": 3.8},
    "70b": {"16 bits": 138.0, "q8_0": 73.3, "q4_0": 38.8},
}


def test_the_error_is_a_share():
    x = torch.tensor([3.0, -4.0])
    assert relative_error(x, x) == 0
    assert relative_error(x, torch.zeros(2)) == 1
    assert relative_error(x, x * 1.1) == pytest.approx(0.1)


def test_the_numbers_are_of_their_kind_and_the_same_every_time():
    for kind in KINDS:
        x = numbers(kind)
        assert x.shape == (NUMBERS,) and torch.equal(x, numbers(kind))
    assert numbers("all positive").min() > 0 and numbers("even").abs().max() <= 1
    assert numbers("one outlier").max() == 40 > 8 > numbers("normal").max()


@pytest.mark.parametrize("format", FORMATS)
def test_the_words_are_computed(format):
    sizes = {"Q8_0": 4352, "Q4_0": 2304, "Q4_1": 2560, "NF4": 2124, "one scale, 4 bits": 2048,
             "one scale, 8 bits": 4096}  # fmt: skip
    for kind in KINDS:
        words = grid_words(format, kind)
        error = relative_error(numbers(kind), dequantize(FORMATS[format](numbers(kind))))
        assert f"{error:.2%}" in words and f"“{kind}”" in words
        size = int(words.partition(" in ")[2].partition(" bytes")[0].replace(",", ""))
        assert abs(size - sizes[format]) <= 8
        kept = len(dequantize(FORMATS[format](numbers(kind)))[:32].unique())
        assert words.endswith("1 value is left" if kept == 1 else f"{kept} values are left")


def test_blocks_do_not_mind_an_outlier_and_one_scale_does():
    def error(format, kind):
        return relative_error(
            numbers(kind)[1000:], dequantize(FORMATS[format](numbers(kind)))[1000:]
        )

    assert error("Q4_0", "one outlier") == pytest.approx(error("Q4_0", "normal"))
    assert error("one scale, 4 bits", "one outlier") > 4 * error("one scale, 4 bits", "normal")


def test_the_figure_shows_numbers_and_what_is_left():
    fig = grid_figure("Q4_0", "normal")
    hollow, filled = fig.axes.lines[-2:]
    x = numbers("normal")
    assert hollow.get_ydata() == pytest.approx(x[:32].tolist())
    assert filled.get_ydata() == pytest.approx(dequantize(FORMATS["Q4_0"](x))[:32].tolist())
    assert grid_words("Q4_0", "normal") in fig.alt


def test_the_explorer_has_a_still_twin():
    live = grid_explorer("NF4", "even")
    assert grid_words("NF4", "even") in repr(live) or grid_words("NF4", "even") in str(live.still)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("format", FORMATS)
def test_every_choice_of_the_explorer_draws_and_speaks(format, kind):
    pytest.importorskip("ipywidgets")
    play = grid_explorer().widget
    play.format.value, play.kind.value = format, kind
    assert play.words.value == grid_words(format, kind)
    assert grid_words(format, kind) in grid_figure(format, kind).alt
    assert "<img" in play.picture.value
    notes = [text.get_text() for text in grid_figure(format, kind).axes.texts]
    assert notes == (
        ["the 40 stands further on, in another block"] if kind == "one outlier" else []
    )


def test_lines_fall_and_are_labelled():
    fig = error_by_bits({"one scale": [0.5, 0.1], "one a row": [0.4, 0.05]}, [2, 4])
    assert [text.get_text() for text in fig.axes.texts] == ["one a row", "one scale"]
    assert "one a row: 40.0% to 5.00%" in fig.alt


def test_an_arrow_tells_how_many_bits_company_costs():
    halves = [2.0**-bits for bits in range(2, 9)]
    fig = error_by_bits({"one": halves, "many": [e / 2 for e in halves]}, range(2, 9))
    assert "the same error,\n1.0 bits fewer" in [text.get_text() for text in fig.axes.texts]
    assert len(error_by_bits({"one": [0.5, 0.1]}, [2, 8]).axes.texts) == 1


def test_the_ladder_has_every_format_but_the_original():
    rows = [
        {"format": "float32", "bits": 32, "kl": 0},
        {"format": "q8_0", "bits": 8.5, "kl": 1e-4},
        {"format": "gptq-3", "bits": 3.8, "kl": 0.04},
        {"format": "rtn-3", "bits": 3.8, "kl": 0.06},
    ]
    fig = ladder(rows)
    said = {"q8_0: blocks of 32", "gptq-3: errors passed on", "rtn-3: to nearest"}
    assert {text.get_text() for text in fig.axes.texts} == said
    assert {line.get_marker() for line in fig.axes.lines} == {"o", "^", "s"}
    assert "float32" not in fig.alt and "gptq-3 3.80 bits, 0.04" in fig.alt


def test_what_fits_is_told_from_what_does_not():
    fig = what_fits(SIZES, 16)
    hatches = [[bar.get_hatch() for part in axes.containers for bar in part] for axes in fig.axes]
    assert hatches == [["", "", ""], ["//", "//", "//"]]
    assert "70b 16 bits 138.0, q8_0 73.3, q4_0 38.8" in fig.alt and "16 GB" in fig.caption
    assert what_fits({"7b": SIZES["7b"]}, 8).axes.get_title() == "7b"


def test_the_largest_that_fits_is_named():
    assert fits_words(SIZES, 16) == "16 GB: 7b fits as 16 bits, 2.5 GB are left; 70b does not fit"
    assert fits_words(SIZES, 80) == (
        "80 GB: 7b fits as 16 bits, 66.5 GB are left; 70b fits as q8_0, 6.7 GB are left"
    )


@pytest.mark.parametrize("memory", MEMORY_GB)
def test_every_machine_draws_and_speaks(memory):
    pytest.importorskip("ipywidgets")
    play = fits_explorer(SIZES).widget
    play.memory_gb.value = memory
    assert play.words.value == fits_words(SIZES, memory)
    assert "<img" in play.picture.value


def test_gptq_column_by_column_is_the_packages_own():
    """Its stages end where the exercise's answer does, and no column moves once it is rounded."""
    from llamalab.course.lessons.nb12.gptq_columns import gptq_columns
    from llamalab.quantization.gptq import hessian, inverse_cholesky

    g = torch.Generator().manual_seed(3)
    x = torch.randn(9, 5, generator=g) @ torch.randn(5, 5, generator=g)
    weight = torch.randn(5, generator=g)
    stages = gptq_stages(weight, x)
    U = inverse_cholesky(hessian(x), damping=0.01).float()
    want = gptq_columns(weight[None], U, torch.ones(1, 1))[0]
    assert len(stages) == 6 and torch.equal(stages[0], weight)
    torch.testing.assert_close(stages[-1], want)
    for i, stage in enumerate(stages[1:]):
        assert torch.equal(stage[: i + 1], stages[-1][: i + 1])


def test_a_line_for_each_column_and_one_for_the_nearest():
    x = torch.tensor([[1.0, 1.1], [2.0, 1.9], [-1.0, -1.0]])
    fig = gptq_steps(torch.tensor([0.4, 0.4]), x)
    words = [text.get_text() for text in fig.axes.texts]
    assert words[1] == "the weights" and "column 1 rounded" in words and "all to nearest" in words
    assert "column 0 rounded: 0.00, 0.80, outputs off by" in fig.alt
    off = [float(line.split("off by ")[1].rstrip(".")) for line in fig.alt.split(";")]
    assert off[0] == 0 and off[-2] < off[-1]


def test_an_outlier_is_put_into_a_copy():
    row = torch.randn(64, generator=torch.Generator().manual_seed(1))
    before = row.clone()
    fig = outlier_figure(row, 1000.0)
    assert torch.equal(row, before)
    kept = fig.axes[0].lines[0].get_ydata()
    assert kept == pytest.approx(dequantize(quantize_absmax(row, 4))[1:].tolist(), abs=1e-6)
    assert set(fig.axes[1].lines[0].get_ydata()) == {0.0}
    assert "all are 0" in [text.get_text() for text in fig.axes[1].texts]
