"""The table of a rewriting normaliser (NFKC and the like), as SentencePiece compiles it.

    precompiled_charsmap = uint32 size of the trie | the trie | replacement texts, each ended by NUL
The trie is a double array (Darts-clone).  A unit is 32 bits: bits 0-7 and 31 a label, bit 8 "a key
ends here", bits 10-30 an offset (bit 9: shifted by 8 more).  From a node, byte b leads to the unit
at node XOR b, which counts only if its label is b; a value sits where byte 0 would lead.
Llama 2's table is empty; this file is for other people's models.
"""

from __future__ import annotations

import struct


class CharsMap:
    """Longest-match rewriting of UTF-8 bytes."""

    def __init__(self, blob: bytes) -> None:
        """blob: the precompiled_charsmap. ValueError for bytes that cannot be one."""
        size = struct.unpack_from("<I", blob)[0] if len(blob) > 4 else 0
        if not 4 <= size <= len(blob) - 5:
            raise ValueError(f"precompiled_charsmap: a trie of {size} in {len(blob)} bytes")
        self._units = struct.unpack_from(f"<{size // 4}I", blob, 4)
        self._texts = blob[4 + size :]
        self._root = _offset(self._units[0])

    def _step(self, node: int, byte: int) -> tuple[int, bool] | None:
        """From `node` over `byte`: the next node and whether a key ends there."""
        unit = self._units[node ^ byte]
        if unit & 0x800000FF != byte:
            return None
        return node ^ byte ^ _offset(unit), bool(unit & 0x100)

    def longest(self, data: bytes, start: int) -> tuple[int, bytes] | None:
        """(end of the longest key that starts at `start`, its replacement), or None. ValueError for
        a map that points outside itself."""
        node, found = self._root, None
        try:
            for i in range(start, len(data)):
                step = self._step(node, data[i])
                if step is None:
                    break
                node, is_key = step
                if is_key:
                    found = (i + 1, self._units[node] & 0x7FFFFFFF)
            if found is None:
                return None
            end, text = found
            return end, self._texts[text : self._texts.index(0, text)]
        except (IndexError, ValueError):
            raise ValueError("precompiled_charsmap is broken: it points outside itself") from None

    def plain_ascii(self) -> bytes:
        """The ASCII bytes that no key touches as long as another ASCII byte, or nothing, follows:
        most of them, and the reason why English is normalised fast. ValueError for a map that
        points outside itself."""
        ascii_bytes = range(128)

        def touched(byte: int) -> bool:
            step = self._step(self._root, byte)
            if step is None:
                return False
            node, is_key = step
            return is_key or any(self._step(node, following) for following in ascii_bytes)

        try:
            return bytes(byte for byte in ascii_bytes if not touched(byte))
        except IndexError:
            raise ValueError("precompiled_charsmap is broken: it points outside itself") from None

    def may_touch(self, byte: int) -> bool:
        """Whether any key could hold `byte` (sometimes yes where none does, never the reverse)."""
        return any(unit & 0x800000FF == byte for unit in self._units)


def _offset(unit: int) -> int:
    return (unit >> 10) << ((unit & 0x200) >> 6)
