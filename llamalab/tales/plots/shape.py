"""The shape of a plot.

A scene is a role and its variants, of which one is told. An empty variant leaves the scene out, and
a role with "?" is left out three times in four. `scene("go")` has no variants of its own: the ways
to set off stand in openings.py. What must stay the same through a story (a cause, a hiding place)
is picked once, by name: `picks`. Slots and choices are those of grammar.py.
"""

from typing import NamedTuple

Scene = tuple[str, tuple[str, ...]]


def scene(role: str, *variants: str) -> Scene:
    return role, variants


class Branch(NamedTuple):
    """How a plot goes on after its beginning."""

    name: str
    kind: bool  # no unkind deed that is not made good
    happy: bool
    deed: str
    doer: str  # of the deed: H hero, F friend, O helper, A animal
    receiver: str
    lessons: tuple[str, ...]
    scenes: tuple[Scene, ...]


class Plot(NamedTuple):
    name: str
    owns: bool  # the hero owns the thing from the start
    picks: dict[str, tuple[str, ...]]
    problem: str
    cause: str
    begin: tuple[Scene, ...]
    ways: tuple[Branch, ...]
