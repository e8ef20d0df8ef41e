"""Notebook 06, exercise 1: The block."""

import torch
from torch import nn

from llamalab.config import LlamaConfig
from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.model import Block, Parts

wrong = WrongAnswers()


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


@wrong(
    "You normalise the sum: that is post-norm, as in the first transformers. Here nothing may "
    "rescale the stream itself; the norm makes a copy for the layer to read."
)
def norms_after_the_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = attention_norm(x + attention(x))
    return ffn_norm(h + feed_forward(h))


@wrong(
    "You normalise what a layer gives, not what it reads. Each layer then adds a vector of one "
    "fixed size, and reads a stream of any size."
)
def norms_what_a_layer_gives(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention_norm(attention(x))
    return h + ffn_norm(feed_forward(h))


@wrong(
    "Your layers read the stream as it is; the two norms are never called. The stream grows "
    "with depth, so deep layers would be fed ever larger vectors."
)
def norms_nothing(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(x)
    return h + feed_forward(h)


@wrong(
    "You put the four behind one another and added nothing to the stream. After one block the "
    "token's own vector is gone, and a gradient has no short way back."
)
def adds_nothing(x, attention_norm, attention, ffn_norm, feed_forward):
    return feed_forward(ffn_norm(attention(attention_norm(x))))


@wrong(
    "You added to the normalised copy. By overwriting x with its norm you lost the stream: keep"
    " x, and hand the copy to the layer alone."
)
def adds_to_the_normed_copy(x, attention_norm, attention, ffn_norm, feed_forward):
    x = attention_norm(x)
    h = ffn_norm(x + attention(x))
    return h + feed_forward(h)


@wrong(
    "Your feed-forward layer reads x, from before attention, so it cannot use what attention "
    "has just brought from other tokens. It should read the sum, h."
)
def feed_forward_reads_x(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(ffn_norm(x))


@wrong(
    "Both layers read one normalised copy, side by side. That is the parallel block of GPT-J "
    "and PaLM; Llama 2's feed-forward layer waits for attention."
)
def both_at_once(x, attention_norm, attention, ffn_norm, feed_forward):
    normed = attention_norm(x)
    return x + attention(normed) + feed_forward(normed)


@wrong(
    "You used attention's norm in both places. The shapes fit and nothing complains, but each "
    "norm has learned weights of its own, and the second set is never used."
)
def one_norm_twice(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(attention_norm(h))


@wrong(
    "The two norms have changed places. Fresh ones are all ones and hide this; with trained "
    "weights every layer reads what was made for the other."
)
def norms_changed_places(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(ffn_norm(x))
    return h + feed_forward(attention_norm(h))


@wrong(
    "Your second sum starts from x again, so what attention wrote into the stream is lost "
    "behind this block. Add to h."
)
def second_sum_from_x(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return x + feed_forward(ffn_norm(h))


@wrong(
    "You have one sum around both layers. There are two, one around each: attention writes into"
    " the stream, then the feed-forward layer does."
)
def one_sum_around_both(x, attention_norm, attention, ffn_norm, feed_forward):
    return x + feed_forward(ffn_norm(attention(attention_norm(x))))


@wrong("The sum around attention is missing: h is what attention gave, without x.")
def no_first_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = attention(attention_norm(x))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The sum around the feed-forward layer is missing: the block hands on what that layer gave,"
    " without the stream."
)
def no_second_sum(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return feed_forward(ffn_norm(h))


@wrong(
    "Your feed-forward layer comes before attention. In Llama 2 tokens first look at each "
    "other, and then each thinks by itself."
)
def feed_forward_first(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + feed_forward(ffn_norm(x))
    return h + attention(attention_norm(h))


@wrong(
    "You added into the tensor that you were given. Whoever called still needs x, and autograd "
    "does too: it stops at a `+=` on a tensor that it must remember."
)
def adds_in_place(x, attention_norm, attention, ffn_norm, feed_forward):
    x += attention(attention_norm(x))
    x += feed_forward(ffn_norm(x))
    return x


EXERCISE = Exercise(
    name="block",
    title="The block",
    points=2,
    minutes=6,
    answer=block,
    reference=_block_reference,
    probes=_block_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Two layers, and the same thing happens around each: copy, normalise the copy, let the "
        "layer read it, add what comes out to what was there.",
        "Name the vector between the two layers, h. The first line makes h of x. The second makes "
        "the result of h, and x does not occur in it any more.",
    ),
)
