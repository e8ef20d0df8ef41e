"""Notebook 06, exercise 3: The exact count."""

import torch

from llamalab.config import LlamaConfig
from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.model import Llama

wrong = WrongAnswers()


def count_llama(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv_dim = n_kv_heads * (dim // n_heads)
    attention = 2 * dim * dim + 2 * dim * kv_dim  # wq and wo, then wk and wv
    feed_forward = 3 * dim * hidden_dim
    layer = attention + feed_forward + 2 * dim
    tables = 1 if tied else 2
    return n_layers * layer + dim + tables * vocab_size * dim


def _count_reference(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    """Models of one layer and of two on the meta device, which have shapes and no numbers: their
    parameters counted, and the difference for each layer more."""
    one, two = (
        _parameters(
            LlamaConfig(
                dim=dim,
                n_layers=layers,
                n_heads=n_heads,
                n_kv_heads=n_kv_heads,
                hidden_dim=hidden_dim,
                vocab_size=vocab_size,
                tie_embeddings=tied,
                max_seq_len=2,
            )
        )
        for layers in (1, 2)
    )
    return one + (n_layers - 1) * (two - one)


def _parameters(config):
    with torch.device("meta"):
        model = Llama(config)
    return sum(weight.numel() for weight in model.parameters())


def _count_probes():
    """All sizes different, tied and not; n_heads / n_kv_heads is not n_kv_heads; two of Meta's."""
    return [
        (24, 3, 6, 2, 40, 50, False),
        (24, 5, 12, 3, 64, 70, True),
        (60, 1, 3, 3, 100, 31, False),
        (4096, 32, 32, 32, 11008, 32000, False),
        (8192, 80, 64, 8, 28672, 32000, False),
    ]


def _counted(
    dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, *, attention=None, ffn=None,
    norms=None, last=None, tables=None, layers=None,
):  # fmt: skip
    """The count with one term replaced."""
    kv = n_kv_heads * (dim // n_heads)
    attention = 2 * dim**2 + 2 * dim * kv if attention is None else attention
    ffn = 3 * dim * hidden_dim if ffn is None else ffn
    norms = 2 * dim if norms is None else norms
    last = dim if last is None else last
    tables = 2 - tied if tables is None else tables
    layers = n_layers if layers is None else layers
    return layers * (attention + ffn + norms) + last + tables * vocab_size * dim


@wrong(
    "Your wk and wv are as wide as wq: you gave them all n_heads heads, or divided dim by "
    "n_kv_heads for the size of a head (it is dim / n_heads for keys too). With n_kv_heads below "
    "n_heads they are smaller: at 70B you have 9.4 billion parameters too many."
)
def all_heads_have_keys(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=4 * dim**2
    )


@wrong(
    "You took n_heads / n_kv_heads, how many queries share a key, for the number of KV heads (or "
    "dim / n_kv_heads for their width, which is the same slip). At 70B both are 8 and the count "
    "comes out right, by luck."
)
def groups_for_kv_heads(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    groups = n_heads // n_kv_heads
    return _counted(dim, n_layers, n_heads, groups, hidden_dim, vocab_size, tied)


@wrong(
    "Three of attention's four matrices are narrow in your count. Two are, wk and wv. wq gives "
    "n_heads heads, and wo reads the outputs of as many, side by side: both are dim by dim."
)
def three_narrow_matrices(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = dim**2 + 3 * dim * kv
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


@wrong(
    "You counted wq, wk and wv. There is a fourth matrix, wo, which mixes the heads' outputs "
    "before they are added to the stream."
)
def forgets_wo(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = dim**2 + 2 * dim * kv
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


@wrong("wk does not give n_kv_heads numbers but n_kv_heads vectors, of dim / n_heads numbers each.")
def heads_for_numbers(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    attention = 2 * dim**2 + 2 * dim * n_kv_heads
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


@wrong("You counted a bias for each matrix. Llama 2 has none anywhere. (GPT-2 does.)")
def counts_biases(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = 2 * dim**2 + 2 * dim * kv + 2 * dim + 2 * kv
    ffn = 3 * dim * hidden_dim + 2 * hidden_dim + dim
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention,
        ffn=ffn,
    )  # fmt: skip


@wrong(
    "You counted two feed-forward matrices. SwiGLU has three: w1 is the gate, w3 goes up beside"
    " it, w2 comes down."
)
def two_matrices_in_the_ffn(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    ffn = 2 * dim * hidden_dim
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, ffn=ffn)


@wrong(
    "You took 4 * dim for the width of the feed-forward layer. SwiGLU has a third matrix and "
    "makes up for it by being narrower; the width is the argument hidden_dim."
)
def four_times_dim(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, 4 * dim, vocab_size, tied)


@wrong(
    "You counted one norm a layer. There are two, one before attention and one before the "
    "feed-forward layer, with weights of their own."
)
def one_norm_a_layer(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=dim)


@wrong("You gave each norm a bias. That is LayerNorm; RMSNorm has a weight and nothing else.")
def norms_with_a_bias(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=4 * dim,
        last=2 * dim,
    )  # fmt: skip


@wrong(
    "You are `dim` short: the norm between the last block and the head. It is the one that "
    "belongs to no layer."
)
def forgets_the_last_norm(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, last=0)


@wrong("You gave each norm a single number. It has one for each of the dim coordinates.")
def one_number_a_norm(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=2, last=1
    )


@wrong(
    "You counted the head although it is tied: then it is the embedding's own matrix, and one "
    "matrix is counted once."
)
def head_although_tied(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=2)


@wrong(
    "You never counted the head. Llama 2's is a matrix of its own; only a tied one costs nothing."
)
def never_a_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=1)


@wrong("You counted one layer. Layers do not share weights: each of the n_layers has its own.")
def one_layer_for_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, layers=1)


@wrong(
    "The number is right, and it is a float: `dim / n_heads` gives one even where nothing is left "
    "over, and above 2^53 it would drop digits. `//` between whole numbers gives a whole number."
)
def comes_out_as_a_float(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, layers=float(n_layers)
    )


@wrong(
    "You made all four of attention's matrices as narrow as wk and wv. wq gives n_heads heads and "
    "wo reads as many: both are dim by dim."
)
def all_four_narrow(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=4 * dim * kv
    )


@wrong(
    "You divided dim by n_kv_heads for the size of a head, and so wq and wo came out too wide. A "
    "head has dim / n_heads numbers, whether it is one of queries or of keys."
)
def heads_of_the_wrong_size(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    head = dim // n_kv_heads
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim * n_heads * head + 2 * dim * n_kv_heads * head,
    )


@wrong(
    "One of wk and wv is missing. The values have a matrix of their own, of the same shape as "
    "that of the keys."
)
def forgets_wv(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim**2 + dim * kv,
    )


@wrong(
    "You multiplied by the number of heads. The heads are cut out of one matrix of dim by dim; "
    "each has only dim / n_heads of its rows."
)
def one_matrix_a_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * n_heads * dim**2 + 2 * dim * n_kv_heads * (dim // n_heads),
    )


@wrong(
    "You gave each KV head a matrix of dim by dim. It gives dim / n_heads numbers, so all of them "
    "together have n_kv_heads (dim / n_heads) rows."
)
def keys_as_wide_as_the_model(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim**2 + 2 * dim * dim * n_kv_heads,
    )


@wrong("You counted one head of keys and one of values. There are n_kv_heads of each.")
def a_single_kv_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim**2 + 2 * dim * (dim // n_heads),
    )


@wrong(
    "You added the two sides of wk and wv. A matrix has as many numbers as its sides multiplied."
)
def sides_added(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim**2 + 2 * (dim + n_kv_heads * (dim // n_heads)),
    )


@wrong(
    "You counted no norm. They are small and they are there: two a layer and one at the end, of "
    "dim numbers each."
)
def no_norms_at_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=0, last=0
    )


@wrong("The two norms of each layer are missing; the last one you have.")
def no_norms_in_the_layers(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=0)


@wrong(
    "You counted three norms a layer. There are two; the third stands once, behind the last layer."
)
def last_norm_in_every_layer(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=3 * dim)


@wrong(
    "You counted three norms a layer and none at the end. There are two a layer, and one behind "
    "the last."
)
def last_norm_moved_into_the_layers(
    dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied
):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=3 * dim, last=0
    )


@wrong(
    "You gave one of a layer's norms hidden_dim numbers. Both stand before their layer, in the "
    "stream, where a vector has dim."
)
def second_norm_of_the_hidden_layer(
    dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied
):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=dim + hidden_dim
    )


@wrong("You counted norms of queries and keys. Some later models have them; Llama 2 does not.")
def norms_of_queries_and_keys(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        norms=2 * dim + 2 * (dim // n_heads),
    )


@wrong(
    "You have tied the wrong way round: one table where it is not tied, and two where it is. Tied "
    "means that one matrix does both."
)
def tied_the_wrong_way_round(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=1 + tied
    )


@wrong("Embedding and head stand once each, outside the layers. You counted them n_layers times.")
def tables_in_every_layer(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        tables=n_layers * (2 - tied),
    )


@wrong("The embedding is missing: vocab_size vectors of dim numbers, at the front.")
def forgets_the_embedding(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=1 - tied
    )


@wrong(
    "Embedding and head are missing: vocab_size times dim each (one of them where they are tied)."
)
def no_tables_at_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=0)


@wrong(
    "Where the head is tied you left the embedding out too. One matrix does both, and it is there: "
    "it is counted once."
)
def nothing_where_tied(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=0 if tied else 2
    )


@wrong("You added the two sides of a table. It has vocab_size times dim numbers.")
def sides_of_the_tables_added(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    tables = 2 - tied
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=0
    ) + tables * (vocab_size + dim)


@wrong("You counted a bias of the head, one number for each piece. Llama 2 has no bias anywhere.")
def bias_of_the_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied) + vocab_size


@wrong("You counted biases for queries, keys and values. Qwen has them; Llama 2 has none anywhere.")
def biases_in_attention(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        attention=2 * dim**2 + 2 * dim * kv + dim + 2 * kv,
    )


@wrong(
    "You counted RoPE's frequencies. They are worked out from theta, not learned: no parameters."
)
def rope_table_counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return (
        _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied)
        + dim // n_heads // 2
    )


@wrong(
    "One of your feed-forward matrices is hidden_dim by hidden_dim. All three have one side of "
    "dim: two go up, one comes down."
)
def hidden_by_hidden(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim,
        n_layers,
        n_heads,
        n_kv_heads,
        hidden_dim,
        vocab_size,
        tied,
        ffn=2 * dim * hidden_dim + hidden_dim**2,
    )


@wrong("You counted one feed-forward matrix. There are three, w1 and w3 up and w2 down.")
def one_matrix_in_the_ffn(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, ffn=dim * hidden_dim
    )


@wrong("You counted attention once. Each layer has its own.")
def attention_once_for_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    layers = n_layers - 1
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied) - layers * (
        2 * dim**2 + 2 * dim * kv
    )


@wrong("You counted the feed-forward layer once. Each layer has its own.")
def feed_forward_once_for_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return (
        _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied)
        - (n_layers - 1) * 3 * dim * hidden_dim
    )


@wrong(
    "You made one of wk and wv narrow and left the other as wide as wq. The values have as many "
    "heads as the keys, n_kv_heads: both matrices are narrow, and alike."
)
def one_of_the_two_narrow(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied,
        attention=3 * dim**2 + dim * kv,
    )  # fmt: skip


@wrong(
    "You gave the head a bias where it is a matrix of its own, one number for each piece. Llama 2 "
    "has no bias anywhere."
)
def bias_of_an_untied_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    right = _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied)
    return right if tied else right + vocab_size


EXERCISE = Exercise(
    name="count_llama",
    title="The exact count",
    points=2,
    minutes=8,
    answer=count_llama,
    reference=_count_reference,
    probes=_count_probes,
    rtol=0.0,
    atol=0.0,
    misconceptions=wrong.all,
    hints=(
        "Three places: once at the front, once at the back, and something that occurs n_layers "
        "times. Write down every matrix of a single layer with its two sides.",
        "A layer has seven matrices and two norms. Only wk and wv depend on n_kv_heads: their "
        "short side is the number of KV heads times the numbers of a head.",
        "Outside the layers there are the embedding, the head if it is not tied, and one more "
        "thing of size dim.",
    ),
)
