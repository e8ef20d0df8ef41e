"""The questions of notebook 00."""

from llamalab.course.engine import Option, Question

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
