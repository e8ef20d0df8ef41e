"""Notebook 05, exercise 4: SwiGLU backwards."""

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb05.common import _weights

wrong = WrongAnswers()


def swiglu_backward(x, w1, w2, w3, grad_out):
    gate, up = x @ w1.T, x @ w3.T  # (..., hidden) each
    open_ = torch.sigmoid(gate)
    passed = gate * open_  # silu(gate)
    pull = grad_out @ w2  # (..., hidden)
    grad_gate = pull * up * open_ * (1 + gate * (1 - open_))
    grad_up = pull * passed
    rows = x.reshape(-1, x.shape[-1])  # (N, D): every token a row
    grad_x = grad_gate @ w1 + grad_up @ w3
    grad_w1 = grad_gate.reshape(-1, w1.shape[0]).T @ rows
    grad_w3 = grad_up.reshape(-1, w1.shape[0]).T @ rows
    hidden = (passed * up).reshape(-1, w1.shape[0])
    grad_w2 = grad_out.reshape(-1, x.shape[-1]).T @ hidden
    return grad_x, grad_w1, grad_w2, grad_w3


def _swiglu_backward_reference(x, w1, w2, w3, grad_out):
    leaves = [t.clone().requires_grad_() for t in (x, w1, w2, w3)]
    x, w1, w2, w3 = leaves
    y = F.linear(F.silu(F.linear(x, w1)) * F.linear(x, w3), w2)
    return torch.autograd.grad(y, leaves, grad_out)


def _swiglu_backward_probes():
    """In float64, so that only the mathematics can differ; a square; a single vector; gates of
    thousands, whose exponential overflows in float64 too; x and grad_out that lie transposed."""
    g = seeded(52)

    def probe(size, hidden):
        x, grad_out = (torch.randn(*size, generator=g) for _ in range(2))
        w1, w2, w3 = _weights(size[-1], hidden, g)
        return tuple(t.double() for t in (1.5 * x, 1.5 * w1, w2, w3, grad_out))

    x, *weights, grad_out = probe((2, 4, 3), 5)
    loud, *others = probe((2, 6), 3)
    return [
        probe((2, 3, 5), 7),
        probe((4, 4), 4),
        probe((2, 2, 3, 2), 6),
        probe((3,), 5),
        (2000 * loud, *others),
        (x.transpose(0, 1), *weights, grad_out.transpose(0, 1)),
        probe((1, 1, 2), 3),
    ]


def _right_slope(gate):
    open_ = torch.sigmoid(gate)
    return open_ * (1 + gate * (1 - open_))


def _pieces(x, w1, w2, w3, grad_out, slope=_right_slope):
    """The right gradients of gate and up, and the two branches: for what is spoiled below."""
    gate, up, pull = x @ w1.T, x @ w3.T, grad_out @ w2
    return gate, up, pull * up * slope(gate), pull * F.silu(gate)


def _over_tokens(left, right):
    """The gradient of a matrix: the sum over all tokens of the outer products."""
    return left.reshape(-1, left.shape[-1]).T @ right.reshape(-1, right.shape[-1])


def _with_slope(x, w1, w2, w3, grad_out, slope):
    gate, up, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out, slope)
    return (
        grad_gate @ w1 + grad_up @ w3,
        _over_tokens(grad_gate, x),
        _over_tokens(grad_out, F.silu(gate) * up),
        _over_tokens(grad_up, x),
    )


@wrong(
    "You took the sigmoid for SiLU's slope. z stands twice in z * sigmoid(z): you have the "
    "first road, and the one through the sigmoid is missing."
)
def slope_is_the_sigmoid(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, torch.sigmoid)


@wrong(
    "You took the sigmoid's slope, s(1 - s). SiLU is z times the sigmoid, so the product rule "
    "gives two terms, s + z s(1 - s)."
)
def slope_of_the_sigmoid(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (1 - z.sigmoid()))


@wrong(
    "You have z s(1 - s), the road through the sigmoid. The road through the z in front of it "
    "adds s."
)
def slope_without_the_first_road(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z * z.sigmoid() * (1 - z.sigmoid()))


@wrong(
    "You subtracted the second term of the slope. A larger z opens the gate wider: it comes in "
    "with a plus."
)
def slope_with_a_minus(x, w1, w2, w3, grad_out):
    def slope(z):
        return z.sigmoid() * (1 - z * (1 - z.sigmoid()))

    return _with_slope(x, w1, w2, w3, grad_out, slope)


@wrong(
    "Your second term is s(1 - s). It belongs to the sigmoid, and the sigmoid was multiplied by"
    " z: so is its slope."
)
def slope_without_z(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (2 - z.sigmoid()))


@wrong(
    "You used ReLU's slope, 0 or 1. SiLU is bent everywhere, and below -1.28 it even slopes the"
    " other way."
)
def slope_of_relu(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: (z > 0).to(z.dtype))


@wrong("You took the slope at silu(z) instead of at z: the slope belongs to what went in.")
def slope_at_the_bent_value(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: _right_slope(F.silu(z)))


@wrong(
    "You sent the gradient through SiLU as if it were not there. It is multiplied by SiLU's "
    "slope at each gate."
)
def no_slope(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, torch.ones_like)


@wrong(
    "The gate was multiplied by up on the way out, so on the way back its gradient is "
    "multiplied by up."
)
def no_up_on_the_way_to_the_gate(x, w1, w2, w3, grad_out):
    gate, up, _, grad_up = _pieces(x, w1, w2, w3, grad_out)
    grad_gate = grad_out @ w2 * _right_slope(gate)
    grad_w2 = _over_tokens(grad_out, F.silu(gate) * up)
    grad_x = grad_gate @ w1 + grad_up @ w3
    return grad_x, _over_tokens(grad_gate, x), grad_w2, _over_tokens(grad_up, x)


@wrong(
    "On the way out up was multiplied by silu(gate), not by the gate itself. So is its gradient."
)
def raw_gate_on_the_way_to_up(x, w1, w2, w3, grad_out):
    gate, up, grad_gate, _ = _pieces(x, w1, w2, w3, grad_out)
    grad_up = grad_out @ w2 * gate
    grad_w2 = _over_tokens(grad_out, F.silu(gate) * up)
    grad_x = grad_gate @ w1 + grad_up @ w3
    return grad_x, _over_tokens(grad_gate, x), grad_w2, _over_tokens(grad_up, x)


@wrong(
    "The matrices are right. grad_x has only the road through w3: x also moves the gate, and "
    "that road, through w1, adds its share."
)
def gate_held_constant(x, w1, w2, w3, grad_out):
    _, _, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_up @ w3, *right[1:]


@wrong(
    "The matrices are right. grad_x has only the road through the gate: x also moves up, and "
    "that road, through w3, adds its share."
)
def up_held_constant(x, w1, w2, w3, grad_out):
    _, _, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_gate @ w1, *right[1:]


@wrong(
    "The gradients of w1 and w3 have changed places. They have the same shape, so nothing but "
    "the values tells."
)
def w1_and_w3_swapped(x, w1, w2, w3, grad_out):
    grad_x, grad_w1, grad_w2, grad_w3 = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, grad_w3, grad_w2, grad_w1


@wrong("You returned gate, up, down. The order is w1, w2, w3, and w2 is the one that goes down.")
def handed_out_as_gate_up_down(x, w1, w2, w3, grad_out):
    grad_x, grad_w1, grad_w2, grad_w3 = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, grad_w1, grad_w3, grad_w2


@wrong(
    "Your gradients of the matrices are (in, out). A gradient has the shape of what it is the "
    "gradient of: (out, in)."
)
def gradients_on_their_side(x, w1, w2, w3, grad_out):
    grad_x, *weights = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, *(grad.T for grad in weights)


@wrong(
    "grad_x is right. You averaged the matrices' gradients over the tokens: each token pulls "
    "with its own strength, and the pulls add. If the loss is a mean, grad_out knows already."
)
def averaged_over_tokens(x, w1, w2, w3, grad_out):
    grad_x, *weights = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    tokens = x.numel() / x.shape[-1]
    return grad_x, *(grad / tokens for grad in weights)


def _outer(left, right):
    return left[..., :, None] * right[..., None, :]


@wrong(
    "grad_x is right. Each token still has its own gradient of every matrix; the matrices are "
    "shared, so these add up over all tokens."
)
def one_gradient_a_token(x, w1, w2, w3, grad_out):
    gate, up, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    grad_x = grad_gate @ w1 + grad_up @ w3
    grad_w2 = _outer(grad_out, F.silu(gate) * up)
    return grad_x, _outer(grad_gate, x), grad_w2, _outer(grad_up, x)


@wrong(
    "grad_x is right. You added over the tokens of a sentence and not over the batch: the same "
    "matrices serve all of them."
)
def one_gradient_a_sentence(x, w1, w2, w3, grad_out):
    grad_x, *weights = one_gradient_a_token(x, w1, w2, w3, grad_out)
    return grad_x, *(grad.sum(-3) if grad.ndim > 2 else grad for grad in weights)


@wrong(
    "grad_w2 pairs grad_out with what w2 was given, and that is silu(gate) * up. You left up out."
)
def w2_without_the_value(x, w1, w2, w3, grad_out):
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    gate = F.silu(x @ w1.T)
    return right[0], right[1], _over_tokens(grad_out, gate), right[3]


@wrong(
    "grad_w2 pairs grad_out with what w2 was given. You multiplied up by the gate as it was "
    "before SiLU."
)
def w2_without_silu(x, w1, w2, w3, grad_out):
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    hidden = (x @ w1.T) * (x @ w3.T)
    return right[0], right[1], _over_tokens(grad_out, hidden), right[3]


@wrong(
    "You took the slope s (1 + gate s). What stands behind gate is the sigmoid's own slope over s, "
    "1 - s: s (1 + gate (1 - s))."
)
def slope_without_one_minus(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (1 + z * z.sigmoid()))


@wrong(
    "You used s (1 - s) with silu(gate) for s. The formula is s + gate s (1 - s), where s is the "
    "sigmoid of the gate, everywhere."
)
def slope_from_silu(x, w1, w2, w3, grad_out):
    def slope(z):
        return z.sigmoid() + F.silu(z) * (1 - F.silu(z))

    return _with_slope(x, w1, w2, w3, grad_out, slope)


@wrong(
    "In SiLU's slope stands 1 - s, with a minus: you have 1 + s. (In silu(z) form it is "
    "s + silu(z) (1 - s).)"
)
def slope_with_one_plus_s(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (1 + z * (1 + z.sigmoid())))


@wrong("Your slope is that of GELU. Llama 2's gate is SiLU: s + gate s (1 - s).")
def slope_of_gelu(x, w1, w2, w3, grad_out):
    def slope(z):
        bell = torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5
        return (1 + torch.erf(z / 2**0.5)) / 2 + z * bell

    return _with_slope(x, w1, w2, w3, grad_out, slope)


@wrong(
    "exp(gate) is infinite for a large gate, and infinity over infinity is nan. `torch.sigmoid` is "
    "safe on both sides: use it, on the way back as on the way out."
)
def exponentials_of_the_gate(x, w1, w2, w3, grad_out):
    def open_(z):
        return torch.exp(z) / (1 + torch.exp(z))

    gate, up, pull = x @ w1.T, x @ w3.T, grad_out @ w2
    grad_gate = pull * up * open_(gate) * (1 + gate * (1 - open_(gate)))
    grad_up = pull * gate * open_(gate)
    return (
        grad_gate @ w1 + grad_up @ w3,
        _over_tokens(grad_gate, x),
        _over_tokens(grad_out, gate * open_(gate) * up),
        _over_tokens(grad_up, x),
    )


@wrong(
    "You wrote the sigmoid's slope as e^-z / (1 + e^-z)². For a large negative gate that is "
    "infinity over infinity: nan. As s (1 - s) it is the same on paper and safe."
)
def slope_by_exponentials(x, w1, w2, w3, grad_out):
    def slope(z):
        return z.sigmoid() + z * torch.exp(-z) / (1 + torch.exp(-z)) ** 2

    return _with_slope(x, w1, w2, w3, grad_out, slope)


def _assembled(x, w1, w2, w3, grad_out, *, pull_gate=True, pull_up=True, bent=F.silu, roads=None):
    """The right answer with one step of the way back replaced."""
    gate, up, pull = x @ w1.T, x @ w3.T, grad_out @ w2
    grad_gate = (pull if pull_gate else torch.ones_like(pull)) * up * _right_slope(gate)
    grad_up = (pull if pull_up else torch.ones_like(pull)) * bent(gate)
    grad_x = grad_gate @ w1 + grad_up @ w3 if roads is None else roads(grad_gate, grad_up)
    grad_w2 = _over_tokens(grad_out, F.silu(gate) * up)
    return grad_x, _over_tokens(grad_gate, x), grad_w2, _over_tokens(grad_up, x)


@wrong(
    "You began behind w2: gate and up never felt grad_out. First through the last matrix, "
    "grad_out @ w2; everything before it is multiplied by that."
)
def grad_out_never_used(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, pull_gate=False, pull_up=False)


@wrong(
    "up's gradient is silu(gate) alone: it lacks what comes back through w2. Both branches are "
    "multiplied by grad_out @ w2."
)
def up_without_the_pull(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, pull_up=False)


@wrong(
    "gate's gradient lacks what comes back through w2. Both branches are multiplied by "
    "grad_out @ w2."
)
def gate_without_the_pull(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, pull_gate=False)


@wrong(
    "On the way out up was multiplied by silu(gate); you multiplied its gradient by the sigmoid "
    "alone. The gate in front of it belongs there too."
)
def sigmoid_on_the_way_to_up(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, bent=torch.sigmoid)


@wrong(
    "The matrices are right. In grad_x the roads have changed matrices: the gate's gradient goes "
    "back through w1, by which the gate was made, and up's through w3."
)
def roads_through_the_wrong_matrix(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, roads=lambda gate, up: gate @ w3 + up @ w1)


@wrong("The matrices are right. You halved grad_x: two roads add up, they are not averaged.")
def roads_averaged(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, roads=lambda gate, up: (gate @ w1 + up @ w3) / 2)


@wrong("The matrices are right. In grad_x you multiplied the two roads: gradients of roads add.")
def roads_multiplied(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, roads=lambda gate, up: (gate @ w1) * (up @ w3))


@wrong("The matrices are right. In grad_x you subtracted the road through w3: gradients add.")
def roads_subtracted(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out, roads=lambda gate, up: gate @ w1 - up @ w3)


@wrong(
    "You added grad_out to grad_x. That is the road around the layer, and it belongs to the block, "
    "which adds x; this function is the layer alone."
)
def adds_the_road_around(x, w1, w2, w3, grad_out):
    return _assembled(
        x, w1, w2, w3, grad_out, roads=lambda gate, up: grad_out + gate @ w1 + up @ w3
    )


@wrong(
    "You treated up as the gate: there SiLU stands on w3 x. w1 makes the gate, and its gradient "
    "goes through the slope; up's does not."
)
def bends_the_other_branch(x, w1, w2, w3, grad_out):
    grad_x, grad_w3, grad_w2, grad_w1 = _assembled(x, w3, w2, w1, grad_out)
    return grad_x, grad_w1, grad_w2, grad_w3


@wrong(
    "grad_w2 pairs what *comes back* to the layer's end, grad_out, with what w2 was given. You "
    "used the output itself, y."
)
def w2_with_the_output(x, w1, w2, w3, grad_out):
    right = _assembled(x, w1, w2, w3, grad_out)
    hidden = F.silu(x @ w1.T) * (x @ w3.T)
    return right[0], right[1], _over_tokens(hidden @ w2.T, hidden), right[3]


@wrong(
    "grad_w2 lies on its side: w2 is (D, hidden), so its gradient is too. The gradient of what "
    "came out stands first, grad_out turned, then what went in."
)
def w2_on_its_side(x, w1, w2, w3, grad_out):
    right = _assembled(x, w1, w2, w3, grad_out)
    return right[0], right[1], right[2].T, right[3]


@wrong("grad_x belongs in front: the four come in the order of the arguments, x, w1, w2, w3.")
def grad_x_last(x, w1, w2, w3, grad_out):
    grad_x, *weights = _assembled(x, w1, w2, w3, grad_out)
    return *weights, grad_x


@wrong("grad_x is missing. The layers below learn from it alone: return four, x first.")
def forgets_grad_x(x, w1, w2, w3, grad_out):
    return _assembled(x, w1, w2, w3, grad_out)[1:]


@wrong(
    "You took the first token for the matrices' gradients. Every token used them, so the pulls of "
    "all add up."
)
def first_token_only(x, w1, w2, w3, grad_out):
    grad_x = _assembled(x, w1, w2, w3, grad_out)[0]
    first, pull = (t.reshape(-1, t.shape[-1])[:1] for t in (x, grad_out))
    return grad_x, *_assembled(first, w1, w2, w3, pull)[1:]


@wrong(
    "`.transpose(-1, -2) @` multiplies inside each sentence, and leaves one gradient a sentence "
    "(and nothing to turn where x is a single vector). Flatten all axes but the last first."
)
def one_product_a_sentence(x, w1, w2, w3, grad_out):
    gate, up, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    hidden = F.silu(gate) * up
    grad_x = grad_gate @ w1 + grad_up @ w3
    return (
        grad_x,
        grad_gate.transpose(-1, -2) @ x,
        grad_out.transpose(-1, -2) @ hidden,
        grad_up.transpose(-1, -2) @ x,
    )


@wrong(
    "Your einsum wants exactly three axes. x is (..., D): flatten with `reshape(-1, D)`, or write "
    "`...` for the axes in front."
)
def einsum_of_three_axes(x, w1, w2, w3, grad_out):
    grad_x = _assembled(x, w1, w2, w3, grad_out)[0]
    gate, up, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)

    def over(left, right):
        return torch.einsum("bti,btj->ij", left, right)

    return grad_x, over(grad_gate, x), over(grad_out, F.silu(gate) * up), over(grad_up, x)


@wrong(
    "`view` only works where the numbers lie one after another, and a transposed tensor's do not. "
    "`reshape` copies where it has to."
)
def flattens_by_view(x, w1, w2, w3, grad_out):
    rows, pull = x.view(-1, x.shape[-1]), grad_out.view(-1, x.shape[-1])
    grad_x, *weights = _assembled(rows, w1, w2, w3, pull)
    return grad_x.view(x.shape), *weights


EXERCISE = Exercise(
    name="swiglu_backward",
    title="SwiGLU backwards",
    points=4,
    minutes=25,
    answer=swiglu_backward,
    reference=_swiglu_backward_reference,
    probes=_swiglu_backward_probes,
    misconceptions=wrong.all,
    no_autograd=True,
    hints=(
        "Walk back along the road: w2, then the product, then SiLU, then w1 and w3. Name what "
        "each step was given on the way out; you need gate, up and silu(gate) again.",
        "Through a matrix stored (out, in), y = x @ w.T: the gradient of x is grad @ w, that of "
        "w is the sum over tokens of grad times x. Through a product: each factor's gradient is "
        "multiplied by the other factor.",
        "SiLU's slope, with s for the sigmoid of the gate: s + gate s (1 - s). x has two roads "
        "back, whose gradients add. For the matrices flatten all axes but the last: then one "
        "product of a turned (N, hidden) with an (N, D) sums over every token.",
    ),
)
