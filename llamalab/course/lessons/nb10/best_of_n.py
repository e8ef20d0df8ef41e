"""Notebook 10, exercise 5: what a reward model's choice is worth.

Of M answers to a request, n are drawn without replacement and the one with the highest score is
kept. The mean worth of the kept one, over all C(M, n) draws: sorted by score, the answer with i
others below it is kept in C(i, n - 1) of them. (Nakano and others, WebGPT, 2021, appendix I; with
worths of 0 and 1 it is pass@k of Chen and others, 2021.)
"""

import itertools
import math

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def best_of_n(score, worth, n):
    M = score.shape[-1]
    ranked = worth.gather(-1, score.argsort(-1))  # (P, M), the worths, lowest score first
    kept = [math.comb(i, n - 1) / math.comb(M, n) for i in range(M)]  # how often the i-th is
    return (ranked * torch.tensor(kept)).sum(-1)  # (P,)


def _reference(score, worth, n):
    """All choices of n, listed one by one."""
    found = []
    for scores, worths in zip(score.tolist(), worth.tolist()):
        groups = itertools.combinations(zip(scores, worths), n)
        kept = [max(group)[1] for group in groups]  # the score comes first in each pair
        found.append(sum(kept) / len(kept))
    return torch.tensor(found)


def _probes():
    """n of 1, of M and between; one request and several; scores that know the worth, that know
    nothing of it and that turn it round; 40 answers, whose factorials do not fit in a float32."""
    g = seeded(1004)

    def drawn(requests, answers, slope):
        worth = torch.rand(requests, answers, generator=g)
        return slope * worth + torch.randn(requests, answers, generator=g) - 0.5, worth

    return [
        (*drawn(3, 5, 0.0), 2),
        (*drawn(2, 7, 3.0), 3),
        (*drawn(1, 4, -3.0), 1),
        (*drawn(3, 6, 0.0), 4),
        (*drawn(4, 3, 0.0), 3),
        (*drawn(2, 40, -2.0), 2),
        (*drawn(5, 8, 1.0), 5),
    ]


def _by(order, worth, weights):
    """Worths in the order of `order`'s argsort, weighed."""
    return (worth.gather(-1, order.argsort(-1)) * torch.tensor(weights)).sum(-1)


def _kept(M, n):
    return [math.comb(i, n - 1) / math.comb(M, n) for i in range(M)]


@wrong(
    "You gave the SCORE of the kept answer. It climbs with n whatever the answers are worth: the "
    "model marks its own choice. The score chooses, and the worth is what counts."
)
def its_own_score(score, worth, n):
    return _by(score, score, _kept(score.shape[-1], n))


@wrong(
    "You let the judge choose: the answers are in order of WORTH. That is the best that anybody "
    "could do. The choice is the score's, and the worth is asked afterwards."
)
def the_judge_chooses(score, worth, n):
    return _by(worth, worth, _kept(score.shape[-1], n))


@wrong(
    "You kept the answer with the LOWEST score of each n: your order goes down where your weights "
    "go up. The others have to lie BELOW the one that is kept."
)
def worst_of_n(score, worth, n):
    return _by(-score, worth, _kept(score.shape[-1], n))


@wrong(
    "You took the best of the FIRST n and left the rest unread. It is right on average and hangs "
    "on which came first; all choices of n out of the M have a say."
)
def the_first_n(score, worth, n):
    best = score[:, :n].argmax(-1, keepdim=True)
    return worth.gather(-1, best)[:, 0]


@wrong(
    "You cut the row into groups of n that do not overlap. Each answer is in one group then, and "
    "those left over at the end in none. All choices of n count, also of answers far apart."
)
def groups_in_a_row(score, worth, n):
    best = score.unfold(-1, n, n).argmax(-1, keepdim=True)
    return worth.unfold(-1, n, n).gather(-1, best).mean((-1, -2))


@wrong(
    "You slid a window of n along the row. Answers far apart never meet in it, and those in the "
    "middle are in more windows than those at the ends. All choices of n count alike."
)
def a_window(score, worth, n):
    best = score.unfold(-1, n, 1).argmax(-1, keepdim=True)
    return worth.unfold(-1, n, 1).gather(-1, best).mean((-1, -2))


@wrong(
    "You put each answer back before the next draw, so one can be drawn twice: the chances are "
    "(i/M)^n less ((i-1)/M)^n. Of n draws fewer than n are then different, and choosing looks "
    "weaker than it is. Drawn WITHOUT replacement, n of M is a set: count sets."
)
def with_replacement(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [((i + 1) / M) ** n - (i / M) ** n for i in range(M)])


@wrong(
    "You listed the draws with `combinations_with_replacement`: an answer can be drawn twice in "
    "it, and draws that are not equally likely count alike. `combinations` lists the sets."
)
def combinations_with_repeats(score, worth, n):
    M = score.shape[-1]
    weights = [math.comb(i + n - 1, n - 1) / math.comb(M + n - 1, n) for i in range(M)]
    return _by(score, worth, weights)


@wrong(
    "You weighed by n F^(n-1), with F the share that lies below. That is the best of n out of "
    "ENDLESSLY many answers. Here are M of them, and none is drawn twice: count sets."
)
def out_of_endlessly_many(score, worth, n):
    M = score.shape[-1]
    weights = [((i + 0.5) / M) ** (n - 1) for i in range(M)]
    return _by(score, worth, [w / sum(weights) for w in weights])


@wrong(
    "You used `argsort` as if it gave ranks. It says WHICH answer comes at each place, not at "
    "which place each answer comes. Take the worths in that order, and weigh them after."
)
def argsort_for_ranks(score, worth, n):
    weights = torch.tensor(_kept(score.shape[-1], n))
    return (weights[score.argsort(-1)] * worth).sum(-1)


@wrong(
    "You averaged the worths of the n answers with the highest scores. ONE answer is kept of each "
    "n, and the n are drawn, not picked."
)
def mean_of_the_top_n(score, worth, n):
    return worth.gather(-1, score.topk(n).indices).mean(-1)


@wrong(
    "You kept the best of all M, whatever n is. Only for n = M are all of them looked at; with "
    "n = 1 nothing is chosen, and the mean comes out."
)
def best_of_all(score, worth, n):
    return worth.gather(-1, score.argmax(-1, keepdim=True))[:, 0]


@wrong(
    "You took the answer that is n-th from the top. With n = 1 that is the best of all, and with "
    "n = M the worst: the wrong way round. n says how many are drawn; the best of them is kept."
)
def the_nth_from_the_top(score, worth, n):
    order = score.argsort(-1, descending=True)
    return worth.gather(-1, order)[:, n - 1]


@wrong(
    "Your weights add up to more than 1: they say how often the kept answer lies at a place OR "
    "BELOW it. How often it is just this one: the other n - 1 come from below."
)
def at_a_place_or_below(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [math.comb(i + 1, n) / math.comb(M, n) for i in range(M)])


@wrong(
    "One too many: you counted the kept answer among those below it. The lowest has none below, "
    "and with n = 2 it is never kept."
)
def itself_below_itself(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [math.comb(i + 1, n - 1) / math.comb(M, n) for i in range(M)])


@wrong(
    "One too few below: counted from 0, the answer at place i has i others below it, not i - 1. "
    "With n = M no draw keeps anything, and 0 comes out."
)
def one_too_few_below(score, worth, n):
    M = score.shape[-1]
    weights = [math.comb(max(i - 1, 0), n - 1) / math.comb(M, n) for i in range(M)]
    return _by(score, worth, weights)


@wrong(
    "You divided by the draws that hold one given answer, C(M-1, n-1). Asked is how many of ALL "
    "draws keep it: yours add up to M / n, not to 1."
)
def divides_by_the_draws_with_it(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [math.comb(i, n - 1) / math.comb(M - 1, n - 1) for i in range(M)])


@wrong(
    "You never divided by the number of choices. What comes out is a sum over all of them, and "
    "grows with M; a worth between 0 and 1 has to stay there."
)
def never_divides(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [float(math.comb(i, n - 1)) for i in range(M)])


@wrong(
    "You counted the others in the order in which they are drawn, and all n in theirs. The kept "
    "one may come first, second or n-th: so the whole is n times too small. Count sets."
)
def in_the_order_drawn(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [math.perm(i, n - 1) / math.perm(M, n) for i in range(M)])


@wrong(
    "You took the worth at the place where the highest of n lies ON AVERAGE, n (M + 1) / (n + 1). "
    "The worth of the mean place is not the mean worth: weigh all places."
)
def worth_of_the_mean_place(score, worth, n):
    M = score.shape[-1]
    place = min(M - 1, round(n * (M + 1) / (n + 1)) - 1)
    return worth.gather(-1, score.argsort(-1))[:, place]


@wrong(
    "Your factorials overflow: 35! does not fit in a float32, and inf / inf is nan. `math.comb` "
    "counts in whole numbers of any size."
)
def factorials_overflow(score, worth, n):
    M = score.shape[-1]
    factorial = torch.cat([torch.ones(1), torch.arange(1.0, M + 1).cumprod(0)])
    weights = torch.zeros(M)
    for i in range(n - 1, M):
        weights[i] = factorial[i] / factorial[n - 1] / factorial[i - n + 1]
    weights = weights * factorial[n] * factorial[M - n] / factorial[M]
    return (worth.gather(-1, score.argsort(-1)) * weights).sum(-1)


@wrong(
    "You averaged over the requests as well. One number a request is asked for, (P,): whoever "
    "wants one for all can take the mean, and whoever wants the spread still has it."
)
def mean_over_the_requests(score, worth, n):
    return _by(score, worth, _kept(score.shape[-1], n)).mean()


@wrong(
    "All requests were thrown into one heap, and the best of n is often another request's answer. "
    "A score compares answers to ONE request: sort along the last dimension, row by row."
)
def all_requests_in_one_heap(score, worth, n):
    heap = _by(score.flatten(), worth.flatten(), _kept(score.numel(), n))
    return heap.expand(len(score))


EXERCISE = Exercise(
    name="best_of_n",
    title="What its choice is worth",
    points=3,
    minutes=12,
    answer=best_of_n,
    reference=_reference,
    probes=_probes,
    misconceptions=wrong.all,
    hints=(
        "Two lists of numbers, two jobs: one of them chooses, the other is asked what the choice "
        "was worth. Which answer of a row can be kept when n are drawn, and when is it?",
        "Put the answers of a row in order of their scores. An answer is kept in just those draws "
        "in which the other n - 1 all come from below it. The result is a weighted mean of worths.",
        "With i answers below, so many draws keep it as there are ways to choose n - 1 of i. All "
        "draws are the ways to choose n of M. And the worths have to follow the scores' order.",
    ),
)
