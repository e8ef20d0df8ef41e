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
    """In float64, so that only the mathematics can differ; eps large enough to be seen; axes of
    size 1; views; float32."""
    g = seeded(24)

    def probe(size, eps, scale=1.0):
        x = scale * (0.5 + torch.randn(*size, generator=g).double())
        grad_out = torch.randn(*size, generator=g).double()
        return x, _gain(size[-1], g).double(), eps, grad_out

    x, weight, eps, grad_out = probe((3, 2, 5), 0.1)
    narrow = [v.float() if isinstance(v, torch.Tensor) else v for v in probe((2, 6), 0.1)]
    return [
        probe((2, 3, 5), 1e-5),
        probe((3, 4), 0.3),
        probe((2, 2, 3, 6), 1e-5, 0.004),
        probe((7,), 1e-3),
        probe((1, 1, 4), 0.02),
        (x.transpose(0, 1), weight, eps, grad_out.transpose(0, 1)),
        tuple(narrow),
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


LAYER_NORM = (
    "You took the mean out of the gradient. LayerNorm needs that, because it took the mean out "
    "on the way in; RMSNorm did not."
)


@wrong(LAYER_NORM)
def layer_norm_backward(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x - grad_x.mean(-1, keepdim=True), grad_weight


@wrong(LAYER_NORM)
def layer_norm_by_its_formula(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return grad_x - r * (grad_out * weight).mean(-1, keepdim=True), grad_weight


@wrong(
    "These are the gradients of LayerNorm: the mean is taken out of x, and out of what comes back. "
    "RMSNorm leaves it in, both ways."
)
def layer_norm_from_start_to_end(x, weight, eps, grad_out):
    x = x - x.mean(-1, keepdim=True)
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x - grad_x.mean(-1, keepdim=True), grad_weight


def _both(x, weight, eps, grad_out):
    """(the right answer, r, the pull), for misconceptions that spoil it afterwards."""
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return _backward(x, weight, eps, grad_out, grad_out * weight), r, grad_out * weight


@wrong(
    "The shared part is collected for each vector by itself: a mean over the last axis, with "
    "`keepdim=True`. Yours is a mean over everything, so that vectors mix."
)
def one_shared_part_for_all(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).mean() * x, grad_weight


@wrong(
    "You took the mean over the first axis. The shared part is collected over the D numbers of one "
    "vector: the last axis."
)
def shared_part_over_the_first_axis(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).mean(0, keepdim=True) * x, grad_weight


@wrong(
    "You let each x_j act on its own output only, also by way of r. But r is shared: collect "
    "pull_i x_i over all i of the vector first."
)
def nothing_is_shared(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * pull * x * x / x.shape[-1], grad_weight


@wrong(
    "In the second term an x is missing: dr/dx_j = -r^3 x_j / D has the x_j of the coordinate that "
    "is nudged."
)
def no_x_in_the_second_term(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).mean(-1, keepdim=True), grad_weight


@wrong(
    "In the shared part an x is missing: r multiplies x_i in output i, so what comes back to r "
    "from there is pull_i times x_i."
)
def no_x_in_the_shared_part(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * pull.mean(-1, keepdim=True) * x, grad_weight


@wrong(
    "Your second term is half of what it should be: the 1/2 of the root and the 2 of the square "
    "cancel."
)
def half_of_the_second_term(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, sign=-0.5)


@wrong(
    "Your second term is twice what it should be: the 2 of the square and the 1/2 of the root "
    "cancel."
)
def twice_the_second_term(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, sign=-2.0)


@wrong(
    "Your second term has one r, and needs three. r is a mean square to the power -1/2, so its "
    "derivative has the power -3/2."
)
def two_divisions_short(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, power=1)


@wrong("The first term is missing: each x_j acts on its own y_j directly, by r times the pull.")
def the_first_road_is_missing(x, weight, eps, grad_out):
    (grad_x, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return grad_x - r * pull, grad_weight


@wrong("In the first term an r is missing: y_j = w_j r x_j, so x_j acts on it by w_j r.")
def no_r_in_the_first_term(x, weight, eps, grad_out):
    (grad_x, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return grad_x - r * pull + pull, grad_weight


@wrong(
    "You multiplied by the weight at the end, outside of the shared part. There each number is "
    "multiplied by its own weight *before* they are collected."
)
def weight_at_the_end(x, weight, eps, grad_out):
    ones = torch.ones_like(weight)
    grad_x, grad_weight = _backward(x, ones, eps, grad_out, grad_out)
    return grad_x * weight, grad_weight


@wrong("You multiplied the second term by the weight once more. It is in the pull already.")
def weight_twice(x, weight, eps, grad_out):
    (grad_x, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull + (grad_x - r * pull) * weight, grad_weight


@wrong(
    "grad_x is right. You summed grad_weight to a single number; there are D weights, and each has "
    "a gradient of its own: (D,)."
)
def one_number_for_all_weights(x, weight, eps, grad_out):
    (grad_x, _), r, _ = _both(x, weight, eps, grad_out)
    return grad_x, (grad_out * x * r).sum()


@wrong(
    "grad_x is right. You summed grad_weight over the D numbers of each vector; it is the other "
    "axes that share the weights: flatten all but the last, and sum over those."
)
def weight_gradient_over_the_vector(x, weight, eps, grad_out):
    (grad_x, _), r, _ = _both(x, weight, eps, grad_out)
    return grad_x, (grad_out * x * r).sum(-1)


@wrong(
    "grad_x is right. For grad_weight you summed over axes 0 and 1, and there may be one, or "
    "three. Flatten all axes but the last, and sum over the first that is left."
)
def weight_gradient_over_two_axes(x, weight, eps, grad_out):
    (grad_x, _), r, _ = _both(x, weight, eps, grad_out)
    return grad_x, (grad_out * x * r).sum((0, 1))


@wrong(
    "grad_x is right. The weight stands in its own gradient: weight_i multiplies r x_i, so its "
    "gradient is grad_out_i r x_i, without weight_i."
)
def weight_in_its_own_gradient(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    return grad_x, grad_weight * weight


@wrong(
    "grad_x is right. In grad_weight x is missing: weight_i multiplies the normalised x_i. Your "
    "sum of grad_out would be right for a bias."
)
def bias_gradient(x, weight, eps, grad_out):
    (grad_x, _), _, _ = _both(x, weight, eps, grad_out)
    return grad_x, grad_out.reshape(-1, x.shape[-1]).sum(0)


@wrong(
    "grad_x is right. You averaged grad_weight over the batch: a weight that is used N times gets "
    "the sum of N gradients. If the loss is a mean, grad_out knows already."
)
def weight_gradient_averaged_over_the_batch(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    return grad_x, grad_weight / x.shape[0]


@wrong("Both are there, in the wrong order: (grad_x, grad_weight).")
def in_the_wrong_order(x, weight, eps, grad_out):
    return _both(x, weight, eps, grad_out)[0][::-1]


@wrong("You return grad_x alone. Two gradients are asked for: (grad_x, grad_weight).")
def grad_x_alone(x, weight, eps, grad_out):
    return _both(x, weight, eps, grad_out)[0][0]


@wrong("Your r is the root itself; it must be one over the root. `rsqrt` is 1 / sqrt.")
def r_upside_down(x, weight, eps, grad_out):
    r = torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    pull = grad_out * weight
    grad_weight = (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)
    return r * pull - r**3 * (pull * x).mean(-1, keepdim=True) * x, grad_weight


@wrong("You added eps to the root instead of under it: r is (m + eps) to the power -1/2.")
def eps_outside_the_root(x, weight, eps, grad_out):
    r = 1 / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps)
    pull = grad_out * weight
    grad_weight = (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)
    return r * pull - r**3 * (pull * x).mean(-1, keepdim=True) * x, grad_weight


@wrong("You wrote 1e-5 where the argument eps should stand.")
def eps_of_llama_2(x, weight, eps, grad_out):
    return _both(x, weight, 1e-5, grad_out)[0]


@wrong(
    "You made grad_x stand exactly at a right angle to x. It does so only without eps: with eps, a "
    "step along x changes the output a little."
)
def exactly_at_a_right_angle(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    along = (grad_x * x).sum(-1, keepdim=True) / x.pow(2).sum(-1, keepdim=True)
    return grad_x - along * x, grad_weight


@wrong(
    "A mean lost its axis (`keepdim=True` keeps it). Mostly that is an error, and for a single "
    "vector it goes unnoticed."
)
def drops_the_axis_of_the_shared_part(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).mean(-1) * x, grad_weight


@wrong(
    "`squeeze` throws away every axis of size 1. A gradient has the shape of what it is the "
    "gradient of: grad_x that of x."
)
def squeezes(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    return grad_x.squeeze(), grad_weight


@wrong(
    "`view` wants numbers that lie in one row in memory, and in a transposed tensor they do not. "
    "`reshape` and `flatten` do the same for both."
)
def asks_for_contiguous(x, weight, eps, grad_out):
    width = x.shape[-1]
    flat, pull = x.view(-1, width), grad_out.view(-1, width)
    (grad_x, grad_weight), _, _ = _both(flat, weight, eps, pull)
    return grad_x.view(x.shape), grad_weight


@wrong("You return float32, whatever came in. A gradient has the dtype of what it belongs to.")
def always_float32(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    return grad_x.float(), grad_weight.float()


@wrong(
    "You left grad_out out: yours are the gradients of the plain sum of the outputs. What comes "
    "back from the loss is different for each of them."
)
def without_grad_out(x, weight, eps, grad_out):
    return _both(x, weight, eps, torch.ones_like(grad_out))[0]


@wrong(
    "The values are right, but you multiplied grad_out by the weight in its own place: the "
    "caller's gradient is spoiled for all who come after. Give the product a name of its own."
)
def pulls_in_place(x, weight, eps, grad_out):
    answer = _both(x, weight, eps, grad_out)[0]
    grad_out *= weight
    return answer


@wrong(
    "You multiplied grad_out by the weight in its own place: the caller's is changed, and "
    "grad_weight, which comes after, has the weight in it now."
)
def pulls_in_place_too_early(x, weight, eps, grad_out):
    (grad_x, grad_weight), _, _ = _both(x, weight, eps, grad_out)
    grad_out *= weight
    return grad_x, grad_weight * weight


ONE_SUM = (
    "The shared part is collected for each vector by itself, over its D numbers: the last axis, "
    "with `keepdim=True`. Yours is one sum over all tokens, so that vectors mix."
)


@wrong(ONE_SUM)
def one_shared_sum_for_all(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).sum() / x.shape[-1] * x, grad_weight


@wrong(ONE_SUM + " (And the 1/D of the mean is missing.)")
def one_shared_sum_for_all_without_d(x, weight, eps, grad_out):
    (_, grad_weight), r, pull = _both(x, weight, eps, grad_out)
    return r * pull - r**3 * (pull * x).sum() * x, grad_weight


EXERCISE = Exercise(
    name="rms_norm_backward",
    title="RMSNorm backwards",
    points=4,
    minutes=20,
    answer=rms_norm_backward,
    reference=_backward_reference,
    probes=_backward_probes,
    misconceptions=wrong.all,
    no_autograd=True,
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
