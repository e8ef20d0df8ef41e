"""Reads a story word by word and remembers what a person would: who and what has been shown.

- A person is introduced ("a girl named Mia", "her friend Tom", "an old fisherman") before they act;
  a pronoun means somebody of its gender who was named in this sentence or the two before it.
- A thing is shown once ("a red kite"); afterwards it is "the red kite" or "the kite", never the
  blue kite or the red boat.
- A new place needs a way there: somebody went.
What is said in quotation marks is read for names and things, not for pronouns and places gone to.
"""

import re
from collections import Counter

from . import lexicon, world

TOKEN = re.compile(r"[A-Za-z]+(?:-[a-z]+)*(?:'[a-z]+)?|[^\sA-Za-z]")
A = {"a", "an", "another", "one", "two", "some"}
THE = {"the", "this", "that", "his", "her", "their", "my", "your", "our", "its"}
REACH = 2  # told sentences that a pronoun may look back over


class Reader:
    """One reading of one text. `mentions` and `wrong` count by kind: "names" and "things"."""

    def __init__(self, text: str):
        self.text = text
        self.tokens: list[str] = TOKEN.findall(text)
        self.words = [token.lower() for token in self.tokens]
        self.sentence, self.spoken = self._marks()
        self.names = [self._is_name(place) for place in range(len(self.tokens))]
        self.people: dict[str, str | None] = {}  # name -> gender, in the order of introduction
        self.shown: dict[str, set[str | None]] = {}  # noun -> the adjectives it was shown with
        self.places: list[str] = []  # the last one is where we are
        self.mentions: Counter = Counter()
        self.wrong: Counter = Counter()
        self.complaints: list[str] = []
        self.named = self._people_by_sentence()
        self._walk()
        self._themselves()

    def share(self, kind: str) -> float:
        """The share of mentions that are right, 0 … 1; 0 if nobody is named at all."""
        if kind == "names" and not self.mentions[kind]:
            return 0.0
        return 1 - min(1.0, self.wrong[kind] / max(1, self.mentions[kind]))

    def unknown_words(self) -> list[str]:
        """Words that are neither in the language nor names."""
        return [
            word
            for place, word in enumerate(self.words)
            if word[0].isalpha()
            and word.removesuffix("'s") not in lexicon.WORDS
            and not self.is_name(place)
        ]

    # ---- tokens ----------------------------------------------------------------------------

    def _marks(self) -> tuple[list[int], list[bool]]:
        """For each token the number of its sentence, and whether it is inside a speech.

        Only told sentences count: a speech belongs to the sentence that says who speaks.
        """
        sentence, spoken, number, inside, told = [], [], 0, False, False
        for place, token in enumerate(self.tokens):
            inside ^= token == '"'
            sentence.append(number)
            spoken.append(inside)
            told |= not inside and token[0].isalpha()
            after = self.tokens[place + 1] if place + 1 < len(self.tokens) else ""
            if token in ".!?" and not inside and told and not after.islower():
                number, told = number + 1, False
        return sentence, spoken

    def word(self, place: int) -> str:
        """The word at a place in small letters; "" outside the text."""
        return self.words[place] if 0 <= place < len(self.words) else ""

    def is_name(self, place: int) -> bool:
        """Whether the word at a place is a name; False behind the end."""
        return place < len(self.names) and self.names[place]

    def _is_name(self, place: int) -> bool:
        """A name of this world, or a capital letter inside a sentence on an unknown word."""
        token = self.tokens[place].removesuffix("'s")
        if token in world.GENDER:
            return True
        if not token[0].isupper() or len(token) < 2 or token.lower() in lexicon.WORDS:
            return False
        return place > 0 and self.tokens[place - 1] not in '.!?":'

    def _gender(self, place: int) -> str | None:
        """The gender of the person that this word names: by name, role or kin; "?" if unknown."""
        if self.names[place]:
            return world.GENDER.get(self.tokens[place].removesuffix("'s"), "?")
        return lexicon.GENDER.get(self.words[place].removesuffix("'s"))

    def _people_by_sentence(self) -> list[list[tuple[int, str]]]:
        found: list = [[] for _ in range((self.sentence or [0])[-1] + 1)]
        for place in range(len(self.tokens)):
            if gender := self._gender(place):
                found[self.sentence[place]].append((place, gender))
        return found

    def complain(self, kind: str, what: str) -> None:
        """Count a mention as wrong, and say why, once."""
        self.wrong[kind] += 1
        if what not in self.complaints:
            self.complaints.append(what)

    # ---- the walk --------------------------------------------------------------------------

    def _walk(self) -> None:
        for place, token in enumerate(self.tokens):
            word = self.words[place]
            if self.is_name(place):
                self._name(place, token.removesuffix("'s"))
            elif word in lexicon.PRONOUNS and not self.spoken[place]:
                self._pronoun(place, word)
            elif word in lexicon.TOYS:
                self._thing(place, word, lexicon.ADJECTIVES, "things")
            elif word in lexicon.BEASTS:
                self._thing(place, word, lexicon.BEAST_ADJECTIVES, "things")
            elif word in lexicon.ROLES:
                self._thing(place, word, lexicon.ROLE_ADJECTIVES, "names")
            elif word in lexicon.PLACES:
                self._place(place, word)

    def _name(self, place: int, name: str) -> None:
        self.mentions["names"] += 1
        noun = self.introduction(place)
        if noun is not None:
            known, said = world.GENDER.get(name), lexicon.PERSON_NOUNS.get(noun)
            if known and said and known != said:
                self.complain("names", f"{name} is called a {noun}.")
            self.people.setdefault(name, known or said)
        elif name not in self.people and not (self.spoken[place] and self.sentence[place] < 2):
            self.complain("names", f"{name} was never introduced.")

    def introduction(self, place: int) -> str | None:
        """The noun that introduces the name here ("girl", "friend", …); None if nothing does."""
        before = [self.word(place - back) for back in (1, 2)]
        if before[0] in lexicon.PERSON_NOUNS:
            return before[0]
        if before[0] in ("named", "called") and before[1] in lexicon.PERSON_NOUNS:
            return before[1]
        if before == ["was", "name"]:
            return "child"
        after = [self.word(place + ahead) for ahead in range(1, 9)]
        if after[0] == "lived":
            return "child"
        if after[0] in (",", "was", "is"):  # "Mia, a clever girl", "Tom was her friend"
            if after[1] in ("a", "an", "the", "his", "her"):
                for word in after[2:]:
                    if word in lexicon.PERSON_NOUNS:
                        return word
                    if not word[:1].isalpha():
                        break
        return None

    def _pronoun(self, place: int, word: str) -> None:
        self.mentions["names"] += 1
        gender, here = lexicon.PRONOUNS[word], self.sentence[place]
        fits = {gender, "?"}
        before = [sex for spot, sex in self.named[here] if spot < place and not self.spoken[spot]]
        if word in ("himself", "herself"):  # means somebody in its own sentence
            near = before
        elif self.word(place + 1) in lexicon.PERSON_NOUNS and self.is_name(place + 2):
            near = before + self._back(here, REACH)  # "her friend Tom": not Tom himself
        elif word in ("he", "she") and before and not fits & set(before):
            # a subject that skips somebody nearer: "Mia was sad, and he ..."
            near = self._back(here, 1)
        else:
            near = [sex for _, sex in self.named[here]] + self._back(here, REACH)
        if fits & set(near):
            self.named[here].append((place, gender))
        else:
            self.complain("names", f'"{word}" in sentence {here + 1} is nobody who was just named.')

    def _back(self, here: int, reach: int) -> list[str]:
        return [sex for one in self.named[max(0, here - reach) : here] for _, sex in one]

    def _thing(self, place: int, noun: str, adjectives: set[str], kind: str) -> None:
        """A toy, an animal or a role: shown with a or an first, then known by its adjective."""
        self.mentions[kind] += 1
        adjective, article = None, self.word(place - 1)
        if article not in A | THE and self.word(place - 2) in A | THE:
            if article in adjectives or article not in lexicon.WORDS:
                adjective = article
            article = self.word(place - 2)
        if article in ("a", "an"):
            heard = self.word(place - 1) if self.word(place - 2) == article else noun
            if (article == "an") != (heard[0] in "aeiou"):
                self.complain(kind, f'"{article} {heard}" is wrong.')
        shown = self.shown.get(noun)
        if article in A:
            if adjective is not None or shown is None:
                self.shown.setdefault(noun, set()).add(adjective)
        elif shown is None:
            self.complain(kind, f"the {noun} was never introduced.")
        elif adjective is not None and adjective not in shown:
            was = " and ".join(sorted(word or "plain" for word in shown))
            self.complain(kind, f"the {adjective} {noun} was {was} before.")

    def _place(self, place: int, noun: str) -> None:
        self.mentions["things"] += 1
        here = self.sentence[place]
        if noun in self.places:
            self.places.remove(noun)  # and comes last again
        elif self.places:
            again = self.word(place + 1) == "again" or self.word(place - 3) == "back"
            near = [w for w, n in zip(self.words, self.sentence) if here - 1 <= n <= here]
            if again or not lexicon.MOVES & set(near):
                self.complain("things", f"the story jumps to the {noun}.")
        self.places.append(noun)

    def _themselves(self) -> None:
        """Nobody calls themselves by name ("Thank you, Mia," said Mia) or meets themselves."""
        for speech, speaker in re.findall(r'"([^"]*)" (?:\w+ed|said) ([A-Z]\w+)', self.text):
            if re.search(rf"(?:^|, ){speaker}[,.!?]", speech):
                self.complain("names", f"{speaker} speaks to {speaker}.")
        for name, between in re.findall(r"\b([A-Z][a-z]+)((?: [a-z]+){1,3}) \1\b(?!')", self.text):
            if name in self.people and not lexicon.JOINTS & set(between.split()):
                self.complain("names", f"{name} meets {name}.")
