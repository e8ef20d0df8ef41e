"""The questions of notebook 05."""

from llamalab.course.engine import Option, Question

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
    Question(
        "who_mixes",
        "You change the third token of a text. In which outputs of a single feed-forward layer "
        "does it show?",
        (
            Option(
                "In the third and all later ones",
                "That is causal attention. This layer never looks at a neighbour.",
            ),
            Option(
                "In the third alone",
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
    ),
)
