"""Products of whole numbers against int64; outliers; rows that do not see each other."""

import pytest
import torch
import torch.nn.functional as F

from llamalab.quantization import dequantize, int8, quantize_int8


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=["torch's product", "floats"])
def product(request, monkeypatch):
    if request.param == "floats":
        monkeypatch.setattr(int8, "has_int_mm", lambda: False)
    elif not int8.has_int_mm():
        pytest.skip("this torch has no such product, or not the right one")


@pytest.mark.parametrize("n, width, out", [(1, 5, 3), (7, 192, 512), (300, 64, 1), (2, 4096, 9)])
def test_the_product_is_exact(n, width, out, product):
    generator = torch.Generator().manual_seed(n)
    a, b = (torch.randint(-128, 128, (rows, width), dtype=torch.int8, generator=generator)
            for rows in (n, out))  # fmt: skip
    a[0], b[0] = -128, -128
    assert torch.equal(int8.int8_product(a, b).long(), a.long() @ b.long().T)


def test_it_is_near_the_float_product(product):
    x, weight = normal(3, 11, 192), normal(40, 192, seed=1)
    before = x.clone(), weight.clone()
    blocks = quantize_int8(weight)
    found, want = blocks.product(x), x @ weight.T
    assert found.shape == (3, 11, 40) and found.dtype == torch.float32
    assert (found - want).square().mean().sqrt() < 0.02 * want.square().mean().sqrt()
    assert torch.equal(x, before[0]) and torch.equal(weight, before[1])
    assert blocks.bits_per_weight == 8 + 32 / 192


def test_whole_numbers_come_out_whole(product):
    """Scales of exactly 1: nothing is rounded, so the product is the float product."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(-127, 128, (4, 32), generator=generator).float()
    weight = torch.randint(-127, 128, (6, 32), generator=generator).float()
    x[:, 0] = weight[:, 0] = 127.0
    assert torch.equal(quantize_int8(weight, threshold=1e9).product(x), x @ weight.T)


def test_outliers_go_the_other_way(product):
    x, weight = normal(20, 64), normal(30, 64, seed=1)
    x[:, 7] *= 60
    want = x @ dequantize(quantize_int8(weight)).T  # what is left is the activations' rounding

    def error(threshold):
        return float((quantize_int8(weight, threshold=threshold).product(x) - want).square().mean())

    assert error(6.0) < 0.05 * error(1e9)
    plain = quantize_int8(weight)
    kept, out = int8.split_outliers(x, 6.0)
    assert torch.equal(kept + out, x) and kept.abs().max() <= 6 < out.abs()[out != 0].min()
    exact = F.linear(out, dequantize(plain)) + plain.product(kept)
    torch.testing.assert_close(plain.product(x), exact, atol=1e-4, rtol=1e-5)


def test_a_row_does_not_depend_on_its_neighbours(product):
    x, blocks = normal(6, 48), quantize_int8(normal(10, 48, seed=1))
    x[2, 5] = 100.0
    together = blocks.product(x)
    for row in range(6):
        alone = blocks.product(x[row : row + 1])
        torch.testing.assert_close(alone[0], together[row], atol=1e-4, rtol=1e-6)


def test_rows_of_zeros_and_small_numbers(product):
    blocks = quantize_int8(torch.stack((torch.zeros(32), torch.ones(32))))
    x = torch.stack((torch.zeros(32), torch.full((32,), 1e-20)))
    found = blocks.product(x)
    assert found.isfinite().all() and found[0].tolist() == [0.0, 0.0] and found[1, 0] == 0
    assert found[1, 1] == pytest.approx(32e-20, rel=1e-2)


def test_gradients_reach_the_inputs():
    """Through the float product: an adapter below a quantized layer can learn."""
    weight = normal(5, 32)
    x = normal(2, 32, seed=1).requires_grad_()
    blocks = quantize_int8(weight)
    blocks.product(x).sum().backward()
    torch.testing.assert_close(x.grad, dequantize(blocks).sum(0).expand(2, 32))


def test_what_is_refused():
    for weight, threshold in ((normal(8), 6.0), (normal(2, 8), 0.0), (normal(2, 8), float("nan"))):
        with pytest.raises(ValueError, match="a matrix and a threshold above 0"):
            quantize_int8(weight, threshold=threshold)
