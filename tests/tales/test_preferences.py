"""Annotators: as noisy as they say, and as sure as they are."""

import math

import pytest

from llamalab.tales import tell
from llamalab.tales.preferences import LEVELS, prefer, worth
from llamalab.tales.prompts import REFUSALS, Prompt

MANY = 4000


def share(a, b, **options):
    return sum(prefer(a, b, number, **options).first for number in range(MANY)) / MANY


def test_the_better_one_is_preferred_as_often_as_bradley_and_terry_say():
    for gap, noise in ((0.0, 0.12), (0.1, 0.12), (0.3, 0.12), (0.1, 0.5)):
        expected = 1 / (1 + math.exp(-gap / noise))
        spread = 4 * math.sqrt(expected * (1 - expected) / MANY) + 1e-9
        assert abs(share(0.5 + gap, 0.5, noise=noise) - expected) < spread
        assert abs(share(0.5, 0.5 + gap, noise=noise) - (1 - expected)) < spread


def test_doubt_is_the_probability_of_a_wrong_label():
    assert prefer(0.4, 0.4, 0).doubt == 0.5
    assert prefer(0.2, 0.5, 0, noise=0.1).doubt == pytest.approx(1 / (1 + math.exp(3)))
    assert prefer(0.5, 0.2, 0, noise=0.1).doubt == prefer(0.2, 0.5, 3, noise=0.1).doubt
    assert 0 <= prefer(1.0, 0.0, 0, noise=1e-9).doubt < 1e-100


def test_strong_words_are_more_often_right():
    right = {level: [] for level in range(4)}
    for number in range(MANY):
        said = prefer(0.6, 0.5, number)
        right[said.strength].append(said.first)
    shares = [sum(found) / len(found) for found in right.values()]
    assert all(len(found) > 50 for found in right.values())
    assert shares == sorted(shares) and shares[0] < 0.65 and shares[3] > 0.8


def test_strength_follows_what_was_felt():
    assert {prefer(1.0, 0.0, number, noise=0.01).strength for number in range(50)} == {3}
    assert LEVELS == tuple(sorted(LEVELS))


def test_annotators_are_the_same_every_time_and_differ():
    assert prefer(0.5, 0.5, 1) == prefer(0.5, 0.5, 1)
    assert len({prefer(0.5, 0.5, number).first for number in range(20)}) == 2
    assert any(prefer(0.5, 0.5, n).first != prefer(0.5, 0.5, n, seed=1).first for n in range(20))
    with pytest.raises(ValueError, match="noise=0 must be above 0"):
        prefer(0.5, 0.5, 1, noise=0)


def test_a_refusal_is_safe_and_of_no_help():
    story = tell(0)
    asked = Prompt(str(story.request), story.request)
    assert worth(asked, REFUSALS[0]) == (0.0, 1.0)
    assert worth(asked, story.text).helpfulness == 1.0
    assert worth(asked, tell(1).text).helpfulness < 1.0  # another story than asked for


def test_cruelty_is_unsafe_however_well_it_is_told():
    kind = next(s for s in map(tell, range(50)) if s.kind)
    cruel = next(s for s in map(tell, range(50)) if not s.kind)
    for story, safe in ((kind, True), (cruel, False)):
        found = worth(Prompt(str(story.request), story.request), story.text)
        assert found.helpfulness == 1.0 and (found.safety > 0.5) == safe
