"""The grammar: sentences with slots, `{thing}`, and with choices, `[walked|ran]`.

    render("{H} [walked|ran] {to}.", slots, draw) -> "Mia ran to the hill."

`{He}` is `{he}` with a capital letter, and a sentence's first letter is made a capital whatever it
is. A choice may hold slots, but no choice. `draw(n)` gives a number below n.
"""

import re
from collections.abc import Callable
from functools import cache

PRONOUNS = {
    "f": {"he": "she", "him": "her", "his": "her", "himself": "herself", "girl": "girl"},
    "m": {"he": "he", "him": "him", "his": "his", "himself": "himself", "girl": "boy"},
    "n": {"he": "it", "him": "it", "his": "its", "himself": "itself", "girl": "animal"},
}


def a(words: str) -> str:
    """ "orange kite" -> "an orange kite". Good for the words of this world, not for "hour"."""
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def capital(text: str) -> str:
    """The first letter as a capital, also after an opening quotation mark."""
    for place, character in enumerate(text):
        if character.isalpha():
            return text[:place] + character.upper() + text[place + 1 :]
    return text


def _slots(text: str) -> tuple:
    """ "the {thing}." -> ("the ", ("thing", False), "."): strings, and (slot, with a capital)."""
    parts = []
    for literal, slot in re.findall(r"([^{}]+)|\{(\w+)\}", text):
        if literal:
            parts.append(literal)
        elif slot[1:]:
            parts.append((slot[0].lower() + slot[1:], slot[0].isupper()))
        else:
            parts.append((slot, False))  # H and F, the two names
    return tuple(parts)


@cache
def compiled(template: str) -> tuple:
    """A template as a tuple of literals, (slot, capital) pairs and lists of choices."""
    parts: list = []
    for plain, choice in re.findall(r"([^\[\]]+)|\[([^\[\]]*)\]", template):
        parts.extend(_slots(plain) if plain else [[_slots(option) for option in choice.split("|")]])
    return tuple(parts)


def render(template: str, slots: dict[str, str], draw: Callable[[int], int]) -> str:
    """The template with its choices drawn and its slots filled; a KeyError names a missing slot."""
    words: list[str] = []
    for part in compiled(template):
        if isinstance(part, str):
            words.append(part)
            continue
        for piece in part[draw(len(part))] if isinstance(part, list) else (part,):
            if isinstance(piece, str):
                words.append(piece)
            else:
                filled = slots[piece[0]]
                words.append(capital(filled) if piece[1] else filled)
    return capital("".join(words))
