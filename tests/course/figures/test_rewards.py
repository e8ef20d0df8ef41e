"""The pictures of notebook 10 say what is so, and the game of comparisons counts rightly."""

import math

import pytest
import torch

from llamalab.alignment import MARGINS, calibration
from llamalab.alignment.fit import FitRecord
from llamalab.course.figures.html import plain
from llamalab.course.lessons.nb10 import figures as draw
from llamalab.course.lessons.nb10.comparing import (
    Card,
    agreement,
    by_chance,
    card_html,
    compare_box,
    deal,
)
from llamalab.tales.preferences import prefer


@pytest.mark.parametrize("gap", [0.0, 0.12, -0.3, 0.9])
def test_what_is_said_is_what_annotators_say(gap):
    shares = draw.said(gap)
    assert len(shares) == 8 and sum(shares) == pytest.approx(1)
    counts = [0] * 8
    for number in range(4000):
        word = prefer(0.5 + gap / 2, 0.5 - gap / 2, number)
        counts[4 + word.strength if word.first else 3 - word.strength] += 1
    assert all(abs(n / 4000 - share) < 0.03 for n, share in zip(counts, shares))


def test_the_ceiling_of_each_strength():
    gaps, strengths = [0.2, -0.2, 0.0, 0.5], [3, 3, 0, 1]
    found = draw.ceiling_by_strength(gaps, strengths)
    shares = draw.said(0.2)
    assert found[3] == pytest.approx(shares[7] / (shares[7] + shares[0]))
    assert found[0] == pytest.approx(0.5) and math.isnan(found[2])
    assert 0.5 < found[1] < 1


def test_annotators_in_words_and_picture():
    assert "50 of 100 annotators prefer it and 50 the other" in draw.annotator_words(0.0)
    live = draw.annotator_explorer(gap=0.12)
    assert "73 of 100" in live.text and "<img" in live.html
    live.widget.gap.value = 0.7
    assert "100 of 100" in live.widget.words.value


def test_losses_and_pulls():
    fig = draw.pair_losses({"m = 0": 0.0, "m = 1": 1.0})
    assert "m = 0: 0.69 and 0.50" in fig.alt and "m = 1: 1.31 and 0.73" in fig.alt and fig.png


def test_heads_say_their_sizes():
    fig = draw.heads(1024, 36)
    assert "1,024 times 36" in fig.alt and "1 times 36" in fig.alt and fig.png


def test_the_monitor_draws_only_where_it_is_seen():
    monitor = draw.Monitor(steps=4)
    monitor.add(FitRecord(1, 0.9, 1e-3, 1.0, 0.1, {}))
    assert "grows here" in monitor.html and not hasattr(monitor, "picture")
    box = monitor.widget
    monitor.add(FitRecord(2, 0.5, 1e-3, 1.0, 0.1, {}))
    monitor.held(2, 0.75)
    assert box.bar.value == 2 and "step 2 of 4, loss 0.50" in box.picture.value
    assert "75% at step 2" in plain(box.words.value)


def test_training_and_strengths():
    fig = draw.training([4, 8], {"safety": [0.9, 0.6]}, "It falls.", {"safety": 0.97})
    assert "safety from 0.90 to 0.60, where who cannot tell loses 0.97" in fig.alt and fig.png
    one = {"model": [0.5, 0.6, 0.7, 0.9], "paper": [0.55, 0.6, 0.7, 0.8]}
    for panels in ({"safety": one}, {"safety": one, "helpfulness": one}):
        fig = draw.by_strength(panels, "It rises.")
        assert "safety, model: 50%, 60%, 70%, 90%" in fig.alt and fig.png


def test_reliability_and_scores():
    chosen, rejected = torch.tensor([2.0, 0.3, -1.0]), torch.zeros(3)
    fig = draw.reliability({"a": calibration(chosen, rejected, 4)}, "As it is.")
    assert "a: 57% sure 100% right" in fig.alt
    places = {"refusal": [(0.9, 0.1), (0.7, 0.3)], "story": [(0.2, 0.8)]}
    fig = draw.two_scores(places, 0.15, "Two.")
    assert "refusal 0.80 and 0.20" in fig.alt and "line at 0.15" in fig.alt
    fig = draw.moves({"x": torch.tensor([-1.0, 0.5])}, {"x": -0.4}, "It moves.")
    assert "x: score -0.25, judge -0.40" in fig.alt and fig.png


CARDS = [
    Card("ask", "a", "b", (0.9, 0.2), 0),
    Card("ask", "c", "d", (0.1, 0.6), 1),
    Card("ask", "e", "f", (0.5, 0.5), 2),
]


def test_agreement_by_hand():
    cards = deal(CARDS, again=(0, 2))
    assert cards[3] == Card("ask", "b", "a", (0.2, 0.9), 0)
    always_left = agreement(cards, ["left"] * 5)
    assert always_left == {"judge": (1, 3), "self": (0, 2)}
    steady = agreement(cards, ["left", "right", "left", "right", "right"])
    assert steady == {"judge": (3, 3), "self": (2, 2)}
    assert agreement(cards, ["left"]) == {"judge": (1, 1), "self": (0, 0)}


def test_a_coin_by_hand():
    assert by_chance(0, 5) == 1
    assert by_chance(3, 3) == 1 / 8
    assert by_chance(2, 3) == 1 / 2


def test_the_game():
    play = compare_box(deal(CARDS, again=(0,)))
    assert "Pair 1 of 4" in play.says() and "a" in plain(play.html)
    box = play.widget
    play.left_button.click()
    assert play.choices == ["left"] and "Pair 2 of 4" in plain(play.words.value)
    assert "Pair 3 of 4" in play.choose("right")
    play.choose("left")
    said = play.choose("right")
    assert said.startswith("You agreed with the judge in 3 of 3 pairs (a coin does so, or better,")
    assert said.endswith("in 12% of all games), and with yourself in 1 of the 1 that came twice.")
    assert play.left_button.disabled and play.shown.value == "" and box is play.widget
    assert play.choose("left") == said and len(play.choices) == 4  # the game is over
    play.again_button.click()
    assert not play.choices and not play.left_button.disabled
    with pytest.raises(ValueError, match="'up' is neither"):
        play.choose("up")
    with pytest.raises(ValueError, match="0 cards"):
        compare_box([])


def test_what_is_written_in_an_answer_is_text():
    play = compare_box([Card("<b>", "<s>", "x", (0.0, 1.0), 0)])
    assert "&lt;s&gt;" in play.html and "&lt;b&gt;" in play.html


def test_margins_are_the_papers():
    assert MARGINS["small"] == (0.0, 1 / 3, 2 / 3, 1.0)


def test_an_answer_without_a_word_says_so():
    assert "without a word" in card_html(Card("A story?", "Once.", "", (0.0, 1.0), 0))
    assert "without a word" not in card_html(Card("A story?", "Once.", "Twice.", (0.0, 1.0), 0))
