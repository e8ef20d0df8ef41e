"""Notebook 01: byte-pair encoding by hand, from counting pairs to a priority queue.

Encoding and decoding are judged by the sentencepiece library itself: a model is made in memory
from the probe's pieces, and its answer is the expected one.
"""

import heapq
import random
import re
from collections import Counter

import sentencepiece

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question
from llamalab.tokenizer import bpe
from llamalab.tokenizer.model_file import BPE, BYTE, CONTROL, NORMAL, UNKNOWN, ModelProto


def _library(scores, dummy_prefix):
    """The sentencepiece library with exactly these pieces, beside specials and bytes."""
    model = ModelProto()
    model.pieces.add(piece="<unk>", type=UNKNOWN)
    for piece in ("<s>", "</s>"):
        model.pieces.add(piece=piece, type=CONTROL)
    for piece in bpe.BYTE_PIECES:
        model.pieces.add(piece=piece, type=BYTE)
    for piece, score in scores.items():
        model.pieces.add(piece=piece, score=score, type=NORMAL)
    model.trainer_spec.model_type = BPE
    model.trainer_spec.byte_fallback = True
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = dummy_prefix
    model.normalizer_spec.remove_extra_whitespaces = False
    return sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())


# --- count pairs ----------------------------------------------------------------------------------


def count_pairs(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + times
    return counts


def _count_probes():
    return [
        ({("▁", "t", "h", "e"): 5, ("▁", "t", "h", "e", "n"): 3, ("▁", "h", "e", "n"): 4},),
        ({("a", "a", "a", "a"): 2, ("b", "a", "a"): 3},),
        ({("a", "bc", "ab", "c"): 4, ("c", "b", "b", "c"): 7},),
        ({("I",): 9, ("x", "y"): 1},),
        ({},),
    ]


def ignores_word_counts(words):
    return Counter(pair for word in words for pair in zip(word, word[1:]))


def counts_across_words(words):
    row = [symbol for word, times in words.items() for symbol in word * times]
    return Counter(zip(row, row[1:]))


def skips_overlaps(words):
    counts = Counter()
    for word, times in words.items():
        i = 0
        while i < len(word) - 1:
            counts[word[i], word[i + 1]] += times
            same = i + 2 < len(word) and word[i] == word[i + 1] == word[i + 2]
            i += 2 if same else 1
    return counts


def once_a_word(words):
    counts = Counter()
    for word, times in words.items():
        for pair in set(zip(word, word[1:])):
            counts[pair] += times
    return counts


def forgets_the_order(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[min(a, b), max(a, b)] += times
    return counts


def steps_by_two(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(0, len(word) - 1, 2):
            counts[word[i], word[i + 1]] += times
    return counts


def joins_the_pair(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[a + b] += times
    return counts


# --- merge a pair ---------------------------------------------------------------------------------


def merge_pair(symbols, pair):
    merged = []
    i = 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == tuple(pair):
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def _merge_probes():
    return [
        (list("▁then"), ("h", "e")),
        (list("aaa"), ("a", "a")),
        (list("aaaab"), ("a", "a")),
        (["ca", "b", "a", "b", "b", "a"], ("a", "b")),
        (list("bananab"), ("a", "n")),
        (["t"], ("t", "h")),
        ([], ("t", "h")),
    ]


def from_right_to_left(symbols, pair):
    merged, i = [], len(symbols)
    while i > 0:
        if tuple(symbols[max(i - 2, 0) : i]) == pair:
            merged.append(pair[0] + pair[1])
            i -= 2
        else:
            merged.append(symbols[i - 1])
            i -= 1
    return merged[::-1]


def only_the_first(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == pair:
            return symbols[:i] + [pair[0] + pair[1]] + symbols[i + 2 :]
    return symbols


def loses_the_last(symbols, pair):
    merged, i = [], 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def merges_the_merged(symbols, pair):
    merged = []
    for symbol in symbols:
        if merged and merged[-1].endswith(pair[0]) and symbol == pair[1]:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def replaces_in_the_text(symbols, pair):
    return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split()


def uses_a_half_twice(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
        else:
            merged.append(symbol)
    return merged


def in_either_order(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) in (pair, pair[::-1]):
            merged.append(symbols[i] + symbols[i + 1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


def in_the_callers_list(symbols, pair):
    i = 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            symbols[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return symbols


# --- encode by score ------------------------------------------------------------------------------


def encode_by_score(symbols, scores):
    symbols = list(symbols)
    while True:
        best, place = None, None
        for i in range(len(symbols) - 1):
            score = scores.get(symbols[i] + symbols[i + 1])
            if score is not None and (best is None or score > best):
                best, place = score, i
        if place is None:
            return symbols
        symbols[place : place + 2] = [symbols[place] + symbols[place + 1]]


def _encode_reference(symbols, scores):
    characters = {symbol: -1e6 for symbol in symbols if symbol not in scores}
    return _library({**scores, **characters}, False).encode("".join(symbols), out_type=str)


def _encode_probes():
    hello = {"ll": -1.0, "he": 0.0, "llo": -2.0, "hel": -3.0, "lo": -4.0, "hell": -5.0}
    spaces = {"▁" * n: -1e9 for n in range(1, 5)} | {"▁H": -7.0, "▁Hi": -8.0}
    jumps = {"ab": -5.0, "aba": -1.0, "bc": -3.0, "cab": -2.0, "abc": -4.0}
    return [
        (list("hello"), hello),
        (list("helloelhellll"), hello),
        (list("▁Hi▁▁▁Hi▁▁▁▁▁▁"), spaces),
        (list("ababcabcababab"), jumps),
        (list("aaaaa"), {"aa": -1.0, "aaa": -2.0}),
        (list("abcbcab"), {"ab": -3.0, "bc": -3.0, "cb": -3.0}),
        (list("abcxyzabc"), {"bc": -1.0, "abc": -2.0, "xyz": 0.0}),
        (["a"], {"aa": -1.0}),
    ]


def rightmost_tie(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        i = max(places, key=lambda i: (scores[pairs[i]], i))
        symbols[i : i + 2] = [pairs[i]]


def longest_match(symbols, scores):
    text, pieces, i = "".join(symbols), [], 0
    while i < len(text):
        ends = [j for j in range(len(text), i + 1, -1) if text[i:j] in scores]
        end = ends[0] if ends else i + 1
        pieces.append(text[i:end])
        i = end
    return pieces


def merges_all_alike(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [pair for pair in zip(symbols, symbols[1:]) if "".join(pair) in scores]
        if not pairs:
            return symbols
        symbols = merge_pair(symbols, max(pairs, key=lambda pair: scores["".join(pair)]))


def lowest_score(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        i = min(places, key=lambda i: scores[pairs[i]])
        symbols[i : i + 2] = [pairs[i]]


def scores_of_the_parts(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = list(zip(symbols, symbols[1:]))
        places = [i for i, pair in enumerate(pairs) if "".join(pair) in scores]
        if not places:
            return symbols
        i = max(places, key=lambda i: sum(scores.get(part, 0.0) for part in pairs[i]))
        symbols[i : i + 2] = ["".join(pairs[i])]


def single_pass(symbols, scores):
    merged = []
    for symbol in symbols:
        if merged and merged[-1] + symbol in scores:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def the_first_that_fits(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        symbols[places[0] : places[0] + 2] = [pairs[places[0]]]


def zero_is_nothing(symbols, scores):
    symbols = list(symbols)
    while True:
        best, place = None, None
        for i, pair in enumerate(zip(symbols, symbols[1:])):
            score = scores.get("".join(pair))
            if score and (best is None or score > best):
                best, place = score, i
        if place is None:
            return symbols
        symbols[place : place + 2] = ["".join(symbols[place : place + 2])]


def replays_the_merges(symbols, scores):
    symbols = list(symbols)
    for piece in sorted(scores, key=lambda piece: -scores[piece]):
        i = 0
        while i < len(symbols) - 1:
            if symbols[i] + symbols[i + 1] == piece:
                symbols[i : i + 2] = [piece]
            i += 1
    return symbols


# --- decode ---------------------------------------------------------------------------------------


def decode_pieces(pieces):
    data = b""
    for piece in pieces:
        if piece in ("<s>", "</s>"):
            continue
        if re.fullmatch("<0x[0-9A-F]{2}>", piece):
            data += bytes([int(piece[3:5], 16)])
        else:
            data += piece.replace("▁", " ").encode("utf-8")
    return data.decode("utf-8", errors="replace").removeprefix(" ")


def _decode_reference(pieces):
    known = {"<s>", "</s>", *bpe.BYTE_PIECES}
    library = _library({piece: -1.0 for piece in pieces if piece not in known}, True)
    return library.decode([library.piece_to_id(piece) for piece in pieces])


def _decode_probes():
    return [
        (["▁Hello", "▁w", "orld"],),
        (["<s>", "▁Hello", "</s>"],),
        (["▁▁▁", "Hi", "▁", "▁you", "▁▁"],),
        (["▁caf", "<0xC3>", "<0xA9>", "<0x0A>", "▁", "<0xE4>", "<0xBD>", "<0xA0>"],),
        (["<0xF0>", "<0x9F>", "<0x98>", "<0x80>", "▁", "<0xFF>", "!"],),
        (["▁", "<", "0", "x", "4", "1", ">"],),
        (["▁", "<0x41>b", "<b>", "<0xe4>", "<str", "<0x"],),
        (["▁"],),
        ([],),
    ]


def _decoded(pieces, *, specials=False, encoding="utf-8", errors="replace"):
    data = b""
    for piece in pieces:
        if piece in ("<s>", "</s>") and not specials:
            continue
        if piece in bpe.BYTE_OF:
            data += bytes([bpe.BYTE_OF[piece]])
        else:
            data += piece.replace("▁", " ").encode(encoding)
    return data.decode(encoding, errors)


def strips_every_space(pieces):
    return _decoded(pieces).lstrip(" ")


def strips_both_ends(pieces):
    return _decoded(pieces).strip(" ")


def keeps_the_prefix(pieces):
    return _decoded(pieces)


def looks_before_the_start(pieces):
    text = _decoded(pieces)
    return text[1:] if pieces and pieces[0].startswith("▁") else text


def cuts_the_first_character(pieces):
    return _decoded(pieces)[1:]


def a_space_for_every_piece(pieces):
    words = [piece.replace("▁", "") for piece in pieces if piece not in ("<s>", "</s>")]
    return " ".join(words)


def each_byte_alone(pieces):
    return "".join(_decoded([piece]) for piece in pieces).removeprefix(" ")


def bytes_as_latin_1(pieces):
    text = ""
    for piece in pieces:
        text += chr(bpe.BYTE_OF[piece]) if piece in bpe.BYTE_OF else _decoded([piece])
    return text.removeprefix(" ")


def drops_broken_bytes(pieces):
    return _decoded(pieces, errors="ignore").removeprefix(" ")


def prints_specials(pieces):
    return _decoded(pieces, specials=True).removeprefix(" ")


def reads_bytes_in_the_text(pieces):
    text = "".join(piece for piece in pieces if piece not in ("<s>", "</s>"))
    data = text.replace("▁", " ").encode("utf-8")
    data = re.sub(rb"<0x([0-9A-F]{2})>", lambda match: bytes([int(match[1], 16)]), data)
    return data.decode("utf-8", errors="replace").removeprefix(" ")


# --- the priority queue ---------------------------------------------------------------------------


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


def believes_old_entries(symbols, scores):
    return _heap_variant(symbols, scores, believe=True)


def only_asks_if_alive(symbols, scores):
    return _heap_variant(symbols, scores, alive=True)


def worst_first(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (score, i))


def ties_by_arrival(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, pushed))


def ties_by_spelling(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, piece, i))


def ties_to_the_right(symbols, scores):
    return _heap_variant(symbols, scores, key=lambda score, i, pushed, piece: (-score, -i))


def no_new_neighbours(symbols, scores):
    return _heap_variant(symbols, scores, push="none")


def only_the_right_neighbour(symbols, scores):
    return _heap_variant(symbols, scores, push="right")


def forgets_the_way_back(symbols, scores):
    return _heap_variant(symbols, scores, relink=False)


def looks_at_everything_again(symbols, scores):
    return encode_by_score(symbols, scores)


EXERCISES = (
    Exercise(
        name="count_pairs",
        title="Count the pairs",
        points=1,
        minutes=5,
        answer=count_pairs,
        reference=bpe.count_pairs,
        probes=_count_probes,
        misconceptions=(
            Misconception(
                ignores_word_counts,
                "You count every word once, however often it occurs: a rare word then weighs as "
                "much as `the`, and the vocabulary fills with pieces that nobody needs.",
            ),
            Misconception(
                counts_across_words,
                "You ran the words together, so that the last letter of one pairs with the first "
                "of the next. Llama 2's pieces stay inside words.",
            ),
            Misconception(
                skips_overlaps,
                "You skip pairs that overlap: `aaa` holds (a, a) twice, at 0 and at 1. Only "
                "merging has to choose between them; counting does not.",
            ),
            Misconception(
                once_a_word,
                "You count a pair at most once in a word, but `banana` holds (a, n) twice, and "
                "merging it would save two tokens.",
            ),
            Misconception(
                forgets_the_order,
                "You count (a, b) and (b, a) together. A merge joins symbols in the order in "
                "which they stand: `on` and `no` are different pieces.",
            ),
            Misconception(
                steps_by_two,
                "You step by two and see half of the pairs: in `then`, (h, e) stands between "
                "(t, h) and (e, n), and must be counted as well.",
            ),
            Misconception(
                joins_the_pair,
                "Your keys are joined strings, and `abc` does not tell (a, bc) from (ab, c): two "
                "pairs share one count. Use the tuple of both symbols as the key.",
            ),
        ),
        hints=(
            "Every word is a tuple of symbols with a number beside it. A pair inside the word "
            "occurs in the text as often as the word does.",
            "Two loops: over the words with their counts, and inside over the places where a "
            "pair begins. Each visit adds to that pair's total; what it adds is not 1.",
            "`zip(word, word[1:])` walks over the neighbours, overlapping ones included. A key "
            "that is not there yet counts as 0; `dict.get` or a `Counter` sees to that.",
        ),
    ),
    Exercise(
        name="merge_pair",
        title="Merge a pair",
        points=2,
        minutes=7,
        answer=merge_pair,
        reference=bpe.merge_pair,
        probes=_merge_probes,
        misconceptions=(
            Misconception(
                from_right_to_left,
                "You merge from right to left, so `aaa` becomes a + aa. SentencePiece goes from "
                "the left: aa + a.",
            ),
            Misconception(
                only_the_first,
                "You merge the first occurrence and stop. One training step merges the pair "
                "everywhere, or its count would never fall to zero.",
            ),
            Misconception(
                loses_the_last,
                "The last symbol is lost when it is not part of a merge: your loop stops before "
                "it, because no pair begins there. Letters must never disappear.",
            ),
            Misconception(
                merges_the_merged,
                "You compare with the end of the piece that you have just made, so `aaa` becomes "
                "one piece. A merge joins two whole symbols, once.",
            ),
            Misconception(
                replaces_in_the_text,
                "You replaced inside one long string, and there `ca b` contains `a b`: a pair "
                "must match whole symbols, and `ca` is not `a`.",
            ),
            Misconception(
                uses_a_half_twice,
                "After a merge you step on by one and meet its right half again: letters come "
                "out twice. A merge uses up two symbols.",
            ),
            Misconception(
                in_either_order,
                "You merge (b, a) as well when asked for (a, b). `no` is not `on`.",
            ),
            Misconception(
                in_the_callers_list,
                "The result is right, but you built it inside the caller's own list, which is "
                "changed now. Build a new one.",
            ),
        ),
        hints=(
            "Walk from left to right and build a new list. At each place there are two cases: "
            "the pair begins here, or it does not.",
            "Use `while` and an index of your own, because the two cases step on by different "
            "amounts. Take care that the last symbol is visited too.",
            "`symbols[i : i + 2]` is never too long at the end: a slice just comes out shorter. "
            "Compare it with the pair as a tuple; append either the joined piece or the symbol.",
        ),
    ),
    Exercise(
        name="encode_by_score",
        title="Encode by score",
        points=2,
        minutes=10,
        answer=encode_by_score,
        reference=_encode_reference,
        probes=_encode_probes,
        misconceptions=(
            Misconception(
                rightmost_tie,
                "On a tie you take the rightmost pair; SentencePiece takes the leftmost. Is there "
                "a `>=` that should be a `>`?",
            ),
            Misconception(
                longest_match,
                "You take the longest piece that fits at each place, as WordPiece does. Llama 2 "
                "asks for the highest score, however short the piece.",
            ),
            Misconception(
                merges_all_alike,
                "You merge the best pair everywhere at once, as in training. Encoding merges one "
                "place at a time: the new piece may at once be part of a better pair, and take "
                "its neighbour's symbol.",
            ),
            Misconception(
                lowest_score,
                "You merge the lowest score first. Scores are minus the order of learning: 0 was "
                "learned first, and the highest wins.",
            ),
            Misconception(
                scores_of_the_parts,
                "You compare the scores of the two halves. What counts is the score of the piece "
                "that they make together.",
            ),
            Misconception(
                single_pass,
                "You go over the symbols once, from left to right. A merge makes new neighbours, "
                "to the left as well: start again until nothing merges.",
            ),
            Misconception(
                the_first_that_fits,
                "You merge the first pair that makes a piece, without asking whether a pair "
                "further on has a higher score.",
            ),
            Misconception(
                zero_is_nothing,
                "You take a score of 0.0 for no score, because Python counts 0.0 as false: the "
                "best piece of all is never made. Compare with None.",
            ),
            Misconception(
                replays_the_merges,
                "You replay the merges in order, each once. A piece that gets its chance later, "
                "or again, is missed: ask for the best pair anew after every merge.",
            ),
        ),
        hints=(
            "Repeat: look at all neighbours, choose one pair, merge it. Stop when no two "
            "neighbours make a piece.",
            "An endless loop with one search inside. The search remembers the best score so far "
            "and its place; after it, either return or merge at that place.",
            "Going from left to right, the earlier of two equals stays if only a strictly higher "
            "score may replace it. Mind that 0.0 is a score, and is false: compare with None.",
        ),
    ),
    Exercise(
        name="decode_pieces",
        title="From pieces back to text",
        points=2,
        minutes=8,
        answer=decode_pieces,
        reference=_decode_reference,
        probes=_decode_probes,
        misconceptions=(
            Misconception(
                strips_every_space,
                "You take away all leading spaces. Only one was added by encoding; the others "
                "are the writer's own, and code without its indentation is broken.",
            ),
            Misconception(
                strips_both_ends,
                "You strip both ends. Encoding added one space in front and nothing behind.",
            ),
            Misconception(
                keeps_the_prefix,
                "The space that encoding put in front is still there: `Hello` comes back as "
                "` Hello`.",
            ),
            Misconception(
                looks_before_the_start,
                "You look for the added space in the first piece only. After `<s>`, which is no "
                "text, it is in the second.",
            ),
            Misconception(
                cuts_the_first_character,
                "You cut off the first character whatever it is. Pieces that a model writes may "
                "begin without a space, and then the cut hits a letter.",
            ),
            Misconception(
                a_space_for_every_piece,
                "You put a space between pieces, as between words. The spaces are in the pieces, "
                "as ▁: `▁w` and `orld` belong together.",
            ),
            Misconception(
                each_byte_alone,
                "You decode every byte by itself. One character may be made of four byte pieces: "
                "collect the bytes of the whole text, then decode.",
            ),
            Misconception(
                bytes_as_latin_1,
                "You turn each byte into the character of that number, which is Latin-1: `é` "
                "becomes `Ã©`. The bytes are UTF-8.",
            ),
            Misconception(
                drops_broken_bytes,
                "You drop bytes that make no character. A model can produce them, and the "
                "library shows each as � so that one can see it.",
            ),
            Misconception(
                prints_specials,
                "You print `<s>` and `</s>`. They are signals to the model, not text.",
            ),
            Misconception(
                reads_bytes_in_the_text,
                "You looked for `<0x41>` in the joined text, so a user who types those six "
                "characters gets an A. Only a whole piece is a byte.",
            ),
        ),
        hints=(
            "Several pieces may be the bytes of one character, so the text can only be decoded "
            "when all its bytes are together.",
            "Build one `bytes` value: nothing for a special piece, one byte for a byte piece, "
            "the UTF-8 of everything else. Decode at the end, then see to the first space.",
            "`<0xE4>` holds two hexadecimal digits at [3:5]; int(…, 16) reads them. Broken bytes: "
            'errors="replace". One space, once: str.removeprefix.',
        ),
    ),
    Exercise(
        name="encode_with_heap",
        title="The priority queue",
        points=4,
        minutes=30,
        answer=encode_with_heap,
        reference=_encode_reference,
        probes=_heap_probes,
        misconceptions=(
            Misconception(
                believes_old_entries,
                "You believe every entry that comes out of the queue. Since it was put in, one of "
                "its symbols may have been merged with something else: such entries are stale.",
            ),
            Misconception(
                only_asks_if_alive,
                "You skip an entry if a symbol is gone, but not if it has grown: an old (a, b) "
                "then joins a to a longer symbol, and makes something that may be no piece.",
            ),
            Misconception(
                worst_first,
                "heapq hands out the smallest first, so you merge the lowest scores first. Put "
                "the negative score in.",
            ),
            Misconception(
                ties_by_arrival,
                "Equal scores come out in the order in which you put them in. A pair that came up "
                "late may stand further left, and the leftmost goes first.",
            ),
            Misconception(
                ties_by_spelling,
                "Equal scores come out in alphabetical order: in your tuple the piece stands "
                "before the place. The leftmost goes first.",
            ),
            Misconception(
                ties_to_the_right,
                "With equal scores you take the rightmost pair. The place must count upwards in "
                "the tuple; only the score is negated.",
            ),
            Misconception(
                no_new_neighbours,
                "After a merge you offer no new pairs, so no piece is ever longer than two "
                "symbols.",
            ),
            Misconception(
                only_the_right_neighbour,
                "After a merge you offer the pair to the right only. The new piece has a "
                "neighbour on its left as well.",
            ),
            Misconception(
                forgets_the_way_back,
                "You mend one direction of the list only: the symbol behind the merged one must "
                "also learn who its left neighbour is now.",
            ),
            Misconception(
                looks_at_everything_again,
                "The pieces are right, but you look at all pairs again after every merge: a text "
                "ten times as long takes a hundred times as long.",
            ),
        ),
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
    ),
)

QUIZ = (
    Question(
        "hello_twice",
        "Llama 2 encodes “Hello” as 15043 and “ Hello” (with a space) as 29871 15043. Why is "
        "there an extra id, and not another one?",
        (
            Option(
                "Spaces are tokens of their own, words come after them",
                "A sensible picture, but then “Hello world” would have an id for its space. It "
                "has two ids, and the second, ▁world, begins with the space.",
            ),
            Option(
                "Encoding puts a space in front of every text, so “Hello” is ▁Hello already",
                "15043 is ▁Hello. A text that brings a space of its own is ▁▁Hello: one ▁ is left "
                "over, and 29871 is ▁.",
                right=True,
            ),
            Option(
                "15043 is the word at the start of a text, without a space",
                "Then “Say Hello” would need another id for its Hello. It is the same 15043: "
                "making the two alike is what the added space is for.",
            ),
        ),
    ),
    Question(
        "unseen_character",
        "A user sends 😀, which never occurred in the tokenizer's training text. What happens?",
        (
            Option(
                "It becomes <unk>, and the model sees that something unknown stood there",
                "Many tokenizers do that, and the text is lost. With byte fallback <unk> is "
                "never needed.",
            ),
            Option(
                "It becomes the four bytes of its UTF-8, one piece each",
                "240, 159, 152, 128, each plus 3: nothing is lost, and the model may even learn "
                "what the four mean together. It costs four tokens, and at the start of a text a "
                "lone ▁ before them.",
                right=True,
            ),
            Option(
                "Encoding stops with an error",
                "A tokenizer that refuses what people type would be of little use. 256 pieces are "
                "set aside so that this cannot happen.",
            ),
        ),
    ),
    Question(
        "typed_end",
        "With SentencePiece, a user types </s> into the chat. Does the model see the end of the "
        "text?",
        (
            Option(
                "Yes: </s> is in the vocabulary, with the id 2",
                "It is in the vocabulary, but as a control piece, which text is never matched "
                "with. If it were, anybody could end the conversation.",
            ),
            Option(
                "No: it becomes ordinary pieces, and the id 2 only ever comes from the program",
                "eos=True asks for it. What a person types stays text, whatever it looks like.",
                right=True,
            ),
            Option(
                "No: the tokenizer removes it",
                "Nothing is removed: the pieces spell out every character that was typed.",
            ),
        ),
    ),
    Question(
        "twice_the_vocabulary",
        "You double the vocabulary. What happens to the number of tokens in a text?",
        (
            Option(
                "It halves",
                "It would if every new piece were as useful as the old ones. But the frequent "
                "ones are learned first, so each doubling gains less than the one before.",
            ),
            Option(
                "It falls, by less at every doubling, while the embedding doubles",
                "That is the trade: shorter sequences against two larger matrices, and rows that "
                "are seen ever more rarely. Llama 2 stopped at 32,000.",
                right=True,
            ),
            Option(
                "Nothing: the text is the same",
                "The text is, its pieces are longer. Look at the falling gain in the figure.",
            ),
        ),
    ),
)
