"""The questions of notebook 09."""

from llamalab.course.engine import Option, Question

QUIZ = (
    Question(
        "base_and_chat",
        "You ask a base model a question, and it goes on with another question. What is wrong?",
        (
            Option(
                "It does not know the answer",
                "It may well know it. Asked in the form of a text in which the answer comes next, "
                "such as “The capital of France is”, many a base model gives it.",
            ),
            Option(
                "Nothing: after a question, in what it has read, another one is likely",
                "It continues text. Tuning changes which text it is in: one in which an answer "
                "stands behind [/INST].",
                right=True,
            ),
            Option(
                "It lacks the part of the network that answers",
                "There is no such part. A chat model has the very same matrices in the same "
                "places, with slightly other numbers in them.",
            ),
        ),
    ),
    Question(
        "trailing_space",
        "In training each answer ended with a space and then </s>. A friend's chat program leaves "
        "the space out when it writes the history. What happens?",
        (
            Option(
                "Nothing: a space has no meaning",
                "It is a piece like any other, with an id and a vector. The model has never seen "
                "an answer's last word directly before </s>.",
            ),
            Option(
                "The ids differ from all that was trained on, and answers get worse in later turns",
                "The first turn is as it should be, and so nobody notices. That is what makes such "
                "bugs live long: compare ids, not impressions.",
                right=True,
            ),
            Option(
                "The tokenizer refuses the text",
                "A tokenizer takes any text. It does not know what a dialogue is.",
            ),
        ),
    ),
    Question(
        "where_it_stands",
        "Your assistant never refuses, though a tenth of its dialogues are refusals, all short. "
        "The loss on them is low. Where do you look first?",
        (
            Option(
                "At the rate: it has not learned them",
                "The loss on them is low, so it has. Something about the situation must differ "
                "between the place where it learned them and the place where it is asked.",
            ),
            Option(
                "At the number of refusals: a tenth is too few",
                "Perhaps. But a model that had learned too little would have a high loss on them.",
            ),
            Option(
                "At the rows: what stands in front of them there, and what in front when you ask",
                "Short dialogues fill the gaps behind long ones. Then “behind another "
                "dialogue” is part of what was learned.",
                right=True,
            ),
        ),
    ),
    Question(
        "what_is_drowned",
        "The loss on answers is 0.21 and falls no more. Does the model do what it is asked?",
        (
            Option(
                "Yes: the loss on answers says how well it answers",
                "It says how well it foresees the answers' tokens, all of them alike. Most of them "
                "follow from the story so far, whatever was asked.",
            ),
            Option(
                "The loss cannot say: what was asked decides a few tokens in a hundred",
                "A model that ignores every request can have nearly the same mean. Look at the "
                "tokens that matter by themselves, under a mask of their own.",
                right=True,
            ),
            Option(
                "No: it would have to be near 0",
                "It never will. Which adjective comes next is open, for the best of storytellers "
                "too.",
            ),
        ),
    ),
    Question(
        "two_zeros",
        "In LoRA, B starts at zero and A at random. Somebody starts both at zero, since the model "
        "should be unchanged at birth. What then?",
        (
            Option(
                "It works: both start to grow at the first step",
                "The gradient of B holds A as a factor, and the gradient of A holds B. With both "
                "at zero both gradients are zero, at every step.",
            ),
            Option(
                "Nothing is ever learned",
                "Each waits for the other. One zero is enough for an unchanged model, and leaves "
                "the other factor to begin with.",
                right=True,
            ),
            Option(
                "It learns, at half the rate",
                "There is no half of nothing: both gradients are exactly zero.",
            ),
        ),
    ),
)
