"""Notebook 05, exercise 1: SiLU, whatever comes in."""

import math

import numpy as np
import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def silu(x):
    return x * torch.sigmoid(x)


def _silu_reference(x):
    return F.silu(x)


def _silu_probes():
    """Numbers whose exponential overflows on either side; 0; one that wants its gradient;
    float16, whose exponential ends at 11, without numbers whose rounding could be disputed; axes
    of size 1, a tensor that lies transposed, and a batch of none."""
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
        (torch.randn(1, 1, 3, generator=g),),
        (torch.randn(5, 2, generator=g).T,),
        (torch.zeros(0, 4),),
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
    "You wrote the sigmoid out with exp(-x), which becomes infinite far to the left: in float16 at "
    "x = -12 already, where your 0 stands for a small number. On the way back an infinite slope "
    "meets a 0, and the gradient is nan. `torch.where` around it does not stop that: 0 times "
    "infinity is nan in the case that is not chosen, too. A clamp "
    "that suits float32 comes too late in float16."
)
def exp_of_minus_x(x):
    return x / (1 + torch.exp(-x))


@wrong(
    "(1 + tanh(x/2))/2 is the sigmoid on paper. In 16 bits 1 + tanh(-6) is 1 - 1 = 0: two "
    "nearly equal numbers are subtracted and the small answer is lost."
)
def by_way_of_tanh(x):
    return x * (1 + torch.tanh(x / 2)) / 2


CLAMPED = (
    "You clamped x against overflow, and the x outside the sigmoid with it: silu(100) must be "
    "100. `torch.sigmoid` needs no such help."
)


@wrong(CLAMPED)
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


@wrong(
    "You wrote 1 - sigmoid(x): the share that is held back, so that large negative numbers pass. "
    "The share that passes is sigmoid(x) itself."
)
def what_is_held_back(x):
    return x * (1 - torch.sigmoid(x))


@wrong(
    "The exponent lost its minus: the sigmoid is 1 / (1 + exp(-x)). With yours the large "
    "negative numbers pass."
)
def exponent_without_minus(x):
    return x / (1 + torch.exp(x))


@wrong(
    "With |x| in the exponent nothing overflows, but the formula is the sigmoid only for "
    "x >= 0. Below 0 the share is exp(x) / (1 + exp(x)): small, and yours is large."
)
def absolute_exponent(x):
    return x / (1 + torch.exp(-x.abs()))


@wrong(
    "You clamped the exponent at a number that shows: from there on the share stands still, and "
    "x times it grows. At x = -10,000 yours is -0.45, and 0 is right."
)
def clamps_the_exponent_at_ten(x):
    return x / (1 + torch.exp((-x).clamp(max=10)))


@wrong(
    "You painted the nan over with 0: silu(100) is 100, and yours is 0 there. Nor is the gradient "
    "mended by it. Choose a formula in which the overflow does not happen."
)
def nan_painted_over(x):
    return torch.nan_to_num(x * torch.exp(x) / (1 + torch.exp(x)), nan=0.0)


@wrong(
    "Everything goes through float32 and back. In 16 bits nothing is gained, since torch's "
    "sigmoid is safe there, and of a float64 half the digits are lost."
)
def by_way_of_float32(x):
    return (x.float() * torch.sigmoid(x.float())).to(x.dtype)


@wrong(
    "You left torch for numpy. The values come back and the gradient does not (and numpy has no "
    "bfloat16). Stay with torch's own functions."
)
def by_way_of_numpy(x):
    numbers = x.detach().numpy()
    return torch.from_numpy(numbers / (1 + np.exp(-numbers)))


@wrong(
    "You took the numbers out of the tensor one by one: `math.exp` stops with an error at 710, the "
    "dtype is forgotten and no gradient can follow. Torch's functions take the tensor whole."
)
def number_by_number(x):
    return torch.tensor([z / (1 + math.exp(-z)) for z in x.flatten().tolist()]).view(x.shape)


@wrong(
    "That is the sigmoid, and written so that it is infinity over infinity for x = 100. SiLU is x "
    "times the sigmoid."
)
def sigmoid_from_exponentials(x):
    return torch.exp(x) / (1 + torch.exp(x))


@wrong("You squared the sigmoid. One of the two factors is x itself.")
def sigmoid_squared(x):
    return torch.sigmoid(x) ** 2


@wrong("You added the share to x. It is a share *of* x: multiply.")
def adds_the_share(x):
    return x + torch.sigmoid(x)


@wrong(
    "A tanh runs from -1 to 1, so below 0 two minus signs make a plus. The share that passes runs "
    "from 0 to 1: the sigmoid."
)
def tanh_for_sigmoid(x):
    return x * torch.tanh(x)


@wrong("`logsigmoid` is the logarithm of the share. SiLU multiplies by the share itself.")
def log_of_the_share(x):
    return x * F.logsigmoid(x)


@wrong(
    "That is GELU, in its form with tanh (GPT-2's). SiLU's share is the sigmoid of x, with no "
    "factor and no cube."
)
def gelu_by_tanh(x):
    return F.gelu(x, approximate="tanh")


@wrong("That is ELU: e^x - 1 below 0. SiLU is x times the sigmoid on both sides.")
def elu(x):
    return F.elu(x)


@wrong("That is the leaky ReLU, two straight lines. SiLU bends: x times the sigmoid of x.")
def leaky_relu(x):
    return F.leaky_relu(x)


@wrong(
    "`F.glu` cuts its input into two halves and gates one by the other, so half of the numbers are "
    "gone. SiLU gates each number by itself."
)
def glu_of_torch(x):
    return F.glu(x)


@wrong(
    "`squeeze()` took away an axis of size 1 that belongs to the caller: a batch of one comes back "
    "without its batch. The shape that goes in is the shape that comes out."
)
def squeezes(x):
    return (x * torch.sigmoid(x)).squeeze()


@wrong(
    "`view` only works where the numbers lie one after another, and a transposed tensor's do not. "
    "SiLU works number by number: there is no need to flatten."
)
def flattens_by_view(x):
    flat = x.view(-1)
    return (flat * torch.sigmoid(flat)).view(x.shape)


@wrong(
    "The values are right and the slope is not: with the sigmoid detached only the road through x "
    "in front is left. At x = -1 the slope is 0.072; yours is 0.269."
)
def sigmoid_detached(x):
    return x * torch.sigmoid(x.detach())


@wrong(
    "The values are right and the slope is not: you detached the x in front, so only the road "
    "through the sigmoid is left."
)
def x_in_front_detached(x):
    return x.detach() * torch.sigmoid(x)


@wrong(
    "The values are right, but nothing can be learned through them: the result was cut off "
    "(`detach`, `.data` or `no_grad`)."
)
def result_detached(x):
    return (x * torch.sigmoid(x)).detach()


@wrong(
    "`torch.where` works out both of its cases for every number. The one that is not chosen gets "
    "a gradient of 0, times an infinite slope: nan. Make the exponent safe before it is "
    "exponentiated, with `-x.abs()`, say."
)
def two_cases_with_where(x):
    right, left = x / (1 + torch.exp(-x)), x * torch.exp(x) / (1 + torch.exp(x))
    return torch.where(x >= 0, right, left)


@wrong(
    "The sigmoid is (1 + tanh(x/2)) / 2, and you left the half inside out: your share opens twice "
    "as steeply. `torch.sigmoid` needs no detour."
)
def tanh_without_its_half(x):
    return x * (1 + torch.tanh(x)) / 2


@wrong(CLAMPED)
def clamps_x_at_ten(x):
    x = x.clamp(-10, 10)
    return x * torch.sigmoid(x)


@wrong(CLAMPED)
def clamps_x_at_thirty(x):
    x = x.clamp(-30, 30)
    return x * torch.sigmoid(x)


@wrong(CLAMPED)
def clamps_x_at_fifty(x):
    x = x.clamp(-50, 50)
    return x * torch.sigmoid(x)


@wrong(CLAMPED)
def clamps_x_at_eighty(x):
    x = x.clamp(-80, 80)
    return x * torch.sigmoid(x)


@wrong(CLAMPED)
def clamps_x_at_a_hundred(x):
    x = x.clamp(-100, 100)
    return x * torch.sigmoid(x)


@wrong(CLAMPED)
def clamps_x_at_twenty_for_exp(x):
    x = x.clamp(-20, 20)
    return x / (1 + torch.exp(-x))


@wrong(CLAMPED)
def clamps_x_at_thirty_for_exp(x):
    x = x.clamp(-30, 30)
    return x / (1 + torch.exp(-x))


@wrong(CLAMPED)
def clamps_x_at_fifty_for_exp(x):
    x = x.clamp(-50, 50)
    return x / (1 + torch.exp(-x))


@wrong(CLAMPED)
def clamps_x_at_eighty_for_exp(x):
    x = x.clamp(-80, 80)
    return x / (1 + torch.exp(-x))


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
