"""RoPE against transformers (through the change of layout) and complex numbers; its laws."""

import math

import pytest
import torch

from llamalab.layers import apply_rope, rope_table

POSITIONS = torch.tensor([0, 1, 2, 20, 57, 1000, 2049, 4095])
HALF = [torch.float16, torch.bfloat16]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def halves_first(x):
    """Meta's seats to Hugging Face's: first numbers of all pairs, then second numbers."""
    return torch.cat((x[..., 0::2], x[..., 1::2]), dim=-1)


def angles(positions, head_dim, theta):
    """In Python's own numbers."""
    speeds = [math.exp(-2 * i / head_dim * math.log(theta)) for i in range(head_dim // 2)]
    return torch.tensor([[t * w for w in speeds] for t in positions], dtype=torch.float64)


def tables(positions, head_dim, theta=10_000.0):
    cos, sin = rope_table(head_dim, int(max(positions)) + 1, theta)
    return cos[positions], sin[positions]


def complex_rope(x, angle):
    """x (B, T, H, D) float64 turned by angle (T, D/2), as a product of complex numbers."""
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    turn = torch.polar(torch.ones_like(angle), angle)
    return torch.view_as_real(pairs * turn[:, None]).flatten(-2)


# -- against others --------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [10_000.0, 500_000.0, 1_000_000.0])
@pytest.mark.parametrize("head_dim", [4, 16, 32, 128])
def test_it_is_transformers_through_the_change_of_layout(head_dim, theta, generator):
    modeling = pytest.importorskip("transformers.models.llama.modeling_llama")
    H, n_kv = 6, 2
    config = modeling.LlamaConfig(
        hidden_size=H * head_dim,
        num_attention_heads=H,
        num_key_value_heads=n_kv,
        max_position_embeddings=4096,
        rope_parameters={"rope_type": "default", "rope_theta": theta},
    )
    q = torch.randn(2, len(POSITIONS), H, head_dim, generator=generator)
    k = torch.randn(2, len(POSITIONS), n_kv, head_dim, generator=generator)
    their_cos, their_sin = modeling.LlamaRotaryEmbedding(config)(q, POSITIONS[None])
    theirs = modeling.apply_rotary_pos_emb(
        halves_first(q), halves_first(k), their_cos, their_sin, unsqueeze_dim=2
    )
    cos, sin = tables(POSITIONS, head_dim, theta)
    torch.testing.assert_close(cos, their_cos[0, :, : head_dim // 2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(sin, their_sin[0, :, : head_dim // 2], rtol=1e-5, atol=1e-5)
    for ours, want in zip((q, k), theirs):
        got = halves_first(apply_rope(ours, cos, sin))
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


def test_without_the_change_of_layout_it_is_not(generator):
    modeling = pytest.importorskip("transformers.models.llama.modeling_llama")
    q = torch.randn(1, len(POSITIONS), 1, 16, generator=generator)
    cos, sin = tables(POSITIONS, 16)
    wide = torch.cat((cos, cos), -1)[None], torch.cat((sin, sin), -1)[None]
    theirs, _ = modeling.apply_rotary_pos_emb(q, q, *wide, unsqueeze_dim=2)
    gap = (apply_rope(q, cos, sin) - theirs).abs().amax((0, 2, 3))
    assert gap[0] == 0 and gap[3:].min() > 1  # right at place 0, and far off at late places


@pytest.mark.parametrize("theta", [100.0, 10_000.0, 1_000_000.0])
@pytest.mark.parametrize("head_dim", [2, 6, 128])
def test_turning_is_a_product_of_complex_numbers(head_dim, theta, generator):
    x = torch.randn(2, 5, 3, head_dim, generator=generator).double()
    angle = angles([0, 3, 20, 1000, 4095], head_dim, theta)
    got = apply_rope(x, angle.cos(), angle.sin())
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, complex_rope(x, angle), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("theta", [100.0, 10_000.0, 1_000_000.0])
@pytest.mark.parametrize("head_dim", [2, 6, 128])
def test_the_table_has_the_right_angles(head_dim, theta):
    """To float32's last digits of an angle: at place 4,095 that is 0.0003 radians or so."""
    cos, sin = rope_table(head_dim, 4096, theta)
    want = angles(range(4096), head_dim, theta)
    assert cos.dtype == sin.dtype == torch.float32 and cos.shape == (4096, head_dim // 2)
    allowed = 1e-6 + 2 * torch.finfo(torch.float32).eps * want
    assert ((cos - want.cos()).abs() <= allowed).all()
    assert ((sin - want.sin()).abs() <= allowed).all()


def test_by_hand():
    cos, sin = rope_table(8, 101, 10_000.0)
    torch.testing.assert_close(cos[10], torch.tensor([10.0, 1.0, 0.1, 0.01]).cos())
    torch.testing.assert_close(sin[100], torch.tensor([100.0, 10.0, 1.0, 0.1]).sin())
    quarter = torch.tensor([[0.0]]), torch.tensor([[1.0]])
    got = apply_rope(torch.tensor([[[[3.0, 1.0]]]]), *quarter)
    assert got.tolist() == [[[[-1.0, 3.0]]]]


# -- laws ------------------------------------------------------------------------------------


def test_place_0_turns_nothing(generator):
    x = torch.randn(2, 1, 3, 16, generator=generator)
    assert torch.equal(apply_rope(x, *tables([0], 16)), x)


def test_no_length_changes(generator):
    x = torch.randn(2, len(POSITIONS), 3, 16, generator=generator)
    y = apply_rope(x, *tables(POSITIONS, 16))
    before, after = (z.unflatten(-1, (-1, 2)).norm(dim=-1) for z in (x, y))  # of every pair
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("distance", [0, 1, 20, 100])
def test_a_score_depends_on_the_distance_only(distance, generator):
    q, k = torch.randn(2, 1, 1, 3, 32, generator=generator)
    scores = []
    for t in (0, 1, 57, 1000, 3995):
        turned_q = apply_rope(q, *tables([t + distance], 32))
        turned_k = apply_rope(k, *tables([t], 32))
        scores.append((turned_q * turned_k).sum(-1))
    for score in scores[1:]:
        torch.testing.assert_close(score, scores[0], rtol=1e-3, atol=5e-3)
    behind = (apply_rope(q, *tables([0], 32)) * apply_rope(k, *tables([distance], 32))).sum(-1)
    assert (distance == 0) == torch.allclose(behind, scores[0], atol=1e-2)


def test_turns_add_up(generator):
    x = torch.randn(2, 1, 3, 16, generator=generator)
    twice = apply_rope(apply_rope(x, *tables([57], 16)), *tables([1000], 16))
    torch.testing.assert_close(twice, apply_rope(x, *tables([1057], 16)), rtol=1e-3, atol=1e-3)


def test_a_token_alone_is_the_token_in_its_text(generator):
    x = torch.randn(2, 57, 3, 16, generator=generator)
    cos, sin = rope_table(16, 57)
    whole = apply_rope(x, cos, sin)
    assert torch.equal(apply_rope(x[:, 56:], cos[56:], sin[56:]), whole[:, 56:])


@pytest.mark.parametrize("batch, length, heads", [(3, 4, 2), (3, 3, 3), (2, 1, 5)])
def test_each_row_may_have_places_of_its_own(batch, length, heads, generator):
    x = torch.randn(batch, length, heads, 8, generator=generator)
    places = torch.arange(length) + torch.tensor([0, 17, 300])[:batch, None]
    cos, sin = rope_table(8, 400)
    got = apply_rope(x, cos[places], sin[places])
    for row in range(batch):
        alone = apply_rope(x[row : row + 1], cos[places[row]], sin[places[row]])
        assert torch.equal(got[row : row + 1], alone)


def test_heads_turn_alike(generator):
    x = torch.randn(2, 4, 4, 8, generator=generator)  # T = H, where axes may be confused
    cos, sin = tables([3, 4, 5, 6], 8)
    together = apply_rope(x, cos, sin)
    for head in range(4):
        assert torch.equal(
            together[:, :, head : head + 1], apply_rope(x[:, :, head : head + 1], cos, sin)
        )


# -- dtypes and gradients --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", HALF)
def test_half_precision_is_rounded_once(dtype, generator):
    x = torch.randn(2, len(POSITIONS), 3, 64, generator=generator).to(dtype)
    cos, sin = tables(POSITIONS, 64)
    got = apply_rope(x, cos, sin)
    want = apply_rope(x.double(), cos.double(), sin.double()).to(dtype)
    assert got.dtype == dtype
    assert (got != want).double().mean() < 0.001  # float32's own rounding, on a tie
    all_in_half = apply_rope(x.double(), cos.to(dtype).double(), sin.to(dtype).double()).to(dtype)
    assert (got != all_in_half).double().mean() > 0.1


def test_the_gradient_is_turned_back(generator):
    x = torch.randn(2, 3, 2, 8, generator=generator).requires_grad_()
    cos, sin = tables([5, 6, 7], 8)
    g = torch.randn(x.shape, generator=generator)
    apply_rope(x, cos, sin).backward(g)
    torch.testing.assert_close(x.grad, apply_rope(g, cos, -sin))


def test_gradients(generator):
    x = torch.randn(2, 3, 2, 4, generator=generator).double().requires_grad_()
    angle = angles([5, 6, 7], 4, 10_000.0)
    assert torch.autograd.gradcheck(apply_rope, (x, angle.cos(), angle.sin()))


def test_the_input_is_left_alone(generator):
    x = torch.randn(2, 3, 2, 8, generator=generator)
    cos, sin = tables([5, 6, 7], 8)
    before = x.clone(), cos.clone(), sin.clone()
    apply_rope(x, cos, sin)
    assert all(torch.equal(a, b) for a, b in zip((x, cos, sin), before))


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 4), (3, 8), (3, 2), (4,), (1, 4)])
def test_a_table_of_another_shape_is_refused_with_both_shapes(shape):
    table = torch.ones(shape)
    with pytest.raises(ValueError) as caught:
        apply_rope(torch.ones(2, 3, 5, 8), table, table)
    assert "(2, 3, 5, 8)" in str(caught.value) and str(shape) in str(caught.value)


def test_cos_and_sin_of_different_shapes_are_refused():
    with pytest.raises(ValueError, match="cos and sin"):
        apply_rope(torch.ones(2, 3, 5, 8), torch.ones(3, 4), torch.ones(2, 3, 4))


def test_x_without_an_axis_for_heads_is_refused():
    with pytest.raises(ValueError, match=r"\(3, 5, 8\)"):
        apply_rope(torch.ones(3, 5, 8), torch.ones(5, 4), torch.ones(5, 4))


@pytest.mark.parametrize("head_dim", [0, 1, 7, -2])
def test_an_odd_head_is_refused(head_dim):
    with pytest.raises(ValueError, match=f"head_dim={head_dim}"):
        rope_table(head_dim, 4)


@pytest.mark.parametrize("size, theta", [(0, 10_000.0), (4, 0.0), (4, -1.0), (4, math.nan)])
def test_no_positions_and_no_theta_are_refused(size, theta):
    with pytest.raises(ValueError, match="must be positive"):
        rope_table(8, size, theta)
