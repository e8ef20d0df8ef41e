"""Absmax and min-max grids against their own mathematics and numpy's bit packing."""

import numpy as np
import pytest
import torch

from llamalab.quantization import dequantize, quantize_absmax, round_to_nearest
from llamalab.quantization.grid import pack_bits, unpack_bits


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("per, scales", [("tensor", (1,)), ("channel", (6, 1)), (8, (6, 3))])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_absmax_is_within_half_a_step(per, scales, bits):
    x = normal(6, 24)
    before = x.clone()
    blocks = quantize_absmax(x, bits, per=per)
    assert blocks.scales.shape == scales and blocks.codes.dtype == torch.int8
    assert blocks.codes.abs().max() == 2 ** (bits - 1) - 1
    groups = {"tensor": x.reshape(1, 1, -1), "channel": x[:, None]}.get(per, x.view(6, 3, -1))
    step = groups.abs().amax(-1, keepdim=True) / (2 ** (bits - 1) - 1)
    gap = (dequantize(blocks).view(groups.shape) - groups).abs()
    assert (gap <= 0.5001 * step).all() and torch.equal(x, before)
    assert torch.equal(blocks.numbers(slice(2, 5)), blocks.numbers()[2:5])
    assert torch.equal(quantize_absmax(-x, bits, per=per).codes, -blocks.codes)


def test_absmax_per_channel_is_torchs_own():
    """Torch's fake quantization with the same scales; it takes halves to the even, so no ties."""
    x = normal(5, 40)
    ours, zeros = quantize_absmax(x), torch.zeros(5, dtype=torch.int32)
    theirs = torch.fake_quantize_per_channel_affine(x, ours.scales.flatten(), zeros, 0, -127, 127)
    torch.testing.assert_close(dequantize(ours), theirs, rtol=1e-6, atol=0)


def test_an_outlier_harms_only_those_who_share_its_scale():
    x = normal(8, 64)
    x[0, 0] = 100.0
    errors = {}
    for per in ("tensor", "channel", 16):
        gap = (dequantize(quantize_absmax(x, 4, per=per)) - x).abs()
        errors[per] = (float(gap[0, 1:16].mean()), float(gap[0, 16:].mean()), float(gap[1:].mean()))
    assert errors["tensor"][2] > 5 * errors["channel"][2]
    assert errors["channel"][1] > 5 * errors[16][1]
    assert errors["channel"][0] == pytest.approx(errors[16][0])


def test_absmax_refuses():
    for bits in (1, 9):
        with pytest.raises(ValueError, match=f"bits={bits} must lie in 2 .. 8"):
            quantize_absmax(normal(2, 4), bits)
    for per in ("row", 0, -4):
        with pytest.raises(ValueError, match="per="):
            quantize_absmax(normal(2, 4), per=per)
    with pytest.raises(ValueError, match="blocks of 3 must divide a row, and a row has 4"):
        quantize_absmax(normal(2, 4), per=3)
    assert dequantize(quantize_absmax(torch.zeros(2, 4))).abs().max() == 0


@pytest.mark.parametrize("bits", range(1, 9))
def test_bits_are_packed_as_numpy_packs_them(bits):
    codes = torch.randint(0, 2**bits, (3, 5, 21), generator=torch.Generator().manual_seed(bits))
    codes = codes.to(torch.uint8)
    single = (codes.numpy()[..., None] >> np.arange(bits)) & 1
    want = np.packbits(single.reshape(3, 5, -1), axis=-1, bitorder="little")
    data = pack_bits(codes, bits)
    assert np.array_equal(data.numpy(), want)
    assert torch.equal(unpack_bits(data, bits, 21), codes)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [None, 8, 1])
def test_round_to_nearest_is_nearest(bits, group_size):
    """Beside a search over all codes of the grid that was stored."""
    w = normal(5, 24) + 0.3
    w[3] = w[3].abs()  # all on one side
    w[4] = 0.0
    before = w.clone()
    grid = round_to_nearest(w, bits, group_size)
    assert torch.equal(w, before)
    scales = grid.scales.float().repeat_interleave(24 // grid.scales.shape[1], dim=1)
    zeros = grid.zeros.float().repeat_interleave(24 // grid.zeros.shape[1], dim=1)
    steps = (torch.arange(2**bits) - zeros[..., None]) * scales[..., None]  # (5, 24, codes)
    best = (steps - w[..., None]).abs().amin(-1)
    torch.testing.assert_close((dequantize(grid) - w).abs(), best, atol=1e-6, rtol=0)
    size = group_size or 24
    span = w.view(5, -1, size).amax(-1).clamp(min=0) - w.view(5, -1, size).amin(-1).clamp(max=0)
    torch.testing.assert_close(grid.scales.float(), span / (2**bits - 1), rtol=1e-3, atol=1e-6)
    assert grid.bits_per_weight == bits + 24 / size
    assert torch.equal(grid.numbers(slice(1, 4)), grid.numbers()[1:4])


def test_zero_is_on_the_grid():
    w = normal(4, 16).abs() + 1
    w[:, 3] = 0.0
    assert dequantize(round_to_nearest(w, 3))[:, 3].abs().max() == 0


def test_the_grid_refuses():
    with pytest.raises(ValueError, match="group_size=5 must divide the row's 24 numbers"):
        round_to_nearest(normal(2, 24), 4, 5)
    with pytest.raises(ValueError, match="bits=9"):
        round_to_nearest(normal(2, 24), 9)
    with pytest.raises(ValueError, match=r"a matrix .* shape \(24,\)"):
        round_to_nearest(normal(24))
    with pytest.raises(ValueError, match="past float16"):
        round_to_nearest(normal(2, 8) * 1e9)
