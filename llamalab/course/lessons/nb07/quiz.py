"""The questions of notebook 07."""

from math import log

from llamalab.course.engine import Option, Question, varying


@varying((32000, 14.9), (8000, 13.2), (4096, 12.6), (16000, 14.1), (64000, 15.8))
def too_surprised(v, loss):
    return Question(
        "too_surprised",
        f"Your vocabulary has {v:,} pieces. The first loss of a fresh model is {loss}. What now?",
        (
            Option(
                "Train on: the loss is always high at first",
                f"High, but not as high as that: who knows nothing is surprised by ln {v:,} = "
                f"{log(v):.1f} on average. {loss} takes being sure of the wrong thing, and a fresh "
                "model has no business being sure.",
            ),
            Option(
                "Stop: it is surer than one who knows nothing, and wrong",
                "Look at the head's initial weights, at a softmax done twice or not at all, at "
                "arithmetic that is broken on this device.",
                right=True,
            ),
            Option(
                "Lower the learning rate",
                "No step has been taken yet. Nothing about the optimizer can be in this number.",
            ),
        ),
    )


@varying(
    (10, 90, "Nine", "ninth"),
    (20, 80, "Four", "quarter"),
    (20, 60, "Three", "third"),
    (12, 72, "Six", "sixth"),
    (15, 75, "Five", "fifth"),
)
def whose_mean(few, many, times, part):
    return Question(
        "whose_mean",
        f"Two micro-batches: one has {few} counted tokens, the other {many}. You average their two "
        "mean losses. How much does a token in the first weigh, compared with one in the second?",
        (
            Option(
                "The same: it is an average",
                "Of the pieces, not of the tokens. Each piece has half of the say, and in the "
                f"first {few} tokens share that half.",
            ),
            Option(
                f"{times} times as much",
                f"Half the say over {few} tokens is 1/{2 * few} each; over {many} it is "
                f"1/{2 * many}.",
                right=True,
            ),
            Option(
                f"A {part}",
                "The other way round: where fewer share the same half, each has more of it.",
            ),
        ),
    )


QUIZ = (
    too_surprised,
    Question(
        "why_warm_up",
        "Adam divides by the size of the gradient, and it corrects its averages for having begun "
        "at 0. Why is there a warm-up all the same?",
        (
            Option(
                "Because the correction is not exact",
                "It is exact. After one step the corrected averages are the gradient and its "
                "square, to the last digit.",
            ),
            Option(
                "Because gradients are small at the beginning",
                "Then Adam would make up for it: it divides by their size. A gradient ten times "
                "as small gives the same step.",
            ),
            Option(
                "Because after one step the average is one gradient: its direction is hardly "
                "known, and every weight moves by the whole rate nevertheless",
                "m over the root of v is ±1 then, for every weight. Later, where gradients "
                "disagree, m is much smaller than the root of v, and the step with it.",
                right=True,
            ),
        ),
    ),
    whose_mean,
    Question(
        "past_the_optimum",
        "For the compute that 7B cost, a larger model on fewer tokens would probably have reached "
        "a lower loss. Why train 7B on 2 trillion tokens then?",
        (
            Option(
                "It was a mistake that was only understood later",
                "Chinchilla's rule was known for more than a year by then. It answers another "
                "question: what is cheapest to train.",
            ),
            Option(
                "Because the loss of a small model stops falling otherwise",
                "It is the other way round: the paper sees no saturation even at 2 trillion, so "
                "there was still something to gain.",
            ),
            Option(
                "Training is paid once; every answer is paid for with the model's size",
                "A model that is used a lot should be small, and trained past the point that is "
                "cheapest for training alone.",
                right=True,
            ),
        ),
    ),
    Question(
        "two_curves",
        "The training loss falls and falls. The loss on held-out text fell, and now rises. What "
        "is happening?",
        (
            Option(
                "The learning rate is too high",
                "Then the training loss would suffer too: it jumps, or stays high.",
            ),
            Option(
                "The model learns its training text by heart",
                "What it stores about those very sentences makes it surer of itself, also where "
                "the text goes on differently. More text helps, or stopping where the held-out "
                "curve is lowest.",
                right=True,
            ),
            Option(
                "The held-out text is harder",
                "That would make a gap that stays. It would not make the curve turn upwards.",
            ),
        ),
    ),
)
