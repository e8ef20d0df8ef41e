"""The pictures of notebook 12 say what is so."""

import pytest
import torch

from llamalab.course.lessons.nb12.figures import (
    FORMATS,
    KINDS,
    NUMBERS,
    error_by_bits,
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
        size = int(words.partition(": ")[2].partition(" bytes")[0].replace(",", ""))
        assert abs(size - sizes[format]) <= 8


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


def test_lines_fall_and_are_labelled():
    fig = error_by_bits({"one scale": [0.5, 0.1], "one a row": [0.4, 0.05]}, [2, 4])
    assert [text.get_text() for text in fig.axes.texts] == ["one a row", "one scale"]
    assert "one a row: 40.0% to 5.00%" in fig.alt


def test_the_ladder_has_every_format_but_the_original():
    rows = [
        {"format": "float32", "bits": 32, "kl": 0},
        {"format": "q8_0", "bits": 8.5, "kl": 1e-4},
        {"format": "gptq-3", "bits": 3.8, "kl": 0.04},
        {"format": "rtn-3", "bits": 3.8, "kl": 0.06},
    ]
    fig = ladder(rows)
    assert {text.get_text() for text in fig.axes.texts} == {"q8_0", "gptq-3", "rtn-3"}
    assert {line.get_marker() for line in fig.axes.lines} == {"o", "^", "s"}
    assert "float32" not in fig.alt and "gptq-3 3.80 bits, 0.04" in fig.alt


def test_what_fits_is_told_from_what_does_not():
    sizes = {"7b": {"16 bits": 13.5, "q4_0": 3.8}, "70b": {"16 bits": 138.0, "q4_0": 38.8}}
    fig = what_fits(sizes, 16)
    hatches = [[bar.get_hatch() for part in axes.containers for bar in part] for axes in fig.axes]
    assert hatches == [["", ""], ["//", "//"]]
    assert "70b 16 bits 138.0, q4_0 38.8" in fig.alt and "16 GB" in fig.caption


def test_an_outlier_is_put_into_a_copy():
    row = torch.randn(64, generator=torch.Generator().manual_seed(1))
    before = row.clone()
    fig = outlier_figure(row, 1000.0)
    assert torch.equal(row, before)
    kept = fig.axes[0].lines[0].get_ydata()
    assert kept == pytest.approx(dequantize(quantize_absmax(row, 4))[1:].tolist(), abs=1e-6)
    assert set(fig.axes[1].lines[0].get_ydata()) == {0.0}
    assert "all are 0" in [text.get_text() for text in fig.axes[1].texts]
