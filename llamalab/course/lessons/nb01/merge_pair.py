"""Notebook 01, exercise 2: Merge a pair."""

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb01.common import merge_pair
from llamalab.tokenizer import bpe

wrong = WrongAnswers()


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


@wrong(
    "You merge from right to left, so `aaa` becomes a + aa. SentencePiece goes from the left: "
    "aa + a."
)
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


@wrong(
    "You merge the first occurrence and stop. One training step merges the pair everywhere, or "
    "its count would never fall to zero."
)
def only_the_first(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == pair:
            return symbols[:i] + [pair[0] + pair[1]] + symbols[i + 2 :]
    return symbols


@wrong(
    "The last symbol is lost when it is not part of a merge: your loop stops before it, because"
    " no pair begins there. Letters must never disappear."
)
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


@wrong(
    "You compare with the end of the piece that you have just made, so `aaa` becomes one piece."
    " A merge joins two whole symbols, once."
)
def merges_the_merged(symbols, pair):
    merged = []
    for symbol in symbols:
        if merged and merged[-1].endswith(pair[0]) and symbol == pair[1]:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


@wrong(
    "You replaced inside one long string, and there `ca b` contains `a b`: a pair must match "
    "whole symbols, and `ca` is not `a`."
)
def replaces_in_the_text(symbols, pair):
    return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split()


@wrong(
    "After a merge you step on by one and meet its right half again: letters come out twice. A "
    "merge uses up two symbols."
)
def uses_a_half_twice(symbols, pair):
    merged = []
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
        else:
            merged.append(symbol)
    return merged


@wrong("You merge (b, a) as well when asked for (a, b). `no` is not `on`.")
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


@wrong(
    "The result is right, but you built it inside the caller's own list, which is changed now. "
    "Build a new one."
)
def in_the_callers_list(symbols, pair):
    i = 0
    while i < len(symbols) - 1:
        if (symbols[i], symbols[i + 1]) == pair:
            symbols[i : i + 2] = [pair[0] + pair[1]]
        i += 1
    return symbols


EXERCISE = Exercise(
    name="merge_pair",
    title="Merge a pair",
    points=2,
    minutes=7,
    answer=merge_pair,
    reference=bpe.merge_pair,
    probes=_merge_probes,
    misconceptions=wrong.all,
    hints=(
        "Walk from left to right and build a new list. At each place there are two cases: "
        "the pair begins here, or it does not.",
        "Use `while` and an index of your own, because the two cases step on by different "
        "amounts. Take care that the last symbol is visited too.",
        "`symbols[i : i + 2]` is never too long at the end: a slice just comes out shorter. "
        "Compare it with the pair as a tuple; append either the joined piece or the symbol.",
    ),
)
