"""Notebook 02, exercise 1: A lookup as a product."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def embed_product(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)  # (B, T, V)
    return one_hot @ weight  # (B, T, D)


def _embed_reference(tokens, weight):
    return torch.nn.functional.embedding(tokens, weight)


def _embed_probes():
    """All sizes different; V = T and V = D, where a wrong axis goes unnoticed; other dtypes; one
    token alone; ids that stop below V - 1; tokens and a table that are views."""
    g = seeded(20)
    table = torch.randn(6, 8, generator=g)
    return [
        (torch.tensor([[4, 0, 6], [2, 4, 5]]), torch.randn(7, 4, generator=g)),
        (torch.tensor([[1, 3, 0, 4, 1]]), torch.randn(5, 3, generator=g)),
        (torch.tensor([[3, 2, 0], [1, 1, 3]]), torch.randn(4, 4, generator=g)),
        (torch.tensor([[2], [0]]), torch.randn(3, 5, generator=g).double()),
        (torch.tensor([[8, 0, 3]]), torch.randn(9, 2, generator=g).bfloat16()),
        (torch.tensor([[2, 1]]), torch.randn(4, 1, generator=g).half()),
        (torch.tensor([[1]]), 300 * torch.randn(6, 3, generator=g)),
        (torch.tensor([[5, 1], [0, 3], [2, 2]]).T, table[:, ::2]),
    ]


@wrong(
    "You numbered the rows from 1: every token gets the row before its own, and token 0 gets "
    "only zeros. Ids start at 0, as rows do."
)
def counts_ids_from_one(tokens, weight):
    vocabulary = torch.arange(1, weight.shape[0] + 1)
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot @ weight


@wrong(
    "Your one-hot runs down a column: it has the shape (B, V, T). Each token needs a row of its"
    " own, (B, T, V), so that the V axis meets the V rows of the table."
)
def one_hot_on_its_side(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[:, None, :] == vocabulary[:, None]).to(weight.dtype)  # (B, V, T)
    return one_hot @ weight


@wrong(
    "You turned the table on its side. It holds one token a row, (V, D), and `@` already runs "
    "down its rows; a square table hides this mistake."
)
def table_on_its_side(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot @ weight.T


@wrong(
    "You added the tokens of each sentence together: that bag of words no longer knows which "
    "token stood where. The T axis must come out again."
)
def adds_up_the_sentence(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot.sum(1) @ weight


@wrong(
    "You ran all sentences into one. The layers that follow must know where a sentence ends, so"
    " (B, T) ids become (B, T, D) vectors."
)
def forgets_the_batch(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens.reshape(-1, 1) == vocabulary).to(weight.dtype)
    return one_hot @ weight


@wrong(
    "You made the table whole numbers so that the product would run. The weights are small "
    "fractions, and nearly all of them became 0: convert the one-hot instead."
)
def whole_numbers_only(tokens, weight):
    one_hot = torch.nn.functional.one_hot(tokens, weight.shape[0])
    return one_hot @ weight.long()


@wrong(
    "You always compute in float32, whatever the table is. A model in bfloat16 would get "
    "float32 vectors from it and stop at the next product."
)
def always_float32(tokens, weight):
    one_hot = torch.nn.functional.one_hot(tokens, weight.shape[0]).float()
    return one_hot @ weight.float()


@wrong(
    "Your one-hot holds the id where it should hold 1, so row 6 comes out six times too large, "
    "and row 0 vanishes."
)
def puts_the_id_in_the_row(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype) * tokens[..., None]
    return one_hot @ weight


def _one_hot(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    return (tokens[..., None] == vocabulary).to(weight.dtype)


@wrong(
    "The values are right, and the table would never learn: `detach`, `.data`, `no_grad`, numpy, "
    "`tolist` or a new `torch.tensor` cuts the gradient off on its way back to `weight`. Multiply "
    "with `weight` itself."
)
def detaches_the_table(tokens, weight):
    return _one_hot(tokens, weight) @ weight.detach()


@wrong(
    "You let `one_hot` count the tokens itself, so its rows are as long as the largest id in this "
    "batch. They must be V long: pass it `weight.shape[0]`."
)
def lets_one_hot_guess(tokens, weight):
    one_hot = torch.nn.functional.one_hot(tokens).to(weight.dtype)
    return one_hot @ weight


@wrong(
    "Your one-hot is float32 whatever the table is, so a table in float64 or bfloat16 cannot be "
    "multiplied by it. Give the one-hot the table's dtype."
)
def one_hot_in_float32(tokens, weight):
    return torch.nn.functional.one_hot(tokens, weight.shape[0]).float() @ weight


@wrong(
    "You went through float16 on the way. It has about three digits, and nothing above 65,504; "
    "keep the table's own dtype."
)
def by_way_of_float16(tokens, weight):
    return (_one_hot(tokens, weight).half() @ weight.half()).to(weight.dtype)


@wrong(
    "You compare T ids with V numbers, place by place. Every id must be compared with every number "
    "from 0 to V - 1: give `tokens` one more axis at the end first, (B, T, 1)."
)
def compares_place_by_place(tokens, weight):
    return (tokens == torch.arange(weight.shape[0])).to(weight.dtype) @ weight


@wrong(
    "The new axis stands in the middle, (B, 1, T), and the T ids meet the V numbers place by "
    "place. It belongs at the end, (B, T, 1)."
)
def new_axis_in_the_middle(tokens, weight):
    return (tokens[:, None] == torch.arange(weight.shape[0])).to(weight.dtype) @ weight


@wrong(
    "Your one-hot rows are D long, from `weight.shape[1]`. They choose among the V rows of the "
    "table: V is `weight.shape[0]`."
)
def one_hot_of_width_d(tokens, weight):
    return torch.eye(weight.shape[1], dtype=weight.dtype)[tokens] @ weight


@wrong(
    "`squeeze` throws away every axis of size 1: the batch of one sentence, the sentence of one "
    "token. (B, T) ids become (B, T, D) vectors, also where B or T is 1."
)
def squeezes_the_result(tokens, weight):
    return (_one_hot(tokens, weight) @ weight).squeeze()


@wrong(
    "`squeeze` throws away every axis of size 1: the batch of one sentence, the sentence of one "
    "token. (B, T) ids become (B, T, D) vectors, also where B or T is 1."
)
def squeezes_the_tokens(tokens, weight):
    return _one_hot(tokens.squeeze(), weight) @ weight


@wrong(
    "`view` wants numbers that lie in one row in memory, and in a transposed tensor they do not. "
    "`reshape` does the same for both; or add an axis with `[..., None]`."
)
def asks_for_contiguous_tokens(tokens, weight):
    return _one_hot(tokens.view(-1), weight).matmul(weight).view(*tokens.shape, -1)


@wrong(
    "Yours is (B, D, T). One vector for each token: (B, T, D), the D numbers along the last axis."
)
def vectors_in_columns(tokens, weight):
    return (_one_hot(tokens, weight) @ weight).transpose(1, 2)


@wrong(
    "You made one row for the whole batch, with a 1 for each token that occurs. Each token needs a "
    "row of its own."
)
def one_row_for_all(tokens, weight):
    one_hot = torch.zeros(weight.shape[0], dtype=weight.dtype)
    one_hot[tokens.flatten()] = 1
    return one_hot @ weight


@wrong(
    "You added the sentences of the batch together. They have nothing to do with each other: the B "
    "axis must come out again."
)
def adds_up_the_batch(tokens, weight):
    return _one_hot(tokens, weight).sum(0, keepdim=True) @ weight


@wrong(
    "You averaged over the vocabulary where you should add: nearly all of what you average is 0, "
    "and every vector comes out V times too small."
)
def averages_over_the_vocabulary(tokens, weight):
    return _one_hot(tokens, weight) @ weight / weight.shape[0]


@wrong(
    "You added up the D numbers of the row and kept the V places. The sum runs over the "
    "vocabulary: `one_hot @ weight`."
)
def sums_over_d(tokens, weight):
    return (_one_hot(tokens, weight)[..., None] * weight).sum(-1)


@wrong(
    "The last row of the table is out of reach: V rows have the numbers 0 to V - 1, and `arange` "
    "stops before its end by itself."
)
def forgets_the_last_row(tokens, weight):
    last = weight.shape[0] - 1
    return _one_hot(tokens, weight)[..., :last] @ weight[:last]


@wrong(
    "You put a softmax where a comparison belongs. A one-hot holds a 1 and zeros; yours lets a "
    "little of every row in."
)
def soft_choice(tokens, weight):
    return torch.softmax(10 * _one_hot(tokens, weight), -1) @ weight


@wrong(
    "You flattened the batch by rows and folded it back by columns: tokens have changed their "
    "places. Fold it back to (B, T, D) in the order in which it was unfolded."
)
def folds_back_wrongly(tokens, weight):
    (batch, length), width = tokens.shape, weight.shape[1]
    flat = _one_hot(tokens, weight).reshape(-1, weight.shape[0]) @ weight
    return flat.reshape(length, batch, width).transpose(0, 1)


EXERCISE = Exercise(
    name="embed_product",
    title="A lookup as a product",
    points=1,
    minutes=5,
    answer=embed_product,
    reference=_embed_reference,
    probes=_embed_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "For each token you need V numbers: a 1 at the place that its id names and 0 elsewhere. "
        "That is a question asked of every number from 0 to V - 1: are you the id?",
        "Give `tokens` one more axis at the end, (B, T, 1), and compare it with the V numbers "
        "from 0 on. Broadcasting makes (B, T, V) booleans of it; then one product.",
        "`torch.arange` makes the V numbers. Booleans cannot be multiplied by fractions: give "
        "the one-hot the table's own dtype with `.to(...)`, then use `@`.",
    ),
)
