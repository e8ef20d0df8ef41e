"""What is written in a picture has room: nothing runs through it, lies on it or cuts it off."""

import pytest

from llamalab.course.figures import figure, label_lines, palette
from llamalab.course.lessons.nb05.figures import by_seed
from llamalab.course.lessons.nb07.figures import two_curves
from llamalab.course.lessons.nb08.figures import price_of_a_token
from llamalab.course.lessons.nb10.figures import heads
from llamalab.course.lessons.nb11.figures import best_of


def boxes(fig, texts):
    """Where texts lie in the picture, in dots."""
    fig.canvas.draw_without_rendering()
    return [text.get_window_extent() for text in texts]


def test_a_name_begins_as_far_from_its_end_as_is_asked():
    left = []
    for away in (5, 12):
        with figure("A line.", alt="A line with a large dot at its end") as fig:
            fig.axes.plot([0, 1], [0, 1])
            label_lines(fig.axes, [(1, 1, "one", palette.QUERY)], away=away)
            (words,) = fig.axes.texts
            left.append(words.xyann[0])
    assert left == [5, 12]


def test_the_axis_ends_where_the_names_begin():
    fig = two_curves([10, 20, 30], {"one": [3, 2, 1], "other": [3, 1, 0]}, "A claim.")
    assert fig.axes.get_xlim()[1] == 30
    one, *_ = fig.axes.get_lines()
    assert not one.get_clip_on()  # its last dot is whole


def test_a_dot_at_the_edge_is_whole():
    fig = best_of([1, 2, 4], [0, 0.3, 0.5], [0.9, 0.95, 1.0])
    (line,) = fig.axes[1].get_lines()
    assert fig.axes[1].get_ylim()[1] == 1 and not line.get_clip_on()


@pytest.mark.parametrize("slow", [9.0, 25.0, 140.0])
def test_a_scale_of_tens_has_more_than_one_number(slow):
    fig = price_of_a_token([16, 240], {"slow": [6.0, slow], "cached": [4.8, 4.9]})
    fig.canvas.draw_without_rendering()
    low, high = fig.axes.get_ylim()
    said = [t for t in fig.axes.yaxis.get_ticklabels() if low <= t.get_position()[1] <= high]
    assert sum(bool(label.get_text()) for label in said) >= 2


def test_a_number_lies_on_no_bar():
    losses = {name: [2.30, 2.34] for name in ("no bend", "ReLU", "GELU", "bilinear", "SwiGLU")}
    fig = by_seed(losses, "A claim.")
    numbers = boxes(fig, [t for t in fig.axes.texts if t.get_text()[0].isdigit()])
    bars = [line.get_window_extent() for line in fig.axes.get_lines() if line.get_linewidth() == 3]
    assert len(numbers) == len(bars) == 5
    for number in numbers:
        assert not any(number.overlaps(bar) for bar in bars)


def test_tokens_stand_apart():
    fig = heads(1024, 192)
    for axes in fig.axes:
        words = [t for t in axes.texts if t.get_position()[1] == 0.45]
        fig.canvas.draw_without_rendering()
        sheets = [word.get_bbox_patch().get_window_extent() for word in words]
        assert len(sheets) == 8
        assert all(a.x1 + 4 < b.x0 for a, b in zip(sheets, sheets[1:]))  # dots
