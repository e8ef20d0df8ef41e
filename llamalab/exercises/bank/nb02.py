"""Notebook 02: a lookup as a product, its gradient, RMSNorm, its half precision, its gradient."""

import torch

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- a lookup is a product ------------------------------------------------------------------


def embed_product(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)  # (B, T, V)
    return one_hot @ weight  # (B, T, D)


def _embed_reference(tokens, weight):
    return torch.nn.functional.embedding(tokens, weight)


def _embed_probes():
    """All sizes different; V = T and V = D, where a wrong axis goes unnoticed; other dtypes."""
    g = _seeded(20)
    return [
        (torch.tensor([[4, 0, 6], [2, 4, 5]]), torch.randn(7, 4, generator=g)),
        (torch.tensor([[1, 3, 0, 4, 1]]), torch.randn(5, 3, generator=g)),
        (torch.tensor([[3, 2, 0], [1, 1, 3]]), torch.randn(4, 4, generator=g)),
        (torch.tensor([[2], [0]]), torch.randn(3, 5, generator=g).double()),
        (torch.tensor([[8, 0, 3]]), torch.randn(9, 2, generator=g).bfloat16()),
    ]


def counts_ids_from_one(tokens, weight):
    vocabulary = torch.arange(1, weight.shape[0] + 1)
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot @ weight


def one_hot_on_its_side(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[:, None, :] == vocabulary[:, None]).to(weight.dtype)  # (B, V, T)
    return one_hot @ weight


def table_on_its_side(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot @ weight.T


def adds_up_the_sentence(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype)
    return one_hot.sum(1) @ weight


def forgets_the_batch(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens.reshape(-1, 1) == vocabulary).to(weight.dtype)
    return one_hot @ weight


def whole_numbers_only(tokens, weight):
    one_hot = torch.nn.functional.one_hot(tokens, weight.shape[0])
    return one_hot @ weight.long()


def always_float32(tokens, weight):
    one_hot = torch.nn.functional.one_hot(tokens, weight.shape[0]).float()
    return one_hot @ weight.float()


def puts_the_id_in_the_row(tokens, weight):
    vocabulary = torch.arange(weight.shape[0])
    one_hot = (tokens[..., None] == vocabulary).to(weight.dtype) * tokens[..., None]
    return one_hot @ weight


EMBED_PRODUCT = Exercise(
    name="embed_product",
    title="A lookup as a product",
    points=1,
    minutes=5,
    answer=embed_product,
    reference=_embed_reference,
    probes=_embed_probes,
    misconceptions=(
        Misconception(
            counts_ids_from_one,
            "You numbered the rows from 1: every token gets the row before its own, and token 0 "
            "gets only zeros. Ids start at 0, as rows do.",
        ),
        Misconception(
            one_hot_on_its_side,
            "Your one-hot runs down a column: it has the shape (B, V, T). Each token needs a "
            "row of its own, (B, T, V), so that the V axis meets the V rows of the table.",
        ),
        Misconception(
            table_on_its_side,
            "You turned the table on its side. It holds one token a row, (V, D), and `@` already "
            "runs down its rows; a square table hides this mistake.",
        ),
        Misconception(
            adds_up_the_sentence,
            "You added the tokens of each sentence together: that bag of words no longer knows "
            "which token stood where. The T axis must come out again.",
        ),
        Misconception(
            forgets_the_batch,
            "You ran all sentences into one. The layers that follow must know where a sentence "
            "ends, so (B, T) ids become (B, T, D) vectors.",
        ),
        Misconception(
            whole_numbers_only,
            "You made the table whole numbers so that the product would run. The weights are "
            "small fractions, and nearly all of them became 0: convert the one-hot instead.",
        ),
        Misconception(
            always_float32,
            "You always compute in float32, whatever the table is. A model in bfloat16 would "
            "get float32 vectors from it and stop at the next product.",
        ),
        Misconception(
            puts_the_id_in_the_row,
            "Your one-hot holds the id where it should hold 1, so row 6 comes out six times too "
            "large, and row 0 vanishes.",
        ),
    ),
    hints=(
        "For each token you need V numbers: a 1 at the place that its id names and 0 elsewhere. "
        "That is a question asked of every number from 0 to V - 1: are you the id?",
        "Give `tokens` one more axis at the end, (B, T, 1), and compare it with the V numbers "
        "from 0 on. Broadcasting makes (B, T, V) booleans of it; then one product.",
        "`torch.arange` makes the V numbers. Booleans cannot be multiplied by fractions: give "
        "the one-hot the table's own dtype with `.to(...)`, then use `@`.",
    ),
)


# -- and its gradient -----------------------------------------------------------------------


def embed_backward(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))
    return grad_weight  # (V, D)


def _embed_backward_reference(tokens, grad_out, vocab_size):
    size = (vocab_size, grad_out.shape[-1])
    weight = torch.zeros(size, dtype=grad_out.dtype, requires_grad=True)
    torch.nn.functional.embedding(tokens, weight).backward(grad_out)
    return weight.grad


def _embed_backward_probes():
    """Ids that come twice in a sentence, and in two sentences; id 0; rows that never occur."""
    g = _seeded(21)
    return [
        (torch.tensor([[4, 0, 4], [2, 4, 5]]), torch.randn(2, 3, 5, generator=g), 7),
        (torch.tensor([[1, 1, 1, 3]]), torch.randn(1, 4, 2, generator=g).double(), 6),
        (torch.tensor([[0, 2], [2, 0], [1, 2]]), torch.randn(3, 2, 4, generator=g), 3),
    ]


def _added_up(tokens, grad_out, vocab_size):
    """The right answer, for misconceptions that spoil it afterwards."""
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    return grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))


def keeps_only_one(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1], dtype=grad_out.dtype)
    grad_weight[tokens] += grad_out
    return grad_weight


def averages_repeats(tokens, grad_out, vocab_size):
    total = _added_up(tokens, grad_out, vocab_size)
    counts = torch.bincount(tokens.flatten(), minlength=vocab_size).clamp(min=1)
    return total / counts[:, None].to(total.dtype)


def averages_the_batch(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size) / tokens.numel()


def only_rows_that_occurred(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size)[tokens.unique()]


def gradient_on_its_side(tokens, grad_out, vocab_size):
    return _added_up(tokens, grad_out, vocab_size).T


def nothing_for_token_zero(tokens, grad_out, vocab_size):
    grad_weight = _added_up(tokens, grad_out, vocab_size)
    grad_weight[0] = 0
    return grad_weight


def one_table_a_sentence(tokens, grad_out, vocab_size):
    rows = zip(tokens, grad_out)
    return torch.stack([_added_up(t[None], g[None], vocab_size) for t, g in rows])


def everyone_gets_the_sum(tokens, grad_out, vocab_size):
    return grad_out.sum((0, 1)).repeat(vocab_size, 1)


def forgets_the_dtype(tokens, grad_out, vocab_size):
    grad_weight = torch.zeros(vocab_size, grad_out.shape[-1])
    return grad_weight.index_add_(0, tokens.flatten(), grad_out.flatten(0, 1))


EMBED_BACKWARD = Exercise(
    name="embed_backward",
    title="Which rows learn",
    points=2,
    minutes=8,
    answer=embed_backward,
    reference=_embed_backward_reference,
    probes=_embed_backward_probes,
    misconceptions=(
        Misconception(
            keeps_only_one,
            "Where a token comes twice you kept one of its gradients and lost the others: with "
            "a list of indices, `=` and even `+=` write each row once. They must add up.",
        ),
        Misconception(
            averages_repeats,
            "You averaged over a token's occurrences. Each one pulls on the row in its own "
            "right: the gradient of a sum of uses is a sum. (`nn.Embedding` calls your version "
            "`scale_grad_by_freq`, and leaves it off.)",
        ),
        Misconception(
            averages_the_batch,
            "You divided by the number of tokens. If the loss was a mean, `grad_out` already "
            "holds that division; doing it again makes the embedding learn B*T times slower.",
        ),
        Misconception(
            only_rows_that_occurred,
            "You returned only the rows that occurred. They are the right ones, but the "
            "optimiser adds your result to the whole table: it needs V rows, zeros included.",
        ),
        Misconception(
            gradient_on_its_side,
            "Yours is (D, V). A gradient has the shape of what it is the gradient of: the table, "
            "(V, D).",
        ),
        Misconception(
            nothing_for_token_zero,
            "You left row 0 without a gradient, as if 0 were padding. In Llama 2 id 0 is the "
            "unknown piece, a row like any other; nothing is skipped unless you say so.",
        ),
        Misconception(
            one_table_a_sentence,
            "You kept one gradient for each sentence. There is one table, used by all of them: "
            "add over the batch too.",
        ),
        Misconception(
            everyone_gets_the_sum,
            "You gave every row the whole gradient. A row that no token asked for had no part in "
            "the loss: its gradient is 0.",
        ),
        Misconception(
            forgets_the_dtype,
            "Your table of zeros is float32 whatever comes in, so float64 gradients cannot be "
            "added to it. Give `torch.zeros` the dtype of `grad_out`.",
        ),
    ),
    hints=(
        "Forwards, each token took a copy of a row. Backwards, each token brings its gradient "
        "back to the row that it came from. What happens where two bring theirs to one row?",
        "Start from a table of zeros, (V, D), in `grad_out`'s dtype. Flatten the tokens to one "
        "list of ids and the gradients to as many rows, then add each to its place.",
        "`index_add_(0, ids, rows)` adds every row, repeated ids included. Or remember that "
        "the lookup was a product with a one-hot matrix: its gradient is another product, with "
        "the one-hot turned on its side.",
    ),
)


# -- RMSNorm --------------------------------------------------------------------------------


def rms_norm(x, weight, eps):
    mean_square = x.pow(2).mean(-1, keepdim=True)  # (..., 1)
    return x * torch.rsqrt(mean_square + eps) * weight  # (..., D)


def _rms_norm_reference(x, weight, eps):
    return torch.nn.functional.rms_norm(x, weight.shape, weight, eps)


def _gain(size, generator):
    return 1 + 0.3 * torch.randn(size, generator=generator)


def _rms_norm_probes():
    """Means that are not 0; inputs so small that eps decides; a row of zeros; a square;
    a single vector; and an input that wants its gradient."""
    g = _seeded(22)
    small = 0.004 * torch.randn(3, 5, 6, generator=g)
    small[1, 2] = 0
    return [
        (2 + torch.randn(2, 3, 8, generator=g), _gain(8, g), 1e-5),
        (small, _gain(6, g), 1e-5),
        (torch.randn(2, 3, 4, 7, generator=g).double(), _gain(7, g).double(), 0.25),
        (3 * torch.randn(5, 5, generator=g), _gain(5, g), 1e-6),
        (1 + torch.randn(9, generator=g), _gain(9, g), 1e-5),
        ((1 + torch.randn(2, 5, 3, generator=g)).requires_grad_(), _gain(3, g), 1e-5),
    ]


def subtracts_the_mean(x, weight, eps):
    x = x - x.mean(-1, keepdim=True)
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def measures_the_spread(x, weight, eps):
    return x * torch.rsqrt(x.var(-1, keepdim=True, unbiased=False) + eps) * weight


def eps_outside_the_root(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True).sqrt() + eps) * weight


def fixes_eps(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight


def forgets_eps(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True)) * weight


def one_size_for_all(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean() + eps) * weight


def over_the_positions(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-2, keepdim=True) + eps) * weight


def sum_for_mean(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).sum(-1, keepdim=True) + eps) * weight


def forgets_the_root(x, weight, eps):
    return x / (x.pow(2).mean(-1, keepdim=True) + eps) * weight


def multiplies_by_the_size(x, weight, eps):
    return x * torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def drops_the_axis(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1) + eps) * weight


def forgets_the_weight(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)


def one_plus_weight(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * (1 + weight)


def works_in_place(x, weight, eps):
    x *= torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return x * weight


RMS_NORM = Exercise(
    name="rms_norm",
    title="RMSNorm",
    points=2,
    minutes=8,
    answer=rms_norm,
    reference=_rms_norm_reference,
    probes=_rms_norm_probes,
    misconceptions=(
        Misconception(
            subtracts_the_mean,
            "You subtracted the mean first: that is LayerNorm. RMSNorm leaves the mean in and "
            "only divides by the size.",
        ),
        Misconception(
            measures_the_spread,
            "You divided by the standard deviation, which measures the distance from the mean. "
            "RMSNorm measures the distance from zero: the mean of the squares themselves.",
        ),
        Misconception(
            eps_outside_the_root,
            "You added eps to the root instead of under it. Llama 2 adds it to the mean square, "
            "before the root; for small vectors the two differ a great deal.",
        ),
        Misconception(
            fixes_eps,
            "You wrote 1e-6 into the function and ignored the argument. Llama 2 was trained with "
            "1e-5, Llama 1 with 1e-6, and llama.cpp measured what the mix-up costs.",
        ),
        Misconception(
            forgets_eps,
            "You left eps out: a row of zeros becomes 0/0, which is nan, and one nan spreads "
            "through the whole model.",
        ),
        Misconception(
            one_size_for_all,
            "You took one mean over the whole tensor. Each vector has a size of its own; yours "
            "makes a token's value depend on its neighbours, and on the rest of the batch.",
        ),
        Misconception(
            over_the_positions,
            "You took the mean over the positions instead of the numbers of one vector: a token "
            "would then change with the tokens that come after it.",
        ),
        Misconception(
            sum_for_mean,
            "You summed the squares where their mean is wanted: every vector gets length 1 "
            "instead of the square root of D, 64 times too short at D = 4,096.",
        ),
        Misconception(
            forgets_the_root,
            "You divided by the mean square, not by its root: large vectors come out small and "
            "small ones large.",
        ),
        Misconception(
            multiplies_by_the_size,
            "You multiplied by the size instead of dividing by it: what was too large grows "
            "larger still. `rsqrt` is 1 over the root, `sqrt` the root.",
        ),
        Misconception(
            drops_the_axis,
            "Your mean lost its axis (`keepdim=True` keeps it). Mostly that is an error, but "
            "with a square x it runs, and divides column i by the size of row i.",
        ),
        Misconception(
            forgets_the_weight,
            "You left out the weight: the model has learned a factor for each coordinate, and "
            "none of them is used.",
        ),
        Misconception(
            one_plus_weight,
            "You multiplied by 1 + weight. That is Gemma's convention, whose files hold the "
            "difference from 1; Llama 2's files hold the weight itself.",
        ),
        Misconception(
            works_in_place,
            "The values are right, but you overwrote x. The caller still needs it: in a block, "
            "x goes past the norm and is added back after it.",
        ),
    ),
    hints=(
        "Four steps, in this order: square, mean, root, divide. The mean is over the D numbers "
        "of one vector, and eps joins before one of the four steps: which?",
        "`x.pow(2)` has x's shape; its mean over the last axis has one number for each vector. "
        "To divide (..., D) by it, that axis must stay there with size 1.",
        "The mean loses an axis unless you tell it to keep it (`keepdim`). `torch.rsqrt` is one "
        "over the root: decide what must already be inside it. The weight comes last.",
    ),
)


# -- in half precision ----------------------------------------------------------------------


def rms_norm_half(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def _rms_norm_half_reference(x, weight, eps):
    wide = x.double()
    length = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    return (wide / (length**2 / x.shape[-1] + eps).sqrt()).to(x.dtype) * weight


def _half_probes():
    """Squares that overflow float16; numbers that float16 cannot hold; an eps that it turns
    into 0; and float32, for which nothing changes."""
    g = _seeded(23)
    bf16, fp16 = torch.bfloat16, torch.float16
    still = torch.randn(2, 3, 96, generator=g)
    still[0, 1] = 0
    return [
        (torch.randn(2, 3, 192, generator=g).to(bf16), _gain(192, g).to(bf16), 1e-5),
        (300 * torch.randn(3, 2, 160, generator=g).to(fp16), _gain(160, g).to(fp16), 1e-5),
        (still.to(fp16), _gain(96, g).to(fp16), 1e-8),
        (1e5 * torch.randn(2, 4, 128, generator=g).to(bf16), _gain(128, g).to(bf16), 1e-5),
        (0.003 * torch.randn(2, 3, 144, generator=g).to(bf16), _gain(144, g).to(bf16), 1.7e-5),
        (torch.randn(3, 2, 40, generator=g), _gain(40, g), 1e-5),
        (torch.randn(200, generator=g).to(bf16), _gain(200, g).to(bf16), 1e-5),
    ]


def all_in_half(x, weight, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def all_in_half_with_a_division(x, weight, eps):
    return x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight


def weight_before_the_cast(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return (normed * weight.float()).to(x.dtype)


def stays_wide(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed * weight


def squares_before_the_cast(x, weight, eps):
    mean_square = x.pow(2).float().mean(-1, keepdim=True)
    return (x.float() * torch.rsqrt(mean_square + eps)).to(x.dtype) * weight


def rounds_the_size(x, weight, eps):
    wide = x.float()
    scale = torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps).to(x.dtype)
    return x * scale * weight


def rounds_the_divisor(x, weight, eps):
    wide = x.float()
    root = torch.sqrt(wide.pow(2).mean(-1, keepdim=True) + eps).to(x.dtype)
    return x / root * weight


def eps_in_half(x, weight, eps):
    wide = x.float()
    small = torch.tensor(eps, dtype=x.dtype)
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + small)
    return normed.to(x.dtype) * weight


def by_way_of_float16(x, weight, eps):
    wide = x.half().float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def widens_bfloat16_only(x, weight, eps):
    wide = x.float() if x.dtype == torch.bfloat16 else x
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(x.dtype) * weight


def always_bfloat16(x, weight, eps):
    wide = x.float()
    normed = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + eps)
    return normed.to(torch.bfloat16) * weight


RMS_NORM_HALF = Exercise(
    name="rms_norm_half",
    title="RMSNorm in half precision",
    points=2,
    minutes=8,
    answer=rms_norm_half,
    reference=_rms_norm_half_reference,
    probes=_half_probes,
    misconceptions=(
        Misconception(
            all_in_half,
            "You did all of it in x's own dtype. In float16 the square of 256 is already "
            "infinite, and the vector silently becomes 0; in bfloat16 digits are lost.",
        ),
        Misconception(
            all_in_half_with_a_division,
            "You did all of it in x's own dtype. In float16 the square of 256 is already "
            "infinite, and the vector silently becomes 0; in bfloat16 digits are lost.",
        ),
        Misconception(
            weight_before_the_cast,
            "You multiplied by the weight in float32 and then cast back. Llama 2 casts back "
            "first and multiplies after: about a quarter of the numbers round differently.",
        ),
        Misconception(
            stays_wide,
            "You never cast back: half-precision vectors went in and float32 came out, and "
            "the product with a half-precision matrix that follows will refuse it.",
        ),
        Misconception(
            squares_before_the_cast,
            "You squared first and cast after: what was lost in the square stays lost, and a "
            "square above 65,504 is already infinite in float16.",
        ),
        Misconception(
            rounds_the_size,
            "You rounded the scale to half precision before using it: its error then goes into "
            "every number of the vector. Only the finished vector is cast back.",
        ),
        Misconception(
            rounds_the_divisor,
            "You rounded the divisor to half precision before using it: its error then goes into "
            "every number of the vector. Only the finished vector is cast back.",
        ),
        Misconception(
            eps_in_half,
            "You turned eps into x's dtype. bfloat16 keeps two or three of its digits, and "
            "float16 turns 1e-8 into 0. A plain Python number joins the float32 sum as it is.",
        ),
        Misconception(
            by_way_of_float16,
            "You went through float16 on the way to float32. bfloat16 reaches to 3e38, float16 "
            "only to 65,504: what lies above became infinite.",
        ),
        Misconception(
            widens_bfloat16_only,
            "You widened bfloat16 and left float16 as it was. float16 has more digits but a "
            "short range, and it is the one whose squares overflow.",
        ),
        Misconception(
            always_bfloat16,
            "You always cast back to bfloat16, whatever came in. Cast back to x's own dtype.",
        ),
    ),
    hints=(
        "Three dtypes of moments: x as it comes in, the arithmetic, the result. Only the "
        "arithmetic is wide. And the weight, is it part of the arithmetic or of what follows?",
        "At which moment is x wide, and at which must it be narrow again? Write the dtype of each "
        "quantity beside the formula, the weight's too, before you write code.",
        "`x.float()` widens and `.to(x.dtype)` narrows. In Meta's order the narrow vector meets "
        "the narrow weight last.",
    ),
)


# -- backwards, by hand ---------------------------------------------------------------------


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
    g = _seeded(24)

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


def size_held_constant(x, weight, eps, grad_out):
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return r * grad_out * weight, (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)


def _backward(x, weight, eps, grad_out, pull, power=3, mean=True, sign=-1.0):
    """The right answer with one part changed: for the misconceptions below."""
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    shared = (pull * x).mean(-1, keepdim=True) if mean else (pull * x).sum(-1, keepdim=True)
    grad_x = r * grad_out * weight + sign * r**power * shared * x
    return grad_x, (grad_out * x * r).reshape(-1, x.shape[-1]).sum(0)


def no_weight_in_the_shared_part(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out)


def no_weight_at_all(x, weight, eps, grad_out):
    ones = torch.ones_like(weight)
    return _backward(x, ones, eps, grad_out, grad_out)


def sum_in_the_shared_part(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, mean=False)


def one_division_short(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, power=2)


def wrong_sign(x, weight, eps, grad_out):
    return _backward(x, weight, eps, grad_out, grad_out * weight, sign=1.0)


def no_eps_on_the_way_back(x, weight, eps, grad_out):
    return _backward(x, weight, 0.0, grad_out, grad_out * weight)


def weight_gradient_per_token(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return grad_x, grad_out * x * r


def weight_gradient_over_the_batch_only(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    r = torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return grad_x, (grad_out * x * r).sum(0)


def weight_gradient_averaged(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x, grad_weight * x.shape[-1] / x.numel()


def weight_gradient_of_raw_x(x, weight, eps, grad_out):
    grad_x, _ = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x, (grad_out * x).reshape(-1, x.shape[-1]).sum(0)


def layer_norm_backward(x, weight, eps, grad_out):
    grad_x, grad_weight = _backward(x, weight, eps, grad_out, grad_out * weight)
    return grad_x - grad_x.mean(-1, keepdim=True), grad_weight


RMS_NORM_BACKWARD = Exercise(
    name="rms_norm_backward",
    title="RMSNorm backwards",
    points=4,
    minutes=20,
    answer=rms_norm_backward,
    reference=_backward_reference,
    probes=_backward_probes,
    misconceptions=(
        Misconception(
            size_held_constant,
            "You treated the size as a constant. Each x_j also changes r, and through r every "
            "output of its vector: the second way in which it acts is missing.",
        ),
        Misconception(
            no_weight_in_the_shared_part,
            "The weight is missing in the second term: what comes back through r was multiplied "
            "by the weights on its way out, so it is on its way back.",
        ),
        Misconception(
            no_weight_at_all,
            "You left the weight out of grad_x. What reaches x has passed the weight: each "
            "grad_out is multiplied by it first.",
        ),
        Misconception(
            sum_in_the_shared_part,
            "You summed where a mean is wanted: the 1/D from the mean of the squares is still "
            "there when you differentiate.",
        ),
        Misconception(
            one_division_short,
            "Your second term has r squared, and needs r cubed. r is a mean square to the power "
            "-1/2, so its derivative has the power -3/2, which is three r's.",
        ),
        Misconception(
            wrong_sign,
            "You added the second term. A larger x_j makes the divisor larger and every output "
            "smaller: it comes in with a minus.",
        ),
        Misconception(
            no_eps_on_the_way_back,
            "You left eps out on the way back. The r of the gradient is the same r as forwards, "
            "eps included; for small x the difference is large.",
        ),
        Misconception(
            weight_gradient_per_token,
            "grad_x is right. Your grad_weight still has one value for every token; the weight "
            "is shared by all of them, so their gradients add up to (D,).",
        ),
        Misconception(
            weight_gradient_over_the_batch_only,
            "grad_x is right. You summed grad_weight over the batch, and one value for each "
            "position is left; the same D weights serve all positions too.",
        ),
        Misconception(
            weight_gradient_averaged,
            "grad_x is right. You averaged grad_weight over the tokens: a weight that is used N "
            "times gets the sum of N gradients. If the loss is a mean, grad_out knows already.",
        ),
        Misconception(
            weight_gradient_of_raw_x,
            "grad_x is right. The weight multiplies the normalised x, not x itself: there is an "
            "r missing in grad_weight.",
        ),
        Misconception(
            layer_norm_backward,
            "You took the mean out of the gradient. LayerNorm needs that, because it took the "
            "mean out on the way in; RMSNorm did not.",
        ),
    ),
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

EXERCISES = (EMBED_PRODUCT, EMBED_BACKWARD, RMS_NORM, RMS_NORM_HALF, RMS_NORM_BACKWARD)

QUIZ = (
    Question(
        "rows_that_move",
        "A batch holds 10 different tokens; the table has 32,000 rows and is not tied. After one "
        "step of plain gradient descent, without weight decay, how many rows have changed?",
        (
            Option(
                "All of them: the loss depends on the whole table",
                "On the way out, a head does touch every row. But this table was only looked up, "
                "and a row that nobody took had no part in the loss.",
            ),
            Option(
                "10",
                "Every other row has gradient 0. (Weight decay, which shrinks every row, would "
                "move them all, and so would the momentum of earlier steps.)",
                right=True,
            ),
            Option(
                "1: gradients of different tokens are averaged into one",
                "Gradients add up within a row, where one token occurs several times. Different "
                "tokens have different rows.",
            ),
        ),
    ),
    Question(
        "why_tie",
        "Llama 2 keeps a separate output head; llama2.c's small models share one matrix. What "
        "decides?",
        (
            Option(
                "Tied models are always worse",
                "A shared matrix has two jobs, which is a real restriction. But in a small model "
                "the parameters saved can do more elsewhere.",
            ),
            Option(
                "Mostly size: the head is 0.4 % of 70B, and nearly half of a tiny model that has "
                "32,000 pieces too",
                "V·D grows with the width, the layers with its square and with the depth. At 70B "
                "a second matrix costs next to nothing; in a small model it crowds out the layers.",
                right=True,
            ),
            Option(
                "Speed: a tied head needs no product",
                "It needs the same product with the same number of multiplications. Only the "
                "memory is shared.",
            ),
        ),
    ),
    Question(
        "thousandfold",
        "You multiply a vector by 1,000 and put it through RMSNorm. What becomes of the output?",
        (
            Option(
                "It is 1,000 times as large",
                "The size grew by 1,000 too, and is divided out again.",
            ),
            Option(
                "Nothing, as long as the vector was well above the square root of eps before",
                "Scale drops out. Only where the mean square is near eps or below it does the "
                "length still show: eps is the floor beneath which the norm lets go.",
                right=True,
            ),
            Option(
                "It depends on the vector's mean",
                "In LayerNorm the mean is taken out, in RMSNorm it is not; but in both "
                "multiplying by 1,000 changes nothing.",
            ),
            Option(
                "It overflows",
                "In float16 it may, if the square is taken there: 256 is already too large. That "
                "is why the arithmetic runs in float32, where 1,000 is harmless.",
            ),
        ),
    ),
    Question(
        "last_norm",
        "Every block of Llama 2 normalises what it reads. Why is there one more norm "
        "after the last block?",
        (
            Option(
                "Out of symmetry; it changes nothing",
                "Take it out and the logits change a great deal: the stream has been growing with "
                "every block.",
            ),
            Option(
                "In pre-norm the stream itself is never normalised, so the head would read "
                "vectors of any size",
                "The blocks only normalise their own copies. The stream grows with depth, and "
                "the head's logits would grow with it.",
                right=True,
            ),
            Option(
                "To turn the vectors into probabilities",
                "That is softmax, after the head. A normalised vector still has negative numbers "
                "and does not add up to 1.",
            ),
        ),
    ),
)
