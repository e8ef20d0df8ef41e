"""Notebook 04, exercise 1: The causal mask."""

import torch

from llamalab import layers
from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


def causal_mask(T, S):
    query = torch.arange(S - T, S)[:, None]  # (T, 1): the position of each query
    key = torch.arange(S)  # (S,)
    return key <= query  # (T, S)


def _mask_probes():
    """Whole texts, several new tokens after a cache, one new token, the very first token."""
    return [(5, 5), (2, 5), (1, 4), (4, 9), (1, 1), (3, 4)]


@wrong(
    "You lined the queries up with the first positions. They are the last ones: with a cache of"
    " 4 tokens, your newest token would see the first of them and nothing else. While T = S "
    "nobody notices."
)
def aligned_to_the_start(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril()


@wrong(
    "Yours is upside down: True where the query may not look. Libraries differ here "
    "(`nn.MultiheadAttention` hides where its mask is True), so it is worth saying aloud: here "
    "True means may look."
)
def true_means_hidden(T, S):
    return torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)


@wrong(
    "Your queries see themselves and what comes after them: you kept the upper triangle, and "
    "the past is the lower one."
)
def only_the_future(T, S):
    return torch.ones(T, S, dtype=torch.bool).triu(S - T)


@wrong(
    "You hid the diagonal. A token may look at itself, and the first one has nothing else: a "
    "softmax over nothing is nan."
)
def not_even_itself(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)


@wrong(
    "Each query sees one position too many: the very token that it is to guess. The loss would "
    "fall to nearly 0, and the model could write nothing."
)
def one_step_ahead(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T + 1)


@wrong("You hid nothing. In training every position could read its own answer.")
def sees_everything(T, S):
    return torch.ones(T, S, dtype=torch.bool)


@wrong(
    "The pattern is right, but these are the numbers 1 and 0. PyTorch adds a mask of floats to "
    "the scores, so yours would hide nothing. It should be True and False."
)
def ones_and_zeros(T, S):
    return torch.ones(T, S).tril(S - T)


@wrong("Yours is (S, T). A row belongs to a query and a column to a key: (T, S).")
def mask_on_its_side(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T).T


@wrong(
    "That is the form that is added to scores, 0 and minus infinity. What is asked for is the "
    "question before it: may this query look, True or False?"
)
def zero_and_minus_infinity(T, S):
    return torch.zeros(T, S).masked_fill(torch.ones(T, S).tril(S - T) == 0, float("-inf"))


@wrong(
    "Yours is (T, T): the queries see each other, and the S - T tokens before them have no "
    "columns. Those are what a cache is for."
)
def knows_no_past(T, S):
    return torch.ones(T, T, dtype=torch.bool).tril()


EXERCISE = Exercise(
    name="causal_mask",
    title="The causal mask",
    points=1,
    minutes=6,
    answer=causal_mask,
    reference=lambda T, S: layers.causal_mask(T, S),
    probes=_mask_probes,
    misconceptions=wrong.all,
    hints=(
        "Give every query and every key its position in the whole text. Then one comparison says "
        "it all.",
        "The keys stand at 0 to S - 1. The queries are the last T of these positions: where does "
        "the first query stand?",
        "Two rows of `torch.arange`, one of them with an axis more, `[:, None]`, so that the "
        "comparison broadcasts to (T, S). Or a matrix of ones and `tril`, whose argument shifts "
        "the diagonal: by how much?",
    ),
)
