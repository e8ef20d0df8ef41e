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
    """A model on the meta device, which has shapes and no numbers; its parameters counted."""
    config = LlamaConfig(
        dim=dim,
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        hidden_dim=hidden_dim,
        vocab_size=vocab_size,
        tie_embeddings=tied,
        max_seq_len=2,
    )
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
    "You gave keys and values as many heads as queries. With n_kv_heads below n_heads, wk and "
    "wv are smaller: at 70B that is 9.4 billion parameters too many."
)
def all_heads_have_keys(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=4 * dim**2
    )


@wrong(
    "You took n_heads / n_kv_heads, how many queries share a key, for the number of KV heads. "
    "At 70B both are 8 and the count comes out right, by luck."
)
def groups_for_kv_heads(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    groups = n_heads // n_kv_heads
    return _counted(dim, n_layers, n_heads, groups, hidden_dim, vocab_size, tied)


@wrong(
    "You made wo as narrow as wk and wv. It reads the outputs of all query heads, side by side,"
    " and there are n_heads of them: wo is dim by dim."
)
def narrow_output_projection(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
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
