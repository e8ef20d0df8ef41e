"""From text to ids, exactly as the sentencepiece library does it.

    text --normalise--> "▁Hi▁you" --cut--> "▁Hi", "▁you" --merge by score--> pieces --look up--> ids
What this adds to `bpe.py` is the bookkeeping of a model file (user-defined symbols stay whole,
unused pieces are split again, unknown characters become bytes or <unk>), and speed: a segment that
was met before is looked up, not merged again, wherever that is exact.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain

from google.protobuf.message import Message

from .bpe import byte_fallback, merge_by_score, merge_steps
from .sentencepiece.model_file import NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from .sentencepiece.normalizer import Normalizer
from .text import SPACE, segments

# In front of a user-defined symbol this marks it as whole: a lone surrogate stands in no piece, so
# whatever such a symbol is joined with is not in the vocabulary, and it never merges.
WHOLE = "\ud800"


class Encoder:
    """encoder(text) -> ids"""

    def __init__(self, model: Message) -> None:
        entries = list(enumerate(model.pieces))
        spec = model.trainer_spec
        self._byte_fallback = spec.byte_fallback
        self._unk_id = next(i for i, entry in entries if entry.type == UNKNOWN)
        whole = [entry.piece for _, entry in entries if entry.type == USER_DEFINED]
        self.normalize = Normalizer(
            model.normalizer_spec, space_as_suffix=spec.treat_whitespace_as_suffix, keep=whole
        )
        # What a merge may make: unused pieces too, they help others grow.  Never <s> or <0x41>.
        mergeable = (NORMAL, USER_DEFINED, UNUSED)
        self.scores = {entry.piece: entry.score for _, entry in entries if entry.type in mergeable}
        self.unused = {
            entry.piece for _, entry in entries if entry.type == UNUSED and len(entry.piece) > 1
        }
        # What text may become at the end.
        self._id_of = {e.piece: i for i, e in entries if e.type in (NORMAL, USER_DEFINED)}
        self._byte_id = {e.piece: i for i, e in entries}
        self._id_of |= {WHOLE + symbol: self._id_of[symbol] for symbol in whole}
        longest_first = map(re.escape, sorted(whole, key=len, reverse=True))
        self._cut_whole = re.compile(f"({'|'.join(longest_first)})|(.)", re.DOTALL).findall
        self._has_whole = bool(whole)
        self.segments = _Segments(self._merged_ids) if self._segments_are_exact() else None

    def __call__(self, text: str, *, first: bool = True, last: bool = True) -> list[int]:
        """`first` and `last`: whether `text` begins and ends the whole text (see Normalizer)."""
        text = self.normalize(text, first=first, last=last)
        if self.segments is None:
            ids = self._merged_ids(text)
        else:
            ids = list(chain.from_iterable(map(self.segments.__getitem__, segments(text))))
        if self._byte_fallback:
            return ids
        return [  # a run of unknown characters is one unknown piece
            i for i, previous in zip(ids, [None, *ids]) if not i == previous == self._unk_id
        ]

    def pieces(self, text: str) -> list[str]:
        """The same as pieces; a run of unknown characters stands for itself."""
        pieces: list[str] = []
        after_unknown = False
        for piece in self._merge(self.normalize(text)):
            unknown = piece not in self._id_of
            if unknown and self._byte_fallback:
                pieces += byte_fallback(piece)
            elif unknown and after_unknown:
                pieces[-1] += piece
            else:
                pieces.append(piece.removeprefix(WHOLE))
            after_unknown = unknown
        return pieces

    def steps(self, text: str) -> Iterator[list[str]]:
        """The symbols before any merge and after each one."""
        for symbols in merge_steps(self._symbols(self.normalize(text)), self.scores):
            yield [symbol.removeprefix(WHOLE) for symbol in symbols]

    def _symbols(self, text: str) -> list[str]:
        """Characters, and user-defined symbols as one symbol each."""
        if not self._has_whole:
            return list(text)
        return [WHOLE + whole if whole else other for whole, other in self._cut_whole(text)]

    def _merge(self, text: str) -> list[str]:
        symbols = self._symbols(text)
        if not self.unused:
            return merge_by_score(symbols, self.scores)
        halves: dict[str, tuple[str, str]] = {}
        merged = merge_by_score(symbols, self.scores, halves)
        return [part for piece in merged for part in self._split_unused(piece, halves)]

    def _split_unused(self, piece: str, halves: dict[str, tuple[str, str]]) -> Iterator[str]:
        """Undo the merges that made an unused piece, as its halves were last seen in the text."""
        if piece in self.unused and piece in halves:
            for half in halves[piece]:
                yield from self._split_unused(half, halves)
        else:
            yield piece

    def _merged_ids(self, text: str) -> list[int]:
        ids: list[int] = []
        for piece in self._merge(text):
            i = self._id_of.get(piece)
            if i is not None:
                ids.append(i)
            elif self._byte_fallback:
                ids += map(self._byte_id.__getitem__, byte_fallback(piece))
            else:
                ids.append(self._unk_id)
        return ids

    def _segments_are_exact(self) -> bool:
        """Whether a text may be cut before every ▁ that follows another character.

        A merge across such a cut would make a piece with a ▁ after another character.  If there is
        none, no merge crosses a cut, so what happens on one side never depends on the other: each
        side meets the same pairs with the same scores in the same order from left to right.  An
        unused piece spoils this: it is split as it was last seen anywhere in the text.
        """
        inner_space = re.compile(f"[^{SPACE}]{SPACE}").search
        return not self.unused and not any(map(inner_space, self.scores))


class _Segments(dict):
    """Segment -> ids, filled as segments are met.  Short ones only, and not without end."""

    MAX_LENGTH, MAX_ENTRIES = 64, 200_000

    def __init__(self, encode) -> None:
        self._encode = encode

    def __missing__(self, segment: str) -> list[int]:
        ids = self._encode(segment)
        if len(segment) <= self.MAX_LENGTH:
            if len(self) >= self.MAX_ENTRIES:
                self.clear()
            self[segment] = ids
        return ids
