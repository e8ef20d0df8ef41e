"""The pictures of notebook 07 say what is so, and the growing curve leaves nothing behind."""

import math
import re

import pytest

from llamalab.course.figures.monitor import sample_list
from llamalab.course.lessons.nb07.adamw_step import adamw_step
from llamalab.course.lessons.nb07.figures import (
    HEIGHT,
    Monitor,
    grouped,
    growing_curve,
    loss_curve,
    rate_explorer,
    rate_figure,
    rate_words,
    scaling,
    schedules,
    second_fall,
    sweep,
    tokens_per_parameter,
    two_averages,
    two_curves,
)
from llamalab.training import StepRecord, TrainConfig


def record(step, loss, val_loss=None):
    return StepRecord(step, loss, 1e-3, 1.0, 100 * step, 0.1, 1000.0, val_loss)


RUNS = [
    {"lr": lr, "tokens": [10, 20, 30], "loss": [3 + lr, 2 + lr, end], "names": [5, 4, 3]}
    for lr, ends in ((0.01, (1.0, 1.2)), (0.001, (2.0, 2.4)))
    for end in ends
]  # fmt: skip


def test_a_schedule_is_drawn_to_its_peak_and_its_tenth():
    fig = schedules({"one": TrainConfig(steps=400, lr=0.5, warmup_steps=20),
                     "two": TrainConfig(steps=100, lr=0.2, warmup_steps=0)})  # fmt: skip
    one, two = fig.axes.get_lines()[:2]
    said = [text.get_text() for text in fig.axes.texts]
    assert {"one", "two", "warm-up: 20 steps of 400", "a tenth of the peak"} <= set(said)
    assert max(one.get_ydata()) == 0.5 and one.get_ydata()[-1] == pytest.approx(0.05)
    assert len(two.get_xdata()) == 100
    assert "one: up to 0.5 at step 20, 0.05 at last" in fig.alt


def test_the_growing_curve_puts_ln_v_and_losses_at_their_heights():
    top = math.log(100)
    svg = growing_curve([(1, top), (2, top / 2), (4, 0.0)], 4, top)
    (points,) = re.findall(r"points='([^']*)'", svg)
    heights = [float(pair.split(",")[1]) for pair in points.split()]
    (line,) = re.findall(r"y1='([\d.]+)' y2='\1' stroke='#222222' stroke-dasharray", svg)
    assert heights[0] == float(line) and heights[-1] == HEIGHT
    assert heights[1] == pytest.approx((heights[0] + HEIGHT) / 2, abs=0.1)
    assert "step 4 of 4, loss 0.00" in svg and "aria-label" in svg
    assert growing_curve([(1, 1e9)], 4, top)  # a run that explodes is drawn at the edge
    assert "step 0" in growing_curve([], 4, top)


def test_the_monitor_draws_with_a_kernel_and_is_still_without():
    still = Monitor(512, 300)
    for step in range(1, 301):
        still.add(record(step, 6.0 / step))
    assert still.html == Monitor(512, 300).html and "<div" in still.html
    play = Monitor(512, 300)
    box = play.widget
    empty, drawn = box.picture.value, 0
    for step in range(1, 301):
        before = box.picture.value
        play.add(record(step, 6.0 / step))
        drawn += box.picture.value != before
    assert box.picture.value != empty and "step 300 of 300" in box.picture.value
    assert 90 <= drawn <= 110, "drawn about a hundred times"
    play.sample(7, "once <b> upon")
    assert "step 7" in box.words.value and "&lt;b&gt;" in box.words.value
    assert play.html == still.html, "what is stored does not change while it runs"


def test_long_samples_are_cut_at_a_word():
    text = sample_list([(3, "word " * 200)], "step", 400)
    assert text.endswith("word …</p></div>") and len(text) < 600


def test_a_loss_curve_is_smoothed_over_twenty_steps_and_shows_evaluations():
    records = [record(step, float(step % 2), 0.7 if step == 40 else None) for step in range(1, 41)]
    fig = loss_curve(records, 512, "It falls.")
    raw, smooth, held, top = fig.axes.get_lines()
    assert list(raw.get_ydata()[:2]) == [1.0, 0.0] and smooth.get_ydata()[-1] == 0.5
    assert list(held.get_xdata()) == [4000] and set(top.get_ydata()) == {math.log(512)}
    assert "held-out 0.70" in fig.alt
    assert "held-out" not in loss_curve(records[:-1], 512, "It falls.").alt


def test_two_curves_name_their_lowest_and_last():
    fig = two_curves([1, 2, 3], {"training": [3, 2, 1], "held-out": [3, 2, 4.0]}, "They part.")
    assert "held-out lowest at 2.00, 4.00 at the end" in fig.alt
    assert len(fig.axes.get_lines()) == 2
    assert fig.axes.get_legend() is None
    assert {text.get_text() for text in fig.axes.texts} == {"training", "held-out"}


def test_a_curve_can_be_told_what_it_shows_and_what_to_compare_it_with():
    fig = two_curves(
        [1, 2], {"one": [3, 2]}, "So.", says=("here", (1, 3), (2, 3)), level=(2.5, "guess")
    )
    assert {text.get_text() for text in fig.axes.texts} == {"one", "here", "guess"}
    assert set(fig.axes.get_lines()[1].get_ydata()) == {2.5}


def test_the_second_fall_is_named_by_its_speed():
    curve = {0: 2.0, 100: 1.9, 200: 1.88, 300: 1.68, 400: 1.48}
    fig = second_fall(curve, (100, 200), (200, 400))
    assert "From step 100 to 200 it falls by 0.020" in fig.alt
    assert "From step 200 to 400 it falls by 0.200" in fig.alt


def test_the_valley_is_crossed_by_plain_steps_and_descended_by_adamw():
    fig = two_averages(lambda a, b: (100 * a, 0.01 * b), adamw_step, steps=20)
    plain, _, way, bottom = fig.axes[0].get_lines()
    across, along = plain.get_xdata(), plain.get_ydata()
    assert min(across) < -0.8 and min(along) > 0.99  # 1 - 0.019 · 100 = -0.9; 20 · 0.019 · 0.01
    assert abs(way.get_xdata()[-1]) < 0.4 and abs(way.get_ydata()[-1]) < 0.4
    assert (way.get_xdata()[0], way.get_ydata()[0]) == (1, 1) and len(way.get_xdata()) == 21
    size, mean = (line.get_ydata() for line in fig.axes[1].get_lines()[:2])
    assert size[0] == pytest.approx(100) and mean[0] == pytest.approx(100)  # the hats
    assert "10,000-fold" in fig.caption


def test_a_sweep_has_a_dot_a_seed_and_a_line_through_the_means():
    assert grouped(RUNS, "lr", "loss") == {0.001: [2.0, 2.4], 0.01: [1.0, 1.2]}
    fig = sweep(RUNS, "lr", {"loss": "all", "names": "names"}, "It matters.", "peak rate")
    lines = fig.axes.get_lines()
    assert list(lines[2].get_ydata()) == pytest.approx([2.2, 1.1])
    assert sum(len(line.get_xdata()) for line in lines) == 2 * (4 + 2)
    assert "all: 0.001 2.20, 0.01 1.10" in fig.alt


def test_scaling_draws_what_was_measured_and_what_was_fitted():
    runs = [
        {"parameters": n, "seen": d, "loss": [9.0, n / d]} for n in (10, 20) for d in (64, 128, 256)
    ]
    fig = scaling(runs, lambda n, d: 2 * n / d)
    dots, line, *_ = fig.axes.get_lines()
    assert list(2 * dots.get_ydata()) == list(line.get_ydata()) == [20 / 64, 20 / 128, 20 / 256]
    assert "0.04, is that of 10 parameters" in fig.alt


def test_ratios_stand_on_their_axis():
    fig = tokens_per_parameter({"small": 3.5, "7B": 296.8}, "Far apart.")
    dots, line = fig.axes.get_lines()
    assert list(dots.get_xdata()) == [3.5, 296.8] and set(line.get_xdata()) == {20}
    assert "small 3.5, 7B 297" in fig.alt


def test_the_rate_explorer_moves_and_its_twin_says_the_same():
    live = rate_explorer(RUNS, 0.01)
    play = live.widget
    assert repr(live) == play.words.value == rate_words(RUNS, 0.01)
    assert "3.01 after a sixth of the run, 1.10 at the end (seeds 1.00 to 1.20); 0.00" in repr(live)
    before = play.picture.value
    play.rate.value = 0.001
    assert "1.10 above the best peak" in play.words.value and play.picture.value != before
    front = rate_figure(RUNS, 0.001).axes.get_lines()[-2:]
    assert [line.get_ydata()[-1] for line in front] == [2.0, 2.4]
    with pytest.raises(ValueError, match="no run has the peak 0.5; there are 0.001, 0.01"):
        rate_explorer(RUNS, 0.5)
