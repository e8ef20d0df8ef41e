"""The pictures of notebook 06 say what is so."""

import pytest
import torch

from llamalab.accounting import count_parameters, kv_cache_bytes
from llamalab.config import LlamaConfig
from llamalab.course.figures.html import plain
from llamalab.course.lessons.nb06.figures import (
    GIB,
    MODELS,
    memory_planner,
    parameter_bars,
    plan_figure,
    plan_of,
    plan_words,
    reach,
    river,
    stream_by_depth,
    token_way,
)


def test_a_bar_is_a_hundred_per_cent_and_says_its_shares():
    fig = parameter_bars(("tiny", "llama-2-70b"))
    widths = [[patch.get_width() for patch in bars] for bars in fig.axes.containers]
    assert [sum(column) for column in zip(*widths)] == pytest.approx([100, 100])
    counts = count_parameters(LlamaConfig.from_name("llama-2-70b"))
    share = 100 * counts["feed_forward"] / counts["total"]
    assert f"feed-forward {share:.1f} %" in fig.alt and fig.png.startswith(b"\x89PNG")


def test_every_depth_of_every_curve_is_drawn_block_by_block():
    curves = {"soft": {2: [0.5, 0.9], 4: [0.3, 0.5, 0.7, 0.9]}, "loud": {2: [1.0, 2.0]}}
    fig = stream_by_depth(curves)
    soft, loud = fig.axes
    lines = [line for line in soft.get_lines() if len(line.get_xdata()) > 1]
    assert [list(line.get_xdata()) for line in lines] == [[1, 2], [1, 2, 3, 4]]
    assert len({line.get_linestyle() for line in lines}) == 2
    assert {t.get_text() for t in soft.texts} == {"2 blocks: 0.9", "4 blocks: 0.9"}
    assert loud.get_title(loc="left") == "loud"
    assert "soft: 0.9 after 2 blocks, 0.9 after 4 blocks; loud: 2.0 after 2 blocks" in fig.alt


def test_a_river_is_as_wide_as_the_root_of_its_size():
    fig = river(1.0, [("attention", 2.0, 4.0), ("feed_forward", 5.0, 9.0)], "A claim.")
    banks = [line.get_ydata() for line in fig.axes.get_lines()]
    assert [max(bank) for bank in banks] == [1.5, -0.5]  # of 9: root 3, half on either side
    shown = {text.get_text() for text in fig.axes.texts}
    assert {"1.00", "4.00", "9.00", "+2.00", "+5.00"} <= shown
    assert "feed-forward of block 0 writes 5.00, then it is 9.00." in fig.alt


def test_a_tokens_way_shows_every_station_with_its_size():
    stations = [("embedding", torch.tensor([3.0, -4.0, 0.0, 0.0]), "stream"),
                ("its norm", torch.ones(4), "norm")]  # fmt: skip
    fig = token_way(stations, [("clever", 0.25), ("little", 0.125)], piece="a")
    shown = [text.get_text() for text in fig.axes.texts]
    assert "4 numbers of size 2.50: 3.00, -4.00, 0.00 …" in shown
    assert "clever 25 %" in shown and "“a”" in fig.caption
    bars = fig.axes.patches[:4]
    assert [bar.get_height() > 0 for bar in bars] == [True, False, False, False]
    assert bars[0].get_height() == pytest.approx(-0.75 * bars[1].get_height())


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
    *bars, over = fig.axes.containers
    assert sum(bar[0].get_width() for bar in bars) * GIB == pytest.approx(plan.total)
    assert over[0].get_width() * GIB == pytest.approx(plan.total - plan.available)  # hatched
    assert (
        len(plan_figure(plan_of("llama-2-7b", 4096, 1, "bfloat16", False, 80)).axes.containers) == 2
    )
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
    assert plain(play.more.value).startswith("What would fit: the weights in q8_0")


def test_the_planner_reaches_the_longest_context_that_fits():
    play = memory_planner(batch=2).widget
    play.context.value = 3531
    assert "It fits" in play.words.value and play.more.value == ""
    play.context.value = 3532
    assert "It does not fit" in play.words.value


def test_what_cannot_be_planned_says_why():
    play = memory_planner(dtype="q4_0").widget
    play.training.value = True
    assert "run, not trained" in play.words.value and play.picture.value == ""
