"""GPTQ against least squares, which knows nothing of Cholesky, and AWQ against its promise."""

import pytest
import torch

from llamalab.quantization import awq_scales, dequantize, gptq, round_to_nearest
from llamalab.quantization.gptq import hessian


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def correlated(n, width, seed=1):
    """Inputs whose coordinates lean on each other, of different sizes."""
    mix = normal(width, width, seed=seed) * torch.linspace(0.2, 2, width)
    return normal(n, width, seed=seed + 1) @ mix


def output_error(blocks, weight, inputs):
    return float(((dequantize(blocks) - weight) @ inputs.T).square().sum())


def by_least_squares(weight, inputs, grid, damping):
    """Column after column: round it, then choose all later columns anew by least squares so that
    the outputs stay, with damping as a penalty on moving away. Codes as floats."""
    w, X = weight.double(), inputs.double()
    width = w.shape[1]
    penalty = damping * float(hessian(inputs).diagonal().mean()) / 2 * len(X)
    A = torch.cat((X, penalty**0.5 * torch.eye(width).double()))  # |(w - v) A^T|^2
    scale = grid.scales.double()  # one group: the grid of the row is the same for both
    zero, top = grid.zeros.double(), 2**grid.bits - 1
    fixed, current = torch.zeros_like(w), w.clone()
    for i in range(width):
        code = ((current[:, i : i + 1] / scale).round() + zero).clamp(0, top)
        fixed[:, i : i + 1] = (code - zero) * scale
        if i + 1 < width:
            target = (w @ A.T - fixed[:, : i + 1] @ A[:, : i + 1].T).T  # (n, out)
            current[:, i + 1 :] = torch.linalg.lstsq(A[:, i + 1 :], target).solution.T
    return fixed


@pytest.mark.parametrize("bits, block", [(4, 128), (3, 5), (2, 1)])
def test_each_column_leaves_the_rest_at_its_least_squares(bits, block):
    weight, inputs = normal(7, 12), correlated(60, 12)
    before = weight.clone(), inputs.clone()
    found = gptq(weight, inputs, bits, block=block)
    grid = round_to_nearest(weight, bits)  # the row's range is found before anything is rounded
    assert torch.equal(found.scales, grid.scales) and torch.equal(found.zeros, grid.zeros)
    want = by_least_squares(weight, inputs, grid, 0.01)
    torch.testing.assert_close(dequantize(found).double(), want, atol=1e-5, rtol=0)
    assert torch.equal(weight, before[0]) and torch.equal(inputs, before[1])
    assert output_error(found, weight, inputs) < output_error(grid, weight, inputs)


@pytest.mark.parametrize("group_size", [None, 4, 12, 1])
def test_blocks_are_only_a_way_to_compute(group_size):
    weight, inputs = normal(5, 24), correlated(90, 24)
    whole = gptq(weight, inputs, 3, group_size, block=24)
    for block in (1, 5, 7, 128):
        other = gptq(weight, inputs, 3, group_size, block=block)
        assert torch.equal(dequantize(whole), dequantize(other))


def test_inputs_that_do_not_lean_on_each_other_teach_nothing():
    """A diagonal Hessian has nothing to pass on: rounding to nearest."""
    inputs = torch.eye(16) * torch.linspace(1, 3, 16)
    weight = normal(6, 16)
    found = gptq(weight, inputs, 3, 4)
    assert torch.equal(dequantize(found), dequantize(round_to_nearest(weight, 3, 4)))


def test_a_dead_input_gets_no_weight():
    weight, inputs = normal(4, 8), correlated(30, 8)
    inputs[:, 3] = 0.0
    found = dequantize(gptq(weight, inputs, 4))
    assert found[:, 3].abs().max() == 0 and found[:, [0, 7]].abs().max() > 0


def test_more_inputs_of_the_same_kind_change_nothing():
    weight, inputs = normal(4, 8), correlated(30, 8)
    twice = inputs.repeat(2, 1).view(5, 12, 8)
    assert torch.equal(dequantize(gptq(weight, inputs)), dequantize(gptq(weight, twice)))


def test_one_row_and_one_column():
    assert dequantize(gptq(normal(1, 1), normal(3, 1))).shape == (1, 1)


def test_gptq_refuses():
    with pytest.raises(ValueError, match="inputs have 7 numbers, the weight's rows 8"):
        gptq(normal(3, 8), normal(5, 7))
    with pytest.raises(ValueError, match="group_size=3 must divide"):
        gptq(normal(3, 8), normal(5, 8), 4, 3)
    with pytest.raises(ValueError, match="cannot be inverted with damping=0"):
        gptq(normal(3, 8), normal(1, 8), damping=0)
    with pytest.raises(ValueError, match="damping=-1"):
        gptq(normal(3, 8), normal(5, 8), damping=-1)
    with pytest.raises(ValueError, match="nan and infinity"):
        gptq(normal(3, 8), normal(5, 8) * float("nan"))


def test_awq_scales_save_salient_channels():
    weight, inputs = normal(16, 32), normal(300, 32)
    inputs[:, 5] *= 30  # one channel carries most of the output
    before = weight.clone(), inputs.clone()
    s = awq_scales(weight, inputs, 3, 8)
    assert torch.equal(weight, before[0]) and torch.equal(inputs, before[1])
    assert s.argmax() == 5 and (s > 0).all()

    def error(rounded):
        return float(((rounded - weight) @ inputs.T).square().sum())

    plain = error(dequantize(round_to_nearest(weight, 3, 8)))
    assert error(dequantize(round_to_nearest(weight * s, 3, 8)) / s) < 0.6 * plain


def test_awq_leaves_equal_channels_alone():
    """The search holds s = 1, so it never does worse than rounding to nearest."""
    inputs = torch.eye(32).repeat(3, 1)
    assert torch.equal(awq_scales(normal(16, 32), inputs), torch.ones(32))
    with pytest.raises(ValueError, match="inputs have 7 numbers, the weight's rows 8"):
        awq_scales(normal(3, 8), normal(5, 7))
