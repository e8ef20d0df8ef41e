"""The questions of notebook 05."""

from llamalab.course.engine import Option, Question, varying


@varying("third", "second", "fifth", "fourth", "seventh")
def who_mixes(which):
    return Question(
        "who_mixes",
        f"You change the {which} token of a text. In which outputs of a single feed-forward layer "
        "does it show?",
        (
            Option(
                f"In the {which} and all later ones",
                "That is causal attention. This layer never looks at a neighbour.",
            ),
            Option(
                f"In the {which} alone",
                "Each token's vector goes through the same three matrices, on its own. What "
                "tokens know of each other they know from attention.",
                right=True,
            ),
            Option(
                "In all of them",
                "Only if a sum ran over the positions. All sums here run over the numbers of one "
                "vector.",
            ),
        ),
    )


@varying((400, 64), (310, 32), (500, 128), (200, 48), (720, 100))
def which_width(dim, multiple_of):
    third = 2 * 4 * dim // 3
    down = third // multiple_of * multiple_of
    return Question(
        "which_width",
        f"A model has dim = {dim} and multiple_of = {multiple_of}, and no multiplier. How wide is "
        "its hidden layer by Meta's rule?",
        (
            Option(
                f"{4 * dim:,}",
                "4 dim is the start of the rule: the width of the old layer, which has two "
                "matrices. With three, two thirds of it are taken.",
            ),
            Option(
                f"{third:,}",
                f"Two thirds of 4 dim, cut to a whole number. It is no multiple of {multiple_of} "
                "yet, and hardware likes round sizes.",
            ),
            Option(
                f"{down:,}",
                f"A multiple of {multiple_of}, but rounded down. The rule rounds up.",
            ),
            Option(
                f"{down + multiple_of:,}",
                f"Two thirds of {4 * dim:,} is {third:,}, cut to a whole number; the next multiple "
                f"of {multiple_of} is {(down + multiple_of) // multiple_of} times {multiple_of}.",
                right=True,
            ),
        ),
    )


QUIZ = (
    Question(
        "without_bend",
        "You take the activation out of the old layer: y = w2 w1 x, with 4 dim hidden numbers. "
        "What can it still do?",
        (
            Option(
                "As much as before, a little less smoothly",
                "It has as many parameters as before, which makes this tempting. But two "
                "matrices in a row are one matrix, w2 w1, and 4 dim in the middle buys nothing.",
            ),
            Option(
                "What one dim × dim matrix can do, and no more",
                "The product w2 w1 is such a matrix. Only the bend in between makes the second "
                "matrix worth having.",
                right=True,
            ),
            Option(
                "Nothing: without a bend no gradient flows",
                "Gradients flow better than ever through straight lines. What is missing is "
                "something to learn that one matrix could not.",
            ),
        ),
    ),
    Question(
        "bilinear",
        "And if you take SiLU out of SwiGLU: y = w2 (w1 x * w3 x)?",
        (
            Option(
                "It collapses to one matrix as well",
                "It would if the branches were added. They are multiplied, and a product of two "
                "projections is no projection: double x, and y grows fourfold.",
            ),
            Option(
                "It still bends: products of the coordinates of x",
                "Each hidden number is a product of two sums over x. In the measurement above "
                "this layer kept up with the others.",
                right=True,
            ),
            Option(
                "It is the same as SwiGLU, since SiLU is nearly x",
                "SiLU is nearly x for large positive gates alone. On the other side it is nearly "
                "0, where this layer's product is as large as ever.",
            ),
        ),
    ),
    Question(
        "two_thirds",
        "Why is the hidden size two thirds of 4 dim, and not 4 dim?",
        (
            Option(
                "So that three matrices have as many parameters as two of the old ones",
                "3 × 8/3 = 2 × 4 = 8. Only at equal parameters does a comparison say which "
                "shape is better.",
                right=True,
            ),
            Option(
                "Because a third of the gates is closed on average",
                "How many gates are closed depends on the weights and the text, and none of the "
                "sizes follows from it.",
            ),
            Option(
                "Because 8/3 dim was measured to be the best width",
                "It is bookkeeping, not a measurement. 70B's multiplier of 1.3 departs from it at "
                "once.",
            ),
        ),
    ),
    which_width,
    who_mixes,
)
