"""What happens to a text before it is cut: rewriting, spaces, and the dummy prefix.

Llama 2 (the identity normaliser) does only this:  "Hi you"  ->  "▁Hi▁you".  The ▁ in front makes
the first word look like the others.  Other models also rewrite characters (NFKC), squeeze runs of
spaces, or put the ▁ after a word.  User-defined symbols are never rewritten.
Source: SentencePiece's normalizer, whose steps are followed one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from google.protobuf.message import Message

from ..text import SPACE
from .charsmap import CharsMap


class Normalizer:
    """normalizer(text) -> text, as a NormalizerSpec says; `keep` are the user-defined symbols."""

    def __init__(
        self, spec: Message, *, space_as_suffix: bool = False, keep: Iterable[str] = ()
    ) -> None:
        self._dummy = spec.add_dummy_prefix
        self._squeeze = spec.remove_extra_whitespaces
        self.space = SPACE if spec.escape_whitespaces else " "
        self._as_suffix = space_as_suffix
        self._map = CharsMap(spec.precompiled_charsmap) if spec.precompiled_charsmap else None
        self._next = re.compile(self._pattern(list(keep)), re.DOTALL).match

    def _pattern(self, keep: list[str]) -> bytes:
        """One unit of rewriting: a user-defined symbol, a plain run, or (by default) a character.

        Groups: 1 is copied as it is, 2 may be the start of a rule of the table.
        """
        symbols = sorted((symbol.encode("utf-8") for symbol in keep), key=len, reverse=True)
        plain = set(self._map.plain_ascii() if self._map else range(256))
        # A symbol must not hide inside a run, nor a space whose neighbours matter.
        plain -= {symbol[0] for symbol in symbols} | {ord(" ")}
        copied = [re.escape(symbol) for symbol in symbols]
        if plain:
            run = b"[" + b"".join(re.escape(bytes([byte])) for byte in sorted(plain)) + b"]+"
            copied.append(run + rb"(?=[\x00-\x7f]|\Z)" if self._map else run)
        return b"(" + b"|".join(copied or [b"(?!)"]) + rb")|(.[\x80-\xbf]*)"

    def _units(self, data: bytes) -> Iterator[bytes]:
        position = 0
        while position < len(data):
            match = self._next(data, position)
            assert match  # something always matches: the last branch takes any byte
            rule = self._map.longest(data, position) if self._map and match[2] else None
            position, unit = rule or (match.end(), match[0])
            yield unit

    def __call__(self, text: str, *, first: bool = True, last: bool = True) -> str:
        """`first` and `last` say whether `text` begins and ends the whole text: only there are a ▁
        added and spaces stripped.  A text that is cut must be cut after a newline."""
        if not text:
            return ""
        prefix = self.space if self._dummy and first and not self._as_suffix else ""
        suffix = self.space if self._dummy and last and self._as_suffix else ""
        if self._map is None and not self._squeeze:
            return prefix + text.replace(" ", self.space) + suffix
        units = list(self._units(text.encode("utf-8")))
        if self._squeeze:
            units = _squeeze(units, at_start=first)
            if first and not units:
                return ""  # nothing but spaces: not even a dummy prefix
        body = b"".join(units).decode("utf-8", "replace").replace(" ", self.space)
        if self._squeeze and last:
            return (prefix + body).rstrip(self.space) + suffix
        return prefix + body + suffix

    def rewrites(self, character: str) -> bool:
        """Whether an ASCII character might be changed, or change what becomes of its neighbours."""
        return self._map is not None and self._map.may_touch(ord(character))


def _squeeze(units: list[bytes], at_start: bool) -> list[bytes]:
    """Drop spaces that follow a space, or the start of the text.

    Unit by unit, as the library does it: two spaces inside one unit both stay.
    """
    start = 0
    while at_start and start < len(units) and units[start] == b" ":
        start += 1
    kept: list[bytes] = []
    after_space = at_start
    for unit in units[start:]:
        if after_space:
            unit = unit.lstrip(b" ")
        kept.append(unit)
        if unit:  # an empty unit leaves the memory of the space before it
            after_space = unit.endswith(b" ")
    return kept
