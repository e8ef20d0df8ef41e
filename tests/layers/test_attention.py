"""attention and attention_slowly against torch's kernel and torch's layer; the laws they obey."""

import pytest
import torch
import torch.nn.functional as F

from llamalab.layers import attention, attention_slowly
from llamalab.layers.attention import causal_mask

HEADS = [(6, 6), (6, 3), (6, 2), (6, 1), (16, 4)]  # multi-head, grouped twice, multi-query, 4 of 4
LENGTHS = [(5, 5), (3, 7), (1, 6), (1, 1), (4, 5)]  # a text, new tokens after a cache, one of them
DTYPES = [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.03)]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def inputs(generator, T, S, H, n_kv, *, B=2, D=4, dtype=torch.float64):
    sizes = (B, T, H, D), (B, S, n_kv, D), (B, S, n_kv, D)
    return [torch.randn(*size, generator=generator).double().to(dtype) for size in sizes]


def looking(T, S):
    """The causal mask by its definition: key position <= query position."""
    return torch.tensor([[s <= S - T + t for s in range(S)] for t in range(T)])


def some_mask(generator, *size):
    mask = torch.rand(*size, generator=generator) < 0.5
    mask[..., 0] = True  # every query has something to look at
    return mask


def oracle(q, k, v, mask):
    """torch's kernel, with key heads copied one by one and nothing left to its defaults."""
    H, n_kv = q.shape[2], k.shape[2]
    owner = [h // (H // n_kv) for h in range(H)]
    q, k, v = (x.transpose(1, 2) for x in (q, k[:, :, owner], v[:, :, owner]))
    mask = mask.unsqueeze(1) if mask.ndim == 3 else mask
    return F.scaled_dot_product_attention(q, k, v, mask, scale=q.shape[-1] ** -0.5).transpose(1, 2)


def close(got, want, tolerance):
    assert got.dtype == want.dtype
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


# -- against torch ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
@pytest.mark.parametrize("H, n_kv", HEADS)
@pytest.mark.parametrize("T, S", LENGTHS)
def test_both_are_torchs_kernel(T, S, H, n_kv, dtype, tolerance, generator):
    q, k, v = inputs(generator, T, S, H, n_kv, dtype=dtype)
    want = oracle(q, k, v, looking(T, S))
    close(attention(q, k, v), want, tolerance)
    close(attention_slowly(q, k, v)[0], want, tolerance)


@pytest.mark.parametrize("dtype, tolerance", DTYPES)
@pytest.mark.parametrize("H, n_kv", HEADS)
@pytest.mark.parametrize("T, S", LENGTHS)
@pytest.mark.parametrize("rows", [(), (2,)], ids=["one mask", "a mask for each row"])
def test_with_a_mask_too(T, S, H, n_kv, rows, dtype, tolerance, generator):
    q, k, v = inputs(generator, T, S, H, n_kv, dtype=dtype)
    mask = some_mask(generator, *rows, T, S)
    want = oracle(q, k, v, mask)
    close(attention(q, k, v, mask), want, tolerance)
    close(attention_slowly(q, k, v, mask)[0], want, tolerance)


def test_a_mask_for_each_row_is_not_one_for_each_head(generator):
    """With as many rows as heads, a mask without a head axis would broadcast without an error."""
    q, k, v = inputs(generator, 3, 5, 4, 2, B=4)
    mask = some_mask(generator, 4, 3, 5)
    row_by_row = [attention(*(x[b : b + 1] for x in (q, k, v)), mask[b]) for b in range(4)]
    close(attention(q, k, v, mask), torch.cat(row_by_row), 1e-12)
    close(attention_slowly(q, k, v, mask)[0], torch.cat(row_by_row), 1e-12)


def test_a_mask_may_let_queries_look_ahead(generator):
    q, k, v = inputs(generator, 4, 4, 6, 2)
    everything = torch.ones(4, 4, dtype=torch.bool)
    want = oracle(q, k, v, everything)
    close(attention(q, k, v, everything), want, 1e-12)
    assert not torch.allclose(want, attention(q, k, v))


@pytest.mark.parametrize("dtype, tolerance", DTYPES[:2])
def test_outputs_and_weights_are_those_of_torchs_layer(dtype, tolerance, generator):
    """nn.MultiheadAttention, whose mask is the other way round: True hides."""
    B, T, H, D = 2, 5, 3, 4
    layer = torch.nn.MultiheadAttention(H * D, H, bias=False, batch_first=True, dtype=dtype)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.normal_(0, 0.3, generator=generator)
    x = torch.randn(B, T, H * D, generator=generator).to(dtype)
    q, k, v = ((x @ w.T).view(B, T, H, D) for w in layer.in_proj_weight.chunk(3))
    want, their_weights = layer(x, x, x, attn_mask=~looking(T, T), average_attn_weights=False)
    out, weights = attention_slowly(q, k, v)
    close(out.flatten(-2) @ layer.out_proj.weight.T, want, tolerance)
    close(attention(q, k, v).flatten(-2) @ layer.out_proj.weight.T, want, tolerance)
    close(weights, their_weights, tolerance)


# -- by hand ---------------------------------------------------------------------------------


def test_three_tokens_by_hand():
    """Scores 2, 0, 2 over the root of 2; exponentials 4.11, 1, 4.11."""
    q, k, v = (
        torch.tensor(x).double().view(1, 3, 1, 2)
        for x in ([1, 0, 0, 2, 2, 0], [1, 0, 0, 1, 1, 1], [10, 0, 0, 10, 20, 20])
    )
    e = 2.718281828459045 ** (2 / 2**0.5)
    want = torch.tensor([30 * e / (2 * e + 1), (10 + 20 * e) / (2 * e + 1)]).double()
    close(attention(q, k, v)[0, 2, 0], want, 1e-6)
    close(attention(q, k, v)[0, 0, 0], torch.tensor([10.0, 0.0]).double(), 1e-12)


def test_neighbouring_query_heads_share_a_key_head():
    """One position: each head hands out its own key head's value, 0 0 0 1 1 1."""
    v = torch.tensor([10.0, 20.0]).view(1, 1, 2, 1)
    out = attention(torch.ones(1, 1, 6, 1), torch.ones(1, 1, 2, 1), v)
    assert out.flatten().tolist() == [10, 10, 10, 20, 20, 20]


# -- laws ------------------------------------------------------------------------------------


@pytest.mark.parametrize("T, S", LENGTHS)
def test_the_causal_mask_by_its_definition(T, S):
    mask = causal_mask(T, S)
    assert mask.dtype == torch.bool and torch.equal(mask, looking(T, S))


@pytest.mark.parametrize("function", [attention, lambda *a: attention_slowly(*a)[0]])
@pytest.mark.parametrize("T", [5, 3])
def test_a_changed_token_changes_nothing_before_it(function, T, generator):
    S = 5
    q, k, v = inputs(generator, T, S, 6, 2)
    before = function(q, k, v)
    for s in range(S):
        other_k, other_v = k.clone(), v.clone()
        other_k[:, s] += 1
        other_v[:, s] -= 2
        moved = (function(q, other_k, other_v) != before).flatten(2).any(-1).any(0)
        assert moved.tolist() == [S - T + t >= s for t in range(T)]


def test_gradients_flow_back_to_what_was_seen_and_no_further(generator):
    q, k, v = (x.requires_grad_() for x in inputs(generator, 4, 4, 6, 2))
    for t in range(4):
        grads = torch.autograd.grad(attention(q, k, v)[:, t].pow(2).sum(), (q, k, v))
        for grad, before in zip(grads, ([t], range(t + 1), range(t + 1))):
            reached = (grad != 0).flatten(2).any(-1).any(0).nonzero().flatten().tolist()
            # the first query has one key: its weight is 1 whatever the scores say
            assert set(reached) <= set(before) and (t == 0 or reached == list(before))


@pytest.mark.parametrize("H, n_kv", HEADS[:4])
@pytest.mark.parametrize("T, S", [(4, 4), (2, 5)])
def test_gradients_are_torchs(T, S, H, n_kv, generator):
    leaves = [x.requires_grad_() for x in inputs(generator, T, S, H, n_kv)]
    pull = torch.randn(2, T, H, 4, generator=generator).double()
    want = torch.autograd.grad(oracle(*leaves, looking(T, S)), leaves, pull)
    for function in (attention, lambda *a: attention_slowly(*a)[0]):
        for got, expected in zip(torch.autograd.grad(function(*leaves), leaves, pull), want):
            close(got, expected, 1e-10)


@pytest.mark.parametrize("T, S", LENGTHS)
def test_weights_are_shares_of_one_and_none_for_the_hidden(T, S, generator):
    q, k, v = inputs(generator, T, S, 6, 2)
    _, weights = attention_slowly(q, k, v)
    assert weights.shape == (2, 6, T, S) and (weights >= 0).all()
    close(weights.sum(-1), torch.ones(2, 6, T).double(), 1e-12)
    assert (weights[..., ~looking(T, S)] == 0).all()


def test_weights_stay_float32_for_half_precision(generator):
    q, k, v = inputs(generator, 3, 3, 6, 2, dtype=torch.bfloat16)
    out, weights = attention_slowly(q, k, v)
    assert (out.dtype, weights.dtype) == (torch.bfloat16, torch.float32)
    assert attention(q, k, v).dtype == torch.bfloat16


def test_scores_of_several_hundred_are_no_trouble(generator):
    q, k, v = inputs(generator, 4, 4, 6, 2, dtype=torch.float32)
    for out in (attention(300 * q, k, v), attention_slowly(300 * q, k, v)[0]):
        assert out.isfinite().all()


def test_the_inputs_are_left_alone(generator):
    given = inputs(generator, 3, 5, 6, 2)
    mask = some_mask(generator, 2, 3, 5)
    before = [x.clone() for x in (*given, mask)]
    attention(*given, mask), attention_slowly(*given, mask)
    assert all(torch.equal(a, b) for a, b in zip((*given, mask), before))


# -- what is refused -------------------------------------------------------------------------


def sizes(q=(2, 3, 6, 4), k=(2, 5, 2, 4), v=None):
    return torch.zeros(q), torch.zeros(k), torch.zeros(v or k)


REFUSED = {
    "k and v differ": (sizes(v=(2, 5, 3, 4)), r"k and v both \(B, S, n_kv, D\).*v \(2, 5, 3, 4\)"),
    "three axes": (sizes(q=(2, 3, 4)), r"q must be \(B, T, H, D\).*q \(2, 3, 4\)"),
    "batch": (sizes(q=(3, 3, 6, 4)), r"batch and head_dim .* q \(3, 3, 6, 4\), k \(2, 5, 2, 4\)"),
    "head_dim": (sizes(q=(2, 3, 6, 8)), r"batch and head_dim of q and k must be equal"),
    "heads": (sizes(q=(2, 3, 5, 4)), r"n_kv=2 must divide the 5 query heads"),
    "more queries than keys": (sizes(q=(2, 6, 6, 4)), r"6 queries, but only 5 keys"),
}


@pytest.mark.parametrize("function", [attention, attention_slowly])
@pytest.mark.parametrize("given, words", REFUSED.values(), ids=REFUSED)
def test_sizes_that_do_not_fit_are_refused_with_both_numbers(function, given, words):
    with pytest.raises(ValueError, match=words):
        function(*given)


@pytest.mark.parametrize("function", [attention, attention_slowly])
@pytest.mark.parametrize(
    "mask, words",
    [
        (torch.ones(3, 5), r"\(T, S\) = \(3, 5\) .* it is torch.float32 \(3, 5\)"),
        (torch.ones(5, 3, dtype=torch.bool), r"\(2, 3, 5\); it is torch.bool \(5, 3\)"),
        (torch.ones(6, 3, 5, dtype=torch.bool), r"it is torch.bool \(6, 3, 5\)"),
        (torch.ones(2, 1, 3, 5, dtype=torch.bool), r"it is torch.bool \(2, 1, 3, 5\)"),
    ],
    ids=["numbers", "on its side", "a mask for each head", "four axes"],
)
def test_a_mask_of_another_kind_is_refused(function, mask, words):
    with pytest.raises(ValueError, match=words):
        function(*sizes(), mask)
