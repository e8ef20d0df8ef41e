"""What a person may ask for: a hero, a thing, a place, an ending, each of them or none.

    str(Request(hero="Mia", thing="red kite")) -> "Tell me a story about Mia and a red kite."

The wording follows from the content alone, so that a request is always said in the same way, and
`Request.parse` reads every wording back.
"""

import re
from dataclasses import dataclass

from . import world
from .grammar import a

AT = {place.noun: f"{place.at} the {place.noun}" for place in world.PLACES}
PLACES = "|".join(AT)

# {what}: "Mia", "a red kite" or "Mia and a red kite"; {where}: " in the forest" or nothing.
OPENERS = (
    "Tell me a story about {what}{where}.",
    "Please write a short story about {what}{where}.",
    "I would like to hear a story about {what}{where}.",
    "Write a tale about {what}{where}.",
    "Can you tell a story about {what}{where}?",
    "Make up a story about {what}{where}.",
)
ENDINGS = {
    "happy": ("Let it end well.", "It should have a happy ending.", "Give it a happy ending."),
    "sad": ("Let it end badly.", "It should have a sad ending.", "Give it a sad ending."),
    None: ("",),
}
NOTHING = "something"


@dataclass(frozen=True)
class Request:
    """What is asked for; None where it does not matter."""

    hero: str | None = None  # "Mia"
    thing: str | None = None  # "red kite"
    place: str | None = None  # "forest"
    ending: str | None = None  # "happy" or "sad"

    def __post_init__(self):
        """ValueError for a request that no tale can follow."""
        if self.ending not in ENDINGS:
            raise ValueError(f'ending must be "happy", "sad" or None, got {self.ending!r}')
        if self.place is not None and self.place not in AT:
            raise ValueError(f"place must be one of {', '.join(AT)}; got {self.place!r}")

    def __str__(self) -> str:
        content = "/".join(map(str, (self.hero, self.thing, self.place, self.ending)))
        number = sum(place * ord(letter) for place, letter in enumerate(content, start=1))
        what = " and ".join(
            ([self.hero] if self.hero else []) + ([a(self.thing)] if self.thing else [])
        )
        opener = OPENERS[number % len(OPENERS)]
        where = f" {AT[self.place]}" if self.place else ""
        said = opener.format(what=what or NOTHING, where=where)
        ending = ENDINGS[self.ending][number // len(OPENERS) % len(ENDINGS[self.ending])]
        return f"{said} {ending}".strip()

    @classmethod
    def parse(cls, text: str) -> "Request":
        """Reads what `str` wrote, in any of its wordings; a ValueError quotes what it cannot."""
        asked = text.strip()
        ending = None
        for name, wordings in ENDINGS.items():
            for wording in filter(None, wordings):
                if asked.endswith(wording):
                    ending, asked = name, asked[: -len(wording)].strip()
        for opener in OPENERS:
            start, end = opener.split("{what}{where}")
            if asked.startswith(start) and asked.endswith(end):
                return cls(*_content(asked[len(start) : len(asked) - len(end)]), ending)
        raise ValueError(f"this is no request that I can read: {text!r}")


def _content(words: str) -> tuple[str | None, str | None, str | None]:
    """ "Mia and a red kite in the forest" -> hero, thing, place."""
    place = None
    if found := re.search(rf" (?:by|in|on|at) the ({PLACES})$", words):
        place, words = found[1], words[: found.start()]
    if words == NOTHING:
        return None, None, place
    found = re.fullmatch(r"(?:(\w+))?(?: and )?(?:an? (.+))?", words)
    if not found:
        raise ValueError(f"this is no hero and no thing: {words!r}")
    return found[1], found[2], place
