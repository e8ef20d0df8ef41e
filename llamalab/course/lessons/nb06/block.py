"""Notebook 06, exercise 1: The block."""

from collections.abc import Callable
from dataclasses import dataclass, field

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


@dataclass
class WithMemory:
    """Stands for attention behind a cache: what it was given before stands in front of what it is
    given now. So it shows whether it was called twice."""

    function: Callable
    seen: list = field(default_factory=list, compare=False)

    __name__ = "attention_with_a_cache"

    def __call__(self, x):
        self.seen.append(x)
        return self.function(torch.cat(self.seen, dim=-2))[..., -x.shape[-2] :, :]


@dataclass
class WithDropout:
    """Stands for a feed-forward layer with dropout, which gives another answer at each call."""

    function: Callable
    calls: list = field(default_factory=list, compare=False)

    __name__ = "feed_forward_with_dropout"

    def __call__(self, x):
        self.calls.append(x.shape)
        g = torch.Generator().manual_seed(len(self.calls))
        return self.function(x) * torch.randint(0, 2, x.shape, generator=g)


def _block_probes():
    """Batches, a square, float64, small vectors, axes of size 1, a tensor that lies transposed;
    the four functions are all different; in the last, layers that notice a second call."""
    g = torch.Generator().manual_seed(60)
    parts = (norm_before_attention, mixes_tokens, norm_before_feed_forward, bends_each_token)
    return [
        (1 + torch.randn(2, 3, 5, generator=g), *parts),
        (0.1 * torch.randn(3, 4, 4, generator=g).double(), *parts),
        ((2 * torch.randn(1, 6, 3, generator=g)).requires_grad_(), *parts),
        (torch.randn(1, 1, 4, generator=g), *parts),
        (torch.randn(3, 2, 5, generator=g).transpose(0, 1), *parts),
        (
            torch.randn(2, 3, 8, generator=g),
            norm_before_attention,
            WithMemory(mixes_tokens),
            norm_before_feed_forward,
            WithDropout(bends_each_token),
        ),
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


@wrong(
    "The first norm is missing: attention reads the stream as it is. The stream grows with depth; "
    "the norm hands attention a copy of one size."
)
def forgets_the_first_norm(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(x)
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The second norm is missing: the feed-forward layer reads the stream as it is. The stream "
    "grows with depth; the norm hands the layer a copy of one size."
)
def forgets_the_second_norm(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(h)


@wrong(
    "You used the feed-forward layer's norm in both places. The shapes fit and nothing complains, "
    "but each norm has learned weights of its own."
)
def second_norm_twice(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(ffn_norm(x))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "Your first sum is right; the second starts from the normalised copy. What is added to is the "
    "stream, h, as it is."
)
def second_sum_from_the_copy(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    normed = ffn_norm(h)
    return normed + feed_forward(normed)


@wrong(
    "Your first sum starts from the normalised copy. What is added to is the stream, x, as it is; "
    "the copy is for attention alone."
)
def first_sum_from_the_copy(x, attention_norm, attention, ffn_norm, feed_forward):
    normed = attention_norm(x)
    h = normed + attention(normed)
    return h + feed_forward(ffn_norm(h))


@wrong(
    "You normalise what a layer reads and the sum as well. Nothing may rescale the stream: one "
    "norm before each layer is all."
)
def norms_before_and_after(x, attention_norm, attention, ffn_norm, feed_forward):
    h = attention_norm(x + attention(attention_norm(x)))
    return ffn_norm(h + feed_forward(ffn_norm(h)))


@wrong(
    "The second norm stands behind its layer: it rescales the stream, and the feed-forward layer "
    "reads it raw. It belongs before the layer: feed_forward(ffn_norm(h))."
)
def second_norm_at_the_end(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return ffn_norm(h + feed_forward(h))


@wrong("x comes in twice: h holds it already. The second sum is h plus what the layer gives.")
def adds_x_again(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return x + h + feed_forward(ffn_norm(h))


@wrong("You subtracted. Both layers write into the stream by adding.")
def subtracts(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x - attention(attention_norm(x))
    return h - feed_forward(ffn_norm(h))


@wrong(
    "You multiplied the stream by what a layer gives. It is a sum: that is what lets gradients by."
)
def multiplies(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x * attention(attention_norm(x))
    return h * feed_forward(ffn_norm(h))


@wrong("You stopped after attention. The feed-forward layer is the second half of a block.")
def stops_after_attention(x, attention_norm, attention, ffn_norm, feed_forward):
    return x + attention(attention_norm(x))


@wrong("Attention is missing: no token learns anything of the others.")
def forgets_attention(x, attention_norm, attention, ffn_norm, feed_forward):
    return x + feed_forward(ffn_norm(x))


@wrong("You returned two values, h and the result. The next block wants the result alone.")
def returns_h_as_well(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h, h + feed_forward(ffn_norm(h))


@wrong(
    "You halved each sum. An average keeps the stream's size, and halves what all blocks before "
    "have written, again and again: add, and let it grow."
)
def averages(x, attention_norm, attention, ffn_norm, feed_forward):
    h = (x + attention(attention_norm(x))) / 2
    return (h + feed_forward(ffn_norm(h))) / 2


@wrong(
    "Attention stands in your block twice, one after the other. Each of the two layers is called "
    "once."
)
def two_rounds_of_attention(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    h = h + attention(attention_norm(h))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The feed-forward layer reads what attention gave, without the stream. It reads the sum, h: "
    "the token's own vector and what attention brought."
)
def feed_forward_reads_attention_alone(x, attention_norm, attention, ffn_norm, feed_forward):
    found = attention(attention_norm(x))
    return x + found + feed_forward(ffn_norm(found))


@wrong(
    "The layers have changed places: the feed-forward layer stands behind attention's norm and the "
    "other way round. First attention, then the feed-forward layer."
)
def layers_changed_places(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + feed_forward(attention_norm(x))
    return h + attention(ffn_norm(h))


@wrong(
    "Both layers come after both norms: the norms' weights are then multiplied into one. Each "
    "layer has the norm before it, and there is a sum between."
)
def one_norm_after_the_other(x, attention_norm, attention, ffn_norm, feed_forward):
    normed = ffn_norm(attention_norm(x))
    h = x + attention(normed)
    return h + feed_forward(normed)


@wrong(
    "`squeeze()` took away an axis of size 1 that belongs to the caller: a batch of one, or a "
    "token alone, comes back with an axis missing."
)
def squeezes(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return (h + feed_forward(ffn_norm(h))).squeeze()


@wrong(
    "You made x float32 on the way. A model in another dtype must stay in it: no cast is needed."
)
def casts_to_float32(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x.float() + attention(attention_norm(x.float()))
    return (h + feed_forward(ffn_norm(h))).to(x.dtype)


@wrong(
    "You called attention twice where its result is wanted twice. It costs double, and a layer "
    "with a cache writes the tokens into it a second time: name the sum, h, and use the name."
)
def calls_attention_again(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return x + attention(attention_norm(x)) + feed_forward(ffn_norm(h))


@wrong(
    "You called the feed-forward layer once for nothing and once for its result. It is two thirds "
    "of the model's work, and with dropout it does not give the same twice: call it once."
)
def calls_the_feed_forward_layer_again(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    feed_forward(ffn_norm(h))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The values are right, but x was detached in the first sum: the short way back, for which the "
    "sum is there, is cut, and gradients must squeeze through attention."
)
def first_sum_cut_off(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x.detach() + attention(attention_norm(x))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The values are right, but h was detached in the second sum: the short way back is cut, and "
    "attention learns only what comes through the feed-forward layer."
)
def second_sum_cut_off(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h.detach() + feed_forward(ffn_norm(h))


@wrong(
    "The values are right, but attention was cut off (`no_grad`, `detach` or `.data`): neither it "
    "nor its norm would ever learn."
)
def attention_cut_off(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x.detach()))
    return h + feed_forward(ffn_norm(h))


@wrong(
    "The values are right, but the feed-forward layer was cut off (`no_grad`, `detach` or "
    "`.data`): neither it nor its norm would ever learn."
)
def feed_forward_cut_off(x, attention_norm, attention, ffn_norm, feed_forward):
    h = x + attention(attention_norm(x))
    return h + feed_forward(ffn_norm(h.detach()))


@wrong(
    "The values are right, but the block was run under `no_grad`: nothing in it would ever learn."
)
def everything_cut_off(x, attention_norm, attention, ffn_norm, feed_forward):
    with torch.no_grad():
        h = x + attention(attention_norm(x))
        return h + feed_forward(ffn_norm(h))


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
