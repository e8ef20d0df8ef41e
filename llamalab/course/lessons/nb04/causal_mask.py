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


@wrong(
    "Two things: True is to mean may look, and yours is True where the query may NOT look; and "
    "your triangle is lined up with the first positions, where the queries are the last T of S."
)
def hidden_and_from_the_start(T, S):
    return torch.ones(T, S).triu(1).bool()


@wrong(
    "The shift has the wrong sign: S - T, not T - S. The queries are the last ones, so the "
    "diagonal moves to the right, and every query sees the S - T tokens before them."
)
def shifted_the_other_way(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(T - S)


@wrong(
    "You shifted by T. The first query stands at S - T: shift by that, which is 0 where nothing "
    "came before."
)
def shifted_by_the_new_tokens(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(T)


@wrong(
    "The pattern is right, but these are whole numbers, 1 and 0. `~1` is -2, and a mask of numbers "
    "is added to the scores by PyTorch. It should be True and False."
)
def whole_ones_and_zeros(T, S):
    return torch.ones(T, S, dtype=torch.int32).tril(S - T)


@wrong(
    "The pattern is right, but these are whole numbers, 1 and 0. `~1` is -2, and a mask of numbers "
    "is added to the scores by PyTorch. It should be True and False. "
    "(Comparisons give such a tensor by themselves.)"
)
def long_ones_and_zeros(T, S):
    return torch.ones(T, S, dtype=torch.int64).tril(S - T)


@wrong("The pattern is right, with two axes too many. What is asked for is (T, S), for all heads.")
def with_axes_for_batch_and_head(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T)[None, None]


@wrong(
    "You kept the last T columns of the whole triangle. It is the last T ROWS: rows are queries."
)
def last_columns(T, S):
    return torch.ones(S, S, dtype=torch.bool).tril()[:, -T:]


@wrong(
    "Yours is (S, S): a row for each position, also for those that ask no longer. The T queries "
    "are its last rows."
)
def a_row_for_every_position(T, S):
    return torch.ones(S, S, dtype=torch.bool).tril()


@wrong(
    "You hid the S - T tokens that came before. The new ones may look at all of them: that is what "
    "a cache is for."
)
def hides_the_past(T, S):
    past = torch.zeros(T, S - T, dtype=torch.bool)
    return torch.cat((past, torch.ones(T, T, dtype=torch.bool).tril()), dim=1)


@wrong(
    "Your triangle stands on the left and the open columns on the right. The past comes first: "
    "open columns, then the triangle of the new tokens."
)
def triangle_before_the_past(T, S):
    new = torch.ones(T, T, dtype=torch.bool).tril()
    return torch.cat((new, torch.ones(T, S - T, dtype=torch.bool)), dim=1)


@wrong("The pattern is right, but it is a list of lists. A bool tensor (T, S) is asked for.")
def a_list_of_lists(T, S):
    return [[s <= S - T + t for s in range(S)] for t in range(T)]


@wrong("The pattern is right, but it is numpy's array. A bool tensor of torch is asked for.")
def an_array_of_numpy(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T).numpy()


SHIFTED_BY_ONE = (
    "You shifted by 1, which is right in the example. The shift is the number of positions that "
    "came before the first query: S - T, which is 1 there."
)


@wrong(SHIFTED_BY_ONE)
def shifted_by_one(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(1)


@wrong(SHIFTED_BY_ONE)
def shifted_by_one_behind_a_cache(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(1 if S > T else 0)


SQUEEZED = (
    "You squeezed. With one query the mask is (1, S): a row that comes alone is a row still, and "
    "the scores beside it have two axes."
)


@wrong(SQUEEZED)
def squeezed(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T).squeeze()


@wrong(SQUEEZED)
def squeezed_at_the_front(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T).squeeze(0)


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
