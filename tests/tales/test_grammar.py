"""Slots, choices, capitals, and a or an."""

import re

import pytest

from llamalab.tales import openings, world
from llamalab.tales.grammar import a, capital, compiled, render
from llamalab.tales.plots import PLOTS


def first(n):
    return 0


def last(n):
    return n - 1


def test_a_and_an():
    assert a("red kite") == "a red kite"
    assert a("orange kite") == "an orange kite"
    assert a("old fisherman") == "an old fisherman"
    assert [a(letter) for letter in "aeiou"] == ["an a", "an e", "an i", "an o", "an u"]


def test_capital_looks_behind_a_quotation_mark():
    assert capital('"oh no!" cried Tom.') == '"Oh no!" cried Tom.'
    assert capital("it") == "It"
    assert capital("") == ""


def test_render_draws_choices_and_fills_slots():
    slots = {"H": "Mia", "he": "she", "thing": "red kite"}
    said = "{H} [ran|walked to {thing}|]. {He} saw the {thing}."
    assert render(said, slots, first) == "Mia ran. She saw the red kite."
    assert render(said, slots, last) == "Mia . She saw the red kite."
    assert render("{he} left.", slots, first) == "She left."
    assert render("[one|the {thing}]!", slots, last) == "The red kite!"


def test_a_missing_slot_is_named():
    with pytest.raises(KeyError, match="ghost"):
        render("the {ghost} came.", {}, first)


def sentences():
    for name in dir(openings):
        if name.isupper():
            yield from vars(openings)[name]
    for plot in PLOTS:
        for _, variants in (*plot.begin, *(scene for way in plot.ways for scene in way.scenes)):
            yield from variants


def test_every_sentence_is_well_formed():
    said = list(sentences())
    assert len(said) > 450
    for text in said:
        assert compiled(text) or text == ""
        bare = re.sub(r"\{\w+\}|\[[^\[\]]*\]", "", text)
        assert not set("{}[]|") & set(bare), text
        assert text == "" or text[-1] in '.!?",', text
        assert text.count('"') % 2 == 0, text


def test_no_word_is_two_kinds_of_thing():
    kinds = [
        {person.name.lower() for person in world.PEOPLE},
        {toy.noun for toy in world.TOYS},
        {place.noun for place in world.PLACES},
        {helper.noun for helper in world.HELPERS},
        {noun for _, noun in world.ANIMALS},
        set(world.ADJECTIVES),
    ]
    assert len(set().union(*kinds)) == sum(map(len, kinds))
    assert len(world.PEOPLE) == 20 and len(world.GENDER) == 20
