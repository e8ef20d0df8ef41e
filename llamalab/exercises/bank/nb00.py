"""Notebook 00: one exercise to learn how exercises work, and what a language model learns from."""

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question


def inputs_and_targets(ids):
    inputs = ids[:-1]
    targets = ids[1:]
    return inputs, targets


def _reference(ids):
    pairs = list(zip(ids, ids[1:]))
    return [now for now, _ in pairs], [following for _, following in pairs]


def _probes():
    return [([1, 9038, 2501, 263, 931],), ([7, 3],), ([5, 5, 8, 5],), ([7],)]


def copies_its_input(ids):
    return ids[:-1], ids[:-1]


def predicts_the_past(ids):
    return ids[1:], ids[:-1]


def keeps_the_last_input(ids):
    return ids, ids[1:]


def wraps_around(ids):
    return ids, ids[1:] + ids[:1]


def skips_two(ids):
    return ids[:-2], ids[2:]


def list_of_pairs(ids):
    return list(zip(ids[:-1], ids[1:]))


def drops_in_place(ids):
    targets = ids[1:]
    ids.pop()
    return ids, targets


EXERCISES = (
    Exercise(
        name="next_token",
        title="Inputs and targets",
        points=1,
        minutes=3,
        answer=inputs_and_targets,
        reference=_reference,
        probes=_probes,
        misconceptions=(
            Misconception(
                copies_its_input,
                "Your targets are the inputs themselves: a model trained on that learns to copy, "
                "its loss falls to zero, and it can say nothing new.",
            ),
            Misconception(
                predicts_the_past,
                "You have the two the wrong way round: from each token your model would guess "
                "the one before it.",
            ),
            Misconception(
                keeps_the_last_input,
                "Your inputs are one longer than your targets: nothing follows the last token, "
                "so it has nothing to learn from.",
            ),
            Misconception(
                wraps_around,
                "You sent the first token to the end: the last token would be taught that the "
                "text starts again after it.",
            ),
            Misconception(
                skips_two,
                "You shifted by two: the model would learn to guess the token after the next.",
            ),
            Misconception(
                list_of_pairs,
                "Those are the right pairs, one by one. The model wants them as two sequences: "
                "all inputs, then all targets.",
            ),
            Misconception(
                drops_in_place,
                "The values are right, but you shortened the caller's own list: whoever holds it "
                "has just lost a token.",
            ),
        ),
        hints=(
            "At every position but the last, the right answer is the token that follows. So both "
            "results are one token shorter than `ids`.",
            "Two slices of the same list. One leaves out the last token, the other leaves out a "
            "token at the other end.",
            "Write the five tokens on paper, once for the inputs and once for the targets, and "
            "strike out one in each row. In a slice, -1 counts from the end. Return both, with a "
            "comma between them.",
        ),
    ),
)

QUIZ = (
    Question(
        "what_is_learned",
        "What is a language model trained to do?",
        (
            Option(
                "To answer questions",
                "That comes much later, by tuning on conversations (notebook 09). In pretraining "
                "nobody asks anything.",
            ),
            Option(
                "To guess the next token, at every position of a text",
                "That one task, two trillion times, is Llama 2's whole pretraining.",
                right=True,
            ),
            Option(
                "To store its training texts",
                "It may remember passages that it saw often, but 7 billion numbers cannot hold "
                "two trillion tokens: it has to find the patterns.",
            ),
        ),
    ),
    Question(
        "open_source",
        "Llama 2's weights can be downloaded. Is it open source?",
        (
            Option(
                "Yes: anybody can download and change it",
                "Many reports said so. But its licence restricts use, asks the largest companies "
                "to apply for permission, and forbids using it to improve other models; the "
                "Open Source Initiative's definition allows none of these. "
                "And the training data was not released.",
            ),
            Option(
                "No: it has a licence of its own, with limits on use",
                "It is a community licence, and a generous one, but not an open-source one. "
                "This course, by contrast, is under the MIT licence, weights and data included.",
                right=True,
            ),
            Option(
                "No: the weights are secret",
                "They are not: Meta gives them to whoever accepts the licence. That was the news "
                "of July 2023.",
            ),
        ),
    ),
    Question(
        "which_34b",
        "Meta's model card lists 7B, 13B and 70B, and a total of 3,311,616 GPU-hours. "
        "Adding the three rows gives 2,273,280. Why?",
        (
            Option(
                "The total contains failed runs",
                "A good guess, and nobody outside knows what was counted. But the gap of "
                "1,038,336 hours is exactly the paper's row for 34B.",
            ),
            Option(
                "A fourth model, 34B, was trained but not released",
                "The paper's table has its row: 1,038,336 hours. The card dropped the row and "
                "kept the total, and many articles copied both.",
                right=True,
            ),
            Option(
                "Rounding",
                "Rounding moves the last digit. This gap is a third of the total.",
            ),
        ),
    ),
)
