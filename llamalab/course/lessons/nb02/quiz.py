"""The questions of notebook 02."""

from llamalab.course.engine import Option, Question, varying


@varying(10, 12, 7, 25, 40)
def rows_that_move(n):
    return Question(
        "rows_that_move",
        f"A batch holds {n} different tokens; the table has 32,000 rows and is not tied. After one "
        "step of plain gradient descent, without weight decay, how many rows have changed?",
        (
            Option(
                "All of them: the loss depends on the whole table",
                "On the way out, a head does touch every row. But this table was only looked up, "
                "and a row that nobody took had no part in the loss.",
            ),
            Option(
                f"{n}",
                "Every other row has gradient 0. (Weight decay, which shrinks every row, would "
                "move them all, and so would the momentum of earlier steps.)",
                right=True,
            ),
            Option(
                "1: gradients of different tokens are averaged into one",
                "Gradients add up within a row, where one token occurs several times. Different "
                "tokens have different rows.",
            ),
        ),
    )


@varying(1000, 500, 2000, 300, 4000)
def thousandfold(k):
    return Question(
        "thousandfold",
        f"You multiply a vector by {k:,} and put it through RMSNorm. What becomes of the output?",
        (
            Option(
                f"It is {k:,} times as large",
                f"The size grew by {k:,} too, and is divided out again.",
            ),
            Option(
                "Nothing, as long as the vector was well above the square root of eps before",
                "Scale drops out. Only where the mean square is near eps or below it does the "
                "length still show: eps is the floor beneath which the norm lets go.",
                right=True,
            ),
            Option(
                "It depends on the vector's mean",
                "In LayerNorm the mean is taken out, in RMSNorm it is not; but in both "
                f"multiplying by {k:,} changes nothing.",
            ),
            Option(
                "It overflows",
                "In float16 it may, if the square is taken there: 256 is already too large. That "
                f"is why the arithmetic runs in float32, where {k:,} is harmless.",
            ),
        ),
    )


QUIZ = (
    rows_that_move,
    Question(
        "why_tie",
        "Llama 2 keeps a separate output head; llama2.c's small models share one matrix. What "
        "decides?",
        (
            Option(
                "Tied models are always worse",
                "A shared matrix has two jobs, which is a real restriction. But in a small model "
                "the parameters saved can do more elsewhere.",
            ),
            Option(
                "Mostly size: the head is 0.4 % of 70B, and nearly half of a tiny model that has "
                "32,000 pieces too",
                "V·D grows with the width, the layers with its square and with the depth. At 70B "
                "a second matrix costs next to nothing; in a small model it crowds out the layers.",
                right=True,
            ),
            Option(
                "Speed: a tied head needs no product",
                "It needs the same product with the same number of multiplications. Only the "
                "memory is shared.",
            ),
        ),
    ),
    thousandfold,
    Question(
        "last_norm",
        "Every block of Llama 2 normalises what it reads. Why is there one more norm "
        "after the last block?",
        (
            Option(
                "Out of symmetry; it changes nothing",
                "Take it out and the logits change a great deal: the stream has been growing with "
                "every block.",
            ),
            Option(
                "In pre-norm the stream itself is never normalised, so the head would read "
                "vectors of any size",
                "The blocks only normalise their own copies. The stream grows with depth, and "
                "the head's logits would grow with it.",
                right=True,
            ),
            Option(
                "To turn the vectors into probabilities",
                "That is softmax, after the head. A normalised vector still has negative numbers "
                "and does not add up to 1.",
            ),
        ),
    ),
)
