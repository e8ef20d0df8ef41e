"""NF4 beside bitsandbytes' table and, where it is installed, its packing."""

import pytest
import torch

from llamalab.quantization import dequantize, nf4_levels, quantize_absmax, quantize_nf4

TABLE = [-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
         -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
         0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
         0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0]  # fmt: skip


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_levels_are_bitsandbytes_own():
    assert nf4_levels().tolist() == torch.tensor(TABLE).tolist()


@pytest.mark.parametrize("shape", [(6, 192), (3, 5, 64), (128,)])
def test_codes_and_scales_are_bitsandbytes_own(shape):
    bnb = pytest.importorskip("bitsandbytes.functional")
    x = normal(*shape)
    theirs, state = bnb.quantize_4bit(x, quant_type="nf4", blocksize=64)
    ours = quantize_nf4(x, double=False)
    assert torch.equal(ours.data, theirs.flatten())
    assert torch.equal(ours.absmax, state.absmax)
    again = bnb.dequantize_4bit(theirs, state)  # it makes a row of a vector
    assert torch.equal(dequantize(ours), again.view(shape))


def test_each_number_goes_to_the_nearest_level():
    x = torch.cat((torch.linspace(-1, 1, 1001), torch.tensor([1.0] * 23)))  # 1024
    found = dequantize(quantize_nf4(x, block=1024, double=False))
    levels = torch.tensor(TABLE)
    nearest = levels[(x[:, None] - levels).abs().argmin(1)]
    assert torch.equal(found, nearest)


def test_levels_are_used_more_evenly_than_even_steps_are():
    """By normal numbers: 3.9 of the 4 bits say something; of 16 even steps it is 3.6."""
    x, count = normal(2**18), torch.Tensor.bincount
    data, steps = quantize_nf4(x).data, quantize_absmax(x, 4, per=64).codes + 8
    used = [count(codes.int(), minlength=16) / 2**18
            for codes in (torch.cat((data >> 4, data & 15)), steps)]  # fmt: skip
    bits = [float(-(share * share.clamp(min=1e-9).log2()).sum()) for share in used]
    assert bits[0] > 3.8 and bits[1] < 3.7


def test_double_quantization_costs_an_eighth_of_a_bit_and_little_truth():
    x = normal(512, 1024)
    single, double = quantize_nf4(x, double=False), quantize_nf4(x)
    assert single.bits_per_weight == pytest.approx(4.5, abs=2e-4)
    assert double.bits_per_weight == pytest.approx(4 + 8 / 64 + 32 / 64 / 256, abs=2e-4)
    assert torch.equal(single.data, double.data)
    errors = [(dequantize(b) - x).square().mean().sqrt() for b in (single, double)]
    assert errors[0] < errors[1] < 1.01 * errors[0]


@pytest.mark.parametrize("shape, block", [((5, 7), 8), ((3, 2, 5), 4), ((1,), 2), ((37,), 64)])
@pytest.mark.parametrize("double", [False, True])
def test_any_shape_and_any_rows(shape, block, double):
    x = normal(*shape)
    before = x.clone()
    blocks = quantize_nf4(x, block=block, double=double)
    found = dequantize(blocks)
    assert found.shape == x.shape and torch.equal(x, before)
    assert (found - x).abs().max() <= 0.2 * x.abs().max()
    assert blocks.data.numel() == (x.numel() + 1) // 2
    for start in range(shape[0]):
        for stop in range(start + 1, shape[0] + 1):
            assert torch.equal(blocks.numbers(slice(start, stop)), found[start:stop])
    assert torch.equal(blocks.numbers(torch.tensor([0, 0])), found[[0, 0]])


def test_zeros_stay_zero_even_beside_large_blocks():
    x = torch.cat((torch.zeros(64), normal(64) * 50, torch.zeros(64)))
    found = dequantize(quantize_nf4(x))
    assert found[:64].abs().max() == found[128:].abs().max() == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match="nan and infinity"):
        quantize_nf4(torch.tensor([1.0, float("nan")]))
    for block in (0, 3):
        with pytest.raises(ValueError, match=f"block={block} must be even"):
            quantize_nf4(normal(6), block=block)
