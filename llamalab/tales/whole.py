"""The story as a whole: does it begin and end as a story does, how does it end, does it repeat?"""

import re

from . import lexicon
from .reader import Reader

SENTENCE_END = re.compile(r'(?<=[.!?])\s+(?!")|(?<=[.!?]")\s+(?=[A-Z"])|(?<=[.!?])\s+(?=")')


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its closing quotation mark."""
    return [part for part in SENTENCE_END.split(text) if part]


def begins(reader: Reader) -> bool:
    """Somebody is introduced in the first three sentences, and no "she" comes before."""
    if not (reader.text[:1].isupper() or reader.text[:1] == '"'):
        return False
    for place, word in enumerate(reader.words):
        if reader.sentence[place] > 2 or (word in ("he", "she") and not reader.spoken[place]):
            return False
        if reader.is_name(place) and reader.introduction(place) is not None:
            return True
    return False


def ending(text: str) -> str | None:
    """ "happy" or "sad": by the last sentence, or by the last two if that one does not say."""
    parts = sentences(text)
    for last in (parts[-1:], parts[-2:]):
        words = lexicon.WORD.findall(" ".join(last).lower())
        glad = sum(word in lexicon.GLAD for word in words)
        sad = sum(word in lexicon.SAD for word in words)
        if glad != sad:
            return "happy" if glad > sad else "sad"
    return None


def faults(reader: Reader) -> list[str]:
    """Why this is not a whole story; an empty list if it is one."""
    text, parts, found = reader.text, sentences(reader.text), []
    if len(parts) < 4 or len(lexicon.WORD.findall(text)) < 25:
        found.append("It is too short for a story.")
    if not begins(reader):
        found.append("It does not begin like a story.")
    last = (lexicon.WORD.findall(text.lower()) or [""])[-1]
    closed = text.endswith((".", "!", "?", '"')) and text.count('"') % 2 == 0
    if not closed or last in lexicon.DANGLING:
        found.append("It breaks off.")
    elif ending(text) is None or not any(
        cue in " ".join(parts[-2:]).lower() for cue in lexicon.LATER
    ):
        found.append("It has no ending.")
    return found


def repetition(text: str, phrase: int = 8) -> float:
    """Share of the words that stand in a run of `phrase` words, or a sentence, said before."""
    words = lexicon.WORD.findall(text.lower())
    seen: set[tuple[str, ...]] = set()
    repeated: set[int] = set()
    for start in range(len(words) - phrase + 1):
        run = tuple(words[start : start + phrase])
        if run in seen:
            repeated |= set(range(start, start + phrase))
        seen.add(run)
    said = [part.lower() for part in sentences(text) if part.count(" ") > 2]
    twice = (len(said) - len(set(said))) / max(1, len(said))
    return max(len(repeated) / max(1, len(words)), twice)
