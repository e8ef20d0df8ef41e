"""Notebook 10, exercise 3: As sure as it is right?"""

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def calibration_error(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()  # (N,) each
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)  # (N,), 0 … bins - 1
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error


def _calibration_error_reference(chosen, rejected, bins):
    return torch.tensor(alignment.calibration(chosen, rejected, bins).error)


def _calibration_error_probes():
    """Few and many pairs and bins, empty bins, bins that are too sure and others not sure enough,
    pairs so far apart that the sigmoid is 1, one pair, one bin."""
    g = seeded(103)

    def pairs(n, spread):
        return spread * torch.randn(n, generator=g), spread * torch.randn(n, generator=g) - 0.3

    far = torch.tensor([60.0, 0.5, -40.0, 90.0, 0.2]), torch.tensor([-60.0, 1.1, 50.0, 1.0, 0.0])
    sizes = torch.tensor([0.3] * 8 + [1.0] * 4 + [1.8] * 5 + [4.0] * 3)  # a bin each, of four
    signs = torch.tensor([1.0] * 8 + [1, -1, -1, -1] + [1] * 5 + [1, -1, -1])
    mixed = sizes * signs, torch.zeros(20)
    return [
        (*pairs(40, 1.0), 5),
        (*pairs(23, 2.0), 10),
        (*mixed, 4),
        (*far, 3),
        (torch.tensor([0.4]), torch.tensor([1.0]), 6),
        (*pairs(9, 0.7), 1),
        (*pairs(31, 1.5), 3),
        (*pairs(50, 0.6), 8),
    ]


def _bins(sure, right, bins, *, low=0.5, combine=None, last=True):
    """The mean gap by bins; `combine` takes the lists of weights and of signed gaps."""
    place = ((sure - low) / (1 - low) * bins).long()
    place = place.clamp(max=bins - 1) if last else place
    weights, gaps = [], []
    for b in range(bins):
        inside = place == b
        if inside.any():
            weights.append(inside.sum() / len(sure))
            gaps.append(sure[inside].mean() - right[inside].mean())
    if not gaps:
        return torch.zeros(())
    weights, gaps = torch.stack(weights), torch.stack(gaps)
    return (weights * gaps.abs()).sum() if combine is None else combine(weights, gaps)


def _sure_and_right(chosen, rejected):
    gap = chosen - rejected
    return torch.sigmoid(gap.abs()), (gap > 0).float()


CHOSEN_WINS = (
    "Your number is the mean of 1 - sigma(gap) over all pairs, and the bins play no part in it. "
    "Two ways lead there. Did you take |sure - right| of each PAIR? One pair is right or wrong, "
    "never 73 % right: take the two means of a bin, then their distance. Or did you ask how "
    "probable the CHOSEN answer was, and call each pair right? Ask for what the model itself "
    "prefers: sigma(|gap|), right where gap > 0."
)


@wrong(CHOSEN_WINS)
def the_chosen_always_wins(chosen, rejected, bins):
    sure = torch.sigmoid(chosen - rejected)
    return _bins(sure, torch.ones_like(sure), bins, low=0.0)


SIGNED = (
    "You put sigma of the signed gap beside whether that gap is positive. Below a half the model "
    "prefers the OTHER answer, and is as sure of it: take the gap's size."
)


@wrong(SIGNED)
def sure_without_the_size(chosen, rejected, bins):
    sure = torch.sigmoid(chosen - rejected)
    return _bins(sure, (sure > 0.5).float(), bins, low=0.0)


@wrong(
    "Your bins go from 0 to 1. Nobody is less than half sure of what they prefer: half of your "
    "bins stay empty, and the others are twice as wide as asked."
)
def bins_from_zero(chosen, rejected, bins):
    return _bins(*_sure_and_right(chosen, rejected), bins, low=0.0)


@wrong(
    "Every bin has the same say with you. A bin with one pair in it is then as loud as one with "
    "a hundred, and it is the one that is off by chance. Weigh by the pairs in each."
)
def all_bins_alike(chosen, rejected, bins):
    return _bins(
        *_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: gaps.abs().mean()
    )


@wrong(
    "You divided by the number of bins, empty ones and all. Each bin's say is its share of the "
    "pairs."
)
def divides_by_all_bins(chosen, rejected, bins):
    return _bins(
        *_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: gaps.abs().sum() / bins
    )


@wrong(
    "Your gaps keep their sign, so a bin that is too sure makes up for one that is not sure "
    "enough. A model that is wrong in both ways would look perfect. Take `abs` of each bin's gap."
)
def gaps_make_up_for_each_other(chosen, rejected, bins):
    return _bins(*_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: (w * gaps).sum())


@wrong(
    "Bins that are too sure and bins that are not sure enough cancel with you: your number is "
    "|mean of sure - mean of right| over all pairs. (A sum over bins with `abs` around the whole "
    "of it is just that.) Take `abs` in each bin, before you add up."
)
def one_bin(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return (sure.mean() - right.mean()).abs()


@wrong(
    "That is the Brier score. It is small for a model that knows much, calibrated or not; here the "
    "question is only whether 80 % means 80 %."
)
def brier(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return ((sure - right) ** 2).mean()


@wrong(
    "You squared the gaps of the bins. The expected calibration error is the mean of their sizes, "
    "in the unit of a probability."
)
def squares_the_gaps(chosen, rejected, bins):
    return _bins(
        *_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: (w * gaps**2).sum()
    )


@wrong(
    "You took the root of the mean square. That weighs the worst bins more; asked for is the plain "
    "mean of the gaps' sizes, by pairs."
)
def root_mean_square(chosen, rejected, bins):
    return _bins(
        *_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: (w * gaps**2).sum().sqrt()
    )


@wrong(
    "You took the worst bin. That is the MAXIMUM calibration error; the expected one is the mean "
    "over bins, weighed by pairs."
)
def the_worst_bin(chosen, rejected, bins):
    return _bins(*_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: gaps.abs().max())


@wrong(
    "A pair of which the model is wholly sure (sigma is 1, rounded) falls out of your last bin and "
    "is not counted. 1 belongs to the last bin."
)
def loses_the_surest(chosen, rejected, bins):
    return _bins(*_sure_and_right(chosen, rejected), bins, last=False)


@wrong(
    "You compared each bin's share with the bin's middle. Its pairs need not lie there: compare "
    "with the mean of how sure the model was of THEM."
)
def middle_of_the_bin(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    return _bins(0.5 + (place + 0.5) / (2 * bins), right, bins)


@wrong(
    "You sorted the pairs and cut them into equal crowds. That is done too, but here the bins are "
    "equally WIDE, from a half to 1, and some may be empty."
)
def equal_crowds(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    order = sure.argsort()
    error = torch.zeros(())
    for inside in order.tensor_split(bins):
        if len(inside):
            gap = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + len(inside) / len(sure) * gap
    return error


@wrong(
    "An empty bin has no mean: 0 / 0 is nan, and it spreads over the whole sum. Leave out the bins "
    "that hold no pair."
)
def empty_bins_are_nan(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        gap = (sure[inside].mean() - right[inside].mean()).abs()
        error = error + inside.sum() / len(sure) * gap
    return error


@wrong(
    "Right and wrong are exchanged: the model is right where the chosen answer has the HIGHER "
    "score."
)
def right_where_it_is_wrong(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _bins(sure, 1 - right, bins)


@wrong(
    "You never divided by the number of pairs, so the error grows with the test set. It is a mean, "
    "between 0 and 1."
)
def never_divides(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return len(sure) * _bins(sure, right, bins)


def _walk(sure, right, bins, place, off=None, weight=None):
    """Over places (N,): the sum of weight(right, inside) times off(sure, right) of each bin."""
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            s, r = sure[inside], right[inside]
            share = inside.sum() / len(sure) if weight is None else weight(r, inside)
            error = error + share * ((s.mean() - r.mean()).abs() if off is None else off(s, r))
    return error


def _place(sure, bins):
    return ((2 * sure - 1) * bins).long().clamp(0, bins - 1)


@wrong(SIGNED)
def signed_gaps_in_the_lowest_bin(chosen, rejected, bins):
    gap = chosen - rejected
    sure = torch.sigmoid(gap)
    return _walk(sure, (gap > 0).float(), bins, _place(sure, bins))


@wrong(SIGNED)
def signed_gaps_fall_out(chosen, rejected, bins):
    gap = chosen - rejected
    sure = torch.sigmoid(gap)
    place = ((2 * sure - 1) * bins).floor().long().clamp(max=bins - 1)
    return _walk(sure, (gap > 0).float(), bins, place)


@wrong(SIGNED)
def signed_gaps_fall_out_below_the_first(chosen, rejected, bins):
    gap = chosen - rejected
    sure = torch.sigmoid(gap)
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    return _walk(sure, (gap > 0).float(), bins, place)


@wrong(
    "Each pair is right with you: a preference is always above a half, so that says nothing. Right "
    "is the pair whose CHOSEN answer has the higher score."
)
def always_right(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _walk(sure, torch.ones_like(right), bins, _place(sure, bins))


@wrong(
    "One bin too few: `bins` edges make bins - 1 bins, or you multiplied by bins - 1. bins bins "
    "have bins + 1 edges."
)
def one_bin_too_few(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _walk(sure, right, bins, ((2 * sure - 1) * (bins - 1)).long())


@wrong(
    "You rounded to the nearest bin's number. The first and the last bin are half as wide then; a "
    "bin holds what lies between its two edges, so cut the fraction off."
)
def rounds_the_place(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = ((2 * sure - 1) * bins).round().long().clamp(max=bins - 1)
    return _walk(sure, right, bins, place)


@wrong(
    "You stretched how sure the model is to 0 … 1, and compared that with the share that is right. "
    "2 sigma - 1 finds the bin; a guess at random is still a half sure, and right in a half."
)
def stretches_how_sure(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _walk(2 * sure - 1, right, bins, _place(sure, bins))


ONE_BIN_LEFT = (
    "One bin's part alone came out: you set the error anew in each round, or returned inside the "
    "loop. The parts of all bins are added up."
)


@wrong(ONE_BIN_LEFT)
def the_last_bins_part(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = _place(sure, bins)
    return _walk(sure, right, bins, place, weight=lambda r, i: (i == (place == place.max())).all()
                 * i.sum() / len(sure))  # fmt: skip


@wrong(ONE_BIN_LEFT)
def the_first_bins_part(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = _place(sure, bins)
    return _walk(sure, right, bins, place, weight=lambda r, i: (i == (place == place.min())).all()
                 * i.sum() / len(sure))  # fmt: skip


@wrong(
    "Your loop ends before the last bin, where the model is surest and does most harm: "
    "`range(bins)` already ends at bins - 1."
)
def without_the_last_bin(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _walk(sure, right, bins - 1, _place(sure, bins))


@wrong(
    "Your loop begins at bin 1: the pairs nearest to a half are left out. The bins are counted "
    "from 0."
)
def without_the_first_bin(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = _place(sure, bins)
    return _walk(sure, right, bins, torch.where(place == 0, -1, place))


@wrong(
    "The bins' distances are added up without a weight. The sum can exceed 1, and a bin with one "
    "pair is as loud as one with a hundred: each counts by its share of the pairs."
)
def adds_up_without_a_weight(chosen, rejected, bins):
    return _bins(*_sure_and_right(chosen, rejected), bins, combine=lambda w, gaps: gaps.abs().sum())


@wrong(
    "You weighed a bin by how many of its pairs are RIGHT. A bin of wrong ones, the worst there "
    "is, then counts for nothing: by all of its pairs."
)
def weighs_by_the_right_ones(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = _place(sure, bins)
    return _walk(sure, right, bins, place, weight=lambda r, i: r.sum() / len(sure))


@wrong("You took a bin's median of how sure. It is the mean that is compared with a share.")
def median_of_how_sure(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = _place(sure, bins)
    return _walk(sure, right, bins, place, lambda s, r: (s.median() - r.mean()).abs())


@wrong(
    "Your bins lie between the least and the most sure pair of this test set. Those of another "
    "model lie elsewhere, and the two cannot be compared: from a half to 1, always."
)
def from_the_least_to_the_most(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    place = (sure - sure.min()) / (sure.max() - sure.min() + 1e-9) * bins
    return _walk(sure, right, bins, place.long().clamp(max=bins - 1))


@wrong(
    "The number is right, but it is Python's. A scalar tensor is asked for: no `item`, no `float`."
)
def gives_a_number(chosen, rejected, bins):
    return float(_bins(*_sure_and_right(chosen, rejected), bins))


@wrong(
    "A score is no probability, and its size neither: a gap of 1 is 73 % sure. The sigmoid makes "
    "one of the other."
)
def gap_without_the_sigmoid(chosen, rejected, bins):
    gap = chosen - rejected
    sure = gap.abs().clamp(max=1)
    return _walk(sure, (gap > 0).float(), bins, _place(sure, bins))


@wrong(
    "You took the sigmoid of the higher score alone. Scores have no zero: only the DIFFERENCE of "
    "the two says how sure the model is."
)
def sigmoid_of_the_higher(chosen, rejected, bins):
    sure = torch.maximum(chosen, rejected).sigmoid().clamp(min=0.5)
    return _walk(sure, (chosen > rejected).float(), bins, _place(sure, bins))


@wrong(
    "You compared the bin's own share with the share of ALL pairs that are right. Whether 80 % "
    "means 80 % is asked of those pairs alone of which the model was 80 % sure."
)
def with_the_share_of_all(chosen, rejected, bins):
    sure, right = _sure_and_right(chosen, rejected)
    return _walk(
        sure, right, bins, _place(sure, bins), lambda s, r: (s.mean() - right.mean()).abs()
    )


@wrong(
    "Your sigmoid sees twice the gap, as (1 + tanh) / 2 or a softmax over gap and -gap do. A gap "
    "of 1 is 73 % sure, not 88 %."
)
def twice_the_gap(chosen, rejected, bins):
    gap = chosen - rejected
    sure = torch.sigmoid(2 * gap.abs())
    return _walk(sure, (gap > 0).float(), bins, _place(sure, bins))


@wrong(
    "You compared one probability with another. Right is what came true, 1 or 0: whether the "
    "chosen answer has the higher score."
)
def right_is_how_probable(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), torch.sigmoid(gap)
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error


@wrong(
    "You divided by the number of bins as well. The weights, each bin's share of the pairs, add "
    "up to 1 already."
)
def divides_by_the_bins_too(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error / bins


@wrong(
    "You took a root at the end. The error is a mean of distances, in the unit of a probability, "
    "and needs none."
)
def root_of_the_error(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error.sqrt()


@wrong(
    "A pair counts as right with you only if its gap exceeds some number. Right is every pair "
    "whose chosen answer has the higher score, by however little."
)
def right_only_by_a_distance(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0.5).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error


@wrong(
    "Only bins that are too sure count with you. A model that is right more often than it says is "
    "off as well: the size of the distance."
)
def only_too_sure(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).clamp(min=0)
            error = error + inside.sum() / len(gap) * off
    return error


@wrong(
    "Only bins that are not sure enough count with you. A model that says more than it knows is "
    "off as well: the size of the distance."
)
def only_not_sure_enough(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (right[inside].mean() - sure[inside].mean()).clamp(min=0)
            error = error + inside.sum() / len(gap) * off
    return error


@wrong(
    "Your bins are twice as wide as asked, and half of them stay empty: a half to 1 is a width of "
    "a half, and `bins` of them have to fit into it."
)
def bins_twice_as_wide(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = torch.sigmoid(gap.abs()), (gap > 0).float()
    place = ((sure - 0.5) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error


@wrong(
    "A score is no probability, and its size neither: a gap of 1 is 73 % sure. The sigmoid makes "
    "one of the other."
)
def gap_without_the_sigmoid_from_a_half(chosen, rejected, bins):
    gap = chosen - rejected
    sure, right = gap.abs().clamp(max=1), (gap > 0).float()
    place = ((2 * sure - 1) * bins).long().clamp(max=bins - 1)
    error = torch.zeros(())
    for b in range(bins):
        inside = place == b
        if inside.any():
            off = (sure[inside].mean() - right[inside].mean()).abs()
            error = error + inside.sum() / len(gap) * off
    return error


EXERCISE = Exercise(
    name="calibration_error",
    title="As sure as it is right?",
    points=4,
    minutes=20,
    answer=calibration_error,
    reference=_calibration_error_reference,
    probes=_calibration_error_probes,
    misconceptions=wrong.all,
    rtol=1e-4,
    hints=(
        'The label says which answer was chosen, so "chosen wins" has always come true. Whose '
        "statement can be right or wrong? How sure was it of that?",
        "Two numbers a pair: how sure (never below a half), and right or not (1 or 0). Sort the "
        "pairs into bins by the first; in each bin compare the two means.",
        "The bin's number grows from 0 at a half to `bins` at 1, and 1 itself belongs to the last. "
        "A bin's gap counts by its share of the pairs; an empty one has no say.",
    ),
)
