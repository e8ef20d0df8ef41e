"""swiglu against transformers and plain torch, in every precision; its laws and its refusals;
the hidden size against the published ones."""

import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from llamalab.config import LlamaConfig, ffn_hidden_dim
from llamalab.layers import swiglu

SHAPES = [((2, 3, 5), 7), ((4, 4), 4), ((6,), 9), ((2, 1, 3, 5), 3)]


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def inputs(generator, size, hidden, dtype=torch.float64):
    dim = size[-1]
    shapes = (size, (hidden, dim), (dim, hidden), (hidden, dim))
    made = [torch.randn(shape, generator=generator).double() for shape in shapes]
    return [t.to(dtype) for t in made]


# -- against others --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("size, hidden", SHAPES)
def test_it_is_transformers_llama_mlp(size, hidden, dtype, generator):
    transformers = pytest.importorskip("transformers")
    from transformers.models.llama.modeling_llama import LlamaMLP

    x, w1, w2, w3 = inputs(generator, size, hidden, dtype)
    config = transformers.LlamaConfig(
        hidden_size=size[-1], intermediate_size=hidden, num_attention_heads=1, head_dim=2
    )
    assert config.hidden_act == "silu" and not config.mlp_bias
    mlp = LlamaMLP(config).to(dtype)
    names = {"gate_proj": w1, "down_proj": w2, "up_proj": w3}
    mlp.load_state_dict({f"{name}.weight": w for name, w in names.items()})
    with torch.no_grad():
        torch.testing.assert_close(swiglu(x, w1, w2, w3), mlp(x), rtol=0, atol=0)


@pytest.mark.parametrize("size, hidden", SHAPES)
def test_it_is_torchs_modules_put_together(size, hidden, generator):
    x, w1, w2, w3 = inputs(generator, size, hidden)
    gate, down, up = (nn.Linear(w.shape[1], w.shape[0], bias=False) for w in (w1, w2, w3))
    for linear, w in zip((gate, down, up), (w1, w2, w3)):
        linear.weight = nn.Parameter(w)
    with torch.no_grad():
        want = down(nn.SiLU()(gate(x)) * up(x))
    torch.testing.assert_close(swiglu(x, w1, w2, w3), want, rtol=1e-12, atol=1e-12)


def test_by_hand():
    x, w1 = torch.tensor([1.0, 2.0]), torch.tensor([[1.0, 1.0], [1.0, -2.0]])
    w2, w3 = torch.tensor([[1.0, 1.0], [1.0, -1.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0]])
    first = 3 / (1 + math.exp(-3)) * 2
    second = -3 / (1 + math.exp(3)) * 6
    want = torch.tensor([first + second, first - second])
    torch.testing.assert_close(swiglu(x, w1, w2, w3), want)


# -- laws ------------------------------------------------------------------------------------


def test_two_hidden_numbers_multiply_exactly(generator):
    x = 5 * torch.randn(50, 2, generator=generator).double()
    w1, w3, w2 = ([[1, 0], [-1, 0]], [[0, 1], [0, 1]], [[1, -1], [0, 0]])
    w1, w2, w3 = (torch.tensor(w).double() for w in (w1, w2, w3))
    got = swiglu(x, w1, w2, w3)[:, 0]
    torch.testing.assert_close(got, x[:, 0] * x[:, 1], rtol=1e-12, atol=1e-12)


def test_up_and_down_are_straight_and_the_gate_is_not(generator):
    x, w1, w2, w3 = inputs(generator, (2, 3, 5), 7)
    y = swiglu(x, w1, w2, w3)
    for scaled in ((x, w1, w2 / 4, w3), (x, w1, w2, w3 / 4)):
        torch.testing.assert_close(swiglu(*scaled), y / 4)
    assert not torch.allclose(swiglu(x, w1 / 4, w2, w3), y / 4, rtol=0.01)
    assert not torch.allclose(swiglu(x, w3, w2, w1), y, rtol=0.01)


def test_every_token_goes_alone(generator):
    x, *weights = inputs(generator, (2, 3, 5), 7)
    changed = x.clone()
    changed[1, 2] += 1
    moved = (swiglu(changed, *weights) - swiglu(x, *weights)).abs().amax(-1) > 0
    assert moved.nonzero().tolist() == [[1, 2]]


def test_extreme_gates_stay_finite_and_have_a_gradient():
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.tensor([[-1000.0], [0.0], [1000.0]], dtype=dtype, requires_grad=True)
        one = torch.ones(1, 1, dtype=dtype)
        y = swiglu(x, one, one, one)
        y.sum().backward()
        assert y.isfinite().all() and x.grad.isfinite().all()
        assert y[0].abs() < 1e-6 and y[2] > 9e5


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_the_dtype_and_the_inputs_are_kept(dtype, generator):
    given = inputs(generator, (2, 3, 5), 7, dtype)
    before = [t.clone() for t in given]
    y = swiglu(*given)
    assert y.dtype == dtype and y.shape == (2, 3, 5)
    assert all(torch.equal(now, was) for now, was in zip(given, before))


def test_half_precision_is_near_the_truth(generator):
    given = inputs(generator, (8, 16, 64), 96, torch.bfloat16)
    want = swiglu(*(t.double() for t in given))
    gap = (swiglu(*given).double() - want).norm() / want.norm()
    assert gap < 2 * torch.finfo(torch.bfloat16).eps


def test_gradients(generator):
    given = [t.requires_grad_() for t in inputs(generator, (2, 3, 5), 7)]
    assert torch.autograd.gradcheck(swiglu, given)


def test_it_is_not_one_of_its_cousins(generator):
    x, w1, w2, w3 = inputs(generator, (2, 3, 5), 7)
    y, gate, up = swiglu(x, w1, w2, w3), F.linear(x, w1), F.linear(x, w3)
    for bend in (torch.sigmoid, F.gelu, F.relu, F.mish, lambda z: z):
        assert not torch.allclose(F.linear(bend(gate) * up, w2), y, rtol=0.01)


# -- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, w1, w2, w3",
    [
        ((2, 5), (7, 5), (7, 5), (7, 5)),  # w2 not turned
        ((2, 5), (5, 7), (7, 5), (5, 7)),  # all of them stored (in, out)
        ((2, 5), (7, 5), (5, 7), (8, 5)),
        ((2, 6), (7, 5), (5, 7), (7, 5)),
        ((2, 5), (7, 5), (5, 8), (7, 5)),
    ],
)
def test_shapes_that_do_not_fit_are_refused_with_all_of_them(x, w1, w2, w3):
    with pytest.raises(ValueError) as caught:
        swiglu(*(torch.ones(size) for size in (x, w1, w2, w3)))
    assert all(str(size) in str(caught.value) for size in (x, w1, w2, w3))


def test_empty_inputs():
    assert swiglu(torch.ones(0, 3, 5), *map(torch.ones, ((7, 5), (5, 7), (7, 5)))).numel() == 0


# -- the hidden size -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, hidden, parameters",
    [
        ("llama-2-7b", 11008, 135_266_304),
        ("llama-2-13b", 13824, 212_336_640),
        ("llama-2-34b", 22016, 541_065_216),
        ("llama-2-70b", 28672, 704_643_072),
    ],
)
def test_published_hidden_sizes(name, hidden, parameters):
    config = LlamaConfig.from_name(name)
    assert config.hidden_dim == hidden
    assert 3 * config.dim * config.hidden_dim == parameters
    rule = ffn_hidden_dim(config.dim, config.multiple_of, config.ffn_dim_multiplier)
    assert rule == hidden


@pytest.mark.parametrize("multiple_of", [1, 7, 32, 256])
def test_two_thirds_in_exact_arithmetic(multiple_of):
    for dim in range(1, 600):
        hidden = ffn_hidden_dim(dim, multiple_of)
        whole = math.floor(Fraction(8 * dim, 3))
        assert hidden % multiple_of == 0 and whole <= hidden < whole + multiple_of


def test_each_step_is_cut_off_before_the_next():
    assert ffn_hidden_dim(97, 1, 1.3) == 335  # 258.67 -> 258; 335.4 -> 335. In one go: 336
    assert ffn_hidden_dim(98, 1, 1.7) == 443  # 261.33 -> 261; 443.7 -> 443. Rounded: 444
    assert ffn_hidden_dim(192, 32) == 512  # a multiple already
