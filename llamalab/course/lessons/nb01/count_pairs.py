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


def _counted(words):
    """The right answer, for misconceptions that spoil it afterwards."""
    counts = Counter()
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] += times
    return counts


@wrong(
    "You count one pair too many in each word: after its last symbol nothing stands, so a word "
    "of n symbols has n - 1 pairs."
)
def counts_the_last_symbol_alone(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(len(word)):
            counts[word[i : i + 2]] += times
    return counts


@wrong(
    "The last pair of each word is missing: a word of n symbols has n - 1 pairs, and the last "
    "begins at n - 2, which `range(n - 2)` does not reach."
)
def misses_the_last_pair(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(len(word) - 2):
            counts[word[i], word[i + 1]] += times
    return counts


@wrong(
    "The first pair of each word is missing. In Python the first symbol has the number 0, and the "
    "▁ in front is a symbol like any other."
)
def misses_the_first_pair(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(1, len(word) - 1):
            counts[word[i], word[i + 1]] += times
    return counts


@wrong(
    "You set each pair's count where you should add to it: the last word that has the pair "
    "decides alone."
)
def sets_and_does_not_add(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = times
    return counts


@wrong(
    "The first time that you meet a pair you count 1, and only later as often as the word "
    "occurs. The first meeting weighs as much as all others."
)
def begins_at_one(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = counts[pair] + times if pair in counts else 1
    return counts


@wrong(
    "Your counts begin anew with each word, so that only the last word is left. Make the empty "
    "dict once, before the loop."
)
def begins_anew_with_each_word(words):
    counts = {}
    for word, times in words.items():
        counts = {}
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + times
    return counts


@wrong(
    "You return after the first word: the `return` stands inside the loop. Move it out to the "
    "left, to where the loop is over."
)
def returns_after_the_first_word(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + times
        return counts
    return counts


@wrong(
    "You return after the first word: the `return` stands inside the loop. Move it out to the "
    "left, to where the loop is over."
)
def returns_inside_the_loop(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = counts.get(pair, 0) + times
        return counts


@wrong(
    "You join the word and cut it into characters again, so that a symbol of two letters comes "
    "apart. After the first merges most symbols are longer than one: walk over the tuple itself."
)
def takes_symbols_apart(words):
    return _counted({tuple("".join(word)): times for word, times in words.items()})


@wrong(
    "You pair each symbol with every one that comes after it. Only neighbours can be merged: the "
    "one just behind it."
)
def pairs_at_any_distance(words):
    counts = Counter()
    for word, times in words.items():
        for i, a in enumerate(word):
            for b in word[i + 1 :]:
                counts[a, b] += times
    return counts


@wrong(
    "You pair every symbol of a word with every symbol of it. Only neighbours can be merged: two "
    "that stand side by side."
)
def pairs_everything(words):
    counts = Counter()
    for word, times in words.items():
        for a in word:
            for b in word:
                counts[a, b] += times
    return counts


@wrong("Your pairs are back to front: (a, b) stands for a just before b.")
def back_to_front(words):
    return {(b, a): n for (a, b), n in _counted(words).items()}


@wrong(
    "You count (a, b) and (b, a) together, because a set does not know which came first. `on` and "
    "`no` are different pieces: make the key a tuple."
)
def keys_are_sets(words):
    counts = Counter()
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[frozenset(pair)] += times
    return counts


@wrong(
    "Your keys are places, (0, 1), (1, 2), and not the symbols that stand there. What is merged "
    "later is a pair of symbols, wherever it stands."
)
def keys_are_places(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(len(word) - 1):
            counts[i, i + 1] += times
    return counts


@wrong("You count single symbols. What may be merged is two of them, side by side.")
def counts_symbols(words):
    counts = Counter()
    for word, times in words.items():
        for symbol in word:
            counts[symbol] += times
    return counts


@wrong(
    "You list pairs that never occur, with a count of 0. With 32,000 symbols that would be a "
    "thousand million keys: only those that stand in a word."
)
def lists_pairs_that_never_occur(words):
    symbols = {symbol for word in words for symbol in word}
    return {(a, b): 0 for a in symbols for b in symbols} | _counted(words)


@wrong(
    "You left out the pairs that occur once. They may be merged too, when nothing better is left."
)
def leaves_out_what_occurs_once(words):
    return {pair: n for pair, n in _counted(words).items() if n > 1}


@wrong("You return the best pair alone. All counts are asked for; choosing comes after.")
def only_the_best(words):
    counts = _counted(words)
    return max(counts, key=counts.get) if counts else None


@wrong("You return a sorted list. A dict is asked for, in any order: {(a, b): count}.")
def sorted_pairs(words):
    return _counted(words).most_common()


@wrong("You divided the counts by something. Whole counts are asked for.")
def shares_of_all_words(words):
    total = sum(words.values())
    return {pair: n / total for pair, n in _counted(words).items()}


@wrong("You divided the counts by something. Whole counts are asked for.")
def shares_of_all_pairs(words):
    counts = _counted(words)
    return {pair: n / sum(counts.values()) for pair, n in counts.items()}


@wrong(
    "You add the length of the word where you should add how often it occurs. That is the number "
    "beside the word: `words.items()` hands out both."
)
def adds_the_length(words):
    counts = Counter()
    for word in words:
        for pair in zip(word, word[1:]):
            counts[pair] += len(word)
    return counts


@wrong(
    "You add to a count that is not there yet. A pair that you meet for the first time counts as "
    "0 so far: `counts.get(pair, 0)`, or a `Counter`."
)
def adds_to_nothing(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] += times
    return counts


@wrong("A list cannot be a key, because it could change. Make the pair a tuple: `(a, b)`.")
def keys_are_lists(words):
    counts = {}
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[[a, b]] = times
    return counts


@wrong(
    "The counts are right, but you emptied the caller's words on the way. The next step of "
    "training needs them."
)
def empties_the_words(words):
    counts = _counted(words)
    words.clear()
    return counts


@wrong(
    "The first word that has a pair counts in full, and every later meeting adds only 1. Each "
    "meeting adds as often as its word occurs, the second as the first."
)
def adds_one_from_the_second_on(words):
    counts = {}
    for word, times in words.items():
        for pair in zip(word, word[1:]):
            counts[pair] = counts[pair] + 1 if pair in counts else times
    return counts


@wrong(
    "Each word has one pair too many, its last symbol before its first, as if it were a ring. "
    "Nothing stands before the first symbol; `word[-1]`, which is `word[i - 1]` at i = 0, is the "
    "last."
)
def wraps_round(words):
    counts = Counter()
    for word, times in words.items():
        for i in range(len(word)):
            counts[word[i - 1], word[i]] += times
    return counts


IN_THE_JOINED_WORD = (
    "You count in the joined word, with `count`. It skips what overlaps, so that `aaa` holds `aa` "
    "once, and it does not see where symbols end: `abc` is (a, bc) and (ab, c) alike. Walk over "
    "the neighbours, and let each visit add."
)


@wrong(IN_THE_JOINED_WORD)
def counts_in_the_joined_word(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in set(zip(word, word[1:])):
            counts[a, b] += times * "".join(word).count(a + b)
    return counts


@wrong(IN_THE_JOINED_WORD + " (And at each visit: what comes twice counts four times.)")
def counts_in_the_joined_word_at_each_visit(words):
    counts = Counter()
    for word, times in words.items():
        for a, b in zip(word, word[1:]):
            counts[a, b] += times * "".join(word).count(a + b)
    return counts


BY_INDEX = (
    "You ask `index` where a symbol stands, and it finds the first of its kind. Where a symbol "
    "comes twice in a word, the first one's neighbour is counted twice: go by places, not by "
    "symbols."
)


@wrong(BY_INDEX)
def second_symbol_by_index(words):
    counts = Counter()
    for word, times in words.items():
        for symbol in word[:-1]:
            counts[symbol, word[word.index(symbol) + 1]] += times
    return counts


@wrong(BY_INDEX)
def second_symbol_by_index_of_each(words):
    counts = Counter()
    for word, times in words.items():
        for symbol in word:
            i = word.index(symbol)
            if i + 1 < len(word):
                counts[symbol, word[i + 1]] += times
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
