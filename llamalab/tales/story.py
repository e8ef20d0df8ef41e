"""tell(number): one story of the little world, and everything that is true in it.

A pure function: the number and the seed choose the people, the thing, the places, the plot and
every turn of phrase through random.Random(int).random(), which Python promises never to change.

Some COMBINATIONS are held out: a rule on (hero, thing) and (plot, place, adjective) marks about
4 % of the world. Stories for training never hold a marked combination, held-out ones always do,
though each word of them also occurs in training. So a model that tells these well has learned to
combine, not to recall.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from . import openings, world
from .grammar import PRONOUNS, a, render
from .plots import PLOTS, Branch, Plot
from .request import Request

SHORTEST, LONGEST = 40, 150  # words in a story


@dataclass(frozen=True)
class Story:
    """One story and its truth; `facts` holds who, what, where, why, how they felt and the deed."""

    text: str
    number: int
    held_out: bool
    plot: str
    request: Request
    kind: bool  # no unkind deed in it that was not made good
    happy: bool  # how it ends
    facts: dict = field(repr=False, compare=False)


def is_held_out(hero: str, noun: str, plot: str, place: str, adjective: str) -> bool:
    """Whether this combination is kept from training: about one in 24 of all."""
    people = [person.name for person in world.PEOPLE]
    nouns = [toy.noun for toy in world.TOYS]
    pair = people.index(hero) * 7 + nouns.index(noun) * 5
    places = [spot.noun for spot in world.PLACES]
    triple = (
        [one.name for one in PLOTS].index(plot) * 11
        + places.index(place) * 3
        + world.ADJECTIVES.index(adjective) * 17
    )
    return pair % 41 == 0 or triple % 53 == 0


def tell(number: int, *, held_out: bool = False, seed: int = 0) -> Story:
    """Story `number` of the set: training by default, validation with held_out=True. ValueError for
    a number below 0."""
    if number < 0 or seed < 0:
        raise ValueError(f"number and seed must be 0 or more, got number={number}, seed={seed}")
    source = random.Random((seed * 2 + bool(held_out)) * 2**64 + number).random
    draw: Callable[[int], int] = lambda n: int(source() * n)  # noqa: E731
    while True:  # a cast of the wrong set, or a story too long, is drawn again
        cast = _cast(draw)
        if is_held_out(*cast["key"]) != bool(held_out):
            continue
        story = _tell(cast, draw, number, bool(held_out))
        if SHORTEST <= len(story.text.split()) <= LONGEST:
            return story


def stories(n: int, *, start: int = 0, held_out: bool = False, seed: int = 0) -> Iterator[Story]:
    """Stories start, start + 1, … start + n - 1."""
    for number in range(start, start + n):
        yield tell(number, held_out=held_out, seed=seed)


def _cast(draw: Callable[[int], int]) -> dict:
    """Who, what and where: drawn before any word, so that the held-out rule can decide."""
    pick = lambda options: options[draw(len(options))]  # noqa: E731
    plot = pick(PLOTS)
    hero = pick(world.PEOPLE)
    friend = pick([one for one in world.PEOPLE if one.gender != hero.gender])
    place, home = pick(world.PLACES), pick(world.PLACES)
    while home == place:
        home = pick(world.PLACES)
    toy, adjective = pick(world.TOYS), pick(world.ADJECTIVES)
    toy2, adjective2 = pick(world.TOYS), pick(world.ADJECTIVES)
    while toy2 == toy:
        toy2 = pick(world.TOYS)
    while adjective2 == adjective:
        adjective2 = pick(world.ADJECTIVES)
    key = (hero.name, toy.noun, plot.name, place.noun, adjective)
    return dict(
        plot=plot, hero=hero, friend=friend, place=place, home=home, toy=toy,
        adjective=adjective, toy2=toy2, adjective2=adjective2, key=key,
    )  # fmt: skip


def _slots(cast: dict, way: Branch, draw: Callable[[int], int]) -> dict[str, str]:
    """Every slot that a sentence may use, filled once for the whole story."""
    pick = lambda options: options[draw(len(options))]  # noqa: E731
    hero, friend, toy = cast["hero"], cast["friend"], cast["toy"]
    place, home = cast["place"], cast["home"]
    helper, animal = pick(world.HELPERS), " ".join(pick(world.ANIMALS))
    thing = f"{cast['adjective']} {toy.noun}"
    thing2 = f"{cast['adjective2']} {cast['toy2'].noun}"
    slots = {
        "H": hero.name,
        "F": friend.name,
        **PRONOUNS[hero.gender],
        **{"f" + name: word for name, word in PRONOUNS[friend.gender].items()},
        **{"o" + name: word for name, word in PRONOUNS[helper.gender].items()},
        "friend": pick(world.RELATIONS),
        "who": PRONOUNS[hero.gender]["he"],
        "whose": PRONOUNS[hero.gender]["his"],
        "adjective": cast["adjective"],
        "trait": pick(world.TRAITS),
        "ftrait": pick(world.TRAITS),
        "thing": thing,
        "a_thing": a(thing),
        **{name: getattr(toy, name) for name in ("noun", "use", "used", "using", "breaks", "mend")},
        "thing2": thing2,
        "a_thing2": a(thing2),
        "use2": cast["toy2"].use,
        "place": f"the {place.noun}",
        "at": f"{place.at} the {place.noun}",
        "to": f"to the {place.noun}",
        "sight": place.sight,
        "home": f"the {home.noun}",
        "home_at": f"{home.at} the {home.noun}",
        "home_sight": home.sight,
        "helper": f"the {helper.adjective} {helper.noun}",
        "a_helper": a(f"{helper.adjective} {helper.noun}"),
        "role": f"the {helper.noun}",
        "work": helper.work,
        "animal": f"the {animal}",
        "an_animal": a(animal),
        "beast": f"the {animal.split()[-1]}",
        "food": pick(world.FOODS),
        "glad": pick(world.GLAD),
        "low": pick(world.LOW),
        "end": pick(world.END_GLAD if way.happy else world.END_SAD),
        "weather": pick(world.WEATHER),
        "time": pick(world.TIMES),
    }
    for name, options in {**cast["plot"].picks, "lesson": way.lessons}.items():
        slots[name] = _clause(render(pick(options), slots, draw))
    return slots


def _clause(sentence: str) -> str:
    """A sentence as a clause inside another: its first letter small, unless it is a name's."""
    first = sentence.split()[0].removesuffix("'s")
    return sentence if first in world.GENDER else sentence[0].lower() + sentence[1:]


def _opening(plot: Plot, draw: Callable[[int], int]) -> tuple[list, bool]:
    """The opening's scenes, as (role, variants), and whether it has named a time."""
    ways: list[tuple[list, int]]
    if plot.owns:
        ways = [
            ([("hero", openings.HERO), ("thing", openings.THING), ("friend", openings.FRIEND)], 0),
            ([("hero", openings.OWNER_FIRST), ("friend", openings.FRIEND)], 0),
            ([("hero", openings.PAIR_FIRST), ("thing", openings.THING)], 0),
            ([("hero", openings.DAY_OWNER), ("friend", openings.FRIEND)], 1),
            *[([("hero", openings.QUICK_OWNER)], 0)] * 4,
        ]
    else:
        ways = [
            ([("hero", openings.HERO), ("friend", openings.FRIEND)], 0),
            ([("hero", openings.PAIR_FIRST)], 0),
            ([("hero", openings.DAY_PAIR)], 1),
            *[([("hero", openings.QUICK_PAIR)], 0)] * 3,
        ]
    scenes, timed = ways[draw(len(ways))]
    return scenes, bool(timed)


def _tell(cast: dict, draw: Callable[[int], int], number: int, held_out: bool) -> Story:
    plot: Plot = cast["plot"]
    way: Branch = plot.ways[draw(len(plot.ways))]
    slots = _slots(cast, way, draw)
    scenes, timed = _opening(plot, draw)
    if scenes[0][1] is openings.PAIR_FIRST:  # two people were named: say which
        slots |= {"who": cast["hero"].name, "whose": f"{cast['hero'].name}'s"}
    moment = openings.LATER if timed else openings.ONE_DAY
    slots["one_day"] = render(moment[draw(len(moment))], slots, draw)
    go: tuple[str, ...] = openings.GO_WITH if plot.owns else openings.GO
    closing = openings.HAPPY if way.happy else openings.SAD
    last = []
    if plot.owns and plot.name != "sharing" and scenes[-1][0] == "friend" and draw(3) == 0:
        scenes[-1], go = ("friend", openings.FRIEND_TOO), openings.GO_TOO
        last = [("second thing", openings.LAST_TOO)] if way.happy else []
    begin = [*scenes, *((r, go if r == "go" else v) for r, v in plot.begin)]
    told: list[tuple[str, str]] = []
    turn = 0  # the first sentence after which the ending is settled
    for place, (role, variants) in enumerate((*begin, *way.scenes, *last, ("close", closing))):
        turn = len(told) if place == len(begin) else turn
        if role.endswith("?") and draw(4):
            continue
        variant = variants[draw(len(variants))]
        if draw(4):  # children's books say the name again where others say "she"
            variant = variant.replace("{He}", "{H}").replace("{Fhe}", "{F}")
        if sentence := render(variant, slots, draw):
            told.append((role.rstrip("?"), sentence))
    text = " ".join(sentence for _, sentence in told)
    start = " ".join(sentence for _, sentence in told[:3])
    middle = " ".join(sentence for _, sentence in told[2:-1])
    say = lambda template: render(template, slots, draw)  # noqa: E731
    hero, friend = cast["hero"], cast["friend"]
    names = {"H": hero.name, "F": friend.name, "O": slots["helper"], "A": slots["animal"]}
    facts = {
        "hero": hero.name,
        "hero_gender": hero.gender,
        "friend": friend.name,
        "friend_gender": friend.gender,
        "relation": slots["friend"] if slots["friend"] in text else None,
        "thing": {"adjective": cast["adjective"], "noun": cast["toy"].noun},
        "second_thing": slots["thing2"] if slots["thing2"] in text else None,
        "place": cast["place"].noun,
        "home": cast["home"].noun if slots["home"] in text else None,
        "helper": slots["helper"] if slots["helper"][4:] in text else None,
        "animal": slots["animal"] if slots["animal"][4:] in text else None,
        "problem": say(plot.problem),
        "cause": _clause(say(plot.cause)),
        "feeling_start": slots["glad"] if slots["glad"] in start else None,
        "feeling_problem": slots["low"] if slots["low"] in middle else None,
        "feeling_end": slots["end"],
        "deed": say(way.deed),
        "doer": names[way.doer],
        "receiver": names[way.receiver],
        "lesson": slots["lesson"],
        "ending": "happy" if way.happy else "sad",
        "turn": turn,
        "scenes": tuple(told),
    }  # fmt: skip
    request = Request(
        hero=hero.name,
        thing=slots["thing"],
        place=cast["place"].noun,
        ending="happy" if way.happy else "sad",
    )
    return Story(text, number, held_out, plot.name, request, way.kind, way.happy, facts)
