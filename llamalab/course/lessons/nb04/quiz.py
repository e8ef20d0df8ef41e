"""The questions of notebook 04."""

from llamalab.course.engine import Option, Question, varying


@varying(100, 36, 250, 63, 480)
def mask_for_one(n):
    return Question(
        "mask_for_one",
        f"A cache holds {n} tokens and one new token comes. What does the causal mask of its "
        "attention hide?",
        (
            Option(
                f"The {n} old tokens: only the new one is computed",
                "Only the new one asks, but it asks all of them. That is what they were kept for.",
            ),
            Option(
                "Nothing",
                f"The new token is the last of {n + 1}, and nothing comes after it. With T = 1 no "
                "mask is needed, which is why a wrong one so often goes unnoticed until T = 2.",
                right=True,
            ),
            Option(
                "All but the first token",
                "That is what a mask aligned to the start does: row 0 of a triangle. The row that "
                "is wanted is the last.",
            ),
        ),
    )


@varying((2, 5, 9, 12, 4), (3, 4, 11, 6, 2), (2, 7, 10, 15, 5), (4, 3, 8, 10, 2), (3, 6, 13, 8, 4))
def shape_of_scores(b, t, s, h, n_kv):
    return Question(
        "shape_of_scores",
        f"q is ({b}, {t}, {h}, 16) and k is ({b}, {s}, {n_kv}, 16): batch, tokens, heads, numbers "
        "a head. Which shape do the scores have?",
        (
            Option(
                f"({b}, {h}, {t}, {s})",
                f"For each of the {b} texts and each of the {h} query heads a table: {t} new "
                f"tokens ask, {s} in the cache answer. The 16 numbers are summed over.",
                right=True,
            ),
            Option(
                f"({b}, {n_kv}, {t}, {s})",
                f"The {n_kv} key heads are shared, by {h // n_kv} query heads each. But each of "
                "those asks a question of its own, and has scores of its own.",
            ),
            Option(
                f"({b}, {h}, {s}, {s})",
                f"Only the {t} new tokens ask. What the others asked was answered in "
                "earlier steps.",
            ),
            Option(
                f"({b}, {h}, {t}, 16)",
                "That is the shape after the values have been added up. A score is one number for "
                "a pair of tokens.",
            ),
        ),
    )


QUIZ = (
    Question(
        "what_gqa_saves",
        "Llama 2 70B has 64 query heads and 8 key heads. What is that good for above all?",
        (
            Option(
                "Fewer scores: 8 heads of them instead of 64",
                "There are still 64 heads of scores, one for each query head. The key heads are "
                "shared, the questions are not.",
            ),
            Option(
                "A smaller cache, and less of it to read for each new token",
                "Eight times smaller: 327,680 bytes a token instead of 2,621,440. So more "
                "sentences fit on the card, and every one is faster to continue.",
                right=True,
            ),
            Option(
                "A smaller model: wk and wv are an eighth of their size",
                "They are, and at 70B that is a seventh of the model. But weights are there once, "
                "while a cache is kept for every token of every text that is being written.",
            ),
            Option(
                "Better answers",
                "In the paper's comparison it was about as good as one key head for each query "
                "head, not better. It is the price that was to be kept low.",
            ),
        ),
    ),
    shape_of_scores,
    mask_for_one,
    Question(
        "what_is_cached",
        "What lies in Llama 2's cache for each token?",
        (
            Option(
                "Its query, key and value",
                "The query is used in its own step and never again: nobody later asks what an "
                "earlier token asked.",
            ),
            Option(
                "Keys and values, the keys before they are turned by RoPE",
                "One could, and would have to turn all keys again in every step. A key's angle "
                "depends on its own position, which never changes: turn it once, then keep it.",
            ),
            Option(
                "Turned keys, and values, one for each key head",
                "Turned, because their position is settled; not yet repeated for the query heads, "
                "because repeating would give back what grouping has saved.",
                right=True,
            ),
            Option(
                "The weights of the softmax",
                "Each new query has new ones, over one key more.",
            ),
        ),
    ),
    Question(
        "why_the_root",
        "Why are the scores divided by the root of D, and not by D?",
        (
            Option(
                "So that they lie between -1 and 1",
                "They need not. A query and a key that point the same way score far more than 1, "
                "and should.",
            ),
            Option(
                "Because a sum of D independent products spreads like the root of D",
                "Each product has spread 1, the sum has variance D and spread root D. Divided by "
                "it, a score of random vectors has spread 1 whatever D is.",
                right=True,
            ),
            Option(
                "To save time",
                "It costs a little. (Some programs put it into wq beforehand, and then it is "
                "free.)",
            ),
        ),
    ),
)
