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
    return [([1, 9038, 2501, 263, 931],), ([7, 3],), ([5, 5, 8, 5],), ([7],)]


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
