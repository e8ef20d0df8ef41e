"""Learning the merges: the most frequent pair of neighbours becomes one symbol, again and again.

Ties: the higher count, then the shorter piece, then the order of code points, then the shorter
left half.  Nothing depends on the order of a dict, so the result is the same on every machine.
A piece may be known from another split already ("aa"+"a", "a"+"aa"): such a pair is left unmerged.
Source: SentencePiece's BPE trainer.  `bpe.count_pairs` and `bpe.merge_pair` are the same, slowly.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from heapq import heapify, heappop, heappush

from .sentencepiece.scripts import is_allowed

Pair = tuple[str, str]
Entry = tuple[int, int, str, int, Pair]  # -count, length, piece, length of the left half, pair


def learn_merges(
    words: Counter[str], characters: set[str], n_merges: int, max_piece_length: int
) -> list[str]:
    """The pieces of up to `n_merges` merges, in the order in which they were made."""
    row = _Row(words, characters)

    def may_merge(pair: Pair) -> bool:
        piece = pair[0] + pair[1]
        return len(piece) <= max_piece_length and is_allowed(piece)

    queue = [row.entry(pair) for pair in row.counts if may_merge(pair)]
    heapify(queue)
    merges: dict[str, None] = {}  # an ordered set
    while queue and len(merges) < n_merges:
        count, _, piece, _, pair = heappop(queue)
        if piece in merges or not row.counts[pair]:
            continue
        if -count != row.counts[pair]:
            # Other merges have eaten into this pair.  A count only ever falls once it is in the
            # queue, so an outdated entry comes out too early, never too late: put it back.
            heappush(queue, row.entry(pair))
            continue
        merges[piece] = None
        for new in row.merge(pair):
            if row.counts[new] and may_merge(new):
                heappush(queue, row.entry(new))
    return list(merges)


class _Row:
    """All words in one row of symbols with links to both neighbours; every pair knows how often it
    occurs and where it stands, so a merge touches only its own places."""

    def __init__(self, words: Counter[str], characters: set[str]):
        self.symbols: list[str] = []
        self.weights: list[int] = []  # how often the word at this place occurs
        self.before: list[int] = []  # -1: nothing to the left
        self.after: list[int] = []
        for word, weight in sorted(words.items()):
            self._add(word, weight, characters)
        self.counts: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, list[int]] = defaultdict(list)  # of the left symbol
        for right, left in enumerate(self.before):
            if left >= 0:
                self._count((self.symbols[left], self.symbols[right]), left)

    def _add(self, word: str, weight: int, characters: set[str]) -> None:
        linked = False
        for character in word:
            if character not in characters:
                linked = False  # a rare character: nothing merges with it or across it
                continue
            place = len(self.symbols)
            self.symbols.append(character)
            self.weights.append(weight)
            self.before.append(place - 1 if linked else -1)
            self.after.append(-1)
            if linked:
                self.after[place - 1] = place
            linked = True

    def _count(self, pair: Pair, place: int) -> None:
        self.counts[pair] += self.weights[place]
        self.places[pair].append(place)

    def entry(self, pair: Pair) -> Entry:
        """Sorted by the tie rule; the smallest comes out of the queue first."""
        piece = pair[0] + pair[1]
        return -self.counts[pair], len(piece), piece, len(pair[0]), pair

    def merge(self, pair: Pair) -> set[Pair]:
        """Join the pair wherever it stands; the pairs that are there since."""
        symbols, (a, b) = self.symbols, pair
        new: set[Pair] = set()
        for left in sorted(self.places.pop(pair)):  # from left to right: "aaa" gives "aa", "a"
            right = self.after[left]
            if symbols[left] != a or right < 0 or symbols[right] != b:
                continue  # merged with something else since
            weight, previous, following = self.weights[left], self.before[left], self.after[right]
            if previous >= 0:
                self.counts[symbols[previous], a] -= weight
                self._count((symbols[previous], a + b), previous)
                new.add((symbols[previous], a + b))
            if following >= 0:
                self.counts[b, symbols[following]] -= weight
                self._count((a + b, symbols[following]), left)
                new.add((a + b, symbols[following]))
                self.before[following] = left
            symbols[left], symbols[right] = a + b, ""
            self.after[left] = following
        del self.counts[pair]
        return new
