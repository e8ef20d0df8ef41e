"""Notebook 02, exercise 5: RMSNorm backwards."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb02.common import _gain

wrong = WrongAnswers()


def rms_norm_backward(x, weight, eps, grad_out):
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)  # (..., 1)
    pull = grad_out * weight  # (..., D)
    shared = (pull * x).mean(-1, keepdim=True)  # (..., 1)
    grad_x = r * pull - r**3 * shared * x
    grad_weight = (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)  # (D,)
    return grad_x, grad_weight


def _backward_reference(x, weight, eps, grad_out):
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = torch.nn.functional.rms_norm(x, weight.shape, weight, eps)
    return torch.autograd.grad(y, (x, weight), grad_out)


def _backward_probes():
    """In float64, so that only the mathematics can differ; eps large enough to be seen."""
    g = seeded(24)

    def probe(size, eps, scale=1.0):
        x = scale * (0.5 + torch.randn(*size, generator=g).double())
        grad_out = torch.randn(*size, generator=g).double()
        return x, _gain(size[-1], g).double(), eps, grad_out

    return [
        probe((2, 3, 5), 1e-5),
        probe((3, 4), 0.3),
        probe((2, 2, 3, 6), 1e-5, 0.004),
        probe((7,), 1e-3),
    ]


@wrong(
    "You treated the size as a constant. Each x_j also changes r, and through r every output of"
    " its vector: the second way in which it acts is missing."
)
def size_held_constant(x, weight, eps, grad_out):
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return r * grad_out * weight, (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)


def _backward(x, weight, eps, grad_out, pull, power=3, mean=True, sign=-1.0):
    """The right answer with one part changed: for the misconceptions below."""
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    shared = (pull * x).mean(-1, keepdim=True) if mean else (pull * x).sum(-1, keepdim=True)
    grad_x = r * grad_out * weight + sign * r**power * shared * x
    return grad_x, (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)


@wrong(
    "The weight is missing in the second term: what comes back through r was multiplied by the "
    "weights on its way out, so it is on its way back."
)
def no_weight_in_the_shared_part(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out)


@wrong(
    "You left the weight out of grad_x. What reaches x has passed the weight: each grad_out is "
    "multiplied by it first."
)
def no_weight_at_all(x, weight, eps, grad_out):
    ones = torch.ones_like(weight)
    return _backward(x, ones, eps, grad_out, grad_out)


@wrong(
    "You summed where a mean is wanted: the 1/D from the mean of the squares is still there "
    "when you differentiate."
)
def sum_in_the_shared_part(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, mean=False)


@wrong(
    "Your second term has r squared, and needs r cubed. r is a mean square to the power -1/2, "
    "so its derivative has the power -3/2, which is three r's."
)
def one_division_short(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, power=2)


@wrong(
    "You added the second term. A larger x_j makes the divisor larger and every output smaller:"
    " it comes in with a minus."
)
def wrong_sign(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, sign=1.0)


@wrong(
    "You left eps out on the way back. The r of the gradient is the same r as forwards, eps "
    "included; for small x the difference is large."
)
def no_eps_on_the_way_back(x, weight, eps, grad_out):
    return _backward(x, weight, 0.0, grad_out, grad_out * weight)


@wrong(
    "grad_x is right. Your grad_weight still has one value for every token; the weight is "
    "shared by all of them, so their gradients add up to (D,)."
)
def weight_gradient_per_token(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return grad_x, grad_out * x * r


@wrong(
    "grad_x is right. You summed grad_weight over the batch, and one value for each position is"
    " left; the same D weights serve all positions too."
)
def weight_gradient_over_the_batch_only(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return grad_x, (grad_out * x * r).sum(0)


@wrong(
    "grad_x is right. You averaged grad_weight over the tokens: a weight that is used N times "
    "gets the sum of N gradients. If the loss is a mean, grad_out knows already."
)
def weight_gradient_averaged(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x, grad_weight * x.shape[-1] / x.numel()


@wrong(
    "grad_x is right. The weight multiplies the normalised x, not x itself: there is an r "
    "missing in grad_weight."
)
def weight_gradient_of_raw_x(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x, (grad_out * x).reshape(-1, x.shape[-1]).sum(0)


@wrong(
    "You took the mean out of the gradient. LayerNorm needs that, because it took the mean out "
    "on the way in; RMSNorm did not."
)
def layer_norm_backward(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x - grad_x.mean(-1, keepdim=True), grad_weight


EXERCISE = Exercise(
    name="rms_norm_backward",
    title="RMSNorm backwards",
    points=4,
    minutes=20,
    answer=rms_norm_backward,
    reference=_backward_reference,
    probes=_backward_probes,
    misconceptions=wrong.all,
    hints=(
        "Begin with grad_weight: it is the easy one. Which number multiplied weight_i, in each "
        "token? Then grad_x has two terms: through y_j itself, and through r.",
        "Call grad_out times weight the pull. First term: the pull times r. Second term: r "
        "answers to every output of its vector at once, so collect pull_i x_i over all i into "
        "one number for each vector, then hand it out by dr/dx_j.",
        "The collected number meets dr/dx_j = -r^3 x_j / D: sum and 1/D together are a mean over "
        "the last axis, with `keepdim=True`. For grad_weight, flatten all axes but the last and "
        "sum.",
    ),
)
