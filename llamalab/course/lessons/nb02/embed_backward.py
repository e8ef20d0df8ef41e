"""Notebook 02, exercise 2: Which rows learn."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def embed_backward(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))
    return grad_weight  # (V, D)


def _embed_backward_reference(tokens, grad_out, vocab_size):
    size = (vocab_size, grad_out.shape[-1])
    weight = torch.zeros(size, dtype=grad_out.dtype, requires_grad=True)
    torch.nn.functional.embedding(tokens, weight).backward(grad_out)
    return weight.grad


def _embed_backward_probes():
    """Ids that come twice in a sentence, and in two sentences; id 0; rows that never occur; 16
    bits; one token; tensors that are views."""
    g = seeded(21)
    return [
        (torch.tensor([[4, 0, 4], [2, 4, 5]]), torch.randn(2, 3, 5, generator=g), 7),
        (torch.tensor([[1, 1, 1, 3]]), torch.randn(1, 4, 2, generator=g).double(), 6),
        (torch.tensor([[0, 2], [2, 0], [1, 2]]), torch.randn(3, 2, 4, generator=g), 3),
        (torch.tensor([[5, 2, 5]]), torch.randn(1, 3, 4, generator=g).bfloat16(), 8),
        (torch.tensor([[1]]), torch.randn(1, 1, 3, generator=g), 2),
        (
            torch.tensor([[4, 1], [1, 1], [2, 4]]).T,
            torch.randn(3, 2, 5, generator=g).transpose(0, 1),
            6,
        ),
    ]


def _added_up(tokens, grad_out, vocab_size):
    """The right answer, for misconceptions that spoil it afterwards."""
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    return grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))


@wrong(
    "Where a token comes twice you kept one of its gradients and lost the others: `=` writes over "
    "what was there, and with a list of indices even `+=` writes each row once. They must add up."
)
def keeps_only_one(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    grad_weight[tokens] += grad_out
    return grad_weight


@wrong(
    "You averaged over a token's occurrences. Each one pulls on the row in its own right: the "
    "gradient of a sum of uses is a sum. (`nn.Embedding` calls your version "
    "`scale_grad_by_freq`, and leaves it off.)"
)
def averages_repeats(tokens, grad_out, vocab_size):
    total = _added_up(tokens, grad_out, vocab_size)
    counts = torch.bincount(tokens.flatten(), minlength=vocab_size).clamp(min=1)
    return total / counts[:, None].to(total.dtype)


@wrong(
    "You divided by the number of tokens. If the loss was a mean, `grad_out` already holds that"
    " division; doing it again makes the embedding learn B*T times slower."
)
def averages_the_batch(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size) / tokens.numel()


@wrong(
    "You returned only the rows that occurred. They are the right ones, but the optimiser adds "
    "your result to the whole table: it needs V rows, zeros included."
)
def only_rows_that_occurred(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size)[tokens.unique()]


@wrong(
    "Yours is (D, V). A gradient has the shape of what it is the gradient of: the table, (V, D)."
)
def gradient_on_its_side(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size).T


@wrong(
    "You left row 0 without a gradient, as if 0 were padding. In Llama 2 id 0 is the unknown "
    "piece, a row like any other; nothing is skipped unless you say so."
)
def nothing_for_token_zero(tokens, grad_out, vocab_size):
    grad_weight = _added_up(tokens, grad_out, vocab_size)
    grad_weight[0] = 0
    return grad_weight


@wrong(
    "You kept one gradient for each sentence. There is one table, used by all of them: add over"
    " the batch too."
)
def one_table_a_sentence(tokens, grad_out, vocab_size):
    rows = zip(tokens, grad_out)
    return torch.stack([_added_up(t[None], g[None], vocab_size) for t, g in rows])


@wrong(
    "You gave every row the whole gradient. A row that no token asked for had no part in the "
    "loss: its gradient is 0."
)
def everyone_gets_the_sum(tokens, grad_out, vocab_size):
    return grad_out.sum((0, 1)).repeat(vocab_size, 1)


@wrong(
    "Your table of zeros is float32 whatever comes in, so float64 gradients cannot be added to "
    "it. Give `torch.zeros` the dtype of `grad_out`."
)
def forgets_the_dtype(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1])
    return grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))


@wrong(
    "Where a token comes twice you kept the first of its gradients and lost the others. Each of "
    "them pulls on the row: they must add up."
)
def the_first_one_wins(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    for token, row in reversed(list(zip(tokens.flatten().tolist(), grad_out.flatten(0, 1)))):
        grad_weight[token] = row
    return grad_weight


@wrong(
    "Where a token comes twice you kept the larger of its gradients. They must add up, whatever "
    "their signs."
)
def the_largest_wins(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    for token, row in zip(tokens.flatten().tolist(), grad_out.flatten(0, 1)):
        grad_weight[token] = torch.maximum(grad_weight[token], row)
    return grad_weight


@wrong(
    "You go from place to place and add all sentences at once: where two of them have the same "
    "token at the same place, `+=` with a list of indices writes that row once. They must add up."
)
def one_place_at_a_time(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    for t in range(tokens.shape[1]):
        grad_weight[tokens[:, t]] += grad_out[:, t]
    return grad_weight


@wrong(
    "You go from sentence to sentence and add all its tokens at once: where one comes twice in a "
    "sentence, `+=` with a list of indices writes that row once. They must add up."
)
def one_sentence_at_a_time(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    for b in range(tokens.shape[0]):
        grad_weight[tokens[b]] += grad_out[b]
    return grad_weight


@wrong("You averaged over the sentences. Each one pulls on the table: add over the batch.")
def averages_the_sentences(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size) / tokens.shape[0]


@wrong(
    "You divided by the length of the sentence. If the loss was a mean, `grad_out` already holds "
    "that division."
)
def averages_over_the_places(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size) / tokens.shape[1]


@wrong("You took the first sentence only. There is one table, used by all sentences: add them all.")
def the_first_sentence_only(tokens, grad_out, vocab_size):
    return _added_up(tokens[:1], grad_out[:1], vocab_size)


@wrong(
    "Your table has as many rows as the largest id of this batch asks for. The optimiser adds it "
    "to the whole table: it needs `vocab_size` rows, zeros included."
)
def rows_up_to_the_largest_id(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size)[: int(tokens.max()) + 1]


@wrong("You subtracted. The gradient is asked for; to step against it is the optimiser's part.")
def already_the_step(tokens, grad_out, vocab_size):
    return -_added_up(tokens, grad_out, vocab_size)


@wrong(
    "You counted how often each token occurs. What arrives at a row is not 1 for each use but its "
    "gradient: add the rows of `grad_out`."
)
def counts_the_tokens(tokens, grad_out, vocab_size):
    return _added_up(tokens, torch.ones_like(grad_out), vocab_size)


@wrong(
    "You flattened the tokens by columns and the gradients by rows, so that gradients land on the "
    "wrong tokens. Flatten both in the same order."
)
def two_orders(tokens, grad_out, vocab_size):
    return _added_up(tokens.T, grad_out, vocab_size)


@wrong(
    "You added up the D numbers of each gradient. Every column of a row learns for itself: (V, D)."
)
def sums_the_columns(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size).sum(-1)


@wrong(
    "Only the first column is right: `scatter_add_` takes one index for each number, not for each "
    "row. `index_add_` takes one for each row."
)
def scatters_one_column(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    return grad_weight.scatter_add_(0, tokens.flatten()[:, None], grad_out.flatten(0, 1))


@wrong(
    "You looked gradients up by token, which is the way forwards. Backwards each gradient goes to "
    "the row of its token, and the result is (V, D)."
)
def looks_up_once_more(tokens, grad_out, vocab_size):
    return grad_out.flatten(0, 1)[tokens.flatten()]


@wrong(
    "The rows are right, as a dict of those that occurred. A tensor is asked for, (V, D), zeros "
    "included."
)
def a_dict_of_rows(tokens, grad_out, vocab_size):
    rows = {}
    for token, row in zip(tokens.flatten().tolist(), grad_out.flatten(0, 1)):
        rows[token] = rows.get(token, 0) + row
    return rows


@wrong(
    "Your table is float32 whatever comes in. Give `torch.zeros` the dtype of `grad_out`: a model "
    "in bfloat16 wants bfloat16 gradients."
)
def always_float32(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out.float(), vocab_size)


@wrong(
    "`view` wants numbers that lie in one row in memory, and in a transposed tensor they do not. "
    "`reshape` and `flatten` do the same for both."
)
def asks_for_contiguous(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    return grad_weight.index_add_(0, tokens.view(-1), grad_out.view(-1, grad_out.shape[-1]))


EXERCISE = Exercise(
    name="embed_backward",
    title="Which rows learn",
    points=2,
    minutes=8,
    answer=embed_backward,
    reference=_embed_backward_reference,
    probes=_embed_backward_probes,
    misconceptions=wrong.all,
    no_autograd=True,
    hints=(
        "Forwards, each token took a copy of a row. Backwards, each token brings its gradient "
        "back to the row that it came from. What happens where two bring theirs to one row?",
        "Start from a table of zeros, (V, D), in `grad_out`'s dtype. Flatten the tokens to one "
        "list of ids and the gradients to as many rows, then add each to its place.",
        "`index_add_(0, ids, rows)` adds every row, repeated ids included. Or remember that "
        "the lookup was a product with a one-hot matrix: its gradient is another product, with "
        "the one-hot turned on its side.",
    ),
)
