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
    NF4's levels and with others; blocks of different sizes and widths, and of
    numbers near 1e-8 and below; numbers on one side."""
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
        (zeros, torch.tensor([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0])),
        (zeros, torch.tensor([-1.0, -0.75, -0.5, -0.25, 0.0, 1.0])),
        (torch.tensor([[1e-8, -3e-9, 5e-9, 4e-9]]), few),
        (torch.randn(12, 32, generator=g) * 1e-10, nf4_levels()),
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
    "stays with the lower one: of two equal distances the FIRST in the table."
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


ABSMAX_OF_ZEROS = (
    "Your guard ends up in the result: a block of zeros comes back with another absmax than 0. "
    "Guard what you divide by, and hand out the largest magnitude as it is."
)
GUARD = (
    "Your guard reaches further than to zeros: it changes what a block of SMALL numbers is divided "
    "by, and its extreme no longer comes to 1 or -1. Only where absmax IS 0 does it need a case."
)


@wrong(
    "A block of zeros gets code 7 with you. That is where NF4 has its 0; in another table the "
    "level 0 has another number. Look it up in the levels, as for every other number."
)
def zeros_get_code_7(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, 7)


@wrong(
    "A block of zeros gets code 0 with you, and code 0 is the lowest level, -1. Its numbers are "
    "nearest to the level 0, wherever that stands in the table. (0 / 0 is nan, and of distances "
    "that are nan `argmin` finds the first.)"
)
def zeros_get_code_0(x, levels):
    absmax, unit = _unit(x)
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, 0)


def _extreme(x):
    return x.gather(-1, x.abs().argmax(-1, keepdim=True))


ZERO_IN_THE_MIDDLE = (
    "For a block of zeros you took a place in the middle of the table. NF4's 0 happens to stand "
    "near there; in another table it stands elsewhere: look for it, as for every other number."
)
SIGNED = (
    "You divided by the extreme WITH its sign, as Q4_0 does: blocks whose extreme is negative come "
    "out mirrored. Here it is the magnitude."
)
NO_SIGN = (
    "You looked the magnitudes up. The levels go from -1 to 1, and a negative number has a "
    "negative level."
)
OFF_BY_ONE = (
    "Your codes are off by one. They are counted from 0: the lowest level is 0, the highest K - 1."
)
FARTHEST = (
    "It is the level with the smallest DISTANCE that is nearest: without its size, or with the "
    "largest one, you find an end of the table."
)
BY_THE_MEAN = (
    "You divided by another size of the block than its largest magnitude. The levels end at -1 and "
    "1, and the extreme has to land on one of these ends."
)
OTHER_TYPE = "The codes are right, in another type. Small codes belong in a small type: uint8."
ABSMAX_TYPE = "absmax is asked for in float32. In 16 bits a small one is rounded, or lost."
ABSMAX_AXIS = "One axis too many: absmax is (n,), one number for each block, and yours is (n, 1)."
FROM_THE_TOP = (
    "You numbered the levels from the top. They rise, and are counted as they stand: -1 is code 0."
)
NO_SCALE = (
    "You compared x with the levels as it is. They lie between -1 and 1: divide by the block's "
    "largest magnitude first."
)
PACKED = "You packed two codes into a byte. That comes later: here each has a uint8 of its own."
BORDERS = (
    "Your borders are not the middles. Between two levels the border is their mean: their sum, "
    "divided by 2."
)
ONE_FOR_ALL = (
    "The absmax that you hand out is each block's own, and the codes are made with the largest of "
    "all blocks: whoever reads them gets other numbers."
)


@wrong(GUARD)
def adds_1e_5(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / (absmax + 1e-5)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(GUARD)
def divides_by_at_least_1e_5(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / absmax.clamp(min=1e-5)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_of_at_least_1e_5(x, levels):
    absmax = x.abs().amax(-1).clamp(min=1e-5)
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_plus_1e_5(x, levels):
    absmax = x.abs().amax(-1) + 1e-5
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_of_at_least_1e_6(x, levels):
    absmax = x.abs().amax(-1).clamp(min=1e-6)
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_plus_1e_6(x, levels):
    absmax = x.abs().amax(-1) + 1e-6
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(GUARD)
def adds_1e_8(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / (absmax + 1e-8)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(GUARD)
def divides_by_at_least_1e_8(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / absmax.clamp(min=1e-8)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_of_at_least_1e_8(x, levels):
    absmax = x.abs().amax(-1).clamp(min=1e-8)
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_plus_1e_8(x, levels):
    absmax = x.abs().amax(-1) + 1e-8
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(GUARD)
def adds_1e_12(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / (absmax + 1e-12)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_of_at_least_1e_12(x, levels):
    absmax = x.abs().amax(-1).clamp(min=1e-12)
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_plus_1e_12(x, levels):
    absmax = x.abs().amax(-1) + 1e-12
    unit = x / absmax[:, None]
    return absmax, _nearest(unit, levels)


@wrong(ABSMAX_OF_ZEROS)
def absmax_of_zeros_1(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return torch.where(absmax > 0, absmax, 1.0), _nearest(unit, levels)


@wrong(ZERO_IN_THE_MIDDLE)
def zeros_get_the_middle_code(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, (len(levels) - 1) // 2)


@wrong(ZERO_IN_THE_MIDDLE)
def zeros_get_the_upper_middle_code(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, len(levels) // 2)


@wrong(ZERO_IN_THE_MIDDLE)
def zeros_get_code_8(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).masked_fill(absmax[:, None] == 0, 8)


@wrong(SIGNED)
def by_the_signed_extreme(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / torch.where(_extreme(x) != 0, _extreme(x), 1.0)
    return absmax, _nearest(unit, levels)


@wrong(SIGNED)
def by_the_signed_extreme_handed_out(x, levels):
    absmax = _extreme(x)[:, 0]
    unit = x / torch.where(_extreme(x) != 0, _extreme(x), 1.0)
    return absmax, _nearest(unit, levels)


@wrong(SIGNED)
def by_the_negative_extreme(x, levels):
    absmax = x.abs().amax(-1)
    unit = -x / torch.where(_extreme(x) != 0, _extreme(x), 1.0)
    return absmax, _nearest(unit, levels)


@wrong(NO_SIGN)
def codes_of_magnitudes(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1].abs()
    return absmax, _nearest(unit, levels)


MIRRORED = (
    "You looked the magnitude up, and mirrored what you found for the negative numbers. The table "
    "need not be symmetric, and NF4's is not: 7 levels below 0 and 8 above, at other distances. "
    "Look each number up with its sign."
)


def _mirrored(x, levels, half):
    """The level 0's number, plus or minus the steps that the magnitude takes in `half`."""
    absmax, unit = _unit(x)
    steps = torch.bucketize(unit.abs(), (half[1:] + half[:-1]) / 2)
    zero = int((levels < 0).sum())
    return absmax, torch.where(unit < 0, zero - steps, zero + steps)


@wrong(MIRRORED)
def mirrors_the_upper_half(x, levels):
    absmax, codes = _mirrored(x, levels, levels[levels >= 0])
    return absmax, codes.clamp(0, len(levels) - 1).to(torch.uint8)


@wrong(MIRRORED)
def mirrors_the_upper_half_and_goes_round(x, levels):
    absmax, codes = _mirrored(x, levels, levels[levels >= 0])
    return absmax, codes.to(torch.uint8)


@wrong(MIRRORED)
def mirrors_the_lower_half(x, levels):
    absmax, codes = _mirrored(x, levels, -levels[levels <= 0].flip(0))
    return absmax, codes.to(torch.uint8)


@wrong(MIRRORED)
def mirrors_the_codes(x, levels):
    absmax, unit = _unit(x)
    codes = _nearest(unit.abs(), levels)
    return absmax, torch.where(unit < 0, len(levels) - 1 - codes, codes)


@wrong(OFF_BY_ONE)
def codes_from_1(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels) + 1


@wrong(OFF_BY_ONE)
def codes_one_too_low(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, (_nearest(unit, levels).long() - 1).clamp(min=0).to(torch.uint8)


@wrong(FARTHEST)
def the_farthest_level(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, (unit[..., None] - levels).abs().argmax(-1).to(torch.uint8)


@wrong(FARTHEST)
def without_the_distances_size(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, (unit[..., None] - levels).argmin(-1).to(torch.uint8)


@wrong(FARTHEST)
def without_the_distances_size_below(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, (levels - unit[..., None]).argmin(-1).to(torch.uint8)


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude(x, levels):
    absmax = x.abs().mean(-1)
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude_alone(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / torch.where(absmax > 0, x.abs().mean(-1), 1.0)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(BY_THE_MEAN)
def by_half_of_the_range(x, levels):
    absmax = (x.amax(-1) - x.amin(-1)) / 2
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    return absmax, _nearest(unit, levels)


@wrong(OTHER_TYPE)
def codes_with_a_sign(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).to(torch.int8)


@wrong(OTHER_TYPE)
def codes_in_16_bits(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).to(torch.int16)


@wrong(OTHER_TYPE)
def codes_in_32_bits(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels).to(torch.int32)


@wrong(ABSMAX_TYPE)
def absmax_in_16_bits(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax.half(), _nearest(unit, levels)


@wrong(ABSMAX_AXIS)
def absmax_with_an_axis(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax[:, None], _nearest(unit, levels)


@wrong(FROM_THE_TOP)
def codes_from_the_top(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, (len(levels) - 1 - _nearest(unit, levels)).to(torch.uint8)


@wrong(PACKED)
def two_codes_a_byte(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, _nearest(unit, levels)[:, ::2] * 16 + _nearest(unit, levels)[:, 1::2]


@wrong(BORDERS)
def borders_on_the_levels(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, torch.bucketize(unit, levels[1:]).to(torch.uint8)


@wrong(ONE_FOR_ALL)
def one_scale_for_all_codes(x, levels):
    absmax = x.abs().amax(-1)
    unit = x / x.abs().max()
    return absmax, _nearest(unit, levels)


@wrong(BORDERS)
def the_root_of_the_middle(x, levels):
    absmax = x.abs().amax(-1)
    unit = _unit(x)[1]
    return absmax, torch.bucketize(unit, (levels[1:] + levels[:-1])).to(torch.uint8)


@wrong("The two are right and stand the wrong way round: first absmax, then the codes.")
def codes_come_first(x, levels):
    absmax, unit = _unit(x)
    return _nearest(unit, levels), absmax


@wrong(
    "You looked down the columns: a block is a ROW, and each has a largest magnitude of its own. "
    "`dim=-1` looks along the rows."
)
def scales_of_columns(x, levels):
    absmax = x.abs().amax(0)
    return absmax, _nearest(x / torch.where(absmax > 0, absmax, 1.0), levels)


@wrong("You kept the codes below 8. All K levels may be the nearest: codes go from 0 to K - 1.")
def codes_end_at_7(x, levels):
    absmax = x.abs().amax(1)
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    middle = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit, middle).clamp(max=7).to(torch.uint8)


@wrong(
    "You brought the numbers between 0 and 1. The levels lie between -1 and 1, and so does x / "
    "absmax."
)
def from_0_to_1(x, levels):
    absmax = x.abs().amax(1)
    unit = (x / torch.where(absmax > 0, absmax, 1.0)[:, None] + 1) / 2
    middle = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit, middle).to(torch.uint8)


@wrong("You looked up the numbers with the other sign. Each has a level near it as it is.")
def with_the_other_sign(x, levels):
    absmax = x.abs().amax(1)
    unit = -x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    middle = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit, middle).to(torch.uint8)


@wrong(
    "You squared the numbers before you looked them up. The levels are dense near zero by "
    "themselves: x / absmax, as it is."
)
def squares_the_numbers(x, levels):
    absmax = x.abs().amax(1)
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    middle = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit * unit.abs(), middle).to(torch.uint8)


@wrong(
    "The codes are right, and what you hand out is not what you divided by: level times absmax "
    "has to give the number back."
)
def hands_out_the_mean(x, levels):
    absmax = x.abs().amax(1)
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    middle = (levels[1:] + levels[:-1]) / 2
    return x.abs().mean(1), torch.bucketize(unit, middle).to(torch.uint8)


@wrong(
    "You divided by the standard deviation. That suits the theory and not the levels: they end at "
    "1, and a normal number goes on to 3 or 4 deviations."
)
def by_torchs_deviation(x, levels):
    absmax = x.std(1)
    unit = x / torch.where(absmax > 0, absmax, 1.0)[:, None]
    middle = (levels[1:] + levels[:-1]) / 2
    return absmax, torch.bucketize(unit, middle).to(torch.uint8)


EXERCISE = Exercise(
    name="nf4_codes",
    title="The nearest level",
    points=3,
    minutes=10,
    answer=nf4_codes,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    atol=0.0,  # the absmax of zeros is 0, and not a small number
    hints=(
        "Which numbers are nearer to level 3 than to level 4? Those below a certain border. Where "
        "does it lie?",
        "Bring each block between -1 and 1 by its own largest magnitude (a block of zeros stays as "
        "it is). Then find in which gap between borders a number falls.",
        "`torch.bucketize(values, borders)` counts the borders below each value. Its default "
        "leaves a value on a border to the lower side.",
    ),
)
