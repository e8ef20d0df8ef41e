"""The visual language: colours told apart, labels that do not lie on each other, text that comes
out as text, and an explorer that is the same with a kernel and without."""

import colorsys
import math

import pytest

from llamalab.course.figures import (
    Choice,
    Slider,
    Switch,
    Words,
    box,
    claim,
    explorer,
    figure,
    label_lines,
    palette,
    pieces,
    table,
)
from llamalab.course.figures.draw import spread
from llamalab.course.figures.html import Html, inline, plain, tag

TOGETHER = [
    (palette.QUERY, palette.KEY, palette.VALUE, palette.CACHE),
    (palette.GATE, palette.UP, palette.RESIDUAL, palette.NORM, palette.ATTENTION),
    (palette.LOSS, palette.VALIDATION),
    (palette.POLICY, palette.REFERENCE, palette.REWARD, palette.JUDGE),
]


def deuteranope(colour: str) -> list[float]:
    """The colour as a reader without green cones sees it (Viénot, Brettel and Mollon 1999)."""
    r, g, b = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c**2.2 for c in (r, g, b))
    seen = 0.29275 * r + 0.70725 * g, 0.29275 * r + 0.70725 * g, -0.02234 * r + 0.02234 * g + b
    return [max(0.0, c) ** (1 / 2.2) for c in seen]


@pytest.mark.parametrize("group", TOGETHER)
def test_what_stands_together_is_told_apart(group):
    for i, one in enumerate(group):
        for other in group[i + 1 :]:
            assert math.dist(deuteranope(one), deuteranope(other)) > 0.2, (one, other)
            assert abs(palette.lightness(one) - palette.lightness(other)) >= 5, (one, other)
        assert palette.contrast(one, palette.PAPER) > 2, one


def test_words_are_readable():
    for colour in (palette.INK, palette.FAINT):
        assert palette.contrast(colour, palette.PAPER) > 4.5
    assert palette.contrast("#ffffff", "#000000") == pytest.approx(21)
    assert palette.contrast("#777777", "#777777") == 1
    assert palette.lightness("#777777") == pytest.approx(50.0, abs=0.1)
    assert palette.lightness("#ffffff") == pytest.approx(100) and palette.lightness("#000000") == 0


@pytest.mark.parametrize("colour", [*palette.SERIES, palette.YELLOW, palette.LIT])
def test_words_take_the_hue_as_dark_as_it_must_be(colour):
    dark = palette.for_words(colour)
    assert palette.contrast(dark, palette.PAPER) >= 4.5
    if palette.contrast(colour, palette.PAPER) >= 4.5:
        assert dark == colour
    else:  # no darker than it must be, and the same hue
        assert palette.contrast(dark, palette.PAPER) < 4.8
        was, now = (colorsys.rgb_to_hsv(*_parts(c))[0] for c in (colour, dark))
        assert now == pytest.approx(was, abs=0.01)


def _parts(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


@pytest.mark.parametrize("heights", [[0.1, 0.5, 0.9], [0.5, 0.5, 0.5], [0.1, 0.12, 0.13, 0.8], [0]])
def test_labels_are_moved_apart_and_no_further(heights):
    moved = spread(heights, 0.1)
    assert len(moved) == len(heights)
    assert all(b - a >= 0.1 - 1e-9 for a, b in zip(moved, moved[1:]))
    assert sum(moved) == pytest.approx(sum(heights))  # a group keeps its middle
    if all(b - a >= 0.1 for a, b in zip(heights, heights[1:])):
        assert moved == pytest.approx(heights)


def test_labels_stand_at_their_lines():
    with figure("Two lines.", alt="Two lines that rise together") as fig:
        for k in (1.0, 1.01):
            fig.axes.plot([0, 1], [0, k])
        label_lines(fig.axes, [(1, 1.0, "one", palette.QUERY), (1, 1.01, "other", palette.KEY)])
        one, other = fig.axes.texts
        assert (one.get_text(), other.get_text()) == ("one", "other")
        assert other.xy[1] - one.xy[1] >= 0.06


def test_words_at_an_orange_line_can_be_read_and_dollars_are_dollars():
    with figure("A line.", alt="A line with its price") as fig:
        fig.axes.plot([0, 1], [0, 1], color=palette.CACHE)
        label_lines(fig.axes, [(1, 1, "from $1 to $2", palette.CACHE)])
        claim(fig.axes, "$1 is $1", at=(0, 0), to=(0.5, 0.5), colour=palette.CACHE)
        for words in fig.axes.texts:
            assert palette.contrast(words.get_color(), palette.PAPER) >= 4.5
            assert words.get_text().count(r"\$") == 2


def test_a_picture_is_the_same_bytes_twice():
    def drawn():
        with figure("A box.", alt="A box that holds the token <s>") as fig:
            box(fig.axes, 0.5, 0.5, "<s> costs $1 or $2", palette.QUERY, mono=True)
        return fig.png

    assert drawn() == drawn()


def test_text_comes_out_as_text():
    assert tag("p", "<s>", title="'\"") == "<p title='&#x27;&quot;'>&lt;s&gt;</p>"
    assert tag("p", Html("<b>x</b>"), 3) == "<p><b>x</b>3</p>"
    assert inline("a `<s>` b") == "a <code>&lt;s&gt;</code> b"
    assert inline("a lone ` sign") == "a lone ` sign"
    assert plain("<p>a<br/>b</p><p>&lt;s&gt;</p>") == "a\nb\n<s>"
    for shown in (table(["<s>"], [["<i>"]], caption="<b>"), pieces(["<s>"], [1])):
        html = shown._repr_html_()
        assert "<s>" not in html and "<i>" not in html and "<b>" not in html
        assert "&lt;s&gt;" in html


def picture(**values):
    with figure("Values.", alt=f"the values {sorted(values)}") as fig:
        fig.axes.set_title(str(values))
    return fig


def test_an_explorer_moves_and_has_a_still_twin():
    pytest.importorskip("ipywidgets")
    live = explorer(
        [
            Slider("rate", 0.5, 0.0, 2.0, 0.1),
            Slider("count", 3, 1, 9),
            Slider("size", 100, values=(10, 100, 1000)),
            Choice("model", "b", ("a", "b")),
            Switch("cached", True),
            Words("text", "<s>"),
        ],
        picture=picture,
        words=lambda **v: " ".join(f"{name}={value}" for name, value in v.items()),
        more=lambda **v: tag("p", "more of ", v["text"]),
    )
    still = "rate=0.5 count=3 size=100 model=b cached=True text=<s>"
    assert repr(live) == still
    assert "text=&lt;s&gt;" in live.html and "<figure" in live.html
    play = live.widget
    assert play.words.value == still
    play.rate.value, play.count.value, play.size.value = 1.5, 9, 1000
    play.model.value, play.cached.value, play.text.value = "a", False, "x"
    assert play.words.value == "rate=1.5 count=9 size=1000 model=a cached=False text=x"
    assert play.picture.value != picture(rate=0.5)._repr_html_()
    assert play.more.value == "<p>more of x</p>"


def test_the_sentence_is_shown_whole_and_as_text():
    pytest.importorskip("ipywidgets")
    live = explorer([Words("text", "<s>")], picture=picture, words=lambda text: f"{text} $1 or $2")
    play = live.widget
    shown = play.children[1]
    assert type(shown).__name__ == "HTML"  # a Label cuts what is longer than its line
    assert plain(shown.value) == play.words.value == "<s> $1 or $2"
    play.text.value = "<b>"
    assert plain(shown.value) == play.words.value == "<b> $1 or $2" and "<b>" not in shown.value


@pytest.mark.parametrize(
    ("control", "words"),
    [
        (lambda: Slider("gate", 9.0, -4.0, 4.0, 0.1), r"gate=9.0 is not from -4.0 to 4.0"),
        (lambda: Slider("size", 7, values=(10, 100)), "size=7 is none of 10, 100"),
        (lambda: Choice("model", "c", ("a", "b")), "model='c' is none of 'a', 'b'"),
    ],
)
def test_a_start_that_cannot_be_shown_is_refused(control, words):
    with pytest.raises(ValueError, match=words):
        control()


@pytest.mark.parametrize("names", [("words",), ("a", "a"), ("picture",)])
def test_a_control_has_a_name_of_its_own(names):
    with pytest.raises(ValueError, match=f"a second '{names[-1]}'"):
        explorer([Switch(name, True) for name in names], picture, words=str)
