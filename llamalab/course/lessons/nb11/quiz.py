"""The questions of notebook 11."""

from llamalab.course.engine import Option, Question, varying


@varying(0.4, 0.3, 0.7, 0.2, 0.5)
def negative_kl(k):
    return Question(
        "negative_kl",
        f"Before the first step, the mean of k1 over a batch of drawn answers is -{k} a token. "
        "What has happened?",
        (
            Option(
                "Nothing: k1 of a single token may be negative",
                "Of a single token, yes. The mean over thousands is an estimate of the KL, and "
                "that is never negative. At the first step policy and reference even agree: it has "
                "to be 0.",
            ),
            Option(
                "Tokens were drawn from one distribution and scored by another",
                "Top-k while drawing, a temperature that the scoring did not use, a suppressed "
                "EOS, dropout left on: each of them makes the log-probabilities those of somebody "
                "else. Four issues of TRL's tell of it: #615, #1005, #1017, #1161.",
                right=True,
            ),
            Option(
                "beta is too small",
                "beta is the price of the KL, not the KL. It could be 0, and k1 would still be 0 "
                "at the first step.",
            ),
        ),
    )


@varying((-1, 1.5), (-2, 1.4), (-1, 1.8), (-0.5, 1.6), (-2, 1.3))
def why_smaller_gain(a, ratio):
    return Question(
        "why_smaller_gain",
        f"A token has A = {a} and its ratio is already {ratio}. Its free gain is {a * ratio:g}, "
        f"its clipped one {a * 1.2:g}. Which counts?",
        (
            Option(
                f"{a * 1.2:g}: beyond the clip nothing may pull",
                "It went the WRONG way, and becomes likelier though it is bad. Were it stopped "
                "here, nothing would bring it back.",
            ),
            Option(
                f"{a * ratio:g}, the smaller one: it went the wrong way, and is to be brought back",
                "The clip only takes away the reason to go on in the right direction. The minimum "
                "knows the two cases apart by itself.",
                right=True,
            ),
            Option(
                "The mean of both",
                "There is no mean in PPO's formula. Its minimum is a bound from below on what a "
                "step gains: pessimism is the whole idea.",
            ),
        ),
    )


QUIZ = (
    negative_kl,
    Question(
        "first_gradient",
        "At the first step of an iteration new and old policy are the same. What does the clip do?",
        (
            Option(
                "It cuts the step to 20 %",
                "It does not know how large the step will be. It looks at where the ratio IS, and "
                "the ratio is 1 everywhere.",
            ),
            Option(
                "Nothing: every ratio is 1, and the gradient is REINFORCE's",
                "-A for each token, over their number. The clip wakes up at the second step on the "
                "same tokens. A program that takes one step a batch has no use for it.",
                right=True,
            ),
            Option(
                "It stops all tokens: none has moved, so none has a gradient",
                "The ratio is constant in value and not in its slope: it is e to a difference of "
                "which one part is learned.",
            ),
        ),
    ),
    why_smaller_gain,
    Question(
        "where_the_score_goes",
        "Why is the score not given to every token of the answer?",
        (
            Option(
                "To save memory: most rewards are then 0",
                "The rewards are a full table anyway, with the KL's price at every token.",
            ),
            Option(
                "Because a long answer would be paid more often, and the last tokens would have it "
                "from the returns in any case",
                "The sum of an answer's rewards is what is maximised. Given n times, the score "
                "makes length the cheapest way to be good. Given once, at the end, it is carried "
                "back by the advantages.",
                right=True,
            ),
            Option(
                "Because only the last token was wrong or right",
                "The score is the whole answer's. Which tokens earned it is what the values, and "
                "GAE, are there to find out.",
            ),
        ),
    ),
    Question(
        "dpo_goes_down",
        "During DPO the chosen answers become less likely than under the reference. A bug?",
        (
            Option(
                "Yes: chosen answers have to rise",
                "Nothing in the loss says so. It sees the difference of the two, and that can grow "
                "while both fall.",
            ),
            Option(
                "Not by itself: only the difference counts, and the rejected ones may fall faster",
                "It is common, and worth watching: the probability goes to texts that nobody has "
                "compared. The rewards' margin rises; what the model then writes has to be read.",
                right=True,
            ),
            Option(
                "Yes: beta must be negative",
                "Then the rejected answers would rise above the chosen ones, and the loss would "
                "fall by that. The margin of the rewards tells the two cases apart.",
            ),
        ),
    ),
)
