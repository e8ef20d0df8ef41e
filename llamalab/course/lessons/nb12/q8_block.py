"""Notebook 12, exercise 1: A block of Q8_0."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.quantization import quantize_q8_0

wrong = WrongAnswers()


def q8_block(x):
    d = x.abs().amax(dim=-1) / 127  # (n,)
    inverse = torch.where(d > 0, 1 / d, 0.0)
    y = x * inverse[:, None]  # (n, 32): in steps
    whole = y.abs().floor()
    q = y.sign() * (whole + (y.abs() - whole >= 0.5))  # halves away from zero
    return d.half(), q.to(torch.int8)


def _reference(x):
    """The package's bytes, which are ggml's, taken apart."""
    data = quantize_q8_0(x).data.view(-1, 34)
    return data[:, :2].contiguous().view(torch.float16)[:, 0], data[:, 2:].view(torch.int8)


def _probes():
    """Ties on both sides of zero, a block of zeros, extremes of both signs, blocks of different
    sizes, one block alone, numbers that float16 has too few digits for, numbers that are halves
    or a last digit less, the largest below a half, a block whose scale float16 rounds to 0."""
    g = seeded(121)
    ties = torch.randint(-253, 254, (3, 32), generator=g) / 2
    ties[:, 4] = 127.0  # the step is exactly 1
    sizes = torch.randn(5, 32, generator=g) * torch.tensor([0.01, 1.0, 50.0, 3.0, 0.2])[:, None]
    sizes[2, 7] = -300.0
    sizes[3, 1] = 20.0
    zeros = torch.cat((torch.zeros(1, 32), torch.randn(2, 32, generator=g)))
    below = -torch.rand(2, 32, generator=g) - 1
    one = torch.randn(1, 32, generator=g)
    under = torch.zeros(1, 32)
    under[0, :3] = torch.tensor([127.0, 0.49999997, -0.49999997])
    tiny = torch.randn(2, 32, generator=g) * 1e-7
    return [(sizes,), (ties,), (zeros,), (one,), (below,), (_halves(g),), (under,), (tiny,)]


def _halves(g):
    """Blocks of 0.5, 4.5, 8.5, … steps: only where x / d or x (1/d) is rounded to less than that
    do the two have different codes."""
    steps = torch.rand(8, 1, generator=g) + 0.5
    exact = torch.cat((torch.tensor([127.0]), torch.arange(31) * 4 + 0.5))
    x = exact * steps
    d = x[:, :1] / 127
    return torch.where((x / d > exact) | (x * (1 / d) > exact), 0.0, x)


def _codes(y):
    """Halves away from zero, kept in int8."""
    whole = y.abs().floor()
    return (y.sign() * (whole + (y.abs() - whole >= 0.5))).clamp(-128, 127).to(torch.int8)


def _block(x, d, inverse=None):
    """Codes for the steps d (n, 1), float32."""
    inverse = torch.where(d != 0, 1 / d, 0.0) if inverse is None else inverse
    return d[:, 0].half(), _codes(x * inverse)


def _steps(x, most=127):
    return x.abs().amax(-1, keepdim=True) / most


HALVES_TO_THE_EVEN = (
    "torch.round takes halves to the nearest EVEN number: 2.5 becomes 2. ggml rounds as C's "
    "roundf, away from zero: 3. Random weights never show it, and the bytes are not ggml's."
)


@wrong(HALVES_TO_THE_EVEN)
def halves_to_the_even(x):
    d = _steps(x)
    return d[:, 0].half(), (x * torch.where(d > 0, 1 / d, 0.0)).round().to(torch.int8)


CUT_OFF = (
    "You cut the fraction off, so every number moves towards zero. Rounding errs by half a step at "
    "most, this by a whole one."
)


@wrong(CUT_OFF)
def cuts_the_fraction(x):
    d = _steps(x)
    return d[:, 0].half(), (x * torch.where(d > 0, 1 / d, 0.0)).to(torch.int8)


UPWARDS = (
    "floor(y + 0.5) takes every half upwards: -2.5 becomes -2. Away from zero it is -3, so the "
    "sign has to be put aside first."
)


@wrong(UPWARDS)
def halves_upwards(x):
    d = _steps(x)
    y = x * torch.where(d > 0, 1 / d, 0.0)
    return d[:, 0].half(), (y + 0.5).floor().to(torch.int8)


INTO_128 = (
    "You divided by 128. int8 ends at 127, so the largest number of a block, if it is positive, is "
    "one step too far and has to be clipped."
)


@wrong(INTO_128)
def into_128_steps(x):
    return _block(x, _steps(x, 128))


LARGEST = (
    "You took the largest number, not the largest magnitude. Where the extreme is negative, all "
    "that lies beyond -max is clipped to one code, or wraps around."
)


@wrong(LARGEST)
def largest_not_magnitude(x):
    return _block(x, x.amax(-1, keepdim=True).abs() / 127)


@wrong(
    "Your scale has the sign of the extreme, as Q4_0's has. Q8_0's is max|x| / 127 and never "
    "negative: yours turns every code of such a block around."
)
def signed_scale(x):
    place = x.abs().argmax(-1, keepdim=True)
    return _block(x, x.gather(-1, place) / 127)


ROUNDED = (
    "You divided by the scale AFTER it was rounded to float16. ggml takes 1/d in float32 first; "
    "the codes at the edges differ."
)


@wrong(ROUNDED)
def divides_by_the_rounded(x):
    d = _steps(x)
    rounded = d.half().float()
    return _block(x, d, torch.where(rounded > 0, 1 / rounded, 0.0))


@wrong(
    "All blocks share one scale here. The point of a block is that a large number in one of them "
    "does not make the steps of the others coarse."
)
def one_scale_for_all(x):
    return _block(x, (x.abs().max() / 127).expand(len(x), 1))


@wrong(
    "A block of zeros has the scale 0, not 1. Keep 1/d from being infinite, and leave d as it is."
)
def zeros_get_the_scale_1(x):
    d = _steps(x)
    return _block(x, torch.where(d > 0, d, 1.0))


@wrong("The scale is stored in 16 bits: that is where 34 bytes come from. Yours is float32.")
def scale_in_32_bits(x):
    d = _steps(x)
    return d[:, 0], _block(x, d)[1]


@wrong("The codes are right, and they are still floats: nothing has got smaller. Make them int8.")
def codes_are_floats(x):
    d, q = _block(x, _steps(x))
    return d, q.float()


@wrong(
    "You handed out 1/d. Whoever reads the block multiplies the codes by what they find: it has to "
    "be d."
)
def hands_out_the_reciprocal(x):
    d = _steps(x)
    return torch.where(d > 0, 1 / d, 0.0)[:, 0].half(), _block(x, d)[1]


@wrong(
    "You laid the 256 codes from the smallest number to the largest. That needs an offset beside "
    "the scale, for which the block has no room; and 0 is no longer 0."
)
def from_smallest_to_largest(x):
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    d = (high - low) / 255
    q = ((x - low) * torch.where(d > 0, 1 / d, 0.0)).round() - 128
    return d[:, 0].half(), q.to(torch.int8)


@wrong(
    "You rounded x to float16 before anything else. Only the scale is stored so; the codes are "
    "made from the numbers as they are."
)
def in_half_precision(x):
    x = x.half().float()
    return _block(x, _steps(x))


@wrong("You rounded every fraction away from zero. Only halves and more go that way: 2.1 is 2.")
def always_away(x):
    d = _steps(x)
    y = x * torch.where(d > 0, 1 / d, 0.0)
    return d[:, 0].half(), (y.sign() * y.abs().ceil()).clamp(-128, 127).to(torch.int8)


@wrong("You scaled the numbers that you were given. They belong to the caller: make new ones.")
def scales_in_place(x):
    d = _steps(x)
    x.mul_(torch.where(d > 0, 1 / d, 0.0))
    return d[:, 0].half(), _codes(x)


@wrong(
    "You added a half and cut off. The addition rounds too: 0.49999997 + 0.5 is 1.0, so a number "
    "below a half goes up. Compare what was cut off with a half, and add nothing to it."
)
def adds_a_half(x):
    d = _steps(x)
    y = x * torch.where(d > 0, 1 / d, 0.0)
    return d[:, 0].half(), (y.sign() * (y.abs() + 0.5).floor()).to(torch.int8)


DIVIDED = (
    "You divided by d. ggml multiplies by 1/d, which has been rounded: where a number lies on a "
    "half the two have different last digits, and its code is another. Take the reciprocal first."
)


@wrong(DIVIDED)
def divides(x):
    d = _steps(x)
    return d[:, 0].half(), _codes(x / torch.where(d > 0, d, 1.0))


@wrong(DIVIDED)
def divides_and_adds_a_half(x):
    d = _steps(x)
    y = x / torch.where(d > 0, d, 1.0)
    return d[:, 0].half(), (y.sign() * (y.abs() + 0.5).floor()).to(torch.int8)


IN_DOUBLE = (
    "You worked in float64. ggml works in float32, where d and 1/d are rounded to fewer digits: a "
    "number that lies on a half goes to another code there. Its bytes are asked for: stay in "
    "float32, and multiply by 1/d."
)


@wrong(IN_DOUBLE)
def in_double(x):
    d = _steps(x.double())
    return d[:, 0].half(), _codes(x.double() / torch.where(d > 0, d, 1.0))


@wrong(HALVES_TO_THE_EVEN)
def halves_to_the_even_and_all_in_double(x):
    d = _steps(x.double())
    return d[:, 0].half(), (x / torch.where(d > 0, d, 1.0)).round().to(torch.int8)


CLAMPED = (
    "You kept d above 1e-8, so that nothing is divided by 0. A block of tiny numbers gets codes "
    "for another scale than its own. Only where d IS 0 does 1/d need a case: there it is 0."
)


@wrong(CLAMPED)
def keeps_the_scale_above_1e_8(x):
    d = _steps(x)
    return d[:, 0].half(), _codes(x * (1 / d.clamp(min=1e-8)))


@wrong(CLAMPED)
def divides_by_more_than_1e_8(x):
    d = _steps(x)
    return d[:, 0].half(), _codes(x / d.clamp(min=1e-8))


@wrong(CLAMPED)
def keeps_the_scale_above_1e_8_and_adds_a_half(x):
    d = _steps(x)
    y = x * (1 / d.clamp(min=1e-8))
    return d[:, 0].half(), (y.sign() * (y.abs() + 0.5).floor()).to(torch.int8)


@wrong(HALVES_TO_THE_EVEN)
def halves_to_the_even_above_1e_8(x):
    d = _steps(x)
    return d[:, 0].half(), (x / d.clamp(min=1e-8)).round().to(torch.int8)


@wrong(CUT_OFF)
def cuts_the_fraction_above_1e_8(x):
    d = _steps(x)
    return d[:, 0].half(), (x / d.clamp(min=1e-8)).to(torch.int8)


@wrong(UPWARDS)
def halves_upwards_above_1e_8(x):
    d = _steps(x)
    return d[:, 0].half(), (x / d.clamp(min=1e-8) + 0.5).floor().to(torch.int8)


@wrong(UPWARDS)
def halves_upwards_and_divides(x):
    d = _steps(x)
    return d[:, 0].half(), (x / torch.where(d > 0, d, 1.0) + 0.5).floor().to(torch.int8)


@wrong(CUT_OFF)
def cuts_the_fraction_and_divides(x):
    d = _steps(x)
    return d[:, 0].half(), (x / torch.where(d > 0, d, 1.0)).to(torch.int8)


@wrong(ROUNDED)
def divides_by_the_rounded_and_adds_a_half(x):
    d = _steps(x)
    rounded = d.half().float()
    y = x * torch.where(rounded > 0, 1 / rounded, 0.0)
    return d[:, 0].half(), (y.sign() * (y.abs() + 0.5).floor()).to(torch.int8)


def _away(y):
    """Rounded, halves away from zero, and still floats."""
    whole = y.abs().floor()
    return y.sign() * (whole + (y.abs() - whole >= 0.5))


OTHER_STEPS = (
    "Your steps are not 127 on each side of zero: the block's largest magnitude gets another code "
    "than 127 or -127, so codes are wasted or clipped."
)
BY_THE_MEAN = (
    "You took an average size of the block, a mean or a deviation. The largest number then lies "
    "far outside int8: it is the largest magnitude that has to be 127."
)
OFFSET = (
    "You moved the codes by 128, from 0 to 255. Q8_0 needs no offset: int8 has a sign, and 0 "
    "stays 0."
)
WIDE = "The codes are right, and too wide: Q8_0 gives each 8 bits, int8."
BFLOAT = (
    "bfloat16 is 16 bits too, with 3 digits fewer than float16. ggml's scale is float16, `half()`."
)
AXIS = "One axis too many: d is (n,), one number for each block, and yours is (n, 1)."
TOWARDS_ZERO = (
    "Your halves go towards zero: 2.5 becomes 2. Away from zero it is 3, and -3 for -2.5."
)
UP_OR_DOWN = (
    "You rounded every number the same way, up or down. The nearest whole number is asked for: by "
    "half a step at most."
)
NO_SIGN = (
    "The codes have lost their sign: -3 and 3 are both 3. Only the SCALE is made of magnitudes."
)
ADDED = (
    "You added a small number to d, so that nothing is divided by 0. A block of tiny numbers gets "
    "codes for another scale than its own. Only where d IS 0 does 1/d need a case: there it is 0."
)
RANGE = (
    "You took half of the range from the smallest number to the largest. The block lies around 0: "
    "it is the largest magnitude that has to be 127, on whichever side it is."
)
WITHOUT_127 = (
    "You handed out the largest magnitude. Whoever reads the block multiplies the codes by d: it "
    "has to be a 127th of that."
)


@wrong(LARGEST)
def largest_number_clipped(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-127, 127).to(torch.int8)


@wrong(LARGEST)
def largest_number(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(LARGEST)
def largest_number_clipped_at_128(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(LARGEST)
def largest_number_rounded_to_the_even(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), y.round().clamp(-127, 127).to(torch.int8)


@wrong(LARGEST)
def largest_number_to_the_even(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), y.round().to(torch.int8)


@wrong(LARGEST)
def largest_number_to_the_even_clipped_at_128(x):
    d = x.amax(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), y.round().clamp(-128, 127).to(torch.int8)


@wrong(UPWARDS)
def halves_upwards_by_comparing(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), (y.floor() + (y - y.floor() >= 0.5)).to(torch.int8)


@wrong(UPWARDS)
def halves_upwards_by_comparing_and_divides(x):
    d = _steps(x)
    y = x / torch.where(d > 0, d, 1.0)
    return d[:, 0].half(), (y.floor() + (y - y.floor() >= 0.5)).to(torch.int8)


@wrong(HALVES_TO_THE_EVEN)
def halves_to_the_even_in_double(x):
    d = _steps(x)
    y = x.double() / torch.where(d > 0, d, 1.0).double()
    return d[:, 0].half(), y.round().to(torch.int8)


@wrong(DIVIDED)
def divides_in_double(x):
    d = _steps(x)
    y = x.double() / torch.where(d > 0, d, 1.0).double()
    return d[:, 0].half(), _codes(y)


@wrong(ROUNDED)
def to_the_even_by_the_rounded(x):
    d = _steps(x)
    y = x * torch.where(d.half() > 0, 1 / d.half().float(), 0.0)
    return d[:, 0].half(), y.round().to(torch.int8)


@wrong(INTO_128)
def into_128_steps_unclipped(x):
    d = _steps(x, 128)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(INTO_128)
def into_128_steps_clipped_at_127(x):
    d = _steps(x, 128)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-127, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_126_steps(x):
    d = _steps(x, 126)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_127_and_a_half_steps(x):
    d = _steps(x, 127.5)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_127_and_a_half_steps_unclipped(x):
    d = _steps(x, 127.5)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(OTHER_STEPS)
def into_255_steps(x):
    d = _steps(x, 255)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_255_steps_unclipped(x):
    d = _steps(x, 255)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(OTHER_STEPS)
def into_254_steps(x):
    d = _steps(x, 254)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_254_steps_unclipped(x):
    d = _steps(x, 254)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(OTHER_STEPS)
def into_256_steps(x):
    d = _steps(x, 256)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(OTHER_STEPS)
def into_100_steps(x):
    d = _steps(x, 100)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).clamp(-128, 127).to(torch.int8)


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude(x):
    d = x.abs().mean(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y)


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude_unclipped(x):
    d = x.abs().mean(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(BY_THE_MEAN)
def by_the_deviation(x):
    d = 3 * x.std(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y)


@wrong(BY_THE_MEAN)
def by_the_deviation_unclipped(x):
    d = 3 * x.std(-1, keepdim=True) / 127
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(OFFSET)
def codes_from_0_to_255(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), (_codes(y).int() + 128).to(torch.uint8)


@wrong(WIDE)
def codes_in_16_bits(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y).to(torch.int16)


@wrong(WIDE)
def codes_in_32_bits(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y).to(torch.int32)


@wrong(WIDE)
def codes_in_64_bits(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y).long()


@wrong(BFLOAT)
def scale_in_bfloat16(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].bfloat16(), _codes(y)


@wrong(AXIS)
def scale_with_an_axis(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d.half(), _codes(y)


@wrong(TOWARDS_ZERO)
def halves_towards_zero(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), (y.sign() * (y.abs() - 0.5).ceil().clamp(min=0)).to(torch.int8)


@wrong(UP_OR_DOWN)
def rounds_up(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), y.ceil().to(torch.int8)


@wrong(UP_OR_DOWN)
def rounds_down(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), y.floor().to(torch.int8)


@wrong(NO_SIGN)
def loses_the_sign(x):
    d = _steps(x)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y.abs())


@wrong(ADDED)
def adds_1e_8(x):
    d = _steps(x)
    y = x * (1 / (d + 1e-8))
    return d[:, 0].half(), _codes(y)


@wrong(ADDED)
def adds_1e_8_and_divides(x):
    d = _steps(x)
    y = x / (d + 1e-8)
    return d[:, 0].half(), _codes(y)


@wrong(ADDED)
def adds_1e_8_to_the_even(x):
    d = _steps(x)
    y = x / (d + 1e-8)
    return d[:, 0].half(), y.round().to(torch.int8)


@wrong(ADDED)
def adds_1e_12(x):
    d = _steps(x)
    y = x * (1 / (d + 1e-12))
    return d[:, 0].half(), _codes(y)


@wrong(ADDED)
def adds_1e_12_to_the_even(x):
    d = _steps(x)
    y = x / (d + 1e-12)
    return d[:, 0].half(), y.round().to(torch.int8)


@wrong(RANGE)
def half_of_the_range(x):
    d = (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) / 254
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y)


@wrong(RANGE)
def half_of_the_range_unclipped(x):
    d = (x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True)) / 254
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _away(y).to(torch.int8)


@wrong(WITHOUT_127)
def scale_without_the_127(x):
    d = x.abs().amax(-1, keepdim=True)
    y = x * torch.where(d > 0, 127 / d, 0.0)
    return d[:, 0].half(), _codes(y)


@wrong(WITHOUT_127)
def fractions_as_codes(x):
    d = x.abs().amax(-1, keepdim=True)
    y = x * torch.where(d != 0, 1 / d, 0.0)
    return d[:, 0].half(), _codes(y)


@wrong("The two are right and stand the wrong way round: first the scales d, then the codes q.")
def codes_come_first(x):
    return _block(x, _steps(x))[::-1]


@wrong(
    "You looked down the columns: a block is a ROW of 32 numbers, and each has a scale of its own. "
    "`dim=-1` looks along the rows."
)
def scales_of_columns(x):
    d = x.abs().amax(0) / 127
    return d.half(), _codes(x * torch.where(d > 0, 1 / d, 0.0))


@wrong(
    "You added a half to every number, negative ones too, and cut off: -2.7 becomes -2. Put the "
    "sign aside first."
)
def adds_a_half_to_all(x):
    d = x.abs().amax(1) / 127
    inv = torch.where(d > 0, 1 / d, 0.0)
    y = x * inv[:, None]
    q = (y + 0.5).trunc()
    return d.half(), q.to(torch.int8)


@wrong(
    "The codes are right, and the scale that you hand out is not the one they were made with: "
    "code times d has to give the number back."
)
def scale_handed_out_doubled(x):
    d = x.abs().amax(1) / 127
    inv = torch.where(d > 0, 1 / d, 0.0)
    y = x * inv[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return (2 * d).half(), q.to(torch.int8)


@wrong(
    "You kept the codes between -8 and 7, which is what four bits hold. Q8_0 has eight: -127 to "
    "127."
)
def codes_of_4_bits(x):
    d = x.abs().amax(1) / 127
    inv = torch.where(d > 0, 1 / d, 0.0)
    y = x * inv[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return d.half(), q.clamp(-8, 7).to(torch.int8)


@wrong(
    "You took an average size of the block. The largest number then lies far outside int8: it is "
    "the largest magnitude that has to be 127."
)
def by_the_median(x):
    d = x.abs().median(1).values / 127
    inv = torch.where(d > 0, 1 / d, 0.0)
    y = x * inv[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return d.half(), q.to(torch.int8)


@wrong(
    "You took the smallest number, not the largest magnitude. Where the extreme is positive its "
    "code does not fit."
)
def smallest_number(x):
    d = x.amin(1).abs() / 127
    inv = torch.where(d > 0, 1 / d, 0.0)
    y = x * inv[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return d.half(), q.to(torch.int8)


@wrong(
    "You kept d above 1e-6, so that nothing is divided by 0. A block of tiny numbers gets codes "
    "for another scale than its own. Only where d IS 0 does 1/d need a case: there it is 0."
)
def keeps_the_scale_above_1e_6(x):
    d = x.abs().amax(1) / 127
    inv = 1 / d.clamp(min=1e-6)
    y = x * inv[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return d.half(), q.to(torch.int8)


GUARDED_D = (
    "Your guard ends up in the result: a block of zeros comes back with a d that is not 0, and a "
    "block of small numbers with another scale than its own. Guard what you divide by, not d."
)


def _guarded_d(x, least):
    d = (x.abs().amax(1) / 127).clamp(min=least)
    y = x * (1 / d)[:, None]
    q = y.sign() * (y.abs().floor() + (y.abs() - y.abs().floor() >= 0.5))
    return d.half(), q.to(torch.int8)


@wrong(GUARDED_D)
def d_is_1e_5_at_least(x):
    return _guarded_d(x, 1e-5)


@wrong(GUARDED_D)
def d_is_1e_4_at_least(x):
    return _guarded_d(x, 1e-4)


@wrong(GUARDED_D)
def d_is_1e_3_at_least(x):
    return _guarded_d(x, 1e-3)


EXERCISE = Exercise(
    name="q8_block",
    title="A block of Q8_0",
    points=3,
    minutes=12,
    answer=q8_block,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "One number of the block decides how long a step is. Which one, if 127 steps must be "
        "enough on both sides of zero?",
        "A scale for each block, its reciprocal (0 for a block of zeros), the numbers in steps, "
        "then rounding. Only at the end does the scale become float16.",
        "For halves away from zero: put the sign aside, take floor, and add 1 wherever what was "
        "cut off is a half or more.",
    ),
)
