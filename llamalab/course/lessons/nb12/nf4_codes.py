"""Notebook 12, exercise 3: The nearest level."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.quantization import nf4_levels

wrong = WrongAnswers()


def nf4_codes(x, levels):
    absmax = x.abs().amax(dim=-1)  # (n,)
    scale = torch.where(absmax > 0, absmax, 1.0)
    unit = x / scale[:, None]  # (n, W): from -1 to 1
    middles = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit, middles).to(torch.uint8)


def _reference(x, levels):
    """Every distance to every level, in float64; of two that are equal, the first is the lower."""
    absmax = x.abs().amax(-1)
    unit = x.double() / absmax.double().clamp(min=1e-300)[:, None]
    codes = (unit[..., None] - levels.double()).abs().argmin(-1)
    return absmax, codes.to(torch.uint8)


def _probes():
    """NF4's levels; other levels, uneven ones, with numbers exactly halfway; a block of zeros, with
    NF4's levels and with others; blocks of different sizes and widths; numbers on one side."""
    g = seeded(123)
    sizes = torch.randn(4, 64, generator=g) * torch.tensor([0.02, 1.0, 30.0, 4.0])[:, None]
    sizes[1, 5] = -9.0
    few = torch.tensor([-1.0, -0.5, 0.0, 0.25, 1.0])
    halfway = torch.tensor([[4.0, 2.5, 0.5, -1.0, -3.0, 1.0], [0.0, -8.0, -6.0, 5.0, 1.0, -2.0]])
    zeros = torch.cat((torch.zeros(1, 32), torch.randn(1, 32, generator=g)))
    one_side = torch.rand(3, 16, generator=g) + 0.5
    return [
        (sizes, nf4_levels()),
        (halfway, few),
        (zeros, nf4_levels()),
        (one_side, nf4_levels()),
        (torch.randn(3, 20, generator=g), few),
        (torch.cat((torch.zeros(1, 20), torch.randn(1, 20, generator=g))), few),
    ]


def _unit(x):
    absmax = x.abs().amax(-1)
    return absmax, x / torch.where(absmax > 0, absmax, 1.0)[:, None]


def _nearest(unit, levels, **how):
    middles = (levels[1:] + levels[:-1]) / 2
    return torch.bucketize(unit, middles, **how).to(torch.uint8)


@wrong(
    "You took the level below. The borders lie in the MIDDLE between two levels; yours lie on the "
    "levels, so a number just short of one goes to its far neighbour."
)
def the_level_below(x, levels):
    absmax, unit = _unit(x)
    codes = torch.bucketize(unit, levels, right=True) - 1
    return absmax, codes.clamp(0, len(levels) - 1).to(torch.uint8)


@wrong(
    "You searched among the levels themselves, which finds the next one ABOVE. Search among the "
    "middles between neighbours."
)
def the_level_above(x, levels):
    absmax, unit = _unit(x)
    return absmax, torch.bucketize(unit, levels).clamp(max=len(levels) - 1).to(torch.uint8)


@wrong(
    "You spread the codes evenly from -1 to 1. NF4's levels are dense near zero, where most "
    "numbers are: that is all that it is about."
)
def even_steps(x, levels):
    absmax, unit = _unit(x)
    return absmax, ((unit + 1) / 2 * (len(levels) - 1)).round().to(torch.uint8)


@wrong(
    "You compared x with the levels as it is. They lie between -1 and 1: divide by the block's "
    "largest magnitude first."
)
def without_a_scale(x, levels):
    return x.abs().amax(-1), _nearest(x, levels)


@wrong(
    "You divided by the largest number, not the largest magnitude. A block whose extreme is "
    "negative then reaches far below -1."
)
def largest_not_magnitude(x, levels):
    top = x.amax(-1)
    return top, _nearest(x / torch.where(top != 0, top, 1.0)[:, None], levels)


@wrong(
    "You divided by the standard deviation. That suits the theory and not the levels: they end at "
    "1, and a normal number goes on to 3 or 4 deviations."
)
def by_the_deviation(x, levels):
    spread = x.square().mean(-1).sqrt()
    return spread, _nearest(x / torch.where(spread > 0, spread, 1.0)[:, None], levels)


@wrong(
    "One largest magnitude for all blocks. Each has its own, or small blocks use the three codes "
    "around zero and nothing else."
)
def one_scale_for_all(x, levels):
    top = x.abs().max()
    return top.expand(len(x)), _nearest(x / top, levels)


@wrong(
    "You handed out the levels, and not their numbers. 4 bits are enough for a number from 0 to "
    "15; a level is a float again."
)
def levels_not_codes(x, levels):
    absmax, unit = _unit(x)
    return absmax, levels[_nearest(unit, levels).long()]


@wrong(
    "Exactly halfway you went to the upper level. bitsandbytes compares with `>`, so that halfway "
    "stays with the lower one."
)
def halfway_goes_up(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels, right=True)


@wrong("The codes are right, in 64 bits each. Small codes belong in a small type: uint8.")
def codes_in_64_bits(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels).long()


@wrong("You handed out 1/absmax. Whoever reads the block multiplies the level by what they find.")
def hands_out_the_reciprocal(x, levels):
    absmax, unit = _unit(x)
    return torch.where(absmax > 0, 1 / absmax, 0.0), _nearest(unit, levels)


@wrong(
    "You stretched each block from its smallest number to its largest. The levels have an exact 0 "
    "in their midst, and yours is no longer there."
)
def from_smallest_to_largest(x, levels):
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    unit = (x - low) / torch.where(high > low, high - low, 1.0) * 2 - 1
    return x.abs().amax(-1), _nearest(unit, levels)


@wrong(
    "A block of zeros was divided by zero. nan compares as larger than everything, so these zeros "
    "became the LAST level, 1.0."
)
def zeros_over_zero(x, levels):
    absmax = x.abs().amax(-1)
    return absmax, _nearest(x / absmax[:, None], levels)


@wrong(
    "You put the borders at the first gap's half behind each level. The gaps differ: every border "
    "is the middle of its own two neighbours."
)
def one_gap_for_all(x, levels):
    absmax, unit = _unit(x)
    borders = levels[:-1] + (levels[1] - levels[0]) / 2
    return absmax, torch.bucketize(unit, borders).to(torch.uint8)


@wrong(
    "You gave out the codes by rank, as many numbers to each. The levels are placed so that this "
    "comes out ROUGHLY for normal numbers; which level is nearest is still for each number to say."
)
def by_rank(x, levels):
    rank = x.argsort(-1, stable=True).argsort(-1, stable=True)
    return x.abs().amax(-1), (rank * len(levels) // x.shape[-1]).to(torch.uint8)


@wrong("You scaled the numbers that you were given. They belong to the caller: make new ones.")
def scales_in_place(x, levels):
    absmax = x.abs().amax(-1)
    x.div_(torch.where(absmax > 0, absmax, 1.0)[:, None])
    return absmax, _nearest(x, levels)


@wrong(
    "A block of zeros gets code 7 with you. That is where NF4 has its 0; in another table the "
    "level 0 has another number. Look it up in the levels, as for every other number."
)
def zeros_get_code_7(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, 7)


@wrong(
    "A block of zeros gets code 0 with you, and code 0 is the lowest level, -1. Its numbers are "
    "nearest to the level 0, wherever that stands in the table."
)
def zeros_get_code_0(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, 0)


EXERCISE = Exercise(
    name="nf4_codes",
    title="The nearest level",
    points=3,
    minutes=10,
    answer=nf4_codes,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "Which numbers are nearer to level 3 than to level 4? Those below a certain border. Where "
        "does it lie?",
        "Bring each block between -1 and 1 by its own largest magnitude (a block of zeros stays as "
        "it is). Then find in which gap between borders a number falls.",
        "`torch.bucketize(values, borders)` counts the borders below each value. Its default "
        "leaves a value on a border to the lower side.",
    ),
)
