"""Byte-pair encoding, as SentencePiece does it: the algorithm, as pure functions.

A text is a list of *symbols*, at first its characters.  Training counts adjacent pairs and merges
the most frequent.  Encoding merges too, but asks the vocabulary:

    while some adjacent pair joins into a known piece:
        merge the pair whose piece has the highest score, the leftmost one on a tie

It is not a list of merges replayed in order inside words: only the scores decide.  A character
that is in no piece becomes its UTF-8 bytes, after all merging.  A space is written ▁ (U+2581).
Source: Sennrich et al. 2016 for BPE, Kudo & Richardson 2018 for SentencePiece.
"""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush

from .text import SPACE

BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
BYTE_OF = {piece: byte for byte, piece in enumerate(BYTE_PIECES)}

# One U+FFFD for every byte that is no UTF-8, as SentencePiece does.  Python's own "replace" would
# give one for a whole broken run: b"\xe2\x96" is two marks here and one there.
BYTE_BY_BYTE = "llamalab.byte_by_byte"


def _one_mark(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return "\ufffd", error.start + 1


codecs.register_error(BYTE_BY_BYTE, _one_mark)


# --- training -------------------------------------------------------------------------------------


def count_pairs(words: Mapping[tuple[str, ...], int]) -> Counter[tuple[str, str]]:
    """How often every two neighbours stand side by side.

    `words` maps a word, as a tuple of symbols, to how often it occurs in the text.  Pairs that
    overlap all count: ("a", "a", "a") holds ("a", "a") twice.

    >>> count_pairs({("▁", "l", "o", "w"): 5, ("l", "o"): 1})[("l", "o")]
    6
    """
    pairs: Counter[tuple[str, str]] = Counter()
    for word, count in words.items():
        for pair in zip(word, word[1:]):
            pairs[pair] += count
    return pairs


def merge_pair(symbols: Sequence[str], pair: tuple[str, str]) -> Sequence[str]:
    """Replace every occurrence of `pair` by one symbol, from left to right.

    Gives a list for a list and a tuple for a tuple; the argument is left as it was.

    >>> merge_pair(["a", "a", "a", "b"], ("a", "a"))
    ['aa', 'a', 'b']
    """
    merged: list[str] = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2  # the right half is used up: it cannot also start the next pair
        else:
            merged.append(symbols[i])
            i += 1
    return tuple(merged) if isinstance(symbols, tuple) else merged


# --- encoding -------------------------------------------------------------------------------------


def merge_steps(symbols: Sequence[str], scores: Mapping[str, float]) -> Iterator[list[str]]:
    """The symbols before any merge, then after each one.  Slow and plain: O(n²).

    `scores` maps every piece that a merge may give to its score.
    """
    symbols = list(symbols)
    yield list(symbols)
    while True:
        best = None
        for i, pair in enumerate(zip(symbols, symbols[1:])):
            score = scores.get("".join(pair))
            # Strictly higher, so that of two equal scores the left one stays.
            if score is not None and (best is None or score > best[0]):
                best = (score, i)
        if best is None:
            return
        i = best[1]
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
        yield list(symbols)


def encode_slow(symbols: Sequence[str], scores: Mapping[str, float]) -> list[str]:
    """Merge until nothing merges: the definition, and the oracle for `merge_by_score`."""
    *_, last = merge_steps(symbols, scores)
    return last


def merge_by_score(
    symbols: Sequence[str],
    scores: Mapping[str, float],
    halves: dict[str, tuple[str, str]] | None = None,
) -> list[str]:
    """The same pieces as `encode_slow`, in O(n log n).

    A priority queue hands out the best pair, and a linked list knows each symbol's neighbours.
    Merges leave outdated pairs behind in the queue; they are recognised when they come out.
    `halves`, if given, is filled with the two symbols that every pair was last seen to be made of.
    """
    symbols = list(symbols)
    n = len(symbols)
    before = list(range(-1, n - 1))  # -1: nothing to the left
    after = list(range(1, n + 1))  # n: nothing to the right
    queue: list[tuple[float, int, int, int]] = []  # (-score, left, right, length of the piece)

    for right in range(1, n):
        piece = symbols[right - 1] + symbols[right]
        if piece in scores:
            queue.append((-scores[piece], right - 1, right, len(piece)))
            if halves is not None:
                halves[piece] = (symbols[right - 1], symbols[right])
    heapify(queue)  # equal scores: the smaller index, so the leftmost pair, comes out first

    while queue:
        _, left, right, length = heappop(queue)
        a, b = symbols[left], symbols[right]
        # A symbol that was merged away is "", and one that has grown since is longer.
        if not a or not b or len(a) + len(b) != length:
            continue
        symbols[left], symbols[right] = a + b, ""
        beyond = after[left] = after[right]
        if beyond < n:
            before[beyond] = left
        for i, j in ((before[left], left), (left, beyond)):  # the two new neighbourhoods
            if i >= 0 and j < n:
                piece = symbols[i] + symbols[j]
                if piece in scores:
                    heappush(queue, (-scores[piece], i, j, len(piece)))
                    if halves is not None:
                        halves[piece] = (symbols[i], symbols[j])
    return [symbol for symbol in symbols if symbol]


def byte_fallback(piece: str) -> list[str]:
    """The UTF-8 bytes of `piece` as byte pieces.

    >>> byte_fallback("é")
    ['<0xC3>', '<0xA9>']
    """
    return [BYTE_PIECES[byte] for byte in piece.encode("utf-8")]


def encode_word(word: str, scores: Mapping[str, float]) -> list[str]:
    """The pieces of a text that already has its ▁ signs, unknown characters as bytes.

    >>> encode_word("▁hé", {"▁": -2.0, "h": -1.0, "▁h": -0.0})
    ['▁h', '<0xC3>', '<0xA9>']
    """
    pieces: list[str] = []
    for piece in merge_by_score(word, scores):
        pieces += [piece] if piece in scores else byte_fallback(piece)
    return pieces


# --- decoding -------------------------------------------------------------------------------------


def decode_pieces(pieces: Sequence[str]) -> str:
    """Pieces back to text: bytes joined, ▁ to space, and the one space that encoding put in front
    taken away.

    >>> decode_pieces(["▁caf", "<0xC3>", "<0xA9>", "▁", "▁noir"])
    'café  noir'
    """
    data = b"".join(
        bytes([BYTE_OF[piece]]) if piece in BYTE_OF else piece.encode("utf-8") for piece in pieces
    )
    text = data.decode("utf-8", BYTE_BY_BYTE)
    # A ▁ that was spelt in bytes is a character of the text, not the space put in front.
    if pieces and pieces[0].startswith(SPACE):
        text = text[1:]
    return text.replace(SPACE, " ")
