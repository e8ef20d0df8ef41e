"""Notebook 05, exercise 1: SiLU, whatever comes in."""

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def silu(x):
    return x * torch.sigmoid(x)


def _silu_reference(x):
    return F.silu(x)


def _silu_probes():
    """Numbers whose exponential overflows on either side; 0; one that wants its gradient; and
    float16, whose exponential ends at 11, without numbers whose rounding could be disputed."""
    g = seeded(50)
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


@wrong(
    "You returned the sigmoid: the share that passes, between 0 and 1. SiLU is x times that share."
)
def sigmoid_alone(x):
    return torch.sigmoid(x)


@wrong("That is ReLU: it cuts at 0. SiLU bends there, and for x = -1 it still gives -0.27.")
def relu(x):
    return torch.relu(x)


@wrong(
    "That is GELU, which weighs x by the normal distribution's cumulative curve. It is as near "
    "to SiLU as makes no error and gives another model: SiLU's weight is the sigmoid."
)
def gelu(x):
    return x * 0.5 * (1 + torch.erf(x / 2**0.5))


@wrong(
    "The 1.702 makes the sigmoid imitate GELU (some models use it so). SiLU has no factor "
    "inside: Swish with beta = 1."
)
def quick_gelu(x):
    return x * torch.sigmoid(1.702 * x)


@wrong("That is Mish, x tanh(softplus(x)). SiLU's gate is the sigmoid of x itself.")
def mish(x):
    return x * torch.tanh(torch.nn.functional.softplus(x))


@wrong(
    "That is softplus, ln(1 + e^x), the smooth ReLU that never goes below 0. SiLU does: it dips"
    " to -0.28."
)
def softplus(x):
    return torch.nn.functional.softplus(x)


@wrong(
    "You took straight lines for the sigmoid: that is hard-swish, made for phones. It is "
    "exactly 0 below -3, where SiLU and its gradient are not."
)
def hard_swish(x):
    return x * torch.clamp(x + 3, 0, 6) / 6


@wrong(
    "Your gate opens the wrong way: large negative numbers pass and large positive ones do not."
    " The exponent is -x, but the sigmoid already holds that minus."
)
def gate_turned_round(x):
    return x * torch.sigmoid(-x)


@wrong(
    "With softmax the numbers of a vector compete: what one gets the others lose. A sigmoid "
    "decides for each number alone."
)
def softmax_for_sigmoid(x):
    return x * torch.softmax(x, -1)


@wrong(
    "For x = 100, e^x is infinite in float32, and infinity over infinity is nan. The formula is"
    " right and the arithmetic is not: no large number may be exponentiated."
)
def exp_over_one_plus_exp(x):
    return x * torch.exp(x) / (1 + torch.exp(x))


@wrong(
    "You wrote the sigmoid out with exp(-x). At x = -12 that is past the end of float16, so a "
    "small number becomes 0; and where it is infinite, in any dtype, the way back multiplies 0 "
    "by infinity, and the gradient is nan."
)
def exp_of_minus_x(x):
    return x / (1 + torch.exp(-x))


@wrong(
    "(1 + tanh(x/2))/2 is the sigmoid on paper. In 16 bits 1 + tanh(-6) is 1 - 1 = 0: two "
    "nearly equal numbers are subtracted and the small answer is lost."
)
def by_way_of_tanh(x):
    return x * (1 + torch.tanh(x / 2)) / 2


@wrong(
    "You clamped x against overflow, and the x outside the sigmoid with it: silu(100) must be "
    "100. `torch.sigmoid` needs no such help."
)
def clamps_x(x):
    x = x.clamp(-20, 20)
    return x * torch.sigmoid(x)


@wrong(
    "float32 came out whatever went in. The next matrix is in half precision and refuses it: "
    "give back x's own dtype."
)
def comes_back_wide(x):
    return x.float() * torch.sigmoid(x.float())


@wrong(
    "You overwrote x. The caller may still need it, and autograd does: it stops with an error "
    "where x is a parameter."
)
def silu_in_place(x):
    return x.mul_(torch.sigmoid(x))


EXERCISE = Exercise(
    name="silu",
    title="SiLU, whatever comes in",
    points=1,
    minutes=6,
    answer=silu,
    reference=_silu_reference,
    probes=_silu_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Two factors: the number itself, and the share of it that passes. Which function gives "
        "a share between 0 and 1 for any number, and what does yours do for x = -100 and 100?",
        "Writing the sigmoid out means exponentiating something, and an exponential of 100 is "
        "infinite. Torch has the sigmoid ready, safe on both sides and with its gradient.",
        "One product of x with one call. If you prefer to write the exponentials yourself, you "
        "need two cases, so that the exponent is never above 0.",
    ),
)
