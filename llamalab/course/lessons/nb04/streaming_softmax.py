"""Notebook 04, exercise 5: Attention in one pass, block by block."""

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb04.common import INFINITY

wrong = WrongAnswers()


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
    hundreds, that begin high, that are all far below 0; queries of very different size; many
    keys and small blocks, where what is held at once shows."""
    g = seeded(43)

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
        probe(7, 60, 3, 4),
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


@wrong(
    "You took a softmax of each block and averaged the results. Every block then counts the "
    "same, whether it holds the best key or only bad ones."
)
def averages_the_blocks(q, k, v, block):
    return torch.stack([out for out, _ in _per_block(q, k, v, block)]).mean(0)


@wrong(
    "You took a softmax of each block and weighted it by its length. A block's weight in the "
    "whole is its sum of exp(score), not its number of keys."
)
def averages_by_length(q, k, v, block):
    return sum(out * n for out, n in _per_block(q, k, v, block)) / k.shape[0]


@wrong(
    "You added the blocks' own softmaxes. Each of them sums to 1, so with three blocks the "
    "weights sum to 3."
)
def adds_the_blocks(q, k, v, block):
    return sum(out for out, _ in _per_block(q, k, v, block))


@wrong("Only the last block is left in your answer: what the earlier ones gave was overwritten.")
def keeps_the_last_block(q, k, v, block):
    return list(_per_block(q, k, v, block))[-1][0]


@wrong(
    "You moved the largest score up and left the old sums as they were. They were measured "
    "against the old one: both must shrink by exp(old - new)."
)
def never_shrinks(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False)


@wrong(
    "You shrank the sum of the weights and not the sum of the weighted values: the two are "
    "measured against different tops, and their quotient means nothing."
)
def shrinks_the_sum_only(q, k, v, block):
    return _stream(q, k, v, block, shrink_out=False)


@wrong(
    "You shrank the weighted values and not the sum of the weights: the two are measured "
    "against different tops, and their quotient means nothing."
)
def shrinks_the_output_only(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False)


@wrong(
    "Each of your blocks is measured against its own largest score, so a bad block counts as "
    "much as a good one. Measure all against one, the largest so far."
)
def each_block_its_own_top(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False, fixed="own")


@wrong(
    "You took exp of the scores as they are. On paper it is right, but above 88 exp is infinite"
    " in float32, and far below 0 everything is 0: nan either way."
)
def no_top_at_all(q, k, v, block):
    return _stream(q, k, v, block, shrink_total=False, shrink_out=False, fixed="none")


@wrong(
    "You measure everything against the first block's largest score. If a later one is higher "
    "by more than 88, exp is infinite. Move the top up, and shrink what you have."
)
def keeps_the_first_top(q, k, v, block):
    return _stream(q, k, v, block, fixed="first")


@wrong(
    "You use one largest score for all queries. A query whose scores all lie far below it has "
    "only zeros left, and 0/0 is nan: each query needs its own."
)
def one_top_for_all_queries(q, k, v, block):
    return _stream(q, k, v, block, one_top=True)


@wrong(
    "Your largest score begins at 0. Where all scores are far below 0 every exp is 0, and 0/0 "
    "is nan. Begin at minus infinity."
)
def top_begins_at_zero(q, k, v, block):
    return _stream(q, k, v, block, zero_top=True)


@wrong("You leave out the keys of the last block where it is shorter than the others.")
def drops_the_short_block(q, k, v, block):
    return _stream(q, k, v, block, whole=True)


@wrong(
    "You shrink by exp(new - old), which grows. The top only rises, so old - new is never "
    "positive, and its exp at most 1."
)
def shrinks_upside_down(q, k, v, block):
    return _stream(q, k, v, block, upside_down=True).nan_to_num()


@wrong(
    "You divide after every block and go on with the quotient as if it were the sum. Carry both"
    " sums to the end, and divide once."
)
def divides_too_early(q, k, v, block):
    return _stream(q, k, v, block, divide=True)


@wrong("You left out the division by the root of D.")
def streams_unscaled(q, k, v, block):
    return _stream(q, k, v, block, scale=1.0)


@wrong(
    "Already your first block is infinite. The top begins at minus infinity, and something is "
    "measured against it the wrong way round: what you have shrinks by exp(old - new), and the "
    "block is measured against the NEW top, exp(score - new)."
)
def infinite_at_the_first_block(q, k, v, block):
    return _stream(q, k, v, block, upside_down=True)


@wrong(
    "You replaced the top by each block's own. Where that is lower, exp(old - new) grows without "
    "end. The top is the largest score SO FAR: the larger of the old one and the block's."
)
def top_of_this_block(q, k, v, block):
    return _stream(q, k, v, block, fixed="own")


@wrong("You did not divide. The weighted values are one sum, the weights another: their quotient.")
def never_divides(q, k, v, block):
    top = torch.full_like(q[:, :1], -INFINITY)
    out = torch.zeros_like(q)
    for start in range(0, k.shape[0], block):
        scores = q @ k[start : start + block].T / q.shape[1] ** 0.5
        new_top = torch.maximum(top, scores.amax(dim=1, keepdim=True))
        out = out * (top - new_top).exp() + (scores - new_top).exp() @ v[start : start + block]
        top = new_top
    return out


@wrong("You hid the future. Here there is no mask: every query sees every key.")
def streams_causally(q, k, v, block):
    T, S = q.shape[0], k.shape[0]
    hidden = torch.ones(T, S, dtype=torch.bool).triu(S - T + 1)
    scores = (q @ k.T / q.shape[1] ** 0.5).masked_fill(hidden, -INFINITY)
    return scores.softmax(-1) @ v


@wrong(
    "Your largest score begins at a number of your choice. Where all scores are lower still, every "
    "exp is 0, and 0/0 is nan. Below every score there is minus infinity alone."
)
def top_begins_at_minus_a_hundred(q, k, v, block):
    top = torch.full_like(q[:, :1], -100.0)
    total, out = torch.zeros_like(top), torch.zeros_like(q)
    for start in range(0, k.shape[0], block):
        scores = q @ k[start : start + block].T / q.shape[1] ** 0.5
        new_top = torch.maximum(top, scores.amax(dim=1, keepdim=True))
        shrink, raised = (top - new_top).exp(), (scores - new_top).exp()
        total = total * shrink + raised.sum(dim=1, keepdim=True)
        out = out * shrink + raised @ v[start : start + block]
        top = new_top
    return out / total


def _most_that_may_be_held(q, k, v, block):
    """Numbers in the largest tensor: a block's scores, the running sums, or a block itself."""
    (T, D), wide = q.shape, min(block, k.shape[0])
    return max(T * wide, T * D, wide * D)


@wrong(
    "The values are right, but somewhere you hold the scores of all S keys at once. Go through the "
    "keys, `block` at a time, and of those that are past keep only the running sums of each query. "
    "(To take the queries one by one is not enough: each would still have S scores.)"
)
def meets_all_keys_at_once(q, k, v, block):
    return (q @ k.T / q.shape[1] ** 0.5).softmax(-1) @ v


@wrong(
    "The values are right, but you scaled q in place: the caller's q is another one now, and a "
    "second call would scale it again. `q / …` makes a new one, `q /= …` does not."
)
def scales_q_in_place(q, k, v, block):
    q /= q.shape[1] ** 0.5
    return _stream(q, k, v, block, scale=1.0)


@wrong(
    "The values are right, but you scaled k in place: the caller's k is another one now, and a "
    "second call would scale it again. `k / …` makes a new one, `k /= …` does not."
)
def scales_k_in_place(q, k, v, block):
    k /= q.shape[1] ** 0.5
    return _stream(q, k, v, block, scale=1.0)


EXERCISE = Exercise(
    name="streaming_softmax",
    title="Attention in one pass, block by block",
    points=5,
    minutes=30,
    answer=streaming_attention,
    reference=_streaming_reference,
    probes=_streaming_probes,
    largest_tensor=_most_that_may_be_held,
    rtol=2e-4,
    atol=1e-5,
    misconceptions=wrong.all,
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
