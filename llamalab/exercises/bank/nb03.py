"""Notebook 03: the angles, the turn, the two layouts, longer contexts."""

import math

import torch

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- the angles -----------------------------------------------------------------------------


def rope_angles(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2)  # i = 0, 1, 2, ...
    frequencies = theta ** (-2.0 * pair / head_dim)  # (D/2,), in radians a position
    return positions[..., None] * frequencies  # (..., D/2)


def _angles_reference(positions, head_dim, theta):
    """One number at a time, in Python's float64."""
    speeds = [math.exp(-2 * i / head_dim * math.log(theta)) for i in range(head_dim // 2)]
    flat = [[t * speed for speed in speeds] for t in positions.flatten().tolist()]
    return torch.tensor(flat).reshape(*positions.shape, head_dim // 2)


def _angles_probes():
    """Positions that start late, repeat, run backwards and lie beyond 256; one position alone;
    a row of positions for each sentence; T = D/2, where an axis may be swapped unseen."""
    return [
        (torch.tensor([0, 1, 2, 3, 4]), 8, 10000.0),
        (torch.tensor([56]), 12, 10000.0),
        (torch.tensor([7, 3, 3, 4095, 257]), 10, 500000.0),
        (torch.tensor([[0, 0, 0, 1], [0, 1, 2, 3], [5, 6, 7, 8]]), 6, 10000.0),
        (torch.tensor([301, 302, 303]), 6, 100.0),
    ]


def _angles(positions, head_dim, theta, exponent):
    """Angles from any list of exponents: for the misconceptions below."""
    return positions[..., None] * theta**exponent


def one_i_for_two(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -torch.arange(head_dim // 2) / head_dim)


def two_i_twice(positions, head_dim, theta):
    even = torch.arange(0, head_dim, 2)
    return _angles(positions, head_dim, theta, -2 * even / head_dim)


def pairs_from_one(positions, head_dim, theta):
    pair = torch.arange(1, head_dim // 2 + 1)
    return _angles(positions, head_dim, theta, -2 * pair / head_dim)


def grows_with_i(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, 2 * torch.arange(head_dim // 2) / head_dim)


def reaches_one_over_theta(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -torch.linspace(0, 1, head_dim // 2))


def even_steps(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2)
    return positions[..., None] * (1 - 2 * pair / head_dim)


def fixes_theta(positions, head_dim, theta):
    return _angles(positions, head_dim, 10000.0, -2 * torch.arange(head_dim // 2) / head_dim)


def a_speed_for_every_number(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2).repeat(2)
    return _angles(positions, head_dim, theta, -2 * pair / head_dim)


def counts_positions_itself(positions, head_dim, theta):
    places = torch.arange(positions.shape[-1]).expand(positions.shape)
    return _angles(places, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


def positions_from_one(positions, head_dim, theta):
    return _angles(positions + 1, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


def share_of_the_length(positions, head_dim, theta):
    places = positions / positions.shape[-1]
    return _angles(places, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


def in_degrees(positions, head_dim, theta):
    return torch.rad2deg(rope_angles_of(positions, head_dim, theta))


def from_degrees(positions, head_dim, theta):
    return torch.deg2rad(rope_angles_of(positions, head_dim, theta))


def whole_turns(positions, head_dim, theta):
    return 2 * math.pi * rope_angles_of(positions, head_dim, theta)


def positions_in_16_bits(positions, head_dim, theta):
    return rope_angles_of(positions.bfloat16().float(), head_dim, theta)


def angles_on_their_side(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).mT


def cosines_already(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).cos()


def back_to_one_turn(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta) % (2 * math.pi)


def only_one_row_of_positions(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return torch.outer(positions.flatten(), frequencies)


def rope_angles_of(positions, head_dim, theta):
    """The right angles, for misconceptions that spoil them afterwards."""
    return _angles(positions, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


ROPE_ANGLES = Exercise(
    name="rope_angles",
    title="The angles",
    points=1,
    minutes=8,
    answer=rope_angles,
    reference=_angles_reference,
    probes=_angles_probes,
    misconceptions=(
        Misconception(
            one_i_for_two,
            "Your exponent is i/D. It should be 2i/D, so that D/2 pairs cover the whole range "
            "from 1 down to nearly 1/theta; yours stop at its square root, and far places look "
            "alike.",
        ),
        Misconception(
            two_i_twice,
            "You doubled twice: `arange(0, D, 2)` already counts 0, 2, 4, so it is 2i. With 4i/D "
            "half of your hands stand practically still.",
        ),
        Misconception(
            pairs_from_one,
            "You counted the pairs from 1. The first pair has exponent 0 and turns by one radian "
            "a position; without it nothing tells neighbours apart so sharply.",
        ),
        Misconception(
            grows_with_i,
            "The minus sign is missing: your hands get faster with i, up to thousands of radians "
            "a position, where nothing can be read off any more.",
        ),
        Misconception(
            reaches_one_over_theta,
            "You spread the exponents from 0 to 1 with both ends in. The last one is 2(D/2 - 1)/D, "
            "a little less than 1: the slowest hand turns faster than 1/theta.",
        ),
        Misconception(
            even_steps,
            "Your speeds go down in equal steps. They have to go down by equal factors, so that "
            "every scale of distance, from 1 to thousands, has hands of its own.",
        ),
        Misconception(
            fixes_theta,
            "You wrote 10,000 into the function and ignored theta. CodeLlama's 1,000,000 would "
            "load without a complaint and read every distance wrongly.",
        ),
        Misconception(
            a_speed_for_every_number,
            "You made D angles, each speed twice, as Hugging Face's tables have it. Here one "
            "angle serves a pair: the last axis has D/2.",
        ),
        Misconception(
            counts_positions_itself,
            "You counted 0, 1, 2, … yourself and ignored `positions`. With a cache the new token "
            "comes alone, at place 56 say, and you would put it back to the beginning.",
        ),
        Misconception(
            positions_from_one,
            "You counted positions from 1. Distances are unharmed, so a model trained that way "
            "works; but the table no longer fits anybody else's, and place 0 should turn nothing.",
        ),
        Misconception(
            share_of_the_length,
            "You divided by the length of the text. Then every word turns anew when one is "
            "added at the end, and no cached key fits any more.",
        ),
        Misconception(
            in_degrees,
            "You gave degrees. cos and sin take radians, and would read 57 degrees as nine turns.",
        ),
        Misconception(
            from_degrees,
            "You took the angles for degrees and converted them. They are radians already; yours "
            "are 57 times too small, and all places look nearly alike.",
        ),
        Misconception(
            whole_turns,
            "You multiplied by 2 pi, as if the frequency counted turns. It counts radians: the "
            "fastest hand would come back to its start at every single position.",
        ),
        Misconception(
            positions_in_16_bits,
            "You put the positions through bfloat16, which counts by ones only up to 256: from "
            "there on, neighbours share a position. Positions and angles stay in float32.",
        ),
        Misconception(
            angles_on_their_side,
            "Your angles lie on their side, (D/2, T). One row a position: (T, D/2).",
        ),
        Misconception(
            cosines_already,
            "You took the cosine already. What is asked for is the angle; sine and cosine are "
            "both made of it.",
        ),
        Misconception(
            back_to_one_turn,
            "You took whole turns away. Nothing would change for cos and sin, but what is asked "
            "for is how far the hand has gone, and a remainder cannot tell you that.",
        ),
        Misconception(
            only_one_row_of_positions,
            "You flattened the positions. In a batch each sentence may have positions of its own, "
            "(B, T), and its angles are (B, T, D/2).",
        ),
    ),
    hints=(
        "Two things are multiplied: where the token stands, and how fast a pair turns. The first "
        "has one number a position, the second one number a pair.",
        "Speeds: count the pairs 0, 1, 2, … up to D/2 - 1 and put them into the exponent. Then "
        "give `positions` one more axis at the end, so that each meets every speed.",
        "theta is raised to a whole tensor of exponents, -2i/D, in float32. `positions[..., None]` "
        "works for (T,) and (B, T) alike.",
    ),
)


# -- the turn -------------------------------------------------------------------------------


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
    batch with places of their own; 16 bits; an input that wants its gradient."""
    g = _seeded(31)

    def probe(shape, positions, dtype=torch.float32):
        x = torch.randn(*shape, generator=g).to(dtype)
        return x, *_table(torch.tensor(positions), shape[-1])

    late = probe((2, 3, 3, 6), [40, 41, 42])
    return [
        probe((2, 5, 3, 8), [3, 4, 5, 6, 7]),
        probe((2, 4, 4, 6), [11, 12, 13, 14]),
        probe((3, 4, 2, 10), [[0, 0, 0, 1], [5, 6, 7, 8], [20, 21, 22, 23]]),
        probe((3, 3, 3, 4), [[0, 1, 2], [9, 10, 11], [4, 5, 6]]),
        probe((2, 3, 5, 64), [300, 301, 302], torch.bfloat16),
        probe((2, 2, 3, 32), [[7, 8], [1, 2]], torch.float16),
        (late[0].requires_grad_(), *late[1:]),
    ]


def _turn(a, b, cos, sin):
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return a * cos - b * sin, a * sin + b * cos


def _evens_odds(x):
    return x.float()[..., 0::2], x.float()[..., 1::2]


def _woven(a, b, x):
    return torch.stack((a, b), dim=-1).flatten(-2).to(x.dtype)


def pairs_the_halves(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat(_turn(first, second, cos, sin), dim=-1).to(x.dtype)


def leaves_them_sorted(x, cos, sin):
    return torch.cat(_turn(*_evens_odds(x), cos, sin), dim=-1).to(x.dtype)


def weaves_the_halves(x, cos, sin):
    first, second = x.float().chunk(2, dim=-1)
    return _woven(*_turn(first, second, cos, sin), x)


def turns_backwards(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), cos, -sin), x)


def swaps_cos_and_sin(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), sin, cos), x)


def mirrors(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos - b * sin, a * sin - b * cos, x)


def plus_in_both(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos + b * sin, a * sin + b * cos, x)


def uses_the_new_a(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    a = a * cos - b * sin
    b = a * sin + b * cos
    return _woven(a, b, x)


def only_stretches(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos.unsqueeze(-2), sin.unsqueeze(-2)
    return _woven(a * cos, b * sin, x)


def halves_with_a_woven_table(x, cos, sin):
    cos, sin = (t.repeat_interleave(2, dim=-1).unsqueeze(-2) for t in (cos, sin))
    first, second = x.float().chunk(2, dim=-1)
    return (x.float() * cos + torch.cat((-second, first), dim=-1) * sin).to(x.dtype)


def neighbours_with_a_doubled_table(x, cos, sin):
    cos, sin = (torch.cat((t, t), dim=-1).unsqueeze(-2) for t in (cos, sin))
    a, b = _evens_odds(x)
    return (x.float() * cos + _woven(-b, a, x.float()) * sin).to(x.dtype)


def starts_again_at_zero(x, cos, sin):
    cos, sin = _table(torch.arange(x.shape[1]), x.shape[3])
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


def heads_for_places(x, cos, sin):
    a, b = _evens_odds(x)
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


def rows_for_places(x, cos, sin):
    a, b = _evens_odds(x)
    cos, sin = cos[:, None], sin[:, None]
    return _woven(a * cos - b * sin, a * sin + b * cos, x)


def first_row_for_all(x, cos, sin):
    cos, sin = (t[0] if t.ndim == 3 else t for t in (cos, sin))
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


def one_place_for_all(x, cos, sin):
    cos, sin = cos[..., :1, :], sin[..., :1, :]
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


def stays_in_float32(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x), cos, sin), x.float())


def table_in_16_bits(x, cos, sin):
    a, b = x[..., 0::2], x[..., 1::2]
    return _woven(*_turn(a, b, cos.to(x.dtype), sin.to(x.dtype)), x)


def table_rounded(x, cos, sin):
    cos, sin = cos.to(x.dtype).float(), sin.to(x.dtype).float()
    return _woven(*_turn(*_evens_odds(x), cos, sin), x)


def overwrites_x(x, cos, sin):
    a, b = _turn(*_evens_odds(x), cos, sin)
    with torch.no_grad():
        x[..., 0::2], x[..., 1::2] = a, b
    return x


def cuts_the_gradient(x, cos, sin):
    return _woven(*_turn(*_evens_odds(x.detach()), cos, sin), x)


ROPE = Exercise(
    name="rope",
    title="RoPE",
    points=3,
    minutes=15,
    answer=apply_rope,
    reference=_rope_reference,
    probes=_rope_probes,
    misconceptions=(
        Misconception(
            pairs_the_halves,
            "You paired element i with i + D/2. That is Hugging Face's layout; Meta's, and this "
            "course's, pairs neighbours. Every law of RoPE holds for yours too, so only a "
            "comparison of numbers finds it: on Meta's weights the text may even stay fluent.",
        ),
        Misconception(
            leaves_them_sorted,
            "You turned neighbours, but put all first numbers before all second ones. Scores "
            "between q and k do not notice, as long as both come from you; a cache filled by "
            "anybody else does.",
        ),
        Misconception(
            weaves_the_halves,
            "You read the two halves and wrote neighbours. Reading and writing have to use the "
            "same seats: even and odd ones, both times.",
        ),
        Misconception(
            turns_backwards,
            "You turned the other way: the sign of sin is reversed. Within your own model the "
            "scores would agree with themselves, but weights trained with the usual sense see "
            "every distance negated.",
        ),
        Misconception(
            swaps_cos_and_sin,
            "You exchanged cos and sin. At place 0 cos is 1 and sin is 0, and nothing may happen "
            "there; with yours each pair comes out changed.",
        ),
        Misconception(
            mirrors,
            "Your second line has a minus: a sin - b cos. That mirrors the pair instead of turning "
            "it. Lengths are kept and place 0 gives (a, -b): look there first.",
        ),
        Misconception(
            plus_in_both,
            "Both of your lines have a plus. The minus in a cos - b sin is what keeps the length: "
            "with yours pairs grow and shrink as they turn.",
        ),
        Misconception(
            uses_the_new_a,
            "Your second line uses the a that the first line has just changed. Both must start "
            "from the old pair: build the two results before you give anything its name again.",
        ),
        Misconception(
            only_stretches,
            "You multiplied a by cos and b by sin. In a turn each result takes a part of both "
            "numbers.",
        ),
        Misconception(
            halves_with_a_woven_table,
            "You mixed the layouts: the partner comes from the other half, the angle from the "
            "neighbour's table. The two partners then turn by different angles, and it is no turn "
            "at all.",
        ),
        Misconception(
            neighbours_with_a_doubled_table,
            "You mixed the layouts: the partner is the neighbour, but the table is doubled as for "
            "halves (c0, c1, …, c0, c1, …). Two neighbours need the same angle: c0, c0, then c1, "
            "c1, and so on.",
        ),
        Misconception(
            starts_again_at_zero,
            "You made a table for places 0 to T-1 yourself and ignored the one you were given. "
            "With a cache a new token comes alone, at place 56 say: yours would stand at place 0 "
            "for ever. Tests that always start at 0 cannot see this.",
        ),
        Misconception(
            heads_for_places,
            "You let (T, D/2) meet (B, T, H, D/2) as it is, and broadcasting lined T up with the "
            "heads. Where there are as many heads as places it even runs, and each head gets an "
            "angle of its own. Give the tables an axis of size 1 for the heads.",
        ),
        Misconception(
            rows_for_places,
            "Your `[:, None]` puts the heads' axis right for a (T, D/2) table. In a (B, T, D/2) "
            "one it stands before T, and places line up with heads. Count from the end: the axis "
            "of size 1 goes before the last one.",
        ),
        Misconception(
            first_row_for_all,
            "You used the first sentence's places for the whole batch. Prompts of different length "
            "are padded, so each row has places of its own: that is what (B, T, D/2) is for.",
        ),
        Misconception(
            one_place_for_all,
            "You turned every token by the first one's angle. All of them turned alike is as good "
            "as none turned: no distance is left.",
        ),
        Misconception(
            stays_in_float32,
            "You widened to float32 and stayed there. What came in with 16 bits goes out with 16: "
            "the cached keys would take twice the room, and v would no longer fit beside them.",
        ),
        Misconception(
            table_in_16_bits,
            "You rounded cos and sin to 16 bits and calculated there. Each turn is then a little "
            "off, and so is every length. Calculate in float32, and round the result once.",
        ),
        Misconception(
            table_rounded,
            "You rounded cos and sin to x's 16 bits before using them. The table is exact to seven "
            "digits as it is: let it widen x, and round the result once. (transformers does round "
            "its table, so its bfloat16 numbers differ from Meta's.)",
        ),
        Misconception(
            overwrites_x,
            "You wrote the result into x. Whoever called you may still need the unturned one; and "
            "a gradient that passes through an overwritten tensor is wrong or refused.",
        ),
        Misconception(
            cuts_the_gradient,
            "You cut x off from autograd. wq and wk learn through this turn: without a gradient "
            "they would stay random for ever.",
        ),
    ),
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


# -- the two layouts ------------------------------------------------------------------------


def permute_to_half(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)  # (H, D/2, 2, in)
    return pairs.transpose(1, 2).reshape(rows, columns)


def _permute_reference(weight, n_heads):
    """Row by row: which of Meta's rows goes to each of Hugging Face's seats."""
    head_dim = weight.shape[0] // n_heads
    order = []
    for head in range(n_heads):
        for seat in range(head_dim):
            i, second = seat % (head_dim // 2), seat >= head_dim // 2
            order.append(head * head_dim + 2 * i + int(second))
    return torch.nn.functional.embedding(torch.tensor(order), weight)


def _permute_probes():
    """A wq and a wk of the same model (6 heads and 2 KV heads), a square one, 16 bits, one head;
    head_dim = 6 and 10, where a permutation and its inverse differ; more columns than rows."""
    g = _seeded(32)
    return [
        (torch.randn(36, 36, generator=g), 6),
        (torch.randn(12, 36, generator=g), 2),
        (torch.randn(30, 12, generator=g), 3),
        (torch.randn(32, 24, generator=g).bfloat16(), 4),
        (torch.randn(8, 20, generator=g).double(), 1),
    ]


def the_way_back(weight, n_heads):
    rows, columns = weight.shape
    halves = weight.reshape(n_heads, 2, rows // n_heads // 2, columns)
    return halves.transpose(1, 2).reshape(rows, columns)


def moves_the_columns(weight, n_heads):
    return _to_half(weight.T, n_heads).T


def forgets_the_heads(weight, n_heads):
    return torch.cat((weight[0::2], weight[1::2]))


def heads_fastest(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(rows // n_heads // 2, 2, n_heads, columns)
    return pairs.transpose(0, 1).reshape(rows, columns)


def takes_heads_for_their_size(weight, n_heads):
    return _to_half(weight, weight.shape[0] // n_heads)


def takes_it_for_square(weight, n_heads):
    dim = weight.shape[1]
    return weight.view(n_heads, dim // n_heads // 2, 2, dim).transpose(1, 2).reshape(dim, dim)


def odd_rows_first(weight, n_heads):
    return _to_half(weight.reshape(-1, 2, weight.shape[1]).flip(1).flatten(0, 1), n_heads)


def exchanges_neighbours(weight, n_heads):
    return weight.reshape(-1, 2, weight.shape[1]).flip(1).flatten(0, 1)


def leaves_it_alone(weight, n_heads):
    return weight.clone()


def forgets_to_flatten(weight, n_heads):
    rows, columns = weight.shape
    return weight.reshape(n_heads, rows // n_heads // 2, 2, columns).transpose(1, 2)


def pairs_across_heads(weight, n_heads):
    rows, columns = weight.shape
    pairs = weight.reshape(n_heads, rows // n_heads // 2, 2, columns)
    return pairs.transpose(0, 1).reshape(rows, columns)


def twice_is_too_much(weight, n_heads):
    return _to_half(_to_half(weight, n_heads), n_heads)


def loses_the_dtype(weight, n_heads):
    return _to_half(weight.float(), n_heads)


def shuffles_in_place(weight, n_heads):
    weight.copy_(_to_half(weight, n_heads).clone())
    return weight


def _to_half(weight, n_heads):
    """The right permutation, for misconceptions that spoil it."""
    rows = weight.reshape(n_heads, -1, weight.shape[1])
    return torch.cat((rows[:, 0::2], rows[:, 1::2]), dim=1).reshape(weight.shape)


PERMUTE_ROPE = Exercise(
    name="permute_rope",
    title="From one layout to the other",
    points=3,
    minutes=15,
    answer=permute_to_half,
    reference=_permute_reference,
    probes=_permute_probes,
    misconceptions=(
        Misconception(
            the_way_back,
            "That is the way back, from Hugging Face's order to Meta's. For a head of 4 the two "
            "are the same, so a small test cannot tell them apart; for 6 and more it can.",
        ),
        Misconception(
            moves_the_columns,
            "You reordered the columns, which are the numbers that come in. Seats in a head are "
            "numbers that come out: the rows.",
        ),
        Misconception(
            forgets_the_heads,
            "You sorted even and odd rows over the whole matrix. Each head turns its own pairs, so "
            "its rows must stay together: sort within a head.",
        ),
        Misconception(
            heads_fastest,
            "You read the rows as if neighbouring rows belonged to different heads. A head's rows "
            "stand together: the heads are the outermost axis.",
        ),
        Misconception(
            takes_heads_for_their_size,
            "You took the number of heads for the size of one, or the other way round. The shapes "
            "fit all the same, and where both are equal so do the numbers.",
        ),
        Misconception(
            takes_it_for_square,
            "You took the matrix for square, with as many rows as columns. wk is not, where there "
            "are fewer KV heads than heads: take the number of rows from the weight itself. (This "
            "is how llama.cpp's converter failed on Llama 2 70B in its first days.)",
        ),
        Misconception(
            odd_rows_first,
            "You put the second number of each pair into the first half. The turn then runs the "
            "other way round.",
        ),
        Misconception(
            exchanges_neighbours,
            "You exchanged the two numbers of each pair and left the pairs where they were.",
        ),
        Misconception(
            leaves_it_alone,
            "Every row is still where it was. (Two reshapes, there and back, move nothing: it is "
            "the transpose between them that does.) At place 0 nobody will notice; users of "
            "llama2.c saw gibberish after some twenty tokens.",
        ),
        Misconception(
            forgets_to_flatten,
            "The order is right, but the result still has four axes. A weight is (H*D, in).",
        ),
        Misconception(
            pairs_across_heads,
            "You exchanged the axis of the heads with the axis of the pairs. Only the axis of the "
            "pairs and the axis within a pair change places.",
        ),
        Misconception(
            twice_is_too_much,
            "You permuted twice. Only for a head of 4 does the second time undo the first.",
        ),
        Misconception(
            loses_the_dtype,
            "You converted the weight to float32. Moving rows needs no arithmetic: let every "
            "number be what it was.",
        ),
        Misconception(
            shuffles_in_place,
            "You overwrote the weight that you were given. An exporter that does so breaks the "
            "model it exports.",
        ),
    ),
    hints=(
        "Take one head of six: rows 0 1 2 3 4 5, of which (0, 1), (2, 3) and (4, 5) are pairs. In "
        "the other layout seat 0 is paired with seat 3. Write down the new order of the rows.",
        "Number the rows by three coordinates: which head, which pair, which of the two. Then "
        "exchange the last two of the three. That is a reshape, a transpose, a reshape.",
        "Four axes on the way: (n_heads, D/2, 2, in), then (n_heads, 2, D/2, in). D comes from "
        "the number of rows, so that wk works as wq does.",
    ),
)


# -- longer contexts ------------------------------------------------------------------------


def stretched_table(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len).float()
    if method == "interpolate":
        positions = positions / factor
    else:  # "theta"
        theta = theta * factor ** (head_dim / (head_dim - 2))
    pair = torch.arange(head_dim // 2)
    angles = torch.outer(positions, theta ** (-2.0 * pair / head_dim))  # (max_seq_len, D/2)
    return angles.cos(), angles.sin()


def _stretched_reference(head_dim, max_seq_len, theta, factor, method):
    """In float64, through the speeds: all divided by the factor, or more so the slower they are."""
    pair = torch.arange(head_dim // 2, dtype=torch.float64)
    speeds = torch.exp(-2 * pair / head_dim * math.log(theta))
    if method == "interpolate":
        speeds = speeds / factor
    else:  # pair 0 not at all, the last one by the factor, evenly in the exponent between
        speeds = speeds / torch.exp(pair / (head_dim / 2 - 1) * math.log(factor))
    angles = torch.arange(max_seq_len).double()[:, None] * speeds
    turns = torch.polar(torch.ones_like(angles), angles)
    return turns.real.float(), turns.imag.float()


def _stretched_probes():
    """Both methods, factors that are no whole numbers, sizes that all differ."""
    return [
        (8, 21, 10000.0, 2.0, "interpolate"),
        (8, 21, 10000.0, 2.0, "theta"),
        (12, 33, 500.0, 3.5, "interpolate"),
        (12, 33, 500.0, 3.5, "theta"),
        (6, 9, 10000.0, 8.0, "theta"),
    ]


def _stretched(head_dim, positions, theta):
    angles = torch.outer(positions, theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim))
    return angles.cos(), angles.sin()


def _theta_times(power):
    """A wrong power of the factor, as a function of head_dim: for the misconceptions below."""

    def table(head_dim, max_seq_len, theta, factor, method):
        positions = torch.arange(max_seq_len).float()
        if method == "interpolate":
            return _stretched(head_dim, positions / factor, theta)
        return _stretched(head_dim, positions, theta * factor ** power(head_dim))

    return table


def theta_times_the_factor(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: 1)(head_dim, max_seq_len, theta, factor, method)


def power_upside_down(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: (d - 2) / d)(head_dim, max_seq_len, theta, factor, method)


def counts_pairs_for_numbers(head_dim, max_seq_len, theta, factor, method):
    power = _theta_times(lambda d: (d / 2) / (d / 2 - 2))
    return power(head_dim, max_seq_len, theta, factor, method)


def off_by_one_number(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: d / (d - 1))(head_dim, max_seq_len, theta, factor, method)


def shrinks_theta(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: -d / (d - 2))(head_dim, max_seq_len, theta, factor, method)


def power_of_half_the_head(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: d / 2)(head_dim, max_seq_len, theta, factor, method)


def spreads_the_positions(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(max_seq_len) * factor, theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def whole_positions_only(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, (torch.arange(max_seq_len) // factor).float(), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def ends_one_step_late(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        positions = torch.linspace(0, max_seq_len / factor, max_seq_len)
        return _stretched(head_dim, positions, theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def shortens_the_table(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(0, max_seq_len / factor, 1 / factor)[:-1], theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def exchanges_the_methods(head_dim, max_seq_len, theta, factor, method):
    other = {"interpolate": "theta", "theta": "interpolate"}[method]
    return _stretched_well(head_dim, max_seq_len, theta, factor, other)


def always_interpolates(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, factor, "interpolate")


def does_both(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len) / factor
    if method == "theta":
        theta = theta * factor ** (head_dim / (head_dim - 2))
    return _stretched(head_dim, positions, theta)


def stretches_nothing(head_dim, max_seq_len, theta, factor, method):
    return _stretched(head_dim, torch.arange(max_seq_len).float(), theta)


def divides_the_angle_of_far_places(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        positions = torch.arange(max_seq_len).float()
        near = max_seq_len / factor
        return _stretched(head_dim, positions.where(positions < near, positions / factor), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def sine_first(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)[::-1]


def scales_the_cosine(head_dim, max_seq_len, theta, factor, method):
    cos, sin = _stretched(head_dim, torch.arange(max_seq_len).float(), theta)
    if method == "interpolate":
        return cos / factor, sin / factor
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def _stretched_well(head_dim, max_seq_len, theta, factor, method):
    """The right table, for misconceptions about the other method."""
    return _theta_times(lambda d: d / (d - 2))(head_dim, max_seq_len, theta, factor, method)


ROPE_STRETCH = Exercise(
    name="rope_stretch",
    title="A longer text than in training",
    points=4,
    minutes=25,
    answer=stretched_table,
    reference=_stretched_reference,
    probes=_stretched_probes,
    atol=1e-5,
    misconceptions=(
        Misconception(
            theta_times_the_factor,
            "You multiplied theta by the factor itself. theta enters the slowest pair with the "
            "power (D-2)/D, which is less than 1: that pair comes out a little too fast and, at "
            "the far end, meets angles it has never seen.",
        ),
        Misconception(
            power_upside_down,
            "Your power is upside down. From theta' ^ ((D-2)/D) = factor * theta ^ ((D-2)/D) the "
            "factor gets the inverse power when you solve for theta'.",
        ),
        Misconception(
            counts_pairs_for_numbers,
            "You counted pairs where the formula counts numbers. The last pair is i = D/2 - 1, so "
            "its exponent 2i/D is (D-2)/D, with D the size of the head.",
        ),
        Misconception(
            off_by_one_number,
            "You took (D-1)/D for the last exponent. Exponents go up in steps of two numbers: the "
            "last one is 2(D/2 - 1)/D = (D-2)/D.",
        ),
        Misconception(
            shrinks_theta,
            "You made theta smaller. A smaller theta makes the slow hands faster, and you need "
            "them slower.",
        ),
        Misconception(
            power_of_half_the_head,
            "Your power grows with the head: theta becomes astronomically large, and all hands but "
            "the first stand still.",
        ),
        Misconception(
            spreads_the_positions,
            "You multiplied the positions. The new, longer range has to be squeezed into the old "
            "one: divide.",
        ),
        Misconception(
            whole_positions_only,
            "You divided whole numbers, so neighbours share a place and their order is lost. A "
            "hand can point between two marks: positions may be fractions.",
        ),
        Misconception(
            ends_one_step_late,
            "You spread the places evenly up to max_seq_len / factor, end included. The last place "
            "is (max_seq_len - 1) / factor; with yours the steps depend on the length of the "
            "table, and cached keys no longer fit a longer one.",
        ),
        Misconception(
            shortens_the_table,
            "Your table is a row short. It still has one row for each of the max_seq_len places; "
            "they only lie closer together.",
        ),
        Misconception(
            exchanges_the_methods,
            "You exchanged the two methods.",
        ),
        Misconception(
            always_interpolates,
            "You interpolated in both cases. A larger theta leaves the fast pairs alone and slows "
            "only the slow ones.",
        ),
        Misconception(
            does_both,
            "With a larger theta you divided the positions as well: the slow pairs are then "
            "slowed twice.",
        ),
        Misconception(
            stretches_nothing,
            "Your table is the plain one. It has enough rows; but in the late ones the slow hands "
            "point where no training has ever seen them.",
        ),
        Misconception(
            divides_the_angle_of_far_places,
            "You divided only the places beyond the old length. They then lie on top of earlier "
            "ones, and a late word seems to stand among the first. All places move together.",
        ),
        Misconception(
            sine_first,
            "You returned the sine first. The order is (cos, sin).",
        ),
        Misconception(
            scales_the_cosine,
            "You divided the cosines and sines. That makes every vector shorter and turns nothing "
            "more slowly: it is the angle that is divided.",
        ),
    ),
    hints=(
        "Interpolation changes the positions and nothing else. The other method changes theta and "
        "nothing else. Write the plain table first, with the two marked.",
        "Look at the slowest pair, i = D/2 - 1: its speed is theta to the power of -(D-2)/D. What "
        "must theta become for this speed to be divided by the factor?",
        "theta' to the power (D-2)/D is factor times theta to the power (D-2)/D. Raise both sides "
        "to the power D/(D-2): on the right theta comes out free, and the factor gets that power.",
    ),
)

EXERCISES = (ROPE_ANGLES, ROPE, PERMUTE_ROPE, ROPE_STRETCH)

QUIZ = (
    Question(
        "rope_moved_text",
        "You put 100 tokens of other text before a sentence. What happens to the scores between "
        "the words of the sentence, in one layer, if their vectors are the same as before?",
        (
            Option(
                "They shrink: the words stand further from the beginning",
                "In RoPE nothing is measured from the beginning. Both the query and the key have "
                "moved by 100, and turned by the same further angle.",
            ),
            Option(
                "Nothing",
                "A score depends on the distance alone, and the distances inside the sentence are "
                "what they were.",
                right=True,
            ),
            Option(
                "They change wherever a hand has gone past a full turn",
                "A full turn of both hands changes nothing either: what counts is the angle "
                "between the two.",
            ),
        ),
    ),
    Question(
        "rope_why_not_v",
        "RoPE turns queries and keys. Why not the values too?",
        (
            Option(
                "It would cost too much",
                "It would cost what it costs for the keys, which is little. The reason is another.",
            ),
            Option(
                "Values are compared with nothing: turning them would only hand on their content "
                "turned by the place it stood at",
                "The distance appears where two turned vectors meet in a dot product. Values are "
                "added up as they are, and a word should hand on the same content wherever it "
                "stands.",
                right=True,
            ),
            Option(
                "Values are turned, by the output matrix wo",
                "wo is one fixed matrix for all places; it cannot turn by an angle that grows with "
                "the place.",
            ),
        ),
    ),
    Question(
        "rope_which_test",
        "Your RoPE keeps lengths, does nothing at place 0, and its scores depend on distances "
        "alone. What do you know about its layout?",
        (
            Option(
                "It must be Meta's: the three laws pin it down",
                "The half-split layout obeys all three. So does any pairing whatever.",
            ),
            Option(
                "Nothing: every pairing obeys the three",
                "Laws are cheap and catch much, but not this. Only numbers from a program that is "
                "known to fit the weights can tell, at late places.",
                right=True,
            ),
            Option(
                "Nothing, but the text would be gibberish from the first word if it were wrong",
                "At place 0 nothing is turned, and a few places on the slow pairs hardly are. The "
                "text starts well, and may even stay fluent.",
            ),
        ),
    ),
    Question(
        "rope_cached_keys",
        "The model has 500 keys in its cache and reads token 501. Which keys must be turned?",
        (
            Option(
                "All 501: their distance to the new query is another one now",
                "It is, and the new query's own angle brings it in. A key's angle says where the "
                "key stands, and it has not moved.",
            ),
            Option(
                "Only the new one, by the angle of place 500",
                "Counting from 0, token 501 stands at place 500. The others were turned when they "
                "came, and stay.",
                right=True,
            ),
            Option(
                "Only the new one, by the angle of place 0, since it comes alone",
                "That is the bug that no test finds whose positions always start at 0.",
            ),
        ),
    ),
    Question(
        "rope_larger_theta",
        "You make theta 100 times larger and train on. Which hands does that change least?",
        (
            Option(
                "The fast ones: the first turns by one radian a position whatever theta is",
                "Its exponent is 0. The higher the pair, the more it is slowed; near neighbours "
                "are told apart as before.",
                right=True,
            ),
            Option(
                "The slow ones: they hardly move anyway",
                "In angle a position they change by little, but as a share they change most: the "
                "last is nearly 100 times slower.",
            ),
            Option(
                "None: all are slowed by the same factor",
                "That is interpolation, where positions are divided. theta works through the "
                "exponent 2i/D, so each pair is slowed by its own factor.",
            ),
        ),
    ),
)
