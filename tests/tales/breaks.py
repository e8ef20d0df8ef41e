"""Stories broken on purpose: each break takes a story, another one and a random source."""

import re

from llamalab.tales import world

SENTENCE = re.compile(r'(?<=[.!?])\s+|(?<=[.!?]")\s+(?=[A-Z"])')
FLIP = {"he": "she", "she": "he", "him": "her", "his": "her", "her": "his"}
FLIP |= {"himself": "herself", "herself": "himself"}
CRUEL = (
    "Then {H} pushed {F} into a ditch.",
    "{H} laughed at {F} in front of everybody.",
    "{H} stole a loaf of bread from {F}.",
    "{H} shouted at {F} for no reason at all.",
)


def sentences(text):
    return [part for part in SENTENCE.split(text) if part]


def other(source, options, *taken):
    return source.choice([one for one in options if one not in taken])


def late(text, pattern, replacement, source, first=0.45):
    """One mention in the later part of the text replaced; None if there is none there."""
    found = [m for m in re.finditer(pattern, text) if m.start() > first * len(text)]
    if not found:
        return None
    chosen = source.choice(found)
    return text[: chosen.start()] + replacement + text[chosen.end() :]


def swap_name(story, _, source):
    """From the middle on, the hero has another name."""
    hero = story.facts["hero"]
    names = world.GIRLS if story.facts["hero_gender"] == "f" else world.BOYS
    new = other(source, names, hero, story.facts["friend"])
    half = sentences(story.text)
    middle = len(half) // 2
    changed = re.sub(rf"\b{hero}\b", new, " ".join(half[middle:]))
    return " ".join(half[:middle]) + " " + changed


def exchange_names(story, _, source):
    """In one late sentence, hero and friend change places."""
    hero, friend = story.facts["hero"], story.facts["friend"]
    parts = sentences(story.text)
    places = [i for i in range(len(parts) // 2, len(parts)) if hero in parts[i]]
    if not places:
        return None
    place = source.choice(places)
    names = {hero: friend, friend: hero}
    parts[place] = re.sub(rf"\b({hero}|{friend})\b", lambda m: names[m[1]], parts[place])
    return " ".join(parts)


def swap_adjective(story, _, source):
    adjective, noun = story.facts["thing"].values()
    new = other(source, world.ADJECTIVES, adjective)
    return late(story.text, rf"\bthe {adjective} {noun}\b", f"the {new} {noun}", source)


def swap_noun(story, _, source):
    adjective, noun = story.facts["thing"].values()
    second = (story.facts["second_thing"] or " ").split(" ")[1]
    new = other(source, [toy.noun for toy in world.TOYS], noun, second)
    return late(story.text, rf"\bthe {adjective} {noun}\b", f"the {adjective} {new}", source)


def wrong_pronoun(story, _, source):
    """One pronoun outside of speech has the other gender."""
    told = re.sub(r'"[^"]*"', lambda m: "_" * len(m[0]), story.text)
    places = list(re.finditer(rf"\b({'|'.join(FLIP)})\b", told))
    if not places:
        return None
    found = source.choice(places)
    return story.text[: found.start()] + FLIP[found[0]] + story.text[found.end() :]


def all_pronouns(story, _, source):
    """The hero's pronouns are wrong from the middle on."""
    parts = sentences(story.text)
    middle = len(parts) // 2
    rest = re.sub(rf"\b({'|'.join(FLIP)})\b", lambda m: FLIP[m[1]], " ".join(parts[middle:]))
    return " ".join(parts[:middle]) + " " + rest


def cut_ending(story, _, source):
    closing = story.facts["scenes"][-1][1]
    return story.text.removesuffix(closing).strip()


def cut_anywhere(story, _, source):
    words = story.text.split()
    return " ".join(words[: source.randrange(len(words) // 2, len(words) - 1)])


def splice(story, another, source):
    first, second = sentences(story.text), sentences(another.text)
    return " ".join(first[: len(first) // 2] + second[len(second) // 2 :])


def repeat(story, _, source):
    parts = sentences(story.text)
    long = [i for i in range(len(parts) - 1) if parts[i].count(" ") > 2]
    place = source.choice(long)
    parts.insert(source.randrange(place + 1, len(parts)), parts[place])
    return " ".join(parts)


def shuffle(story, _, source):
    parts = sentences(story.text)
    source.shuffle(parts)
    return " ".join(parts)


def shuffle_middle(story, _, source):
    """The first two sentences and the last two stay."""
    parts = sentences(story.text)
    middle = parts[2:-2]
    source.shuffle(middle)
    return " ".join(parts[:2] + middle + parts[-2:])


def unkind(story, _, source):
    parts = sentences(story.text)
    cruel = source.choice(CRUEL).format(H=story.facts["hero"], F=story.facts["friend"])
    parts.insert(len(parts) - 2, cruel)
    return " ".join(parts)


def no_hero(story, _, source):
    return story.text.removeprefix(story.facts["scenes"][0][1]).strip()


def no_friend(story, _, source):
    found = [sentence for role, sentence in story.facts["scenes"] if role == "friend"]
    return story.text.replace(found[0] + " ", "") if found else None


def jump(story, _, source):
    """A late sentence plays in a place that nobody went to."""
    new = other(source, world.PLACES, *(p for p in world.PLACES if f"the {p.noun}" in story.text))
    parts = sentences(story.text)
    parts.insert(len(parts) - 2, f"{story.facts['hero']} sat down {new.at} the {new.noun}.")
    return " ".join(parts)


def swap_helper(story, _, source):
    if story.facts["helper"] is None:
        return None
    noun = story.facts["helper"].split()[-1]
    new = other(source, [one.noun for one in world.HELPERS], noun)
    return late(story.text, rf"\bthe {noun}\b", f"the {new}", source, first=0.3)


def misspell(story, _, source):
    words = [m for m in re.finditer(r"\b[a-z]{5,}\b", story.text)]
    word = source.choice(words)
    letters = list(word[0])
    letters[2], letters[3] = letters[3], letters[2]
    if letters[2] == letters[3]:
        letters.insert(2, "q")
    return story.text[: word.start()] + "".join(letters) + story.text[word.end() :]


def other_gender(story, _, source):
    """A girl's name where a boy was introduced: the hero's name alone is changed, everywhere."""
    names = world.BOYS if story.facts["hero_gender"] == "f" else world.GIRLS
    new = other(source, names, story.facts["friend"])
    return re.sub(rf"\b{story.facts['hero']}\b", new, story.text)


BREAKS = (
    swap_name, exchange_names, swap_adjective, swap_noun, wrong_pronoun, all_pronouns, cut_ending,
    cut_anywhere, splice, repeat, shuffle, shuffle_middle, unkind, no_hero, no_friend, jump,
    swap_helper, misspell, other_gender,
)  # fmt: skip
