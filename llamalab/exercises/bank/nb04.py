"""Notebook 04: the causal mask, one head, grouped heads, a step with a cache, streaming softmax."""

import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question

INFINITY = float("inf")


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- the causal mask ------------------------------------------------------------------------


def causal_mask(T, S):
    query = torch.arange(S - T, S)[:, None]  # (T, 1): the position of each query
    key = torch.arange(S)  # (S,)
    return key <= query  # (T, S)


def _mask_probes():
    """Whole texts, several new tokens after a cache, one new token, the very first token."""
    return [(5, 5), (2, 5), (1, 4), (4, 9), (1, 1), (3, 4)]


def aligned_to_the_start(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril()


def true_means_hidden(T, S):
    return torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)


def only_the_future(T, S):
    return torch.ones(T, S, dtype=torch.bool).triu(S - T)


def not_even_itself(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)


def one_step_ahead(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T + 1)


def sees_everything(T, S):
    return torch.ones(T, S, dtype=torch.bool)


def ones_and_zeros(T, S):
    return torch.ones(T, S).tril(S - T)


def mask_on_its_side(T, S):
    return torch.ones(T, S, dtype=torch.bool).tril(S - T).T


def zero_and_minus_infinity(T, S):
    return torch.zeros(T, S).masked_fill(torch.ones(T, S).tril(S - T) == 0, float("-inf"))


def knows_no_past(T, S):
    return torch.ones(T, T, dtype=torch.bool).tril()


CAUSAL_MASK = Exercise(
    name="causal_mask",
    title="The causal mask",
    points=1,
    minutes=6,
    answer=causal_mask,
    reference=lambda T, S: layers.causal_mask(T, S),
    probes=_mask_probes,
    misconceptions=(
        Misconception(
            aligned_to_the_start,
            "You lined the queries up with the first positions. They are the last ones: with a "
            "cache of 4 tokens, your newest token would see the first of them and nothing else. "
            "While T = S nobody notices.",
        ),
        Misconception(
            true_means_hidden,
            "Yours is upside down: True where the query may not look. Libraries differ here "
            "(`nn.MultiheadAttention` hides where its mask is True), so it is worth saying aloud: "
            "here True means may look.",
        ),
        Misconception(
            only_the_future,
            "Your queries see themselves and what comes after them: you kept the upper triangle, "
            "and the past is the lower one.",
        ),
        Misconception(
            not_even_itself,
            "You hid the diagonal. A token may look at itself, and the first one has nothing else: "
            "a softmax over nothing is nan.",
        ),
        Misconception(
            one_step_ahead,
            "Each query sees one position too many: the very token that it is to guess. The loss "
            "would fall to nearly 0, and the model could write nothing.",
        ),
        Misconception(
            sees_everything,
            "You hid nothing. In training every position could read its own answer.",
        ),
        Misconception(
            ones_and_zeros,
            "The pattern is right, but these are the numbers 1 and 0. PyTorch adds a mask of "
            "floats to the scores, so yours would hide nothing. It should be True and False.",
        ),
        Misconception(
            mask_on_its_side,
            "Yours is (S, T). A row belongs to a query and a column to a key: (T, S).",
        ),
        Misconception(
            zero_and_minus_infinity,
            "That is the form that is added to scores, 0 and minus infinity. What is asked for is "
            "the question before it: may this query look, True or False?",
        ),
        Misconception(
            knows_no_past,
            "Yours is (T, T): the queries see each other, and the S - T tokens before them have "
            "no columns. Those are what a cache is for.",
        ),
    ),
    hints=(
        "Give every query and every key its position in the whole text. Then one comparison says "
        "it all.",
        "The keys stand at 0 to S - 1. The queries are the last T of these positions: where does "
        "the first query stand?",
        "Two rows of `torch.arange`, one of them with an axis more, `[:, None]`, so that the "
        "comparison broadcasts to (T, S). Or a matrix of ones and `tril`, whose argument shifts "
        "the diagonal: by how much?",
    ),
)


# -- one head -------------------------------------------------------------------------------


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
    g = _seeded(40)

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


def softmax_down_the_queries(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.masked_fill(~m, -INFINITY).softmax(0))


def softmax_over_it_all(q, k, v):
    def over_all(s, m):
        return s.masked_fill(~m, -INFINITY).flatten().softmax(0).view_as(s)

    return _head(q, k, v, softmax=over_all)


def head_mask_from_the_start(q, k, v):
    return _head(q, k, v, mask=torch.ones(len(q), len(k), dtype=torch.bool).tril())


def head_mask_after_softmax(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: s.softmax(-1) * m)


def head_hides_with_zero(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: (s * m).softmax(-1))


def head_adds_the_mask(q, k, v):
    return _head(q, k, v, softmax=lambda s, m: (s + m).softmax(-1))


def head_upside_down(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).triu(S - T))


def head_without_mask(q, k, v):
    return (q @ k.T / q.shape[-1] ** 0.5).softmax(-1) @ v


def head_without_itself(q, k, v):
    T, S = q.shape[0], k.shape[0]
    return _head(q, k, v, mask=torch.ones(T, S, dtype=torch.bool).tril(S - T - 1))


def head_unscaled(q, k, v):
    return _head(q, k, v, scale=1.0)


def head_divides_by_d(q, k, v):
    return _head(q, k, v, scale=1 / q.shape[-1])


def head_multiplies_by_the_root(q, k, v):
    return _head(q, k, v, scale=q.shape[-1] ** 0.5)


def head_divides_by_the_keys(q, k, v):
    return _head(q, k, v, scale=k.shape[0] ** -0.5)


def head_scales_the_weights(q, k, v):
    return _head(q, k, v, scale=1.0) / q.shape[-1] ** 0.5


def keys_ask_queries(q, k, v):
    T, S = q.shape[0], k.shape[0]
    visible = torch.ones(T, S, dtype=torch.bool).tril(S - T)
    scores = (k @ q.T / q.shape[-1] ** 0.5).masked_fill(~visible, -INFINITY)
    return scores.softmax(-1) @ v


def hands_out_keys(q, k, v):
    return _head(q, k, k)


def shares_without_exp(q, k, v):
    def shares(s, m):
        s = s.masked_fill(~m, 0)
        return s / s.sum(-1, keepdim=True)

    return _head(q, k, v, softmax=shares)


def takes_the_best(q, k, v):
    def best(s, m):
        found = s.masked_fill(~m, -INFINITY).argmax(-1)
        return F.one_hot(found, s.shape[-1]).to(s.dtype) + 0 * s

    return _head(q, k, v, softmax=best)


ONE_HEAD = Exercise(
    name="one_head",
    title="One head",
    points=2,
    minutes=10,
    answer=one_head,
    reference=_one_head_reference,
    probes=_one_head_probes,
    misconceptions=(
        Misconception(
            softmax_down_the_queries,
            "Your softmax runs over the queries: it is the columns that sum to 1, so tokens "
            "compete for a key, and an earlier token's share changes when later ones come.",
        ),
        Misconception(
            softmax_over_it_all,
            "You took one softmax over the whole matrix. Each query has a whole 1 of its own to "
            "give away: one softmax a row.",
        ),
        Misconception(
            head_mask_from_the_start,
            "Your mask is lined up with the first positions. The queries are the last T of the S "
            "positions, so the diagonal is shifted by S - T.",
        ),
        Misconception(
            head_mask_after_softmax,
            "You hid the future after the softmax. Its scores have already taken their share of "
            "the 1: your rows no longer sum to 1, and they still depend on the future.",
        ),
        Misconception(
            head_hides_with_zero,
            "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share as any "
            "other. What has to become 0 is the weight, and exp(-infinity) is 0.",
        ),
        Misconception(
            head_adds_the_mask,
            "You added True and False, as 1 and 0, to the scores: visible keys count a little "
            "more, and nothing is hidden.",
        ),
        Misconception(
            head_upside_down,
            "Your mask is the wrong way round: each query sees itself and what comes after it.",
        ),
        Misconception(
            head_without_mask,
            "Nothing is hidden: the first token already knows how the sentence ends.",
        ),
        Misconception(
            head_without_itself,
            "You hid the diagonal. The first token may look at nothing then, and a softmax over "
            "nothing is nan.",
        ),
        Misconception(
            head_unscaled,
            "You left out the division by the root of D. A sum of D products grows with D, and "
            "at D = 128 the softmax would nearly always pick one key alone.",
        ),
        Misconception(
            head_divides_by_d,
            "You divided by D, not by its root. The scores shrink to almost nothing, and all keys "
            "get nearly the same weight.",
        ),
        Misconception(
            head_multiplies_by_the_root,
            "You multiplied by the root of D where the formula divides: the softmax gets steeper "
            "instead of gentler.",
        ),
        Misconception(
            head_divides_by_the_keys,
            "You divided by the root of the number of keys. What makes a score large is the "
            "number of products in it, and that is D; yours would change as the text grows.",
        ),
        Misconception(
            head_scales_the_weights,
            "You divided after the softmax. That only makes the output smaller; the scores must "
            "be tamed before they go in.",
        ),
        Misconception(
            keys_ask_queries,
            "You multiplied k by q: row t is then what key t is asked by all queries. With T = S "
            "the shapes fit, and the answer is another one.",
        ),
        Misconception(
            hands_out_keys,
            "You mixed the keys. The keys only decide the weights; what is handed out is the "
            "values.",
        ),
        Misconception(
            shares_without_exp,
            "You divided each score by the sum of its row. Scores can be negative, and so can "
            "that sum: the weights must first be made positive, by exp.",
        ),
        Misconception(
            takes_the_best,
            "You took the best key alone. Softmax lets every visible key speak, the better ones "
            "louder; a hard choice also has no gradient.",
        ),
    ),
    hints=(
        "Four steps: compare, hide, share out, mix. Which of the four needs D, and which of the "
        "axes of (T, S) must sum to 1?",
        "q is (T, D), k is (S, D): turn one on its side and a single product gives all scores, "
        "(T, S). Hide the future before the softmax, with a number whose exp is 0.",
        "`masked_fill` wants True where something is to be replaced, which is the opposite of "
        "may look. The queries are the last T positions, so `tril` and `triu` need an S - T.",
    ),
)


# -- grouped attention ----------------------------------------------------------------------


def attention(q, k, v, mask=None):
    T, H, D = q.shape[1:]
    S, n_kv = k.shape[1:3]
    k = k.repeat_interleave(H // n_kv, dim=2)  # (B, S, H, D)
    v = v.repeat_interleave(H // n_kv, dim=2)
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)  # (B, H, T or S, D)
    if mask is None:
        mask = torch.ones(T, S, dtype=torch.bool, device=q.device).tril(S - T)
    scores = q @ k.transpose(-1, -2) / D**0.5  # (B, H, T, S)
    scores = scores.masked_fill(~mask.unsqueeze(-3), float("-inf"))  # the same for all heads
    wide = torch.promote_types(scores.dtype, torch.float32)  # float32 for 16-bit numbers
    weights = scores.softmax(dim=-1, dtype=wide).type_as(v)
    return (weights @ v).transpose(1, 2)  # (B, T, H, D)


def _attention_probes():
    """Six heads on 2, 3 and 1, four on 4 and 2; T = S, T < S and T = 1; masks for all and for each
    row, one of which lets queries look ahead; a batch as large as the heads; scores of several
    hundred; a gradient. In half precision one key wins by so much that the answer is the same
    however it is rounded on the way."""
    g = _seeded(41)

    def probe(B, T, S, H, n_kv, D, scale=1.0):
        sizes = ((B, T, H, D), (B, S, n_kv, D), (B, S, n_kv, D))
        q, k, v = (torch.randn(*size, generator=g) for size in sizes)
        return scale * q, k, v

    def any_mask(*size):
        mask = torch.rand(*size, generator=g) < 0.6
        mask[..., 1] = True  # nobody is left with nothing to look at
        return mask

    def padded(B, T, S):
        empty = torch.arange(B)[:, None, None]  # row b has b empty columns on the left
        column = torch.arange(S)
        asking = torch.arange(S - T, S)[:, None]
        return (column <= asking) & (column >= empty) | (column == asking)  # (B, T, S)

    def clear(T, S, n_kv, H, D, dtype):
        """Each key lies along an axis of its own and each query along one that it may see: its
        score is 24 * 24 / root D, and all others are 0."""
        axes = torch.rand(2, n_kv, D, generator=g).argsort(-1)[..., :S].transpose(1, 2)
        k = 24 * F.one_hot(axes, D)  # (B, S, n_kv, D)
        v = torch.randint(-9, 10, (2, S, n_kv, D), generator=g)
        owner = (torch.arange(H) // (H // n_kv)).expand(2, T, H)
        position = torch.arange(S - T, S).view(1, T, 1)
        aim = (torch.rand(2, T, H, generator=g) * (position + 1)).long()
        q = k[torch.arange(2)[:, None, None], aim, owner]  # (B, T, H, D)
        return q.to(dtype), k.to(dtype), v.to(dtype)

    learned = [x.requires_grad_() for x in probe(2, 3, 3, 6, 2, 5)]
    return [
        probe(2, 5, 5, 6, 2, 4),
        probe(2, 3, 7, 6, 3, 8),
        probe(3, 1, 6, 4, 4, 2),
        probe(2, 4, 4, 6, 1, 10),
        (*probe(3, 5, 5, 6, 2, 4), padded(3, 5, 5)),
        (*probe(3, 2, 7, 6, 2, 4), padded(3, 2, 7)),
        (*probe(2, 4, 6, 6, 3, 4), any_mask(4, 6)),
        (*probe(4, 3, 5, 4, 2, 6), any_mask(4, 3, 5)),
        probe(2, 4, 4, 6, 2, 4, scale=300.0),
        tuple(learned),
        clear(5, 5, 2, 6, 16, torch.bfloat16),
        clear(2, 6, 3, 6, 16, torch.float16),
    ]


def _grouped(q, k, v, mask, *, spread=None, scale=None, softmax=None, hide=None):
    """The right answer, with one step exchanged: for the misconceptions below. Takes and gives
    (B, T, H, D)."""
    T, H, D = q.shape[1:]
    S, n_kv = k.shape[1:3]
    if spread is None:
        k, v = (x.repeat_interleave(H // n_kv, dim=2) for x in (k, v))
    else:
        k, v = spread(k, H // n_kv), spread(v, H // n_kv)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    mask = layers.causal_mask(T, S) if mask is None else mask
    mask = mask.unsqueeze(-3)
    scores = q @ k.transpose(-1, -2) * (D**-0.5 if scale is None else scale)
    if softmax is None:
        scores = hide(scores, mask) if hide else scores.masked_fill(~mask, -INFINITY)
        weights = scores.float().softmax(-1).type_as(v)
    else:
        weights = softmax(scores, mask).type_as(v)
    return (weights @ v).transpose(1, 2)


def repeats_in_turn(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x.repeat(1, 1, n, 1))


def values_in_turn(q, k, v, mask=None):
    groups = q.shape[2] // k.shape[2]
    k = k.repeat_interleave(groups, dim=2)
    return _grouped(q, k, v.repeat(1, 1, groups, 1), mask)


def one_kv_head_for_all(q, k, v, mask=None):
    return _grouped(q, k[:, :, :1], v[:, :, :1], mask)


def as_many_kv_heads_as_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x)


def reshapes_for_transposing(q, k, v, mask=None):
    (B, T, H, D), S = q.shape, k.shape[1]
    k, v = (x.repeat_interleave(H // k.shape[2], dim=2) for x in (k, v))
    q, k, v = q.reshape(B, H, T, D), k.reshape(B, H, S, D), v.reshape(B, H, S, D)
    mixed = _grouped(*(x.transpose(1, 2) for x in (q, k, v)), mask)
    return mixed.transpose(1, 2).reshape(B, T, H, D)


def heads_stay_in_front(q, k, v, mask=None):
    return _grouped(q, k, v, mask).transpose(1, 2)


def reshapes_on_the_way_back(q, k, v, mask=None):
    return _grouped(q, k, v, mask).transpose(1, 2).reshape(q.shape)


def heads_look_at_each_other(q, k, v, mask=None):
    k, v = (x.repeat_interleave(q.shape[2] // x.shape[2], dim=2) for x in (k, v))
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v


def grouped_mask_from_the_start(q, k, v, mask=None):
    if mask is None:
        mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril()
    return _grouped(q, k, v, mask)


def ignores_the_mask(q, k, v, mask=None):
    return _grouped(q, k, v, None)


def always_causal_too(q, k, v, mask=None):
    causal = layers.causal_mask(q.shape[1], k.shape[1])
    return _grouped(q, k, v, causal if mask is None else mask & causal)


def none_hides_nothing(q, k, v, mask=None):
    if mask is None:
        mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool)
    return _grouped(q, k, v, mask)


def true_hides(q, k, v, mask=None):
    return _grouped(q, k, v, None if mask is None else ~mask)


def one_mask_for_the_batch(q, k, v, mask=None):
    return _grouped(q, k, v, mask[0] if mask is not None and mask.ndim == 3 else mask)


def a_row_s_mask_for_a_head(q, k, v, mask=None):
    def hide(scores, given):
        if mask is not None and mask.ndim == 3:
            given = mask  # (B, T, S) against (B, H, T, S)
        return scores.masked_fill(~given, -INFINITY)

    return _grouped(q, k, v, mask, hide=hide)


def grouped_unscaled(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=1.0)


def grouped_divides_by_d(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=1 / q.shape[-1])


def divides_by_the_models_width(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=(q.shape[-1] * q.shape[-2]) ** -0.5)


def divides_by_the_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=q.shape[-2] ** -0.5)


def grouped_mask_after_softmax(q, k, v, mask=None):
    return _grouped(q, k, v, mask, softmax=lambda s, m: s.float().softmax(-1) * m)


def grouped_hides_with_zero(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s * m)


def softmax_over_the_heads(q, k, v, mask=None):
    def over_heads(s, m):
        return s.masked_fill(~m, -INFINITY).float().softmax(1).nan_to_num()

    return _grouped(q, k, v, mask, softmax=over_heads)


def softmax_over_the_queries(q, k, v, mask=None):
    def over_queries(s, m):
        return s.masked_fill(~m, -INFINITY).float().softmax(2).nan_to_num()

    return _grouped(q, k, v, mask, softmax=over_queries)


def exp_without_the_largest(q, k, v, mask=None):
    def by_hand(s, m):
        raised = s.masked_fill(~m, -INFINITY).float().exp()
        return raised / raised.sum(-1, keepdim=True)

    return _grouped(q, k, v, mask, softmax=by_hand)


def minus_a_milliard(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~m, -1e9))


def comes_back_wide(q, k, v, mask=None):
    return _grouped(q.float(), k.float(), v.float(), mask)


def scales_q_where_it_stands(q, k, v, mask=None):
    q /= q.shape[-1] ** 0.5
    return _grouped(q, k, v, mask, scale=1.0)


def no_gradient_through_the_weights(q, k, v, mask=None):
    return _grouped(q, k, v, mask).detach()


ATTENTION = Exercise(
    name="attention",
    title="Grouped attention",
    points=4,
    minutes=20,
    answer=attention,
    reference=layers.attention,
    probes=_attention_probes,
    misconceptions=(
        Misconception(
            repeats_in_turn,
            "You laid the key heads out as K1 K2 K1 K2. Neighbouring query heads share one: "
            "K1 K1 K2 K2, which is `repeat_interleave`. With as many key heads as query heads, or "
            "with one, both give the same, so the 7B model would never tell you.",
        ),
        Misconception(
            values_in_turn,
            "Your keys are spread as K1 K1 K2 K2, and your values as V1 V2 V1 V2: heads find one "
            "place and read from another.",
        ),
        Misconception(
            one_kv_head_for_all,
            "All of your query heads use the first key head. That is multi-query attention, "
            "n_kv = 1; here each group of query heads has a key head of its own.",
        ),
        Misconception(
            as_many_kv_heads_as_heads,
            "You did not spread the key heads over the query heads. It runs where there are as "
            "many of one as of the other, or a single one, and stops elsewhere.",
        ),
        Misconception(
            reshapes_for_transposing,
            "You brought the heads to the front with a reshape. That cuts the same row of numbers "
            "at other places and mixes tokens with heads; swapping two axes is `transpose`.",
        ),
        Misconception(
            heads_stay_in_front,
            "Yours is (B, H, T, D). Swap the axes back: (B, T, H, D), so that the heads of a "
            "token lie side by side for wo.",
        ),
        Misconception(
            reshapes_on_the_way_back,
            "All is right up to the last line: a reshape from (B, H, T, D) to (B, T, H, D) has "
            "the right shape and mixes tokens with heads. Transpose back.",
        ),
        Misconception(
            heads_look_at_each_other,
            "You multiplied (B, T, H, D) as it came: `@` works on the last two axes, so the heads "
            "of one token look at each other, and no token looks at another.",
        ),
        Misconception(
            grouped_mask_from_the_start,
            "Without a mask you line the queries up with the first positions. They are the last T "
            "of S: with a cache, your newest token sees the oldest one and no more.",
        ),
        Misconception(
            ignores_the_mask,
            "You always use the causal mask, also where another is given: padded rows would look "
            "at their padding.",
        ),
        Misconception(
            always_causal_too,
            "You added the causal mask to the one that was given. The caller's mask is the whole "
            "truth; yours can never let a query look ahead, even where it may.",
        ),
        Misconception(
            none_hides_nothing,
            "With mask=None you hid nothing. Here None stands for the causal mask.",
        ),
        Misconception(
            true_hides,
            "You read a given mask the wrong way round. True means: may look. (Without one you "
            "are right, so a test that never passes a mask would not notice.)",
        ),
        Misconception(
            one_mask_for_the_batch,
            "You used the first row's mask for the whole batch: the prompts have different "
            "lengths, and each has a mask of its own.",
        ),
        Misconception(
            a_row_s_mask_for_a_head,
            "A mask (B, T, S) beside scores (B, H, T, S) is read as (1, B, T, S): row b's mask "
            "falls on head b. Mostly that is an error; where B = H it runs. Give it a head axis.",
        ),
        Misconception(
            grouped_unscaled,
            "You left out the division by the root of D. A sum of D products grows with D, and "
            "at D = 128 the softmax would nearly always pick one key alone.",
        ),
        Misconception(
            grouped_divides_by_d,
            "You divided by D, not by its root. The scores shrink to almost nothing, and all keys "
            "get nearly the same weight.",
        ),
        Misconception(
            divides_by_the_models_width,
            "You divided by the root of the model's width, H times D. A score is a sum over the D "
            "numbers of one head, whatever the number of heads.",
        ),
        Misconception(
            divides_by_the_heads,
            "You divided by the root of H, the number of heads. It is the last axis that the "
            "score sums over: D.",
        ),
        Misconception(
            grouped_mask_after_softmax,
            "You hid after the softmax. Hidden scores have already taken their share of the 1: "
            "your rows no longer sum to 1, and they still depend on the future.",
        ),
        Misconception(
            grouped_hides_with_zero,
            "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share as any "
            "other: the score must be minus infinity.",
        ),
        Misconception(
            softmax_over_the_heads,
            "Your softmax runs over the heads. They do not compete: each head has a whole 1 to "
            "share out over the keys, the last axis.",
        ),
        Misconception(
            softmax_over_the_queries,
            "Your softmax runs over the queries. Each query has a whole 1 to share out over the "
            "keys, the last axis; yours also lets later tokens change earlier ones.",
        ),
        Misconception(
            exp_without_the_largest,
            "You took exp of the scores as they are. Above 88 that is infinite in float32, and "
            "infinity over infinity is nan. Take the row's largest score away first, or leave it "
            "to `softmax`, which does.",
        ),
        Misconception(
            minus_a_milliard,
            "You filled with -1e9. float16 ends at 65,504 and cannot hold it; minus infinity it "
            "can.",
        ),
        Misconception(
            comes_back_wide,
            "You never went back: 16-bit numbers came in and float32 came out, and the product "
            "with wo that follows will refuse it.",
        ),
        Misconception(
            scales_q_where_it_stands,
            "The values are right, but you divided q in place. The caller's q is another one "
            "now, and where q needs a gradient, torch stops you.",
        ),
        Misconception(
            no_gradient_through_the_weights,
            "The values are right, but they are cut off from what they were made of: nothing "
            "before this layer would ever learn.",
        ),
    ),
    hints=(
        "It is one_head for all rows and all heads at once. Bring q, k and v to a shape in which "
        "the last two axes are (T, D) and (S, D), and `@` does the rest.",
        "First spread k and v over H heads, K1 K1 K2 K2. Then swap the T and H axes. A mask that "
        "was given has (T, S) or (B, T, S); the scores have (B, H, T, S): one axis is missing, "
        "third from the end.",
        "`repeat_interleave(n, dim=2)` spreads, `transpose(1, 2)` swaps, `unsqueeze(-3)` gives "
        "the mask its axis in both cases. Without a mask, make the causal one, aligned to the "
        "end.",
        "For 16-bit numbers, let the softmax run in float32 and go back to v's dtype before the "
        "product with v. At the end swap T and H back.",
    ),
)


# -- one step with a cache ------------------------------------------------------------------


def cached_step(q, k, v, keys, values, length):
    T, end = q.shape[1], length + q.shape[1]
    keys, values = keys.clone(), values.clone()
    keys[:, length:end] = k
    values[:, length:end] = v
    seen_k, seen_v = keys[:, :end].transpose(1, 2), values[:, :end].transpose(1, 2)
    mask = torch.ones(T, end, dtype=torch.bool).tril(length)  # (T, S)
    out = F.scaled_dot_product_attention(q.transpose(1, 2), seen_k, seen_v, mask, enable_gqa=True)
    return out.transpose(1, 2), keys, values


def _cached_reference(q, k, v, keys, values, length):
    past_k, past_v = keys[:, :length], values[:, :length]
    out = layers.attention(q, torch.cat((past_k, k), 1), torch.cat((past_v, v), 1))
    left = slice(length + k.shape[1], None)
    new_keys = torch.cat((past_k, k, keys[:, left]), 1)
    return out, new_keys, torch.cat((past_v, v, values[:, left]), 1)


def _cached_probes():
    """One new token and several; an empty cache, a half-full one, one that becomes full. The
    columns that are not filled hold old numbers, as they do after a rewind."""
    g = _seeded(42)

    def probe(B, T, H, n_kv, D, room, length):
        sizes = ((B, T, H, D), *2 * [(B, T, n_kv, D)], *2 * [(B, room, n_kv, D)])
        return *(torch.randn(*size, generator=g) for size in sizes), length

    return [
        probe(2, 1, 6, 2, 4, 9, 5),
        probe(3, 4, 6, 3, 2, 7, 0),
        probe(2, 3, 4, 2, 8, 10, 4),
        probe(2, 1, 6, 1, 4, 6, 5),
        probe(3, 1, 4, 4, 6, 5, 0),
    ]


def _written(k, v, keys, values, start, end):
    keys, values = keys.clone(), values.clone()
    keys[:, start:end], values[:, start:end] = k, v
    return keys, values


def attends_over_the_empty_room(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    mask = torch.arange(keys.shape[1]) <= torch.arange(length, length + q.shape[1])[:, None]
    mask[:, length + q.shape[1] :] = True
    return layers.attention(q, keys, values, mask), keys, values


def does_not_see_itself(q, k, v, keys, values, length):
    new_keys, new_values = _written(k, v, keys, values, length, length + k.shape[1])
    if length == 0:
        return torch.full_like(q, float("nan")), new_keys, new_values
    mask = torch.ones(q.shape[1], length, dtype=torch.bool)
    out = layers.attention(q, keys[:, :length], values[:, :length], mask)
    return out, new_keys, new_values


def writes_from_the_start(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, 0, k.shape[1])
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


def writes_one_column_early(q, k, v, keys, values, length):
    start, end = max(length - 1, 0), length + k.shape[1]
    keys, values = _written(k, v, keys, values, start, start + k.shape[1])
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


def writes_at_the_far_end(q, k, v, keys, values, length):
    keys, values = torch.cat((keys, k), 1), torch.cat((values, v), 1)
    return layers.attention(q, keys, values), keys, values


def throws_the_room_away(q, k, v, keys, values, length):
    keys, values = torch.cat((keys[:, :length], k), 1), torch.cat((values[:, :length], v), 1)
    return layers.attention(q, keys, values), keys, values


def writes_into_what_it_was_given(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys[:, length:end], values[:, length:end] = k, v
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


def exchanges_keys_and_values(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(v, k, keys, values, length, end)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


def fills_all_that_is_left(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, None)
    return layers.attention(q, keys[:, :end], values[:, :end]), keys, values


def forgets_to_keep_it(q, k, v, keys, values, length):
    new = _written(k, v, keys, values, length, length + k.shape[1])
    end = length + k.shape[1]
    return layers.attention(q, new[0][:, :end], new[1][:, :end]), keys.clone(), values.clone()


def returns_the_output_alone(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    return layers.attention(q, keys[:, :end], values[:, :end])


def new_tokens_see_ahead(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    mask = torch.ones(q.shape[1], end, dtype=torch.bool)
    return layers.attention(q, keys[:, :end], values[:, :end], mask), keys, values


def sees_the_first_columns_only(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    mask = torch.ones(q.shape[1], end, dtype=torch.bool).tril()
    return layers.attention(q, keys[:, :end], values[:, :end], mask), keys, values


def sees_the_new_tokens_only(q, k, v, keys, values, length):
    keys, values = _written(k, v, keys, values, length, length + k.shape[1])
    return layers.attention(q, k, v), keys, values


def cache_repeats_in_turn(q, k, v, keys, values, length):
    end = length + k.shape[1]
    keys, values = _written(k, v, keys, values, length, end)
    times = (1, 1, q.shape[2] // k.shape[2], 1)
    out = layers.attention(q, keys[:, :end].repeat(times), values[:, :end].repeat(times))
    return out, keys, values


CACHED_STEP = Exercise(
    name="cached_step",
    title="A step with a cache",
    points=3,
    minutes=12,
    answer=cached_step,
    reference=_cached_reference,
    probes=_cached_probes,
    misconceptions=(
        Misconception(
            attends_over_the_empty_room,
            "You let the queries look at the whole room, also at columns that nobody has filled. "
            "Even a column of zeros gets a share, since exp(0) is 1. Cut at length + T.",
        ),
        Misconception(
            does_not_see_itself,
            "Your queries see only what was there before. A token looks at itself as well: write "
            "first, then attend.",
        ),
        Misconception(
            writes_from_the_start,
            "You wrote the new columns over the first ones: the beginning of the text is gone. "
            "They belong behind the `length` columns that are filled.",
        ),
        Misconception(
            writes_one_column_early,
            "You wrote one column too early: over the last token, and a stale column takes its "
            "place at the end. Columns 0 to length - 1 are filled, so the next is `length`.",
        ),
        Misconception(
            writes_at_the_far_end,
            "You glued the new columns behind the empty ones. The room was taken beforehand so "
            "that nothing has to grow: write into it.",
        ),
        Misconception(
            throws_the_room_away,
            "The output is right, but your cache shrank to what is filled: the next step has no "
            "room to write to. Give the whole room back.",
        ),
        Misconception(
            writes_into_what_it_was_given,
            "The values are right, but you wrote into the caller's keys and values. A real cache "
            "does just that; here a copy is asked for, so that the step can be checked.",
        ),
        Misconception(
            exchanges_keys_and_values,
            "You wrote the keys into the values and the values into the keys.",
        ),
        Misconception(
            fills_all_that_is_left,
            "You wrote to all columns from `length` on. One token broadcasts into every empty "
            "column; only T columns are new.",
        ),
        Misconception(
            forgets_to_keep_it,
            "The output is right, but the keys and values that you return are the old ones: the "
            "next token will not know that this one was there.",
        ),
        Misconception(
            returns_the_output_alone,
            "You return the output alone. The caller needs the new keys and values too, as a "
            "tuple of three.",
        ),
        Misconception(
            new_tokens_see_ahead,
            "With one new token no mask is needed, and with several there is: yours see each "
            "other's future. Causal, aligned to the end.",
        ),
        Misconception(
            sees_the_first_columns_only,
            "Your mask is lined up with the first column: query 0 sees column 0 and no more. The "
            "queries stand at length, length + 1 and so on.",
        ),
        Misconception(
            sees_the_new_tokens_only,
            "Your queries see the new tokens only. You filled the cache and then did not read it.",
        ),
        Misconception(
            cache_repeats_in_turn,
            "You laid the key heads out as K1 K2 K1 K2. Neighbouring query heads share one: "
            "K1 K1 K2 K2.",
        ),
    ),
    hints=(
        "Three things in this order: copy, write, attend. Which columns are new, and which may a "
        "query see?",
        "Columns 0 to length - 1 are filled. T new ones go behind them, and what comes after "
        "length + T must not be looked at, whatever it holds.",
        "`clone` copies. For the last step you have a function: hand your attention, or "
        "`layers.attention`, the filled columns alone, and its causal mask, aligned to the end, "
        "is the right one for one new token and for many.",
    ),
)


# -- streaming ------------------------------------------------------------------------------


def streaming_attention(q, k, v, block):
    top = torch.full_like(q[:, :1], float("-inf"))  # (T, 1): the largest score so far
    total = torch.zeros_like(top)  # (T, 1): the sum of exp(score - top)
    out = torch.zeros_like(q)  # (T, D): the same sum, with values
    for start in range(0, k.shape[0], block):
        part = slice(start, start + block)
        scores = q @ k[part].T / q.shape[1] ** 0.5  # (T, block)
        new_top = torch.maximum(top, scores.amax(dim=1, keepdim=True))
        shrink, raised = (top - new_top).exp(), (scores - new_top).exp()
        total = total * shrink + raised.sum(dim=1, keepdim=True)
        out = out * shrink + raised @ v[part]
        top = new_top
    return out / total


def _streaming_reference(q, k, v, block):
    return F.scaled_dot_product_attention(q[None], k[None], v[None])[0]


def _streaming_probes():
    """Blocks that divide S and that do not, of 1 and larger than S; scores that rise by
    hundreds, that begin high, that are all far below 0; queries of very different size."""
    g = _seeded(43)

    def probe(T, S, D, block, slope=0.0, start=0.0, sizes=None):
        q, k, v = (torch.randn(n, D, generator=g).double() for n in (T, S, S))
        q[:, 0] = D**0.5  # the first numbers add this to the scores of each query
        k[:, 0] = start + slope * torch.arange(S)
        if sizes is not None:
            q = q * torch.tensor(sizes).double()[:, None]
        return q.float(), k.float(), v.float(), block

    return [
        probe(3, 8, 4, 2),
        probe(2, 7, 5, 3),
        probe(4, 6, 3, 10),
        probe(2, 5, 6, 1, slope=60.0),
        probe(3, 9, 4, 4, slope=-30.0, start=150.0),
        probe(2, 6, 3, 4, start=-300.0),
        probe(3, 6, 4, 2, start=150.0, sizes=(1.0, -1.0, 0.01)),
    ]


def _stream(
    q, k, v, block, *, shrink_total=True, shrink_out=True, scale=None, fixed=None, whole=False,
    upside_down=False, one_top=False, zero_top=False, divide=False,
):  # fmt: skip
    """The right answer, with one step exchanged: for the misconceptions below."""
    top = torch.full_like(q[:, :1], 0.0 if zero_top else -INFINITY)
    total, out = torch.zeros_like(top), torch.zeros_like(q)
    last = k.shape[0] - k.shape[0] % block if whole else k.shape[0]
    for start in range(0, last, block):
        part = slice(start, start + block)
        scores = q @ k[part].T * (q.shape[1] ** -0.5 if scale is None else scale)
        new_top = torch.maximum(top, scores.amax(dim=1, keepdim=True))
        if one_top:
            new_top = torch.full_like(new_top, new_top.max())
        if fixed == "none":
            new_top = torch.zeros_like(top)
        elif fixed == "first" and start > 0:
            new_top = top
        elif fixed == "own":
            new_top = scores.amax(dim=1, keepdim=True)
        shrink = (new_top - top).exp() if upside_down else (top - new_top).exp()
        raised = (scores - new_top).exp()
        total = (total * shrink if shrink_total else total) + raised.sum(1, keepdim=True)
        out = (out * shrink if shrink_out else out) + raised @ v[part]
        out = out / total if divide else out
        top = new_top
    return out if divide else out / total


def _per_block(q, k, v, block):
    for start in range(0, k.shape[0], block):
        part = slice(start, start + block)
        weights = (q @ k[part].T / q.shape[1] ** 0.5).softmax(-1)
        yield weights @ v[part], weights.shape[1]


def averages_the_blocks(q, k, v, block):
    return torch.stack([out for out, _ in _per_block(q, k, v, block)]).mean(0)


def averages_by_length(q, k, v, block):
    return sum(out * n for out, n in _per_block(q, k, v, block)) / k.shape[0]


def adds_the_blocks(q, k, v, block):
    return sum(out for out, _ in _per_block(q, k, v, block))


def keeps_the_last_block(q, k, v, block):
    return list(_per_block(q, k, v, block))[-1][0]


def never_shrinks(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False)


def shrinks_the_sum_only(q, k, v, block):
    return _stream(q, k, v, block, shrink_out=False)


def shrinks_the_output_only(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False)


def each_block_its_own_top(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False, fixed="own")


def no_top_at_all(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False, fixed="none")


def keeps_the_first_top(q, k, v, block):
    return _stream(q, k, v, block, fixed="first")


def one_top_for_all_queries(q, k, v, block):
    return _stream(q, k, v, block, one_top=True)


def top_begins_at_zero(q, k, v, block):
    return _stream(q, k, v, block, zero_top=True)


def drops_the_short_block(q, k, v, block):
    return _stream(q, k, v, block, whole=True)


def shrinks_upside_down(q, k, v, block):
    return _stream(q, k, v, block, upside_down=True).nan_to_num()


def divides_too_early(q, k, v, block):
    return _stream(q, k, v, block, divide=True)


def streams_unscaled(q, k, v, block):
    return _stream(q, k, v, block, scale=1.0)


STREAMING = Exercise(
    name="streaming_softmax",
    title="Attention in one pass, block by block",
    points=5,
    minutes=30,
    answer=streaming_attention,
    reference=_streaming_reference,
    probes=_streaming_probes,
    rtol=2e-4,
    atol=1e-5,
    misconceptions=(
        Misconception(
            averages_the_blocks,
            "You took a softmax of each block and averaged the results. Every block then counts "
            "the same, whether it holds the best key or only bad ones.",
        ),
        Misconception(
            averages_by_length,
            "You took a softmax of each block and weighted it by its length. A block's weight in "
            "the whole is its sum of exp(score), not its number of keys.",
        ),
        Misconception(
            adds_the_blocks,
            "You added the blocks' own softmaxes. Each of them sums to 1, so with three blocks "
            "the weights sum to 3.",
        ),
        Misconception(
            keeps_the_last_block,
            "Only the last block is left in your answer: what the earlier ones gave was "
            "overwritten.",
        ),
        Misconception(
            never_shrinks,
            "You moved the largest score up and left the old sums as they were. They were "
            "measured against the old one: both must shrink by exp(old - new).",
        ),
        Misconception(
            shrinks_the_sum_only,
            "You shrank the sum of the weights and not the sum of the weighted values: the two "
            "are measured against different tops, and their quotient means nothing.",
        ),
        Misconception(
            shrinks_the_output_only,
            "You shrank the weighted values and not the sum of the weights: the two are measured "
            "against different tops, and their quotient means nothing.",
        ),
        Misconception(
            each_block_its_own_top,
            "Each of your blocks is measured against its own largest score, so a bad block "
            "counts as much as a good one. Measure all against one, the largest so far.",
        ),
        Misconception(
            no_top_at_all,
            "You took exp of the scores as they are. On paper it is right, but above 88 exp is "
            "infinite in float32, and far below 0 everything is 0: nan either way.",
        ),
        Misconception(
            keeps_the_first_top,
            "You measure everything against the first block's largest score. If a later one is "
            "higher by more than 88, exp is infinite. Move the top up, and shrink what you have.",
        ),
        Misconception(
            one_top_for_all_queries,
            "You use one largest score for all queries. A query whose scores all lie far below it "
            "has only zeros left, and 0/0 is nan: each query needs its own.",
        ),
        Misconception(
            top_begins_at_zero,
            "Your largest score begins at 0. Where all scores are far below 0 every exp is 0, and "
            "0/0 is nan. Begin at minus infinity.",
        ),
        Misconception(
            drops_the_short_block,
            "You leave out the keys of the last block where it is shorter than the others.",
        ),
        Misconception(
            shrinks_upside_down,
            "You shrink by exp(new - old), which grows. The top only rises, so old - new is never "
            "positive, and its exp at most 1.",
        ),
        Misconception(
            divides_too_early,
            "You divide after every block and go on with the quotient as if it were the sum. "
            "Carry both sums to the end, and divide once.",
        ),
        Misconception(
            streams_unscaled,
            "You left out the division by the root of D.",
        ),
    ),
    hints=(
        "A softmax is a quotient of two sums, sum of e^s v over sum of e^s. Sums can be built up "
        "block by block. What stands in the way is only that e^s may be too large.",
        "Carry three things for each query: the largest score so far, the sum of the weights, and "
        "the sum of weighted values, both measured against that largest score. When it rises, "
        "what you have must be restated.",
        "Both sums times exp(old top - new top), then the block's own share, measured against the "
        "new top. Begin with a top of minus infinity: then the first factor is exp(-infinity), "
        "which is 0, and nothing is lost.",
    ),
)

EXERCISES = (CAUSAL_MASK, ONE_HEAD, ATTENTION, CACHED_STEP, STREAMING)

QUIZ = (
    Question(
        "what_gqa_saves",
        "Llama 2 70B has 64 query heads and 8 key heads. What is that good for above all?",
        (
            Option(
                "Fewer scores: 8 heads of them instead of 64",
                "There are still 64 heads of scores, one for each query head. The key heads are "
                "shared, the questions are not.",
            ),
            Option(
                "A smaller cache, and less of it to read for each new token",
                "Eight times smaller: 327,680 bytes a token instead of 2,621,440. So more "
                "sentences fit on the card, and every one is faster to continue.",
                right=True,
            ),
            Option(
                "A smaller model: wk and wv are an eighth of their size",
                "They are, and at 70B that is a seventh of the model. But weights are there once, "
                "while a cache is kept for every token of every text that is being written.",
            ),
            Option(
                "Better answers",
                "In the paper's comparison it was about as good as one key head for each query "
                "head, not better. It is the price that was to be kept low.",
            ),
        ),
    ),
    Question(
        "mask_for_one",
        "A cache holds 100 tokens and one new token comes. What does the causal mask of its "
        "attention hide?",
        (
            Option(
                "The 100 old tokens: only the new one is computed",
                "Only the new one asks, but it asks all of them. That is what they were kept for.",
            ),
            Option(
                "Nothing",
                "The new token is the last of 101, and nothing comes after it. With T = 1 no mask "
                "is needed, which is why a wrong one so often goes unnoticed until T = 2.",
                right=True,
            ),
            Option(
                "All but the first token",
                "That is what a mask aligned to the start does: row 0 of a triangle. The row that "
                "is wanted is the last.",
            ),
        ),
    ),
    Question(
        "what_is_cached",
        "What lies in Llama 2's cache for each token?",
        (
            Option(
                "Its query, key and value",
                "The query is used in its own step and never again: nobody later asks what an "
                "earlier token asked.",
            ),
            Option(
                "Keys and values, the keys before they are turned by RoPE",
                "One could, and would have to turn all keys again in every step. A key's angle "
                "depends on its own position, which never changes: turn it once, then keep it.",
            ),
            Option(
                "Turned keys, and values, one for each key head",
                "Turned, because their position is settled; not yet repeated for the query heads, "
                "because repeating would give back what grouping has saved.",
                right=True,
            ),
            Option(
                "The weights of the softmax",
                "Each new query has new ones, over one key more.",
            ),
        ),
    ),
    Question(
        "why_the_root",
        "Why are the scores divided by the root of D, and not by D?",
        (
            Option(
                "So that they lie between -1 and 1",
                "They need not. A query and a key that point the same way score far more than 1, "
                "and should.",
            ),
            Option(
                "Because a sum of D independent products spreads like the root of D",
                "Each product has spread 1, the sum has variance D and spread root D. Divided by "
                "it, a score of random vectors has spread 1 whatever D is.",
                right=True,
            ),
            Option(
                "To save time",
                "It costs a little. (Some programs put it into wq beforehand, and then it is "
                "free.)",
            ),
        ),
    ),
)
