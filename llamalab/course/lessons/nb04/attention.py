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
    """Six heads on 2, 3 and 1, four on 4 and 2; T = S, T < S and T = 1; one sentence, one token;
    masks for all and for each row, one of which lets queries look ahead; a batch as large as the
    heads; scores of tens of thousands; a key whose score is 0 and which may be seen; views; a
    gradient; float64, where the only weight is 1 however it is made. In half precision one key
    wins by so much that the answer is the same however it is rounded on the way; or its numbers are
    such that only a softmax which calculates in 16 bits goes astray."""
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
        """Each key lies along an axis of its own and each query along one that it may see, before
        its own where there is one: its score is 24 * 24 / root D, and all others are 0."""
        axes = torch.rand(2, n_kv, D, generator=g).argsort(-1)[..., :S].transpose(1, 2)
        k = 24 * F.one_hot(axes, D)  # (B, S, n_kv, D)
        v = torch.randint(-9, 10, (2, S, n_kv, D), generator=g)
        owner = (torch.arange(H) // (H // n_kv)).expand(2, T, H)
        position = torch.arange(S - T, S).view(1, T, 1)
        aim = (torch.rand(2, T, H, generator=g) * position.clamp(min=1)).long()
        q = k[torch.arange(2)[:, None, None], aim, owner]  # (B, T, H, D)
        return q.to(dtype), k.to(dtype), v.to(dtype)

    def fine(high, low, dtype, T=3, S=5, n_kv=2, H=4, D=16):
        """Scores high and low for two keys, and far below for the others. high - low has more
        digits than 16 bits hold; the share of the lower key is, to a hair, a 16-bit number."""
        k = torch.eye(S, D).expand(n_kv, S, D).transpose(0, 1).repeat(2, 1, 1, 1)
        v = torch.zeros(2, S, n_kv, D)
        v[:, 1] = 2.0 ** torch.arange(10, 12)[:, None]  # a power of two for each KV head
        q = torch.full((2, T, H, D), -256.0)
        q[..., 0], q[..., 1] = 4 * torch.tensor(high), 4 * torch.tensor(low)
        return q.to(dtype), k.to(dtype), v.to(dtype)

    def with_a_zero(q, k, v):
        k[:, 1] = 0  # a key that gives every query the score 0; each mask lets it be seen
        return q, k, v

    views = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in probe(2, 3, 4, 6, 3, 4)]
    learned = [x.requires_grad_() for x in probe(2, 3, 3, 6, 2, 5)]
    return [
        probe(2, 5, 5, 6, 2, 4),
        with_a_zero(*probe(2, 3, 7, 6, 3, 8)),
        probe(3, 1, 6, 4, 4, 2),
        probe(2, 4, 4, 6, 1, 10),
        (*probe(3, 5, 5, 6, 2, 4), padded(3, 5, 5)),
        (*probe(3, 2, 7, 6, 2, 4), padded(3, 2, 7)),
        (*with_a_zero(*probe(2, 4, 6, 6, 3, 4)), any_mask(4, 6)),
        (*probe(4, 3, 5, 4, 2, 6), any_mask(4, 3, 5)),
        probe(2, 4, 4, 6, 2, 4, scale=3e4),
        probe(1, 3, 4, 6, 2, 5),
        probe(1, 1, 1, 6, 3, 5),
        tuple(x.double() + 1e-9 for x in probe(1, 1, 1, 1, 1, 6)),
        tuple(views),
        tuple(learned),
        clear(5, 5, 2, 6, 16, torch.bfloat16),
        clear(2, 6, 3, 6, 16, torch.float16),
        fine(23.0, -0.0625, torch.bfloat16),
        fine(9.59375, 1.55859375, torch.float16),
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
    "You did not spread the key heads over the query heads, or the keys and not the values: both "
    "have n_kv heads. It runs where there are as many of one as of the other, or a single one, and "
    "stops elsewhere."
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
    "You set hidden scores to 0. But exp(0) is 1, so a hidden token gets a share like any other: "
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


@wrong(
    "Softmax by hand, and in 16 bits: `scores - largest` is rounded before exp, and exp makes "
    "seven percent of it. Go to float32 first, `scores.float()`, and come back when the weights "
    "are made. (`scores.softmax(-1)` widens by itself.)"
)
def softmax_by_hand_in_16_bits(q, k, v, mask=None):
    def by_hand(s, m):
        s = s.masked_fill(~m, -INFINITY)
        raised = (s - s.amax(-1, keepdim=True)).exp()
        return raised / raised.sum(-1, keepdim=True)

    return _grouped(q, k, v, mask, softmax=by_hand)


@wrong(
    "You copied each key head n_kv times. As often as there are query heads to it: H / n_kv. (Four "
    "heads on two cannot tell the two numbers apart.)"
)
def as_many_copies_as_kv_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x.repeat_interleave(x.shape[2], dim=2))


@wrong("You copied the positions, axis 1. What there are too few of are heads, axis 2.")
def copies_the_positions(q, k, v, mask=None):
    return _grouped(q, k, v, mask, spread=lambda x, n: x.repeat_interleave(n, dim=1))


@wrong(
    "Your causal mask is off by one: each query sees one token too many, the one that it is to "
    "guess. `tril(S - T)`, `triu(S - T + 1)`."
)
def grouped_one_step_ahead(q, k, v, mask=None):
    T, S = q.shape[1], k.shape[1]
    ahead = torch.ones(T, S, dtype=torch.bool).tril(S - T + 1)
    return _grouped(q, k, v, ahead if mask is None else mask)


@wrong(
    "Your causal mask is off by one: no query sees itself, and the first sees nothing at all, "
    "which makes nan. `tril(S - T)`, `triu(S - T + 1)`."
)
def grouped_without_itself(q, k, v, mask=None):
    T, S = q.shape[1], k.shape[1]
    behind = torch.ones(T, S, dtype=torch.bool).tril(S - T - 1)
    return _grouped(q, k, v, behind if mask is None else mask)


@wrong(
    "The shift of your causal mask has the wrong sign: S - T, not T - S. The queries are the last "
    "ones, so the diagonal moves to the right."
)
def grouped_mask_shifted_the_other_way(q, k, v, mask=None):
    T, S = q.shape[1], k.shape[1]
    other = torch.ones(T, S, dtype=torch.bool).tril(T - S)
    return _grouped(q, k, v, other if mask is None else mask)


@wrong(
    "Your causal mask is (T, T). With a cache there are S keys: (T, S), and the queries are the "
    "last T positions."
)
def grouped_mask_is_square(q, k, v, mask=None):
    square = torch.ones(q.shape[1], q.shape[1], dtype=torch.bool).tril()
    return _grouped(q, k, v, square if mask is None else mask)


@wrong(
    "You filled where the query MAY look, with your own mask and with a given one. `masked_fill` "
    "replaces where its mask is True: hand it the opposite, `~mask`."
)
def fills_the_visible(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(m, -INFINITY))


@wrong(
    "You gave every mask a head axis with `[:, None]`. That suits (B, T, S); of (T, S) it makes "
    "(T, 1, S). Third from the end suits both: `unsqueeze(-3)`."
)
def a_head_axis_second(q, k, v, mask=None):
    seen = layers.causal_mask(q.shape[1], k.shape[1]) if mask is None else mask
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~seen[:, None], -INFINITY))


@wrong(
    "You gave every mask two axes in front. That suits (T, S); of (B, T, S) it makes five axes, "
    "and rows of the batch meet heads. Third from the end suits both: `unsqueeze(-3)`."
)
def two_axes_in_front(q, k, v, mask=None):
    seen = layers.causal_mask(q.shape[1], k.shape[1]) if mask is None else mask
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~seen[None, None], -INFINITY))


NOT_LOW_ENOUGH = (
    "The number that you filled with is not low enough. Scores can be lower, and then the hidden "
    "token wins. Minus infinity is below every number, in every dtype."
)


@wrong(NOT_LOW_ENOUGH)
def minus_ten_thousand(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~m, -1e4))


@wrong(NOT_LOW_ENOUGH)
def minus_a_hundred(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~m, -100.0))


@wrong(
    "You filled with -10. exp(-10) is 1/22,000, so each hidden token keeps a little, and it keeps "
    "everything where the scores that may be seen lie far below -10. Minus infinity is below every "
    "number, in every dtype."
)
def minus_ten(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s.masked_fill(~m, -10.0))


EVERY_ZERO = (
    "You made the hidden scores 0 and then hid every score that is 0. A key that may be seen can "
    "have the score 0 too, where q and k stand at a right angle, and yours hides it as well; a "
    "query that is all 0 is left with nothing, which is nan. Ask the mask, not the number."
)


def _every_zero(scores, mask):
    scores = scores * mask
    return scores.masked_fill(scores == 0, -INFINITY)


@wrong(EVERY_ZERO)
def hides_every_zero(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=_every_zero)


@wrong(EVERY_ZERO + " (With a given mask you do.)")
def hides_every_zero_of_its_own_mask(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=_every_zero if mask is None else None)


@wrong(EVERY_ZERO + " (Without a given mask you do.)")
def hides_every_zero_of_a_given_mask(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=None if mask is None else _every_zero)


@wrong(
    "You went to float32 whatever came in, and back at the end. That is wider than 16 bits and "
    "narrower than float64, which loses half of its digits on the way. Widen what is narrow, and "
    "let float64 be: `torch.promote_types(q.dtype, torch.float32)`."
)
def through_float32(q, k, v, mask=None):
    return _grouped(q.float(), k.float(), v.float(), mask).to(q.dtype)


@wrong(
    "You added True and False, as 1 and 0, to the scores: visible keys count a little more, and "
    "nothing is hidden."
)
def adds_the_mask(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s + m)


@wrong(
    "You multiplied the mask by minus infinity and added it. Where it is 0 that makes 0 times "
    "infinity, which is nan. `masked_fill` or `torch.where` puts the number in without arithmetic."
)
def infinity_times_zero(q, k, v, mask=None):
    return _grouped(q, k, v, mask, hide=lambda s, m: s + (1.0 - m.to(s)) * -INFINITY)


@wrong(
    "You hid after the softmax (or after its largest score was taken away) and made the rows sum "
    "to 1 again. On paper that is right. But where a hidden score is larger by a hundred, "
    "nothing is left for those that may be seen, and 0/0 is nan. Hide before."
)
def grouped_hides_late_and_mends(q, k, v, mask=None):
    def late(s, m):
        weights = s.float().softmax(-1) * m
        return weights / weights.sum(-1, keepdim=True)

    return _grouped(q, k, v, mask, softmax=late)


@wrong(
    "You took one largest score away from all rows. A row whose scores all lie far below it has "
    "only zeros left, and 0/0 is nan: each row needs its own, `amax(-1, keepdim=True)`."
)
def one_largest_for_all(q, k, v, mask=None):
    def by_hand(s, m):
        s = s.masked_fill(~m, -INFINITY).float()
        raised = (s - s.max()).exp()
        return raised / raised.sum(-1, keepdim=True)

    return _grouped(q, k, v, mask, softmax=by_hand)


@wrong(
    "Your weights stay float32 where v has 16 bits, and torch multiplies no two dtypes. Bring the "
    "weights back, `type_as(v)`, before they meet v."
)
def weights_stay_wide(q, k, v, mask=None):
    S = k.shape[1]
    eye = torch.eye(S, dtype=torch.float32).expand(k.shape[0], k.shape[2], S, S).transpose(1, 2)
    weights = _grouped(q, k, eye, mask).transpose(1, 2)  # (B, H, T, S)
    n = q.shape[2] // k.shape[2]
    return (weights @ v.repeat_interleave(n, dim=2).transpose(1, 2)).transpose(1, 2)


@wrong(
    "You joined the heads already: (B, T, H*D). The model does that when it comes to wo; here "
    "(B, T, H, D) is asked for."
)
def joins_the_heads(q, k, v, mask=None):
    return _grouped(q, k, v, mask).flatten(2)


@wrong(
    "You brought the heads to the front with a reshape, and back with a transpose. A reshape cuts "
    "the same row of numbers at other places and mixes tokens with heads: transpose both times."
)
def reshapes_on_the_way_in(q, k, v, mask=None):
    (B, T, H, D), S = q.shape, k.shape[1]
    k, v = (x.repeat_interleave(H // x.shape[2], dim=2) for x in (k, v))
    q, k, v = q.reshape(B, H, T, D), k.reshape(B, H, S, D), v.reshape(B, H, S, D)
    return _grouped(*(x.transpose(1, 2) for x in (q, k, v)), mask)


@wrong(
    "You divided by the root of the number of keys. A score is a sum over D numbers; yours would "
    "change as the text grows."
)
def divides_by_the_keys(q, k, v, mask=None):
    return _grouped(q, k, v, mask, scale=k.shape[1] ** -0.5)


@wrong("You returned the weights too. The output alone is asked for, (B, T, H, D).")
def returns_two(q, k, v, mask=None):
    S = k.shape[1]
    eye = torch.eye(S, dtype=v.dtype).expand(k.shape[0], k.shape[2], S, S).transpose(1, 2)
    return _grouped(q, k, v, mask), _grouped(q, k, eye, mask).transpose(1, 2)


@wrong(
    "You squeezed. A token that comes alone (T = 1) or a sentence alone (B = 1) loses an axis that "
    "wo still counts on."
)
def squeezed_output(q, k, v, mask=None):
    return _grouped(q, k, v, mask).squeeze()


@wrong(
    "You squeezed the axis of T away where one token comes alone. In a model every new token does: "
    "(B, 1, H, D) keeps its four axes."
)
def squeezed_when_alone(q, k, v, mask=None):
    return _grouped(q, k, v, mask).squeeze(1)


@wrong("You mixed the keys. The keys only decide the weights; what is handed out is the values.")
def hands_out_the_keys(q, k, v, mask=None):
    return _grouped(q, k, k, mask)


@wrong(
    "Your softmax runs over the queries, the axis before the last. Each query has a whole 1 to "
    "share out over the keys; a key that nobody sees makes nan besides."
)
def softmax_down_a_column(q, k, v, mask=None):
    def over_queries(s, m):
        return s.masked_fill(~m, -INFINITY).float().softmax(2)

    return _grouped(q, k, v, mask, softmax=over_queries)


@wrong(
    "You flattened the heads into one of H*D numbers. The shares are then the same for all heads; "
    "each head asks, compares and mixes for itself."
)
def one_wide_head(q, k, v, mask=None):
    B, T, H, D = q.shape
    k, v = (x.repeat_interleave(H // x.shape[2], dim=2) for x in (k, v))
    wide = [x.flatten(2)[:, :, None] for x in (q, k, v)]
    return _grouped(*wide, mask, scale=D**-0.5).view(B, T, H, D)


@wrong(
    "You merged axes with `view`, which works only while the numbers lie in one row in memory. q "
    "may be a view itself, with the heads first: `reshape`, or leave the axes as they are."
)
def views_across_heads(q, k, v, mask=None):
    B, T, H, D = q.shape
    return _grouped(q.view(B * T * H, D).view(B, T, H, D), k, v, mask)


@wrong(
    "Your weights are cut off from autograd, by `no_grad`, `detach` or `.data`: right values, but "
    "only the values learn. In a Llama wq and wk would stay random for ever."
)
def weights_cut(q, k, v, mask=None):
    return _grouped(q.detach(), k.detach(), v, mask)


@wrong("The queries are cut off from autograd: wq would never learn what to ask.")
def queries_cut(q, k, v, mask=None):
    return _grouped(q.detach(), k, v, mask)


@wrong("The keys are cut off from autograd: wk would never learn what to offer.")
def keys_cut(q, k, v, mask=None):
    return _grouped(q, k.detach(), v, mask)


@wrong("The values are cut off from autograd: wv would never learn what to hand over.")
def values_cut(q, k, v, mask=None):
    return _grouped(q, k, v.detach(), mask)


@wrong(
    "Softmax by hand, and its sum is cut off from autograd: right values, wrong slopes, since a "
    "larger score takes its share from the others. Cut nothing, or leave it to `softmax`."
)
def sum_of_the_shares_cut(q, k, v, mask=None):
    def by_hand(s, m):
        s = s.masked_fill(~m, -INFINITY).float()
        raised = (s - s.amax(-1, keepdim=True)).exp()
        return raised / raised.sum(-1, keepdim=True).detach()

    return _grouped(q, k, v, mask, softmax=by_hand)


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
