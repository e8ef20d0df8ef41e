"""Notebook 05, exercise 2: SwiGLU."""

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb05.common import _weights
from llamalab.layers import swiglu as package_swiglu

wrong = WrongAnswers()


def swiglu(x, w1, w2, w3):
    gate = x @ w1.T  # (..., hidden)
    up = x @ w3.T  # (..., hidden)
    return (gate * torch.sigmoid(gate) * up) @ w2.T  # (..., D)


def _powers_of_two(*size, generator):
    """Signed powers of two: products of them round nowhere."""
    exponents = torch.randint(-1, 2, size, generator=generator)
    signs = 2 * torch.randint(0, 2, size, generator=generator) - 1
    return signs * 2.0**exponents


def _half_swiglu_probe(dim, hidden, generator, dtype):
    """Each x has a single number that is not 0, so that no order of summation is at issue."""
    place = torch.randint(0, dim, (3, 11, 1), generator=generator)
    x = torch.zeros(3, 11, dim).scatter_(2, place, _powers_of_two(3, 11, 1, generator=generator))
    w1 = _powers_of_two(hidden, dim, generator=generator)
    w3 = _powers_of_two(hidden, dim, generator=generator)
    w2 = torch.randn(dim, hidden, generator=generator)
    return tuple(t.to(dtype) for t in (x, w1, w2, w3))


def _swiglu_probes():
    """All sizes different; a square where every axis has size 4 and a transposed matrix fits; a
    single vector; a gradient; float64; and half precision, without a sum that could round."""
    g = seeded(51)
    return [
        (1.5 * torch.randn(2, 3, 5, generator=g), *_weights(5, 7, g)),
        (1.5 * torch.randn(2, 4, 4, generator=g), *_weights(4, 4, g)),
        (torch.randn(6, generator=g), *_weights(6, 9, g)),
        (torch.randn(2, 5, 3, generator=g).requires_grad_(), *_weights(3, 8, g)),
        tuple(t.double() for t in (torch.randn(3, 2, 2, 4, generator=g), *_weights(4, 11, g))),
        _half_swiglu_probe(6, 10, g, torch.bfloat16),
        _half_swiglu_probe(5, 12, g, torch.float16),
    ]


@wrong(
    "You bent w3's branch and left w1's straight. Fresh weights would not mind; Llama 2's were "
    "trained with w1 as the gate (Hugging Face: gate_proj), w3 as the value (up_proj)."
)
def gate_and_up_swapped(x, w1, w2, w3):
    return (F.silu(x @ w3.T) * (x @ w1.T)) @ w2.T


@wrong(
    "You read the numbers as gate, up, down. Meta's are w1 gate, w2 down, w3 up: think of the "
    "old layer's w1 and w2, with w3 as the newcomer."
)
def takes_w2_for_up(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * (x @ w2.T)) @ w3.T


@wrong(
    "You put SiLU on both branches. Only the gate is bent: the value must be free to be any "
    "number, negative ones too."
)
def silu_on_both(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * F.silu(x @ w3.T)) @ w2.T


@wrong(
    "You multiplied first and applied SiLU to the product. The gate is decided by w1 x alone; "
    "bend it before it meets the value."
)
def silu_after_the_product(x, w1, w2, w3):
    return F.silu((x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "You applied SiLU to what the layer writes out. It stands in the middle, on the gate; the "
    "residual stream must be free to go down as far as up."
)
def silu_at_the_end(x, w1, w2, w3):
    return F.silu(((x @ w1.T) * (x @ w3.T)) @ w2.T)


@wrong(
    "That is the plain GLU: its gate is a sigmoid, a share from 0 to 1. In SwiGLU the gate is "
    "SiLU of w1 x, which grows without limit."
)
def sigmoid_for_silu(x, w1, w2, w3):
    return (torch.sigmoid(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "That is GEGLU, GELU on the gate: Gemma's choice. Llama 2 has SiLU there, and its weights "
    "expect it."
)
def gelu_for_silu(x, w1, w2, w3):
    return (F.gelu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "That is ReGLU: your gate is cut at 0. Llama 2's is SiLU, which lets small negative numbers by."
)
def relu_for_silu(x, w1, w2, w3):
    return (F.relu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "Your gate has no SiLU: what is left is the product of two projections, a bilinear layer. "
    "Some models live well with it; Llama 2's weights were not trained for it."
)
def no_activation(x, w1, w2, w3):
    return ((x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "Your gates compete in a softmax and add up to 1 over the hidden numbers. Each gate decides"
    " alone, from its own number."
)
def softmax_gate(x, w1, w2, w3):
    return (torch.softmax(x @ w1.T, -1) * (x @ w3.T)) @ w2.T


@wrong(
    "You left w3 out: that is the old layer of two matrices. A third of the parameters would "
    "never be used."
)
def no_gate(x, w1, w2, w3):
    return F.silu(x @ w1.T) @ w2.T


@wrong("You added the branches. A gate multiplies: only so can one projection silence the other.")
def adds_the_two(x, w1, w2, w3):
    return (F.silu(x @ w1.T) + x @ w3.T) @ w2.T


@wrong(
    "You stopped at the hidden size. w2 brings it down to D again, or it cannot be added to the"
    " stream."
)
def stays_up(x, w1, w2, w3):
    return F.silu(x @ w1.T) * (x @ w3.T)


@wrong("You added x. The block does that, around the layer: here it would come in twice.")
def adds_the_residual(x, w1, w2, w3):
    return x + (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "The matrices are stored (out, in), as torch's Linear stores them, so `x @ w` wants `w.T`. "
    "With square matrices the mistake runs and gives other numbers."
)
def nothing_transposed(x, w1, w2, w3):
    return (F.silu(x @ w1) * (x @ w3)) @ w2


@wrong(
    "w1 and w3 are turned and w2 is not. It too is stored (out, in), here (D, hidden): all "
    "three need `.T`."
)
def w2_not_transposed(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2


@wrong(
    "You wrote w x as on paper. That is right for one vector in a column; a batch holds its "
    "vectors in rows, (..., D), and the matrix goes to the right, turned."
)
def weights_from_the_left(x, w1, w2, w3):
    return w2 @ (F.silu(w1 @ x) * (w3 @ x))


@wrong(
    "In float32 the values are right. In 16 bits each step of your written-out sigmoid is "
    "rounded, and a large negative gate overflows; `F.silu` rounds once."
)
def writes_the_sigmoid_out(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate / (1 + torch.exp(-gate)) * (x @ w3.T)) @ w2.T


@wrong(
    "float32 came out, whatever went in. A half-precision model stops at the next product: keep"
    " x's dtype."
)
def comes_out_wide(x, w1, w2, w3):
    x, w1, w2, w3 = (t if t.dtype == torch.float64 else t.float() for t in (x, w1, w2, w3))
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "You computed all of it in float32 and cast back at the end. It is a little more exact and "
    "not what Llama 2 does, and it makes a float32 copy of three large matrices. The products "
    "keep their sums in float32 by themselves."
)
def widens_everything(x, w1, w2, w3):
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    narrow, (x, w1, w2, w3) = x.dtype, (t.to(wide) for t in (x, w1, w2, w3))
    return ((F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T).to(narrow)


@wrong(
    "The values are right, but no gradient can flow: with `no_grad` this layer, two thirds of "
    "the model, would never learn."
)
def cuts_the_gate_off(x, w1, w2, w3):
    with torch.no_grad():
        return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


EXERCISE = Exercise(
    name="swiglu",
    title="SwiGLU",
    points=2,
    minutes=10,
    answer=swiglu,
    reference=package_swiglu,
    probes=_swiglu_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Three products, one SiLU, one multiplication. On paper: y = w2 (silu(w1 x) * w3 x). "
        "Which of the two branches is bent, and before or after they meet?",
        "The matrices are (out, in) and x is (..., D): each product has x on the left and the "
        "matrix, turned on its side, on the right. Name the two branches before you join them.",
        "Gate and up both have the shape (..., hidden). Bend the gate, multiply number by "
        "number (`*`), and take the result down with the turned w2. Convert nothing.",
    ),
)
