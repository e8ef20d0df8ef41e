"""Notebook 09, exercise: A linear layer with a LoRA adapter."""

import torch
import torch.nn.functional as F
from torch import nn

from llamalab.alignment.lora import LoRALinear
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def lora_linear(x, weight, A, B, alpha):
    narrow = x @ A.T  # (..., rank)
    return x @ weight.T + alpha / A.shape[0] * (narrow @ B.T)  # (..., out)


def _lora_linear_reference(x, weight, A, B, alpha):
    """The package's layer, with these matrices in the place of its own."""
    layer = LoRALinear(nn.Parameter(weight.detach()), len(A), alpha, generator=seeded(0))
    layer._parameters.update({"weight": weight, "lora_A": A, "lora_B": B})
    return layer(x)


def _lora_linear_probes():
    """All sizes different; ranks 1, 2, 3, 4; alpha above and below the rank, and equal to it; one
    vector and many axes; a square layer whose rank is its size, where a matrix that is not turned
    fits; a batch of one; float64; x that lies transposed; no token; B as it is at birth."""
    g = seeded(91)

    def probe(*shape, out, rank, alpha, dtype=torch.float32):
        sizes = (shape, (out, shape[-1]), (rank, shape[-1]), (out, rank))
        return *(torch.randn(size, generator=g).to(dtype) for size in sizes), alpha

    lying = torch.randn(7, 3, 2, generator=g).transpose(0, 2)  # (2, 3, 7)
    born = probe(2, 8, out=10, rank=2, alpha=4.0)
    return [
        probe(2, 5, 7, out=11, rank=3, alpha=8.0),
        probe(3, 4, 9, out=6, rank=2, alpha=1.0),
        probe(2, 3, 6, out=6, rank=6, alpha=15.0),
        probe(8, out=9, rank=2, alpha=0.5),
        probe(1, 1, 6, out=10, rank=1, alpha=3.0),
        probe(2, 3, 2, 9, out=12, rank=4, alpha=4.0),
        probe(3, 4, 10, out=8, rank=3, alpha=2.0, dtype=torch.float64),
        (lying, *probe(7, out=9, rank=2, alpha=6.0)[1:]),
        (*born[:3], torch.zeros_like(born[3]), born[4]),
        (torch.zeros(0, 6), *probe(6, out=8, rank=2, alpha=4.0)[1:]),
    ]


def _lora(x, weight, A, B, alpha, *, scale=None, road=None):
    """The right answer with another scale, or another x for the thin road."""
    scale = alpha / A.shape[0] if scale is None else scale
    return x @ weight.T + scale * ((x if road is None else road) @ A.T @ B.T)


@wrong(
    "There is no scale. It is alpha / rank; without it the correction of every rank comes at its "
    "full size, and a rate found for one rank is wrong for the next."
)
def no_scale(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=1.0)


@wrong(
    "You scaled by alpha times the rank. It is alpha DIVIDED by the rank: a sum over four times as "
    "many directions is made four times smaller."
)
def alpha_times_rank(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha * A.shape[0])


@wrong(
    "You scaled by alpha and forgot the rank. It is alpha / rank: else the correction grows with "
    "the number of directions in its sum."
)
def alpha_alone(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha)


@wrong("You divided by the rank and forgot alpha. The scale is alpha / rank.")
def rank_alone(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=1 / A.shape[0])


@wrong("The scale is upside down: alpha / rank, not rank / alpha.")
def upside_down(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=A.shape[0] / alpha)


@wrong(
    "You divided by the root of the rank. That is rsLoRA, a later proposal; LoRA divides by the "
    "rank itself, and adapters of others were learned with that."
)
def root_of_the_rank(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha / A.shape[0] ** 0.5)


@wrong(
    "You read the rank from the wrong axis: A is (rank, in), and A.shape[1] is the layer's input "
    "size. The correction is smaller than it should be by in / rank."
)
def rank_from_the_inputs(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha / A.shape[1])


@wrong(
    "You read the rank from the wrong axis: B is (out, rank), and B.shape[0] is the layer's output "
    "size. The correction is smaller than it should be by out / rank."
)
def rank_from_the_outputs(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha / B.shape[0])


@wrong(
    "Your scale is a whole number: `//` throws the rest away, and with alpha below the rank "
    "nothing is left of the correction. `/`."
)
def whole_division(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=alpha // A.shape[0])


@wrong(
    "You scaled W's part too. The scale belongs to the correction alone: at birth, when B is zero, "
    "the layer must give what it gave before."
)
def scales_both(x, weight, A, B, alpha):
    return alpha / A.shape[0] * (x @ weight.T + x @ A.T @ B.T)


@wrong(
    "You scaled W's part and not the correction. At birth, when B is zero, the layer must give "
    "what it gave before."
)
def scales_the_frozen(x, weight, A, B, alpha):
    return alpha / A.shape[0] * (x @ weight.T) + x @ A.T @ B.T


@wrong(
    "You applied the scale twice, once to the thin vector and once behind B. Or is it in both of "
    "the matrices? Once is what alpha means."
)
def scales_twice(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=(alpha / A.shape[0]) ** 2)


@wrong(
    "You gave back the correction alone. At birth it is zero, and so would be the layer: W is "
    "frozen, not gone."
)
def correction_alone(x, weight, A, B, alpha):
    return alpha / A.shape[0] * (x @ A.T @ B.T)


@wrong("That is the frozen layer alone. What A and B have learned never arrives.")
def frozen_alone(x, weight, A, B, alpha):
    return x @ weight.T


@wrong("You took the correction away. It is added: the gradient finds its own sign.")
def subtracts(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, scale=-alpha / A.shape[0])


@wrong(
    "You multiplied the two roads. They are added: at birth, when the correction is zero, the "
    "product would be zero as well."
)
def multiplies(x, weight, A, B, alpha):
    return (x @ weight.T) * (alpha / A.shape[0] * (x @ A.T @ B.T))


@wrong(
    "B comes before A in yours. x meets A first, which makes it thin (in to rank), and B makes it "
    "wide again; on paper B A x is read from the right."
)
def b_before_a(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (x @ B.T @ A.T)


@wrong(
    "A and B are stored (out, in), as torch's Linear stores matrices: A is (rank, in), B (out, "
    "rank). Each needs its `.T` behind x. Where all sizes are equal the mistake runs."
)
def a_and_b_not_turned(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (x @ A @ B)


@wrong("A is not turned. It is (rank, in), as torch's Linear stores a matrix: `x @ A.T`.")
def a_not_turned(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (x @ A @ B.T)


@wrong(
    "B is not turned. It is (out, rank), as torch's Linear stores a matrix, so the thin vector "
    "needs `B.T` on its right."
)
def b_not_turned(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (x @ A.T @ B)


@wrong("The correction is right and W is not turned: it is (out, in), and x stands on its left.")
def weight_not_turned(x, weight, A, B, alpha):
    return x @ weight + alpha / A.shape[0] * (x @ A.T @ B.T)


@wrong("Nothing is turned. All three matrices are (out, in): behind x each needs its `.T`.")
def nothing_turned(x, weight, A, B, alpha):
    return x @ weight + alpha / A.shape[0] * (x @ B @ A)


@wrong(
    "The adapter reads what W has made. It stands beside W, not behind it: both read the same x, "
    "and only so can it be merged into W."
)
def behind_the_layer(x, weight, A, B, alpha):
    y = x @ weight.T
    return y + alpha / A.shape[0] * (y @ A.T @ B.T)


@wrong(
    "You corrected x and sent it through W. Then W and the correction are multiplied, and no "
    "matrix W + ... could do the same. The correction goes around W."
)
def corrects_the_input(x, weight, A, B, alpha):
    return (x + alpha / A.shape[0] * (x @ A.T @ B.T)) @ weight.T


@wrong("You added x as well. The block has its own residual; the layer has none.")
def adds_the_input(x, weight, A, B, alpha):
    return x + _lora(x, weight, A, B, alpha)


@wrong(
    "You bent the thin vector with ReLU. That makes an adapter layer, an older idea: it could not "
    "be merged into W afterwards. LoRA's road is straight."
)
def relu_between(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (F.relu(x @ A.T) @ B.T)


@wrong(
    "You bent the thin vector with a SiLU or a tanh. LoRA's road is straight: two products, else "
    "it could not be merged into W afterwards."
)
def silu_between(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (F.silu(x @ A.T) @ B.T)


@wrong(
    "You averaged over the rank, so of r directions one is left. The product with B is already "
    "the sum over them."
)
def mean_over_rank(x, weight, A, B, alpha):
    narrow = (x @ A.T).mean(-1, keepdim=True).expand(*x.shape[:-1], len(A))
    return x @ weight.T + alpha / A.shape[0] * (narrow @ B.T)


@wrong(
    "You made the thin vector of a single direction, the first. The correction is the sum over all "
    "rank of them."
)
def first_direction(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * (x @ A[:1].T @ B[:, :1].T)


@wrong(
    "You normalised x for the thin road. Both roads read the same x, or the correction is none of "
    "W any more."
)
def norms_x(x, weight, A, B, alpha):
    road = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-5)
    return _lora(x, weight, A, B, alpha, road=road)


@wrong(
    "The values are right, but you made the whole matrix B A, or W with it added in: as many "
    "numbers as W itself, at every call, and twice that on the way back. Thin first: x, A, then B."
)
def makes_the_matrix(x, weight, A, B, alpha):
    return x @ (weight + alpha / A.shape[0] * (B @ A)).T


@wrong("float32 came out, whatever went in. The layer behind it stops at another dtype: keep x's.")
def comes_out_in_float32(x, weight, A, B, alpha):
    return _lora(x.float(), weight.float(), A.float(), B.float(), alpha)


@wrong(
    "Your thin road goes through float32. Of a float64 it loses half the digits; keep x's dtype."
)
def thin_road_in_float32(x, weight, A, B, alpha):
    thin = (x.float() @ A.float().T @ B.float().T).to(x.dtype)
    return x @ weight.T + alpha / A.shape[0] * thin


@wrong(
    "`squeeze()` took away an axis of size 1 that belongs to the caller: a batch of one, or rank "
    "1, comes back with an axis missing."
)
def squeezes(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha).squeeze()


@wrong(
    "You unpacked x's shape into three names. x is (..., in): a single vector has one axis and "
    "some batches have four. `@` does not mind; nor need you."
)
def unpacks_three_axes(x, weight, A, B, alpha):
    batch, tokens, _ = x.shape
    return _lora(x, weight, A, B, alpha).reshape(batch, tokens, -1)


@wrong(
    "`view` only works where the numbers lie one after another, and a transposed tensor's do not. "
    "`@` takes any number of axes in front; there is no need to flatten."
)
def flattens_by_view(x, weight, A, B, alpha):
    rows = x.view(-1, x.shape[-1])
    return _lora(rows, weight, A, B, alpha).view(*x.shape[:-1], -1)


@wrong(
    "The values are right, but the road through W runs under `no_grad`, or its result was "
    "detached. W needs no gradient; x does: through W goes most of what the layers below are to "
    "learn. Freezing is done where W lives, with requires_grad."
)
def no_grad_through_the_frozen(x, weight, A, B, alpha):
    with torch.no_grad():
        frozen = x @ weight.T
    return frozen + alpha / A.shape[0] * (x @ A.T @ B.T)


@wrong(
    "The values are right, but you detached W here. Whoever owns W freezes it (requires_grad = "
    "False); a layer that cuts it off by itself can never be thawed for full tuning."
)
def weight_cut_off(x, weight, A, B, alpha):
    return _lora(x, weight.detach(), A, B, alpha)


@wrong(
    "The values are right, but x was detached on W's road: the layers below learn only what the "
    "thin road tells them. It is W that is frozen, not x."
)
def x_cut_off_before_w(x, weight, A, B, alpha):
    return x.detach() @ weight.T + alpha / A.shape[0] * (x @ A.T @ B.T)


@wrong(
    "The values are right, but x was detached on the thin road: the layers below learn as if there "
    "were no correction."
)
def x_cut_off_before_a(x, weight, A, B, alpha):
    return _lora(x, weight, A, B, alpha, road=x.detach())


@wrong(
    "The values are right, but A was cut off (`.data` or `detach`): it would stay the noise that "
    "it was born as, and B alone would learn."
)
def a_cut_off(x, weight, A, B, alpha):
    return _lora(x, weight, A.detach(), B, alpha)


@wrong(
    "The values are right, but B was cut off (`.data` or `detach`): it would stay zero, and with "
    "it the whole correction."
)
def b_cut_off(x, weight, A, B, alpha):
    return _lora(x, weight, A, B.detach(), alpha)


@wrong(
    "The values are right, but the thin vector was detached between A and B: B learns, and A and "
    "x are told nothing."
)
def narrow_cut_off(x, weight, A, B, alpha):
    return x @ weight.T + alpha / A.shape[0] * ((x @ A.T).detach() @ B.T)


@wrong(
    "The values are right, but the correction was made without gradient: A and B are all that is "
    "to learn here, and they never would."
)
def correction_cut_off(x, weight, A, B, alpha):
    with torch.no_grad():
        correction = alpha / A.shape[0] * (x @ A.T @ B.T)
    return x @ weight.T + correction


@wrong(
    "The values are right, but no gradient can flow at all: with `no_grad` around the layer "
    "neither A and B nor anything below would learn."
)
def no_grad_around_it_all(x, weight, A, B, alpha):
    with torch.no_grad():
        return _lora(x, weight, A, B, alpha)


@wrong(
    "You wrapped A and B in new Parameters or a fresh Linear. They have the same numbers, and the "
    "gradient ends in the wrappers. Use the tensors as they come."
)
def wraps_a_and_b_anew(x, weight, A, B, alpha):
    return _lora(x, weight, nn.Parameter(A.detach()), nn.Parameter(B.detach()), alpha)


@wrong(
    "You wrote the correction into W itself, with `+=` or `add_`: the frozen matrix is frozen no "
    "more, and the next call adds the correction once again."
)
def writes_into_the_weight(x, weight, A, B, alpha):
    weight.data += alpha / A.shape[0] * (B.data @ A.data)
    return x @ weight.T


EXERCISE = Exercise(
    name="lora_linear",
    title="A linear layer with an adapter",
    points=2,
    minutes=10,
    answer=lora_linear,
    reference=_lora_linear_reference,
    probes=_lora_linear_probes,
    misconceptions=wrong.all,
    gradients=True,
    # The largest that a right answer makes: x, narrow or out. One row more than W is room enough.
    largest_tensor=lambda x, weight, A, B, alpha: max(
        x.numel(), x.numel() // x.shape[-1] * max(len(weight), len(A)), weight.numel() - 1
    ),
    hints=(
        "Two roads from the same x, added at the end: the wide one through W, as ever, and a thin "
        "one through A and then B. Which of the two does the scale belong to?",
        "All three matrices are stored (out, in), so behind x each is turned on its side. The rank "
        "is the size of the thin place: which axis of A is that?",
        "x times the turned A is (..., rank); that times the turned B is (..., out). Multiply it "
        "by alpha over the rank, and add what the frozen matrix gives. Detach nothing.",
    ),
)
