"""The questions of notebook 10."""

from math import exp

from llamalab.course.engine import Option, Question, varying


def sigma(x: float) -> float:
    return 1 / (1 + exp(-x))


@varying(3.2, 2.2, 1.4, 4.0, 0.8)
def zero_of_a_reward(r):
    return Question(
        "zero_of_a_reward",
        f"A reward model gives an answer {r}. Is it a good answer?",
        (
            Option(
                "Yes: it is above 0",
                "The loss sees differences only. Add 7 to every score of the model: no loss "
                "changes, no gradient either. Its 0 is an accident of where training began.",
            ),
            Option(
                "Nobody can say, until another answer to the same prompt has a score too",
                "Bradley and Terry's model knows differences. Two answers to one prompt can be "
                "compared; a zero comes only with whitening, and is then the mean of a batch.",
                right=True,
            ),
            Option(
                f"Yes: sigma({r}) is {sigma(r):.2f}, so it is {100 * sigma(r):.0f} % good",
                "sigma turns a DIFFERENCE into a probability: that of being preferred to another. "
                "Of one score alone it is the chance against an answer that happens to score 0.",
            ),
        ),
    )


@varying(1, 3, 2)
def what_a_margin_does(m):
    return Question(
        "what_a_margin_does",
        f"Two pairs have the same gap of {m}. One was marked significantly better (margin {m}), "
        "the other unsure (margin 0). Which one pulls harder?",
        (
            Option(
                "The one marked significantly better",
                f"It has to win by {m} and just does: sigma({m} - {m}) is a half, and a half is "
                f"its pull. The unsure pair has a pull of sigma(-{m}), {sigma(-m):.2f}.",
                right=True,
            ),
            Option(
                "The unsure one: it has more left to learn",
                f"A margin of 0 asks for the least. This pair is in the right order and {m} apart; "
                "of all that could be asked of it, most is done.",
            ),
            Option(
                "Both alike: a margin moves the loss, not its slope",
                "So it would be outside the logarithm. Inside the sigmoid it moves the point on "
                "the curve at which the pair stands, and the slope there is another.",
            ),
        ),
    )


@varying((3, "three times"), (2, "twice"), (4, "four times"))
def who_is_calibrated(k, times):
    return Question(
        "who_is_calibrated",
        f"All scores of a reward model are multiplied by {k}. What changes?",
        (
            Option(
                "Accuracy rises: the gaps are clearer",
                "No pair changes its order, so exactly the same ones are right.",
            ),
            Option(
                "Accuracy stays; it is surer of everything, and right less often than it says",
                f"Of the pairs it was 73 % sure of it is now {100 * sigma(k):.0f} % sure, and 73 % "
                "of them are still what is right. The calibration error sees that; accuracy "
                "cannot.",
                right=True,
            ),
            Option(
                "Nothing: only differences count",
                "A shift leaves differences alone, a factor does not. And in PPO the factor is "
                f"there too: with rewards {times} as large the KL's price counts 1/{k} as much.",
            ),
        ),
    )


QUIZ = (
    zero_of_a_reward,
    what_a_margin_does,
    Question(
        "sixty_five_percent",
        "A reward model agrees with 65 % of its test labels. Has it learned little?",
        (
            Option(
                "Yes: a coin has 50 %, and a good classifier has 95 %",
                "A classifier of cats is judged by labels that are right. Here people were asked "
                "which of two similar answers they like better, and they disagree with each other.",
            ),
            Option(
                "No: accuracy is the wrong measure for a regression head",
                "The head gives a number, but what it was taught, and is used for, is an order. "
                "How often the order is right is just what one wants to know.",
            ),
            Option(
                "That depends on the ceiling: how often would the truth itself agree with them?",
                "If labels are wrong in every third pair, somebody who knows all has 67 %. The "
                "paper's own models have 63 and 65 %, and 94 % where the difference is "
                "significant.",
                right=True,
            ),
        ),
    ),
    who_is_calibrated,
    Question(
        "what_pairs_teach",
        "A reward model is right in nine of ten held-out pairs. In every pair it was trained and "
        "tested on, both answers were in the language of the question. What does it make of a good "
        "answer in another language?",
        (
            Option(
                "It marks it down: with nine of ten right it surely knows what an answer is",
                "Nine of ten pairs of THAT kind. No pair there turned on the language, so neither "
                "the training nor the test ever asked for it.",
            ),
            Option(
                "Nobody knows until it is tried, and the held-out pairs do not try it",
                "What is the same in both answers moves no loss. Take an answer, change the "
                "language and nothing else, and look whether the score moves.",
                right=True,
            ),
            Option(
                "Nothing, it is too small to see a language; a larger one would",
                "It may well see it: its blocks are those of a model that writes. But seeing "
                "is not minding, and what to mind comes from the pairs, at any size.",
            ),
        ),
    ),
)
