"""Which pieces training may make: among others, none that mixes two scripts.

The rule is SentencePiece's: Hiragana and Katakana count as Han, combining marks take the script of
the letter before them, and digits, punctuation and symbols share the script "common".  Python has
no table of scripts, but it has the character names of Unicode 3.2 (kept for `stringprep`), the same
in every version of Python, and a name begins with its script: GREEK SMALL LETTER PI.  Characters
that came after 3.2, most emoji among them, count as one further script.
"""

from __future__ import annotations

from functools import cache, lru_cache
from unicodedata import ucd_3_2_0

from ..text import SPACE

DIGITS = frozenset("0123456789０１２３４５６７８９")  # each a piece of its own, always
COMMON, INHERITED, HAN, LATIN, LATER = "common", "inherited", "han", "latin", "after Unicode 3.2"

_BY_FIRST_WORD = {
    name: name.lower()
    for name in (
        "LATIN GREEK COPTIC CYRILLIC ARMENIAN HEBREW ARABIC SYRIAC THAANA DEVANAGARI BENGALI "
        "GURMUKHI GUJARATI ORIYA TAMIL TELUGU KANNADA MALAYALAM SINHALA THAI LAO TIBETAN MYANMAR "
        "GEORGIAN HANGUL ETHIOPIC CHEROKEE CANADIAN OGHAM RUNIC TAGALOG HANUNOO BUHID TAGBANWA "
        "KHMER MONGOLIAN BOPOMOFO YI OLD GOTHIC DESERET BRAILLE"
    ).split()
} | {
    **dict.fromkeys("CJK KANGXI HANGZHOU HIRAGANA KATAKANA".split(), HAN),
    **dict.fromkeys("FEMININE MASCULINE ROMAN KELVIN ANGSTROM".split(), LATIN),  # ª º Ⅳ K Å
    **dict.fromkeys("COMBINING VARIATION".split(), INHERITED),
    "ARABIC-INDIC": "arabic",
}


@cache  # one entry for each different character of the text
def script(character: str) -> str:
    """The script of one character, by its category and the first word of its name in 3.2."""
    category = ucd_3_2_0.category(character)
    if category == "Cn":
        return LATER  # not a character yet in 3.2
    if category[0] in "PZC":
        # Punctuation is common even where its name says ARABIC COMMA; the two zero-width joiners
        # are the only control characters that belong to the letters around them.
        return INHERITED if character in "\u200c\u200d" else COMMON
    name = ucd_3_2_0.name(character, "")
    if name.endswith("SOUND MARK"):
        return HAN if character == "ー" else COMMON  # ー lengthens; ﾞ and ﾟ only look like kana
    words = name.split()
    if words and words[0] in ("FULLWIDTH", "HALFWIDTH", "EXTENDED"):
        words = words[1:]
    if words and words[0] == "IDEOGRAPHIC" and category[0] in "LN":
        return HAN  # 々 and 〇
    return _BY_FIRST_WORD.get(words[0], COMMON) if words else COMMON


@lru_cache(maxsize=1 << 16)
def is_allowed(piece: str) -> bool:
    """Whether training may make this piece: a digit only alone, ▁ only in front or alone, and
    one script throughout."""
    if not piece.strip(SPACE):
        return True
    text = piece[1:] if piece[0] == SPACE else piece
    if SPACE in text or (len(piece) > 1 and not DIGITS.isdisjoint(text)):
        return False
    seen = None
    for character in text:
        here = script(character)
        if here == INHERITED:
            continue
        if seen is not None and here != seen:
            return False
        seen = here
    return True
