"""The questions of notebook 08."""

from llamalab.course.engine import Option, Question, varying


@varying((0.95, 0.9), (0.85, 0.8), (0.75, 0.7), (0.97, 0.92), (0.66, 0.6))
def sure_model(sure, p):
    return Question(
        "sure_model",
        f"At some place the model gives one token {sure}. You sample with top-p {p}. What can "
        "come?",
        (
            Option(
                "That token or one of a few others",
                f"Those in front of the second token hold {sure} already, more than {p}: the "
                "second is not needed, nor any behind it.",
            ),
            Option(
                "That token alone",
                f"It crosses {p} by itself, and stays because it is the one that crosses. Where "
                "the model is sure, top-p is greedy; where it is not, it lets many in. Top-k does "
                "not know the difference.",
                right=True,
            ),
            Option(
                "Nothing: it is above p, so it is cut off",
                "That is what happens in code that drops the token which crosses. Then nothing "
                "is left, and the program draws from nan.",
            ),
        ),
    )


QUIZ = (
    sure_model,
    Question(
        "order_of_things",
        "Temperature 0.5 and top-p 0.9 together. Does it matter which comes first?",
        (
            Option(
                "No: one scales and the other cuts",
                "The temperature changes how much the first tokens hold, and that is what top-p "
                "counts.",
            ),
            Option(
                "Yes: a low temperature first makes top-p cut more",
                "Sharpened, fewer tokens reach 0.9. Meta's code and transformers both put the "
                "temperature first; another order is another sampler under the same settings.",
                right=True,
            ),
            Option(
                "Yes: top-p has to come first, since it needs true probabilities",
                "The sharpened ones sum to 1 as well. Nothing stops you from cutting first, but "
                "then 0.6 and 0.9 mean something else than in Meta's code.",
            ),
        ),
    ),
    Question(
        "left_is_right",
        "Why are prompts of different length padded on the left?",
        (
            Option(
                "So that the newest token of every row stands in the last column",
                "Padded on the right, a short prompt would be continued behind its padding. On "
                "the left, the padding is out of the way, if nobody looks at it and positions "
                "count from each row's own first token.",
                right=True,
            ),
            Option(
                "Because the model has learned to skip padding there",
                "It has never seen padding. It has to be hidden by a mask on either side.",
            ),
            Option(
                "Because causal attention cannot see the left",
                "It sees nothing but the left. That is why the padding there has to be masked.",
            ),
        ),
    ),
    Question(
        "worse_draft",
        "You swap the draft for a much worse one. What happens to speculative decoding?",
        (
            Option(
                "The text gets worse",
                "Not by a hair. What is accepted and what is made up for add up to p, for any "
                "draft at all, even one that guesses blindly.",
            ),
            Option(
                "It gets slower, and the text has the same distribution",
                "Fewer guesses are accepted, so each reading by the large model yields fewer "
                "tokens. That is all that a draft can do.",
                right=True,
            ),
            Option(
                "Nothing: the large model checks everything anyway",
                "It does, and that costs. The gain is in the guesses that it need not make itself.",
            ),
        ),
    ),
)
