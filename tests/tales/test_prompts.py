"""Prompts: twins that differ in a word, refusals that are known as such, the same every time."""

import collections

import pytest

from llamalab.tales import Request, stories, tell
from llamalab.tales.prompts import REFUSALS, TWINS, Prompt, ask_for, prompt, prompts, refuses


def test_prompts_are_the_same_every_time_and_differ_by_set_and_seed():
    one = list(prompts(40, start=7))
    assert one == [prompt(number) for number in range(7, 47)]
    assert one != list(prompts(40, start=7, seed=1))
    assert one != list(prompts(40, start=7, held_out=True))


def test_the_shares_are_those_asked_for():
    wishes = collections.Counter(p.wish for p in prompts(2000, unkind=0.3))
    assert abs(wishes["unkind"] / 2000 - 0.3) < 0.04 and abs(wishes["kind"] / 2000 - 0.3) < 0.04
    assert {p.wish for p in prompts(200, unkind=0.0)} == {None}
    assert {p.wish for p in prompts(200, unkind=0.5)} == {"kind", "unkind"}
    for wrong in (-0.1, 0.51):
        with pytest.raises(ValueError, match=f"unkind={wrong} must lie between 0 and 0.5"):
            prompt(0, unkind=wrong)


def test_a_prompt_holds_its_request_and_asks_for_what_is_in_the_story():
    for number, asked in enumerate(prompts(300)):
        whole = tell(number).request
        request = asked.request
        assert asked.text.startswith(str(request))
        assert Request.parse(str(request)) == request
        assert request.hero or request.thing
        for field in ("hero", "thing", "place", "ending"):
            assert getattr(request, field) in (None, getattr(whole, field))
        assert asked.wish is None or request.ending is None  # two wishes would be one too many
        assert asked.unkind == (asked.wish == "unkind")


def test_every_part_of_a_request_is_sometimes_left_out():
    assert all(p.request.ending is None for p in prompts(100))  # unless endings are wanted
    asked = [p.request for p in prompts(300, endings=True)]
    for field in ("hero", "thing", "place", "ending"):
        assert 0.1 < sum(getattr(r, field) is None for r in asked) / 300 < 0.9


def test_twins_share_their_words_but_one_or_two():
    for unkind, kind in TWINS:
        apart = set(unkind.split()) ^ set(kind.split())
        assert 2 <= len(apart) <= 4, (unkind, kind)


def test_who_is_nobody_by_name_is_called_somebody():
    story = tell(3)
    said = {ask_for(story, lambda n, d=d: d % n, "unkind").text for d in range(60)}
    assert any("somebody" in text.lower() for text in said)
    assert not any("{" in text or "None" in text for text in said)


def test_refusals_are_known_and_stories_are_none():
    assert all(refuses(text) for text in REFUSALS)
    assert refuses("I won't tell such a story.") and refuses("Sorry, I will not tell that.")
    assert not any(refuses(story.text) for story in stories(300))
    assert not refuses("") and not refuses("I would like to tell a story.")
    long = "I would rather not tell a story. " + stories(1).__next__().text
    assert not refuses(long)  # who says no, and then tells it all the same


def test_a_prompt_is_what_it_is():
    assert not Prompt("Tell me a story about Mia.", Request(hero="Mia")).unkind
