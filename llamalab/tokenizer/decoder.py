"""From ids back to text, exactly as the sentencepiece library does it.

▁ becomes a space; runs of byte pieces become characters, U+FFFD for each byte of no character;
control pieces vanish; the unknown piece shows as " ⁇ ".  The one ▁ that encoding put in front is
taken away again.  Where a model removes extra spaces on the way in, a ▁ is taken from *every* piece
until some text has appeared, a habit of the library that is kept here.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

from google.protobuf.message import Message

from .bpe import BYTE_BY_BYTE, BYTE_OF
from .sentencepiece.model_file import BYTE, CONTROL, UNKNOWN
from .sentencepiece.normalizer import Normalizer
from .text import SPACE


class PieceDecoder:
    """decoder(ids) -> text"""

    def __init__(self, model: Message) -> None:
        normalizer = model.normalizer_spec
        self._strip_first = normalizer.add_dummy_prefix or normalizer.remove_extra_whitespaces
        self._strip_on = normalizer.remove_extra_whitespaces
        self._starts_with_space: set[int] = set()
        self._surfaces: list[bytes] = []  # what each id contributes, as UTF-8
        for i, entry in enumerate(model.pieces):
            if entry.type == CONTROL:
                surface = b""
            elif entry.type == UNKNOWN:
                surface = model.trainer_spec.unk_surface.encode("utf-8")
            elif entry.type == BYTE:
                surface = bytes([BYTE_OF[entry.piece]])
            else:
                surface = entry.piece.replace(SPACE, " ").encode("utf-8")
                if entry.piece.startswith(SPACE):
                    self._starts_with_space.add(i)
            self._surfaces.append(surface)
        self._silent = {i for i, surface in enumerate(self._surfaces) if not surface}
        self._denormalizer = (
            Normalizer(model.denormalizer_spec)
            if model.denormalizer_spec.precompiled_charsmap
            else None
        )

    def __call__(self, ids: Iterable[int]) -> str:
        ids = self._check(ids)
        data = [self._surfaces[i] for i in ids]
        for position in self._spaces_to_strip(ids):
            data[position] = data[position][1:]
        text = "".join(map(_decode, self._between_silent(ids, data)))
        return self._denormalizer(text) if self._denormalizer else text

    def _between_silent(self, ids: list[int], data: list[bytes]) -> Iterator[bytes]:
        """`data` joined, but cut where a piece without text stands: bytes do not meet across it.

        A piece with text needs no cut.  It never starts with a continuation byte, so it cannot
        complete a broken run of bytes before it.
        """
        if self._silent.isdisjoint(ids):
            yield b"".join(data)
            return
        for silent, run in groupby(zip(ids, data), key=lambda pair: pair[0] in self._silent):
            if not silent:
                yield b"".join(surface for _, surface in run)

    def _spaces_to_strip(self, ids: list[int]) -> list[int]:
        """Positions in `ids` whose leading space was put there by encoding."""
        positions: list[int] = []
        if self._strip_first:
            for position, i in enumerate(ids):
                length = len(self._surfaces[i])
                if i in self._starts_with_space:
                    positions.append(position)
                    if not self._strip_on:
                        break
                    length -= 1
                if length:
                    break  # text has appeared
        return positions

    def _check(self, ids: Iterable[int]) -> list[int]:
        """A list of plain ints that are ids of this vocabulary."""
        if isinstance(ids, (str, bytes)) or not isinstance(ids, Iterable):
            raise TypeError(
                f"decode takes a sequence of ids, not {type(ids).__name__}: {ids!r:.60}"
            )
        ids = list(ids)
        if not set(map(type, ids)) <= {int}:  # numpy's and torch's integers are welcome
            ids = [_integer(i) for i in ids]
        size = len(self._surfaces)
        if ids and not (0 <= min(ids) and max(ids) < size):
            position, wrong = next((p, i) for p, i in enumerate(ids) if not 0 <= i < size)
            raise ValueError(
                f"id {wrong} at position {position} is not in the vocabulary of {size} pieces "
                f"(0 to {size - 1})"
            )
        return ids


def _decode(data: bytes) -> str:
    return data.decode("utf-8", BYTE_BY_BYTE)


def _integer(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError(f"an id must be an integer, not a bool: {value}")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(
            f"an id must be an integer, not {type(value).__name__}: {value!r:.60}"
        ) from None
