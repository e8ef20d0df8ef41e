"""Every wording of a request is read back; what is no request is refused."""

import itertools

import pytest

from llamalab.tales import Request, stories, world

HEROES = (None, "Mia", "Omar", "Zoe")
THINGS = (None, "red kite", "orange drum", "spotted hat")
PLACES = (None, *(place.noun for place in world.PLACES))
ENDINGS = (None, "happy", "sad")
ALL = [Request(*what) for what in itertools.product(HEROES, THINGS, PLACES, ENDINGS)]


def test_a_person_would_say_it_so():
    said = str(Request(hero="Mia", thing="red kite", place="forest", ending="happy"))
    assert "Mia and a red kite in the forest" in said
    assert str(Request(hero="Mia", thing="red kite", place="forest", ending="happy")) == said
    assert "an orange drum" in str(Request(thing="orange drum"))


def test_every_wording_is_read_back():
    for request in ALL:
        assert Request.parse(str(request)) == request
    for story in stories(500):
        assert Request.parse(str(story.request)) == story.request
    assert len({str(request) for request in ALL}) == len(ALL)


def test_the_wordings_vary():
    openers = {str(story.request).split(" story")[0].split(" tale")[0] for story in stories(300)}
    endings = {" ".join(str(story.request).split()[-4:]) for story in stories(300)}
    assert len(openers) == 6 and len(endings) == 6


def test_what_is_no_request_is_refused():
    with pytest.raises(ValueError, match="What is the capital"):
        Request.parse("What is the capital of France?")
    with pytest.raises(ValueError, match="no hero and no thing"):
        Request.parse("Tell me a story about red kites, please, and more.")
    with pytest.raises(ValueError, match="'funny'"):
        Request(ending="funny")
    with pytest.raises(ValueError, match="moon"):
        Request(place="moon")
