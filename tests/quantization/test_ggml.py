"""ggml's blocks: bytes equal to the gguf package's, and values that a hand can check."""

import struct
import warnings

import numpy as np
import pytest
import torch

from llamalab.quantization import (
    dequantize,
    quantize_q4_0,
    quantize_q4_1,
    quantize_q8_0,
    round_half_away,
)

FORMATS = {"Q8_0": quantize_q8_0, "Q4_0": quantize_q4_0, "Q4_1": quantize_q4_1}


def numbers(kind: str) -> torch.Tensor:
    """Rows of what is usual, and of what is not."""
    g = torch.Generator().manual_seed(1)
    halves = torch.randint(-254, 255, (200, 64), generator=g) / 2
    halves[:, 0] = 127.0  # so that a step of Q8_0 is exactly 1, and halves are ties
    few = torch.randint(-16, 17, (200, 64), generator=g) / 2
    few[:, 5] = few[:, 40] = -8.0  # a step of Q4_0 is exactly 1
    both = few.clone()
    both[:, 9], both[:, 20] = 8.0, -8.0  # the largest magnitude twice, with both signs
    return {
        "normal": torch.randn(3, 37, 96, generator=g),
        "ties of q8_0": halves,
        "ties of q4_0": few,
        "two extremes": both,
        "zeros": torch.zeros(3, 64),
        "minus zeros": -torch.zeros(3, 32),
        "one number": torch.nn.functional.one_hot(torch.arange(32)).float() * -3.0,
        "constant": torch.full((2, 32), 0.3),
        "one side": torch.rand(40, 32, generator=g) + 5,
        "small for float16": torch.randn(50, 32, generator=g) * 1e-6,
        "subnormal as float16": torch.randn(50, 32, generator=g) * 1e-9,
        "almost nothing": torch.randn(50, 32, generator=g) * 1e-36,
        "large": torch.rand(50, 32, generator=g) * 60000 - 30000,
    }[kind]


KINDS = ["normal", "ties of q8_0", "ties of q4_0", "two extremes", "zeros", "minus zeros",
         "one number", "constant", "one side", "small for float16", "subnormal as float16",
         "almost nothing", "large"]  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", KINDS)
def test_bytes_are_those_of_the_gguf_package(name, kind):
    gguf = pytest.importorskip("gguf")
    x, format = numbers(kind), gguf.GGMLQuantizationType[name]
    before = x.clone()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it divides by zero, and picks another value afterwards
        theirs = gguf.quants.quantize(x.numpy(), format)
    blocks = FORMATS[name](x)
    assert np.array_equal(blocks.data.numpy(), theirs)
    assert np.array_equal(dequantize(blocks).numpy(), gguf.quants.dequantize(theirs, format))
    assert torch.equal(x, before) and blocks.shape == tuple(x.shape)


def test_a_block_of_q4_0_by_hand():
    """The extreme, -1, is the code 0; the step is 1/8; byte 0 holds elements 0 and 16."""
    x = torch.tensor([0.5] + [0.0] * 30 + [-1.0])
    data = quantize_q4_0(x).data
    assert bytes(data[:2].tolist()) == struct.pack("<e", 0.125)
    assert data[2:].tolist() == [12 | 8 << 4] + [8 | 8 << 4] * 14 + [8 | 0 << 4]
    assert dequantize(quantize_q4_0(x)).tolist() == x.tolist()
    positive = dequantize(quantize_q4_0(-x))  # the extreme is 1: d is negative
    assert positive.tolist() == (-x).tolist()
    assert bytes(quantize_q4_0(-x).data[:2].tolist()) == struct.pack("<e", -0.125)


def test_a_block_of_q8_0_by_hand():
    x = torch.zeros(2, 32)
    x[0, :6] = torch.tensor([127.0, 0.5, -0.5, 2.5, -2.5, 3.4])
    data = quantize_q8_0(x).data
    assert data.shape == (2, 34) and data[1].tolist() == [0] * 34
    assert bytes(data[0, :8].tolist()) == struct.pack("<e6b", 1.0, 127, 1, -1, 3, -3, 3)


def test_a_block_of_q4_1_by_hand():
    x = torch.arange(32.0) % 16 + 2  # 2 to 17: the step is 1, the offset 2
    data = quantize_q4_1(x).data
    assert bytes(data[:4].tolist()) == struct.pack("<2e", 1.0, 2.0)
    assert data[4:].tolist() == [n | n << 4 for n in range(16)]
    assert dequantize(quantize_q4_1(x)).tolist() == x.tolist()


@pytest.mark.parametrize("name, width", [("Q8_0", 34), ("Q4_0", 18), ("Q4_1", 20)])
def test_sizes_and_errors(name, width):
    x = torch.randn(5, 3, 64, generator=torch.Generator().manual_seed(2))
    blocks = FORMATS[name](x)
    assert blocks.data.shape == (5, 3, 2 * width) and blocks.bits_per_weight == width / 4
    gap = (dequantize(blocks) - x).abs().unflatten(-1, (2, 32)).amax(-1)
    magnitude = x.abs().unflatten(-1, (2, 32)).amax(-1)
    # Half a step, and the scale's own rounding to 11 bits; Q4_0's short side errs by a whole step.
    steps = {"Q8_0": 0.5 / 127 + 1e-3, "Q4_0": 1 / 8 + 1e-3, "Q4_1": 1 / 15 + 1e-3}[name]
    assert (gap <= steps * magnitude).all() and gap.min() > 0
    assert torch.equal(blocks.numbers(slice(1, 3)), blocks.numbers()[1:3])
    picked = torch.tensor([4, 0, 4])
    assert torch.equal(blocks.numbers(picked), blocks.numbers()[picked])


@pytest.mark.parametrize("quantize", FORMATS.values())
def test_what_is_refused(quantize):
    for bad in (float("nan"), float("inf"), float("-inf")):
        x = torch.zeros(2, 32)
        x[1, 7] = bad
        with pytest.raises(ValueError, match="nan and infinity"):
            quantize(x)
    with pytest.raises(ValueError, match="blocks of 32 must divide a row, and a row has 33"):
        quantize(torch.zeros(2, 33))
    with pytest.raises(ValueError, match="past float16's 65504"):
        quantize(torch.tensor([1e30, -1e30] * 16))
    for nothing in (torch.zeros(32, dtype=torch.int32), torch.zeros(0, 32), torch.tensor(1.0)):
        with pytest.raises(ValueError, match="only floats"):
            quantize(nothing)


@pytest.mark.parametrize("quantize", FORMATS.values())
@pytest.mark.parametrize("size", [1e-39, 1e-42, 1e-45])
def test_numbers_whose_reciprocal_overflows_become_zero(quantize, size):
    found = dequantize(quantize(torch.full((1, 32), size) * torch.tensor([1.0, -1.0] * 16)))
    assert found.abs().max() == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("quantize", FORMATS.values())
def test_other_floats_and_strides(quantize, dtype):
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x = x.to(dtype).T  # (6, 64), lying across
    assert torch.equal(quantize(x).data, quantize(x.float().contiguous()).data)


def test_halves_go_away_from_zero():
    x = torch.tensor(
        [0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, -0.49999997, 2.4, -2.6, 0.0, 8388609.0]
    )
    want = [1.0, -1.0, 2.0, 3.0, -3.0, 0.0, 0.0, 2.0, -3.0, 0.0, 8388609.0]
    assert round_half_away(x).tolist() == want


def test_quantizing_what_was_quantized_changes_nothing():
    x = torch.randn(50, 64, generator=torch.Generator().manual_seed(4))
    for quantize in (quantize_q8_0, quantize_q4_0):
        once = quantize(x)
        assert torch.equal(quantize(dequantize(once)).data, once.data)
