"""Notebook 07, exercise 3: A step of AdamW."""

import torch
from torch.optim.adamw import adamw

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def adamw_step(weight, grad, m, v, step, lr, decay):
    m = 0.9 * m + 0.1 * grad
    v = 0.95 * v + 0.05 * grad**2
    m_fair = m / (1 - 0.9**step)
    v_fair = v / (1 - 0.95**step)
    weight = weight - lr * decay * weight
    return weight - lr * m_fair / (v_fair.sqrt() + 1e-5), m, v


def _adamw_step_reference(weight, grad, m, v, step, lr, decay):
    """torch's own, as its optimizer calls it: in place, on the state of the step before."""
    weight, m, v = weight.clone(), m.clone(), v.clone()
    fixed = dict(beta1=0.9, beta2=0.95, eps=1e-5, amsgrad=False, maximize=False)
    states = [torch.tensor(step - 1.0)]
    adamw([weight], [grad], [m], [v], [], states, lr=lr, weight_decay=decay, **fixed)
    return weight, m, v


def _adamw_step_probes():
    """The first step, the second, a late one; gradients as small as eps and a rate so large that
    the order of decay and step shows; a vector, a matrix, float64."""
    probes = []
    for seed, shape, step, lr, decay, size in (
        (74, (3, 4), 1, 1e-3, 0.1, 1.0),
        (75, (5,), 2, 0.1, 0.5, 1.0),
        (76, (2, 3), 7, 0.3, 0.4, 1e-5),
        (77, (4, 2), 50, 0.5, 0.3, 0.1),
        (78, (2, 2, 3), 3, 0.02, 0.1, 1e-4),
    ):
        g = seeded(seed)
        kind = torch.float64 if seed == 78 else torch.float32
        draw = lambda g=g, shape=shape, kind=kind: torch.randn(shape, generator=g).to(kind)  # noqa: E731
        m, v = (0.3 * size * draw(), (size * draw()) ** 2) if step > 1 else (0 * draw(),) * 2
        probes.append((1 + draw(), size * draw(), m, v.clone(), step, lr, decay))
    return probes


def _adamw(
    weight, grad, m, v, step, lr, decay, *, b1=0.9, b2=0.95, eps=1e-5, fair=(True, True),
    late=0, root=True, inside=False, old=False,
):  # fmt: skip
    """AdamW with a part replaced."""
    m_new, v_new = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
    m_used, v_used = (m, v) if old else (m_new, v_new)
    m_fair = m_used / (1 - b1 ** (step - late)) if fair[0] else m_used
    v_fair = v_used / (1 - b2 ** (step - late)) if fair[1] else v_used
    size = (v_fair + eps).sqrt() if inside else (v_fair.sqrt() if root else v_fair) + eps
    return weight * (1 - lr * decay) - lr * m_fair / size, m_new, v_new


@wrong(
    "The two averages start from 0, and you did not correct for that. After the first step they"
    " hold a tenth and a twentieth of what they should."
)
def no_correction(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(False, False))


@wrong(
    "You corrected m and not v. Since v is far too small at first, the first steps are several "
    "times too long."
)
def corrects_m_alone(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(True, False))


@wrong("You corrected v and not m, so the first steps are a fraction of what they should be.")
def corrects_v_alone(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(False, True))


@wrong(
    "Your correction counts from 0. At step 1 it divides by 1 - beta⁰ = 0, and the weights are "
    "nan from then on. `step` is 1 at the first step."
)
def counts_steps_from_zero(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, late=1)


@wrong(
    "You handed back the corrected averages. They would be corrected again at the next step: "
    "the correction is for use, the plain averages are what is kept."
)
def keeps_the_corrected(weight, grad, m, v, step, lr, decay):
    weight, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return weight, m / (1 - 0.9**step), v / (1 - 0.95**step)


@wrong(
    "Your eps is under the root, where 1e-5 becomes 3e-3: every gradient below that takes "
    "hardly any step. It is added to the root."
)
def eps_inside_the_root(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, inside=True)


@wrong(
    "You folded both corrections into the rate, and eps now meets the uncorrected root. That is"
    " a shortcut of the first Adam paper, with another eps at every early step."
)
def eps_before_the_correction(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    rate = lr * (1 - 0.95**step) ** 0.5 / (1 - 0.9**step)
    return weight * (1 - lr * decay) - rate * m / (v.sqrt() + 1e-5), m, v


@wrong(
    "That is PyTorch's default, eps = 1e-8. Llama 2 has 1e-5, and where gradients are as small "
    "as that it matters."
)
def usual_eps(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, eps=1e-8)


@wrong(
    "That is PyTorch's default, beta2 = 0.999. Llama 2 has 0.95: it looks back about 20 steps, "
    "not 1,000."
)
def usual_beta(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b2=0.999)


@wrong(
    "The betas have changed places: 0.9 is for the average of the gradients, 0.95 for that of "
    "their squares."
)
def betas_changed_places(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b1=0.95, b2=0.9)


@wrong(
    "Two of PyTorch's defaults: beta2 = 0.999 and eps = 1e-8. Llama 2 has 0.95 and 1e-5: it looks"
    " back about 20 steps, not 1,000."
)
def usual_beta_and_eps(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b2=0.999, eps=1e-8)


@wrong(
    "There is no eps. It is added to the root, 1e-5: without it a weight with next to no gradient"
    " is thrown about by noise, and one with none is nan."
)
def no_eps(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, eps=0.0)


@wrong(
    "You used 0.9 for both averages. That of the squares has beta2 = 0.95, in the average and in "
    "its correction."
)
def one_beta_for_both(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b2=0.9)


@wrong(
    "You corrected v with beta1. Each average is corrected with its own beta: 1 - 0.95 to the "
    "power of the step for v."
)
def corrects_v_with_beta1(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.9**step), lr, decay), m, v


def _stepped(weight, m_fair, v_fair, lr, decay, eps=1e-5):
    return weight * (1 - lr * decay) - lr * m_fair / (v_fair.sqrt() + eps)


@wrong(
    "Your correction is the same at every step. It is 1 - beta to the POWER of the step: nearly "
    "1 after a while, since by then the average is full."
)
def corrects_without_the_power(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return _stepped(weight, m / (1 - 0.9), v / (1 - 0.95), lr, decay), m, v


@wrong(
    "You multiplied beta by the step, where it is raised to its power: `**`. 1 - 0.95 · 2 is "
    "negative, and the root of that is nan."
)
def corrects_with_a_product(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return _stepped(weight, m / (1 - 0.9 * step), v / (1 - 0.95 * step), lr, decay), m, v


@wrong(
    "Your correction counts one step too many. `step` is 1 at the first step already: the power "
    "is `step`, not `step + 1`."
)
def counts_a_step_too_many(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, late=-1)


@wrong(
    "v is the average of the gradients' SQUARES. You averaged the gradients themselves, which may"
    " be negative, and the root of that is nan."
)
def does_not_square(weight, grad, m, v, step, lr, decay):
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay), m, v


@wrong("v is the average of squares; you averaged sizes (`abs`), and took the root of that.")
def sizes_for_squares(weight, grad, m, v, step, lr, decay):
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad.abs()
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay), m, v


@wrong(
    "You squared the average m, not the gradient. If gradients contradict each other m is small, "
    "and just then v has to stay large."
)
def squares_the_average(weight, grad, m, v, step, lr, decay):
    m = 0.9 * m + 0.1 * grad
    v = 0.95 * v + 0.05 * m**2
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay), m, v


@wrong(
    "You added the whole new gradient, not its share 1 - beta. That is a sum that fades, ten and "
    "twenty times as large as the average."
)
def adds_the_whole_gradient(weight, grad, m, v, step, lr, decay):
    m, v = 0.9 * m + grad, 0.95 * v + grad**2
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay), m, v


@wrong(
    "You stepped along the new gradient alone and computed m for nothing. The step goes along the"
    " average, which keeps a tenth of each."
)
def steps_along_the_gradient(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return _stepped(weight, grad, v / (1 - 0.95**step), lr, decay), m, v


@wrong(
    "You put eps into v, where it is averaged, corrected and rooted with it. It is added to the "
    "root, at the very end, and not kept."
)
def eps_kept_in_v(weight, grad, m, v, step, lr, decay):
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad**2 + 1e-5
    return _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay, 0.0), m, v


@wrong(
    "A pair of brackets is missing: your eps is added to the weight, not to the root. "
    "lr · m / (√v + eps)."
)
def eps_added_to_the_weight(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    moved = _stepped(weight, m / (1 - 0.9**step), v / (1 - 0.95**step), lr, decay, 0.0)
    return moved + 1e-5, m, v


@wrong("You divided by v itself. v is in squared units; its root is the gradient's size.")
def no_root(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, root=False)


@wrong(
    "Your averages keep a tenth of the past and take nine tenths from the new gradient. Beta is"
    " the part of the past that is kept."
)
def weights_the_new_gradient_most(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b1=0.1, b2=0.05)


@wrong(
    "You add up all squares since the beginning (that is Adagrad): v only grows, and the steps "
    "shrink to nothing. Adam's v is an average that forgets."
)
def never_forgets(weight, grad, m, v, step, lr, decay):
    v = v + grad**2
    m = 0.9 * m + 0.1 * grad
    step_size = lr * m / (1 - 0.9**step)
    return weight * (1 - lr * decay) - step_size / (v.sqrt() + 1e-5), m, v


@wrong(
    "You used one mean square for the whole tensor. v has an entry for every weight: that is "
    "what gives each weight a step of its own size."
)
def one_size_for_the_tensor(weight, grad, m, v, step, lr, decay):
    return _adamw_with_v(weight, grad, m, 0.95 * v + 0.05 * grad.pow(2).mean(), step, lr, decay)


def _adamw_with_v(weight, grad, m, v, step, lr, decay):
    m = 0.9 * m + 0.1 * grad
    size = (v / (1 - 0.95**step)).sqrt() + 1e-5
    return weight * (1 - lr * decay) - lr * m / (1 - 0.9**step) / size, m, v


@wrong(
    "The step uses the averages from before this gradient. At the first step they are 0, so it "
    "goes nowhere. Update them first."
)
def uses_the_old_averages(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, old=True)


@wrong(
    "You added the decay to the gradient, as Adam with L2 does. There it is divided by the "
    "gradient's size, and weights with large gradients hardly decay. The W in AdamW says: not "
    "so."
)
def decay_in_the_gradient(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad + decay * weight, m, v, step, lr, 0.0)


@wrong(
    "Your decay is not multiplied by the rate: with 0.1 every step takes a tenth of every "
    "weight. It is lr times decay times the weight."
)
def decay_without_the_rate(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, 0.0)
    return moved - decay * weight, m, v


@wrong(
    "Your decay is not multiplied by the rate, and it takes its share after the step. It is lr "
    "times decay times the OLD weight."
)
def decay_without_the_rate_after(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, 0.0)
    return moved * (1 - decay), m, v


@wrong(
    "You let the weight decay after the step, so the step itself decays too. It is the old "
    "weight that decays."
)
def decay_after_the_step(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, 0.0)
    return moved * (1 - lr * decay), m, v


@wrong(
    "You divided the decay by the gradient's size, together with m. It stands outside: the same"
    " share of every weight."
)
def decay_inside_the_step(weight, grad, m, v, step, lr, decay):
    """The step and the decay both divided by the size."""
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad**2
    size = (v / (1 - 0.95**step)).sqrt() + 1e-5
    return weight - lr * (m / (1 - 0.9**step) + decay * weight) / size, m, v


@wrong("Your decay pushes weights away from 0. It takes a share away.")
def decay_outwards(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, -decay)


@wrong("There is no decay in it.")
def no_decay(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, 0.0)


@wrong("You went up the gradient. It points to where the loss grows; the step goes the other way.")
def climbs(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return 2 * weight * (1 - lr * decay) - moved, m, v


@wrong(
    "The values are right, but you changed the tensors that you were given. Make new ones here."
    " (torch's optimizer works in place on purpose, to save memory.)"
)
def works_in_place(weight, grad, m, v, step, lr, decay):
    m.mul_(0.9).add_(grad, alpha=0.1)
    v.mul_(0.95).addcmul_(grad, grad, value=0.05)
    weight.mul_(1 - lr * decay)
    weight.sub_(lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.95**step)).sqrt() + 1e-5))
    return weight, m, v


@wrong(
    "The values are right, but `-=` wrote them into the weight that you were given. `weight = "
    "weight - …` makes a new one."
)
def moves_the_given_weight(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    weight.copy_(moved)
    return weight, m, v


@wrong(
    "You return the new weight alone. The two averages are needed at the next step: three values,"
    " (weight, m, v)."
)
def gives_the_weight_alone(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay)[0]


@wrong(
    "The weight is right, but you return the averages that came in. The next step would begin "
    "again from them."
)
def gives_the_old_averages(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay)[0], m, v


@wrong(
    "The values are right, but they were written into the m and v that you were given. What has "
    "an underscore behind its name (`mul_`, `add_`) works in place, and so does `+=`: make new "
    "tensors."
)
def averages_in_place(weight, grad, m, v, step, lr, decay):
    moved, m_new, v_new = _adamw(weight, grad, m, v, step, lr, decay)
    return moved, m.copy_(m_new), v.copy_(v_new)


EXERCISE = Exercise(
    name="adamw_step",
    title="A step of AdamW",
    points=3,
    minutes=15,
    answer=adamw_step,
    reference=_adamw_step_reference,
    probes=_adamw_step_probes,
    atol=1e-8,
    misconceptions=wrong.all,
    hints=(
        "Five lines in the order of the formula: two averages, two corrections, one new weight.",
        "An average that forgets: beta times the old plus (1 - beta) times the new. The "
        "correction divides by how much of the average has been filled: 1 - beta to the power of "
        "the step.",
        "The new weight is the old one, less a share lr · decay of itself, less lr times a "
        "quotient. Keep the plain averages; use the corrected.",
    ),
)
