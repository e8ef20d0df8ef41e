"""Notebook 10, exercise 2: The ceiling of noisy labels."""

import math

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def label_ceiling(gap):
    return torch.sigmoid(gap.abs()).mean()


def _label_ceiling_reference(gap):
    return alignment.best_accuracy(alignment.flip_probability(gap))


def _label_ceiling_probes():
    """Gaps of both signs, uneven ones, close ones, a single one, all of one sign, far ones, and
    ties."""
    g = seeded(102)
    return [
        (torch.randn(7, generator=g),),
        (2 * torch.randn(50, generator=g) + 0.7,),
        (0.2 * torch.randn(11, generator=g),),
        (torch.tensor([-1.3]),),
        (-torch.rand(6, generator=g) - 0.1,),
        (torch.tensor([300.0, -0.4, -200.0, 1.1]),),
        (torch.tensor([0.0, 1.7, 0.0, -0.6, 0.0, 2.4]),),
    ]


@wrong(
    "You measured how often the FIRST answer is preferred. A model that knows the truth picks the "
    "better one, first or second: take the size of the gap."
)
def how_often_the_first(gap):
    return torch.sigmoid(gap).mean()


@wrong(
    "That is how often the labels are wrong. The best model is right in all the other cases: "
    "it is the larger part of each pair's 1 that is asked for."
)
def how_often_they_are_wrong(gap):
    return torch.sigmoid(-gap.abs()).mean()


NOISE_AGAIN = (
    "The annotators' 0.12 stands in your answer. The gap comes in divided by it already: P is "
    "sigma(gap), as it is."
)


@wrong(NOISE_AGAIN)
def divides_by_the_noise_again(gap):
    return torch.sigmoid(gap.abs() / 0.12).mean()


@wrong(NOISE_AGAIN)
def times_the_noise(gap):
    return torch.sigmoid(gap.abs() * 0.12).mean()


ALWAYS_RIGHT = (
    "1 for everybody: the truth is known, so the truth is met. But it is the LABELS that accuracy "
    "is counted on, and those go against the truth now and then."
)


@wrong(ALWAYS_RIGHT)
def always_right(gap):
    return torch.ones(())


@wrong(ALWAYS_RIGHT)
def always_right_but_for_ties(gap):
    return (gap != 0).float().mean()


OF_THE_MEAN = (
    "You averaged the gaps first and took the sigmoid of that. The sigmoid bends: a pair far apart "
    "cannot make up for two that are close. Each pair's probability, then the mean."
)


@wrong(OF_THE_MEAN)
def sigmoid_of_the_mean(gap):
    return torch.sigmoid(gap.abs().mean())


@wrong(
    "The best CONSTANT answer: always the first, or always the second, whichever is more often "
    "preferred. The best model may choose anew for each pair."
)
def one_choice_for_all(gap):
    first = torch.sigmoid(gap).mean()
    return torch.maximum(first, 1 - first)


@wrong(
    "p^2 + (1 - p)^2 is how often two annotators agree with each other: a model that draws its "
    "answer as they do. The best model does not draw; it always says the likelier."
)
def two_annotators_agree(gap):
    p = torch.sigmoid(gap)
    return (p**2 + (1 - p) ** 2).mean()


@wrong(
    "That is the geometric mean, e to the mean log-probability: what a LOSS is about. Accuracy "
    "counts rights and wrongs, so the probabilities themselves are averaged."
)
def geometric_mean(gap):
    return torch.nn.functional.logsigmoid(gap.abs()).mean().exp()


FIRST_BETTER = (
    "You counted the pairs whose first answer is the better one. How often a label says so, and "
    "not only whether it should, is what the ceiling is made of."
)


@wrong(FIRST_BETTER)
def share_of_the_first_better(gap):
    return (gap > 0).float().mean()


@wrong(FIRST_BETTER)
def share_of_the_first_at_least_as_good(gap):
    return (gap >= 0).float().mean()


@wrong(
    "Pairs with a negative gap counted as coin flips. A negative gap says that the SECOND is "
    "better, and just as surely: take the size of the gap, not what is above 0."
)
def negative_gaps_are_coins(gap):
    return torch.sigmoid(gap.clamp(min=0)).mean()


@wrong(
    "2 p - 1 is how much better than a coin the best model is: 0 for a coin, 1 for certainty. The "
    "accuracy itself is p, a half for a coin."
)
def above_a_coin(gap):
    return (2 * torch.sigmoid(gap.abs()) - 1).mean()


@wrong(
    "You used the normal distribution: Thurstone's model, which is as good as Bradley and Terry's "
    "and not the same. Theirs is the sigmoid, the one in the reward model's loss."
)
def thurstone(gap):
    return (0.5 * (1 + torch.erf(gap.abs() / math.sqrt(2)))).mean()


@wrong(
    "A softmax over the pairs makes them compete with each other. The two answers of ONE pair "
    "compete: that is a sigmoid of their gap."
)
def softmax_over_the_pairs(gap):
    return gap.abs().softmax(0).mean()


@wrong(
    "1 minus the entropy is what a label tells, in bits. It is 0 for a coin and 1 for certainty, "
    "but no accuracy: a coin is right half of the time."
)
def bits_of_a_label(gap):
    p = torch.sigmoid(gap.abs())
    return (1 + p * p.log2() + torch.special.xlogy(1 - p, 1 - p) / math.log(2)).mean()


@wrong(
    "You took the median pair. The expected accuracy is a mean over all of them: those that cannot "
    "be told apart pull it down."
)
def the_median_pair(gap):
    return torch.sigmoid(gap.abs()).median()


@wrong(
    "You squared the gaps to lose their sign. That loses their size too: a gap of 0.3 becomes "
    "0.09. `abs` leaves the size as it is."
)
def squares_the_gap(gap):
    return torch.sigmoid(gap**2).mean()


@wrong(
    "One number for each pair came out. The ceiling of the whole test set is asked for: their mean."
)
def one_number_a_pair(gap):
    return torch.sigmoid(gap.abs())


@wrong(OF_THE_MEAN)
def sigmoid_of_the_size_of_the_mean(gap):
    return torch.sigmoid(gap.mean().abs())


@wrong(
    "You left out the pairs with a gap of 0. Neither answer is better there, but they are labelled "
    "all the same, and whoever guesses is right half of the time: each counts, with a half."
)
def leaves_out_the_ties(gap):
    return torch.sigmoid(gap[gap != 0].abs()).mean()


@wrong(
    "A gap of 0 counts as a label that is missed. Neither answer is better there, and still one of "
    "them was preferred: whichever you name, half of the labels agree."
)
def ties_are_missed(gap):
    return (torch.sigmoid(gap.abs()) * (gap != 0)).mean()


@wrong(
    "Your sigmoid sees twice the gap: a softmax over gap and -gap is sigma(2 gap), and so is "
    "(1 + tanh) / 2. Bradley and Terry's is the sigmoid of the gap itself."
)
def twice_the_gap(gap):
    return torch.sigmoid(2 * gap.abs()).mean()


@wrong("Half of the gap went into the sigmoid. The gap IS the difference of two scores, whole.")
def half_the_gap(gap):
    return torch.sigmoid(gap.abs() / 2).mean()


@wrong(
    "tanh runs from 0 to 1 here, and a coin would have an accuracy of 0. The sigmoid runs from a "
    "half, which is what guessing is worth."
)
def hyperbolic(gap):
    return torch.tanh(gap.abs()).mean()


@wrong(
    "That is the best known pair. The ceiling is for the whole test set: the mean over all pairs."
)
def the_best_pair(gap):
    return torch.sigmoid(gap.abs()).max()


@wrong("That is the least certain pair. The ceiling is for the whole test set: the mean over all.")
def the_worst_pair(gap):
    return torch.sigmoid(gap.abs()).min()


@wrong("That is the expected NUMBER of labels met. An accuracy is a share: divide by the pairs.")
def never_divides(gap):
    return torch.sigmoid(gap.abs()).sum()


ONE_SIGN = (
    "You kept the pairs of one sign and left the others out. A negative gap says that the second "
    "answer is better, and just as surely: all pairs count, with the size of their gap."
)


@wrong(ONE_SIGN)
def only_positive_gaps(gap):
    return torch.sigmoid(gap[gap > 0]).mean()


@wrong(ONE_SIGN)
def only_gaps_not_below_0(gap):
    return torch.sigmoid(gap[gap >= 0]).mean()


@wrong(ONE_SIGN)
def negative_gaps_at_0(gap):
    return (torch.sigmoid(gap) * (gap > 0)).mean()


@wrong(
    "1 - e^-|gap| is 0 for two answers that are alike, and a coin is right half of the time. "
    "Bradley and Terry's is 1 / (1 + e^-|gap|)."
)
def one_less_the_exponential(gap):
    return (1 - torch.exp(-gap.abs())).mean()


@wrong(
    "You averaged the gaps' sizes. They are differences of scores, without an upper end; a sigmoid "
    "makes a probability of each."
)
def forgets_the_sigmoid(gap):
    return gap.abs().mean()


@wrong(
    "The harmonic mean. Accuracy counts rights and wrongs, so the probabilities themselves are "
    "averaged."
)
def harmonic_mean(gap):
    return 1 / (1 / torch.sigmoid(gap.abs())).mean()


@wrong(
    "You weighed the pairs by their gaps, so that the clear ones count more. In a test set each "
    "pair is one label: the plain mean."
)
def weighed_by_the_gap(gap):
    size = gap.abs()
    return (torch.sigmoid(size) * size).sum() / size.sum()


@wrong("A sigmoid of a sigmoid: it lies between 0.62 and 0.73, whatever the gap. One is enough.")
def sigmoid_twice(gap):
    return torch.sigmoid(torch.sigmoid(gap.abs())).mean()


@wrong(
    "The root of the mean square. Accuracy counts rights and wrongs, so the probabilities "
    "themselves are averaged."
)
def root_mean_square(gap):
    return torch.sigmoid(gap.abs()).square().mean().sqrt()


@wrong(
    "The number is right, but it is Python's. A scalar tensor is asked for: no `item`, no `float`."
)
def gives_a_number(gap):
    return torch.sigmoid(gap.abs()).mean().item()


@wrong(
    "p (1 - p) is a label's variance. The best model misses a label with the smaller one of p and "
    "1 - p, and not with their product."
)
def less_the_variance(gap):
    p = torch.sigmoid(gap)
    return (1 - p * (1 - p)).mean()


@wrong(
    "That is the entropy of the labels, in nats: a floor for the LOSS. Asked for is how often the "
    "best guess is met."
)
def entropy(gap):
    p = torch.sigmoid(gap.abs())
    return -(p * p.log() + torch.special.xlogy(1 - p, 1 - p)).mean()


@wrong(
    "That is a loss, the mean of -ln p. The ceiling of an accuracy is made of the probabilities "
    "themselves."
)
def loss_of_the_best(gap):
    return -torch.nn.functional.logsigmoid(gap.abs()).mean()


@wrong(
    "Right numbers, and the caller's gaps are no longer what they were: `abs_` and its like write "
    "into what you were given."
)
def abs_in_place(gap):
    return torch.sigmoid(gap.abs_()).mean()


@wrong("You divided by the number of pairs less one. A mean is divided by all of them.")
def divides_by_one_less(gap):
    return torch.sigmoid(gap.abs()).sum() / max(len(gap) - 1, 1)


@wrong(
    "|p - 1/2| is how far from a coin a pair is. The accuracy of the best guess is a half more "
    "than that: a coin itself is right half of the time."
)
def distance_from_a_coin(gap):
    return (torch.sigmoid(gap) - 0.5).abs().mean()


@wrong(
    "You took the root of the gap's size. The gap itself goes into the sigmoid: a difference of "
    "two scores."
)
def root_of_the_gap(gap):
    p = torch.sigmoid(gap.abs().sqrt())
    return p.mean()


@wrong(
    "You took the mean gap away first. A gap of 0 means that two answers are alike, and that zero "
    "stands where it stands, whatever the other pairs are."
)
def takes_the_mean_gap_away(gap):
    p = torch.sigmoid((gap - gap.mean()).abs())
    return p.mean()


@wrong(
    "You divided the gaps by their spread. The unit of a score is fixed by the sigmoid: a gap of "
    "1 is preferred with 73 %, whatever the other pairs are."
)
def divides_by_the_spread(gap):
    p = torch.sigmoid((gap / gap.square().mean().sqrt()).abs())
    return p.mean()


@wrong(
    "p squared is how often two annotators BOTH prefer the better one. Accuracy is counted on one "
    "label: p."
)
def squares_the_probabilities(gap):
    p = torch.sigmoid(gap.abs())
    return (p**2).mean()


@wrong("The number is right, in a tensor of shape (1,). A scalar is asked for, without an axis.")
def keeps_an_axis(gap):
    p = torch.sigmoid(gap.abs())
    return p.mean(0, keepdim=True)


EXERCISE = Exercise(
    name="label_ceiling",
    title="The ceiling of noisy labels",
    points=2,
    minutes=8,
    answer=label_ceiling,
    reference=_label_ceiling_reference,
    probes=_label_ceiling_probes,
    misconceptions=wrong.all,
    hints=(
        "Somebody knows every true score. A pair lies 1 apart: how often does an annotator's label "
        "agree with this somebody? And a pair that lies -1 apart?",
        "A probability for each pair, never below a half; then the mean over the pairs.",
        "Bradley and Terry: the better one is preferred with sigma of the gap's SIZE.",
    ),
)
