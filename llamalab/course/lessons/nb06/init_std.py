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
        ("layers.2.feed_forward.w2.weight", 0.02, 48, 6),
        ("layers.13.attention.wo.weight", 0.02, 40, 16),
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
    "You gave the norms a spread of 1. They begin AT 1, each of them, so their standard deviation "
    "is 0. Drawn around 1 with a spread of 1, one gain in six would lie below 0 and turn the sign "
    "of its coordinate."
)
def one_for_norms(name, std, dim, n_layers):
    return 1.0 if "norm" in name else init_std_of(name, std, dim, n_layers)


@wrong(
    "You multiplied by the root where you should divide. The deeper the model, the more hands "
    "write into the stream, and the more softly each must write."
)
def grows_with_depth(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=(2 * n_layers) ** 0.5)


def _writes(name, inside=("wo.weight", "w2.weight")):
    return name.endswith(inside)


def _with_writers(factor):
    """The rule with another factor for the writers: factor(name, std, dim, n_layers)."""

    def rule(name, std, dim, n_layers):
        if _writes(name):
            return factor(name, std, dim, n_layers)
        return init_std_of(name, std, dim, n_layers)

    return rule


@wrong(
    "It goes wrong from layer 10 on: your way of looking at the name expects a layer's number of "
    "one digit. 7B has layers up to 31; look at the name's end alone."
)
def layers_of_one_digit(name, std, dim, n_layers):
    if _writes(name) and len(name.split(".")[1]) > 1:
        return std
    return init_std_of(name, std, dim, n_layers)


@wrong(
    "Your writers of the last layer are drawn at full width: a range that ends at n_layers - 1, "
    "perhaps. The name's end is enough, whatever the layer."
)
def forgets_the_last_layer(name, std, dim, n_layers):
    if _writes(name) and int(name.split(".")[1]) == n_layers - 1:
        return std
    return init_std_of(name, std, dim, n_layers)


@wrong(
    "Only the last norm gets 0. The two of every layer, `…attention_norm.weight` and "
    "`…ffn_norm.weight`, begin at exactly 1 as well."
)
def last_norm_only(name, std, dim, n_layers):
    if name.endswith("_norm.weight"):
        return std
    return init_std_of(name, std, dim, n_layers)


@wrong(
    "The last norm, which is called just `norm.weight`, was drawn at random. It begins at 1 too."
)
def forgets_the_last_norm_here(name, std, dim, n_layers):
    return std if name == "norm.weight" else init_std_of(name, std, dim, n_layers)


@wrong("For a norm you returned None. What is asked for is a float: numbers that are all 1 have 0.")
def none_for_norms(name, std, dim, n_layers):
    return None if "norm" in name else init_std_of(name, std, dim, n_layers)


@wrong("There is no `return` for the matrices that are no special case. They get std.")
def none_for_the_rest(name, std, dim, n_layers):
    if _writes(name) or "norm" in name or name == "output.weight":
        return init_std_of(name, std, dim, n_layers)
    return None


@wrong(
    "You divided the head by dim itself, and the spread had been one over its root already. std is "
    "divided by the root of dim."
)
def head_by_dim(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=std / dim)


@wrong("Your head's spread is 1 / dim, whatever std is. It is std / sqrt(dim).")
def head_without_std(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=1 / dim)


@wrong("Your head's spread is 1 / sqrt(dim), whatever std is. It is std / sqrt(dim).")
def head_of_a_usual_matrix(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=dim**-0.5)


@wrong(
    "You set the head to 0. A quiet head is right, a silent one is not: with all its weights alike "
    "the layers below get no gradient at the first step. It is std / sqrt(dim)."
)
def silent_head(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=0.0)


@wrong("You multiplied the head by the root of dim, where you should divide.")
def louder_head(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=std * dim**0.5)


@wrong(
    "The head depends on depth and width in your rule. It gets std / sqrt(dim); it writes no "
    "stream."
)
def head_by_depth_and_width(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, head=std / (dim * n_layers) ** 0.5)


@wrong(
    "You gave the embedding the head's spread. It is read, a row at a time, and nothing is added "
    "up over dim: std."
)
def embedding_like_the_head(name, std, dim, n_layers):
    if name == "tok_embeddings.weight":
        return std / dim**0.5
    return init_std_of(name, std, dim, n_layers)


@wrong("You drew the embedding with 1, as torch's own nn.Embedding does. Here it gets std.")
def embedding_at_one(name, std, dim, n_layers):
    if name == "tok_embeddings.weight":
        return 1.0
    return init_std_of(name, std, dim, n_layers)


@wrong(
    "You divided the writers by the root of dim. What adds up in the stream is 2 n_layers "
    "contributions: that is the number under the root."
)
def writers_by_width(name, std, dim, n_layers):
    return std / dim**0.5 if _writes(name) else init_std_of(name, std, dim, n_layers)


@wrong(
    "You softened w3 beside wo and w2. w3 goes up into the hidden layer; only wo and w2 write into "
    "the stream."
)
def softens_w3_as_well(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo", "w2", "w3"))


@wrong(
    "You softened wv beside wo and w2. wv makes the values; only wo and w2 write into the stream."
)
def softens_wv_as_well(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wv", "wo", "w2"))


@wrong(
    "You softened wq and wk. They decide where attention looks; they write nothing into the stream."
)
def softens_queries_and_keys(name, std, dim, n_layers):
    if name.endswith(("wq.weight", "wk.weight")):
        return std / dim**0.5
    return init_std_of(name, std, dim, n_layers)


@wrong(
    "The whole feed-forward layer was softened. Of its three matrices only w2 writes into the "
    "stream."
)
def softens_the_feed_forward_layer(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("wo", "feed_forward."))


@wrong("All of attention was softened. Of its four matrices only wo writes into the stream.")
def softens_attention(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, writes=("attention.", "w2"))


@wrong(
    '`"wo" or "w2" in name` is always true: Python reads it as `"wo" or (…)`, and a string that is '
    "not empty counts as True. Ask for each, or use endswith with a tuple."
)
def always_true(name, std, dim, n_layers):
    return 0.0 if "norm" in name else std / (2 * n_layers) ** 0.5


@wrong(
    "You worked out variances. What is asked for is the standard deviation, the variance's root: "
    "std itself, and under the divisions a root."
)
def variances(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers) ** 2


@wrong(
    "Only the 2 stands under your root, or the brackets are in the wrong place: std / (root of 2 "
    "times n_layers), with the whole product under the root and all of it below the line."
)
def multiplies_by_the_depth(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=n_layers / 2**0.5)


@wrong(
    "`std / 2 * n_layers ** 0.5` divides by 2 and multiplies by the root of the depth: Python goes "
    "from left to right. All of 2 n_layers belongs in brackets, under the root and below the line."
)
def brackets_left_out(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=n_layers**0.5 / 2)


@wrong(
    "Your root holds 1/2 times n_layers: Python divided first. The brackets belong around 2 "
    "n_layers."
)
def half_the_depth_under_the_root(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=(n_layers / 2) ** 0.5)


@wrong("You have 2 + n_layers under the root. Each layer writes twice: 2 times n_layers.")
def two_plus_the_depth(name, std, dim, n_layers):
    return init_std_of(name, std, dim, n_layers, shrink=(2 + n_layers) ** -0.5)


@wrong(
    "You never used std: every matrix gets 1 / sqrt(dim). That is what std usually is in this "
    "course; here it comes as an argument, and writers and head differ from the rest."
)
def by_the_width_alone(name, std, dim, n_layers):
    return 0.0 if "norm" in name else dim**-0.5


@wrong("You took 0.02 whatever std says. It is an argument.")
def always_two_hundredths(name, std, dim, n_layers):
    return init_std_of(name, 0.02, dim, n_layers)


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
