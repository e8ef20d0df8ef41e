"""The questions of notebook 06."""

from math import log

from llamalab.course.engine import Option, Question, varying


@varying(512, 1000, 4096, 2048, 768)
def what_loss_shows(v):
    return Question(
        "what_loss_shows",
        f"You have assembled a model with {v} pieces in its vocabulary. Its first loss, before any "
        f"training, is {log(v):.2f}, which is ln {v}. What do you know?",
        (
            Option(
                "The blocks are wired rightly",
                "All four wirings at the beginning of this lesson had that loss, and three were "
                "wrong. The head's fresh weights make it so, whatever reaches the head.",
            ),
            Option(
                "The head's logits are small: the model has no opinion yet. Little else",
                "It rules out weights drawn too wide. It says nothing about labels that leak "
                "into the input, nor about the order of the parts, for which you need causality, "
                "an outside model on the same weights, or both.",
                right=True,
            ),
            Option(
                "Nothing: it depends on the seed and on the text",
                f"It hardly depends on either. An even bet over {v} pieces costs ln {v} whatever "
                "the next piece is.",
            ),
        ),
    )


QUIZ = (
    what_loss_shows,
    Question(
        "count_is_blind",
        "Someone's copy of Llama 2 7B has exactly 6,738,415,616 parameters. Which mistake may "
        "still be in it?",
        (
            Option(
                "n_kv_heads = 8",
                "Then wk and wv would have a quarter of their rows, and the count would be 805 "
                "million smaller.",
            ),
            Option(
                "A tied head",
                "That would save one matrix of 131,072,000: the count would say so.",
            ),
            Option(
                "rope_theta = 500000",
                "Theta is no parameter and changes no shape. Nothing fails to load; the model "
                "only turns its keys by angles that it was not trained with.",
                right=True,
            ),
            Option(
                "A feed-forward layer of width 4 × dim",
                "16,384 in place of 11,008 makes each layer's three matrices half as large again.",
            ),
        ),
    ),
    Question(
        "why_two_n",
        "Why are wo and w2 drawn narrower by the square root of 2 n_layers?",
        (
            Option(
                "Because attention and feed-forward have 2 n_layers parameters",
                "They have a great many more. What is counted is how often something is added to "
                "the stream.",
            ),
            Option(
                "2 n_layers vectors are added to one stream, and independent vectors add like "
                "the sides of a right angle",
                "So the sum of them is as large as one vector at full width, at any depth.",
                right=True,
            ),
            Option(
                "To make their gradients smaller",
                "A weight's gradient does not depend on that weight's own size. It is what they "
                "write, on the way forward, that becomes smaller.",
            ),
        ),
    ),
    Question(
        "which_cache",
        "On one accelerator with 16 GiB, Llama 2 7B in bfloat16 leaves about 3 GiB. What fills "
        "them first when you use it?",
        (
            Option(
                "The activations of 32 layers",
                "Without training nothing needs to be remembered for the way back: one layer's "
                "vectors are there at a time.",
            ),
            Option(
                "The keys and values: half a MiB a token, so a second conversation of 4,096 tokens "
                "no longer fits",
                "2 × 32 layers × 32 heads × 128 numbers × 2 bytes is 524,288 bytes a token, 2 GiB "
                "for a whole context.",
                right=True,
            ),
            Option(
                "The rope table",
                "Two tables of 4,096 × 64 float32 numbers: 2 MiB for all layers together.",
            ),
        ),
    ),
)
