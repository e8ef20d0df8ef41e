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
        (list("abxab"), ("a", "b")),
        (list("axabb"), ("a", "b")),
        (["a", "bc", "ab", "c", "abc"], ("a", "bc")),  # two pairs that spell the same
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


def _walk(symbols, pair, merged_symbol, *, step=2, otherwise=None):
    """The right walk with one thing changed, for the misconceptions below."""
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged += merged_symbol(*pair)
            i += step
        else:
            merged += [symbols[i]] if otherwise is None else otherwise
            i += 1
    return merged


@wrong(
    "You look at the symbol behind the last one, and there is none. Ask first whether i + 1 is "
    "still inside; or compare a slice, `symbols[i : i + 2]`, which just comes out shorter."
)
def looks_behind_the_end(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if symbols[i] == pair[0] and symbols[i + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


@wrong(
    "You look at the symbol behind the last one, and there is none; and after a merge you meet its "
    "right half again. A merge uses up two symbols: step on by two there."
)
def looks_behind_the_end_step_by_step(symbols, pair):
    merged = []
    for i in range(len(symbols)):
        if symbols[i] == pair[0] and symbols[i + 1] == pair[1]:
            merged.append(pair[0] + pair[1])
        else:
            merged.append(symbols[i])
    return merged


@wrong(
    "The list grows shorter while `range` still counts to its old length, so the end is "
    "overrun. Use `while` with an index of your own, or build a new list."
)
def range_of_a_shrinking_list(symbols, pair):
    merged = list(symbols)
    for i in range(len(merged) - 1):
        if (merged[i], merged[i + 1]) == pair:
            merged[i : i + 2] = [merged[i] + merged[i + 1]]
    return merged


@wrong(
    "You compare a list with a tuple, and those are never equal, so nothing is merged. Turn the "
    "slice into a tuple, or the pair into a list."
)
def compares_list_with_tuple(symbols, pair):
    return list(symbols)


@wrong("You put the pair itself in, a tuple. It becomes one symbol: a string.")
def the_pair_as_it_is(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [(a, b)])


@wrong("You put a space between the two halves. The new symbol is a + b, with nothing between.")
def a_space_between(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [f"{a} {b}"])


@wrong("You joined the two back to front: (h, e) makes `he`.")
def joins_back_to_front(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [b + a])


@wrong(
    "After the new symbol you put its right half in once more: letters come out twice. A merge "
    "uses up both symbols."
)
def keeps_the_right_half(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [a + b, b])


@wrong("You put the two halves in again beside the symbol that they became: letters come twice.")
def keeps_both_halves(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [a, b, a + b])


@wrong(
    "You keep only what was merged. Symbols that have no part in a merge stay as they are: what "
    "does your loop do with them?"
)
def keeps_only_the_merged(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [a + b], otherwise=[])


@wrong(
    "After a merge you step on by three: the symbol behind the pair is lost. A merge uses up two."
)
def steps_too_far(symbols, pair):
    return _walk(symbols, pair, lambda a, b: [a + b], step=3)


@wrong(
    "After a merge your loop takes the next symbol without looking whether a pair begins there: "
    "in `aaaa` the second pair is missed, and at the end it runs out of the list. An `else` is "
    "missing."
)
def forgets_the_else(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        merged.append(symbols[i])
        i += 1
    return merged


@wrong(
    "You search the joined text, and there the borders of the symbols are gone: `ca b` contains "
    "`ab`. A pair must match whole symbols."
)
def searches_the_joined_text(symbols, pair):
    merged = []
    for k, part in enumerate("".join(symbols).split("".join(pair))):
        merged += ["".join(pair)] * bool(k) + list(part)
    return merged


@wrong(
    "You search the joined text, and there the borders of the symbols are gone: what stands "
    "between two merges comes out as one piece."
)
def splits_the_joined_text(symbols, pair):
    joined = "".join(pair)
    return "".join(symbols).replace(joined, f" {joined} ").split()


@wrong(
    "You replaced inside one long string, and there `ca b` contains `a b`: a pair must match "
    "whole symbols, and `ca` is not `a`. (And of no symbols it makes one empty one.)"
)
def replaces_in_the_text_and_splits_at_spaces(symbols, pair):
    return " ".join(symbols).replace(" ".join(pair), "".join(pair)).split(" ")


@wrong("You return one string. A list of symbols is asked for: the borders between them matter.")
def joins_the_symbols(symbols, pair):
    return "".join(_walk(symbols, pair, lambda a, b: [a + b]))


@wrong("You return one string. A list of symbols is asked for: the borders between them matter.")
def joins_the_symbols_with_spaces(symbols, pair):
    return " ".join(_walk(symbols, pair, lambda a, b: [a + b]))


@wrong(
    "One half is enough for you to merge: an `or` stands where an `and` belongs. Both symbols must "
    "be those of the pair."
)
def either_half_will_do(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        following = symbols[i + 1] if i + 1 < len(symbols) else None
        if symbols[i] == pair[0] or following == pair[1]:
            merged.append("".join(symbols[i : i + 2]))
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


@wrong(
    "You merge the first occurrence and stop, and you do it in the caller's own list. One training "
    "step merges the pair everywhere; build a new list."
)
def only_the_first_in_the_callers_list(symbols, pair):
    for i in range(len(symbols) - 1):
        if (symbols[i], symbols[i + 1]) == pair:
            symbols[i : i + 2] = [pair[0] + pair[1]]
            break
    return symbols


@wrong(
    "You look for the first place where the left half stands, and do not ask what stands behind "
    "it. Go through all places, and compare both symbols at each."
)
def index_of_the_left_half(symbols, pair):
    if pair[0] in symbols and pair[1] in symbols:
        i = symbols.index(pair[0])
        return symbols[:i] + ["".join(pair)] + symbols[i + 2 :]
    return symbols


@wrong(
    "You compare what the two spell together, and `ab` + `c` spells the same as `a` + `bc`. They "
    "are two pairs: compare symbol with symbol."
)
def compares_what_they_spell(symbols, pair):
    merged, i = [], 0
    while i < len(symbols):
        if len(symbols[i : i + 2]) == 2 and "".join(symbols[i : i + 2]) == "".join(pair):
            merged.append("".join(pair))
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return merged


@wrong(
    "A symbol that one merge has used up begins the next one: `aaa` becomes aa + aa, and a letter "
    "comes out twice. Ask first whether the symbol is used up, and only then whether a pair begins "
    "with it."
)
def the_used_one_begins_again(symbols, pair):
    merged, used = [], False
    for i, symbol in enumerate(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            merged.append(pair[0] + pair[1])
            used = True
        elif used:
            used = False
        else:
            merged.append(symbol)
    return merged


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
