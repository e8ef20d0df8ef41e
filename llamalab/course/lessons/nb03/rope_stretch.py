"""Notebook 03, exercise 4: A longer text than in training."""

import math

import torch

from llamalab.course.engine import Exercise, WrongAnswers

wrong = WrongAnswers()


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


@wrong(
    "You multiplied theta by the factor itself. theta enters the slowest pair with the power "
    "(D-2)/D, which is less than 1: that pair comes out a little too fast and, at the far end, "
    "meets angles it has never seen."
)
def theta_times_the_factor(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: 1)(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "Your power is upside down. From theta' ^ ((D-2)/D) = factor * theta ^ ((D-2)/D) the factor"
    " gets the inverse power when you solve for theta'."
)
def power_upside_down(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: (d - 2) / d)(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You counted pairs where the formula counts numbers. The last pair is i = D/2 - 1, so its "
    "exponent 2i/D is (D-2)/D, with D the size of the head."
)
def counts_pairs_for_numbers(head_dim, max_seq_len, theta, factor, method):
    power = _theta_times(lambda d: (d / 2) / (d / 2 - 2))
    return power(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You took (D-1)/D for the last exponent. Exponents go up in steps of two numbers: the last "
    "one is 2(D/2 - 1)/D = (D-2)/D."
)
def off_by_one_number(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: d / (d - 1))(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You made theta smaller. A smaller theta makes the slow hands faster, and you need them slower."
)
def shrinks_theta(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: -d / (d - 2))(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "Your power grows with the head: theta becomes astronomically large, and all hands but the "
    "first stand still."
)
def power_of_half_the_head(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: d / 2)(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You multiplied the positions. The new, longer range has to be squeezed into the old one: "
    "divide."
)
def spreads_the_positions(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(max_seq_len) * factor, theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You divided whole numbers, so neighbours share a place and their order is lost. A hand can"
    " point between two marks: positions may be fractions."
)
def whole_positions_only(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, (torch.arange(max_seq_len) // factor).float(), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You spread the places evenly up to max_seq_len / factor, end included. The last place is "
    "(max_seq_len - 1) / factor; with yours the steps depend on the length of the table, and "
    "cached keys no longer fit a longer one."
)
def ends_one_step_late(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        positions = torch.linspace(0, max_seq_len / factor, max_seq_len)
        return _stretched(head_dim, positions, theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "Your table is a row short. It still has one row for each of the max_seq_len places; they "
    "only lie closer together."
)
def shortens_the_table(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(0, max_seq_len / factor, 1 / factor)[:-1], theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong("You exchanged the two methods.")
def exchanges_the_methods(head_dim, max_seq_len, theta, factor, method):
    other = {"interpolate": "theta", "theta": "interpolate"}[method]
    return _stretched_well(head_dim, max_seq_len, theta, factor, other)


@wrong(
    "You interpolated in both cases. A larger theta leaves the fast pairs alone and slows only "
    "the slow ones."
)
def always_interpolates(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, factor, "interpolate")


@wrong(
    "With a larger theta you divided the positions as well: the slow pairs are then slowed twice."
)
def does_both(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len) / factor
    if method == "theta":
        theta = theta * factor ** (head_dim / (head_dim - 2))
    return _stretched(head_dim, positions, theta)


@wrong(
    "Your table is the plain one. It has enough rows; but in the late ones the slow hands point"
    " where no training has ever seen them."
)
def stretches_nothing(head_dim, max_seq_len, theta, factor, method):
    return _stretched(head_dim, torch.arange(max_seq_len).float(), theta)


@wrong(
    "You divided only the places beyond the old length. They then lie on top of earlier ones, "
    "and a late word seems to stand among the first. All places move together."
)
def divides_the_angle_of_far_places(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        positions = torch.arange(max_seq_len).float()
        near = max_seq_len / factor
        return _stretched(head_dim, positions.where(positions < near, positions / factor), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong("You returned the sine first. The order is (cos, sin).")
def sine_first(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)[::-1]


@wrong(
    "You divided the cosines and sines. That makes every vector shorter and turns nothing more "
    "slowly: it is the angle that is divided."
)
def scales_the_cosine(head_dim, max_seq_len, theta, factor, method):
    cos, sin = _stretched(head_dim, torch.arange(max_seq_len).float(), theta)
    if method == "interpolate":
        return cos / factor, sin / factor
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def _factor_in_theta(new_theta):
    """The right table but for the new theta: for the misconceptions below."""

    def table(head_dim, max_seq_len, theta, factor, method):
        positions = torch.arange(max_seq_len).float()
        if method == "interpolate":
            return _stretched(head_dim, positions / factor, theta)
        return _stretched(head_dim, positions, new_theta(head_dim, theta, factor))

    return table


@wrong(
    "Parentheses: `head_dim / head_dim - 2` is 1 - 2. The power is D/(D-2), and the subtraction "
    "needs a pair of them."
)
def subtracts_too_late(head_dim, max_seq_len, theta, factor, method):
    table = _factor_in_theta(lambda d, theta, factor: theta * factor ** (d / d - 2))
    return table(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You raised theta to the power D/(D-2) as well. Only the factor gets it: taking the root of "
    "both sides gives theta itself back on the right."
)
def raises_the_product(head_dim, max_seq_len, theta, factor, method):
    table = _factor_in_theta(lambda d, theta, factor: (theta * factor) ** (d / (d - 2)))
    return table(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You raised theta and left the factor alone. It is the other way round: on the right theta "
    "comes out free, and the factor gets the power D/(D-2)."
)
def raises_theta(head_dim, max_seq_len, theta, factor, method):
    table = _factor_in_theta(lambda d, theta, factor: factor * theta ** (d / (d - 2)))
    return table(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You raised theta to the power of the factor, and it becomes astronomically large. theta is "
    "multiplied, by a power of the factor."
)
def theta_to_the_factor(head_dim, max_seq_len, theta, factor, method):
    table = _factor_in_theta(lambda d, theta, factor: theta**factor)
    return table(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You multiplied theta by the square of the factor. That is right for D = 4 alone; the power is "
    "D/(D-2), which for large heads is nearly 1."
)
def theta_times_the_square(head_dim, max_seq_len, theta, factor, method):
    return _theta_times(lambda d: 2)(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You made the table longer. `max_seq_len` is the longer length already: so many rows, no more."
)
def makes_the_table_longer(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, int(max_seq_len * factor), theta, factor, method)


@wrong(
    "Your interpolated table has the old length. The point is a row for every place of the longer "
    "text: max_seq_len of them, lying closer together."
)
def as_many_rows_as_before(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(max_seq_len // factor), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong("You returned the angles. What is asked for is the table: their cosines and their sines.")
def angles_for_a_table(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len).float()
    if method == "interpolate":
        positions = positions / factor
    else:
        theta = theta * factor ** (head_dim / (head_dim - 2))
    return torch.outer(positions, theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim))


@wrong("The values are right, but in float64. A table is float32: go back at the end.")
def table_in_64_bits(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len).double()
    if method == "interpolate":
        positions = positions / factor
    else:
        theta = theta * factor ** (head_dim / (head_dim - 2))
    pair = torch.arange(head_dim // 2, dtype=torch.float64)
    angles = torch.outer(positions, theta ** (-2 * pair / head_dim))
    return angles.cos(), angles.sin()


@wrong(
    "You doubled the table, as Hugging Face's code wants it. Here one angle serves a pair: (max_"
    "seq_len, D/2)."
)
def doubles_the_table(head_dim, max_seq_len, theta, factor, method):
    cos, sin = _stretched_well(head_dim, max_seq_len, theta, factor, method)
    return torch.cat((cos, cos), dim=-1), torch.cat((sin, sin), dim=-1)


@wrong(
    "Your exponent is i/D. It should be 2i/D, as in exercise 1: D/2 pairs cover the whole range."
)
def stretches_one_i_for_two(head_dim, max_seq_len, theta, factor, method):
    positions = torch.arange(max_seq_len).float()
    if method == "interpolate":
        positions = positions / factor
    else:
        theta = theta * factor ** (head_dim / (head_dim - 2))
    angles = torch.outer(positions, theta ** (-torch.arange(head_dim // 2) / head_dim))
    return angles.cos(), angles.sin()


@wrong(
    "You spread the places from 0 to max_seq_len / factor - 1. The last place is (max_seq_len - 1) "
    "/ factor: one step is 1 / factor, and not a little less."
)
def ends_one_place_early(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        positions = torch.linspace(0, max_seq_len / factor - 1, max_seq_len)
        return _stretched(head_dim, positions, theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You slowed the last pair and left the others alone. A larger theta slows each pair, the more "
    "the slower it is already; change theta, and all speeds follow."
)
def slows_the_last_pair_only(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched_well(head_dim, max_seq_len, theta, factor, method)
    speeds = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    speeds[-1] /= factor
    angles = torch.outer(torch.arange(max_seq_len).float(), speeds)
    return angles.cos(), angles.sin()


@wrong(
    "You slowed the pairs by factors in equal steps, from 1 to the factor. theta works through the "
    "exponent: the factors are powers, in equal steps of the exponent."
)
def slows_in_equal_steps(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched_well(head_dim, max_seq_len, theta, factor, method)
    speeds = theta ** (-2.0 * torch.arange(head_dim // 2) / head_dim)
    speeds = speeds / torch.linspace(1, factor, head_dim // 2)
    angles = torch.outer(torch.arange(max_seq_len).float(), speeds)
    return angles.cos(), angles.sin()


@wrong("You made the factor a whole number. It may be 3.5.")
def whole_factor(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, int(factor), method)


@wrong(
    'With "interpolate" you divided theta. Interpolation changes the positions and nothing else.'
)
def divides_theta(head_dim, max_seq_len, theta, factor, method):
    if method == "interpolate":
        return _stretched(head_dim, torch.arange(max_seq_len).float(), theta / factor)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


@wrong(
    "You stacked cosines and sines into one tensor. A tuple of two is asked for, (cos, sin), as "
    "the course's own table gives them."
)
def one_tensor_for_two(head_dim, max_seq_len, theta, factor, method):
    return torch.stack(_stretched_well(head_dim, max_seq_len, theta, factor, method))


@wrong("You wrote 10,000 into the function and ignored the theta that you were given.")
def stretches_a_fixed_theta(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, 10000.0, factor, method)


@wrong(
    "Your table enlarges theta whatever the method. Compare the word with its spelling in the "
    'docstring: "interpolate".'
)
def always_enlarges_theta(head_dim, max_seq_len, theta, factor, method):
    return _stretched_well(head_dim, max_seq_len, theta, factor, "theta")


@wrong(
    'With "theta" your table is the plain one: no branch of yours takes that word. Compare it '
    "with its spelling in the docstring."
)
def theta_changes_nothing(head_dim, max_seq_len, theta, factor, method):
    if method == "theta":
        return _stretched(head_dim, torch.arange(max_seq_len).float(), theta)
    return _stretched_well(head_dim, max_seq_len, theta, factor, method)


def _stretched_well(head_dim, max_seq_len, theta, factor, method):
    """The right table, for misconceptions about the other method."""
    return _theta_times(lambda d: d / (d - 2))(head_dim, max_seq_len, theta, factor, method)


EXERCISE = Exercise(
    name="rope_stretch",
    title="A longer text than in training",
    points=4,
    minutes=25,
    answer=stretched_table,
    reference=_stretched_reference,
    probes=_stretched_probes,
    atol=1e-5,
    misconceptions=wrong.all,
    hints=(
        "Interpolation changes the positions and nothing else. The other method changes theta and "
        "nothing else. Write the plain table first, with the two marked.",
        "Look at the slowest pair, i = D/2 - 1: its speed is theta to the power of -(D-2)/D. What "
        "must theta become for this speed to be divided by the factor?",
        "theta' to the power (D-2)/D is factor times theta to the power (D-2)/D. Raise both sides "
        "to the power D/(D-2): on the right theta comes out free, and the factor gets that power.",
    ),
)
