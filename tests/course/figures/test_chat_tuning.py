"""The pictures and trials of notebook 09 say what is so."""

import pytest
import torch

from llamalab import load
from llamalab.course.figures.html import plain
from llamalab.course.lessons.nb09 import trials
from llamalab.course.lessons.nb09 import tuning_figures as draw
from llamalab.training import StepRecord

LENGTHS, SHORT = (200, 180, 70, 70, 190, 60), (False, False, True, True, False, True)


def record(step, loss):
    return StepRecord(step, loss, 1e-3, 1.0, 10 * step, 0.1, 100.0)


def test_first_fit_by_hand():
    """180 + 70 share a row; the next 70 fits behind neither of the two, and gets the 60 behind it,
    for which the first row of 200 is too full as well."""
    assert draw.first_fit(LENGTHS, 257, "first fit") == [[0], [1, 2], [3, 5], [4]]
    assert draw.first_fit(LENGTHS, 257, "alone") == [[i] for i in range(6)]
    longest = draw.first_fit(LENGTHS, 257, "longest first")
    assert sorted(i for row in longest for i in row) == list(range(6))
    assert all(sum(LENGTHS[i] for i in row) <= 257 for row in longest)


def test_shares_and_words_of_rows():
    few, many, padding = draw.share_first(LENGTHS, SHORT, 257, "first fit")
    assert few == pytest.approx(1 / 3) and many == 1  # rows begin with 0, 1, 3 and 4
    assert padding == pytest.approx(1 - sum(LENGTHS) / (4 * 257))
    assert draw.share_first(LENGTHS, SHORT, 257, "alone")[:2] == (1, 1)
    play = draw.rows_explorer(LENGTHS, SHORT)
    assert play.widget.words.value == draw.rows_words(LENGTHS, SHORT, 257, "first fit")
    assert "33% of the refusals and 100% of the others" in play.text
    play.widget.order.value = "alone"
    assert "100% of the refusals" in play.widget.words.value


def test_rows_are_drawn_as_long_as_they_are():
    rows = [[(200, False)], [(150, False), (70, True)], [(70, True), (70, True)]]
    fig = draw.packed_rows(rows, 257)
    assert sorted(bar.get_width() for bar in fig.axes.patches) == [70, 70, 70, 150, 200]
    assert (
        "2 of the 2 dialogues that stand behind another are refusals, and 1 of the 3" in fig.caption
    )


def test_measured_figures_draw_their_means():
    seen = {"hero": 0.9, "thing": 0.8, "place": 0.1}
    runs = [
        {"weight": w, "seed": s, "steps": [10], "seen": [seen]} for w in (1, 10) for s in (0, 1)
    ]
    fig = draw.wishes(runs, {"hero": 0.05, "thing": 0.0, "place": 0.06})
    assert "weight 10: hero 0.90, thing 0.80, place 0.10" in fig.alt and len(fig.axes) == 2
    there = {"unkind at the start": 0.2, "unkind behind another": 0.8}
    runs = [{"way": way, "seen": [there]} for way in ("packed", "alone")]
    assert "packed: 0.20 at the start, 0.80 behind another dialogue" in draw.refused(runs).alt
    runs = [
        {"way": way, "seen": [[1.0, share]]} for way, share in (("with", 1.0), ("without", 0.5))
    ]
    assert "without: 100%, 50%" in draw.held(runs).alt


def test_the_monitor_has_a_bar_a_curve_and_samples():
    monitor = draw.Monitor(4)
    widget = monitor.widget
    for step, loss in enumerate((9.0, 1.0), start=1):
        monitor.add(record(step, loss))
    monitor.sample(2, "Once upon <s> a time")
    assert widget.bar.value == 2 and widget.bar.description == "step 2"
    assert "step 2 of 4, loss 1.00" in widget.picture.value and "<polyline" in widget.picture.value
    assert plain(widget.words.value) == "step 2 Once upon <s> a time"
    alt = draw.loss_curve([record(1, 9.0), record(2, 1.0)], "It falls.").alt
    assert alt == "Loss against step: from 9.0 to 5.00 after 2 steps."


@pytest.fixture(scope="module")
def base():
    return load("tales", dtype=torch.float32)


def test_what_is_looked_at_is_what_was_asked_for(base):
    _, tokenizer = base
    wishes = trials.Wishes(tokenizer, 3, whole=True)
    for number, (ids, where) in enumerate(zip(wishes.asked, wishes.found)):
        request = trials.short_story(number, held_out=True).request
        for wish in trials.WISHES[:3]:
            said = tokenizer.decode([ids[place] for place in where[wish]]).strip()
            assert said == getattr(request, wish)
    assert [len(a) != len(b) or a != b for a, b in zip(wishes.asked, wishes.other)] == [True] * 3


def test_a_model_that_is_sure_is_seen_to_be(base):
    """A table in place of a model: it foresees the next token of every row, or none."""
    _, tokenizer = base
    wishes = trials.Wishes(tokenizer, 2)

    class Table(torch.nn.Module):
        def __init__(self, right):
            super().__init__()
            self.right = right

        def forward(self, inputs):
            following = torch.roll(inputs, -1, dims=1) if self.right else inputs * 0 + 5
            return 50.0 * torch.nn.functional.one_hot(following, tokenizer.vocab_size)

    assert all(p > 0.99 for p in wishes.look(Table(True)).values())
    assert all(p < 0.01 for p in wishes.look(Table(False)).values())


def test_refusals_are_looked_for_where_the_answer_begins(base):
    _, tokenizer = base
    refusals = trials.Refusals(tokenizer, 2)
    for name, rows in refusals.rows.items():
        for row in rows:
            assert row[-1] == 0 and tokenizer.decode(row[:-1]).endswith("[/INST]")
            assert row.count(tokenizer.bos_id) == 1 + ("behind" in name)
            assert len(row) <= 257
