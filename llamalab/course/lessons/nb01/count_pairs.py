"""Notebook 01, exercise 1: Count the pairs."""

from collections import Counter

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.tokenizer import bpe

wrong = WrongAnswers()


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


@wrong(
    "You count every word once, however often it occurs: a rare word then weighs as much as "
    "`the`, and the vocabulary fills with pieces that nobody needs."
)
def ignores_word_counts(words):
    return Counter(pair for word in words for pair in zip(word, word[1:]))


@wrong(
    "You ran the words together, so that the last letter of one pairs with the first of the "
    "next. Llama 2's pieces stay inside words."
)
def counts_across_words(words):
    row = [symbol for word, times in words.items() for symbol in word * times]
    return Counter(zip(row, row[1:]))


@wrong(
    "You skip pairs that overlap: `aaa` holds (a, a) twice, at 0 and at 1. Only merging has to "
    "choose between them; counting does not."
)
def skips_overlaps(words):
    counts = Counter()
    for word, times in words.items():
        i = 0
        while i < len(word) - 1:
            counts[word[i], word[i + 1]] += times
            same = i + 2 < len(word) and word[i] == word[i + 1] == word[i + 2]
            i += 2 if same else 1
    return counts


@wrong(
    "You count a pair at most once in a word, but `banana` holds (a, n) twice, and merging it "
    "would save two tokens."
)
def once_a_word(words):
    counts = Counter()
    for word, times in words.items():
        for pair in set(zip(word, word[1:])):
            counts[pair] += times
    return counts


@wrong(
    "You count (a, b) and (b, a) together. A merge joins symbols in the order in which they "
    "stand: `on` and `no` are different pieces."
)
def forgets_the_order(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[min(a, b), max(a, b)] += times
    return counts


@wrong(
    "You step by two and see half of the pairs: in `then`, (h, e) stands between (t, h) and (e,"
    " n), and must be counted as well."
)
def steps_by_two(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(0, len(word) - 1, 2):
            counts[word[i], word[i + 1]] += times
    return counts


@wrong(
    "Your keys are joined strings, and `abc` does not tell (a, bc) from (ab, c): two pairs "
    "share one count. Use the tuple of both symbols as the key."
)
def joins_the_pair(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[a + b] += times
    return counts


EXERCISE = Exercise(
    name="count_pairs",
    title="Count the pairs",
    points=1,
    minutes=5,
    answer=count_pairs,
    reference=bpe.count_pairs,
    probes=_count_probes,
    misconceptions=wrong.all,
    hints=(
        "Every word is a tuple of symbols with a number beside it. A pair inside the word "
        "occurs in the text as often as the word does.",
        "Two loops: over the words with their counts, and inside over the places where a "
        "pair begins. Each visit adds to that pair's total; what it adds is not 1.",
        "`zip(word, word[1:])` walks over the neighbours, overlapping ones included. A key "
        "that is not there yet counts as 0; `dict.get` or a `Counter` sees to that.",
    ),
)
