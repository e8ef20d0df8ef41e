"""Notebook 00, exercise 1: Inputs and targets."""

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def inputs_and_targets(ids):
    inputs = ids[:-1]
    targets = ids[1:]
    return inputs, targets


def _reference(ids):
    pairs = list(zip(ids, ids[1:]))
    return [now for now, _ in pairs], [following for _, following in pairs]


def _probes():
    """The example; shorter ones and a longer one; a token that comes again."""
    return [
        ([1, 9038, 2501, 263, 931],),
        ([7, 3],),
        ([5, 5, 8, 5],),
        ([7],),
        ([1, 306, 763, 6635, 322, 306, 763, 26361],),
    ]


@wrong(
    "Your targets are the inputs themselves: a model trained on that learns to copy, its loss "
    "falls to zero, and it can say nothing new."
)
def copies_its_input(ids):
    return ids[:-1], ids[:-1]


@wrong(
    "You have the two the wrong way round: from each token your model would guess the one "
    "before it."
)
def predicts_the_past(ids):
    return ids[1:], ids[:-1]


@wrong(
    "Your inputs are one longer than your targets: nothing follows the last token, so it has "
    "nothing to learn from."
)
def keeps_the_last_input(ids):
    return ids, ids[1:]


@wrong(
    "You sent the first token to the end: the last token would be taught that the text starts "
    "again after it."
)
def wraps_around(ids):
    return ids, ids[1:] + ids[:1]


@wrong("You shifted by two: the model would learn to guess the token after the next.")
def skips_two(ids):
    return ids[:-2], ids[2:]


@wrong(
    "Those are the right pairs, one by one. The model wants them as two sequences: all inputs, "
    "then all targets."
)
def list_of_pairs(ids):
    return list(zip(ids[:-1], ids[1:]))


@wrong(
    "The values are right, but you shortened the caller's own list: whoever holds it has just "
    "lost a token."
)
def drops_in_place(ids):
    targets = ids[1:]
    ids.pop()
    return ids, targets


@wrong(
    "You have the two the wrong way round, and the inputs one too long: from each token your "
    "model would guess the one before it."
)
def predicts_the_past_with_one_to_spare(ids):
    return ids[1:], ids


@wrong(
    "Both of yours are the whole text. A model trained on that learns to copy; and after the "
    "last token nothing follows, so it has no target."
)
def copies_all_of_it(ids):
    return ids, ids


@wrong(
    "You gave one target for the whole text. Every position has a target of its own, the token "
    "that follows it: a text of T tokens is T - 1 lessons, all learned at once."
)
def only_the_last_token_is_a_target(ids):
    return ids[:-1], ids[-1]


@wrong(
    "You gave one target for the whole text. Every position has a target of its own, the token "
    "that follows it: a text of T tokens is T - 1 lessons, all learned at once."
)
def only_the_last_token_in_a_list(ids):
    return ids[:-1], ids[-1:]


@wrong(
    "You wrote down each beginning of the text as an input of its own. The model sees to that by "
    "itself: it is given one sequence, and looks from each position at what stands before it."
)
def every_beginning_by_itself(ids):
    return [ids[:i] for i in range(1, len(ids))], ids[1:]


MADE_UP = (
    "You made up a target for the last token. What follows it is not known, and a made-up "
    "answer would be learned like a true one: leave the last token out of the inputs."
)


@wrong(MADE_UP)
def fills_up_with_zero(ids):
    return ids, ids[1:] + [0]


@wrong(MADE_UP)
def fills_up_with_none(ids):
    return ids, ids[1:] + [None]


@wrong(MADE_UP)
def fills_up_with_minus_100(ids):
    return ids, ids[1:] + [-100]


@wrong(MADE_UP)
def fills_up_with_minus_1(ids):
    return ids, ids[1:] + [-1]


@wrong(MADE_UP)
def fills_up_with_the_start(ids):
    return ids, ids[1:] + [1]


@wrong(MADE_UP)
def fills_up_with_the_end(ids):
    return ids, ids[1:] + [2]


@wrong(
    "You repeated the last token as its own target. What follows it is not known: leave it out "
    "of the inputs."
)
def repeats_the_last(ids):
    return ids, ids[1:] + ids[-1:]


@wrong(
    "The pairs that you have are right, but the first is missing: the first token is an input "
    "too, and the second is its target."
)
def loses_the_first_pair(ids):
    return ids[1:-1], ids[2:]


@wrong(
    "The pairs that you have are right, but the last is missing. In a slice the end is not "
    "taken along, so `ids[:-1]` already leaves out one token."
)
def loses_the_last_pair(ids):
    return ids[: len(ids) - 2], ids[1 : len(ids) - 1]


@wrong(
    "You took the id plus one for the next token. Ids are labels: the next token is the one that "
    "stands next in the list."
)
def adds_one_to_the_id(ids):
    return ids[:-1], [token + 1 for token in ids[:-1]]


@wrong(
    "You removed tokens by what they are and not by where they stand: every token that equals "
    "the first or the last went with it. Slices go by place."
)
def removes_by_value(ids):
    return [i for i in ids if i != ids[-1]], [i for i in ids if i != ids[0]]


@wrong(
    "You cut the text into two halves. The same tokens are inputs and targets, moved by one "
    "place against each other."
)
def two_halves(ids):
    return ids[: len(ids) // 2], ids[len(ids) // 2 :]


@wrong(
    "You dealt the tokens out by turns. Every token but the last is an input, and every token "
    "but the first is a target: most of them are both."
)
def by_turns(ids):
    return ids[::2], ids[1::2]


@wrong("You ran the two into one list. Return two, with a comma between them.")
def one_long_list(ids):
    return ids[:-1] + ids[1:]


@wrong("You turned the text round. The model reads forwards: keep the order, move by one place.")
def turned_round(ids):
    return ids[:-1][::-1], ids[1:][::-1]


@wrong("You sorted the tokens. Their order is the very thing that the model has to learn.")
def sorts_the_targets(ids):
    return ids[:-1], sorted(ids)[1:]


@wrong("The values are right, as tensors. Lists came in, and lists are wanted here.")
def makes_tensors(ids):
    import torch

    return torch.tensor(ids[:-1]), torch.tensor(ids[1:])


@wrong(
    "You shortened the caller's own list on the way: whoever holds it has just lost its first "
    "token."
)
def drops_the_first_in_place(ids):
    ids.pop(0)
    return ids[:-1], ids


FIVE_TOKENS = (
    "You wrote the example's length into the function: with five tokens it is right, with more or "
    "fewer it is not. In a slice -1 counts from the end, and a side that is left empty reaches it."
)


@wrong(FIVE_TOKENS)
def slices_for_five_tokens(ids):
    return ids[:4], ids[1:5]


@wrong(FIVE_TOKENS)
def inputs_of_five_tokens(ids):
    return ids[:4], ids[1:]


@wrong(FIVE_TOKENS)
def targets_of_five_tokens(ids):
    return ids[:-1], ids[1:5]


@wrong(FIVE_TOKENS)
def four_places(ids):
    return [ids[i] for i in range(4)], [ids[i + 1] for i in range(4)]


BY_THE_TOKEN = (
    "You look a target up by the token and not by its place. Where a token comes twice, both of "
    "its places get the same target: what follows is what stands next, at i + 1."
)


@wrong(BY_THE_TOKEN)
def targets_by_index(ids):
    return ids[:-1], [ids[ids.index(token) + 1] for token in ids[:-1]]


@wrong(BY_THE_TOKEN)
def targets_from_a_dict(ids):
    following = dict(zip(ids, ids[1:]))
    return ids[:-1], [following[token] for token in ids[:-1]]


EXERCISE = Exercise(
    name="next_token",
    title="Inputs and targets",
    points=1,
    minutes=3,
    answer=inputs_and_targets,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "At every position but the last, the right answer is the token that follows. So both "
        "results are one token shorter than `ids`.",
        "Two slices of the same list. One leaves out the last token, the other leaves out a "
        "token at the other end.",
        "Write the five tokens on paper, once for the inputs and once for the targets, and "
        "strike out one in each row. In a slice, -1 counts from the end. Return both, with a "
        "comma between them.",
    ),
)
