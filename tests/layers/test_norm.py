"""rms_norm and layer_norm against torch's, in every precision; the laws that they obey."""

import pytest
import torch
import torch.nn.functional as F

from llamalab.layers import layer_norm, rms_norm

HALF = [torch.float16, torch.bfloat16]
WIDE = [(torch.float64, 1e-12), (torch.float32, 1e-5)]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def inputs(generator, size, dtype=torch.float64, scale=1.0, mean=0.5):
    x = scale * (mean + torch.randn(*size, generator=generator).double())
    weight = 1 + 0.3 * torch.randn(size[-1], generator=generator).double()
    return x.to(dtype), weight.to(dtype)


def flips(got, want):
    """The share of numbers that differ, and whether each is at most two last digits off."""
    assert got.dtype == want.dtype and got.shape == want.shape
    gap = (got - want).float().abs()
    close = gap <= 2 * torch.finfo(want.dtype).eps * want.float().abs()
    return (gap > 0).double().mean().item(), bool(close.all())


# -- against torch ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", WIDE)
@pytest.mark.parametrize("eps", [1e-5, 1e-6, 0.3])
@pytest.mark.parametrize("scale", [1.0, 0.003, 1e4])
@pytest.mark.parametrize("size", [(2, 3, 7), (5, 5), (4,), (2, 1, 3, 6)])
def test_rms_norm_is_torchs(dtype, tolerance, eps, scale, size, generator):
    x, weight = inputs(generator, size, dtype, scale)
    want = F.rms_norm(x, weight.shape, weight, eps)
    torch.testing.assert_close(rms_norm(x, weight, eps), want, rtol=tolerance, atol=tolerance)


def test_it_is_torchs_module_too(generator):
    x, weight = inputs(generator, (2, 3, 7), torch.float32)
    module = torch.nn.RMSNorm(7, eps=1e-5)
    module.load_state_dict({"weight": weight})
    torch.testing.assert_close(rms_norm(x, weight, 1e-5), module(x).detach())


@pytest.mark.parametrize("dtype, tolerance", WIDE)
@pytest.mark.parametrize("scale", [1.0, 0.003])
def test_layer_norm_is_torchs(dtype, tolerance, scale, generator):
    x, weight = inputs(generator, (2, 3, 7), dtype, scale)
    bias = torch.randn(7, generator=generator).to(dtype)
    want = F.layer_norm(x, (7,), weight, bias, 1e-5)
    got = layer_norm(x, weight, bias, 1e-5)
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


# -- in half precision -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("scale", [0.003, 1.0, 300.0])
def test_half_precision_is_the_rounded_truth_times_the_weight(dtype, scale, generator):
    """The expected value is computed in float64, rounded once, then multiplied: Meta's order."""
    x, weight = inputs(generator, (4, 3, 1000), dtype, scale)
    wide = x.double()
    root = (torch.linalg.vector_norm(wide, dim=-1, keepdim=True) ** 2 / 1000 + 1e-5).sqrt()
    share, close = flips(rms_norm(x, weight, 1e-5), (wide / root).to(dtype) * weight)
    assert share < 0.001 and close


@pytest.mark.parametrize("dtype", HALF)
def test_the_weight_comes_after_the_cast_back(dtype, generator):
    x, weight = inputs(generator, (4, 3, 1000), dtype)
    other_order = rms_norm(x.float(), weight.float(), 1e-5).to(dtype)
    share, _ = flips(rms_norm(x, weight, 1e-5), other_order)
    assert 0.15 < share < 0.35


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_layer_norm_is_torchs(dtype, generator):
    x, weight = inputs(generator, (4, 3, 1000), dtype)
    bias = torch.randn(1000, generator=generator).to(dtype)
    got, want = layer_norm(x, weight, bias, 1e-5), F.layer_norm(x, (1000,), weight, bias, 1e-5)
    torch.testing.assert_close(got, want)


def test_squares_do_not_overflow_float16():
    x = torch.tensor([300.0, 400.0], dtype=torch.float16)
    got = rms_norm(x, torch.ones(2, dtype=torch.float16), 1e-5)
    assert got.tolist() == [0.8486328125, 1.1318359375]  # float16's nearest to .8485 and 1.1314


def test_a_float32_weight_makes_a_float32_result(generator):
    x, weight = inputs(generator, (2, 3), torch.bfloat16)
    assert rms_norm(x, weight.float(), 1e-5).dtype == torch.float32


# -- laws ------------------------------------------------------------------------------------


def test_by_hand():
    got = rms_norm(torch.tensor([3.0, 4.0]), torch.tensor([2.0, 0.5]), 0.0)
    torch.testing.assert_close(got, torch.tensor([2 * 3 / 12.5**0.5, 0.5 * 4 / 12.5**0.5]))


def test_scale_drops_out_and_signs_pass_through(generator):
    x, weight = inputs(generator, (2, 3, 7))
    y = rms_norm(x, weight, 1e-12)
    for factor in (1e-3, 8.0, 1e6):
        torch.testing.assert_close(rms_norm(factor * x, weight, 1e-12), y, rtol=1e-5, atol=0)
        torch.testing.assert_close(rms_norm(-factor * x, weight, 1e-12), -y, rtol=1e-5, atol=0)


def test_every_vector_gets_size_one_whatever_its_neighbours(generator):
    x, _ = inputs(generator, (2, 3, 7))
    y = rms_norm(x, torch.ones(7).double(), 1e-12)
    torch.testing.assert_close(y.pow(2).mean(-1), torch.ones(2, 3).double())
    changed = x.clone()
    changed[1, 2] *= -5
    alone = rms_norm(changed, torch.ones(7).double(), 1e-12)
    assert torch.equal(alone[0], y[0]) and torch.equal(alone[1, :2], y[1, :2])


def test_where_the_mean_square_is_eps_half_of_the_square_is_left():
    x = torch.tensor([1.0, -1.0]).double() * 1e-5**0.5
    y = rms_norm(x, torch.ones(2), 1e-5)
    torch.testing.assert_close(y.pow(2).mean().item(), 0.5)


def test_the_mean_stays_in_rms_norm_and_goes_in_layer_norm(generator):
    x, weight = inputs(generator, (2, 3, 7), mean=3.0)
    zeros = torch.zeros(7).double()
    centred = x - x.mean(-1, keepdim=True)
    layer = layer_norm(x, weight, zeros, 1e-5)
    torch.testing.assert_close(layer, rms_norm(centred, weight, 1e-5))
    assert (layer - rms_norm(x, weight, 1e-5)).abs().max() > 0.5


def test_zeros_stay_zeros_and_have_a_gradient():
    x = torch.zeros(2, 3, requires_grad=True)
    y = rms_norm(x, torch.ones(3), 1e-5)
    y.sum().backward()
    assert y.abs().max() == 0
    torch.testing.assert_close(x.grad, torch.full((2, 3), 1e-5**-0.5))


def test_the_input_is_left_alone(generator):
    x, weight = inputs(generator, (2, 3, 7))
    before = x.clone(), weight.clone()
    rms_norm(x, weight, 1e-5), layer_norm(x, weight, weight, 1e-5)
    assert torch.equal(x, before[0]) and torch.equal(weight, before[1])


@pytest.mark.parametrize("eps", [1e-5, 0.3])
def test_gradients(eps, generator):
    x, weight = inputs(generator, (2, 3, 5))
    x, weight = x.requires_grad_(), weight.requires_grad_()
    bias = torch.zeros(5).double().requires_grad_()
    assert torch.autograd.gradcheck(rms_norm, (x, weight, eps))
    assert torch.autograd.gradcheck(layer_norm, (x, weight, bias, eps))


def test_the_gradient_stands_at_a_right_angle_to_x(generator):
    x, weight = inputs(generator, (2, 3, 5))
    x.requires_grad_()
    y = rms_norm(x, weight, 1e-12)
    y.backward(torch.randn(2, 3, 5, generator=generator).double())
    along = (x.grad * x).sum(-1) / (x.grad.norm(dim=-1) * x.norm(dim=-1))
    assert along.abs().max() < 1e-9


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", [rms_norm, lambda x, w, eps: layer_norm(x, w, w, eps)])
@pytest.mark.parametrize("shape", [(4,), (1,), (), (3, 5)])
def test_a_weight_of_another_shape_is_refused_with_both_shapes(norm, shape):
    with pytest.raises(ValueError) as caught:
        norm(torch.ones(2, 3, 5), torch.ones(shape), 1e-5)
    assert "(2, 3, 5)" in str(caught.value) and str(shape) in str(caught.value)


def test_whole_numbers_are_refused():
    with pytest.raises(ValueError, match="int64"):
        rms_norm(torch.tensor([3, 4]), torch.ones(2), 1e-5)


def test_empty_inputs():
    assert rms_norm(torch.ones(0, 3, 5), torch.ones(5), 1e-5).shape == (0, 3, 5)
