"""Notebook 04, exercise 2: One head."""

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb04.common import INFINITY

wrong = WrongAnswers()


def one_head(q, k, v):
    (T, D), S = q.shape, k.shape[0]
    scores = q @ k.T / D**0.5  # (T, S)
    hidden = torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)
    weights = scores.masked_fill(hidden, float("-inf")).softmax(dim=-1)  # (T, S)
    return weights @ v  # (T, D)


def _one_head_reference(q, k, v):
    T, S = q.shape[0], k.shape[0]
    mask = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    return F.scaled_dot_product_attention(q[None], k[None], v[None], attn_mask=mask)[0]


def _one_head_probes():
    """T = S, T < S, one query; D with and without a whole root; T = D; a gradient."""
    g = seeded(40)

    def probe(T, S, D, dtype=torch.float32):
        sizes = ((T, D), (S, D), (S, D))
        return [torch.randn(*size, generator=g).to(dtype) for size in sizes]

    learned = probe(3, 3, 6)
    learned[0].requires_grad_()
    return [
        tuple(probe(5, 5, 3)),
        tuple(probe(2, 6, 4)),
        tuple(probe(1, 4, 7)),
        tuple(probe(4, 4, 4)),
        tuple(probe(3, 7, 9, torch.float64)),
        tuple(learned),
    ]


def _head(q, k, v, *, scale=None, mask=None, softmax=None):
    """The right answer, with one step exchanged: for the misconceptions below."""
    T, S = q.shape[0], k.shape[0]
    scores = q @ k.T * (q.shape[-1] ** -0.5 if scale is None else scale)
    visible = torch.ones(T, S, dtype=torch.bool).tril(S - T) if mask is None else mask
    if softmax is not None:
        return softmax(scores, visible) @ v
    return scores.masked_fill(~visible, -INFINITY).softmax(-1) @ v


@wrong(
    "Your softmax runs over the queries: it is the columns that sum to 1, so tokens compete for"
    " a key, and an earlier token's share changes when later ones come."
)
def softmax_down_the_queries(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.masked_fill(~m, -INFINITY).softmax(0))


@wrong(
    "You took one softmax over the whole matrix. Each query has a whole 1 of its own to give "
    "away: one softmax a row."
)
def softmax_over_it_all(q, k, v):
    def over_all(s, m):
        return s.masked_fill(~m, -INFINITY).flatten().softmax(0).view_as(s)

    return _head(q, k, v, softmax=over_all)


@wrong(
    "Your mask is lined up with the first positions. The queries are the last T of the S "
    "positions, so the diagonal is shifted by S - T."
)
def head_mask_from_the_start(q, k, v):
    return _head(q, k, v, mask=torch.ones(len(q), len(k), dtype=torch.bool).tril())


@wrong(
    "You hid the future after the softmax. Its scores have already taken their share of the 1: "
    "your rows no longer sum to 1, and they still depend on the future."
)
def head_mask_after_softmax(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.softmax(-1) * m)


@wrong(
    "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share as any other. "
    "What has to become 0 is the weight, and exp(-infinity) is 0."
)
def head_hides_with_zero(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: (s * m).softmax(-1))


@wrong(
    "You added True and False, as 1 and 0, to the scores: visible keys count a little more, and"
    " nothing is hidden."
)
def head_adds_the_mask(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: (s + m).softmax(-1))


@wrong("Your mask is the wrong way round: each query sees itself and what comes after it.")
def head_upside_down(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).triu(S - T))


@wrong("Nothing is hidden: the first token already knows how the sentence ends.")
def head_without_mask(q, k, v):
    return (q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v


@wrong(
    "You hid the diagonal. The first token may look at nothing then, and a softmax over nothing"
    " is nan."
)
def head_without_itself(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).tril(S - T - 1))


@wrong(
    "You left out the division by the root of D. A sum of D products grows with D, and at D = "
    "128 the softmax would nearly always pick one key alone."
)
def head_unscaled(q, k, v):
    return _head(q, k, v, scale=1.0)


@wrong(
    "You divided by D, not by its root. The scores shrink to almost nothing, and all keys get "
    "nearly the same weight."
)
def head_divides_by_d(q, k, v):
    return _head(q, k, v, scale=1 / q.shape[-1])


@wrong(
    "You multiplied by the root of D where the formula divides: the softmax gets steeper "
    "instead of gentler."
)
def head_multiplies_by_the_root(q, k, v):
    return _head(q, k, v, scale=q.shape[-1] ** 0.5)


@wrong(
    "You divided by the root of the number of keys. What makes a score large is the number of "
    "products in it, and that is D; yours would change as the text grows."
)
def head_divides_by_the_keys(q, k, v):
    return _head(q, k, v, scale=k.shape[0] ** -0.5)


@wrong(
    "You divided after the softmax. That only makes the output smaller; the scores must be "
    "tamed before they go in."
)
def head_scales_the_weights(q, k, v):
    return _head(q, k, v, scale=1.0) / q.shape[-1] ** 0.5


@wrong(
    "You multiplied k by q: row t is then what key t is asked by all queries. With T = S the "
    "shapes fit, and the answer is another one."
)
def keys_ask_queries(q, k, v):
    T, S = q.shape[0], k.shape[0]
    visible = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    scores = (k @ q.T / q.shape[-1] ** 0.5).masked_fill(~visible, -INFINITY)
    return scores.softmax(-1) @ v


@wrong("You mixed the keys. The keys only decide the weights; what is handed out is the values.")
def hands_out_keys(q, k, v):
    return _head(q, k, k)


@wrong(
    "You divided each score by the sum of its row. Scores can be negative, and so can that sum:"
    " the weights must first be made positive, by exp."
)
def shares_without_exp(q, k, v):
    def shares(s, m):
        s = s.masked_fill(~m, 0)
        return s / s.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=shares)


@wrong(
    "You took the best key alone. Softmax lets every visible key speak, the better ones louder;"
    " a hard choice also has no gradient."
)
def takes_the_best(q, k, v):
    def best(s, m):
        found = s.masked_fill(~m, -INFINITY).argmax(-1)
        return F.one_hot(found, s.shape[-1]).to(s.dtype) + 0 * s

    return _head(q, k, v, softmax=best)


EXERCISE = Exercise(
    name="one_head",
    title="One head",
    points=2,
    minutes=10,
    answer=one_head,
    reference=_one_head_reference,
    probes=_one_head_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Four steps: compare, hide, share out, mix. Which of the four needs D, and which of the "
        "axes of (T, S) must sum to 1?",
        "q is (T, D), k is (S, D): turn one on its side and a single product gives all scores, "
        "(T, S). Hide the future before the softmax, with a number whose exp is 0.",
        "`masked_fill` wants True where something is to be replaced, which is the opposite of "
        "may look. The queries are the last T positions, so `tril` and `triu` need an S - T.",
    ),
)
