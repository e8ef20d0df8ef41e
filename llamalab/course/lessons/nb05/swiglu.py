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
    """Each x has a single number that is not 0, and each number that comes out is made of a single
    hidden one, all of them powers of two: SiLU alone rounds, and there is no order of summation.
    So 16 bits throughout and float32 with a cast at the end give the same numbers."""
    place = torch.randint(0, dim, (3, 11, 1), generator=generator)
    x = torch.zeros(3, 11, dim).scatter_(2, place, _powers_of_two(3, 11, 1, generator=generator))
    w1 = _powers_of_two(hidden, dim, generator=generator)
    w3 = _powers_of_two(hidden, dim, generator=generator)
    read = torch.randperm(hidden, generator=generator)[:dim, None]
    w2 = torch.zeros(dim, hidden).scatter_(1, read, _powers_of_two(dim, 1, generator=generator))
    return tuple(t.to(dtype) for t in (x, w1, w2, w3))


def _swiglu_probes():
    """All sizes different; a square where every axis has size 4 and a transposed matrix fits; a
    single vector; a gradient; float64; half precision, without a sum that could round; gates of
    150 and more on both sides; axes of size 1; x and a matrix that lie transposed; no token."""
    g = seeded(51)
    wide = torch.tensor([[150.0, -150.0, 400.0], [-900.0, 89.0, -104.0]])
    lying = torch.randn(4, 3, 2, generator=g).transpose(0, 2)  # (2, 3, 4)
    w1, w2, w3 = _weights(4, 6, g)
    return [
        (1.5 * torch.randn(2, 3, 5, generator=g), *_weights(5, 7, g)),
        (1.5 * torch.randn(2, 4, 4, generator=g), *_weights(4, 4, g)),
        (torch.randn(6, generator=g), *_weights(6, 9, g)),
        (torch.randn(2, 5, 3, generator=g).requires_grad_(), *_weights(3, 8, g)),
        tuple(t.double() for t in (torch.randn(3, 2, 2, 4, generator=g), *_weights(4, 11, g))),
        _half_swiglu_probe(6, 10, g, torch.bfloat16),
        _half_swiglu_probe(5, 12, g, torch.float16),
        (wide, torch.eye(3), *_weights(3, 3, g)[1:]),
        (torch.randn(1, 1, 5, generator=g), *_weights(5, 3, g)),
        (lying, w1, w2.T.contiguous().T, w3),
        (torch.zeros(0, 4), *_weights(4, 6, g)),
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


WIDE = (
    "float32 came out, whatever went in. A half-precision model stops at the next product: keep "
    "x's dtype."
)


@wrong(WIDE)
def comes_out_in_float32(x, w1, w2, w3):
    x, w1, w2, w3 = x.float(), w1.float(), w2.float(), w3.float()
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "The values are right, but the tokens were laid in one row, (B T, D), and stayed so. The block "
    "adds what comes out to its stream: give it x's own shape, `(..., D)`."
)
def stays_flat(x, w1, w2, w3):
    x = x.reshape(-1, x.shape[-1])
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(WIDE)
def comes_out_wide(x, w1, w2, w3):
    x, w1, w2, w3 = (t if t.dtype == torch.float64 else t.float() for t in (x, w1, w2, w3))
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "The values are right, but no gradient can flow: with `no_grad` this layer, two thirds of "
    "the model, would never learn."
)
def cuts_the_gate_off(x, w1, w2, w3):
    with torch.no_grad():
        return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong("You left w1 out: that is the old layer of two matrices, made of w3 and w2. w1 is the gate.")
def no_w1(x, w1, w2, w3):
    return F.silu(x @ w3.T) @ w2.T


@wrong("Gate and value both come from w1. w3 makes the value; yours is never used.")
def w1_for_both(x, w1, w2, w3):
    gate = x @ w1.T
    return (F.silu(gate) * gate) @ w2.T


@wrong("Gate and value both come from w3. w1 makes the gate; yours is never used.")
def w3_for_both(x, w1, w2, w3):
    up = x @ w3.T
    return (F.silu(up) * up) @ w2.T


@wrong("You bent x and projected it then. The gate is w1 x, and that is what is bent.")
def bends_x(x, w1, w2, w3):
    return ((F.silu(x) @ w1.T) * (x @ w3.T)) @ w2.T


@wrong("You bent the weights of w1. What is bent is what the matrix makes of x, w1 x.")
def bends_the_weights(x, w1, w2, w3):
    return ((x @ F.silu(w1).T) * (x @ w3.T)) @ w2.T


@wrong("You normalised x first. The block has done that before it calls the layer.")
def norms_x_first(x, w1, w2, w3):
    x = F.rms_norm(x, x.shape[-1:], eps=1e-5)
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong(
    "You bent the gate in float32 and cast back. In 16 bits that changes nothing, since torch's "
    "SiLU rounds once by itself, and of a float64 it loses half the digits."
)
def bends_in_float32(x, w1, w2, w3):
    gate = F.silu((x @ w1.T).float()).to(x.dtype)
    return (gate * (x @ w3.T)) @ w2.T


@wrong(
    "You computed all of it in float32 and cast back. For 16 bits that is as good; a float64 loses "
    "half its digits on the way. Convert nothing: every product keeps the dtype that came in."
)
def all_in_float32_and_back(x, w1, w2, w3):
    narrow = x.dtype
    x, w1, w2, w3 = x.float(), w1.float(), w2.float(), w3.float()
    return ((F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T).to(narrow)


@wrong(
    "You made gate and product in float32 and cast back. Llama 2 stays in the dtype that came in, "
    "and of a float64 yours loses half the digits."
)
def gates_in_float32(x, w1, w2, w3):
    hidden = F.silu((x @ w1.T).float()) * (x @ w3.T).float()
    return hidden.to(x.dtype) @ w2.T


@wrong("Your gate is a tanh, from -1 to 1. Llama 2's is SiLU, z times the sigmoid of z.")
def tanh_for_silu(x, w1, w2, w3):
    return (torch.tanh(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong("Your gate is Mish, z tanh(softplus(z)). Llama 2's is SiLU, z times the sigmoid of z.")
def mish_for_silu(x, w1, w2, w3):
    return (F.mish(x @ w1.T) * (x @ w3.T)) @ w2.T


@wrong("The 1.702 makes the sigmoid imitate GELU. SiLU has no factor inside.")
def quick_gelu_for_silu(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate * torch.sigmoid(1.702 * gate) * (x @ w3.T)) @ w2.T


@wrong("That is GEGLU in the form with tanh: Gemma's choice. Llama 2 has SiLU there.")
def gelu_by_tanh_for_silu(x, w1, w2, w3):
    return (F.gelu(x @ w1.T, approximate="tanh") * (x @ w3.T)) @ w2.T


@wrong("You squared a ReLU, as Primer does. Llama 2's gate is SiLU of w1 x.")
def squared_relu_for_silu(x, w1, w2, w3):
    return (F.relu(x @ w1.T).square() * (x @ w3.T)) @ w2.T


@wrong(
    "You clamped the gate. SiLU needs no such help, and far to the right it is an amplifier: a "
    "gate of 150 lets 150 times the value pass."
)
def clamps_the_gate(x, w1, w2, w3):
    return (F.silu((x @ w1.T).clamp(-30, 30)) * (x @ w3.T)) @ w2.T


@wrong(
    "⊙ is number by number, `*` in Python. With `@` you multiplied gate and value as matrices, "
    "which runs by accident where there are as many tokens as hidden numbers."
)
def matrix_product_for_the_gate(x, w1, w2, w3):
    return (F.silu(x @ w1.T) @ (x @ w3.T)) @ w2.T


@wrong(
    "`squeeze()` took away an axis of size 1 that belongs to the caller: one token alone, or a "
    "batch of one, comes back with an axis missing, and the block's sum goes wrong."
)
def squeezes(x, w1, w2, w3):
    return ((F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T).squeeze()


@wrong(
    "`view` only works where the numbers lie one after another, and a transposed tensor's do not. "
    "`@` takes any number of axes in front; there is no need to flatten."
)
def flattens_by_view(x, w1, w2, w3):
    rows = x.view(-1, x.shape[-1])
    return ((F.silu(rows @ w1.T) * (rows @ w3.T)) @ w2.T).view(x.shape)


@wrong(
    "You unpacked x's shape into three names. x is (..., D): a single vector has one axis and some "
    "batches have four. `@` does not mind; nor need you."
)
def unpacks_three_axes(x, w1, w2, w3):
    B, T, D = x.shape
    return ((F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T).reshape(B, T, D)


@wrong(
    "Your einsum wants exactly three axes. x is (..., D): write `...` for those in front, or use "
    "`@`, which does not mind."
)
def einsum_of_three_axes(x, w1, w2, w3):
    gate = F.silu(torch.einsum("btd,hd->bth", x, w1))
    return torch.einsum("bth,dh->btd", gate * torch.einsum("btd,hd->bth", x, w3), w2)


@wrong(
    "You turned x and multiplied from the left, as on paper. It fits where x has two axes or more, "
    "and stops at a single vector: keep x on the left, and turn the matrix."
)
def turns_x_by_transpose(x, w1, w2, w3):
    column = x.transpose(-1, -2)
    return (w2 @ (F.silu(w1 @ column) * (w3 @ column))).transpose(-1, -2)


@wrong(
    "`x.T` turns all axes round, the batch's too, and the result was not turned back. Keep x on "
    "the left of each product and turn the matrix: `x @ w1.T`."
)
def turns_x_by_T(x, w1, w2, w3):
    return w2 @ (F.silu(w1 @ x.T) * (w3 @ x.T))


def _answer(x, w1, w2, w3, *, gate_x=None, up_x=None):
    """The right answer, with a copy of x of their own for the two branches."""
    gate = (x if gate_x is None else gate_x) @ w1.T
    return (F.silu(gate) * ((x if up_x is None else up_x) @ w3.T)) @ w2.T


@wrong(
    "The values are right, but w1 was cut off (`.data` or `detach`, or a fresh Linear that took "
    "over its numbers): the gate would never learn."
)
def w1_cut_off(x, w1, w2, w3):
    return _answer(x, w1.detach(), w2, w3)


@wrong(
    "The values are right, but w2 was cut off (`.data` or `detach`, or a fresh Linear that took "
    "over its numbers): the way down would never learn."
)
def w2_cut_off(x, w1, w2, w3):
    return _answer(x, w1, w2.detach(), w3)


@wrong(
    "The values are right, but w3 was cut off (`.data` or `detach`, or a fresh Linear that took "
    "over its numbers): the way up would never learn."
)
def w3_cut_off(x, w1, w2, w3):
    return _answer(x, w1, w2, w3.detach())


@wrong(
    "You wrapped the weights in new Parameters. They have the same numbers, and the gradient ends "
    "in the wrappers: the model's own weights would never learn. Use the tensors as they come."
)
def wraps_the_weights_anew(x, w1, w2, w3):
    return _answer(x, w1.detach(), w2.detach(), w3.detach())


@wrong(
    "The values are right, but x was detached on the road through the gate: layers below learn "
    "only what the value road tells them."
)
def x_cut_off_at_the_gate(x, w1, w2, w3):
    return _answer(x, w1, w2, w3, gate_x=x.detach())


@wrong(
    "The values are right, but x was detached on the road through w3: layers below learn only what "
    "the gate road tells them."
)
def x_cut_off_at_the_value(x, w1, w2, w3):
    return _answer(x, w1, w2, w3, up_x=x.detach())


@wrong(
    "The values are right, but the gate was made without gradient (`detach` or `no_grad`): w1 "
    "would never learn, and x has lost one of its two roads."
)
def gate_cut_off(x, w1, w2, w3):
    return _answer(x, w1.detach(), w2, w3, gate_x=x.detach())


@wrong(
    "The values are right, but the value was made without gradient (`detach` or `no_grad`): w3 "
    "would never learn, and x has lost one of its two roads."
)
def value_cut_off(x, w1, w2, w3):
    return _answer(x, w1, w2, w3.detach(), up_x=x.detach())


@wrong(
    "The values are right, but the sigmoid inside the gate was detached: of SiLU's slope only the "
    "first term is left, 0.269 for 0.072 at -1."
)
def sigmoid_cut_off(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate * torch.sigmoid(gate.detach()) * (x @ w3.T)) @ w2.T


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
