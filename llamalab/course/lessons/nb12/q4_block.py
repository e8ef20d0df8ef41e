"""Notebook 12, exercise 2: A block of Q4_0, packed."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.quantization import quantize_q4_0

wrong = WrongAnswers()


def q4_block(x):
    place = x.abs().argmax(dim=-1, keepdim=True)
    d = x.gather(-1, place) / -8  # (n, 1): the extreme becomes code 0
    inverse = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inverse + 8.5).to(torch.uint8).clamp(max=15)  # (n, 32)
    return d[:, 0].half(), q[:, :16] | q[:, 16:] << 4


def _reference(x):
    """The package's bytes, which are ggml's, taken apart."""
    data = quantize_q4_0(x).data.view(-1, 18)
    return data[:, :2].contiguous().view(torch.float16)[:, 0], data[:, 2:]


def _probes():
    """Extremes of both signs, the same magnitude with both signs, in the low half of the bytes and
    in the high one, ties, zeros, blocks of different sizes, one block alone, numbers with a scale
    that float16 hardly holds."""
    g = seeded(122)
    sizes = torch.randn(5, 32, generator=g) * torch.tensor([0.01, 1.0, 50.0, 3.0, 0.2])[:, None]
    ties = torch.randint(-15, 16, (4, 32), generator=g) / 2
    ties[:2, 3], ties[2:, 29] = -8.0, 8.0  # the step is 1, or -1
    twice = torch.randint(-7, 8, (2, 32), generator=g).float()
    twice[0, 5], twice[0, 20], twice[1, 2], twice[1, 30] = 8.0, -8.0, -8.0, 8.0
    both = torch.arange(32) % 15 - 7.0
    both[0], both[[3, 4, 18]], both[19], both[20] = 8.0, -8.0, 3.0, 2.0  # beside 5 and 6
    zeros = torch.cat((torch.zeros(1, 32), torch.randn(2, 32, generator=g)))
    above = torch.rand(2, 32, generator=g) + 1
    small = torch.randn(3, 32, generator=g) * 1e-5  # float16 has few digits for such a scale
    tiny = torch.randn(3, 32, generator=g) * 3e-8  # and for such a one none
    one = torch.randn(1, 32, generator=g)
    return [
        (sizes,),
        (ties,),
        (twice,),
        (torch.stack((both, -both)),),
        (zeros,),
        (one,),
        (above,),
        (small,),
        (tiny,),
        (_halves(g),),
    ]


def _halves(g):
    """Blocks of -7.5, -6.5, -5.5, … steps: only where x / d or x (1/d) is rounded to less or more
    than that do the two have different codes."""
    exact = torch.cat((torch.tensor([-8.0]), torch.arange(31) % 7 - 7.5))
    x = exact * (torch.rand(16, 1, generator=g) + 0.5)
    d = x[:, :1] / -8
    return torch.where((x / d).eq(-exact) & (x * (1 / d)).eq(-exact), 0.0, x)


def _extreme(x):
    return x.gather(-1, x.abs().argmax(-1, keepdim=True))


def _inverse(d):
    return torch.where(d != 0, 1 / d, 0.0)


def _quantized(x, d, inverse=None, half=8.5):
    inverse = _inverse(d) if inverse is None else inverse
    return (x * inverse + half).clamp(0, 15).to(torch.uint8)


def _packed(q):
    return q[:, :16] | q[:, 16:] << 4


def _right(x):
    d = _extreme(x) / -8
    return d, _quantized(x, d)


@wrong(
    "You packed neighbours, elements 2j and 2j + 1, into byte j. ggml's byte j holds elements j "
    "and j + 16: two halves of the block lie on each other."
)
def packs_neighbours(x):
    d, q = _right(x)
    return d[:, 0].half(), q[:, 0::2] | q[:, 1::2] << 4


@wrong(
    "The right pairs, the wrong way up: element j belongs in the LOW four bits of byte j, element "
    "j + 16 in the high ones."
)
def halves_swapped(x):
    d, q = _right(x)
    return d[:, 0].half(), q[:, :16] << 4 | q[:, 16:]


SIGN_LOST = (
    "You took the magnitude of the extreme, so d always has the same sign. For half of the blocks "
    "the extreme then needs code 16, and is clipped to 15. ggml divides the SIGNED extreme by -8."
)


@wrong(SIGN_LOST)
def magnitude_over_8(x):
    d = x.abs().amax(-1, keepdim=True) / 8
    return d[:, 0].half(), _packed(_quantized(x, d))


PLUS_8 = (
    "The signed extreme over +8: it lands on code 16, which there is not, and is clipped to 15. "
    "Over -8 it is code 0, exact."
)


@wrong(PLUS_8)
def extreme_over_plus_8(x):
    d = _extreme(x) / 8
    return d[:, 0].half(), _packed(_quantized(x, d))


INTO_7 = (
    "You divided by 7, so that both sides reach the extreme. Code 0 is then never used; Q4_0 "
    "spends all 16, eight of them on the side of the extreme."
)


@wrong(INTO_7)
def into_7_steps(x):
    d = x.abs().amax(-1, keepdim=True) / 7
    return d[:, 0].half(), _packed(_quantized(x, d))


TO_THE_EVEN = (
    "You rounded with torch.round, and added 8 before it or after it. On halves it goes to the "
    "even number; ggml adds 8.5 and cuts off, which takes every half upwards."
)


@wrong(TO_THE_EVEN)
def halves_to_the_even(x):
    d = _extreme(x) / -8
    q = ((x * _inverse(d)).round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(TO_THE_EVEN)
def adds_8_and_rounds_to_the_even(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d) + 8).round().clamp(0, 15).to(torch.uint8))


WITHOUT_15 = (
    "Nothing keeps the codes at 15. A number as large as the extreme, of the other sign, becomes "
    "16. That needs a fifth bit, which falls into the other code of the byte, or out of the byte."
)


@wrong(WITHOUT_15)
def without_the_15(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d) + 8.5).to(torch.uint8))


@wrong(WITHOUT_15)
def without_the_15_added(x):
    d = _extreme(x) / -8
    q = (x * _inverse(d) + 8.5).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] + 16 * q[:, 16:]


GOES_ROUND = (
    "Your codes go round: a number as large as the extreme, of the other sign, becomes 16, and "
    "`& 15` or `% 16` makes 0 of it, which is the extreme's own code. It comes back with the wrong "
    "sign. Keep the codes at 15 with `clamp`."
)


@wrong(GOES_ROUND)
def goes_round_at_16(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d) + 8.5).to(torch.uint8) & 15)


@wrong(
    "Two things: torch.round takes halves to the even number, where 8.5 and cutting off takes "
    "them upwards; and your codes go round: `& 15` or `% 16` makes 0 of 16. Keep them at 15."
)
def to_the_even_and_goes_round_at_16(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed(((x * _inverse(d)).round() + 8).to(torch.uint8) & 15)


@wrong(
    "You added 8 and cut the fraction off: every number goes down to the step below. The half in "
    "8.5 makes rounding of the cutting."
)
def without_the_half(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed(_quantized(x, d, half=8.0))


@wrong(
    "Of two equal magnitudes you took the last. ggml takes the first: here it decides the sign of "
    "the whole scale."
)
def the_last_of_equals(x):
    place = 31 - x.flip(-1).abs().argmax(-1, keepdim=True)
    d = x.gather(-1, place) / -8
    return d[:, 0].half(), _packed(_quantized(x, d))


ROUNDED = (
    "You divided by the scale after it was rounded to float16. 1/d is taken in float32 before that."
)


@wrong(ROUNDED)
def divides_by_the_rounded(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed(_quantized(x, d, _inverse(d.half().float())))


LARGEST = (
    "You took the largest number, or the smallest, whatever its magnitude. Where the extreme lies "
    "on the other side it is clipped."
)


@wrong(LARGEST)
def largest_not_magnitude(x):
    d = x.amax(-1, keepdim=True) / -8
    return d[:, 0].half(), _packed(_quantized(x, d))


@wrong("The scale is stored in 16 bits: 2 bytes and 16 make the 18. Yours is float32.")
def scale_in_32_bits(x):
    d, q = _right(x)
    return d[:, 0], _packed(q)


@wrong(
    "You packed q - 8 as a signed number of four bits. Q4_0 keeps q itself, 0 to 15; the reader "
    "takes the 8 off."
)
def signed_codes(x):
    d, q = _right(x)
    return d[:, 0].half(), _packed(((q.int() - 8) & 15).to(torch.uint8))


@wrong(
    "One code a byte: 32 bytes where 16 would do, and the format is called 4 bits. Put two into "
    "each."
)
def not_packed(x):
    d, q = _right(x)
    return d[:, 0].half(), q


@wrong(
    "All blocks share one scale here. A block is there so that its neighbours' outliers are not "
    "its own."
)
def one_scale_for_all(x):
    flat = x.flatten()
    d = (flat[flat.abs().argmax()] / -8).expand(len(x), 1)
    return d[:, 0].half(), _packed(_quantized(x, d))


@wrong(
    "You laid the 16 codes from the smallest number to the largest. That is Q4_1, which keeps the "
    "smallest number beside the scale; in Q4_0 the reader does not know it."
)
def from_smallest_to_largest(x):
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    d = (high - low) / 15
    q = ((x - low) * _inverse(d) + 0.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(
    "A block of zeros gets code 0 here, which stands for -8d. It does no harm while d is 0, but "
    "the bytes are not ggml's: 0 + 8.5, cut off, is 8."
)
def zeros_get_code_0(x):
    d, q = _right(x)
    return d[:, 0].half(), _packed(torch.where(d != 0, q, torch.zeros_like(q)))


@wrong("You scaled the numbers that you were given. They belong to the caller: make new ones.")
def scales_in_place(x):
    d = _extreme(x) / -8
    x.mul_(_inverse(d)).add_(8.5)
    return d[:, 0].half(), _packed(x.clamp(0, 15).to(torch.uint8))


@wrong(
    "Of two equal magnitudes you took the positive one. ggml takes the first, whatever its sign: "
    "here it decides the sign of the whole scale."
)
def the_positive_of_equals(x):
    top, low = x.amax(-1, keepdim=True), x.amin(-1, keepdim=True)
    d = torch.where(top >= -low, top, low) / -8
    return d[:, 0].half(), _packed(_quantized(x, d))


@wrong(
    "Of two equal magnitudes you took the negative one. ggml takes the first, whatever its sign: "
    "here it decides the sign of the whole scale."
)
def the_negative_of_equals(x):
    top, low = x.amax(-1, keepdim=True), x.amin(-1, keepdim=True)
    d = torch.where(top > -low, top, low) / -8
    return d[:, 0].half(), _packed(_quantized(x, d))


OTHER_STEPS = (
    "Your steps are not an eighth of the extreme. There are 16 codes: the extreme is to get code 0 "
    "and 0 itself code 8, which makes eight steps."
)
TURNED = (
    "Your codes run the wrong way: you took x / d from 8.5. The reader counts q - 8 steps of d: "
    "larger codes stand for more of d."
)
NO_OFFSET = (
    "0 has to be code 8, and with you it is another. Without the 8 all that lies on the extreme's "
    "side is below 0, and four bits have no sign."
)
AT_14 = "Your codes end at 14. Four bits go to 15."
SHIFT = (
    "Your second code stands at the wrong height, so its bits and the first one's run into each "
    "other. Four bits up: a shift by 4, which is times 16."
)
NEIGHBOURS = (
    "You packed neighbours, elements 2j and 2j + 1, and the first of them into the HIGH bits. "
    "ggml's byte j holds element j low and element j + 16 high."
)
ENDS = (
    "You counted the second half from its end. Byte j holds elements j and j + 16: both halves are "
    "read in the same direction."
)
ONE_HALF = (
    "One half of the block is missing from your bytes: element j goes into the low four bits and "
    "element j + 16 into the high ones. (A shift by 8 pushes it out of the byte.)"
)
BYTES = "The bits are right, in another type. Bytes are uint8: no sign, and eight bits each."
AWAY = (
    "You took halves away from zero, as Q8_0 does. Here x / d plus 8.5 is cut off, which takes "
    "every half upwards: -2.5 becomes code 6."
)
UP = "You rounded every number up. Plus 8.5 and cut off is rounding to the nearest."
AXIS = "One axis too many: d is (n,), one number for each block, and yours is (n, 1)."
BFLOAT = (
    "bfloat16 is 16 bits too, with 3 digits fewer than float16. ggml's scale is float16, `half()`."
)
BY_THE_MEAN = (
    "You took the block's mean magnitude. Most of what is larger is clipped then: it is the "
    "extreme, with its sign, that gets code 0."
)
GUARD = (
    "You changed d before you divided, so that nothing is divided by 0. A block of tiny numbers "
    "gets codes for another scale than its own, or with another sign. Only where d IS 0 does 1/d "
    "need a case."
)


@wrong(SIGN_LOST)
def magnitude_over_minus_8(x):
    d = x.abs().amax(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(SIGN_LOST)
def magnitude_over_minus_8_to_the_even(x):
    d = x.abs().amax(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(SIGN_LOST)
def magnitude_over_8_to_the_even(x):
    d = x.abs().amax(-1, keepdim=True) / 8
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(PLUS_8)
def extreme_over_plus_8_to_the_even(x):
    d = _extreme(x) / 8
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(INTO_7)
def into_7_steps_to_the_even(x):
    d = x.abs().amax(-1, keepdim=True) / 7
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(INTO_7)
def extreme_into_minus_7_steps(x):
    d = _extreme(x) / -7
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(INTO_7)
def extreme_into_7_steps(x):
    d = _extreme(x) / 7
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(INTO_7)
def extreme_into_7_steps_to_the_even(x):
    d = _extreme(x) / 7
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(INTO_7)
def extreme_into_minus_7_steps_to_the_even(x):
    d = _extreme(x) / -7
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(OTHER_STEPS)
def into_7_and_a_half_steps(x):
    d = _extreme(x) / -7.5
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(OTHER_STEPS)
def into_15_steps(x):
    d = _extreme(x) / -15
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(OTHER_STEPS)
def into_16_steps(x):
    d = _extreme(x) / -16
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(ROUNDED)
def to_the_even_by_the_rounded(x):
    d = _extreme(x) / -8
    y = x * _inverse(d.half().float())
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(ROUNDED)
def divides_by_the_rounded_in_half(x):
    d = _extreme(x) / -8
    y = x * _inverse(d.half())
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(LARGEST)
def largest_number_over_8(x):
    d = x.amax(-1, keepdim=True) / 8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(LARGEST)
def largest_number_to_the_even(x):
    d = x.amax(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y.round() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(LARGEST)
def smallest_number(x):
    d = x.amin(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(LARGEST)
def smallest_number_over_8(x):
    d = x.amin(-1, keepdim=True) / 8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(LARGEST)
def smallest_number_unguarded_below(x):
    d = x.amin(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(TURNED)
def turns_the_codes_round(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (8.5 - y).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(NO_OFFSET)
def without_the_8(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 0.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(NO_OFFSET)
def without_the_8_to_the_even(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = y.round().clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(NO_OFFSET)
def adds_7_and_a_half(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 7.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(AT_14)
def ends_at_14(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 14).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(SHIFT)
def shifts_by_3(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] | q[:, 16:] << 3


@wrong(SHIFT)
def times_10(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] + 10 * q[:, 16:]


@wrong(SHIFT)
def times_15(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] + 15 * q[:, 16:]


@wrong(NEIGHBOURS)
def neighbours_the_wrong_way_up(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, 0::2] << 4 | q[:, 1::2]


@wrong(ENDS)
def from_both_ends(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] | q.flip(1)[:, :16] << 4


@wrong(ONE_HALF)
def the_low_half_twice(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] | q[:, :16] << 4


@wrong(ONE_HALF)
def the_low_half_alone(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16]


@wrong(ONE_HALF)
def the_high_half_alone(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), q[:, 16:]


@wrong(BYTES)
def bytes_with_a_sign(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q).to(torch.int8)


@wrong(BYTES)
def bytes_in_32_bits(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q.int())


@wrong(BYTES)
def bytes_in_64_bits(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q.long())


@wrong(AWAY)
def halves_away_from_zero(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y.sign() * (y.abs() + 0.5).floor() + 8).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(UP)
def rounds_up(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8).ceil().clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(AXIS)
def scale_with_an_axis(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d.half(), _packed(q)


@wrong(BFLOAT)
def scale_in_bfloat16(x):
    d = _extreme(x) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].bfloat16(), _packed(q)


@wrong(BY_THE_MEAN)
def by_the_mean_magnitude(x):
    d = x.abs().mean(-1, keepdim=True) / -8
    y = x * _inverse(d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(GUARD)
def adds_1e_8(x):
    d = _extreme(x) / -8
    y = x * (1 / (d + 1e-8))
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(GUARD)
def keeps_the_scale_from_1e_8(x):
    d = _extreme(x) / -8
    y = x / torch.where(d.abs() < 1e-8, 1e-8, d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(GUARD)
def keeps_the_scale_from_1e_6(x):
    d = _extreme(x) / -8
    y = x / torch.where(d.abs() < 1e-6, 1e-6, d)
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong(GUARD)
def adds_1e_6(x):
    d = _extreme(x) / -8
    y = x * (1 / (d + 1e-6))
    q = (y + 8.5).clamp(0, 15).to(torch.uint8)
    return d[:, 0].half(), _packed(q)


@wrong("The two are right and stand the wrong way round: first the scales d, then the bytes.")
def bytes_come_first(x):
    d, q = _right(x)
    return _packed(q), d[:, 0].half()


DIVIDED = (
    "You divided by d. ggml multiplies by 1/d, which has been rounded: where a number lies on a "
    "half the two have different last digits, and its code is another. Take the reciprocal first."
)


@wrong(DIVIDED)
def divides(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x / torch.where(d != 0, d, 1.0) + 8.5).clamp(0, 15).byte())


@wrong(NO_OFFSET)
def without_the_8_wrapping(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d) + 0.5).trunc().clamp(max=15).to(torch.uint8))


@wrong(NO_OFFSET)
def without_the_8_to_the_even_wrapping(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d)).round().clamp(max=15).to(torch.uint8))


EVEN_WITHOUT_15 = (
    "Two things: torch.round takes halves to the even number, where 8.5 and cutting off takes "
    "them upwards; and nothing keeps the codes at 15, so a fifth bit falls into the other code of "
    "the byte, or out of it."
)


@wrong(EVEN_WITHOUT_15)
def adds_8_and_rounds_to_the_even_without_the_15(x):
    d = _extreme(x) / -8
    return d[:, 0].half(), _packed((x * _inverse(d) + 8).round().to(torch.uint8))


@wrong(EVEN_WITHOUT_15)
def to_the_even_without_the_15(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = ((x * inv).round() + 8).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(
    "You cut x / d off before you added the 8: every number moves towards zero. Plus 8.5 first, "
    "and then cut off."
)
def cuts_towards_zero(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = ((x * inv).trunc() + 8).clamp(max=15).to(torch.uint8)
    return d[:, 0].half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(
    "Your codes run from 15 down. The extreme, which is -8 d, is code 0, and the reader counts "
    "upwards."
)
def codes_from_the_top(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inv + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return d[:, 0].half(), (15 - q)[:, :16] | ((15 - q)[:, 16:] << 4)


@wrong(
    "The codes are right, and d has lost its sign: the reader multiplies by d, and half of the "
    "blocks come back mirrored."
)
def scale_without_its_sign(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inv + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return d[:, 0].abs().half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(
    "The codes are right, and d has the other sign: the reader multiplies by d, and every block "
    "comes back mirrored."
)
def scale_with_the_other_sign(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inv + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return -d[:, 0].half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(
    "You handed out the extreme itself. The reader multiplies q - 8 by d: it has to be the "
    "extreme over -8."
)
def hands_out_the_extreme(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inv + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return (-8 * d)[:, 0].half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(
    "You handed out 1/d. Whoever reads the block multiplies the codes by what they find: it has "
    "to be d."
)
def hands_out_the_reciprocal(x):
    place = x.abs().argmax(1, keepdim=True)
    d = x.gather(1, place) / -8
    inv = torch.where(d != 0, 1 / d, 0.0)
    q = (x * inv + 8.5).trunc().clamp(max=15).to(torch.uint8)
    return inv[:, 0].half(), q[:, :16] | (q[:, 16:] << 4)


@wrong(GUARD)
def reciprocal_of_at_least_1e_8(x):
    d = _extreme(x) / -8
    inverse = 1 / torch.where(d.abs() < 1e-8, 1e-8, d)
    return d[:, 0].half(), _packed(_quantized(x, d, inverse))


EXERCISE = Exercise(
    name="q4_block",
    title="A block of Q4_0, packed",
    points=4,
    minutes=18,
    answer=q4_block,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "16 codes cannot lie evenly around zero: one side gets eight steps, the other seven. Which "
        "side should have the eight?",
        "Find the number of largest magnitude with its sign, and choose d so that it gets exactly "
        "code 0, which is read as -8d.",
        "`argmax` of the magnitudes and `gather` give it with its sign. Two codes make a byte by "
        "shifting one of them left by 4 and joining with `|`.",
    ),
)
