"""Notebook 12, exercise 5: GPTQ, column by column."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def gptq_columns(weight, U, step):
    w, rounded = weight.clone(), torch.empty_like(weight)
    for i in range(weight.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = code * step
        error = (w[:, i : i + 1] - code * step) / U[i, i]  # (out, 1)
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


def _reference(weight, U, step):
    """By the inverse Hessian itself, in float64: after each column it is cut down to the columns
    that are left, as in Optimal Brain Surgeon. No Cholesky."""
    w, inverse, found = weight.double(), U.double().T @ U.double(), []
    while w.shape[1]:
        code = (w[:, :1] / step).round().clamp(-8, 7) * step
        found.append(code)
        w = (w - (w[:, :1] - code) / inverse[0, 0] * inverse[0])[:, 1:]
        inverse = (inverse - inverse[:, :1] @ inverse[:1] / inverse[0, 0])[1:, 1:]
    return torch.cat(found, 1).float()


def _factor(width, g):
    """U of inputs that lean on each other."""
    x = torch.randn(4 * width, width, generator=g) @ torch.randn(width, width, generator=g)
    hessian = 2 / len(x) * x.T.double() @ x.double()
    damped = hessian + 0.01 * hessian.diagonal().mean() * torch.eye(width)
    inverse = torch.linalg.inv(damped)
    return torch.linalg.cholesky((inverse + inverse.T) / 2, upper=True).float()


def _probes():
    """Different sizes; one row; numbers beyond the grid on both sides; steps that differ from row
    to row; a diagonal U; steps so large that numbers within the grid are beyond 8;
    halves."""
    g = seeded(125)
    steps = torch.tensor([[0.3], [0.5], [0.2], [0.25], [0.4]])
    large = torch.randn(3, 7, generator=g) * 3
    wide = torch.tensor([[3.0], [4.0], [5.0]])
    return [
        (torch.randn(5, 8, generator=g), _factor(8, g), steps),
        (torch.randn(1, 12, generator=g), _factor(12, g), torch.tensor([[0.3]])),
        (large, _factor(7, g), torch.tensor([[0.3], [0.45], [0.6]])),
        (torch.randn(4, 5, generator=g), torch.diag(torch.tensor([0.5, 2.0, 1.0, 3.0, 0.2])),
         torch.tensor([[0.4], [0.3], [0.35], [0.2]])),
        (torch.randn(3, 6, generator=g) * 9, _factor(6, g), wide),
        (torch.tensor([[0.5, 1.0, 0.0], [1.5, -1.0, 2.0], [-0.5, 0.0, 1.0], [-2.5, 3.0, 1.0]]),
         torch.tensor([[1.0, -0.5, 0.25], [0.0, 1.0, 0.5], [0.0, 0.0, 2.0]]), torch.ones(4, 1)),
    ]  # fmt: skip


def _walk(weight, U, step, passed, low=-8, high=7, rounding=torch.round):
    """passed(w, weight, value, i) is taken off the later columns (out, left)."""
    w, rounded = weight.clone(), torch.empty_like(weight)
    for i in range(weight.shape[1]):
        value = rounding(w[:, i : i + 1] / step).clamp(low, high) * step
        rounded[:, i : i + 1] = value
        w[:, i + 1 :] = w[:, i + 1 :] - passed(w, weight, value, i)
    return rounded


def _right(U):
    return lambda w, weight, value, i: (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]


@wrong(
    "Every column came out as its own nearest step. That is what GPTQ is compared with: no error "
    "reached a column that was still free. (It happens too if the ORIGINAL columns are rounded, "
    "if you go from the right, or if column i of U, which is 0 below the diagonal, is read for "
    "row i.)"
)
def rounds_to_nearest(weight, U, step):
    return _walk(weight, U, step, lambda w, weight, value, i: 0.0)


@wrong(
    "You forgot to divide by U_ii. The error has to be in U's units before row i of U says how "
    "much of it each later column takes."
)
def without_the_diagonal(weight, U, step):
    return _walk(weight, U, step, lambda w, o, v, i: (w[:, i : i + 1] - v) * U[i, i + 1 :])


@wrong("You divided by U_ii twice: once in the error, and once more in the row of U.")
def divides_twice(weight, U, step):
    def passed(w, o, value, i):
        return (w[:, i : i + 1] - value) / U[i, i] ** 2 * U[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong(
    "You ADDED what is to be taken off. The later columns then repeat the error that they should "
    "make up for."
)
def adds_it(weight, U, step):
    def passed(w, o, value, i):
        return -(w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong(
    "Your error is that of the ORIGINAL column. By the time that its turn comes it has moved: the "
    "error is between what it is now and its rounding."
)
def error_of_the_original(weight, U, step):
    def passed(w, o, value, i):
        return (o[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong(
    "You passed the error to the next column alone. Every column that is still free takes its "
    "part, as the whole row of U says."
)
def only_to_the_next(weight, U, step):
    def passed(w, o, value, i):
        part = (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]
        return part * (torch.arange(part.shape[1]) == 0)

    return _walk(weight, U, step, passed)


@wrong(
    "You passed on the first column's error and no other. Each column, once it is rounded, has an "
    "error of its own."
)
def only_from_the_first(weight, U, step):
    def passed(w, o, value, i):
        part = (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]
        return part if i == 0 else 0.0 * part

    return _walk(weight, U, step, passed)


@wrong(
    "You shared the error evenly among the later columns. How much each can make up depends on how "
    "its input leans on this one: that is what U knows."
)
def shares_evenly(weight, U, step):
    def passed(w, o, value, i):
        left = w.shape[1] - i - 1
        return (w[:, i : i + 1] - value).expand(-1, left) / max(left, 1)

    return _walk(weight, U, step, passed)


@wrong(
    "Nothing keeps the codes between -8 and 7. Four bits have no more, and a column that has moved "
    "may well want more."
)
def without_the_clamp(weight, U, step):
    return _walk(weight, U, step, _right(U), low=-1e9, high=1e9)


@wrong(
    "You clamped AFTER the step was multiplied in: between -8 and 7 lie your weights then, and "
    "not the codes. With a step of 0.3 a code of 20 would pass. Round, clamp, then times the step."
)
def clamps_after_the_step(weight, U, step):
    w, rounded = weight.clone(), torch.empty_like(weight)
    for i in range(weight.shape[1]):
        value = ((w[:, i : i + 1] / step).round() * step).clamp(-8, 7)
        rounded[:, i : i + 1] = value
        w[:, i + 1 :] -= (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]
    return rounded


@wrong(
    "You clamped BEFORE dividing by the step: between -8 and 7 lie the weights then, and not the "
    "codes. Divide, round, clamp, then times the step."
)
def clamps_before_the_step(weight, U, step):
    w, rounded = weight.clone(), torch.empty_like(weight)
    for i in range(weight.shape[1]):
        value = (w[:, i : i + 1].clamp(-8, 7) / step).round() * step
        rounded[:, i : i + 1] = value
        w[:, i + 1 :] -= (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]
    return rounded


@wrong("You end at -7. There are 16 codes, -8 to 7; the one on the lower side is yours to use.")
def from_minus_7(weight, U, step):
    return _walk(weight, U, step, _right(U), low=-7)


@wrong("You rounded down. The nearest step was asked for: half of your errors are twice as large.")
def rounds_down(weight, U, step):
    return _walk(weight, U, step, _right(U), rounding=torch.floor)


@wrong(
    "You returned the weights as they were moved, before rounding. They are not on the grid: what "
    "has to be stored is the rounded ones."
)
def returns_what_moved(weight, U, step):
    w = weight.clone()
    for i in range(weight.shape[1]):
        value = (w[:, i : i + 1] / step).round().clamp(-8, 7) * step
        w[:, i + 1 :] -= (w[:, i : i + 1] - value) / U[i, i] * U[i, i + 1 :]
    return w


@wrong(
    "You returned the codes. Here the numbers were asked for that they stand for: code times step."
)
def returns_codes(weight, U, step):
    return _walk(weight, U, step, _right(U)) / step


@wrong(
    "One error for all rows: you took the mean over them. The rows are problems of their own, that "
    "share nothing but U."
)
def one_error_for_all_rows(weight, U, step):
    def passed(w, o, value, i):
        error = (w[:, i : i + 1] - value) / U[i, i]
        return error.mean(0, keepdim=True) * U[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong(
    "You took the row from U^T U, the inverse Hessian of ALL columns. After the first column it is "
    "out of date; U's row i is that of the columns still free."
)
def row_of_the_whole_inverse(weight, U, step):
    inverse = U.T @ U

    def passed(w, o, value, i):
        return (w[:, i : i + 1] - value) / inverse[i, i] * inverse[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong(
    "Your error is counted in steps. It has to be in the weights' own units: w minus code TIMES "
    "step."
)
def error_in_steps(weight, U, step):
    def passed(w, o, value, i):
        return (w[:, i : i + 1] - value) / step / U[i, i] * U[i, i + 1 :]

    return _walk(weight, U, step, passed)


@wrong("Every row was rounded with the first row's step. Each has its own.")
def the_first_rows_step(weight, U, step):
    step = step[:1].expand_as(step)
    return _walk(weight, U, step, _right(U))


@wrong(
    "You wrote into the weights that you were given: whoever called still wants to compare with "
    "them."
)
def in_place(weight, U, step):
    rounded = torch.empty_like(weight)
    for i in range(weight.shape[1]):
        rounded[:, i : i + 1] = (weight[:, i : i + 1] / step).round().clamp(-8, 7) * step
        error = (weight[:, i : i + 1] - rounded[:, i : i + 1]) / U[i, i]
        weight[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


LAST_COLUMN = (
    "The last column is not rounded: your loop ends before it. It has nobody left to pass its "
    "error on to, but it has to be stored like the others."
)


@wrong(LAST_COLUMN)
def leaves_the_last_column(weight, U, step):
    rounded, w = _walk(weight, U, step, _right(U)), returns_what_moved(weight, U, step)
    return torch.cat((rounded[:, :-1], w[:, -1:]), 1)


@wrong(LAST_COLUMN)
def leaves_the_last_column_at_0(weight, U, step):
    rounded = _walk(weight, U, step, _right(U))
    rounded[:, -1] = 0
    return rounded


@wrong(
    "The right numbers, written over the weights that you were given: whoever called still wants "
    "to compare with them. Work on a clone."
)
def rounds_in_place(weight, U, step):
    for i in range(weight.shape[1]):
        value = (weight[:, i : i + 1] / step).round().clamp(-8, 7) * step
        error = (weight[:, i : i + 1] - value) / U[i, i]
        weight[:, i : i + 1] = value
        weight[:, i + 1 :] -= error * U[i, i + 1 :]
    return weight


AWAY = (
    "On a tie you round away from zero, as Q8_0 does, or upwards. Here the rounding is "
    "torch.round's, to the even code: 0.5 becomes 0, 1.5 becomes 2."
)
CUT = (
    "You cut the fraction off, or rounded up. The nearest step was asked for: half of your errors "
    "are twice as large."
)
BEFORE_CLAMP = (
    "Your error leaves out what the limits -8 and 7 cut off. That is lost too, and has to be "
    "passed on: take the error after the clamp, from the value that is stored."
)
OTHER_DIAGONAL = (
    "You did not divide by the U_ii of the column that was rounded. It is one number for the whole "
    "step, the same for all later columns."
)
FIRST_ROW = (
    "You used the same row of U for every column. Row i is made for the moment when column i is "
    "rounded."
)
SIZES = (
    "You passed on a size without its sign. An error of the other sign, or an input that leans the "
    "other way, has to be made up for in the other direction."
)
RANGE = "Your codes have other ends. Four bits with a sign go from -8 to 7."
ONE_STEP = "You used one step for all rows. Each row has its own: (out, 1) fits beside (out, 1)."
TIMES_STEP = (
    "Your error is multiplied by the step once more. It is in the weights' own units already."
)
CODE_ERROR = (
    "Your error is counted against the code. It has to be in the weights' own units: w less code "
    "TIMES step."
)
SECOND = "Your loop begins at the second column. The first is rounded too, and its error passed on."
SKIPS = (
    "The next column gets nothing: your slice begins one too far to the right. All later columns, "
    "from i + 1 on."
)
WRONG_INVERSE = (
    "You made another matrix of U. It is used as it comes: row i, over U_ii, says how much each "
    "later column takes."
)
ROW_0 = "All rows made up for the first row's error. Each row has an error of its own: (out, 1)."
HALF = "You passed on half of the error. All of it is to be made up for."
TOGETHER = (
    "You moved the columns first and rounded them all at the end. A column's error is only known "
    "when it is rounded in its turn, and only then can the next ones make up for it."
)
RETURNS_MOVED = (
    "You returned what was left over, not what was rounded. What has to be stored is code times "
    "step."
)


FROM_THE_RIGHT = (
    "You went from the last column to the first. U is made for the other direction: its row i says "
    "what the columns to the RIGHT of i take, while they are still free."
)


def _from_the_right(weight, step, passed):
    """passed(error, i) is taken off the columns before i (out, i)."""
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in reversed(range(w.shape[1])):
        v = w[:, i : i + 1]
        rounded[:, i : i + 1] = value = (v / step).round().clamp(-8, 7) * step
        w[:, :i] -= passed(v - value, i)
    return rounded


@wrong(FROM_THE_RIGHT)
def from_the_last_column(weight, U, step):
    return _from_the_right(weight, step, lambda error, i: error / U[i, i] * U[:i, i])


@wrong(FROM_THE_RIGHT)
def from_the_last_column_without_the_diagonal(weight, U, step):
    return _from_the_right(weight, step, lambda error, i: error * U[:i, i])


@wrong(FROM_THE_RIGHT)
def from_the_last_column_by_the_inverse(weight, U, step):
    H = U.T @ U
    return _from_the_right(weight, step, lambda error, i: error / H[i, i] * H[i, :i])


@wrong(FROM_THE_RIGHT)
def from_the_last_column_into_the_rounded(weight, U, step):
    w = weight.clone()
    for i in reversed(range(w.shape[1])):
        v = w[:, i : i + 1].clone()
        w[:, i : i + 1] = value = (v / step).round().clamp(-8, 7) * step
        w[:, i + 1 :] -= (v - value) / U[i, i] * U[i, i + 1 :]
    return w


@wrong(FROM_THE_RIGHT)
def turns_columns_and_u_round(weight, U, step):
    return _walk(weight.flip(1), U, step, _right(U)).flip(1)


@wrong(AWAY)
def halves_away_from_zero(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = ((v / step).sign() * ((v / step).abs() + 0.5).floor()).clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(AWAY)
def halves_upwards(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = ((v / step) + 0.5).floor().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(CUT)
def cuts_the_fraction(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).trunc().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(CUT)
def rounds_up(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).ceil().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(BEFORE_CLAMP)
def error_before_the_clamp(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = code * step
        error = (v - (v / step).round() * step) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(BEFORE_CLAMP)
def no_error_where_clamped(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = torch.where((v / step).round() == code, v - value, 0.0) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def diagonal_of_the_later(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = v - value
        w[:, i + 1 :] -= error * U[i, i + 1 :] / U.diagonal()[i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def diagonal_of_the_next(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[min(i + 1, len(U) - 1), min(i + 1, len(U) - 1)]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def diagonal_of_the_first(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[0, 0]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def diagonal_of_the_last(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[-1, -1]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def times_the_diagonal(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) * U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def root_of_the_diagonal(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i].sqrt()
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def sum_of_the_row(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i].sum()
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(OTHER_DIAGONAL)
def size_of_the_row(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i].norm()
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(FIRST_ROW)
def first_row_of_u(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[0, i + 1 :]
    return rounded


@wrong(SIZES)
def sizes_of_u(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :].abs()
    return rounded


@wrong(RANGE)
def codes_from_0_to_15(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(0, 15)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(RANGE)
def codes_to_8(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 8)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(RANGE)
def codes_from_minus_7_to_8(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-7, 8)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(RANGE)
def codes_without_a_lower_end(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(max=7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(RANGE)
def codes_without_an_upper_end(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(min=-8)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(ONE_STEP)
def mean_step(weight, U, step):
    step = step.mean()
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(ONE_STEP)
def largest_step(weight, U, step):
    step = step.max()
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(ONE_STEP)
def smallest_step(weight, U, step):
    step = step.min()
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(TIMES_STEP)
def error_times_the_step(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i] * step
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(CODE_ERROR)
def error_of_the_code(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = code * step
        error = (v - code) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(SECOND)
def begins_at_the_second(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(1, w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(SECOND)
def leaves_the_first_as_it_was(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(1, w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return torch.cat((weight[:, :1], rounded[:, 1:]), 1)


@wrong(SKIPS)
def skips_the_next_column(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 2 :] -= error * U[i, i + 2 :]
    return rounded


@wrong(WRONG_INVERSE)
def from_u_u_transposed(weight, U, step):
    U = U @ U.T
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(WRONG_INVERSE)
def from_u_inverted(weight, U, step):
    U = torch.linalg.inv(U)
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(ROW_0)
def error_of_row_0_for_all(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = ((v - value) / U[i, i])[:1]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(SIZES)
def passes_the_size_of_the_error(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value).abs() / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :]
    return rounded


@wrong(HALF)
def half_of_the_error(weight, U, step):
    w, rounded = weight.clone(), torch.zeros_like(weight)
    for i in range(w.shape[1]):
        v = w[:, i : i + 1]
        code = (v / step).round().clamp(-8, 7)
        rounded[:, i : i + 1] = value = code * step
        error = (v - value) / U[i, i]
        w[:, i + 1 :] -= error * U[i, i + 1 :] / 2
    return rounded


@wrong(TOGETHER)
def moves_all_and_rounds_at_the_end(weight, U, step):
    moved = weight.clone()
    for i in range(weight.shape[1]):
        v = weight[:, i : i + 1]
        error = (v - (v / step).round().clamp(-8, 7) * step) / U[i, i]
        moved[:, i + 1 :] -= error * U[i, i + 1 :]
    return (moved / step).round().clamp(-8, 7) * step


@wrong(RETURNS_MOVED)
def returns_the_moved_with_nothing_rounded(weight, U, step):
    w = weight.clone()
    for i in range(weight.shape[1]):
        v = w[:, i : i + 1].clone()
        value = (v / step).round().clamp(-8, 7) * step
        w[:, i:] -= (v - value) / U[i, i] * U[i, i:]
        w[:, i : i + 1] = v - value
    return w


@wrong(
    "You did not divide by the U_ii of the column that was rounded. It is one number for the "
    "whole step, the same for all later columns."
)
def largest_of_the_row(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i].abs().max()
        w[:, i + 1 :] -= e * U[i, i + 1 :]
    return out


@wrong(
    "The codes were made with the first row's step and multiplied by each row's own. Both times "
    "its own."
)
def codes_by_the_first_step(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step[0]).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i, i]
        w[:, i + 1 :] -= e * U[i, i + 1 :]
    return out


@wrong(
    "You squared U. It is used as it comes: row i, over U_ii, says how much each later column "
    "takes."
)
def squares_u(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i, i]
        w[:, i + 1 :] -= e * U[i, i + 1 :] ** 2
    return out


@wrong(
    "You used the next column's row of U. Row i is made for the moment when column i is rounded."
)
def the_next_row_of_u(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i, i]
        w[:, i + 1 :] -= e * U[min(i + 1, len(U) - 1), i + 1 :]
    return out


@wrong("The error is passed on twice. Once: then the later columns make up for just what was lost.")
def passes_it_twice(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i, i]
        w[:, i + 1 :] -= 2 * e * U[i, i + 1 :]
    return out


@wrong(
    "Only the first column is rounded: your function returns inside the loop. All columns first, "
    "then return."
)
def only_the_first_column(weight, U, step):
    w = weight.clone()
    out = torch.zeros_like(w)
    for i in range(w.shape[1]):
        code = (w[:, i : i + 1] / step).round().clamp(-8, 7)
        value = code * step
        out[:, i : i + 1] = value
        e = (w[:, i : i + 1] - value) / U[i, i]
        w[:, i + 1 :] -= e * U[i, i + 1 :]
        return out


EXERCISE = Exercise(
    name="gptq_columns",
    title="GPTQ, column by column",
    points=5,
    minutes=25,
    answer=gptq_columns,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "When a column has been rounded, its error is known and cannot be changed. The columns to "
        "its right can still move. How far, is written in row i of U.",
        "Keep a copy that moves. For each column: its code, its value on the grid, the error "
        "between what it is NOW and that value, over U's diagonal; then the later columns of the "
        "copy.",
        "With (out, 1) for the error and (left,) for the row's rest, their product is what all "
        "later columns lose.",
    ),
)
