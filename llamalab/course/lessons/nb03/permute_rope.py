"""Notebook 03, exercise 3: From one layout to the other."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def permute_to_half(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)  # (H, D/2, 2, in)
    return pairs.transpose(1, 2).reshape(rows, columns)


def _permute_reference(weight, n_heads):
    """Row by row: which of Meta's rows goes to each of Hugging Face's seats."""
    head_dim = weight.shape[0] // n_heads
    order = []
    for head in range(n_heads):
        for seat in range(head_dim):
            i, second = seat % (head_dim // 2), seat >= head_dim // 2
            order.append(head * head_dim + 2 * i + int(second))
    return torch.nn.functional.embedding(torch.tensor(order), weight)


def _permute_probes():
    """A wq and a wk of the same model (6 heads and 2 KV heads), a square one, 16 bits, one head;
    head_dim = 6 and 10, where a permutation and its inverse differ; more columns than rows; a
    single column; a weight that is a transposed view."""
    g = seeded(32)
    return [
        (torch.randn(36, 36, generator=g), 6),
        (torch.randn(12, 36, generator=g), 2),
        (torch.randn(30, 12, generator=g), 3),
        (torch.randn(32, 24, generator=g).bfloat16(), 4),
        (torch.randn(8, 20, generator=g).double(), 1),
        (torch.randn(18, 1, generator=g), 3),
        (torch.randn(14, 20, generator=g).T, 2),
    ]


@wrong(
    "That is the way back, from Hugging Face's order to Meta's. For a head of 4 the two are the"
    " same, so a small test cannot tell them apart; for 6 and more it can."
)
def the_way_back(weight, n_heads):
    rows, columns = weight.shape
    halves = weight.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return halves.transpose(1, 2).reshape(rows, columns)


@wrong(
    "You reordered the columns, which are the numbers that come in. Seats in a head are numbers"
    " that come out: the rows."
)
def moves_the_columns(weight, n_heads):
    return _to_half(weight.T, n_heads).T


@wrong(
    "You sorted even and odd rows over the whole matrix. Each head turns its own pairs, so its "
    "rows must stay together: sort within a head."
)
def forgets_the_heads(weight, n_heads):
    return torch.cat((weight[0::2], weight[1::2]))


@wrong(
    "You read the rows as if neighbouring rows belonged to different heads. A head's rows stand"
    " together: the heads are the outermost axis."
)
def heads_fastest(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(rows // n_heads // 2, 2, n_heads, columns)
    return pairs.transpose(0, 1).reshape(rows, columns)


@wrong(
    "You took the number of heads for the size of one, or the other way round. The shapes fit "
    "all the same, and where both are equal so do the numbers."
)
def takes_heads_for_their_size(weight, n_heads):
    return _to_half(weight, weight.shape[0] // n_heads)


@wrong(
    "You took the matrix for square, with as many rows as columns. wk is not, where there are "
    "fewer KV heads than heads: take the number of rows from the weight itself. (An exporter that "
    "did so stopped at such a wk with a shape error: karpathy/llama2.c#431.)"
)
def takes_it_for_square(weight, n_heads):
    dim = weight.shape[1]
    return weight.view(n_heads, dim // n_heads // 2, 2, dim).transpose(1, 2).reshape(dim, dim)


@wrong(
    "You put the second number of each pair into the first half. The turn then runs the other "
    "way round."
)
def odd_rows_first(weight, n_heads):
    return _to_half(weight.reshape(-1, 2, weight.shape[1]).flip(1).flatten(0, 1), n_heads)


@wrong("You exchanged the two numbers of each pair and left the pairs where they were.")
def exchanges_neighbours(weight, n_heads):
    return weight.reshape(-1, 2, weight.shape[1]).flip(1).flatten(0, 1)


@wrong(
    "Every row is still where it was. (Two reshapes, there and back, move nothing: it is the "
    "transpose between them that does.) At place 0 nobody will notice; users of llama2.c saw "
    "gibberish after some twenty tokens."
)
def leaves_it_alone(weight, n_heads):
    return weight.clone()


@wrong("The order is right, but the result still has four axes. A weight is (H*D, in).")
def forgets_to_flatten(weight, n_heads):
    rows, columns = weight.shape
    return weight.reshape(n_heads, rows // n_heads // 2, 2, columns).transpose(1, 2)


@wrong(
    "You exchanged the axis of the heads with the axis of the pairs. Only the axis of the pairs"
    " and the axis within a pair change places."
)
def pairs_across_heads(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.transpose(0, 1).reshape(rows, columns)


@wrong("You permuted twice. Only for a head of 4 does the second time undo the first.")
def twice_is_too_much(weight, n_heads):
    return _to_half(_to_half(weight, n_heads), n_heads)


@wrong(
    "You converted the weight to float32. Moving rows needs no arithmetic: let every number be "
    "what it was."
)
def loses_the_dtype(weight, n_heads):
    return _to_half(weight.float(), n_heads)


@wrong(
    "You overwrote the weight that you were given. An exporter that does so breaks the model it"
    " exports."
)
def shuffles_in_place(weight, n_heads):
    weight.copy_(_to_half(weight, n_heads).clone())
    return weight


def _to_half(weight, n_heads):
    """The right permutation, for misconceptions that spoil it."""
    rows = weight.reshape(n_heads, -1, weight.shape[1])
    return torch.cat((rows[:, 0::2], rows[:, 1::2]), dim=1).reshape(weight.shape)


@wrong(
    "You used the new order for the columns. They are the numbers that come in; seats in a head "
    "are numbers that come out: the rows, the first index."
)
def orders_the_columns(weight, n_heads):
    head_dim = weight.shape[0] // n_heads
    order = torch.arange(head_dim * n_heads).view(n_heads, -1, 2).transpose(1, 2).flatten()
    return weight[:, order]


@wrong(
    "You worked the size of a head out from the columns. wk has as many columns as wq and fewer "
    "heads, so that its heads come out too large: D is the number of ROWS over n_heads."
)
def head_size_from_the_columns(weight, n_heads):
    pairs = weight.reshape(n_heads, weight.shape[1] // n_heads // 2, 2, -1)
    return pairs.transpose(1, 2).reshape(weight.shape)


@wrong(
    "You exchanged the last two axes, the place within a pair and the columns: numbers leave their "
    "rows. A row moves as a whole; exchange the axis of the pairs and the axis within a pair."
)
def breaks_the_rows(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.transpose(2, 3).reshape(rows, columns)


@wrong(
    "You brought the place within a pair in front of the heads: all first numbers of all heads, "
    "then all second ones. Each head turns its own pairs, so the heads stay outermost."
)
def seats_before_heads(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.transpose(0, 2).reshape(rows, columns)


@wrong("The order is right, but yours is still head by head, (H, D, in). A weight is (H*D, in).")
def heads_still_apart(weight, n_heads):
    heads = weight.reshape(n_heads, -1, weight.shape[1])
    return torch.cat((heads[:, 0::2], heads[:, 1::2]), dim=1)


@wrong(
    "You took `n_heads` for the size of a head. It is the number of heads: D is the number of rows "
    "over it."
)
def takes_the_number_for_the_size(weight, n_heads):
    rows, columns = weight.shape
    return weight.reshape(-1, n_heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)


@wrong(
    "You worked out the order for one head and kept its rows alone: the other heads are gone. The "
    "order of head h is the same, further down by h times D."
)
def keeps_one_head(weight, n_heads):
    head_dim = weight.shape[0] // n_heads
    return weight[[*range(0, head_dim, 2), *range(1, head_dim, 2)]]


@wrong("Your first head is right, and the others are as they were. All of them need the new order.")
def first_head_only(weight, n_heads):
    head_dim = weight.shape[0] // n_heads
    first = weight[[*range(0, head_dim, 2), *range(1, head_dim, 2)]]
    return torch.cat((first, weight[head_dim:]))


@wrong(
    "You overwrote the weight, and rows were read after they had been overwritten. Build a new "
    "tensor: an exporter must not break the model that it exports."
)
def overwrites_while_it_reads(weight, n_heads):
    heads = weight.view(n_heads, -1, weight.shape[1])
    half = heads.shape[1] // 2
    heads[:, :half] = heads[:, 0::2].clone()
    heads[:, half:] = heads[:, 1::2].clone()
    return weight


@wrong(
    "You cut the columns into heads and pairs, and moved them. They are the numbers that come in "
    "(and may be odd in number, where your `view` stops). Seats in a head are numbers that come "
    "out: the rows."
)
def cuts_the_columns_into_pairs(weight, n_heads):
    rows, columns = weight.shape
    return weight.reshape(rows, n_heads, -1, 2).transpose(2, 3).reshape(rows, columns)


HEADS_OF_ONE_SIZE = (
    "You wrote the size of a head into the function and left `n_heads` unused. Models differ in "
    "it: D is the number of rows over n_heads."
)


def _in_heads_of(size, weight):
    pairs = weight.reshape(-1, size // 2, 2, weight.shape[1])
    return pairs.transpose(1, 2).reshape(weight.shape)


@wrong(HEADS_OF_ONE_SIZE)
def heads_of_six(weight, n_heads):
    return _in_heads_of(6, weight)


@wrong(HEADS_OF_ONE_SIZE)
def heads_of_sixteen(weight, n_heads):
    return _in_heads_of(16, weight)


@wrong(HEADS_OF_ONE_SIZE)
def heads_of_sixteen_at_most(weight, n_heads):
    return _in_heads_of(min(16, weight.shape[0]), weight)


@wrong(HEADS_OF_ONE_SIZE)
def heads_of_a_hundred_and_twenty_eight(weight, n_heads):
    return _in_heads_of(128, weight)


EXERCISE = Exercise(
    name="permute_rope",
    title="From one layout to the other",
    points=3,
    minutes=15,
    answer=permute_to_half,
    reference=_permute_reference,
    probes=_permute_probes,
    misconceptions=wrong.all,
    hints=(
        "Take one head of six: rows 0 1 2 3 4 5, of which (0, 1), (2, 3) and (4, 5) are pairs. In "
        "the other layout seat 0 is paired with seat 3. Write down the new order of the rows.",
        "Number the rows by three coordinates: which head, which pair, which of the two. Then "
        "exchange the last two of the three. That is a reshape, a transpose, a reshape.",
        "Four axes on the way: (n_heads, D/2, 2, in), then (n_heads, 2, D/2, in). D comes from "
        "the number of rows, so that wk works as wq does.",
    ),
)
