"""Notebook 03, exercise 1: The angles."""

import math

import torch

from llamalab.course.engine import Exercise, WrongAnswers
from llamalab.course.lessons.nb03.common import _angles, rope_angles_of

wrong = WrongAnswers()


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
    a row of positions for each sentence, or for a single one; T = D/2, where an axis may be
    swapped unseen."""
    return [
        (torch.tensor([0, 1, 2, 3, 4]), 8, 10000.0),
        (torch.tensor([56]), 12, 10000.0),
        (torch.tensor([7, 3, 3, 4095, 257]), 10, 500000.0),
        (torch.tensor([[0, 0, 0, 1], [0, 1, 2, 3], [5, 6, 7, 8]]), 6, 10000.0),
        (torch.tensor([301, 302, 303]), 6, 100.0),
        (torch.tensor([[7, 8, 9, 10, 11]]), 8, 500.0),
        (torch.tensor([[2, 3, 4], [40, 41, 42]]), 6, 10000.0),
    ]


@wrong(
    "Your exponent is i/D. It should be 2i/D, so that D/2 pairs cover the whole range from 1 "
    "down to nearly 1/theta; yours stop at its square root, and far places look alike."
)
def one_i_for_two(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You doubled twice: `arange(0, D, 2)` already counts 0, 2, 4, so it is 2i. With 4i/D half "
    "of your hands stand practically still."
)
def two_i_twice(positions, head_dim, theta):
    even = torch.arange(0, head_dim, 2)
    return _angles(positions, head_dim, theta, -2 * even / head_dim)


@wrong(
    "You counted the pairs from 1. The first pair has exponent 0 and turns by one radian a "
    "position; without it nothing tells neighbours apart so sharply."
)
def pairs_from_one(positions, head_dim, theta):
    pair = torch.arange(1, head_dim // 2 + 1)
    return _angles(positions, head_dim, theta, -2 * pair / head_dim)


@wrong(
    "The minus sign is missing: your hands get faster with i, up to thousands of radians a "
    "position, where nothing can be read off any more."
)
def grows_with_i(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, 2 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You spread the exponents from 0 to 1 with both ends in. The last one is 2(D/2 - 1)/D, a "
    "little less than 1: the slowest hand turns faster than 1/theta."
)
def reaches_one_over_theta(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -torch.linspace(0, 1, head_dim // 2))


@wrong(
    "Your speeds go down in equal steps. They have to go down by equal factors, so that every "
    "scale of distance, from 1 to thousands, has hands of its own."
)
def even_steps(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2)
    return positions[..., None] * (1 - 2 * pair / head_dim)


@wrong(
    "You wrote 10,000 into the function and ignored theta. CodeLlama's 1,000,000 would load "
    "without a complaint and read every distance wrongly."
)
def fixes_theta(positions, head_dim, theta):
    return _angles(positions, head_dim, 10000.0, -2 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You made D angles, each speed twice, as Hugging Face's tables have it. Here one angle "
    "serves a pair: the last axis has D/2."
)
def a_speed_for_every_number(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2).repeat(2)
    return _angles(positions, head_dim, theta, -2 * pair / head_dim)


@wrong(
    "You counted 0, 1, 2, … yourself and ignored `positions`. With a cache the new token comes "
    "alone, at place 56 say, and you would put it back to the beginning."
)
def counts_positions_itself(positions, head_dim, theta):
    places = torch.arange(positions.shape[-1]).expand(positions.shape)
    return _angles(places, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You counted positions from 1. Distances are unharmed, so a model trained that way works; "
    "but the table no longer fits anybody else's, and place 0 should turn nothing."
)
def positions_from_one(positions, head_dim, theta):
    return _angles(positions + 1, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You divided by the length of the text. Then every word turns anew when one is added at the"
    " end, and no cached key fits any more."
)
def share_of_the_length(positions, head_dim, theta):
    places = positions / positions.shape[-1]
    return _angles(places, head_dim, theta, -2 * torch.arange(head_dim // 2) / head_dim)


@wrong("You gave degrees. cos and sin take radians, and would read 57 degrees as nine turns.")
def in_degrees(positions, head_dim, theta):
    return torch.rad2deg(rope_angles_of(positions, head_dim, theta))


@wrong(
    "You took the angles for degrees and converted them. They are radians already; yours are 57"
    " times too small, and all places look nearly alike."
)
def from_degrees(positions, head_dim, theta):
    return torch.deg2rad(rope_angles_of(positions, head_dim, theta))


@wrong(
    "You multiplied by 2 pi, as if the frequency counted turns. It counts radians: the fastest "
    "hand would come back to its start at every single position."
)
def whole_turns(positions, head_dim, theta):
    return 2 * math.pi * rope_angles_of(positions, head_dim, theta)


@wrong(
    "You put the positions through bfloat16, which counts by ones only up to 256: from there "
    "on, neighbours share a position. Positions and angles stay in float32."
)
def positions_in_16_bits(positions, head_dim, theta):
    return rope_angles_of(positions.bfloat16().float(), head_dim, theta)


@wrong("Your angles lie on their side, (D/2, T). One row a position: (T, D/2).")
def angles_on_their_side(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).mT


@wrong(
    "You took the cosine already. What is asked for is the angle; sine and cosine are both made"
    " of it."
)
def cosines_already(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).cos()


@wrong(
    "You took whole turns away. Nothing would change for cos and sin, but what is asked for is "
    "how far the hand has gone, and a remainder cannot tell you that."
)
def back_to_one_turn(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta) % (2 * math.pi)


@wrong(
    "You flattened the positions. In a batch each sentence may have positions of its own, (B, "
    "T), and its angles are (B, T, D/2)."
)
def only_one_row_of_positions(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return torch.outer(positions.flatten(), frequencies)


@wrong(
    "`torch.outer` takes two rows of numbers and refuses a batch of positions, (B, T). Give "
    "`positions` one more axis at the end and multiply: that serves (T,) and (B, T) alike."
)
def outer_knows_no_batch(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return torch.outer(positions.float(), frequencies)


@wrong(
    "`[:, None]` puts the new axis second. For positions (B, T) that is before T, and places meet "
    "speeds crosswise. The new axis belongs at the end: `[..., None]`."
)
def new_axis_second(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return positions[:, None] * frequencies


@wrong(
    "Your angles lie on their side, (D/2, T): in `outer` the first argument goes down. And a batch "
    "of positions, (B, T), it does not take at all."
)
def outer_on_its_side(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return torch.outer(frequencies, positions.float())


@wrong("Your speeds go down and your positions across. One row a position: (T, D/2).")
def speeds_go_down(positions, head_dim, theta):
    frequencies = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return frequencies[:, None] * positions[None, :]


@wrong(
    "The values are right, but in float64: something you counted with (`dtype=torch.float64`, a "
    "numpy array) was wider than float32 and made all of it wide."
)
def angles_in_64_bits(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2, dtype=torch.float64)
    return positions[..., None] * theta ** (-2 * pair / head_dim)


@wrong(
    "`//` throws the fraction away, so every exponent is 0 and all your pairs turn by one radian a "
    "position. The exponents lie between 0 and 1: divide with `/`."
)
def exponents_are_whole_numbers(positions, head_dim, theta):
    exponent = -(torch.arange(0, head_dim, 2) // head_dim).float()
    return _angles(positions, head_dim, theta, exponent)


@wrong(
    "You returned cosines and sines, as the table has them. One step less is asked for: the angles."
)
def the_table_already(positions, head_dim, theta):
    angles = rope_angles_of(positions, head_dim, theta)
    return angles.cos(), angles.sin()


@wrong(
    "You multiplied theta by the exponent. theta is raised to it: only powers make the speeds fall "
    "by equal factors."
)
def times_theta(positions, head_dim, theta):
    return positions[..., None] * (theta * (-2.0 * torch.arange(head_dim // 2) / head_dim))


@wrong(
    "You gave every number a speed of its own, D of them. Two numbers make a pair and turn "
    "together: there are D/2 speeds, and the exponents go up in steps of 2/D."
)
def a_speed_of_its_own(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -torch.arange(head_dim) / head_dim)


@wrong(
    "You let i run to D. There are D/2 pairs, so i ends at D/2 - 1; your second half turns slower "
    "than 1/theta, which is to say not at all."
)
def twice_too_many_pairs(positions, head_dim, theta):
    return _angles(positions, head_dim, theta, -2 * torch.arange(head_dim) / head_dim)


@wrong("You divided the exponent by D - 1. It is 2i/D: the last one need not reach 1.")
def divides_by_one_less(positions, head_dim, theta):
    pair = torch.arange(head_dim // 2)
    return _angles(positions, head_dim, theta, -2 * pair / (head_dim - 1))


@wrong(
    "You made D angles, each speed for two neighbours. It is right as a picture; but here one "
    "angle serves a pair, and the last axis has D/2."
)
def a_speed_for_both_neighbours(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).repeat_interleave(2, dim=-1)


@wrong("These are the frequencies alone. The angle is the frequency times the position.")
def frequencies_alone(positions, head_dim, theta):
    return theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "You squeezed. Where there is one position, or one row of them, an axis is lost that whoever "
    "called you still counts on: a new token comes alone, T = 1."
)
def squeezed_angles(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).squeeze()


@wrong(
    "You rounded the speeds to 16 bits. A speed that is off by a third of a percent is off by 13 "
    "positions at place 4,000. Everything here stays in float32."
)
def speeds_in_16_bits(positions, head_dim, theta):
    speeds = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    return positions[..., None] * speeds.bfloat16().float()


@wrong("Your pairs stand in reverse order: the fastest, i = 0, comes first.")
def slowest_pair_first(positions, head_dim, theta):
    return rope_angles_of(positions, head_dim, theta).flip(-1)


@wrong(
    "Your angles are negative: every vector would turn the other way. The minus belongs into the "
    "exponent."
)
def minus_in_front(positions, head_dim, theta):
    return -rope_angles_of(positions, head_dim, theta)


@wrong(
    "Parentheses: `**` binds more tightly than `*` and `/`, so you raised theta to -2 and "
    "multiplied by i/D afterwards. The whole exponent, -2i/D, needs a pair of them."
)
def power_before_product(positions, head_dim, theta):
    return positions[..., None] * (theta**-2 * torch.arange(head_dim // 2) / head_dim)


@wrong(
    "Parentheses: `**` binds more tightly than `/`, so you raised theta to 2i and divided by D "
    "afterwards. The whole exponent, 2i/D, needs a pair of them."
)
def power_before_quotient(positions, head_dim, theta):
    return positions[..., None] * (1.0 / theta ** torch.arange(0, head_dim, 2) / head_dim)


@wrong(
    "You made a table of all places up to the largest and returned the whole of it. One row for "
    "each position that you were given, in their order."
)
def every_place_up_to_the_last(positions, head_dim, theta):
    return rope_angles_of(torch.arange(int(positions.max()) + 1), head_dim, theta)


@wrong(
    "You measured from the first position that you were given. With a cache the new token comes "
    "alone at place 56, and yours would say 0."
)
def counts_from_the_first_given(positions, head_dim, theta):
    return rope_angles_of(positions - positions[..., :1], head_dim, theta)


@wrong("You added the speed to the position. An angle is speed times position.")
def adds_position_and_speed(positions, head_dim, theta):
    return positions[..., None] + theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)


EXERCISE = Exercise(
    name="rope_angles",
    title="The angles",
    points=1,
    minutes=8,
    answer=rope_angles,
    reference=_angles_reference,
    probes=_angles_probes,
    misconceptions=wrong.all,
    hints=(
        "Two things are multiplied: where the token stands, and how fast a pair turns. The first "
        "has one number a position, the second one number a pair.",
        "Speeds: count the pairs 0, 1, 2, … up to D/2 - 1 and put them into the exponent. Then "
        "give `positions` one more axis at the end, so that each meets every speed.",
        "theta is raised to a whole tensor of exponents, -2i/D, in float32. `positions[..., None]` "
        "works for (T,) and (B, T) alike.",
    ),
)
