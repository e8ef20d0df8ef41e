"""Notebook 06, exercise 2: How wide to draw."""

from types import SimpleNamespace

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.model import init_weights

wrong = WrongAnswers()


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


@wrong(
    "You scaled w3 and left w2 alone, as llama2.c does. w3 goes up into the hidden layer; the "
    "matrix that writes into the stream is w2."
)
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


@wrong(
    "You draw every matrix alike. Each of the 2 n_layers writers then adds at full width, and "
    "the fresh head is so wide that the model starts with strong opinions."
)
def the_same_for_all(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=(), head=std)


@wrong(
    "wo and w2 write into the stream, 2 n_layers times in all, and you left them at full width:"
    " the stream of a deep model starts out larger than that of a shallow one."
)
def never_scales_the_writers(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=())


@wrong(
    "You divided by the root of n_layers. Each layer writes twice, once with wo and once with "
    "w2, so there are 2 n_layers contributions."
)
def counts_layers_once(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=n_layers**-0.5)


@wrong(
    "You divided by 2 n_layers itself. Independent vectors add like the sides of a right angle,"
    " so their sum grows with the root: the root is what must be divided out."
)
def forgets_the_root_here(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=1 / (2 * n_layers))


@wrong(
    "Your 2 stands outside the root. There are 2 n_layers contributions, and the root is of "
    "that whole number."
)
def root_of_two_outside(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=1 / (2 * n_layers**0.5))


@wrong(
    "You scaled by the layer's own number: early layers write loudly, late ones softly. That is"
    " a scheme of its own; here every layer uses the depth of the whole model."
)
def by_the_layers_own_number(name, std, dim, n_layers):
    layer = int(name.split(".")[1]) if name.startswith("layers.") else 0
    return init_std_of(name, std, dim, n_layers, shrink=(2 * (layer + 1)) ** -0.5)


@wrong("You scaled wo and forgot w2: the feed-forward layer writes into the stream too.")
def attention_only(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo",))


@wrong("You scaled w2 and forgot wo: attention writes into the stream too.")
def feed_forward_only(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("w2",))


@wrong(
    "You scaled every matrix of a layer. Only the last on each side road writes into the "
    "stream; to shrink the others as well makes what is written far too small."
)
def shrinks_every_matrix(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("attention.", "feed_forward."))


@wrong(
    "You drew the head like the rest. It reads a vector of dim numbers of size 1, and its "
    "logits come out sqrt(dim) times wider than they should: the first loss lies above "
    "ln(vocab_size)."
)
def head_like_the_rest(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=std)


@wrong(
    "You scaled the head by the depth. It writes no stream, it reads a normalised vector of dim"
    " numbers: the root to divide by is that of dim."
)
def head_as_a_writer(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo", "w2", "output"))


@wrong(
    "You drew the norms at random. A norm's weights are gains and all begin at exactly 1: no "
    "spread at all."
)
def draws_norms_too(name, std, dim, n_layers):
    return std if "norm" in name else init_std_of(name, std, dim, n_layers)


@wrong(
    "You gave the norms a spread of 1. They begin AT 1, each of them, so their standard "
    "deviation is 0; with yours half of all coordinates would start nearly switched off or "
    "turned round."
)
def one_for_norms(name, std, dim, n_layers):
    return 1.0 if "norm" in name else init_std_of(name, std, dim, n_layers)


@wrong(
    "You multiplied by the root where you should divide. The deeper the model, the more hands "
    "write into the stream, and the more softly each must write."
)
def grows_with_depth(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=(2 * n_layers) ** 0.5)


EXERCISE = Exercise(
    name="init_std",
    title="How wide to draw",
    points=2,
    minutes=8,
    answer=init_std,
    reference=_init_reference,
    probes=_init_probes,
    rtol=1e-9,
    atol=1e-12,
    misconceptions=wrong.all,
    hints=(
        "Sort the names into four kinds: norms, matrices that write into the stream, the head, "
        "and everything else. The name's ending tells them apart.",
        "2 n_layers vectors of equal size, at right angles to one another, have a sum that is "
        "longer by the root of their number. Divide that out for the writers, once.",
        "`str.endswith` takes a tuple of endings. For a norm the answer is the spread of numbers "
        "that are all 1.",
    ),
)
