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
    """Scores that count what is done with them, so that no clock is needed to tell a queue from a
    search that begins again after every merge: that asks n²/2 questions about pairs that are no
    piece, where a queue asks about 2 n. Whoever copies the scores into a dict of their own is
    counted by the pieces when they are found, and by the scores when they are compared."""

    def __init__(self, items=(), limit=0):
        items = dict(items).items()
        super().__init__({Found(piece, self): Compared(score, self) for piece, score in items})
        self.limit, self.missed, self.found, self.compared = limit, 0, 0, 0

    def __contains__(self, key):
        return dict.__contains__(self, key) or self._miss()

    def get(self, key, default=None):
        return self[key] if key in self else default

    def __missing__(self, key):
        self._miss()
        raise KeyError(key)

    def __deepcopy__(self, memo):
        return Asked(self, limit=self.limit)

    def _miss(self):
        self.missed += 1
        self.check()
        return False

    def check(self):
        for number, what in (
            (self.missed, "questions to `scores` about pairs that are no piece"),
            (self.found, "look-ups that found a piece"),
            (self.compared, "comparisons of scores"),
        ):
            if self.limit and number > self.limit:
                raise TooManyQuestions(
                    f"this text of 2,000 symbols has had {number:,} {what}, and still no end; "
                    f"about 6,000 are enough."
                )


class Found(str):
    """A piece that tells its Asked whenever it is found, in whichever dict that is."""

    def __new__(cls, piece, asked):
        self = super().__new__(cls, piece)
        self.asked = asked
        return self

    def __eq__(self, other):
        if not str.__eq__(self, other):
            return False
        self.asked.found += 1
        self.asked.check()
        return True

    __hash__ = str.__hash__


class Compared(float):
    """A score that tells its Asked whenever it is compared, or negated to be compared."""

    def __new__(cls, score, asked):
        self = super().__new__(cls, score)
        self.asked = asked
        return self

    def _count(self):
        self.asked.compared += 1
        self.asked.check()

    def __lt__(self, other):
        self._count()
        return float(self) < other

    def __gt__(self, other):
        self._count()
        return float(self) > other

    def __le__(self, other):
        self._count()
        return float(self) <= other

    def __ge__(self, other):
        self._count()
        return float(self) >= other

    def __neg__(self):
        self._count()
        return -float(self)


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
        (list("abcdeabcd"), {"cd": 0.0, "ab": -1.0, "abcd": -2.0, "abcde": -3.0, "abcdd": -4.0}),
        (list("xabcxab"), {"bc": 0.0, "xa": -1.0, "abc": -1.0}),
        ([], {"ab": -1.0}),
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


def _by_place(
    symbols,
    scores,
    *,
    entry=lambda score, i, piece, size: (-score, i),
    wanted=lambda piece, scores: piece in scores,
    first=0,
    fresh=("left", "right"),
    marks=True,
    asks_alive=True,
    asks_piece=True,
    skips=True,
    once=False,
    jump=False,
    push=heapq.heappush,
    pop=heapq.heappop,
):
    """Another way to write the queue: an entry holds its left place and its piece, and finds its
    right place when it comes out. With one thing wrong, for the misconceptions below."""
    symbols = list(symbols)
    n = len(symbols)
    left, right, alive = list(range(-1, n - 1)), list(range(1, n + 1)), [True] * n
    heap = []

    def offer(i):
        if 0 <= i and right[i] < n:
            piece = symbols[i] + symbols[right[i]]
            if wanted(piece, scores):
                push(heap, (entry(scores.get(piece, 0.0), i, piece, len(heap)), i, piece))

    for i in range(first, n):
        offer(i)
    rounds = len(heap) if once else -1
    while heap and rounds:
        rounds -= 1
        _, i, piece = pop(heap)
        j = right[i]
        stale = (asks_alive and not alive[i]) or j >= n
        if stale or (asks_piece and symbols[i] + symbols[j] != piece):
            if skips:
                continue
            break
        symbols[i] = symbols[i] + symbols[j]
        alive[j] = not marks
        right[i] = j + 1 if jump else right[j]
        if right[i] < n:
            left[right[i]] = i
        if "left" in fresh:
            offer(left[i])
        if "right" in fresh:
            offer(i)
    return [symbol for symbol, there in zip(symbols, alive) if there]


@wrong(
    "You skip an entry if a symbol is gone, but not if it has grown: an old (a, b) then joins a"
    " to a longer symbol, and makes something that may be no piece."
)
def does_not_ask_what_it_makes(symbols, scores):
    return _by_place(symbols, scores, asks_piece=False)


@wrong(
    "You compare the piece but do not ask whether its left place is still there. A symbol that "
    "was swallowed keeps its letters in your list, and may seem to fit once more."
)
def does_not_ask_if_alive(symbols, scores):
    return _by_place(symbols, scores, asks_alive=False)


@wrong(
    "You never mark the right symbol as gone, so it appears in the result beside the piece that it "
    "is part of."
)
def forgets_to_mark_it_gone(symbols, scores):
    return _by_place(symbols, scores, marks=False)


@wrong(
    "After a merge you offer the pair to the left only. The new piece has a neighbour on its "
    "right as well."
)
def only_the_left_neighbour(symbols, scores):
    return _by_place(symbols, scores, fresh=("left",))


@wrong(
    "You link the merged place with the one at j + 1. That may be gone already, swallowed by j: "
    "link with the place that stood right of j in your list, `right[j]`."
)
def links_with_the_next_place(symbols, scores):
    return _by_place(symbols, scores, jump=True)


@wrong(
    "The pair at place 0 is never offered at the start. Begin with 0: it is a place like any other."
)
def begins_at_place_one(symbols, scores):
    return _by_place(symbols, scores, first=1)


@wrong(
    "You take out as many entries as the queue had at the start. New ones have come in since: go "
    "on until it is empty."
)
def one_round_only(symbols, scores):
    return _by_place(symbols, scores, once=True)


@wrong(
    "At the first stale entry you stop. It says nothing about those behind it: drop it and go on, "
    "`continue` and not `break`."
)
def stops_at_a_stale_entry(symbols, scores):
    return _by_place(symbols, scores, skips=False)


@wrong(
    "You offer every pair, and one that makes no piece counts 0, which is the best score there "
    "is. What is no piece must not go in."
)
def offers_what_is_no_piece(symbols, scores):
    return _by_place(symbols, scores, wanted=lambda piece, scores: True)


@wrong(
    "You take a score of 0.0 for no score, because Python counts 0.0 as false: the best piece "
    "of all is never made. Compare with None."
)
def zero_is_nothing(symbols, scores):
    return _by_place(symbols, scores, wanted=lambda piece, scores: scores.get(piece))


@wrong(
    "Equal scores come out in an order that hangs on how full the queue was. The leftmost goes "
    "first: put the place behind the score."
)
def ties_by_the_size_of_the_queue(symbols, scores):
    return _by_place(symbols, scores, entry=lambda score, i, piece, size: (-score, size))


@wrong("Of equal scores you take the longer piece. The leftmost goes first, however short.")
def ties_by_length(symbols, scores):
    return _by_place(symbols, scores, entry=lambda score, i, piece, size: (-score, -len(piece), i))


@wrong(
    "You take entries out in the order in which they went in. A list is no queue of the best: "
    "`heapq.heappush` and `heapq.heappop` keep it one."
)
def first_in_first_out(symbols, scores):
    return _by_place(symbols, scores, push=list.append, pop=lambda heap: heap.pop(0))


@wrong(
    "You take out the entry that went in last. A list is no queue of the best: "
    "`heapq.heappush` and `heapq.heappop` keep it one."
)
def last_in_first_out(symbols, scores):
    return _by_place(symbols, scores, push=list.append, pop=list.pop)


@wrong(
    "You append to the list, and heapq does not hear of it: what it hands out is then no longer "
    "the smallest. Put entries in with `heapq.heappush`."
)
def appends_and_pops_from_a_heap(symbols, scores):
    return _by_place(symbols, scores, push=list.append)


@wrong(
    "You cut merged symbols out of the list, and all places behind them move, while the entries in "
    "the queue still hold the old ones. Leave a gap, and keep each place's neighbours in two lists."
)
def cuts_symbols_out(symbols, scores):
    symbols, heap = list(symbols), []

    def offer(i):
        if 0 <= i < len(symbols) - 1 and symbols[i] + symbols[i + 1] in scores:
            piece = symbols[i] + symbols[i + 1]
            heapq.heappush(heap, (-scores[piece], i, piece))

    for i in range(len(symbols) - 1):
        offer(i)
    while heap:
        _, i, piece = heapq.heappop(heap)
        if i + 1 < len(symbols) and symbols[i] + symbols[i + 1] == piece:
            symbols[i : i + 2] = [piece]
            offer(i - 1)
            offer(i)
    return symbols


@wrong(
    "You go over the symbols once and merge what fits with what came before. A pair further on "
    "may have a higher score, and must be merged first."
)
def single_pass(symbols, scores):
    merged = []
    for symbol in symbols:
        merged.append(symbol)
        while len(merged) > 1 and merged[-2] + merged[-1] in scores:
            merged[-2:] = [merged[-2] + merged[-1]]
    return merged


@wrong(
    "The pieces are right, but you put them together in the caller's own list, which is changed "
    "now. Begin with `list(symbols)`, a copy."
)
def in_the_callers_list(symbols, scores):
    pieces = _by_place(symbols, scores)
    symbols[:] = pieces
    return symbols


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
