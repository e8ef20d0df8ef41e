"""embed against torch's own embedding, against the product it stands for, and its refusals."""

import pytest
import torch
import torch.nn.functional as F

from llamalab.layers import embed


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_it_is_torchs_embedding_bit_for_bit(dtype, generator):
    weight = torch.randn(7, 5, generator=generator).to(dtype)
    tokens = torch.tensor([[6, 0, 3], [3, 3, 1]])
    got = embed(tokens, weight)
    assert got.dtype == dtype
    assert torch.equal(got, F.embedding(tokens, weight))
    assert torch.equal(got, torch.nn.Embedding.from_pretrained(weight)(tokens))


def test_it_is_a_product_with_one_hot_rows(generator):
    weight = torch.randn(7, 5, generator=generator)
    tokens = torch.tensor([[6, 0, 3], [3, 3, 1]])
    assert torch.equal(embed(tokens, weight), F.one_hot(tokens, 7).float() @ weight)


def test_gradients_land_on_used_rows_only_and_add_up():
    weight = torch.zeros(4, 2, requires_grad=True)
    pull = torch.tensor([[[1.0, 10], [2, 20]], [[4, 40], [8, 80]]])
    embed(torch.tensor([[3, 1], [3, 0]]), weight).backward(pull)
    assert weight.grad.tolist() == [[8, 80], [2, 20], [0, 0], [5, 50]]


def test_no_tokens_and_int32():
    weight = torch.ones(4, 2)
    assert embed(torch.zeros(1, 0, dtype=torch.int64), weight).shape == (1, 0, 2)
    assert embed(torch.tensor([[3]], dtype=torch.int32), weight).shape == (1, 1, 2)


@pytest.mark.parametrize("ids, run", [([[0, 4]], "0 to 4"), ([[-1, 2]], "-1 to 2")])
def test_ids_outside_the_table_are_refused_with_both_ranges(ids, run):
    with pytest.raises(ValueError, match=f"ids run from {run}, .* rows 0 to 3"):
        embed(torch.tensor(ids), torch.ones(4, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.uint8])
def test_ids_that_torch_would_take_for_something_else_are_refused(dtype):
    with pytest.raises(ValueError, match=f"these are {dtype}"):
        embed(torch.zeros(1, 4, dtype=dtype), torch.ones(4, 2))
