"""Notebook 01, exercise 5: The priority queue."""

import heapq
import random

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb01.common import _encode_reference, encode_by_score

wrong = WrongAnswers()


def encode_with_heap(symbols, scores):
    symbols = list(symbols)
    n = len(symbols)
    left, right = list(range(-1, n - 1)), list(range(1, n + 1))
    heap = []

    def offer(i, j):
        if i >= 0 and j < n:
            score = scores.get(symbols[i] + symbols[j])
            if score is not None:
                heapq.heappush(heap, (-score, i, j, symbols[i] + symbols[j]))

    for i in range(n - 1):
        offer(i, i + 1)
    while heap:
        _, i, j, piece = heapq.heappop(heap)
        if symbols[i] is None or symbols[j] is None or symbols[i] + symbols[j] != piece:
            continue
        symbols[i], symbols[j] = piece, None
        right[i] = right[j]
        if right[i] < n:
            left[right[i]] = i
        offer(left[i], i)
        offer(i, right[i])
    return [symbol for symbol in symbols if symbol is not None]


class TooManyQuestions(Exception):
    """A long text was looked through again and again."""


class Asked(dict):
    """Scores that count the questions about pairs which are no piece. Looking at every pair again
    after every merge asks n²/2 of them, a queue about 3 n, so that no clock is needed to tell
    the two apart."""

    def __init__(self, items=(), limit=0):
        super().__init__(items)
        self.limit, self.missed = limit, 0

    def __contains__(self, key):
        return dict.__contains__(self, key) or self._miss()

    def get(self, key, default=None):
        return self[key] if key in self else default

    def __missing__(self, key):
        self._miss()
        raise KeyError(key)

    def _miss(self):
        self.missed += 1
        if self.missed > self.limit:
            raise TooManyQuestions(
                f"this text of 2,000 symbols has had {self.missed:,} questions to `scores` about "
                f"pairs that are no piece, and still no end; about 6,000 are enough."
            )
        return False


def _heap_probes():
    draw = random.Random(1)
    letters = "".join(draw.choices("abcdefgh", k=2000))
    pieces = ["ab", "cd", "abcd", "ef", "gh", "hg", "efa", "ba", "dab", "aa", "aaa", "bcd", "cde"]
    scores = {piece: -float(i) for i, piece in enumerate(pieces)}
    ties = {"▁" * n: -1e9 for n in range(1, 17)} | {"▁b": -1.0, "a▁": -2.0}
    late = {"bc": -2.0, "ab": -3.0, "cd": -1.0, "abcd": -9.0, "bcd": -4.0, "de": -5.0}
    even = {"aa": -1.0, "ab": -1.0, "ba": -1.0, "aab": -1.0, "baa": -1.0, "abab": -1.0}
    return [
        (list("hello"), {"he": 0.0, "ll": -1.0, "llo": -2.0, "hel": -3.0, "hello": -4.0}),
        (list("abcdeabcabcde"), late),
        (list("xab"), {"ab": 0.0}),
        (list("▁▁▁▁▁a▁▁▁▁b▁▁▁▁▁▁▁"), ties),
        (list("abaabbaaababaaabaabbab"), even),
        (list("aaaaaaa"), {"aa": -1.0, "aaa": -3.0, "aaaa": -2.0}),
        (["x"], {"xx": -1.0}),
        (list(letters), Asked(scores, limit=20_000)),
    ]


def _heap_variant(
    symbols, scores, *, key=None, believe=False, alive=False, push="both", relink=True
):
    """The queue with one thing wrong, for the misconceptions below."""
    symbols = list(symbols)
    n = len(symbols)
    left, right = list(range(-1, n - 1)), list(range(1, n + 1))
    heap, pushed = [], 0

    def offer(i, j):
        nonlocal pushed
        if i < 0 or j >= n:
            return
        piece = symbols[i] + symbols[j]
        if piece in scores:
            pushed += 1
            order = key(scores[piece], i, pushed, piece) if key else (-scores[piece], i)
            heapq.heappush(heap, (order, i, j, piece))

    for i in range(n - 1):
        offer(i, i + 1)
    while heap:
        _, i, j, piece = heapq.heappop(heap)
        if not believe and (not symbols[i] or not symbols[j]):
            continue
        if not believe and not alive and symbols[i] + symbols[j] != piece:
            continue
        symbols[i], symbols[j] = symbols[i] + symbols[j], ""
        right[i] = right[j]
        if right[i] < n and relink:
            left[right[i]] = i
        if push in ("both", "left"):
            offer(left[i], i)
        if push in ("both", "right"):
            offer(i, right[i])
    return [symbol for symbol in symbols if symbol]


@wrong(
    "You believe every entry that comes out of the queue. Since it was put in, one of its "
    "symbols may have been merged with something else: such entries are stale."
)
def believes_old_entries(symbols, scores):
    return _heap_variant(symbols, scores, believe=True)


@wrong(
    "You skip an entry if a symbol is gone, but not if it has grown: an old (a, b) then joins a"
    " to a longer symbol, and makes something that may be no piece."
)
def only_asks_if_alive(symbols, scores):
    return _heap_variant(symbols, scores, alive=True)


@wrong(
    "heapq hands out the smallest first, so you merge the lowest scores first. Put the negative"
    " score in."
)
def worst_first(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (score, i))


@wrong(
    "Equal scores come out in the order in which you put them in. A pair that came up late may "
    "stand further left, and the leftmost goes first."
)
def ties_by_arrival(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, pushed))


@wrong(
    "Equal scores come out in alphabetical order: in your tuple the piece stands before the "
    "place. The leftmost goes first."
)
def ties_by_spelling(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, piece, i))


@wrong(
    "With equal scores you take the rightmost pair. The place must count upwards in the tuple; "
    "only the score is negated."
)
def ties_to_the_right(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, -i))


@wrong("After a merge you offer no new pairs, so no piece is ever longer than two symbols.")
def no_new_neighbours(symbols, scores):
    return _heap_variant(symbols, scores, push="none")


@wrong(
    "After a merge you offer the pair to the right only. The new piece has a neighbour on its "
    "left as well."
)
def only_the_right_neighbour(symbols, scores):
    return _heap_variant(symbols, scores, push="right")


@wrong(
    "You mend one direction of the list only: the symbol behind the merged one must also learn "
    "who its left neighbour is now."
)
def forgets_the_way_back(symbols, scores):
    return _heap_variant(symbols, scores, relink=False)


@wrong(
    "The pieces are right, but you look at all pairs again after every merge: a text ten times "
    "as long takes a hundred times as long."
)
def looks_at_everything_again(symbols, scores):
    return encode_by_score(symbols, scores)


EXERCISE = Exercise(
    name="encode_with_heap",
    title="The priority queue",
    points=4,
    minutes=30,
    answer=encode_with_heap,
    reference=_encode_reference,
    probes=_heap_probes,
    misconceptions=wrong.all,
    hints=(
        "A merge changes the neighbours of one place only. So keep the candidates in a heap, "
        "and after a merge add just the two new pairs. Old candidates stay in the heap: "
        "find out how to recognise them when they come out.",
        "Three lists of the same length: the symbols, and for each place the place to its "
        "left and to its right. Merging i with j puts the piece at i, marks j as gone, and "
        "links i with what stood right of j, both ways. Heap entries are tuples; heapq "
        "compares them item by item, so their order decides ties.",
        "An entry (-score, i, j, piece) is good if both places are still there and their "
        "symbols still join to that piece; otherwise go on. A helper `offer(i, j)` that does "
        "nothing outside the text, or for a pair that is no piece, serves before the loop "
        "and inside it.",
    ),
)
