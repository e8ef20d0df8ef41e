"""The tales: enough of them, well made, the same everywhere, and held-out combinations held out."""

import json
import math
import re
from collections import Counter

import pytest

from llamalab.tales import Story, stories, tell, world
from llamalab.tales.plots import PLOTS
from llamalab.tales.story import LONGEST, SHORTEST, is_held_out

SAMPLE = list(stories(4000))
HELD_OUT = list(stories(1000, held_out=True))


def combination(story: Story) -> tuple[str, str, str, str, str]:
    thing = story.facts["thing"]
    place = story.facts["place"]
    return story.facts["hero"], thing["noun"], story.plot, place, thing["adjective"]


def test_a_number_and_a_seed_are_a_story():
    assert tell(7) == tell(7)
    assert tell(7).text != tell(8).text != tell(8, seed=1).text
    assert tell(7).text != tell(7, held_out=True).text
    assert [story.number for story in stories(3, start=5)] == [5, 6, 7]
    assert list(stories(3, start=5))[1] == tell(6)


def test_numbers_below_zero_are_refused():
    with pytest.raises(ValueError, match="number=-1, seed=0"):
        tell(-1)
    with pytest.raises(ValueError, match="seed=-2"):
        tell(0, seed=-2)


def test_no_story_is_told_twice():
    texts = {story.text for story in (*SAMPLE, *HELD_OUT)}
    assert len(texts) == len(SAMPLE) + len(HELD_OUT)


def test_there_are_far_more_than_100_000():
    """Who, where and what alone, before any plot and wording."""
    people, places = len(world.PEOPLE), len(world.PLACES)
    casts = people * people // 2 * places * (places - 1) * len(world.TOYS)
    casts *= len(world.ADJECTIVES) * sum(len(plot.ways) for plot in PLOTS)
    assert casts > 8 * 10**8
    # As a check that the draws really spread: 5,000 casts, all different but for a handful.
    drawn = {(*combination(story), story.facts["friend"]) for story in (*SAMPLE, *HELD_OUT)}
    assert len(drawn) > 0.995 * (len(SAMPLE) + len(HELD_OUT))


def test_length_and_words():
    lengths = [len(story.text.split()) for story in (*SAMPLE, *HELD_OUT)]
    assert SHORTEST == 40 <= min(lengths) and max(lengths) <= 150 == LONGEST
    words = Counter(
        word for story in SAMPLE for word in re.findall(r"[a-z]+(?:'[a-z]+)?", story.text.lower())
    )
    assert 600 <= len(words) <= 1500


def test_every_plot_and_every_way_is_told():
    assert len(PLOTS) >= 8
    told = Counter(story.plot for story in SAMPLE)
    assert set(told) == {plot.name for plot in PLOTS}
    assert min(told.values()) > 0.5 * len(SAMPLE) / len(PLOTS)
    for kind in (True, False):
        assert sum(story.kind == kind for story in SAMPLE) > 0.15 * len(SAMPLE)
    for happy in (True, False):
        assert sum(story.happy == happy for story in SAMPLE) > 0.25 * len(SAMPLE)
    for plot in PLOTS:  # the ending does not follow from the plot
        assert {way.happy for way in plot.ways} == {True, False}


def test_openings_vary():
    first = Counter(" ".join(story.text.split()[:2]) for story in SAMPLE)
    kinds = {"Once upon", "There was", "Long ago,", '"Look what', "It was", "The sun"}
    assert kinds <= set(first)
    assert max(first.values()) < 0.15 * len(SAMPLE)
    assert sum(story.text[0] == '"' for story in SAMPLE) > 0.08 * len(SAMPLE)
    assert sum('"' in story.text for story in SAMPLE) > 0.9 * len(SAMPLE)  # somebody speaks
    two = sum(story.facts["second_thing"] is not None for story in SAMPLE)
    assert 0.03 * len(SAMPLE) < two < 0.3 * len(SAMPLE)


def test_held_out_combinations_both_ways():
    """Training never has one, validation always has one; and both have all the words of them."""
    assert not any(is_held_out(*combination(story)) for story in SAMPLE)
    assert all(is_held_out(*combination(story)) for story in HELD_OUT)
    assert all(story.held_out for story in HELD_OUT) and not any(s.held_out for s in SAMPLE)
    for position in range(5):
        trained = {combination(story)[position] for story in SAMPLE}
        assert {combination(story)[position] for story in HELD_OUT} <= trained
    share = sum(
        is_held_out(hero.name, toy.noun, plot.name, place.noun, adjective)
        for hero in world.PEOPLE[::5]
        for toy in world.TOYS
        for plot in PLOTS
        for place in world.PLACES
        for adjective in world.ADJECTIVES
    ) / math.prod(map(len, (world.PEOPLE[::5], world.TOYS, PLOTS, world.PLACES, world.ADJECTIVES)))
    assert 0.03 < share < 0.05


def test_facts_are_what_the_text_says():
    for story in (*SAMPLE[:600], *HELD_OUT[:200]):
        facts, text = story.facts, story.text
        assert re.search(rf"\b{facts['hero']}\b", text)
        assert re.search(rf"\b{facts['friend']}\b", text)
        assert facts["hero"] != facts["friend"]
        assert world.GENDER[facts["hero"]] == facts["hero_gender"]
        assert f"{facts['thing']['adjective']} {facts['thing']['noun']}" in text
        assert story.request.thing in text and story.request.hero == facts["hero"]
        assert re.search(rf"\bto the {facts['place']}\b", text)
        assert facts["feeling_end"] in facts["scenes"][-1][1]
        for name in ("helper", "animal"):
            assert facts[name] is None or facts[name].removeprefix("the ") in text
        for name in ("relation", "home", "second_thing", "feeling_start", "feeling_problem"):
            assert facts[name] is None or facts[name] in text
        assert (facts["ending"] == "happy") == story.happy == (story.request.ending == "happy")
        assert {facts["doer"], facts["receiver"]} <= {
            facts["hero"],
            facts["friend"],
            facts["helper"],
            facts["animal"],
        }
        assert facts["cause"] and facts["problem"] and facts["deed"] and facts["lesson"]
        assert " ".join(sentence for _, sentence in facts["scenes"]) == text
        json.dumps(facts)


def test_the_english_is_clean():
    for story in SAMPLE:
        text = story.text
        assert text.isascii() and text == " ".join(text.split())
        assert not re.search(r"[{}\[\]|]| [.,!?]|[a-z]\. [a-z]", text), text
        assert not re.search(r"\b(\w+) \1\b", text), text
        assert not re.search(r"\ba [aeiou]|\ban (?!hour)[^aeiou]", text), text
        assert text.count('"') % 2 == 0 and text[-1] in '.!?"', text
