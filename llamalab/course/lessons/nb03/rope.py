"""Notebook 03, exercise 2: RoPE."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb03.common import rope_angles_of

wrong = WrongAnswers()


def apply_rope(x, cos, sin):
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)  # (..., T, 1, D/2): all heads turn alike
    a, b = x[..., 0::2], x[..., 1::2]  # (B, T, H, D/2) each: neighbours
    # cos and sin are float32, and a product takes the wider dtype of the two
    turned = torch.stack((a * cos - b * sin, a * sin + b * cos), dim=-1)  # (B, T, H, D/2, 2)
    return turned.flatten(-2).to(x.dtype)  # (B, T, H, D)


def _rope_reference(x, cos, sin):
    """Each pair is one complex number, and turning is a product."""
    pairs = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    turn = torch.complex(cos, sin)[..., :, None, :]
    return torch.view_as_real(pairs * turn).reshape(x.shape).to(x.dtype)


def _table(positions, head_dim):
    angles = rope_angles_of(positions, head_dim, 10000.0)
    return angles.cos(), angles.sin()


def _rope_probes():
    """Places that start late; T = H and B = T, where axes may be confused unseen; rows of the
    batch with places of their own; a token that comes alone, a sentence alone, both, the
    docstring's example; x as a view, heads first in memory; 16 bits; an input that wants its
    gradient."""
    g = seeded(31)

    def probe(shape, positions, dtype=torch.float32):
        x = torch.randn(*shape, generator=g).to(dtype)
        return x, *_table(torch.tensor(positions), shape[-1])

    late = probe((2, 3, 3, 6), [40, 41, 42])
    quarter = torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([[0.0]]), torch.tensor([[1.0]])
    heads_first = torch.randn(2, 3, 4, 10, generator=g).transpose(1, 2)  # (B, T, H, D)
    return [
        probe((2, 5, 3, 8), [3, 4, 5, 6, 7]),
        probe((2, 4, 4, 6), [11, 12, 13, 14]),
        probe((3, 4, 2, 10), [[0, 0, 0, 1], [5, 6, 7, 8], [20, 21, 22, 23]]),
        probe((3, 3, 3, 4), [[0, 1, 2], [9, 10, 11], [4, 5, 6]]),
        probe((2, 3, 5, 64), [300, 301, 302], torch.bfloat16),
        probe((2, 2, 3, 32), [[7, 8], [1, 2]], torch.float16),
        probe((3, 1, 2, 6), [56]),
        probe((1, 4, 3, 8), [[9, 10, 11, 12]]),
        probe((1, 1, 4, 6), [[30]]),
        quarter,
        (heads_first, *_table(torch.tensor([60, 61, 62, 63]), 10)),
        (late[0].requires_grad_(), *late[1:]),
    ]


def _turn(a, b, cos, sin):
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return a * cos - b * sin, a * sin + b * cos


def _evens_odds(x):
    return x.float()[..., 0::2], x.float()[..., 1::2]


def _woven(a, b, x):
    return torch.stack((a, b), dim=-1).flatten(-2).to(x.dtype)


@wrong(
    "You paired element i with i + D/2. That is Hugging Face's layout; Meta's, and this "
    "course's, pairs neighbours. Every law of RoPE holds for yours too, so only a comparison of"
    " numbers finds it: on Meta's weights the text may even stay fluent."
)
def pairs_the_halves(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat(_turn(first, second, cos, sin), dim=-1).to(x.dtype)


@wrong(
    "You turned neighbours, but put all first numbers before all second ones. Scores between q "
    "and k do not notice, as long as both come from you; a cache filled by anybody else does."
)
def leaves_them_sorted(x, cos, sin):
    return torch.cat(_turn(*_evens_odds(x), cos, sin), dim=-1).to(x.dtype)


@wrong(
    "You read the two halves and wrote neighbours. Reading and writing have to use the same "
    "seats: even and odd ones, both times."
)
def weaves_the_halves(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    return _woven(*_turn(first, second, cos, sin), x)


@wrong(
    "You turned the other way: the sign of sin is reversed. Within your own model the scores "
    "would agree with themselves, but weights trained with the usual sense see every distance "
    "negated."
)
def turns_backwards(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), cos, -sin), x)


@wrong(
    "You exchanged cos and sin. At place 0 cos is 1 and sin is 0, and nothing may happen there;"
    " with yours each pair comes out changed."
)
def swaps_cos_and_sin(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), sin, cos), x)


@wrong(
    "Your second line has a minus: a sin - b cos. That mirrors the pair instead of turning it. "
    "Lengths are kept and place 0 gives (a, -b): look there first."
)
def mirrors(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos - b * sin, a * sin - b * cos, x)


@wrong(
    "Both of your lines have a plus. The minus in a cos - b sin is what keeps the length: with "
    "yours pairs grow and shrink as they turn."
)
def plus_in_both(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos + b * sin, a * sin + b * cos, x)


@wrong(
    "Your second line uses the a that the first line has just changed. Both must start from the"
    " old pair: build the two results before you give anything its name again."
)
def uses_the_new_a(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    a = a * cos - b * sin
    b = a * sin + b * cos
    return _woven(a, b, x)


@wrong("You multiplied a by cos and b by sin. In a turn each result takes a part of both numbers.")
def only_stretches(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos, b * sin, x)


@wrong(
    "You mixed the layouts: the partner comes from the other half, the angle from the "
    "neighbour's table. The two partners then turn by different angles, and it is no turn at "
    "all."
)
def halves_with_a_woven_table(x, cos, sin):
    cos, sin = (t.repeat_interleave(2, dim=-1).unsqueeze(-2) for t in (cos, sin))
    first, second = x.float().chunk(2, dim=-1)
    return (x.float() * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


@wrong(
    "You mixed the layouts: the partner is the neighbour, but the table is doubled as for "
    "halves (c0, c1, …, c0, c1, …). Two neighbours need the same angle: c0, c0, then c1, c1, "
    "and so on."
)
def neighbours_with_a_doubled_table(x, cos, sin):
    cos, sin = (torch.cat((t, t), dim=-1).unsqueeze(-2) for t in (cos, sin))
    a, b = _evens_odds(x)
    return (x.float() * cos + _woven(-b, a, x.float()) * sin).to(x.dtype)


@wrong(
    "You made a table for places 0 to T-1 yourself and ignored the one you were given. With a "
    "cache a new token comes alone, at place 56 say: yours would stand at place 0 for ever. "
    "Tests that always start at 0 cannot see this."
)
def starts_again_at_zero(x, cos, sin):
    cos, sin = _table(torch.arange(x.shape[1]), x.shape[3])
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


@wrong(
    "You let (T, D/2) meet (B, T, H, D/2) as it is, and broadcasting lined T up with the heads."
    " Where there are as many heads as places it even runs, and each head gets an angle of its "
    "own. Give the tables an axis of size 1 for the heads."
)
def heads_for_places(x, cos, sin):
    a, b = _evens_odds(x)
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "Your `[:, None]` puts the heads' axis right for a (T, D/2) table. In a (B, T, D/2) one it "
    "stands before T, and places line up with heads. Count from the end: the axis of size 1 "
    "goes before the last one."
)
def rows_for_places(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos[:, None], sin[:, None]
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "You used the first sentence's places for the whole batch. Prompts of different length are "
    "padded, so each row has places of its own: that is what (B, T, D/2) is for."
)
def first_row_for_all(x, cos, sin):
    cos, sin = (t[0] if t.ndim == 3 else t for t in (cos, sin))
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


@wrong(
    "You turned every token by the first one's angle. All of them turned alike is as good as "
    "none turned: no distance is left."
)
def one_place_for_all(x, cos, sin):
    cos, sin = cos[..., :1, :], sin[..., :1, :]
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


@wrong(
    "You widened to float32 and stayed there. What came in with 16 bits goes out with 16: the "
    "cached keys would take twice the room, and v would no longer fit beside them."
)
def stays_in_float32(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), cos, sin), x.float())


@wrong(
    "You rounded cos and sin to 16 bits and calculated there. Each turn is then a little off, "
    "and so is every length. Calculate in float32, and round the result once."
)
def table_in_16_bits(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return _woven(*_turn(a, b, cos.to(x.dtype), sin.to(x.dtype)), x)


@wrong(
    "You rounded cos and sin to x's 16 bits before using them. The table is exact to seven "
    "digits as it is: let it widen x, and round the result once. (transformers does round its "
    "table, so its bfloat16 numbers differ from Meta's.)"
)
def table_rounded(x, cos, sin):
    cos, sin = cos.to(x.dtype).float(), sin.to(x.dtype).float()
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


@wrong(
    "You wrote the result into x. Whoever called you may still need the unturned one; and a "
    "gradient that passes through an overwritten tensor is wrong or refused."
)
def overwrites_x(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    with torch.no_grad():
        x[..., 0::2], x[..., 1::2] = a, b
    return x


@wrong(
    "You cut x off from autograd. wq and wk learn through this turn: without a gradient they "
    "would stay random for ever."
)
def cuts_the_gradient(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x.detach()), cos, sin), x)


def _right(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


@wrong(
    "You squeezed the result. A token that comes alone (T = 1) or a sentence that comes alone "
    "(B = 1) loses an axis, and the cache that waits for (B, T, H, D) cannot take it."
)
def squeezes_the_result(x, cos, sin):
    return _right(x, cos, sin).squeeze()


@wrong(
    "You squeezed the tables. Where T = 1, (1, D/2) becomes (D/2,) and the axis that you add then "
    "stands at another place; with one sentence alone the batch is gone. Axes of size 1 are axes."
)
def squeezes_the_tables(x, cos, sin):
    return _right(x, cos.squeeze(), sin.squeeze())


@wrong(
    "You squeezed the batch away: where one sentence comes alone, B = 1, the answer has three "
    "axes. (B, T, H, D) is (1, T, H, D) then."
)
def squeezes_the_batch(x, cos, sin):
    return _right(x, cos, sin).squeeze(0)


@wrong(
    "You do not turn a token that comes alone. With a cache every new token comes alone, at place "
    "56 say, and it has to be turned by that place's angle."
)
def leaves_one_alone(x, cos, sin):
    return x.clone() if x.shape[1] == 1 else _right(x, cos, sin)


@wrong(
    "`cos[None, :, None, :]` makes (1, T, 1, D/2) of a (T, D/2) table, and that is right. Of a (B, "
    "T, D/2) one it makes five axes, and places line up with heads. Count from the end instead: "
    "one new axis, before the last, serves both."
)
def four_axes_from_the_front(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos[None, :, None, :], sin[None, :, None, :]
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "You reshaped the tables to (1, T, 1, D/2). Where each row of the batch has places of its own "
    "they hold B times as many numbers. Count from the end instead: one new axis, before the last."
)
def tables_for_one_row_only(x, cos, sin):
    a, b = _evens_odds(x)
    shape = (1, x.shape[1], 1, x.shape[3] // 2)
    cos, sin = cos.view(shape), sin.view(shape)
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "`unsqueeze(2)` puts the heads' axis right for a (B, T, D/2) table. In a (T, D/2) one it comes "
    "after D/2. Count from the end: the axis of size 1 goes before the last one, -2."
)
def third_axis_from_the_front(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(2), sin.unsqueeze(2)
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "You brought the heads to the front so that (T, D/2) fits as it is, and did not bring them "
    "back: yours is (B, H, T, D)."
)
def heads_left_in_front(x, cos, sin):
    a, b = _evens_odds(x.transpose(1, 2))
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


@wrong(
    "With the heads in front (T, D/2) fits as it is, but a (B, T, D/2) table then meets (B, H, T, "
    "D/2), and rows of the batch line up with heads."
)
def heads_in_front(x, cos, sin):
    a, b = _evens_odds(x.transpose(1, 2))
    return _woven(a * cos - b * sin, a * sin + b * cos, x).transpose(1, 2)


@wrong(
    "The turned pairs are right and still apart: (B, T, H, D/2, 2). Flatten the last two axes, so "
    "that every number is back in its seat."
)
def pairs_still_apart(x, cos, sin):
    return torch.stack(_turn(*_evens_odds(x), cos, sin), dim=-1).to(x.dtype)


@wrong(
    "You stacked the two results in front and reshaped: the right number of numbers, each in "
    "somebody else's seat. Stack them along a new LAST axis, then flatten the last two."
)
def stacks_in_front(x, cos, sin):
    return torch.stack(_turn(*_evens_odds(x), cos, sin)).reshape(x.shape).to(x.dtype)


@wrong("You put the second result into the first seat of each pair, and the first into the second.")
def second_seat_first(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    return _woven(b, a, x)


@wrong(
    "Your second line takes cos and sin the wrong way round: a sin + b cos, not a cos + b sin. At "
    "place 0 it must give b."
)
def second_line_crossed(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos - b * sin, a * cos + b * sin, x)


@wrong(
    "Two things: you paired element i with i + D/2, which is Hugging Face's layout (Meta's, and "
    "this course's, pairs neighbours); and 16-bit numbers come back as float32."
)
def halves_and_wide(x, cos, sin):
    first, second = x.chunk(2, dim=-1)
    return torch.cat(_turn(first, second, cos, sin), dim=-1)


@wrong(
    "torch has no complex numbers of two bfloat16, and those of two float16 calculate in 16 bits. "
    "Go to float32 first: `x.float()`. The result goes back to x's own dtype."
)
def complex_in_16_bits(x, cos, sin):
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    turn = torch.complex(cos, sin).unsqueeze(-2)
    return torch.view_as_real(pairs * turn).flatten(-2).to(x.dtype)


@wrong(
    "You merged axes with `view`, which works only while the numbers lie in one row in memory. x "
    "may be a view itself, with the heads first: take slices, or `unflatten` the last axis, or "
    "`reshape`."
)
def views_across_axes(x, cos, sin):
    B, T, H, D = x.shape
    pairs = x.view(B * T * H, D // 2, 2).view(B, T, H, D // 2, 2).float()
    return _woven(*_turn(pairs[..., 0], pairs[..., 1], cos, sin), x)


@wrong(
    "Two things: you wrote into x, and your second line reads an a that the first has just "
    "overwritten (a slice is a view: it sees the change). Build both results, then stack them."
)
def overwrites_what_it_reads(x, cos, sin):
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    a, b = x[..., 0::2], x[..., 1::2]
    x[..., 0::2] = a * cos - b * sin
    x[..., 1::2] = a * sin + b * cos
    return x


@wrong(
    "The numbers are right, but they stand in x itself. Whoever called you may still need the "
    "unturned one, and where x wants its gradient torch stops you. Build a new tensor."
)
def writes_into_x(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    x[..., 0::2] = a
    x[..., 1::2] = b
    return x


@wrong(
    "The numbers are right, but where x is float32 they stand in x itself. `x.float()` copies "
    "16-bit numbers only: of a float32 tensor it gives back that very tensor, and you wrote into "
    "it. Build a new tensor; whoever called you may still need the unturned one."
)
def writes_into_what_was_wide_already(x, cos, sin):
    wide = x.float()
    a, b = _turn(*_evens_odds(x), cos, sin)
    wide[..., 0::2] = a
    wide[..., 1::2] = b
    return wide.to(x.dtype)


@wrong(
    "Two things: your second line reads an a that the first has just overwritten (a slice is a "
    "view: it sees the change); and where x is float32 you wrote into x itself, since `x.float()` "
    "copies 16-bit numbers only. Build both results, then stack them."
)
def overwrites_what_was_wide_already(x, cos, sin):
    wide = x.float()
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    a, b = wide[..., 0::2], wide[..., 1::2]
    wide[..., 0::2] = a * cos - b * sin
    wide[..., 1::2] = a * sin + b * cos
    return wide.to(x.dtype)


@wrong(
    "The second number of each pair is cut off from autograd. Both results are made of both "
    "numbers: half of what wq and wk should learn never reaches them."
)
def second_number_cut(x, cos, sin):
    a, b = _evens_odds(x)
    return _woven(*_turn(a, b.detach(), cos, sin), x)


@wrong(
    "The first number of each pair is cut off from autograd. Both results are made of both "
    "numbers: half of what wq and wk should learn never reaches them."
)
def first_number_cut(x, cos, sin):
    a, b = _evens_odds(x)
    return _woven(*_turn(a.detach(), b, cos, sin), x)


@wrong(
    "The second result of each pair is cut off from autograd (`.data` and `detach` do that): right "
    "values, and half of the gradient."
)
def second_result_cut(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    return _woven(a, b.detach(), x)


@wrong(
    "The first result of each pair is cut off from autograd (`.data` and `detach` do that): right "
    "values, and half of the gradient."
)
def first_result_cut(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    return _woven(a.detach(), b, x)


@wrong(
    "All of it runs under `no_grad`, or its result is detached: no gradient comes back. wq and wk "
    "learn through this turn, and would stay random for ever."
)
def everything_cut(x, cos, sin):
    return _right(x, cos, sin).detach()


EXERCISE = Exercise(
    name="rope",
    title="RoPE",
    points=3,
    minutes=15,
    answer=apply_rope,
    reference=_rope_reference,
    probes=_rope_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Take the even-numbered seats as a and the odd-numbered as b: one pair each. Then two "
        "lines of the formula, for all pairs at once. Where must the tables get one more axis?",
        "x is (B, T, H, D/2) after splitting, the tables are (T, D/2) or (B, T, D/2). One axis of "
        "size 1, counted from the end, serves both: all heads turn alike. Afterwards weave a and "
        "b together again, so that each pair has its old seats.",
        "Slices with step 2 take the pair apart. Stack the two results along a new last axis and "
        "flatten the last two axes: that weaves. A float32 table widens 16-bit numbers by itself "
        "when it multiplies them; going back to x's own dtype is your part.",
    ),
)
