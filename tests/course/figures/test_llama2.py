"""The pictures of notebook 06 say what is so."""

import pytest
import torch

from llamalab.accounting import count_parameters, kv_cache_bytes
from llamalab.config import LlamaConfig
from llamalab.course.lessons.nb06.figures import (
    GIB,
    MODELS,
    memory_planner,
    parameter_bars,
    plan_figure,
    plan_of,
    plan_words,
    reach,
    stream_by_depth,
)


def test_a_bar_is_a_hundred_per_cent_and_says_its_shares():
    fig = parameter_bars(("tiny", "llama-2-70b"))
    widths = [[patch.get_width() for patch in bars] for bars in fig.axes.containers]
    assert [sum(column) for column in zip(*widths)] == pytest.approx([100, 100])
    counts = count_parameters(LlamaConfig.from_name("llama-2-70b"))
    share = 100 * counts["feed_forward"] / counts["total"]
    assert f"feed-forward {share:.1f} %" in fig.alt and fig.png.startswith(b"\x89PNG")


def test_every_depth_of_every_curve_is_drawn_over_its_own_length():
    curves = {"soft": {2: [0.5, 0.9], 4: [0.3, 0.5, 0.7, 0.9]}, "loud": {2: [1.0, 2.0]}}
    fig = stream_by_depth(curves)
    lines = fig.axes.get_lines()
    assert [len(line.get_xdata()) for line in lines] == [2, 4, 2]
    assert all(line.get_xdata()[-1] == 100 for line in lines)
    assert len({str(line.get_linestyle()) + line.get_color() for line in lines}) == 3
    assert "soft: 0.9 after 2 blocks, 0.9 after 4 blocks; loud: 2.0 after 2 blocks" in fig.alt


def test_the_reach_says_so_if_the_past_was_moved():
    changes = torch.rand(5, 5, generator=torch.Generator().manual_seed(0)) + 0.1
    assert "to its left all white" in reach(changes.triu()).alt
    assert "to its left as large as" in reach(changes).alt


@pytest.mark.parametrize("model", MODELS)
def test_a_plan_counts_weights_and_cache(model):
    config = LlamaConfig.from_name(model)
    plan = plan_of(model, 128, 2, "bfloat16", False, 16)
    cache = kv_cache_bytes(config, 128, 2)
    assert plan.total == 2 * count_parameters(config)["total"] + cache
    assert plan.available == 16 * GIB


def test_the_bar_is_as_long_as_the_plan():
    plan = plan_of("llama-2-7b", 4096, 1, "bfloat16", True, 80)
    fig = plan_figure(plan)
    drawn = sum(patch.get_width() for bars in fig.axes.containers for patch in bars)
    assert drawn * GIB == pytest.approx(plan.total)
    assert "A line marks the 80 GiB" in fig.alt


def test_the_planner_moves_and_its_twin_says_the_same():
    live = memory_planner()
    play = live.widget
    assert repr(live) == play.words.value
    assert repr(live) == plan_words("llama-2-7b", 4096, 1, "bfloat16", False, 16)
    assert "It fits: 14.55 GiB of 16.00 GiB" in live.html and "<img" in live.html
    before = play.picture.value
    play.batch.value = 4
    assert "It does not fit" in play.words.value and play.picture.value != before


def test_what_cannot_be_planned_says_why():
    play = memory_planner(dtype="q4_0").widget
    play.training.value = True
    assert "run, not trained" in play.words.value and play.picture.value == ""
