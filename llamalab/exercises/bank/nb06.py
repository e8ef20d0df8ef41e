"""Notebook 06: the block, the exact count, the initialisation, and a checkpoint in shards."""

from types import SimpleNamespace

import torch
from torch import nn

from llamalab.config import LlamaConfig
from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question
from llamalab.model import Block, Llama, Parts, init_weights

# -- the block ------------------------------------------------------------------------------


def block(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))  # (B, T, D)
    return h + feed_forward(ffn_norm(h))  # (B, T, D)


class _Called(nn.Module):
    """A function in the place of a module; what the model hands over beside x is dropped."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, *rest):
        return self.function(x)


def _block_reference(x, attention_norm, attention, ffn_norm, feed_forward):
    """The package's own Block, with these functions for its modules."""
    with torch.device("meta"):
        made = Block(LlamaConfig(dim=2, n_layers=1, n_heads=1), Parts(), 0)
    made.attention_norm, made.attention = _Called(attention_norm), _Called(attention)
    made.ffn_norm, made.feed_forward = _Called(ffn_norm), _Called(feed_forward)
    return made(x, None, None, None, None)


def _normed(x, first, last):
    gain = torch.linspace(first, last, x.shape[-1], dtype=x.dtype)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * gain


def norm_before_attention(x):
    return _normed(x, 0.6, 1.5)


def norm_before_feed_forward(x):
    return _normed(x, 1.8, 0.7)


def mixes_tokens(x):
    """Stands for attention: each token gets a bent mean of itself and those before it."""
    count = torch.arange(1, x.shape[-2] + 1, dtype=x.dtype)[:, None]
    return 1.3 * torch.tanh(x.cumsum(-2) / count).flip(-1)


def bends_each_token(x):
    """Stands for the feed-forward layer."""
    return x * torch.sigmoid(2 * x.roll(1, -1)) - 0.4


def _block_probes():
    """Batches, a square, float64, small vectors; the four functions are all different."""
    g = torch.Generator().manual_seed(60)
    parts = (norm_before_attention, mixes_tokens, norm_before_feed_forward, bends_each_token)
    return [
        (1 + torch.randn(2, 3, 5, generator=g), *parts),
        (0.1 * torch.randn(3, 4, 4, generator=g).double(), *parts),
        ((2 * torch.randn(1, 6, 3, generator=g)).requires_grad_(), *parts),
    ]


def norms_after_the_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = attention_norm(x + attention(x))
    return ffn_norm(h + feed_forward(h))


def norms_what_a_layer_gives(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention_norm(attention(x))
    return h + ffn_norm(feed_forward(h))


def norms_nothing(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(x)
    return h + feed_forward(h)


def adds_nothing(x, attention_norm, attention, ffn_norm, feed_forward):
    return feed_forward(ffn_norm(attention(attention_norm(x))))


def adds_to_the_normed_copy(x, attention_norm, attention, ffn_norm, feed_forward):
    x = attention_norm(x)
    h = ffn_norm(x + attention(x))
    return h + feed_forward(h)


def feed_forward_reads_x(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(ffn_norm(x))


def both_at_once(x, attention_norm, attention, ffn_norm, feed_forward):
    normed = attention_norm(x)
    return x + attention(normed) + feed_forward(normed)


def one_norm_twice(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(attention_norm(h))


def norms_changed_places(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(ffn_norm(x))
    return h + feed_forward(attention_norm(h))


def second_sum_from_x(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return x + feed_forward(ffn_norm(h))


def one_sum_around_both(x, attention_norm, attention, ffn_norm, feed_forward):
    return x + feed_forward(ffn_norm(attention(attention_norm(x))))


def no_first_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = attention(attention_norm(x))
    return h + feed_forward(ffn_norm(h))


def no_second_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return feed_forward(ffn_norm(h))


def feed_forward_first(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + feed_forward(ffn_norm(x))
    return h + attention(attention_norm(h))


def adds_in_place(x, attention_norm, attention, ffn_norm, feed_forward):
    x += attention(attention_norm(x))
    x += feed_forward(ffn_norm(x))
    return x


BLOCK = Exercise(
    name="block",
    title="The block",
    points=2,
    minutes=6,
    answer=block,
    reference=_block_reference,
    probes=_block_probes,
    misconceptions=(
        Misconception(
            norms_after_the_sum,
            "You normalise the sum: that is post-norm, as in the first transformers. Here nothing "
            "may rescale the stream itself; the norm makes a copy for the layer to read.",
        ),
        Misconception(
            norms_what_a_layer_gives,
            "You normalise what a layer gives, not what it reads. Each layer then adds a vector "
            "of one fixed size, and reads a stream of any size.",
        ),
        Misconception(
            norms_nothing,
            "Your layers read the stream as it is; the two norms are never called. The stream "
            "grows with depth, so deep layers would be fed ever larger vectors.",
        ),
        Misconception(
            adds_nothing,
            "You put the four behind one another and added nothing to the stream. After one block "
            "the token's own vector is gone, and a gradient has no short way back.",
        ),
        Misconception(
            adds_to_the_normed_copy,
            "You added to the normalised copy. By overwriting x with its norm you lost the stream: "
            "keep x, and hand the copy to the layer alone.",
        ),
        Misconception(
            feed_forward_reads_x,
            "Your feed-forward layer reads x, from before attention, so it cannot use what "
            "attention has just brought from other tokens. It should read the sum, h.",
        ),
        Misconception(
            both_at_once,
            "Both layers read one normalised copy, side by side. That is the parallel block of "
            "GPT-J and PaLM; Llama 2's feed-forward layer waits for attention.",
        ),
        Misconception(
            one_norm_twice,
            "You used attention's norm in both places. The shapes fit and nothing complains, but "
            "each norm has learned weights of its own, and the second set is never used.",
        ),
        Misconception(
            norms_changed_places,
            "The two norms have changed places. Fresh ones are all ones and hide this; with "
            "trained weights every layer reads what was made for the other.",
        ),
        Misconception(
            second_sum_from_x,
            "Your second sum starts from x again, so what attention wrote into the stream is lost "
            "behind this block. Add to h.",
        ),
        Misconception(
            one_sum_around_both,
            "You have one sum around both layers. There are two, one around each: attention "
            "writes into the stream, then the feed-forward layer does.",
        ),
        Misconception(
            no_first_sum,
            "The sum around attention is missing: h is what attention gave, without x.",
        ),
        Misconception(
            no_second_sum,
            "The sum around the feed-forward layer is missing: the block hands on what that layer "
            "gave, without the stream.",
        ),
        Misconception(
            feed_forward_first,
            "Your feed-forward layer comes before attention. In Llama 2 tokens first look at each "
            "other, and then each thinks by itself.",
        ),
        Misconception(
            adds_in_place,
            "You added into the tensor that you were given. Whoever called still needs x, and "
            "autograd does too: it stops at a `+=` on a tensor that it must remember.",
        ),
    ),
    hints=(
        "Two layers, and the same thing happens around each: copy, normalise the copy, let the "
        "layer read it, add what comes out to what was there.",
        "Name the vector between the two layers, h. The first line makes h of x. The second makes "
        "the result of h, and x does not occur in it any more.",
    ),
)


# -- how many parameters --------------------------------------------------------------------


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


def all_heads_have_keys(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=4 * dim**2
    )


def groups_for_kv_heads(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    groups = n_heads // n_kv_heads
    return _counted(dim, n_layers, n_heads, groups, hidden_dim, vocab_size, tied)


def narrow_output_projection(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = dim**2 + 3 * dim * kv
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


def forgets_wo(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = dim**2 + 2 * dim * kv
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


def heads_for_numbers(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    attention = 2 * dim**2 + 2 * dim * n_kv_heads
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention
    )


def counts_biases(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    kv = n_kv_heads * (dim // n_heads)
    attention = 2 * dim**2 + 2 * dim * kv + 2 * dim + 2 * kv
    ffn = 3 * dim * hidden_dim + 2 * hidden_dim + dim
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, attention=attention,
        ffn=ffn,
    )  # fmt: skip


def two_matrices_in_the_ffn(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    ffn = 2 * dim * hidden_dim
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, ffn=ffn)


def four_times_dim(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, 4 * dim, vocab_size, tied)


def one_norm_a_layer(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=dim)


def norms_with_a_bias(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=4 * dim,
        last=2 * dim,
    )  # fmt: skip


def forgets_the_last_norm(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, last=0)


def one_number_a_norm(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(
        dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, norms=2, last=1
    )


def head_although_tied(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=2)


def never_a_head(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, tables=1)


def one_layer_for_all(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied):
    return _counted(dim, n_layers, n_heads, n_kv_heads, hidden_dim, vocab_size, tied, layers=1)


COUNT_LLAMA = Exercise(
    name="count_llama",
    title="The exact count",
    points=2,
    minutes=8,
    answer=count_llama,
    reference=_count_reference,
    probes=_count_probes,
    rtol=0.0,
    atol=0.0,
    misconceptions=(
        Misconception(
            all_heads_have_keys,
            "You gave keys and values as many heads as queries. With n_kv_heads below n_heads, wk "
            "and wv are smaller: at 70B that is 9.4 billion parameters too many.",
        ),
        Misconception(
            groups_for_kv_heads,
            "You took n_heads / n_kv_heads, how many queries share a key, for the number of KV "
            "heads. At 70B both are 8 and the count comes out right, by luck.",
        ),
        Misconception(
            narrow_output_projection,
            "You made wo as narrow as wk and wv. It reads the outputs of all query heads, side by "
            "side, and there are n_heads of them: wo is dim by dim.",
        ),
        Misconception(
            forgets_wo,
            "You counted wq, wk and wv. There is a fourth matrix, wo, which mixes the heads' "
            "outputs before they are added to the stream.",
        ),
        Misconception(
            heads_for_numbers,
            "wk does not give n_kv_heads numbers but n_kv_heads vectors, of dim / n_heads numbers "
            "each.",
        ),
        Misconception(
            counts_biases,
            "You counted a bias for each matrix. Llama 2 has none anywhere. (GPT-2 does.)",
        ),
        Misconception(
            two_matrices_in_the_ffn,
            "You counted two feed-forward matrices. SwiGLU has three: w1 is the gate, w3 goes up "
            "beside it, w2 comes down.",
        ),
        Misconception(
            four_times_dim,
            "You took 4 * dim for the width of the feed-forward layer. SwiGLU has a third matrix "
            "and makes up for it by being narrower; the width is the argument hidden_dim.",
        ),
        Misconception(
            one_norm_a_layer,
            "You counted one norm a layer. There are two, one before attention and one before the "
            "feed-forward layer, with weights of their own.",
        ),
        Misconception(
            norms_with_a_bias,
            "You gave each norm a bias. That is LayerNorm; RMSNorm has a weight and nothing else.",
        ),
        Misconception(
            forgets_the_last_norm,
            "You are `dim` short: the norm between the last block and the head. It is the one "
            "that belongs to no layer.",
        ),
        Misconception(
            one_number_a_norm,
            "You gave each norm a single number. It has one for each of the dim coordinates.",
        ),
        Misconception(
            head_although_tied,
            "You counted the head although it is tied: then it is the embedding's own matrix, and "
            "one matrix is counted once.",
        ),
        Misconception(
            never_a_head,
            "You never counted the head. Llama 2's is a matrix of its own; only a tied one costs "
            "nothing.",
        ),
        Misconception(
            one_layer_for_all,
            "You counted one layer. Layers do not share weights: each of the n_layers has its own.",
        ),
    ),
    hints=(
        "Three places: once at the front, once at the back, and something that occurs n_layers "
        "times. Write down every matrix of a single layer with its two sides.",
        "A layer has seven matrices and two norms. Only wk and wv depend on n_kv_heads: their "
        "short side is the number of KV heads times the numbers of a head.",
        "Outside the layers there are the embedding, the head if it is not tied, and one more "
        "thing of size dim.",
    ),
)


# -- the spread of fresh weights ------------------------------------------------------------


def init_std(name, std, dim, n_layers):
    if name.endswith("norm.weight"):
        return 0.0
    if name.endswith(("wo.weight", "w2.weight")):
        return std / (2 * n_layers) ** 0.5
    if name == "output.weight":
        return std / dim**0.5
    return std


class _Recorder:
    """Stands for a weight, and remembers how it was asked to be filled."""

    is_meta = False

    def __init__(self, name):
        self.ndim = 1 if name.endswith("norm.weight") else 2
        self.drawn = None

    def fill_(self, value):
        self.drawn = 0.0

    def normal_(self, mean, std, generator=None):
        self.drawn = std


def _init_reference(name, std, dim, n_layers):
    """What the package's init_weights asks of a weight of this name."""
    weight = _Recorder(name)
    config = SimpleNamespace(dim=dim, n_layers=n_layers)
    model = SimpleNamespace(config=config, named_parameters=lambda: [(name, weight)])
    init_weights(model, std=std)
    return weight.drawn


def _init_probes():
    return [
        ("layers.0.attention.wo.weight", 0.02, 48, 3),
        ("layers.11.feed_forward.w2.weight", 0.02, 96, 12),
        ("layers.4.feed_forward.w3.weight", 0.03, 40, 5),
        ("layers.2.feed_forward.w1.weight", 0.02, 64, 7),
        ("layers.1.attention.wq.weight", 0.05, 80, 6),
        ("layers.0.attention.wk.weight", 0.02, 24, 2),
        ("layers.31.attention.wv.weight", 0.01, 4096, 32),
        ("layers.3.attention_norm.weight", 0.02, 48, 9),
        ("layers.0.ffn_norm.weight", 0.02, 48, 9),
        ("norm.weight", 0.04, 32, 3),
        ("tok_embeddings.weight", 0.02, 56, 4),
        ("output.weight", 0.02, 36, 8),
        ("output.weight", 0.125, 64, 6),
        ("layers.5.attention.wo.weight", 0.125, 64, 24),
    ]


def scales_w3(name, std, dim, n_layers):
    if "w2" in name:
        return std
    return init_std_of("w2" if "w3" in name else name, std, dim, n_layers)


def init_std_of(kind, std, dim, n_layers, *, writes=("wo", "w2"), shrink=None, head=None):
    """The rule with parts of it replaced. `kind` may be a whole name."""
    if "norm" in kind:
        return 0.0
    if any(word in kind for word in writes):
        return std * (2 * n_layers) ** -0.5 if shrink is None else std * shrink
    if kind == "output.weight":
        return std * dim**-0.5 if head is None else head
    return std


def the_same_for_all(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=(), head=std)


def never_scales_the_writers(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=())


def counts_layers_once(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=n_layers**-0.5)


def forgets_the_root_here(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=1 / (2 * n_layers))


def root_of_two_outside(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=1 / (2 * n_layers**0.5))


def by_the_layers_own_number(name, std, dim, n_layers):
    layer = int(name.split(".")[1]) if name.startswith("layers.") else 0
    return init_std_of(name, std, dim, n_layers, shrink=(2 * (layer + 1)) ** -0.5)


def attention_only(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo",))


def feed_forward_only(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("w2",))


def shrinks_every_matrix(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("attention.", "feed_forward."))


def head_like_the_rest(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=std)


def head_as_a_writer(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo", "w2", "output"))


def draws_norms_too(name, std, dim, n_layers):
    return std if "norm" in name else init_std_of(name, std, dim, n_layers)


def one_for_norms(name, std, dim, n_layers):
    return 1.0 if "norm" in name else init_std_of(name, std, dim, n_layers)


def grows_with_depth(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=(2 * n_layers) ** 0.5)


INIT_STD = Exercise(
    name="init_std",
    title="How wide to draw",
    points=2,
    minutes=8,
    answer=init_std,
    reference=_init_reference,
    probes=_init_probes,
    rtol=1e-9,
    atol=1e-12,
    misconceptions=(
        Misconception(
            scales_w3,
            "You scaled w3 and left w2 alone, as llama2.c does. w3 goes up into the hidden layer; "
            "the matrix that writes into the stream is w2.",
        ),
        Misconception(
            the_same_for_all,
            "You draw every matrix alike. Each of the 2 n_layers writers then adds at full width, "
            "and the fresh head is so wide that the model starts with strong opinions.",
        ),
        Misconception(
            never_scales_the_writers,
            "wo and w2 write into the stream, 2 n_layers times in all, and you left them at full "
            "width: the stream of a deep model starts out larger than that of a shallow one.",
        ),
        Misconception(
            counts_layers_once,
            "You divided by the root of n_layers. Each layer writes twice, once with wo and once "
            "with w2, so there are 2 n_layers contributions.",
        ),
        Misconception(
            forgets_the_root_here,
            "You divided by 2 n_layers itself. Independent vectors add like the sides of a right "
            "angle, so their sum grows with the root: the root is what must be divided out.",
        ),
        Misconception(
            root_of_two_outside,
            "Your 2 stands outside the root. There are 2 n_layers contributions, and the root is "
            "of that whole number.",
        ),
        Misconception(
            by_the_layers_own_number,
            "You scaled by the layer's own number: early layers write loudly, late ones softly. "
            "That is a scheme of its own; here every layer uses the depth of the whole model.",
        ),
        Misconception(
            attention_only,
            "You scaled wo and forgot w2: the feed-forward layer writes into the stream too.",
        ),
        Misconception(
            feed_forward_only,
            "You scaled w2 and forgot wo: attention writes into the stream too.",
        ),
        Misconception(
            shrinks_every_matrix,
            "You scaled every matrix of a layer. Only the last on each side road writes into the "
            "stream; to shrink the others as well makes what is written far too small.",
        ),
        Misconception(
            head_like_the_rest,
            "You drew the head like the rest. It reads a vector of dim numbers of size 1, and its "
            "logits come out sqrt(dim) times wider than they should: the first loss lies above "
            "ln(vocab_size).",
        ),
        Misconception(
            head_as_a_writer,
            "You scaled the head by the depth. It writes no stream, it reads a normalised vector "
            "of dim numbers: the root to divide by is that of dim.",
        ),
        Misconception(
            draws_norms_too,
            "You drew the norms at random. A norm's weights are gains and all begin at exactly 1: "
            "no spread at all.",
        ),
        Misconception(
            one_for_norms,
            "You gave the norms a spread of 1. They begin AT 1, each of them, so their standard "
            "deviation is 0; with yours half of all coordinates would start nearly switched off "
            "or turned round.",
        ),
        Misconception(
            grows_with_depth,
            "You multiplied by the root where you should divide. The deeper the model, the more "
            "hands write into the stream, and the more softly each must write.",
        ),
    ),
    hints=(
        "Sort the names into four kinds: norms, matrices that write into the stream, the head, "
        "and everything else. The name's ending tells them apart.",
        "2 n_layers vectors of equal size, at right angles to one another, have a sum that is "
        "longer by the root of their number. Divide that out for the writers, once.",
        "`str.endswith` takes a tuple of endings. For a norm the answer is the spread of numbers "
        "that are all 1.",
    ),
)


# -- a checkpoint in shards -----------------------------------------------------------------


def merge_shards(shards):
    merged = {}
    for name, first in shards[0].items():
        pieces = [shard[name] for shard in shards]
        if name == "rope.freqs":
            continue
        if first.ndim == 1:
            merged[name] = first
        elif name.endswith(("wo.weight", "w2.weight", "tok_embeddings.weight")):
            merged[name] = torch.cat(pieces, dim=1)
        else:
            merged[name] = torch.cat(pieces, dim=0)
    return merged


def _merge_reference(shards):
    """Asks the package's model for each weight's whole shape; that says along which axis."""
    n, first = len(shards), shards[0]
    dim = first["norm.weight"].numel()
    kv_dim = n * first["layers.0.attention.wk.weight"].shape[0]
    config = LlamaConfig(
        dim=dim,
        n_layers=sum(name.endswith("attention_norm.weight") for name in first),
        n_heads=dim // 2,
        n_kv_heads=kv_dim // 2,
        hidden_dim=n * first["layers.0.feed_forward.w1.weight"].shape[0],
        vocab_size=n * first["output.weight"].shape[0],
        max_seq_len=2,
    )
    with torch.device("meta"):
        whole = Llama(config).state_dict()
    return {name: _put_together(weight.shape, name, shards) for name, weight in whole.items()}


def _put_together(shape, name, shards):
    full = torch.empty(shape, dtype=shards[0][name].dtype)
    axis = next((a for a, s in enumerate(shape) if s != shards[0][name].shape[a]), None)
    if axis is None:
        return shards[0][name].clone()
    width = shape[axis] // len(shards)
    for i, shard in enumerate(shards):
        full.narrow(axis, i * width, width).copy_(shard[name])
    return full


def _shards(seed, n, dim, kv_dim, hidden, vocab, layers, dtype=torch.float32):
    """A checkpoint of random numbers in n shards, as Meta's files are cut."""
    g = torch.Generator().manual_seed(seed)

    def random(*shape):
        return torch.randn(shape, generator=g).to(dtype)

    norms = {f"layers.{i}.{kind}_norm.weight": random(dim)
             for i in range(layers) for kind in ("attention", "ffn")}  # fmt: skip
    norms |= {"norm.weight": random(dim), "rope.freqs": random(2)}
    shards = []
    for _ in range(n):
        shard = {"tok_embeddings.weight": random(vocab, dim // n)}
        for i in range(layers):
            a, f = f"layers.{i}.attention", f"layers.{i}.feed_forward"
            shard[f"{a}.wq.weight"] = random(dim // n, dim)
            shard[f"{a}.wk.weight"] = random(kv_dim // n, dim)
            shard[f"{a}.wv.weight"] = random(kv_dim // n, dim)
            shard[f"{a}.wo.weight"] = random(dim, dim // n)
            shard[f"{f}.w1.weight"] = random(hidden // n, dim)
            shard[f"{f}.w2.weight"] = random(dim, hidden // n)
            shard[f"{f}.w3.weight"] = random(hidden // n, dim)
        shard["output.weight"] = random(vocab // n, dim)
        shards.append(shard | {name: weight.clone() for name, weight in norms.items()})
    return shards


def _merge_probes():
    """Two shards as of 13B, four, and one as of 7B; the last in float16."""
    return [
        (_shards(61, 2, dim=8, kv_dim=4, hidden=12, vocab=20, layers=2),),
        (_shards(62, 4, dim=16, kv_dim=8, hidden=20, vocab=28, layers=1),),
        (_shards(63, 1, dim=4, kv_dim=2, hidden=6, vocab=10, layers=1, dtype=torch.float16),),
    ]


WIDE = ("wo.weight", "w2.weight", "tok_embeddings.weight")


def _merged(shards, *, wide=WIDE, norms="first", skip=("rope.freqs",)):
    """The merge with parts of the rule replaced."""
    merged = {}
    for name, first in shards[0].items():
        pieces = [shard[name] for shard in shards]
        if name in skip:
            continue
        if first.ndim == 1:
            merged[name] = torch.cat(pieces) if norms == "joined" else first
            if norms == "added":
                merged[name] = torch.stack(pieces).sum(0)
        else:
            merged[name] = torch.cat(pieces, dim=int(name.endswith(wide)))
    return merged


def all_along_axis_0(shards):
    return _merged(shards, wide=())


def all_along_axis_1(shards):
    return _merged(shards, wide=("weight",))


def embedding_by_rows(shards):
    return _merged(shards, wide=("wo.weight", "w2.weight"))


def wo_along_axis_0(shards):
    return _merged(shards, wide=("w2.weight", "tok_embeddings.weight"))


def w2_along_axis_0(shards):
    return _merged(shards, wide=("wo.weight", "tok_embeddings.weight"))


def w3_for_w2(shards):
    return _merged(shards, wide=("wo.weight", "w3.weight", "tok_embeddings.weight"))


def head_as_the_embedding(shards):
    return _merged(shards, wide=(*WIDE, "output.weight"))


def joins_the_norms(shards):
    return _merged(shards, norms="joined")


def adds_the_norms(shards):
    return _merged(shards, norms="added")


def keeps_rope_freqs(shards):
    return _merged(shards, skip=())


def throws_out_of_the_first_file(shards):
    shards[0].pop("rope.freqs", None)
    return _merged(shards)


def last_shard_first(shards):
    return _merged(shards[::-1])


def first_shard_only(shards):
    return _merged(shards[:1])


def later_shards_overwrite(shards):
    merged = {}
    for shard in shards:
        merged.update(shard)
    merged.pop("rope.freqs", None)
    return merged


def adds_the_shards(shards):
    return {
        name: first if first.ndim == 1 else torch.stack([s[name] for s in shards]).sum(0)
        for name, first in shards[0].items()
        if name != "rope.freqs"
    }


def deals_the_rows(shards):
    merged = _merged(shards)
    for name, weight in merged.items():
        if weight.ndim == 2 and not name.endswith(WIDE):
            pieces = torch.stack([shard[name] for shard in shards], dim=1)
            merged[name] = pieces.flatten(0, 1)
    return merged


MERGE_SHARDS = Exercise(
    name="merge_shards",
    title="A checkpoint in shards",
    points=5,
    minutes=25,
    answer=merge_shards,
    reference=_merge_reference,
    probes=_merge_probes,
    misconceptions=(
        Misconception(
            all_along_axis_0,
            "You joined everything along axis 0. That fits the matrices whose outputs were dealt "
            "out; wo and w2 had their inputs dealt out, and the embedding its columns.",
        ),
        Misconception(
            all_along_axis_1,
            "You joined every matrix along axis 1. wq, wk, wv, w1, w3 and the head were cut by "
            "their outputs, which are the rows of a weight stored as (out, in).",
        ),
        Misconception(
            embedding_by_rows,
            "You joined the embedding by rows, one part of the vocabulary a shard. Llama 3's files "
            "are cut so; Llama 2's hold every token in every shard, with a slice of its columns.",
        ),
        Misconception(
            wo_along_axis_0,
            "You joined wo along axis 0. Each shard computes some of the heads, and wo reads the "
            "heads: its columns are what was cut.",
        ),
        Misconception(
            w2_along_axis_0,
            "You joined w2 along axis 0. It reads the hidden layer, of which each shard has a "
            "part: its columns are what was cut.",
        ),
        Misconception(
            w3_for_w2,
            "You took w3 for the matrix that comes down. w1 and w3 both go up, so their rows were "
            "cut; w2 comes down, and its columns were.",
        ),
        Misconception(
            head_as_the_embedding,
            "You treated the head like the embedding. They have one shape but not one cut: the "
            "head's rows, its outputs, were dealt out, the embedding's columns were.",
        ),
        Misconception(
            joins_the_norms,
            "You joined the norms end to end. Every shard holds a norm whole, since every one "
            "needs it whole: take one copy.",
        ),
        Misconception(
            adds_the_norms,
            "You added the copies of a norm up. They are copies, not parts: two shards would make "
            "every gain twice as large.",
        ),
        Misconception(
            keeps_rope_freqs,
            "You kept rope.freqs. It is no weight but a table that the model computes from theta; "
            "a model that is asked to load it finds no place for it.",
        ),
        Misconception(
            throws_out_of_the_first_file,
            "You took rope.freqs out of the shard that you were given. Whoever called may still "
            "need it: leave it out of your own dict instead.",
        ),
        Misconception(
            last_shard_first,
            "You joined them from the last to the first. Every shape is right, and every token's "
            "vector begins with its second half: shards go in the order of their numbers.",
        ),
        Misconception(
            first_shard_only,
            "You returned the first shard. With one file that is the model, with two it is a "
            "half of every matrix.",
        ),
        Misconception(
            later_shards_overwrite,
            "Each shard has the same names, so a later one overwrote the earlier ones: you have "
            "the last shard, and not the model.",
        ),
        Misconception(
            adds_the_shards,
            "You added the shards up. Their *outputs* are added, after wo and w2, when the model "
            "runs on several devices; the weights are pieces to be laid side by side.",
        ),
        Misconception(
            deals_the_rows,
            "You took one row from each shard in turn. A shard holds a block of rows that belong "
            "together, whole heads of wq: lay block behind block.",
        ),
    ),
    hints=(
        "Think of two devices that share the work of a layer. Which matrices can each use with "
        "the whole of x at hand, giving a part of the result? And which get only a part to read?",
        "A weight is stored as (out, in). A device that computes some of the outputs holds some "
        "rows: join along axis 0. A device that reads some of the inputs holds some columns: join "
        "along axis 1. Vectors are in every shard whole.",
        "Read part of a result: wo reads heads, w2 reads the hidden layer. The embedding is the "
        "odd one out, each shard has a slice of every token's vector. `torch.cat` joins.",
    ),
)

EXERCISES = (BLOCK, INIT_STD, COUNT_LLAMA, MERGE_SHARDS)

QUIZ = (
    Question(
        "what_loss_shows",
        "You have assembled a model with 512 pieces in its vocabulary. Its first loss, before any "
        "training, is 6.24, which is ln 512. What do you know?",
        (
            Option(
                "The blocks are wired rightly",
                "All four wirings at the beginning of this lesson had that loss, and three were "
                "wrong. The head's fresh weights make it so, whatever reaches the head.",
            ),
            Option(
                "The head's logits are small: the model has no opinion yet. Little else",
                "It rules out weights drawn too wide. It says nothing about labels that leak "
                "into the input, nor about the order of the parts, for which you need causality, "
                "an outside model on the same weights, or both.",
                right=True,
            ),
            Option(
                "Nothing: it depends on the seed and on the text",
                "It hardly depends on either. An even bet over 512 pieces costs ln 512 whatever "
                "the next piece is.",
            ),
        ),
    ),
    Question(
        "count_is_blind",
        "Someone's copy of Llama 2 7B has exactly 6,738,415,616 parameters. Which mistake may "
        "still be in it?",
        (
            Option(
                "n_kv_heads = 8",
                "Then wk and wv would have a quarter of their rows, and the count would be 805 "
                "million smaller.",
            ),
            Option(
                "A tied head",
                "That would save one matrix of 131,072,000: the count would say so.",
            ),
            Option(
                "rope_theta = 500000",
                "Theta is no parameter and changes no shape. Nothing fails to load; the model "
                "only turns its keys by angles that it was not trained with.",
                right=True,
            ),
            Option(
                "A feed-forward layer of width 4 × dim",
                "16,384 in place of 11,008 makes each layer's three matrices half as large again.",
            ),
        ),
    ),
    Question(
        "why_two_n",
        "Why are wo and w2 drawn narrower by the square root of 2 n_layers?",
        (
            Option(
                "Because attention and feed-forward have 2 n_layers parameters",
                "They have a great many more. What is counted is how often something is added to "
                "the stream.",
            ),
            Option(
                "2 n_layers vectors are added to one stream, and independent vectors add like "
                "the sides of a right angle",
                "So the sum of them is as large as one vector at full width, at any depth.",
                right=True,
            ),
            Option(
                "To make their gradients smaller",
                "A weight's gradient does not depend on that weight's own size. It is what they "
                "write, on the way forward, that becomes smaller.",
            ),
        ),
    ),
    Question(
        "which_cache",
        "On one accelerator with 16 GiB, Llama 2 7B in bfloat16 leaves about 3 GiB. What fills "
        "them first when you use it?",
        (
            Option(
                "The activations of 32 layers",
                "Without training nothing needs to be remembered for the way back: one layer's "
                "vectors are there at a time.",
            ),
            Option(
                "The keys and values: half a MiB a token, so a second conversation of 4,096 tokens "
                "no longer fits",
                "2 × 32 layers × 32 heads × 128 numbers × 2 bytes is 524,288 bytes a token, 2 GiB "
                "for a whole context.",
                right=True,
            ),
            Option(
                "The rope table",
                "Two tables of 4,096 × 64 float32 numbers: 2 MiB for all layers together.",
            ),
        ),
    ),
)
