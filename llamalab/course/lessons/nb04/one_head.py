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
    """T = S, T < S, one query, one token alone; D with and without a whole root; T = D; scores of
    several hundred, hidden ones among them beside small ones; a key whose score is 0 and which may
    be seen; q, k and v as views; a gradient."""
    g = seeded(40)

    def probe(T, S, D, dtype=torch.float32):
        sizes = ((T, D), (S, D), (S, D))
        return [torch.randn(*size, generator=g).to(dtype) for size in sizes]

    def large(T, S, D):
        q, k, v = probe(T, S, D)
        k[0] /= 100  # its score with the first query is small, the last key's with it is large
        k[-1] = q[0] / q[0].square().sum()
        return 300 * q, k, v

    def level(T, S, D):
        q, k, v = probe(T, S, D)
        k[1] = 0  # a key that gives every query the score 0
        return q, k, v

    def far_below(T, S, D):
        q, k, v = probe(T, S, D)
        return -300 * (1 + q.abs()), 1 + k.abs(), v  # every score is a large negative number

    learned = probe(3, 3, 6)
    learned[0].requires_grad_()
    return [
        tuple(probe(5, 5, 3)),
        level(2, 6, 4),
        tuple(probe(1, 4, 7)),
        tuple(probe(4, 4, 4)),
        tuple(probe(3, 7, 9, torch.float64)),
        tuple(probe(1, 1, 5)),
        large(6, 6, 3),
        large(3, 8, 4),
        far_below(4, 4, 3),
        tuple(x.T for x in probe(3, 3, 7)),
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
    "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share like any other. "
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


EXP_AS_IT_IS = (
    "You took exp of the scores as they are. On paper it is right; above 88 exp is infinite in "
    "float32, and infinity over infinity is nan. Take the row's largest score away first, or leave "
    "it to `softmax`, which does."
)


@wrong(EXP_AS_IT_IS)
def head_exp_without_the_largest(q, k, v):
    def by_hand(s, m):
        raised = s.exp() * m
        return raised / raised.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=by_hand)


@wrong(EXP_AS_IT_IS)
def head_exp_of_what_may_be_seen(q, k, v):
    def by_hand(s, m):
        raised = s.masked_fill(~m, -INFINITY).exp()
        return raised / raised.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=by_hand)


@wrong(
    "You took one largest score away from all rows. A row whose scores all lie far below it has "
    "only zeros left, and 0/0 is nan: each query needs its own, `amax(-1, keepdim=True)`."
)
def head_one_largest_for_all(q, k, v):
    def by_hand(s, m):
        s = s.masked_fill(~m, -INFINITY)
        raised = (s - s.max()).exp()
        return raised / raised.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=by_hand)


@wrong(
    "You hid the future after the softmax (or after its largest score was taken away) and made the "
    "rows sum to 1 again. On paper that is right. But where a hidden score is larger by a hundred, "
    "nothing is left for those that may be seen, and 0/0 is nan. Hide before."
)
def head_hides_late_and_mends(q, k, v):
    def late(s, m):
        weights = s.softmax(-1) * m
        return weights / weights.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=late)


@wrong(
    "The number that you filled with is not low enough. It lies below most scores, not below all: "
    "where those that may be seen lie at -3,000, the hidden one wins. Minus infinity is below "
    "every number."
)
def head_fills_with_minus_a_hundred(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.masked_fill(~m, -100.0).softmax(-1))


@wrong(
    "You filled with -10. exp(-10) is 1/22,000, so each hidden token keeps a little, and it keeps "
    "everything where the scores that may be seen lie far below -10. Minus infinity is below every "
    "number, and its exp is 0."
)
def head_fills_with_minus_ten(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.masked_fill(~m, -10.0).softmax(-1))


@wrong(
    "You made the hidden scores 0 and then hid every score that is 0. A key that may be seen can "
    "have the score 0 too, where q and k stand at a right angle, and yours hides it as well; a "
    "query that is all 0 is left with nothing, which is nan. Ask the mask, not the number."
)
def head_hides_every_zero(q, k, v):
    def every_zero(s, m):
        s = s * m
        return s.masked_fill(s == 0, -INFINITY).softmax(-1)

    return _head(q, k, v, softmax=every_zero)


@wrong(
    "You multiplied the mask by minus infinity and added it. Where it is 0 that makes 0 times "
    "infinity, which is nan. `masked_fill` or `torch.where` puts the number in without arithmetic."
)
def head_infinity_times_zero(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: (s + (1.0 - m.to(s)) * -INFINITY).softmax(-1))


@wrong(
    "Your mask is off by one: each query sees one token too many, and that is the one it is to "
    "guess. Position S - T + t may look at columns up to S - T + t: `tril(S - T)`, `triu(S - T + "
    "1)`."
)
def head_one_step_ahead(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).tril(S - T + 1))


@wrong(
    "You filled where the query MAY look. `masked_fill` replaces where its mask is True: hand it "
    "the opposite, `~`. (The last query is left with nothing, and a softmax over nothing is nan.)"
)
def head_fills_the_visible(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).triu(S - T + 1))


@wrong(
    "The shift of your mask has the wrong sign: S - T, not T - S. The queries are the last ones, "
    "so the diagonal moves to the right."
)
def head_mask_shifted_the_other_way(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).tril(T - S))


@wrong(
    "Your mask is (T, T). With S keys it must be (T, S): the queries also see the S - T tokens "
    "that came before them."
)
def head_mask_is_square(q, k, v):
    T = q.shape[0]
    scores = q @ k.T / q.shape[-1] ** 0.5
    hidden = torch.ones(T, T, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -INFINITY).softmax(-1) @ v


@wrong(
    "You divided by the root of the number of queries. What makes a score large is the number of "
    "products in it, and that is D, the last axis."
)
def head_divides_by_the_queries(q, k, v):
    return _head(q, k, v, scale=q.shape[0] ** -0.5)


@wrong(
    "float64 came in and float32 came out. Nothing here needs a cast: let every step run in the "
    "dtype that it was given."
)
def head_comes_back_narrow(q, k, v):
    return _head(q.float(), k.float(), v.float())


@wrong(
    "You sent float64 scores through a float32 softmax, and half of the digits are lost. Nothing "
    "here needs a cast."
)
def head_narrow_softmax(q, k, v):
    return _head(
        q, k, v, softmax=lambda s, m: s.masked_fill(~m, -INFINITY).float().softmax(-1).to(s.dtype)
    )


@wrong("You returned the weights too. The output alone is asked for, (T, D).")
def head_returns_two(q, k, v):
    eye = torch.eye(k.shape[0], dtype=v.dtype)
    return _head(q, k, v), _head(q, k, eye)


@wrong("These are the weights, (T, S). They have yet to mix the values: weights @ v.")
def head_returns_the_weights(q, k, v):
    return _head(q, k, torch.eye(k.shape[0], dtype=v.dtype))


@wrong(
    "You divided q in place. The caller's q is another one now, and where q needs a gradient, "
    "torch stops you. `q / …` makes a new one, `q /= …` does not."
)
def head_scales_q_in_place(q, k, v):
    q /= q.shape[-1] ** 0.5
    return _head(q, k, v, scale=1.0)


@wrong(
    "You squeezed. With one query the answer is (1, D): a token that comes alone keeps its axis."
)
def head_squeezed(q, k, v):
    return _head(q, k, v).squeeze()


@wrong(
    "The sum runs over the right axis and loses it, so that row sums line up with columns. "
    "`keepdim=True` keeps the axis; or leave it all to `softmax(dim=-1)`."
)
def head_sum_without_keepdim(q, k, v):
    def by_hand(s, m):
        raised = s.masked_fill(~m, -INFINITY).exp()
        return raised / raised.sum(-1)

    return _head(q, k, v, softmax=by_hand)


@wrong(
    "You compared the numbers of a token with each other: q.T @ k is (D, D). Turn k on its side, "
    "q @ k.T, and every query meets every key: (T, S)."
)
def head_numbers_meet_numbers(q, k, v):
    return (q.T @ k / q.shape[-1] ** 0.5).softmax(-1) @ v.T


@wrong(
    "Your output is cut off from autograd: right values, and nothing before this layer would ever "
    "learn."
)
def head_cut_off(q, k, v):
    return _head(q, k, v).detach()


@wrong(
    "Your weights are cut off from autograd, by `no_grad`, `detach` or `.data`: right values, but "
    "only the values learn. What is asked (q) and what is offered (k) stay random for ever."
)
def head_weights_cut(q, k, v):
    return _head(q.detach(), k.detach(), v)


@wrong("The queries are cut off from autograd: wq would never learn what to ask.")
def head_queries_cut(q, k, v):
    return _head(q.detach(), k, v)


@wrong("The keys are cut off from autograd: wk would never learn what to offer.")
def head_keys_cut(q, k, v):
    return _head(q, k.detach(), v)


@wrong("The values are cut off from autograd: wv would never learn what to hand over.")
def head_values_cut(q, k, v):
    return _head(q, k, v.detach())


@wrong(
    "Softmax by hand, and its sum is cut off from autograd: right values, wrong slopes, since a "
    "larger score takes its share from the others. Cut nothing, or leave it to `softmax`."
)
def head_sum_cut(q, k, v):
    def by_hand(s, m):
        s = s.masked_fill(~m, -INFINITY)
        raised = (s - s.amax(-1, keepdim=True)).exp()
        return raised / raised.sum(-1, keepdim=True).detach()

    return _head(q, k, v, softmax=by_hand)


@wrong(
    "You filled with 1e-9, which is as good as 0, and exp(0) is 1: a hidden token gets a share "
    "like any other. What has to become 0 is the weight, and exp(-infinity) is 0."
)
def head_hides_with_a_tiny_number(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.masked_fill(~m, 1e-9).softmax(-1))


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
