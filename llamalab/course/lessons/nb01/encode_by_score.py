"""Notebook 01, exercise 3: Encode by score."""

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb01.common import _encode_reference, encode_by_score, merge_pair

wrong = WrongAnswers()


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


@wrong(
    "On a tie you take the rightmost pair; SentencePiece takes the leftmost. Is there a `>=` "
    "that should be a `>`?"
)
def rightmost_tie(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        i = max(places, key=lambda i: (scores[pairs[i]], i))
        symbols[i : i + 2] = [pairs[i]]


@wrong(
    "You take the longest piece that fits at each place, as WordPiece does. Llama 2 asks for "
    "the highest score, however short the piece."
)
def longest_match(symbols, scores):
    text, pieces, i = "".join(symbols), [], 0
    while i < len(text):
        ends = [j for j in range(len(text), i + 1, -1) if text[i:j] in scores]
        end = ends[0] if ends else i + 1
        pieces.append(text[i:end])
        i = end
    return pieces


@wrong(
    "You merge the best pair everywhere at once, as in training. Encoding merges one place at a"
    " time: the new piece may at once be part of a better pair, and take its neighbour's "
    "symbol."
)
def merges_all_alike(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [pair for pair in zip(symbols, symbols[1:]) if "".join(pair) in scores]
        if not pairs:
            return symbols
        symbols = merge_pair(symbols, max(pairs, key=lambda pair: scores["".join(pair)]))


@wrong(
    "You merge the lowest score first. Scores are minus the order of learning: 0 was learned "
    "first, and the highest wins."
)
def lowest_score(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        i = min(places, key=lambda i: scores[pairs[i]])
        symbols[i : i + 2] = [pairs[i]]


@wrong(
    "You compare the scores of the two halves. What counts is the score of the piece that they "
    "make together."
)
def scores_of_the_parts(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = list(zip(symbols, symbols[1:]))
        places = [i for i, pair in enumerate(pairs) if "".join(pair) in scores]
        if not places:
            return symbols
        i = max(places, key=lambda i: sum(scores.get(part, 0.0) for part in pairs[i]))
        symbols[i : i + 2] = ["".join(pairs[i])]


@wrong(
    "You go over the symbols once, from left to right. A merge makes new neighbours, to the "
    "left as well: start again until nothing merges."
)
def single_pass(symbols, scores):
    merged = []
    for symbol in symbols:
        if merged and merged[-1] + symbol in scores:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


@wrong(
    "You merge the first pair that makes a piece, without asking whether a pair further on has "
    "a higher score."
)
def the_first_that_fits(symbols, scores):
    symbols = list(symbols)
    while True:
        pairs = [a + b for a, b in zip(symbols, symbols[1:])]
        places = [i for i, piece in enumerate(pairs) if piece in scores]
        if not places:
            return symbols
        symbols[places[0] : places[0] + 2] = [pairs[places[0]]]


@wrong(
    "You take a score of 0.0 for no score, because Python counts 0.0 as false: the best piece "
    "of all is never made. Compare with None."
)
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


@wrong(
    "You replay the merges in order, each once. A piece that gets its chance later, or again, "
    "is missed: ask for the best pair anew after every merge."
)
def replays_the_merges(symbols, scores):
    symbols = list(symbols)
    for piece in sorted(scores, key=lambda piece: -scores[piece]):
        i = 0
        while i < len(symbols) - 1:
            if symbols[i] + symbols[i + 1] == piece:
                symbols[i : i + 2] = [piece]
            i += 1
    return symbols


EXERCISE = Exercise(
    name="encode_by_score",
    title="Encode by score",
    points=2,
    minutes=10,
    answer=encode_by_score,
    reference=_encode_reference,
    probes=_encode_probes,
    misconceptions=wrong.all,
    hints=(
        "Repeat: look at all neighbours, choose one pair, merge it. Stop when no two "
        "neighbours make a piece.",
        "An endless loop with one search inside. The search remembers the best score so far "
        "and its place; after it, either return or merge at that place.",
        "Going from left to right, the earlier of two equals stays if only a strictly higher "
        "score may replace it. Mind that 0.0 is a score, and is false: compare with None.",
    ),
)
