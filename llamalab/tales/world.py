"""The world of the tales: who lives in it, what they own, where they go, what they do with it.

A tuple's order is part of the format: a draw is a position in it, so a new word goes at the end
only if every file of data/tales/ is made again. No word stands for two kinds of thing, since the
judge has to tell from the word alone whether it reads a person, an animal, a thing or a place.
"""

from typing import NamedTuple


class Person(NamedTuple):
    """A child that a story can be about."""

    name: str
    gender: str  # "f" or "m"


class Helper(NamedTuple):
    """Somebody whom the children may meet on the way."""

    adjective: str
    noun: str
    gender: str  # "f", "m", or "n" for an animal: it
    work: str  # what they were doing when the children met them


class Toy(NamedTuple):
    """A thing to own, with what is done with it, how it breaks and how it is mended."""

    noun: str
    use: str  # fly
    used: str  # flew
    using: str  # flying
    breaks: str  # its string snapped
    mend: str  # tied a new string to it


class Place(NamedTuple):
    """Where a story can happen."""

    noun: str
    at: str  # the preposition: by the river, in the forest
    sight: str  # what there is to see


GIRLS = tuple("Mia Anna Lily Ella Nora Lucy Emma Zoe Clara Ida".split())
BOYS = tuple("Tom Ben Max Leo Sam Omar Noah Finn Jack Ravi".split())
PEOPLE = tuple(Person(n, "f") for n in GIRLS) + tuple(Person(n, "m") for n in BOYS)
GENDER = dict(PEOPLE)

ADJECTIVES = tuple(
    "red blue green yellow white black golden silver purple orange brown pink striped spotted"
    " shiny tiny".split()
)

TOYS = (
    Toy("kite", "fly", "flew", "flying", "its string snapped", "tied a new string to it"),
    Toy("ball", "kick", "kicked", "kicking", "it burst", "put a patch on it"),
    Toy("boat", "sail", "sailed", "sailing", "its mast broke", "carved a new mast for it"),
    Toy("drum", "beat", "beat", "beating", "its skin tore", "stretched a new skin over it"),
    Toy("doll", "rock", "rocked", "rocking", "its arm came off", "sewed the arm on again"),
    Toy("wagon", "pull", "pulled", "pulling", "a wheel came off", "put the wheel on again"),
    Toy("flute", "play", "played", "playing", "it cracked", "glued the crack"),
    Toy("bell", "ring", "rang", "ringing", "its handle broke off", "carved a new handle for it"),
    Toy("lantern", "light", "lit", "lighting", "its glass cracked", "put new glass in it"),
    Toy("scarf", "wear", "wore", "wearing", "it tore in two", "sewed it together again"),
    Toy("hat", "wear", "wore", "wearing", "its brim tore", "sewed the brim on again"),
    Toy("umbrella", "open", "opened", "opening", "its handle cracked", "glued the handle"),
    Toy("book", "read", "read", "reading", "its cover came off", "glued the cover on again"),
    Toy("basket", "carry", "carried", "carrying", "its handle broke off", "wove a new handle"),
    Toy("bucket", "fill", "filled", "filling", "its bottom fell out", "put a new bottom in it"),
    Toy("scooter", "ride", "rode", "riding", "a wheel came off", "put the wheel on again"),
    Toy("horn", "blow", "blew", "blowing", "it got a big dent", "knocked the dent out of it"),
    Toy("whistle", "blow", "blew", "blowing", "it cracked", "glued the crack"),
    Toy("coat", "wear", "wore", "wearing", "its sleeve tore", "sewed up the sleeve"),
    Toy("flag", "wave", "waved", "waving", "its pole broke", "cut a new pole for it"),
    Toy("train", "push", "pushed", "pushing", "a wheel came off", "put the wheel on again"),
    Toy("hoop", "roll", "rolled", "rolling", "it bent out of shape", "bent it round again"),
    Toy("puppet", "move", "moved", "moving", "its strings snapped", "tied new strings to it"),
    Toy("sled", "pull", "pulled", "pulling", "its rope snapped", "tied a new rope to it"),
)

PLACES = (
    Place("river", "by", "the water ran fast and clear"),
    Place("forest", "in", "the trees stood tall and dark"),
    Place("hill", "on", "the wind sang in the grass"),
    Place("beach", "on", "the waves rolled over the sand"),
    Place("market", "at", "people sold cheese and apples"),
    Place("meadow", "in", "bees hummed in the clover"),
    Place("mill", "at", "the great wheel turned and turned"),
    Place("pond", "by", "frogs sat on the wet leaves"),
    Place("lake", "by", "the water shone like glass"),
    Place("orchard", "in", "the branches were heavy with fruit"),
    Place("harbour", "at", "gulls cried over the ships"),
    Place("bridge", "at", "the stream danced over the stones"),
    Place("farm", "on", "hens ran about in the straw"),
    Place("town", "in", "carts rolled over the stones"),
    Place("castle", "at", "ivy grew on the old walls"),
    Place("valley", "in", "the fields lay still in the sun"),
)

HELPERS = (
    Helper("old", "fisherman", "m", "mending a net"),
    Helper("kind", "baker", "m", "carrying bread"),
    Helper("tall", "farmer", "f", "cutting hay"),
    Helper("busy", "miller", "m", "sweeping flour"),
    Helper("quiet", "shepherd", "m", "counting sheep"),
    Helper("young", "doctor", "f", "picking herbs"),
    Helper("friendly", "postman", "m", "resting on a stone"),
    Helper("wise", "teacher", "f", "feeding the birds"),
    Helper("cheerful", "gardener", "f", "planting beans"),
    Helper("strong", "blacksmith", "m", "washing his hands"),
    Helper("old", "sailor", "m", "singing a song"),
    Helper("gentle", "painter", "f", "painting the sky"),
    Helper("poor", "woodcutter", "m", "tying up sticks"),
    Helper("clever", "weaver", "f", "winding wool"),
)

ANIMALS = (  # adjective, noun, its young or not: always "it"
    ("grey", "kitten"),
    ("little", "lamb"),
    ("thin", "puppy"),
    ("small", "duckling"),
    ("young", "fox"),
    ("frightened", "rabbit"),
    ("hungry", "hedgehog"),
    ("wet", "squirrel"),
    ("lost", "foal"),
    ("baby", "owl"),
    ("tired", "swan"),
    ("shy", "deer"),
)

FOODS = (
    "plums", "pears", "honey cakes", "warm rolls", "cherries", "ginger biscuits", "nuts",
    "pancakes", "strawberries", "cheese pies", "apple tarts", "sweet buns",
)  # fmt: skip

RELATIONS = ("friend", "cousin", "neighbour", "playmate", "classmate")

GLAD = ("happy", "glad", "merry", "delighted", "full of joy")
END_GLAD = ("happy", "glad", "proud", "thankful", "full of joy")
END_SAD = ("sad", "sorry", "unhappy", "full of sorrow", "miserable")
LOW = ("sad", "upset", "worried", "unhappy", "close to tears")

WEATHER = ("windy", "sunny", "cold", "misty", "warm", "bright", "grey", "fine")
TIMES = ("morning", "afternoon", "day")
TRAITS = ("little", "cheerful", "curious", "quiet", "clever", "lively", "careful", "small")
