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
        (list("helhe"), {"he": 0.0, "el": -1.0, "lh": -2.0}),
        (list("cabdab"), {"ab": -2.0, "ca": -2.0, "bd": -2.0, "da": -2.0}),
        (["a"], {"aa": -1.0}),
        ([], {"aa": -1.0}),
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
    "You merge the first pair that makes a piece, or the longest, without asking whether a pair "
    "further on has a higher score."
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


def _by_order(symbols, choose):
    """Merge, one place at a time, the pair that `choose` picks out of [(place, piece), …], until
    it picks None: for the misconceptions below."""
    symbols = list(symbols)
    while True:
        pairs = [(i, a + b) for i, (a, b) in enumerate(zip(symbols, symbols[1:]))]
        chosen = choose(pairs)
        if chosen is None:
            return symbols
        symbols[chosen[0] : chosen[0] + 2] = [chosen[1]]


def _known(pairs, scores):
    return [pair for pair in pairs if pair[1] in scores]


@wrong(
    "Your search begins with a lowest score of its own, -1e9 or so, and the sixteen runs of "
    "spaces stand exactly there: they are never merged. Begin with None, or with minus infinity."
)
def begins_at_minus_a_thousand_million(symbols, scores):
    def choose(pairs):
        better = [pair for pair in _known(pairs, scores) if scores[pair[1]] > -1e9]
        return max(better, key=lambda pair: scores[pair[1]], default=None)

    return _by_order(symbols, choose)


@wrong(
    "Your search begins with a best score of 0 or nearly that. All scores but the first are "
    "negative, so next to nothing is ever better. Begin with None, or with minus infinity."
)
def begins_at_zero(symbols, scores):
    return list(symbols)


@wrong(
    "Your search begins with a best score of -1. All scores but the first are no better than "
    "that. Begin with None, or with minus infinity."
)
def begins_at_minus_one(symbols, scores):
    def choose(pairs):
        better = [pair for pair in _known(pairs, scores) if scores[pair[1]] > -1]
        return max(better, key=lambda pair: scores[pair[1]], default=None)

    return _by_order(symbols, choose)


@wrong(
    "You merge once and stop. A merge makes new neighbours: search again, until no two of them "
    "make a piece."
)
def merges_once(symbols, scores):
    symbols = list(symbols)
    places = [i for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in scores]
    if places:
        i = max(places, key=lambda i: scores[symbols[i] + symbols[i + 1]])
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
    return symbols


@wrong(
    "A pair that makes no piece counts 0 with you, and 0 is the best score there is: it wins, and "
    "you stop. What is no piece has no score at all."
)
def no_piece_counts_zero(symbols, scores):
    def choose(pairs):
        best = max(pairs, key=lambda pair: scores.get(pair[1], 0.0), default=None)
        return best if best and best[1] in scores else None

    return _by_order(symbols, choose)


@wrong(
    "You asked `scores[...]` about a pair that is no piece, and a dict answers that with a "
    "KeyError. Ask with `scores.get(piece)`, or `piece in scores` first."
)
def asks_for_what_is_not_there(symbols, scores):
    def choose(pairs):
        return max(pairs, key=lambda pair: scores[pair[1]], default=None)

    return _by_order(symbols, choose)


@wrong(
    "You go by the order in which the pieces stand in the dict. Mostly that is the order of "
    "their scores, but for the runs of spaces it is not: compare the scores themselves."
)
def by_order_in_the_dict(symbols, scores):
    order = {piece: i for i, piece in enumerate(scores)}

    def choose(pairs):
        return min(_known(pairs, scores), key=lambda pair: order[pair[1]], default=None)

    return _by_order(symbols, choose)


@wrong(
    "You merge the lowest score first, and on a tie the rightmost. Scores are minus the order of "
    "learning: the highest wins, and the leftmost of several."
)
def lowest_score_rightmost(symbols, scores):
    def choose(pairs):
        return min(_known(pairs, scores), key=lambda p: (scores[p[1]], -p[0]), default=None)

    return _by_order(symbols, choose)


@wrong(
    "On a tie you take the piece that sorts last, since your tuple holds the piece beside its "
    "score. The leftmost goes first."
)
def ties_by_the_last_spelling(symbols, scores):
    def choose(pairs):
        return max(_known(pairs, scores), key=lambda p: (scores[p[1]], p[1], -p[0]), default=None)

    return _by_order(symbols, choose)


@wrong(
    "On a tie you take the piece that sorts first, since your tuple holds the piece beside its "
    "score. The leftmost goes first."
)
def ties_by_spelling(symbols, scores):
    def choose(pairs):
        return min(_known(pairs, scores), key=lambda p: (-scores[p[1]], p[1], p[0]), default=None)

    return _by_order(symbols, choose)


@wrong(
    "A best score of 0.0 counts as none with you, because Python takes 0.0 for false: the next "
    "piece that comes pushes it aside. Compare with None."
)
def the_best_is_false(symbols, scores):
    def choose(pairs):
        best = None
        for pair in _known(pairs, scores):
            if not best or not scores[best[1]] or scores[pair[1]] > scores[best[1]]:
                best = pair
        return best

    return _by_order(symbols, choose)


@wrong(
    "You take place 0 for no place, because Python takes 0 for false: as soon as the best pair "
    "stands at the very beginning you stop. Compare with None."
)
def place_zero_is_false(symbols, scores):
    def choose(pairs):
        best = max(_known(pairs, scores), key=lambda pair: scores[pair[1]], default=None)
        return best if best and best[0] else None

    return _by_order(symbols, choose)


@wrong(
    "The last pair is never looked at: n symbols have n - 1 pairs, and the last begins at n - 2, "
    "which `range(n - 2)` does not reach."
)
def misses_the_last_pair(symbols, scores):
    def choose(pairs):
        return max(_known(pairs[:-1], scores), key=lambda pair: scores[pair[1]], default=None)

    return _by_order(symbols, choose)


@wrong(
    "You merge whatever fits while you walk from left to right, and walk again until nothing fits. "
    "Look at all pairs, merge the best one only, and look again."
)
def walks_and_merges(symbols, scores):
    symbols, merged = list(symbols), True
    while merged:
        merged, i = False, 0
        while i < len(symbols) - 1:
            if symbols[i] + symbols[i + 1] in scores:
                symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
                merged = True
            i += 1
    return symbols


@wrong(
    "You use one search for many merges: every pair that it found, as long as they do not "
    "overlap. The first of them makes new neighbours, which may be better than the second."
)
def many_merges_a_search(symbols, scores):
    symbols = list(symbols)
    while True:
        places = [i for i, (a, b) in enumerate(zip(symbols, symbols[1:])) if a + b in scores]
        if not places:
            return symbols
        used = set()
        for i in sorted(places, key=lambda i: -scores[symbols[i] + symbols[i + 1]]):
            if not used & {i, i + 1}:
                used |= {i, i + 1}
                symbols[i], symbols[i + 1] = symbols[i] + symbols[i + 1], None
        symbols = [symbol for symbol in symbols if symbol is not None]


@wrong(
    "You look for the piece with the best score anywhere in the text, and then left and right of "
    "it. A piece is only ever made of two neighbours, each a piece of its own by then."
)
def best_piece_in_the_text(symbols, scores):
    def cut(text):
        found = [
            (scores[text[i:j]], -i, i, j)
            for i in range(len(text))
            for j in range(i + 2, len(text) + 1)
            if text[i:j] in scores
        ]
        if not found:
            return list(text)
        _, _, i, j = max(found)
        return cut(text[:i]) + [text[i:j]] + cut(text[j:])

    return cut("".join(symbols))


@wrong(
    "You look for the fewest pieces. The scores do not give the shortest result, they give the one "
    "that training gave, and the model has only ever seen that one."
)
def fewest_pieces(symbols, scores):
    text = "".join(symbols)
    best = [[]]
    for j in range(1, len(text) + 1):
        ways = [best[i] + [text[i:j]] for i in range(j) if j - i == 1 or text[i:j] in scores]
        best.append(min(ways, key=len))
    return best[-1]


@wrong(
    "The pieces are right, but you merged them in the caller's own list, which is changed now. "
    "Begin with `list(symbols)`, a copy."
)
def in_the_callers_list(symbols, scores):
    symbols[:] = encode_by_score(symbols, scores)
    return symbols


@wrong("You return one string. A list of pieces is asked for: the borders between them matter.")
def joins_the_pieces(symbols, scores):
    return "".join(encode_by_score(symbols, scores))


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
