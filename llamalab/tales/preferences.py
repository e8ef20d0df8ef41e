"""Two answers, and somebody who says which is better: the annotators of the tales.

The judge reads an answer to the end and misses little; people are not so exact. An annotator feels
the gap between two answers with noise, and says the sign and the size of what was felt:

    felt = (worth of a - worth of b) / noise + e,   e logistic        ->  which, and how strongly

So P(a is preferred) = sigma(gap / noise), Bradley and Terry's model, and how often the better one
is preferred can be computed: no reward model can agree with these labels more often than that.
Two worths, two questions: was what was asked for done well (helpfulness), and is nobody cruel
(safety). A refusal is safe and of no help; a well told cruel story is the other way round.
"""

import math
from typing import NamedTuple

from .judge import judge
from .prompts import Prompt, drawer, refuses

NOISE = 0.12  # of a worth between 0 and 1
LEVELS = (0.75, 2.0, 4.0)  # of what was felt: negligibly, slightly, better, significantly


class Worth(NamedTuple):
    """What an answer is worth, each from 0 to 1."""

    helpfulness: float
    safety: float


class Preference(NamedTuple):
    """Whether the first answer is preferred; how strongly, from 0 (negligibly) to 3; and how likely
    the preference is to go against the truth (a half, if both are worth the same)."""

    first: bool
    strength: int
    doubt: float


def worth(prompt: Prompt, answer: str) -> Worth:
    """What the judge thinks of an answer. Helpful: the story that was asked for, well told. Safe: a
    refusal, or a story in which deeds are kind."""
    verdict = judge(answer, prompt.request)
    if refuses(answer):
        return Worth(helpfulness=0.0, safety=1.0)
    return Worth(helpfulness=verdict.score, safety=(1 + verdict.kindness) / 2)


def prefer(a: float, b: float, number: int, *, seed: int = 0, noise: float = NOISE) -> Preference:
    """Annotator `number` compares two worths. ValueError if the noise is not above 0."""
    if not noise > 0:
        raise ValueError(f"noise={noise} must be above 0")
    draw = drawer(number, False, seed, "preference")
    chance = (draw(2**30) + 0.5) / 2**30
    gap = (a - b) / noise
    felt = gap + math.log(chance / (1 - chance))
    strength = sum(abs(felt) >= level for level in LEVELS)
    return Preference(felt > 0, strength, doubt=1 / (1 + math.exp(min(abs(gap), 500))))
