"""Notebook 10, exercise 1: The reward model's loss, with a margin."""

import math

import torch
import torch.nn.functional as F

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def reward_loss(chosen, rejected, margin):
    return -F.logsigmoid(chosen - rejected - margin).mean()


def _reward_loss_reference(chosen, rejected, margin):
    return alignment.reward_loss(chosen, rejected, margin)


def _reward_loss_probes():
    """Pairs in the right order and in the wrong one, a margin for each and one for all, a single
    pair, and scores so far apart that sigma rounds to 0."""
    g = seeded(100)
    third = torch.arange(7) % 4 / 3
    far = torch.tensor([90.0, -80.0, 1.5, 200.0]), torch.tensor([-60.0, 100.0, 1.0, -1.0])
    return [
        (torch.randn(7, generator=g), torch.randn(7, generator=g), third),
        (2 * torch.randn(5, generator=g), torch.randn(5, generator=g), 0.5),
        (torch.randn(1, generator=g), torch.randn(1, generator=g), torch.tensor([1.0])),
        (*far, torch.tensor([1.0, 0.0, 2 / 3, 1 / 3])),
        (torch.randn(3, generator=g).requires_grad_(), torch.randn(3, generator=g), 2.0),
        (torch.randn(6, generator=g), 3 * torch.randn(6, generator=g), torch.arange(6) / 5),
    ]


def _loss(gap):
    return -F.logsigmoid(gap).mean()


ADDED = (
    "You added the margin. Then a pair that is apart already is let off even earlier, and one that "
    "people found clearly different needs to differ LESS. The chosen answer has to win by the "
    "margin: subtract it."
)


@wrong(ADDED)
def adds_the_margin(chosen, rejected, margin):
    return _loss(chosen - rejected + margin)


@wrong(ADDED)
def adds_the_margin_in_brackets(chosen, rejected, margin):
    gap = chosen - (rejected - margin)
    return -torch.log(torch.sigmoid(gap)).mean()


EXCHANGED = (
    "You exchanged the two. This loss falls as the REJECTED answer's score rises: a policy trained "
    "on such a model learns to write what people turned down."
)


@wrong(EXCHANGED)
def exchanges_the_two(chosen, rejected, margin):
    return _loss(rejected - chosen - margin)


@wrong(
    "`softplus` of the gap is the loss of the opposite answer: softplus(x) is -ln sigma(-x). A "
    "larger gap makes yours larger. Turn the sign of what goes in."
)
def softplus_of_the_gap(chosen, rejected, margin):
    return F.softplus(chosen - rejected - margin).mean()


NO_MARGIN = (
    "The margin has no effect. A pair that people found significantly different then teaches no "
    "more than one they were unsure of."
)


@wrong(NO_MARGIN)
def forgets_the_margin(chosen, rejected, margin):
    return _loss(chosen - rejected)


@wrong(NO_MARGIN)
def forgets_the_margin_and_the_stable_logarithm(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected)).mean()


OUTSIDE = (
    "The margin stands outside the logarithm. There it is a constant: it moves the loss and no "
    "gradient. It belongs to the gap, inside the sigmoid."
)


@wrong(OUTSIDE)
def subtracts_it_outside(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected) - margin).mean()


@wrong(OUTSIDE)
def adds_it_outside(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected) + margin).mean()


@wrong(
    "You multiplied the gap by the margin. A margin of 0, for pairs people were unsure of, then "
    "makes every gap 0: those pairs cost ln 2 for ever and teach nothing. Subtract it."
)
def multiplies_the_gap(chosen, rejected, margin):
    return _loss(margin * (chosen - rejected))


WEIGHED = (
    "You used the margin as a weight of each pair's loss. It does say how clear a pair is, but "
    "here it moves the point at which the pair is good enough: subtract it inside the sigmoid."
)


@wrong(WEIGHED)
def weighs_by_the_margin(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected) * margin).mean()


@wrong(WEIGHED)
def weighs_by_1_plus_the_margin(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected) * (1 + margin)).mean()


@wrong(WEIGHED)
def weighs_by_1_less_the_margin(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected) * (1 - margin)).mean()


@wrong(WEIGHED)
def weighs_by_the_margins_share(chosen, rejected, margin):
    weight = torch.as_tensor(margin).expand(len(chosen))
    return (-F.logsigmoid(chosen - rejected) * weight).sum() / weight.sum()


@wrong(
    "You took the margin off the gap, as asked, and made it a weight of the pair's loss besides. "
    "Once is enough: every pair has the same weight."
)
def weighs_by_the_margin_and_takes_it_off(chosen, rejected, margin):
    return (-F.logsigmoid(chosen - rejected - margin) * (1 + margin)).mean()


@wrong(
    "That is the hinge: 0 as soon as the gap exceeds the margin. Bradley and Terry's loss never "
    "stops, it only grows faint: -ln sigma of the gap less the margin."
)
def hinge(chosen, rejected, margin):
    return F.relu(margin - (chosen - rejected)).mean()


NO_MINUS = (
    "The sign is turned round. ln sigma is negative; a loss is its opposite. Minimised, yours "
    "drives the chosen answer's score down."
)


@wrong(NO_MINUS)
def forgets_the_minus(chosen, rejected, margin):
    return F.logsigmoid(chosen - rejected - margin).mean()


@wrong(
    "You averaged -sigma, or 1 - sigma, without the logarithm. A pair that is hopelessly in the "
    "wrong order then has almost no gradient, and it is the one with most to teach."
)
def forgets_the_logarithm(chosen, rejected, margin):
    return (1 - torch.sigmoid(chosen - rejected - margin)).mean()


@wrong(
    "You averaged -sigma, or 1 - sigma, without the logarithm. A pair that is hopelessly in the "
    "wrong order then has almost no gradient, and it is the one with most to teach."
)
def only_the_sigmoid(chosen, rejected, margin):
    return -torch.sigmoid(chosen - rejected - margin).mean()


UNSTABLE = (
    "Right where scores are close. For a pair 160 apart in the wrong order sigma is 0 in float32 "
    "and its logarithm -inf; ln(1 + e^-gap), written out, fails there too, since e^160 is inf. One "
    "such pair ruins the batch. `F.logsigmoid` never leaves the logarithms."
)


@wrong(UNSTABLE)
def logarithm_of_the_sigmoid(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin)).mean()


CUSHIONED = (
    "A small number under the logarithm, added or as a limit, keeps it finite, and hides the "
    "worst pairs: their loss stops growing and their gradient is 0. `F.logsigmoid` needs no "
    "cushion. (`binary_cross_entropy` of a sigmoid has such a limit built in.)"
)


@wrong(CUSHIONED)
def cushions_with_1e_8(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin) + 1e-8).mean()


@wrong(CUSHIONED)
def cushions_with_1e_9(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin) + 1e-9).mean()


@wrong(
    "You took the sigmoid of each score and then their difference: it lies between -1 and 1, so "
    "no pair can ever be more than 73 % sure. The difference comes first; one sigmoid."
)
def sigmoid_of_each_score(chosen, rejected, margin):
    return _loss(torch.sigmoid(chosen) - torch.sigmoid(rejected) - margin)


@wrong(
    "You asked each score alone to be high or low: two classifiers, good and bad. A rejected "
    "answer need not be bad, only worse than the other; only the difference is known."
)
def judges_each_alone(chosen, rejected, margin):
    good, bad = F.logsigmoid(chosen - margin), F.logsigmoid(-rejected)
    return -(good + bad).mean()


@wrong(
    "You averaged the gaps and took the loss of that. One pair far apart in the right order then "
    "hides all that are in the wrong one. The loss of each, then the mean."
)
def loss_of_the_mean_gap(chosen, rejected, margin):
    return -F.logsigmoid((chosen - rejected - margin).mean())


@wrong(
    "You averaged the probabilities and took the logarithm of that. It is the losses that are "
    "averaged: one pair thought impossible has to hurt."
)
def log_of_the_mean(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin).mean())


SUMMED = (
    "That is the sum. With the mean, the loss can be compared between batches, and with ln 2, "
    "which is what a model loses that cannot tell."
)


@wrong(SUMMED)
def never_divides(chosen, rejected, margin):
    return -F.logsigmoid(chosen - rejected - margin).sum()


@wrong(
    "You compared every chosen answer with every rejected one: [:, None] makes a table of all "
    "pairs, most of them answers to different prompts. Row i goes with row i."
)
def compares_all_with_all(chosen, rejected, margin):
    margin = torch.as_tensor(margin).expand(len(chosen))
    return _loss(chosen[:, None] - rejected[None, :] - margin[:, None])


@wrong(
    "You measured a squared distance to the margin. It punishes a gap for being too LARGE as well, "
    "and a chosen answer can hardly be too much better."
)
def squared_distance(chosen, rejected, margin):
    return ((chosen - rejected - margin) ** 2).mean()


@wrong(
    "You kept the gap within ±10. The loss needs no such protection; beyond the limit it is too "
    "small and no gradient comes back, where most is to be learned."
)
def cuts_the_gap_off(chosen, rejected, margin):
    return _loss((chosen - rejected).clamp(-10, 10) - margin)


@wrong(
    "One loss for each pair came out. A single number is asked for, their mean: it is what "
    "`backward()` starts from."
)
def one_loss_a_pair(chosen, rejected, margin):
    return -F.logsigmoid(chosen - rejected - margin)


HALF_LEARNS = (
    "The value is right, and only one of the two answers learns from it: `detach` cut the other "
    "one off. The loss pushes the chosen answer up AND the rejected one down."
)


@wrong(HALF_LEARNS)
def holds_the_rejected_fast(chosen, rejected, margin):
    return _loss(chosen - rejected.detach() - margin)


@wrong(HALF_LEARNS)
def holds_the_chosen_fast(chosen, rejected, margin):
    return _loss(chosen.detach() - rejected - margin)


@wrong(
    "The value is right, and nothing can be learned from it: `detach`, `.data` or `no_grad` cut "
    "the way back to the scores off."
)
def cuts_the_way_back(chosen, rejected, margin):
    return _loss(chosen.detach() - rejected.detach() - margin)


@wrong(
    "The number is right, but it is a number: `item()` leaves the graph behind, and nothing can "
    "be learned from it. Return the tensor."
)
def gives_a_number(chosen, rejected, margin):
    return _loss(chosen - rejected - margin).item()


@wrong(EXCHANGED)
def exchanges_the_two_without_the_stable_logarithm(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(rejected - chosen - margin)).mean()


@wrong(NO_MINUS)
def forgets_the_minus_and_the_stable_logarithm(chosen, rejected, margin):
    return torch.log(torch.sigmoid(chosen - rejected - margin)).mean()


@wrong(SUMMED)
def never_divides_without_the_stable_logarithm(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin)).sum()


@wrong(
    "You averaged the margins: every pair has to win by the same now. A pair that people found "
    "significantly different is asked for less, one they were unsure of for more. Each pair has "
    "its own margin."
)
def one_margin_for_all(chosen, rejected, margin):
    return _loss(chosen - rejected - torch.as_tensor(margin).mean())


def _log_of(gap, cushion):
    return -torch.log(torch.sigmoid(gap) + cushion).mean()


def _log_from(gap, least):
    return -torch.log(torch.sigmoid(gap).clamp(min=least)).mean()


@wrong(CUSHIONED)
def cushions_with_1e_6(chosen, rejected, margin):
    return _log_of(chosen - rejected - margin, 1e-6)


@wrong(CUSHIONED)
def cushions_with_1e_7(chosen, rejected, margin):
    return _log_of(chosen - rejected - margin, 1e-7)


@wrong(CUSHIONED)
def cushions_with_1e_10(chosen, rejected, margin):
    return _log_of(chosen - rejected - margin, 1e-10)


@wrong(CUSHIONED)
def cushions_with_1e_12(chosen, rejected, margin):
    return _log_of(chosen - rejected - margin, 1e-12)


@wrong(
    "`nan_to_num` put a number where the loss of the worst pairs was infinite: they cost nothing, "
    "or the same as any other, and teach nothing. `F.logsigmoid` is never infinite."
)
def hides_the_infinite(chosen, rejected, margin):
    return -torch.log(torch.sigmoid(chosen - rejected - margin)).nan_to_num(neginf=0.0).mean()


@wrong(CUSHIONED)
def cross_entropy_of_the_sigmoid(chosen, rejected, margin):
    p = torch.sigmoid(chosen - rejected - margin)
    return F.binary_cross_entropy(p, torch.ones_like(p))


@wrong(
    "Each pair met every margin: (B,) with (B, 1) makes a table (B, B). Keep all three as (B,), so "
    "that pair i has margin i."
)
def every_margin_for_every_pair(chosen, rejected, margin):
    margin = torch.as_tensor(margin, dtype=chosen.dtype).reshape(-1, 1)
    return _loss(chosen - rejected - margin)


@wrong(
    "You kept the gap above 0, so a pair in the wrong order costs ln 2 at most and has no "
    "gradient. Those are the pairs with most to teach: the gap may be negative."
)
def no_gap_below_0(chosen, rejected, margin):
    return _loss((chosen - rejected - margin).clamp(min=0))


@wrong(
    "You took the gap's size. Whether the chosen answer or the rejected one is ahead makes no "
    "difference then, and that is all there is to learn."
)
def size_of_the_gap(chosen, rejected, margin):
    return _loss((chosen - rejected).abs() - margin)


@wrong(
    "Your sigmoid sees twice the gap: (1 + tanh x) / 2 is sigma(2 x), and so is a softmax over x "
    "and -x. One gap, one sigmoid."
)
def twice_the_gap(chosen, rejected, margin):
    return _loss(2 * (chosen - rejected - margin))


@wrong(
    "That is in bits. The loss is asked for in nats: the natural logarithm, with ln 2 for a coin."
)
def in_bits(chosen, rejected, margin):
    return _loss(chosen - rejected - margin) / math.log(2)


@wrong(
    "You took the sigmoid twice: a loss named `with_logits`, and `logsigmoid` too, takes its own. "
    "Of a probability it never falls below 0.31. Give it the gap."
)
def sigmoid_twice(chosen, rejected, margin):
    return _loss(torch.sigmoid(chosen - rejected - margin))


@wrong(
    "A softmax over the batch makes the pairs compete with each other. The two answers of ONE pair "
    "compete: that is a sigmoid of their gap."
)
def softmax_over_the_batch(chosen, rejected, margin):
    return -F.log_softmax(chosen - rejected - margin, 0).mean()


@wrong(
    "You added the loss of the opposite preference. The two pull against each other and the best "
    "gap is 0: only the chosen answer's side counts."
)
def both_preferences(chosen, rejected, margin):
    gap = chosen - rejected - margin
    return -(F.logsigmoid(gap) + F.logsigmoid(-gap)).mean()


@wrong(
    "Half of what is asked for: B pairs are 2 B answers, and it is PAIRS that are averaged. A coin "
    "loses ln 2."
)
def divides_by_the_answers(chosen, rejected, margin):
    return _loss(chosen - rejected - margin) / 2


@wrong(
    "You took the median pair. All others, the worst ones too, then have no gradient: the mean is "
    "asked for."
)
def the_median_pair(chosen, rejected, margin):
    return -F.logsigmoid(chosen - rejected - margin).median()


@wrong(
    "Two signs are turned round, the gap's and that of the whole. The loss is negative then and "
    "has no floor: a pair that is clearly right pulls on for ever, one that is wrong hardly at "
    "all."
)
def log_of_the_opposite(chosen, rejected, margin):
    return F.logsigmoid(-(chosen - rejected - margin)).mean()


@wrong(
    "The gap itself, without sigmoid and logarithm, has no end: the loss falls by one for each "
    "point of one pair, and all the others are forgotten."
)
def the_bare_gap(chosen, rejected, margin):
    return -(chosen - rejected - margin).mean()


@wrong(
    "You took e to the minus gap. It is like the loss where the gap is large, and for a pair in "
    "the wrong order it explodes; -ln sigma grows only in proportion to the gap."
)
def exponential_loss(chosen, rejected, margin):
    return torch.exp(-(chosen - rejected - margin)).mean()


@wrong(
    "You multiplied the gap by 1 - m. The margin m is in the unit of a score, and is taken off the "
    "gap: gap - m."
)
def shrinks_the_gap(chosen, rejected, margin):
    return _loss((chosen - rejected) * (1 - margin))


@wrong(
    "You squared the log. A pair twice as wrong then counts four times: the loss is the plain "
    "-ln sigma."
)
def squared_logarithm(chosen, rejected, margin):
    return (F.logsigmoid(chosen - rejected - margin) ** 2).mean()


@wrong(
    "Only pairs in the wrong order count with you. The others teach too, the less the clearer they "
    "are: the sigmoid sees to that."
)
def only_the_wrong_pairs(chosen, rejected, margin):
    gap = chosen - rejected - margin
    return (-F.logsigmoid(gap) * (gap < 0)).mean()


@wrong(
    "The margin is taken off twice. Once: the chosen answer has to win by the margin, and not by "
    "two of it."
)
def takes_the_margin_off_twice(chosen, rejected, margin):
    gap = chosen - rejected - 2 * margin
    return -F.logsigmoid(gap).mean()


@wrong(
    "You used one margin for all, the largest. Every pair has to win by as much now, also those "
    "that people were unsure of. Each pair has its own."
)
def the_largest_margin_for_all(chosen, rejected, margin):
    gap = chosen - rejected - torch.as_tensor(margin).max()
    return -F.logsigmoid(gap).mean()


@wrong(
    "You took each side's mean off the scores. That takes away what the model has learned: on "
    "average the chosen answers ARE better. The gap of the scores as they are."
)
def centres_the_scores(chosen, rejected, margin):
    gap = (chosen - chosen.mean()) - (rejected - rejected.mean()) - margin
    return -F.logsigmoid(gap).mean()


@wrong(
    "You weighed each pair by how wrong it is, as a focal loss does. -ln sigma does that by "
    "itself, through its slope: the plain mean."
)
def weighs_by_how_wrong(chosen, rejected, margin):
    gap = chosen - rejected - margin
    return -((1 - torch.sigmoid(gap)) * F.logsigmoid(gap)).mean()


@wrong("You divided by the number of pairs less one. A mean is divided by all of them.")
def divides_by_one_less(chosen, rejected, margin):
    gap = chosen - rejected - margin
    return -F.logsigmoid(gap).sum() / max(len(gap) - 1, 1)


@wrong(
    "That is a squared hinge: 0 as soon as the gap exceeds the margin. Bradley and Terry's loss "
    "never stops, it only grows faint: -ln sigma of the gap less the margin."
)
def squared_hinge(chosen, rejected, margin):
    return F.relu(margin - (chosen - rejected)).square().mean()


@wrong(
    "You divided the gap by the margin. A margin of 0, for pairs people were unsure of, then "
    "makes every gap infinite. Subtract it."
)
def divides_by_the_margin(chosen, rejected, margin):
    gap = chosen - rejected
    return -F.logsigmoid(gap / (margin + 1e-8)).mean()


EXERCISE = Exercise(
    name="reward_loss",
    title="The reward model's loss",
    points=3,
    minutes=10,
    answer=reward_loss,
    reference=_reward_loss_reference,
    probes=_reward_loss_probes,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Two scores and one fact: the first answer was preferred. How probable did the model think "
        "that was? By how much did the first have to win?",
        "The gap; less the margin; the log of the sigmoid; minus; the mean over the pairs.",
        "`F.logsigmoid` does two of these at once, and stays finite where the sigmoid alone "
        "would round to 0.",
    ),
)
