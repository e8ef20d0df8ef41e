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
    """All sizes different; V = T and V = D, where a wrong axis goes unnoticed; other dtypes."""
    g = seeded(20)
    return [
        (torch.tensor([[4, 0, 6], [2, 4, 5]]), torch.randn(7, 4, generator=g)),
        (torch.tensor([[1, 3, 0, 4, 1]]), torch.randn(5, 3, generator=g)),
        (torch.tensor([[3, 2, 0], [1, 1, 3]]), torch.randn(4, 4, generator=g)),
        (torch.tensor([[2], [0]]), torch.randn(3, 5, generator=g).double()),
        (torch.tensor([[8, 0, 3]]), torch.randn(9, 2, generator=g).bfloat16()),
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
