"""Notebook 05: SiLU, the gated layer, its hidden size, its gradient."""

import math

import torch
import torch.nn.functional as F

from llamalab.config import ffn_hidden_dim
from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question
from llamalab.layers import swiglu as package_swiglu


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- SiLU -----------------------------------------------------------------------------------


def silu(x):
    return x * torch.sigmoid(x)


def _silu_reference(x):
    return F.silu(x)


def _silu_probes():
    """Numbers whose exponential overflows on either side; 0; one that wants its gradient; and
    float16, whose exponential ends at 11, without numbers whose rounding could be disputed."""
    g = _seeded(50)
    wide = torch.tensor([[-1e4, -100.0, -89.0, -20.0], [0.0, 90.0, 100.0, 1e4]])
    half = torch.tensor([0.0, 16.0, 64.0, 256.0]).repeat(60)
    half[77], half[180] = -12.0, -8.0
    return [
        (2 * torch.randn(2, 3, 5, generator=g),),
        (wide,),
        (torch.linspace(-9, 9, 41).double(),),
        (half.half(),),
        (torch.randn(4, 3, generator=g).requires_grad_(),),
        (torch.tensor([0.0, 32.0, 100.0, 256.0]).bfloat16(),),
    ]


def sigmoid_alone(x):
    return torch.sigmoid(x)


def relu(x):
    return torch.relu(x)


def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


def mish(x):
    return x * torch.tanh(torch.nn.functional.softplus(x))


def softplus(x):
    return torch.nn.functional.softplus(x)


def hard_swish(x):
    return x * torch.clamp(x + 3, 0, 6) / 6


def gate_turned_round(x):
    return x * torch.sigmoid(-x)


def softmax_for_sigmoid(x):
    return x * torch.softmax(x, -1)


def exp_over_one_plus_exp(x):
    return x * torch.exp(x) / (1 + torch.exp(x))


def exp_of_minus_x(x):
    return x / (1 + torch.exp(-x))


def by_way_of_tanh(x):
    return x * (1 + torch.tanh(x / 2)) / 2


def clamps_x(x):
    x = x.clamp(-20, 20)
    return x * torch.sigmoid(x)


def comes_back_wide(x):
    return x.float() * torch.sigmoid(x.float())


def silu_in_place(x):
    return x.mul_(torch.sigmoid(x))


SILU = Exercise(
    name="silu",
    title="SiLU, whatever comes in",
    points=1,
    minutes=6,
    answer=silu,
    reference=_silu_reference,
    probes=_silu_probes,
    misconceptions=(
        Misconception(
            sigmoid_alone,
            "You returned the sigmoid: the share that passes, between 0 and 1. SiLU is x times "
            "that share.",
        ),
        Misconception(
            relu,
            "That is ReLU: it cuts at 0. SiLU bends there, and for x = -1 it still gives -0.27.",
        ),
        Misconception(
            gelu,
            "That is GELU, which weighs x by the normal distribution's cumulative curve. It is "
            "as near to SiLU as makes no error and gives another model: SiLU's weight is the "
            "sigmoid.",
        ),
        Misconception(
            quick_gelu,
            "The 1.702 makes the sigmoid imitate GELU (some models use it so). SiLU has no "
            "factor inside: Swish with beta = 1.",
        ),
        Misconception(
            mish,
            "That is Mish, x tanh(softplus(x)). SiLU's gate is the sigmoid of x itself.",
        ),
        Misconception(
            softplus,
            "That is softplus, ln(1 + e^x), the smooth ReLU that never goes below 0. SiLU "
            "does: it dips to -0.28.",
        ),
        Misconception(
            hard_swish,
            "You took straight lines for the sigmoid: that is hard-swish, made for phones. It "
            "is exactly 0 below -3, where SiLU and its gradient are not.",
        ),
        Misconception(
            gate_turned_round,
            "Your gate opens the wrong way: large negative numbers pass and large positive ones "
            "do not. The exponent is -x, but the sigmoid already holds that minus.",
        ),
        Misconception(
            softmax_for_sigmoid,
            "With softmax the numbers of a vector compete: what one gets the others lose. A "
            "sigmoid decides for each number alone.",
        ),
        Misconception(
            exp_over_one_plus_exp,
            "For x = 100, e^x is infinite in float32, and infinity over infinity is nan. The "
            "formula is right and the arithmetic is not: no large number may be exponentiated.",
        ),
        Misconception(
            exp_of_minus_x,
            "You wrote the sigmoid out with exp(-x). At x = -12 that is past the end of "
            "float16, so a small number becomes 0; and where it is infinite, in any dtype, the "
            "way back multiplies 0 by infinity, and the gradient is nan.",
        ),
        Misconception(
            by_way_of_tanh,
            "(1 + tanh(x/2))/2 is the sigmoid on paper. In 16 bits 1 + tanh(-6) is 1 - 1 = 0: "
            "two nearly equal numbers are subtracted and the small answer is lost.",
        ),
        Misconception(
            clamps_x,
            "You clamped x against overflow, and the x outside the sigmoid with it: silu(100) "
            "must be 100. `torch.sigmoid` needs no such help.",
        ),
        Misconception(
            comes_back_wide,
            "float32 came out whatever went in. The next matrix is in half precision and "
            "refuses it: give back x's own dtype.",
        ),
        Misconception(
            silu_in_place,
            "You overwrote x. The caller may still need it, and autograd does: it stops with "
            "an error where x is a parameter.",
        ),
    ),
    hints=(
        "Two factors: the number itself, and the share of it that passes. Which function gives "
        "a share between 0 and 1 for any number, and what does yours do for x = -100 and 100?",
        "Writing the sigmoid out means exponentiating something, and an exponential of 100 is "
        "infinite. Torch has the sigmoid ready, safe on both sides and with its gradient.",
        "One product of x with one call. If you prefer to write the exponentials yourself, you "
        "need two cases, so that the exponent is never above 0.",
    ),
)


# -- SwiGLU ---------------------------------------------------------------------------------


def swiglu(x, w1, w2, w3):
    gate = x @ w1.T  # (..., hidden)
    up = x @ w3.T  # (..., hidden)
    return (gate * torch.sigmoid(gate) * up) @ w2.T  # (..., D)


def _weights(dim, hidden, generator):
    w1, w3 = (torch.randn(hidden, dim, generator=generator) / dim**0.5 for _ in range(2))
    return w1, torch.randn(dim, hidden, generator=generator) / hidden**0.5, w3


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
    g = _seeded(51)
    return [
        (1.5 * torch.randn(2, 3, 5, generator=g), *_weights(5, 7, g)),
        (1.5 * torch.randn(2, 4, 4, generator=g), *_weights(4, 4, g)),
        (torch.randn(6, generator=g), *_weights(6, 9, g)),
        (torch.randn(2, 5, 3, generator=g).requires_grad_(), *_weights(3, 8, g)),
        tuple(t.double() for t in (torch.randn(3, 2, 2, 4, generator=g), *_weights(4, 11, g))),
        _half_swiglu_probe(6, 10, g, torch.bfloat16),
        _half_swiglu_probe(5, 12, g, torch.float16),
    ]


def gate_and_up_swapped(x, w1, w2, w3):
    return (F.silu(x @ w3.T) * (x @ w1.T)) @ w2.T


def takes_w2_for_up(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * (x @ w2.T)) @ w3.T


def silu_on_both(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * F.silu(x @ w3.T)) @ w2.T


def silu_after_the_product(x, w1, w2, w3):
    return F.silu((x @ w1.T) * (x @ w3.T)) @ w2.T


def silu_at_the_end(x, w1, w2, w3):
    return F.silu(((x @ w1.T) * (x @ w3.T)) @ w2.T)


def sigmoid_for_silu(x, w1, w2, w3):
    return (torch.sigmoid(x @ w1.T) * (x @ w3.T)) @ w2.T


def gelu_for_silu(x, w1, w2, w3):
    return (F.gelu(x @ w1.T) * (x @ w3.T)) @ w2.T


def relu_for_silu(x, w1, w2, w3):
    return (F.relu(x @ w1.T) * (x @ w3.T)) @ w2.T


def no_activation(x, w1, w2, w3):
    return ((x @ w1.T) * (x @ w3.T)) @ w2.T


def softmax_gate(x, w1, w2, w3):
    return (torch.softmax(x @ w1.T, -1) * (x @ w3.T)) @ w2.T


def no_gate(x, w1, w2, w3):
    return F.silu(x @ w1.T) @ w2.T


def adds_the_two(x, w1, w2, w3):
    return (F.silu(x @ w1.T) + x @ w3.T) @ w2.T


def stays_up(x, w1, w2, w3):
    return F.silu(x @ w1.T) * (x @ w3.T)


def adds_the_residual(x, w1, w2, w3):
    return x + (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


def nothing_transposed(x, w1, w2, w3):
    return (F.silu(x @ w1) * (x @ w3)) @ w2


def w2_not_transposed(x, w1, w2, w3):
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2


def weights_from_the_left(x, w1, w2, w3):
    return w2 @ (F.silu(w1 @ x) * (w3 @ x))


def writes_the_sigmoid_out(x, w1, w2, w3):
    gate = x @ w1.T
    return (gate / (1 + torch.exp(-gate)) * (x @ w3.T)) @ w2.T


def comes_out_wide(x, w1, w2, w3):
    x, w1, w2, w3 = (t if t.dtype == torch.float64 else t.float() for t in (x, w1, w2, w3))
    return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


def widens_everything(x, w1, w2, w3):
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    narrow, (x, w1, w2, w3) = x.dtype, (t.to(wide) for t in (x, w1, w2, w3))
    return ((F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T).to(narrow)


def cuts_the_gate_off(x, w1, w2, w3):
    with torch.no_grad():
        return (F.silu(x @ w1.T) * (x @ w3.T)) @ w2.T


SWIGLU = Exercise(
    name="swiglu",
    title="SwiGLU",
    points=2,
    minutes=10,
    answer=swiglu,
    reference=package_swiglu,
    probes=_swiglu_probes,
    misconceptions=(
        Misconception(
            gate_and_up_swapped,
            "You bent w3's branch and left w1's straight. Fresh weights would not mind; Llama "
            "2's were trained with w1 as the gate (Hugging Face: gate_proj), w3 as the value "
            "(up_proj).",
        ),
        Misconception(
            takes_w2_for_up,
            "You read the numbers as gate, up, down. Meta's are w1 gate, w2 down, w3 up: think of "
            "the old layer's w1 and w2, with w3 as the newcomer.",
        ),
        Misconception(
            silu_on_both,
            "You put SiLU on both branches. Only the gate is bent: the value must be free to be "
            "any number, negative ones too.",
        ),
        Misconception(
            silu_after_the_product,
            "You multiplied first and applied SiLU to the product. The gate is decided by w1 x "
            "alone; bend it before it meets the value.",
        ),
        Misconception(
            silu_at_the_end,
            "You applied SiLU to what the layer writes out. It stands in the middle, on the "
            "gate; the residual stream must be free to go down as far as up.",
        ),
        Misconception(
            sigmoid_for_silu,
            "That is the plain GLU: its gate is a sigmoid, a share from 0 to 1. In SwiGLU the "
            "gate is SiLU of w1 x, which grows without limit.",
        ),
        Misconception(
            gelu_for_silu,
            "That is GEGLU, GELU on the gate: Gemma's choice. Llama 2 has SiLU there, and its "
            "weights expect it.",
        ),
        Misconception(
            relu_for_silu,
            "That is ReGLU: your gate is cut at 0. Llama 2's is SiLU, which lets small negative "
            "numbers by.",
        ),
        Misconception(
            no_activation,
            "Your gate has no SiLU: what is left is the product of two projections, a bilinear "
            "layer. Some models live well with it; Llama 2's weights were not trained for it.",
        ),
        Misconception(
            softmax_gate,
            "Your gates compete in a softmax and add up to 1 over the hidden numbers. Each "
            "gate decides alone, from its own number.",
        ),
        Misconception(
            no_gate,
            "You left w3 out: that is the old layer of two matrices. A third of the parameters "
            "would never be used.",
        ),
        Misconception(
            adds_the_two,
            "You added the branches. A gate multiplies: only so can one projection silence the "
            "other.",
        ),
        Misconception(
            stays_up,
            "You stopped at the hidden size. w2 brings it down to D again, or it cannot be "
            "added to the stream.",
        ),
        Misconception(
            adds_the_residual,
            "You added x. The block does that, around the layer: here it would come in twice.",
        ),
        Misconception(
            nothing_transposed,
            "The matrices are stored (out, in), as torch's Linear stores them, so `x @ w` wants "
            "`w.T`. With square matrices the mistake runs and gives other numbers.",
        ),
        Misconception(
            w2_not_transposed,
            "w1 and w3 are turned and w2 is not. It too is stored (out, in), here (D, hidden): "
            "all three need `.T`.",
        ),
        Misconception(
            weights_from_the_left,
            "You wrote w x as on paper. That is right for one vector in a column; a batch holds "
            "its vectors in rows, (..., D), and the matrix goes to the right, turned.",
        ),
        Misconception(
            writes_the_sigmoid_out,
            "In float32 the values are right. In 16 bits each step of your written-out sigmoid "
            "is rounded, and a large negative gate overflows; `F.silu` rounds once.",
        ),
        Misconception(
            comes_out_wide,
            "float32 came out, whatever went in. A half-precision model stops at the next "
            "product: keep x's dtype.",
        ),
        Misconception(
            widens_everything,
            "You computed all of it in float32 and cast back at the end. It is a little more "
            "exact and not what Llama 2 does, and it makes a float32 copy of three large "
            "matrices. The products keep their sums in float32 by themselves.",
        ),
        Misconception(
            cuts_the_gate_off,
            "The values are right, but no gradient can flow: with `no_grad` this layer, two "
            "thirds of the model, would never learn.",
        ),
    ),
    hints=(
        "Three products, one SiLU, one multiplication. On paper: y = w2 (silu(w1 x) * w3 x). "
        "Which of the two branches is bent, and before or after they meet?",
        "The matrices are (out, in) and x is (..., D): each product has x on the left and the "
        "matrix, turned on its side, on the right. Name the two branches before you join them.",
        "Gate and up both have the shape (..., hidden). Bend the gate, multiply number by "
        "number (`*`), and take the result down with the turned w2. Convert nothing.",
    ),
)


# -- the hidden size ------------------------------------------------------------------------


def ffn_hidden(dim, multiple_of, multiplier=None):
    hidden = int(2 * (4 * dim) / 3)
    if multiplier is not None:
        hidden = int(multiplier * hidden)
    return (hidden + multiple_of - 1) // multiple_of * multiple_of


def _ffn_hidden_reference(dim, multiple_of, multiplier=None):
    return ffn_hidden_dim(dim, multiple_of, multiplier)


def _ffn_hidden_probes():
    """Llama 2's sizes; sizes that are multiples already; and, with multiple_of 1, sizes where
    each wrong rounding shows on its own."""
    return [
        (4096, 256),
        (5120, 256),
        (8192, 4096, 1.3),
        (192, 32, None),
        (97, 1, 1.3),
        (98, 1, 1.7),
        (101, 7, 1.15),
        (258, 1, 1.4),
        (284, 1, 0.6),
        (252, 1, 0.6),
        (100, 1),
        (101, 1),
    ]


def _times(multiplier, hidden):
    return hidden if multiplier is None else multiplier * hidden


def _up(hidden, multiple_of):
    return multiple_of * math.ceil(hidden / multiple_of)


def rounds_to_nearest(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return multiple_of * round(hidden / multiple_of)


def rounds_down(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return hidden // multiple_of * multiple_of


def always_one_more(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return (hidden // multiple_of + 1) * multiple_of


def divides_with_a_fraction(dim, multiple_of, multiplier=None):
    hidden = int(_times(multiplier, int(8 * dim / 3)))
    return multiple_of * ((hidden + multiple_of - 1) / multiple_of)


def multiplies_after_rounding_up(dim, multiple_of, multiplier=None):
    return int(_times(multiplier, _up(int(8 * dim / 3), multiple_of)))


def rounds_up_twice(dim, multiple_of, multiplier=None):
    hidden = _up(int(8 * dim / 3), multiple_of)
    return _up(int(_times(multiplier, hidden)), multiple_of)


def multiplies_dim(dim, multiple_of, multiplier=None):
    return _up(int(8 * int(_times(multiplier, dim)) / 3), multiple_of)


def multiplies_four_dim(dim, multiple_of, multiplier=None):
    return _up(int(2 * int(_times(multiplier, 4 * dim)) / 3), multiple_of)


def truncates_once(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, 8 * dim / 3)), multiple_of)


def never_truncates(dim, multiple_of, multiplier=None):
    return _up(_times(multiplier, 8 * dim / 3), multiple_of)


def rounds_two_thirds(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, round(8 * dim / 3))), multiple_of)


def rounds_two_thirds_up(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, math.ceil(8 * dim / 3))), multiple_of)


def rounds_the_product(dim, multiple_of, multiplier=None):
    return _up(round(_times(multiplier, int(8 * dim / 3))), multiple_of)


def rounds_the_product_up(dim, multiple_of, multiplier=None):
    return _up(math.ceil(_times(multiplier, int(8 * dim / 3))), multiple_of)


def rounds_everything(dim, multiple_of, multiplier=None):
    return _up(round(_times(multiplier, round(8 * dim / 3))), multiple_of)


def forgets_two_thirds(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, 4 * dim)), multiple_of)


def forgets_the_four(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(2 * dim / 3))), multiple_of)


def forgets_the_multiplier(dim, multiple_of, multiplier=None):
    return _up(int(8 * dim / 3), multiple_of)


def forgets_the_multiple(dim, multiple_of, multiplier=None):
    return int(_times(multiplier, int(8 * dim / 3)))


def always_256(dim, multiple_of, multiplier=None):
    return _up(int(_times(multiplier, int(8 * dim / 3))), 256)


def needs_a_multiplier(dim, multiple_of, multiplier=None):
    hidden = int(multiplier * int(8 * dim / 3))
    return _up(hidden, multiple_of)


def multiplier_of_70b(dim, multiple_of, multiplier=None):
    hidden = int((multiplier or 1.3) * int(8 * dim / 3))
    return _up(hidden, multiple_of)


FFN_HIDDEN = Exercise(
    name="ffn_hidden",
    title="How wide is the hidden layer?",
    points=2,
    minutes=8,
    answer=ffn_hidden,
    reference=_ffn_hidden_reference,
    probes=_ffn_hidden_probes,
    misconceptions=(
        Misconception(
            rounds_to_nearest,
            "You rounded to the nearest multiple. 7B comes out right by luck; 13B would get "
            "13,568 in place of 13,824, and its file would not load. Meta rounds up.",
        ),
        Misconception(
            rounds_down,
            "You rounded down to a multiple: 7B would get 10,752. Meta rounds up.",
        ),
        Misconception(
            always_one_more,
            "You added a whole multiple even where there was nothing to round: 512 is already "
            "a multiple of 32 and stays 512. Add multiple_of - 1 before you divide.",
        ),
        Misconception(
            divides_with_a_fraction,
            "You divided with `/`, which keeps the fraction, so nothing was rounded at all. "
            "Whole multiples are counted with `//`.",
        ),
        Misconception(
            multiplies_after_rounding_up,
            "You rounded up first and multiplied after: 70B would get 31,948, which is a "
            "multiple of nothing. Rounding up is the last step.",
        ),
        Misconception(
            rounds_up_twice,
            "You rounded up before the multiplier and again after it: 70B would get 32,768 "
            "instead of 28,672. Only the last number is rounded up.",
        ),
        Misconception(
            multiplies_dim,
            "You applied the multiplier to dim and then took two thirds of four times that. "
            "Truncating a small number and enlarging it eightfold enlarges the loss too.",
        ),
        Misconception(
            multiplies_four_dim,
            "You applied the multiplier before the two thirds. On paper factors may change "
            "places; with a truncation after each they may not.",
        ),
        Misconception(
            truncates_once,
            "You truncated only after the multiplier. Meta truncates after the two thirds "
            "already, and the multiplier works on a whole number.",
        ),
        Misconception(
            never_truncates,
            "You never truncated: a fraction that Meta drops lifts yours to the next multiple.",
        ),
        Misconception(
            rounds_two_thirds,
            "You rounded two thirds of 4 dim to the nearest whole number. Meta's int() cuts "
            "the fraction off: 8 * 100 / 3 is 266, and 8 * 101 / 3 is 269.",
        ),
        Misconception(
            rounds_two_thirds_up,
            "You rounded two thirds of 4 dim up. Meta's int() cuts the fraction off; only the "
            "last step rounds up.",
        ),
        Misconception(
            rounds_the_product,
            "You rounded after the multiplier. Meta's int() cuts the fraction off.",
        ),
        Misconception(
            rounds_the_product_up,
            "You rounded up after the multiplier. Meta's int() cuts the fraction off; up goes "
            "only the last step, to the multiple.",
        ),
        Misconception(
            rounds_everything,
            "You used round() twice where Meta uses int(), which cuts the fraction off.",
        ),
        Misconception(
            forgets_two_thirds,
            "You kept 4 dim. That is the width of the old layer of two matrices; with a third "
            "matrix it would cost half as much again, hence the two thirds.",
        ),
        Misconception(
            forgets_the_four,
            "You took two thirds of dim. The starting point is 4 dim: the hidden layer is wider "
            "than the stream, not narrower.",
        ),
        Misconception(
            forgets_the_multiplier,
            "You ignored the multiplier. 70B has 1.3, and would come out at 24,576.",
        ),
        Misconception(
            forgets_the_multiple,
            "You did not round up to a multiple: 7B would get 10,922. Graphics processors like "
            "round sizes, and the published weights have 11,008 rows.",
        ),
        Misconception(
            always_256,
            "You rounded to 256 whatever multiple_of said. 70B's is 4,096.",
        ),
        Misconception(
            needs_a_multiplier,
            "Without a multiplier yours stops with an error. Three of the four sizes have none: "
            "None means that the step is left out.",
        ),
        Misconception(
            multiplier_of_70b,
            "Where no multiplier is given you took 1.3. That is 70B's own; None means that the "
            "step is left out.",
        ),
    ),
    hints=(
        "Three steps: two thirds of four times dim; the multiplier, if there is one; up to a "
        "multiple. After which of them is the fraction cut off, and which of them rounds up?",
        "Each of the first two steps ends in `int(...)`. The third works on whole numbers only. "
        "If the multiplier is None, the second step is not taken.",
        "To round up to a multiple with whole numbers: add one less than the multiple, count "
        "the whole multiples in that with `//`, and multiply again.",
    ),
)


# -- backwards, by hand ---------------------------------------------------------------------


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
    """In float64, so that only the mathematics can differ; a square; a single vector."""
    g = _seeded(52)

    def probe(size, hidden):
        x, grad_out = (torch.randn(*size, generator=g) for _ in range(2))
        w1, w2, w3 = _weights(size[-1], hidden, g)
        return tuple(t.double() for t in (1.5 * x, 1.5 * w1, w2, w3, grad_out))

    return [probe((2, 3, 5), 7), probe((4, 4), 4), probe((2, 2, 3, 2), 6), probe((3,), 5)]


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


def slope_is_the_sigmoid(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, torch.sigmoid)


def slope_of_the_sigmoid(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (1 - z.sigmoid()))


def slope_without_the_first_road(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z * z.sigmoid() * (1 - z.sigmoid()))


def slope_with_a_minus(x, w1, w2, w3, grad_out):
    def slope(z):
        return z.sigmoid() * (1 - z * (1 - z.sigmoid()))

    return _with_slope(x, w1, w2, w3, grad_out, slope)


def slope_without_z(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: z.sigmoid() * (2 - z.sigmoid()))


def slope_of_relu(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: (z > 0).to(z.dtype))


def slope_at_the_bent_value(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, lambda z: _right_slope(F.silu(z)))


def no_slope(x, w1, w2, w3, grad_out):
    return _with_slope(x, w1, w2, w3, grad_out, torch.ones_like)


def no_up_on_the_way_to_the_gate(x, w1, w2, w3, grad_out):
    gate, up, _, grad_up = _pieces(x, w1, w2, w3, grad_out)
    grad_gate = grad_out @ w2 * _right_slope(gate)
    grad_w2 = _over_tokens(grad_out, F.silu(gate) * up)
    grad_x = grad_gate @ w1 + grad_up @ w3
    return grad_x, _over_tokens(grad_gate, x), grad_w2, _over_tokens(grad_up, x)


def raw_gate_on_the_way_to_up(x, w1, w2, w3, grad_out):
    gate, up, grad_gate, _ = _pieces(x, w1, w2, w3, grad_out)
    grad_up = grad_out @ w2 * gate
    grad_w2 = _over_tokens(grad_out, F.silu(gate) * up)
    grad_x = grad_gate @ w1 + grad_up @ w3
    return grad_x, _over_tokens(grad_gate, x), grad_w2, _over_tokens(grad_up, x)


def gate_held_constant(x, w1, w2, w3, grad_out):
    _, _, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_up @ w3, *right[1:]


def up_held_constant(x, w1, w2, w3, grad_out):
    _, _, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_gate @ w1, *right[1:]


def w1_and_w3_swapped(x, w1, w2, w3, grad_out):
    grad_x, grad_w1, grad_w2, grad_w3 = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, grad_w3, grad_w2, grad_w1


def handed_out_as_gate_up_down(x, w1, w2, w3, grad_out):
    grad_x, grad_w1, grad_w2, grad_w3 = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, grad_w1, grad_w3, grad_w2


def gradients_on_their_side(x, w1, w2, w3, grad_out):
    grad_x, *weights = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    return grad_x, *(grad.T for grad in weights)


def averaged_over_tokens(x, w1, w2, w3, grad_out):
    grad_x, *weights = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    tokens = x.numel() / x.shape[-1]
    return grad_x, *(grad / tokens for grad in weights)


def _outer(left, right):
    return left[..., :, None] * right[..., None, :]


def one_gradient_a_token(x, w1, w2, w3, grad_out):
    gate, up, grad_gate, grad_up = _pieces(x, w1, w2, w3, grad_out)
    grad_x = grad_gate @ w1 + grad_up @ w3
    grad_w2 = _outer(grad_out, F.silu(gate) * up)
    return grad_x, _outer(grad_gate, x), grad_w2, _outer(grad_up, x)


def one_gradient_a_sentence(x, w1, w2, w3, grad_out):
    grad_x, *weights = one_gradient_a_token(x, w1, w2, w3, grad_out)
    return grad_x, *(grad.sum(-3) if grad.ndim > 2 else grad for grad in weights)


def w2_without_the_value(x, w1, w2, w3, grad_out):
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    gate = F.silu(x @ w1.T)
    return right[0], right[1], _over_tokens(grad_out, gate), right[3]


def w2_without_silu(x, w1, w2, w3, grad_out):
    right = _with_slope(x, w1, w2, w3, grad_out, _right_slope)
    hidden = (x @ w1.T) * (x @ w3.T)
    return right[0], right[1], _over_tokens(grad_out, hidden), right[3]


SWIGLU_BACKWARD = Exercise(
    name="swiglu_backward",
    title="SwiGLU backwards",
    points=4,
    minutes=25,
    answer=swiglu_backward,
    reference=_swiglu_backward_reference,
    probes=_swiglu_backward_probes,
    misconceptions=(
        Misconception(
            slope_is_the_sigmoid,
            "You took the sigmoid for SiLU's slope. z stands twice in z * sigmoid(z): you have "
            "the first road, and the one through the sigmoid is missing.",
        ),
        Misconception(
            slope_of_the_sigmoid,
            "You took the sigmoid's slope, s(1 - s). SiLU is z times the sigmoid, so the "
            "product rule gives two terms, s + z s(1 - s).",
        ),
        Misconception(
            slope_without_the_first_road,
            "You have z s(1 - s), the road through the sigmoid. The road through the z in front "
            "of it adds s.",
        ),
        Misconception(
            slope_with_a_minus,
            "You subtracted the second term of the slope. A larger z opens the gate wider: it "
            "comes in with a plus.",
        ),
        Misconception(
            slope_without_z,
            "Your second term is s(1 - s). It belongs to the sigmoid, and the sigmoid was "
            "multiplied by z: so is its slope.",
        ),
        Misconception(
            slope_of_relu,
            "You used ReLU's slope, 0 or 1. SiLU is bent everywhere, and below -1.28 it even "
            "slopes the other way.",
        ),
        Misconception(
            slope_at_the_bent_value,
            "You took the slope at silu(z) instead of at z: the slope belongs to what went in.",
        ),
        Misconception(
            no_slope,
            "You sent the gradient through SiLU as if it were not there. It is multiplied by "
            "SiLU's slope at each gate.",
        ),
        Misconception(
            no_up_on_the_way_to_the_gate,
            "The gate was multiplied by up on the way out, so on the way back its gradient is "
            "multiplied by up.",
        ),
        Misconception(
            raw_gate_on_the_way_to_up,
            "On the way out up was multiplied by silu(gate), not by the gate itself. So is its "
            "gradient.",
        ),
        Misconception(
            gate_held_constant,
            "The matrices are right. grad_x has only the road through w3: x also moves the "
            "gate, and that road, through w1, adds its share.",
        ),
        Misconception(
            up_held_constant,
            "The matrices are right. grad_x has only the road through the gate: x also moves "
            "up, and that road, through w3, adds its share.",
        ),
        Misconception(
            w1_and_w3_swapped,
            "The gradients of w1 and w3 have changed places. They have the same shape, so "
            "nothing but the values tells.",
        ),
        Misconception(
            handed_out_as_gate_up_down,
            "You returned gate, up, down. The order is w1, w2, w3, and w2 is the one that goes "
            "down.",
        ),
        Misconception(
            gradients_on_their_side,
            "Your gradients of the matrices are (in, out). A gradient has the shape of what it "
            "is the gradient of: (out, in).",
        ),
        Misconception(
            averaged_over_tokens,
            "grad_x is right. You averaged the matrices' gradients over the tokens: each token "
            "pulls with its own strength, and the pulls add. If the loss is a mean, grad_out "
            "knows already.",
        ),
        Misconception(
            one_gradient_a_token,
            "grad_x is right. Each token still has its own gradient of every matrix; the "
            "matrices are shared, so these add up over all tokens.",
        ),
        Misconception(
            one_gradient_a_sentence,
            "grad_x is right. You added over the tokens of a sentence and not over the batch: "
            "the same matrices serve all of them.",
        ),
        Misconception(
            w2_without_the_value,
            "grad_w2 pairs grad_out with what w2 was given, and that is silu(gate) * up. You "
            "left up out.",
        ),
        Misconception(
            w2_without_silu,
            "grad_w2 pairs grad_out with what w2 was given. You multiplied up by the gate as it "
            "was before SiLU.",
        ),
    ),
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

EXERCISES = (SILU, SWIGLU, FFN_HIDDEN, SWIGLU_BACKWARD)

QUIZ = (
    Question(
        "without_bend",
        "You take the activation out of the old layer: y = w2 w1 x, with 4 dim hidden numbers. "
        "What can it still do?",
        (
            Option(
                "As much as before, a little less smoothly",
                "It has as many parameters as before, which makes this tempting. But two "
                "matrices in a row are one matrix, w2 w1, and 4 dim in the middle buys nothing.",
            ),
            Option(
                "What one dim × dim matrix can do, and no more",
                "The product w2 w1 is such a matrix. Only the bend in between makes the second "
                "matrix worth having.",
                right=True,
            ),
            Option(
                "Nothing: without a bend no gradient flows",
                "Gradients flow better than ever through straight lines. What is missing is "
                "something to learn that one matrix could not.",
            ),
        ),
    ),
    Question(
        "bilinear",
        "And if you take SiLU out of SwiGLU: y = w2 (w1 x * w3 x)?",
        (
            Option(
                "It collapses to one matrix as well",
                "It would if the branches were added. They are multiplied, and a product of two "
                "projections is no projection: double x, and y grows fourfold.",
            ),
            Option(
                "It still bends: products of the coordinates of x",
                "Each hidden number is a product of two sums over x. In the measurement above "
                "this layer kept up with the others.",
                right=True,
            ),
            Option(
                "It is the same as SwiGLU, since SiLU is nearly x",
                "SiLU is nearly x for large positive gates alone. On the other side it is nearly "
                "0, where this layer's product is as large as ever.",
            ),
        ),
    ),
    Question(
        "two_thirds",
        "Why is the hidden size two thirds of 4 dim, and not 4 dim?",
        (
            Option(
                "So that three matrices have as many parameters as two of the old ones",
                "3 × 8/3 = 2 × 4 = 8. Only at equal parameters does a comparison say which "
                "shape is better.",
                right=True,
            ),
            Option(
                "Because a third of the gates is closed on average",
                "How many gates are closed depends on the weights and the text, and none of the "
                "sizes follows from it.",
            ),
            Option(
                "Because 8/3 dim was measured to be the best width",
                "It is bookkeeping, not a measurement. 70B's multiplier of 1.3 departs from it at "
                "once.",
            ),
        ),
    ),
    Question(
        "who_mixes",
        "You change the third token of a text. In which outputs of a single feed-forward layer "
        "does it show?",
        (
            Option(
                "In the third and all later ones",
                "That is causal attention. This layer never looks at a neighbour.",
            ),
            Option(
                "In the third alone",
                "Each token's vector goes through the same three matrices, on its own. What "
                "tokens know of each other they know from attention.",
                right=True,
            ),
            Option(
                "In all of them",
                "Only if a sum ran over the positions. All sums here run over the numbers of one "
                "vector.",
            ),
        ),
    ),
)
