"""Notebook 04, exercise 3: Grouped attention."""

import torch
import torch.nn.functional as F

from llamalab import layers
from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb04.common import INFINITY

wrong = WrongAnswers()


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
    g = seeded(41)

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


@wrong(
    "You laid the key heads out as K1 K2 K1 K2. Neighbouring query heads share one: K1 K1 K2 "
    "K2, which is `repeat_interleave`. With as many key heads as query heads, or with one, both"
    " give the same, so the 7B model would never tell you."
)
def repeats_in_turn(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x.repeat(1, 1, n, 1))


@wrong(
    "Your keys are spread as K1 K1 K2 K2, and your values as V1 V2 V1 V2: heads find one place "
    "and read from another."
)
def values_in_turn(q, k, v, mask=None):
    groups = q.shape[2] // k.shape[2]
    k = k.repeat_interleave(groups, dim=2)
    return _grouped(q, k, v.repeat(1, 1, groups, 1), mask)


@wrong(
    "All of your query heads use the first key head. That is multi-query attention, n_kv = 1; "
    "here each group of query heads has a key head of its own."
)
def one_kv_head_for_all(q, k, v, mask=None):
    return _grouped(q, k[:, :, :1], v[:, :, :1], mask)


@wrong(
    "You did not spread the key heads over the query heads. It runs where there are as many of "
    "one as of the other, or a single one, and stops elsewhere."
)
def as_many_kv_heads_as_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x)


@wrong(
    "You brought the heads to the front with a reshape. That cuts the same row of numbers at "
    "other places and mixes tokens with heads; swapping two axes is `transpose`."
)
def reshapes_for_transposing(q, k, v, mask=None):
    (B, T, H, D), S = q.shape, k.shape[1]
    k, v = (x.repeat_interleave(H // k.shape[2], dim=2) for x in (k, v))
    q, k, v = q.reshape(B, H, T, D), k.reshape(B, H, S, D), v.reshape(B, H, S, D)
    mixed = _grouped(*(x.transpose(1, 2) for x in (q, k, v)), mask)
    return mixed.transpose(1, 2).reshape(B, T, H, D)


@wrong(
    "Yours is (B, H, T, D). Swap the axes back: (B, T, H, D), so that the heads of a token lie "
    "side by side for wo."
)
def heads_stay_in_front(q, k, v, mask=None):
    return _grouped(q, k, v, mask).transpose(1, 2)


@wrong(
    "All is right up to the last line: a reshape from (B, H, T, D) to (B, T, H, D) has the "
    "right shape and mixes tokens with heads. Transpose back."
)
def reshapes_on_the_way_back(q, k, v, mask=None):
    return _grouped(q, k, v, mask).transpose(1, 2).reshape(q.shape)


@wrong(
    "You multiplied (B, T, H, D) as it came: `@` works on the last two axes, so the heads of "
    "one token look at each other, and no token looks at another."
)
def heads_look_at_each_other(q, k, v, mask=None):
    k, v = (x.repeat_interleave(q.shape[2] // x.shape[2], dim=2) for x in (k, v))
    return (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1) @ v


@wrong(
    "Without a mask you line the queries up with the first positions. They are the last T of S:"
    " with a cache, your newest token sees the oldest one and no more."
)
def grouped_mask_from_the_start(q, k, v, mask=None):
    if mask is None:
        mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).tril()
    return _grouped(q, k, v, mask)


@wrong(
    "You always use the causal mask, also where another is given: padded rows would look at "
    "their padding."
)
def ignores_the_mask(q, k, v, mask=None):
    return _grouped(q, k, v, None)


@wrong(
    "You added the causal mask to the one that was given. The caller's mask is the whole truth;"
    " yours can never let a query look ahead, even where it may."
)
def always_causal_too(q, k, v, mask=None):
    causal = layers.causal_mask(q.shape[1], k.shape[1])
    return _grouped(q, k, v, causal if mask is None else mask & causal)


@wrong("With mask=None you hid nothing. Here None stands for the causal mask.")
def none_hides_nothing(q, k, v, mask=None):
    if mask is None:
        mask = torch.ones(q.shape[1], k.shape[1], dtype=torch.bool)
    return _grouped(q, k, v, mask)


@wrong(
    "You read a given mask the wrong way round. True means: may look. (Without one you are "
    "right, so a test that never passes a mask would not notice.)"
)
def true_hides(q, k, v, mask=None):
    return _grouped(q, k, v, None if mask is None else ~mask)


@wrong(
    "You used the first row's mask for the whole batch: the prompts have different lengths, and"
    " each has a mask of its own."
)
def one_mask_for_the_batch(q, k, v, mask=None):
    return _grouped(q, k, v, mask[0] if mask is not None and mask.ndim == 3 else mask)


@wrong(
    "A mask (B, T, S) beside scores (B, H, T, S) is read as (1, B, T, S): row b's mask falls on"
    " head b. Mostly that is an error; where B = H it runs. Give it a head axis."
)
def a_row_s_mask_for_a_head(q, k, v, mask=None):
    def hide(scores, given):
        if mask is not None and mask.ndim == 3:
            given = mask  # (B, T, S) against (B, H, T, S)
        return scores.masked_fill(~given, -INFINITY)

    return _grouped(q, k, v, mask, hide=hide)


@wrong(
    "You left out the division by the root of D. A sum of D products grows with D, and at D = "
    "128 the softmax would nearly always pick one key alone."
)
def grouped_unscaled(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=1.0)


@wrong(
    "You divided by D, not by its root. The scores shrink to almost nothing, and all keys get "
    "nearly the same weight."
)
def grouped_divides_by_d(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=1 / q.shape[-1])


@wrong(
    "You divided by the root of the model's width, H times D. A score is a sum over the D "
    "numbers of one head, whatever the number of heads."
)
def divides_by_the_models_width(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=(q.shape[-1] * q.shape[-2]) ** -0.5)


@wrong(
    "You divided by the root of H, the number of heads. It is the last axis that the score sums"
    " over: D."
)
def divides_by_the_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=q.shape[-2] ** -0.5)


@wrong(
    "You hid after the softmax. Hidden scores have already taken their share of the 1: your "
    "rows no longer sum to 1, and they still depend on the future."
)
def grouped_mask_after_softmax(q, k, v, mask=None):
    return _grouped(q, k, v, mask, softmax=lambda s, m: s.float().softmax(-1) * m)


@wrong(
    "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share as any other: "
    "the score must be minus infinity."
)
def grouped_hides_with_zero(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s * m)


@wrong(
    "Your softmax runs over the heads. They do not compete: each head has a whole 1 to share "
    "out over the keys, the last axis."
)
def softmax_over_the_heads(q, k, v, mask=None):
    def over_heads(s, m):
        return s.masked_fill(~m, -INFINITY).float().softmax(1).nan_to_num()

    return _grouped(q, k, v, mask, softmax=over_heads)


@wrong(
    "Your softmax runs over the queries. Each query has a whole 1 to share out over the keys, "
    "the last axis; yours also lets later tokens change earlier ones."
)
def softmax_over_the_queries(q, k, v, mask=None):
    def over_queries(s, m):
        return s.masked_fill(~m, -INFINITY).float().softmax(2).nan_to_num()

    return _grouped(q, k, v, mask, softmax=over_queries)


@wrong(
    "You took exp of the scores as they are. Above 88 that is infinite in float32, and infinity"
    " over infinity is nan. Take the row's largest score away first, or leave it to `softmax`, "
    "which does."
)
def exp_without_the_largest(q, k, v, mask=None):
    def by_hand(s, m):
        raised = s.masked_fill(~m, -INFINITY).float().exp()
        return raised / raised.sum(-1, keepdim=True)

    return _grouped(q, k, v, mask, softmax=by_hand)


@wrong("You filled with -1e9. float16 ends at 65,504 and cannot hold it; minus infinity it can.")
def minus_a_milliard(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~m, -1e9))


@wrong(
    "You never went back: 16-bit numbers came in and float32 came out, and the product with wo "
    "that follows will refuse it."
)
def comes_back_wide(q, k, v, mask=None):
    return _grouped(q.float(), k.float(), v.float(), mask)


@wrong(
    "The values are right, but you divided q in place. The caller's q is another one now, and "
    "where q needs a gradient, torch stops you."
)
def scales_q_where_it_stands(q, k, v, mask=None):
    q /= q.shape[-1] ** 0.5
    return _grouped(q, k, v, mask, scale=1.0)


@wrong(
    "The values are right, but they are cut off from what they were made of: nothing before "
    "this layer would ever learn."
)
def no_gradient_through_the_weights(q, k, v, mask=None):
    return _grouped(q, k, v, mask).detach()


EXERCISE = Exercise(
    name="attention",
    title="Grouped attention",
    points=4,
    minutes=20,
    answer=attention,
    reference=layers.attention,
    probes=_attention_probes,
    misconceptions=wrong.all,
    gradients=True,
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
