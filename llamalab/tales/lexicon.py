"""What a reader of the tales knows: every word of the language, and what deeds weigh.

The words come from the world and from every sentence of the plots, so that nothing is told that the
judge cannot read. Plain words that a child's story may need beside these stand in `ALSO`.
"""

import re

from . import openings, plots, world

WORD = re.compile(r"[A-Za-z]+(?:'[a-z]+)?")

PERSON_NOUNS = {"girl": "f", "boy": "m", "child": None} | dict.fromkeys(world.RELATIONS)
PERSON_NOUNS |= {"sister": "f", "brother": "m"}
KIN = {word: "f" for word in "mother grandmother aunt woman queen".split()}
KIN |= {word: "m" for word in "father grandfather uncle man king".split()}
ROLES = {helper.noun: helper.gender for helper in world.HELPERS}
GENDER = PERSON_NOUNS | KIN | ROLES
TOYS = {toy.noun for toy in world.TOYS}
BEASTS = {noun for _, noun in world.ANIMALS}
ADJECTIVES = set(world.ADJECTIVES)
ROLE_ADJECTIVES = {helper.adjective for helper in world.HELPERS}
BEAST_ADJECTIVES = {adjective for adjective, _ in world.ANIMALS}
PLACES = {place.noun for place in world.PLACES}

PRONOUNS = {word: "f" for word in ("she", "her", "hers", "herself")}
PRONOUNS |= {word: "m" for word in ("he", "him", "his", "himself")}
DANGLING = set("and or but because the a an of to with at by from for".split())  # no last words
JOINTS = set("because when until while that so as if than but what where before after".split())
MOVES = set(
    "went walked ran go came come crossed followed hurried climbed set off reached carried brought"
    " took led rode flew back home way moved returned road path".split()
)

GLAD = set("happy glad merry delighted proud thankful joy joyful smiled laughed smile".split())
SAD = set("sad lonely sorry unhappy sorrow miserable tears wept".split())
LATER = (  # an ending looks beyond the day, or goes home and to bed
    "that night",
    "the day ended",
    "looked back at",
    "from that day on",
    "never forgot",
    "ever since",
    "walked home",
    "had learned",
    "that evening",
    "at supper",
    "never forget",
    "ever after",
    " again",
    "each time",
    "after that",
    "for ever",
    "to bed",
    "the end",
    "always remembered",
    "went home",
    "at the end of the day",
    "still today",
)
NAMES = f"(?:{'|'.join(person.name for person in world.PEOPLE).lower()})"
SOMEBODY = rf"(?:him|her|them|the (?:\w+ )?(?:{'|'.join([*ROLES, *BEASTS])})|{NAMES})"


def _deeds(weights: dict[str, float]) -> dict[re.Pattern, float]:
    return {re.compile(rf"\b(?:{deed})\b"): weight for deed, weight in weights.items()}


KIND = _deeds(  # a deed in small letters, and its weight
    {
        r"helped": 1.0,
        r"shared": 1.0,
        r"comforted": 1.0,
        r"saved": 1.0,
        r"fed": 1.0,
        r"kept the (?:promise|secret)": 1.0,
        r"gave": 0.5,
        r"mended": 0.5,
        r"forgave": 0.5,
        r"thanked": 0.5,
        r"thank you": 0.5,
        r"hugged": 0.5,
        r"take turns": 0.5,
        r"told the truth": 0.5,
        r"(?:i am|am so|said) sorry": 0.5,
    }
)
UNKIND = _deeds(
    {
        r"stole|ha(?:d|ve) stolen": 2.0,
        r"broke (?:the|my|his|her|a) promise": 2.0,
        rf"(?:hit|beat) {SOMEBODY}": 2.0,
        r"lied": 1.5,
        r"grabbed": 1.5,
        r"refused": 1.5,
        r"teased": 1.5,
        r"kicked at": 1.5,
        rf"(?:pushed|tripped) {SOMEBODY}": 1.5,
        rf"(?:laughed|shouted) at {SOMEBODY}": 1.5,
        rf"left {SOMEBODY} (?:alone|behind|there)": 1.5,
        r"snatched": 1.0,
        r"ran home with it": 1.0,
    }
)
AMENDS = re.compile(r"\b(?:(?:i am|am so|said) sorry|forgave|told the truth)\b")

ALSO = """
    sister brother mummy daddy mum dad baby parents family king queen uncle aunt people man
    woman men women friends children dog cat cats dogs bird horse cow sheep fish flower
    flowers tree trees sun moon star stars sky cloud clouds rain snow wind night evening
    morning noon afternoon today tomorrow yesterday spring summer autumn winter week month
    year hour minute time times and or but so because when while if then that this these those
    who whose which what where why how very much more most many few some any all each every
    both other another same such own only too also still again already always never often
    sometimes once twice soon later now suddenly finally kindly slowly quickly carefully
    gently loudly quietly softly together away back home here there up down in out on off over
    under near far through across behind between around along is are was were be been being am
    do does did done have has had can could will would shall should must may might not no yes
    please thank thanks sorry hello goodbye okay say says see sees saw seen look looks looked
    find finds found go goes went gone come comes came get gets got give gives gave take takes
    took make makes made know knows knew think thinks thought want wants wanted wish wished
    like likes liked love loves loved need needs needed help helps helped play plays played
    run runs ran walk walks walked sit sits sat stand stands stood sleep slept eat eats ate
    drink drank hear heard feel feels felt try tries tried ask asks asked tell tells told call
    calls called cry cries cried laugh laughs laughed smile smiles smiled jump jumped fall
    falls fell break breaks broke broken lose loses lost keep keeps kept hold holds held hide
    hides hid share shares shared hug hugs hugged thanked open opened close closed carry
    carried bring brings brought put puts let lets leave leaves left turn turned stop stopped
    start started wait waited follow followed climb climbed wear wears wore throw threw catch
    caught push pushed good better best bad worse worst big bigger small little old new young
    long short tall high low nice kind mean happy sad angry afraid scared brave tired hungry
    cold warm hot wet dry dark bright beautiful wonderful strong weak fast slow hard soft easy
    full empty right wrong sure ready alone one two three four five six seven eight nine ten
    first second third last next half it its they them their theirs we us our ours you your
    yours me my mine i himself herself itself everyone everybody someone somebody nobody
    anyone nothing something everything anything
"""


def _words() -> frozenset[str]:
    told = [ALSO, "the animal she he her him his hers herself himself its it itself girl boy a an"]
    stack: list = [vars(openings)[name] for name in dir(openings) if name.isupper()]
    stack += [plots.PLOTS, *(vars(world)[name] for name in dir(world) if name.isupper())]
    while stack:
        top = stack.pop()
        if isinstance(top, str):
            told.append(re.sub(r"\{\w+\}", " ", top))
        elif isinstance(top, tuple):
            stack.extend(top)
        elif isinstance(top, dict):
            stack.extend((*top, *top.values()))
    return frozenset(word.lower() for text in told for word in WORD.findall(text))


WORDS = _words()
