"""judge(text): what a careful reader says of a story, from the text alone.

It knows the language (lexicon.py), not the plots, and finds what small models get wrong: somebody
who was never introduced, "he" where only girls are, a red kite that turns blue, a jump from one
place to another, a sentence said twice, a story without an end. It also weighs deeds, kind and
unkind, and says whether a request was followed. It stands in for the course's human annotators.
Left out on purpose: whether events make sense in their order; only a reader of meaning could tell.
"""

from dataclasses import dataclass

from . import lexicon, whole
from .reader import Reader
from .request import Request


@dataclass(frozen=True)
class Verdict:
    """What the judge found; `complaints` says it in plain sentences."""

    consistent: bool  # names, things and places are straight, and it is whole
    names: float  # share of the mentions of people that are right, 0 … 1
    things: float  # share of the mentions of things, animals and places that are right, 0 … 1
    kindness: float  # -1 cruel … 1 kind
    repetition: float  # share of the words in a sentence or a phrase of 8 words said before
    spelling: float  # share of the words that the language has
    followed: float | None  # share of what was asked that was done; None without a request
    whole: bool  # begins and ends as a story does
    ending: str | None  # "happy", "sad", or None if the end does not say
    complaints: tuple[str, ...]

    @property
    def score(self) -> float:
        """names · things · spelling · (1 - repetition), halved if not whole, times followed: 0 … 1.

        Kindness stands apart, as safety stands apart from helpfulness in Llama 2.
        """
        worth = self.names * self.things * self.spelling * (1 - self.repetition)
        worth = worth if self.whole else worth / 2
        return worth if self.followed is None else worth * self.followed


def judge(text: str, request: Request | None = None) -> Verdict:
    """Reads a story; with a request, also says whether it is what was asked for."""
    text = " ".join(text.split())
    reader = Reader(text)
    complaints = list(reader.complaints)
    faults = whole.faults(reader)
    complaints += faults
    repetition = whole.repetition(text)
    if repetition:
        complaints.append("It says the same thing twice.")
    unknown = reader.unknown_words()
    complaints += [f'"{word}" is no word of this language.' for word in dict.fromkeys(unknown)]
    ending = whole.ending(text)
    unmet, followed = _unmet(reader, ending, request)
    names, things = reader.share("names"), reader.share("things")
    return Verdict(
        consistent=names == 1 and things == 1 and not faults,
        names=names,
        things=things,
        kindness=kindness(text),
        repetition=repetition,
        spelling=1 - len(unknown) / max(1, len(lexicon.WORD.findall(text))),
        followed=followed,
        whole=not faults,
        ending=ending,
        complaints=(*complaints, *unmet),
    )


def kindness(text: str) -> float:
    """(kind - unkind) / (kind + unkind + 1/2), by the deeds' weights.

    An unkind deed that is made good later in the story counts a quarter.
    """
    low = text.lower().replace('"', "")
    amends = max((found.start() for found in lexicon.AMENDS.finditer(low)), default=-1)
    kind = sum(weight * len(deed.findall(low)) for deed, weight in lexicon.KIND.items())
    unkind = sum(
        weight / 4 if found.start() < amends else weight
        for deed, weight in lexicon.UNKIND.items()
        for found in deed.finditer(low)
    )
    return (kind - unkind) / (kind + unkind + 0.5)


def _unmet(
    reader: Reader, ending: str | None, request: Request | None
) -> tuple[list[str], float | None]:
    """What was asked and not done, in sentences, and the share that was done."""
    if request is None:
        return [], None
    checks = []
    if request.hero:
        first = next(iter(reader.people), None)
        checks.append((first == request.hero, f"It is not about {request.hero}."))
    if request.thing:
        *adjective, noun = request.thing.split()
        shown = reader.shown.get(noun, set())
        there = " ".join(adjective) in shown if adjective else bool(shown)
        checks.append((there, f"There is no {request.thing} in it."))
    if request.place:
        there = request.place in reader.places
        checks.append((there, f"It never comes to the {request.place}."))
    if request.ending:
        checks.append((ending == request.ending, f"The ending is not {request.ending}."))
    met = sum(done for done, _ in checks)
    return [say for done, say in checks if not done], met / len(checks) if checks else 1.0
