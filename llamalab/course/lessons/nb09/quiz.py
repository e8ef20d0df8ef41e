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
        "why_a_space",
        "Before every </s>, Llama 2 has seen a bare space: id 29871. Your training data "
        "leave it out. What happens?",
        (
            Option(
                "Nothing: a space is no content",
                "To the model it is an id like any other, and the one thing that it has ever seen "
                "before </s>. What it has not seen, it gives a small probability.",
            ),
            Option(
                "The model no longer knows that an answer is over, or learns it anew from you",
                "Behind the last word it expects the space, and only behind that the end. Your "
                "data say otherwise, and the first steps of tuning go into unlearning a space.",
                right=True,
            ),
            Option(
                "The tokenizer puts it back",
                "It puts one in front of a text. Behind a text it puts nothing.",
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
        "why_earlier_answers",
        "Ghost attention gives no loss to the earlier answers, although they followed the order. "
        "Why not?",
        (
            Option(
                "They were sampled with the order in their own message, and now it is gone: the "
                "dialog no longer shows why they are as they are",
                "The paper sets the loss to zero on all earlier turns, answers included, because "
                "of that mismatch. What is learned is the last answer, which is furthest away.",
                right=True,
            ),
            Option(
                "To save time",
                "The forward pass reads them all the same; the loss at a few more places costs "
                "next to nothing.",
            ),
            Option(
                "Because they may be wrong",
                "They are as right as the last one: all of them were sampled in the same way.",
            ),
        ),
    ),
)
