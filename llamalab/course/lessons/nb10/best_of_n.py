"""Notebook 10, exercise 5: what a reward model's choice is worth.

Of M answers to a request, n are drawn without replacement and the one with the highest score is
kept. The mean worth of the kept one, over all C(M, n) draws: sorted by score, the answer with i
others below it is kept in C(i, n - 1) of them. (Nakano and others, WebGPT, 2021, appendix I; with
worths of 0 and 1 it is pass@k of Chen and others, 2021.)
"""

import itertools
import math

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def best_of_n(score, worth, n):
    M = score.shape[-1]
    ranked = worth.gather(-1, score.argsort(-1))  # (P, M), the worths, lowest score first
    kept = [math.comb(i, n - 1) / math.comb(M, n) for i in range(M)]  # how often the i-th is
    return (ranked * torch.tensor(kept, dtype=worth.dtype)).sum(-1)  # (P,)


def _reference(score, worth, n):
    """All choices of n, listed one by one."""
    found = []
    for scores, worths in zip(score.tolist(), worth.tolist()):
        groups = itertools.combinations(zip(scores, worths), n)
        kept = [max(group)[1] for group in groups]  # the score comes first in each pair
        found.append(sum(kept) / len(kept))
    return torch.tensor(found, dtype=worth.dtype)


def _probes():
    """n of 1, of M and between; one request and several; scores that know the worth, that know
    nothing of it and that turn it round; 40 answers, whose factorials do not fit in a float32;
    scores that are all negative, and worths in float64, small enough that those who count in
    float32 on the way are near enough; a single answer."""
    g = seeded(1004)

    def drawn(requests, answers, slope):
        worth = torch.rand(requests, answers, generator=g)
        return slope * worth + torch.randn(requests, answers, generator=g) - 0.5, worth

    below_zero = -0.1 - torch.rand(4, 6, generator=g)
    return [
        (*drawn(3, 5, 0.0), 2),
        (*drawn(2, 7, 3.0), 3),
        (*drawn(1, 4, -3.0), 1),
        (*drawn(3, 6, 0.0), 4),
        (*drawn(4, 3, -2.0), 3),
        (*drawn(2, 40, -2.0), 2),
        (*drawn(5, 8, 1.0), 3),
        (below_zero, 1e-7 * torch.rand(4, 6, generator=g, dtype=torch.float64), 3),
        (*drawn(1, 1, 0.0), 1),
    ]


def _by(order, worth, weights):
    """Worths in the order of `order`'s argsort, weighed."""
    return (worth.gather(-1, order.argsort(-1)) * torch.tensor(weights, dtype=worth.dtype)).sum(-1)


def _kept(M, n):
    """The right weights, lowest score first."""
    return [math.comb(i, n - 1) / math.comb(M, n) for i in range(M)]


def _weighed(score, worth, weight):
    """Worths in the order of their scores, each times weight(i, M) with i others below it."""
    M = score.shape[-1]
    return _by(score, worth, [float(weight(i, M)) for i in range(M)])


def _draws(M, n):
    """All draws, (C(M, n), n)."""
    return torch.tensor(list(itertools.combinations(range(M), n)))


ITS_OWN_SCORE = (
    "You gave the SCORE of the kept answer. It climbs with n whatever the answers are worth: the "
    "model marks its own choice. The score chooses, and the worth is what counts."
)


@wrong(ITS_OWN_SCORE)
def its_own_score(score, worth, n):
    return _by(score, score, _kept(score.shape[-1], n))


@wrong(ITS_OWN_SCORE)
def its_own_score_as_a_worth(score, worth, n):
    return its_own_score(score.to(worth.dtype), worth, n)


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
    "You put the scores in order and left the worths as they came. The weights then meet worths "
    "of other answers: take the worths in the order of their scores."
)
def worth_left_unsorted(score, worth, n):
    return (worth * torch.tensor(_kept(score.shape[-1], n))).sum(-1)


@wrong(
    "You sorted along the requests, down each column, so answers to different requests change "
    "places. The answers of ONE request compete: sort along the last dimension."
)
def sorted_down_the_columns(score, worth, n):
    return (worth.gather(0, score.argsort(0)) * torch.tensor(_kept(score.shape[-1], n))).sum(-1)


@wrong(
    "You put every request's answers in the order of the FIRST request's scores. Its own row "
    "comes out right and no other; each request has an order of its own."
)
def the_first_rows_order(score, worth, n):
    return _by(score[:1].expand_as(score), worth, _kept(score.shape[-1], n))


@wrong(
    "You read a place in the DRAW as a place among all M. `argmax` over n scores gives a number "
    "below n, so only the first n worths are ever read. Look up whom the draw has at that place."
)
def place_in_the_draw(score, worth, n):
    best = score[:, _draws(score.shape[-1], n)].argmax(-1)  # (P, C(M, n)), below n
    return worth.gather(-1, best).mean(-1)


@wrong(
    "You crossed every request's worths with every request's choices, as `worth[:, best]` does, "
    "and the mean mixes them. `gather` along the last dimension keeps the rows apart."
)
def rows_mixed(score, worth, n):
    draws = _draws(score.shape[-1], n).expand(len(score), -1, -1)  # (P, C(M, n), n)
    best = score[:, draws[0]].argmax(-1, keepdim=True)
    return worth[:, draws.gather(-1, best)].mean((1, 2, 3))  # of (P, P, C(M, n), 1)


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
    return _weighed(score, worth, lambda i, M: ((i + 1) / M) ** n - (i / M) ** n)


@wrong(
    "You listed the draws with `combinations_with_replacement`: an answer can be drawn twice in "
    "it, and draws that are not equally likely count alike. `combinations` lists the sets."
)
def combinations_with_repeats(score, worth, n):
    def weight(i, M):
        return math.comb(i + n - 1, n - 1) / math.comb(M + n - 1, n)

    return _weighed(score, worth, weight)


ENDLESSLY_MANY = (
    "You weighed by n F^(n-1), with F the share that lies below. That is the best of n out of "
    "ENDLESSLY many answers. Here are M of them, and none is drawn twice: count sets."
)


@wrong(ENDLESSLY_MANY)
def out_of_endlessly_many_itself_below(score, worth, n):
    weights = torch.arange(1, score.shape[-1] + 1) ** (n - 1)
    return _by(score, worth, (weights / weights.sum()).tolist())


@wrong(ENDLESSLY_MANY)
def out_of_endlessly_many(score, worth, n):
    M = score.shape[-1]
    weights = [((i + 0.5) / M) ** (n - 1) for i in range(M)]
    return _by(score, worth, [w / sum(weights) for w in weights])


@wrong(
    "You drew each answer by itself, with the chance n / M, so that as many as all M can be in a "
    "draw, or none. In a draw of just n, one that is in leaves fewer places for the others."
)
def drawn_one_by_one(score, worth, n):
    return _weighed(score, worth, lambda i, M: n / M * (1 - n / M) ** (M - 1 - i))


RIVALS_PUT_BACK = (
    "You let the n - 1 others be drawn with repeats: each lies below with the same chance, and "
    "they multiply. None is drawn twice: after one from below, one fewer is left there."
)


@wrong(RIVALS_PUT_BACK)
def rivals_put_back(score, worth, n):
    M = score.shape[-1]
    below = torch.arange(M) / (M - 1)  # nan for M = 1, and nan ** 0 is 1
    return _by(score, worth, (n / M * below ** (n - 1)).tolist())


@wrong(RIVALS_PUT_BACK)
def rivals_put_back_in_each_weight(score, worth, n):
    return _weighed(score, worth, lambda i, M: n / M * (i / (M - 1)) ** (n - 1))


@wrong(RIVALS_PUT_BACK)
def rivals_put_back_and_normalised(score, worth, n):
    weights = torch.arange(score.shape[-1]) ** (n - 1)
    return _by(score, worth, (weights / weights.sum()).tolist())


@wrong(
    "With a single answer you divided 0 by M - 1, which is 0 too: nan. M may be 1, and the one "
    "answer is kept then."
)
def nan_for_a_single_answer(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, _kept(M, n)) + torch.tensor(0.0) / (M - 1)


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
    "You took the mean worth of all M answers. That is what comes out where nothing is chosen, "
    "with n = 1; the more are drawn, the more the score decides."
)
def mean_of_all(score, worth, n):
    return worth.mean(-1)


SOFTMAX = (
    "You weighed by a softmax of the scores, so it matters how far apart they lie. Which answer "
    "of n is kept hangs on their ORDER alone, and how often is counted: no softmax is in it."
)


@wrong(SOFTMAX)
def softmax_of_the_scores(score, worth, n):
    return (score.softmax(-1) * worth).sum(-1)


@wrong(SOFTMAX)
def softmax_of_n_times_the_scores(score, worth, n):
    return ((n * score).softmax(-1) * worth).sum(-1)


PAIRS = (
    "You listed PAIRS, whatever n is: each answer won as often as it has others below it. That is "
    "right for n = 2 alone; n - 1 others have to lie below."
)


@wrong(PAIRS)
def pairs_or_nan(score, worth, n):
    return _weighed(score, worth, lambda i, M: i) / math.comb(score.shape[-1], 2)


@wrong(PAIRS)
def pairs_whatever_n_is(score, worth, n):
    return _weighed(score, worth, lambda i, M: i / math.comb(M, 2))


@wrong(
    "For n = 1 you gave the first answer's worth. A draw of one can be any of the M: the mean of "
    "all comes out, and the general rule gives it without a case of its own."
)
def the_first_for_one(score, worth, n):
    return worth[:, 0] if n == 1 else _by(score, worth, _kept(score.shape[-1], n))


@wrong(
    "For n = M you gave the highest WORTH. All are drawn then, and still the score chooses: it "
    "is the worth of the answer with the highest score."
)
def the_highest_worth_for_all(score, worth, n):
    M = score.shape[-1]
    return worth.amax(-1) if n == M else _by(score, worth, _kept(M, n))


@wrong(
    "Answers that are not drawn got the score 0, and 0 beats every negative score: an answer that "
    "nobody drew is kept. Give them minus infinity, or leave them out."
)
def not_drawn_scores_zero(score, worth, n):
    M = score.shape[-1]
    drawn = F.one_hot(_draws(M, n), M).sum(1)  # (C(M, n), M), 1 where it is drawn
    best = (score[:, None] * drawn).argmax(-1)
    return worth.gather(-1, best).mean(-1)


@wrong(
    "Your weights add up to more than 1: they say how often the kept answer lies at a place OR "
    "BELOW it. How often it is just this one: the other n - 1 come from below."
)
def at_a_place_or_below(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i + 1, n) / math.comb(M, n))


def _normalised(score, worth, count):
    """Weights in proportion to count(i, M), made to add up to 1; nan where all are 0."""
    M = score.shape[-1]
    counts = torch.tensor([count(i, M) for i in range(M)], dtype=torch.float64)
    return _by(score, worth, (counts / counts.sum()).tolist())


@wrong(
    "You drew all n from the answers UP TO the kept one, C(i + 1, n), and divided by the sum of "
    "these numbers. So a draw counts in which the best of the n lies further down. The kept one is "
    "in the draw for certain: the other n - 1 come from the i below it."
)
def at_a_place_or_below_normalised(score, worth, n):
    return _normalised(score, worth, lambda i, M: math.comb(i + 1, n))


ITSELF_BELOW = (
    "One too many: you counted the kept answer among those below it. The lowest has none below, "
    "and with n = 2 it is never kept."
)


@wrong(ITSELF_BELOW)
def itself_below_itself(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i + 1, n - 1) / math.comb(M, n))


@wrong(ITSELF_BELOW)
def itself_below_itself_normalised(score, worth, n):
    return _normalised(score, worth, lambda i, M: math.comb(i + 1, n - 1))


@wrong(
    "One too few below: counted from 0, the answer at place i has i others below it, not i - 1. "
    "With n = M no draw keeps anything, and 0 comes out."
)
def one_too_few_below(score, worth, n):
    def weight(i, M):
        return math.comb(max(i - 1, 0), n - 1) / math.comb(M, n)

    return _weighed(score, worth, weight)


@wrong(
    "You left out the answer with the highest score. It is kept in every draw that it is in, "
    "oftener than any other; with n = M it is the only one, and you have 0."
)
def top_left_out(score, worth, n):
    M = score.shape[-1]
    return _by(score, worth, [*_kept(M, n)[:-1], 0.0])


NO_PLACE = (
    "You chose all n from below: C(i, n). The kept answer takes one of the n places itself, so "
    "that n - 1 come from below; for n = M all of your weights are 0."
)


@wrong(NO_PLACE)
def the_kept_one_takes_no_place(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i, n) / math.comb(M, n))


@wrong(NO_PLACE)
def the_kept_one_takes_no_place_normalised(score, worth, n):
    return _normalised(score, worth, lambda i, M: math.comb(i, n))


@wrong(
    "You divided by the draws that hold one given answer, C(M-1, n-1). Asked is how many of ALL "
    "draws keep it: yours add up to M / n, not to 1."
)
def divides_by_the_draws_with_it(score, worth, n):
    def weight(i, M):
        return math.comb(i, n - 1) / math.comb(M - 1, n - 1)

    return _weighed(score, worth, weight)


@wrong(
    "You never divided by the number of choices. What comes out is a sum over all of them, and "
    "grows with M; a worth between 0 and 1 has to stay there."
)
def never_divides(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i, n - 1))


@wrong(
    "You divided by C(M, n - 1). Below is chosen n - 1, but a DRAW holds n: there are C(M, n). "
    "Your weights add up to (M - n + 1) / n, not to 1."
)
def divides_by_smaller_draws(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i, n - 1) / math.comb(M, n - 1))


@wrong(
    "You divided by M, the number of ANSWERS. You added up one worth for each draw, and there are "
    "C(M, n) of those: only with n = 1 or n = M - 1 are the two the same."
)
def divides_by_the_answers(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i, n - 1) / M)


REQUESTS_FOR_ANSWERS = (
    "You counted draws out of P, the number of requests: `shape[0]`. n are drawn of the M answers "
    "to ONE request. With fewer requests than n there is no draw, and you divide by 0."
)


@wrong(REQUESTS_FOR_ANSWERS)
def requests_for_answers(score, worth, n):
    return never_divides(score, worth, n) / math.comb(len(score), n)


@wrong(REQUESTS_FOR_ANSWERS)
def requests_for_answers_in_each_weight(score, worth, n):
    P = len(score)
    return _weighed(score, worth, lambda i, M: math.comb(i, n - 1) / math.comb(P, n))


@wrong(
    "You counted the others in the order in which they are drawn, and all n in theirs. The kept "
    "one may come first, second or n-th: so the whole is n times too small. Count sets."
)
def in_the_order_drawn(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.perm(i, n - 1) / math.perm(M, n))


TWO_WAYS_OF_COUNTING = (
    "You counted above with order and below without, or the other way round: a factorial too "
    "much or too little. Count sets in both, or sequences of all n in both."
)


@wrong(TWO_WAYS_OF_COUNTING)
def sequences_over_sets(score, worth, n):
    return _by(score, worth, _kept(score.shape[-1], n)) * math.factorial(n)


@wrong(TWO_WAYS_OF_COUNTING)
def sequences_of_the_others_over_sets(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.perm(i, n - 1) / math.comb(M, n))


@wrong(TWO_WAYS_OF_COUNTING)
def sets_over_sequences(score, worth, n):
    return _weighed(score, worth, lambda i, M: math.comb(i, n - 1) / math.perm(M, n))


@wrong(
    "You took the worth at the place where the highest of n lies ON AVERAGE, n (M + 1) / (n + 1). "
    "The worth of the mean place is not the mean worth: weigh all places."
)
def worth_of_the_mean_place(score, worth, n):
    M = score.shape[-1]
    place = min(M - 1, round(n * (M + 1) / (n + 1)) - 1)
    return worth.gather(-1, score.argsort(-1))[:, place]


OVERFLOW = (
    "Your factorials overflow. 21! does not fit in an int64 and goes round to a wrong number; 35! "
    "does not fit in a float32 and is inf. What you divide is then wrong, or nan. `math.comb` "
    "counts in whole numbers of any size."
)


@wrong(OVERFLOW)
def factorials_overflow(score, worth, n):
    M = score.shape[-1]
    factorial = torch.cat([torch.ones(1), torch.arange(1.0, M + 1).cumprod(0)])
    weights = torch.zeros(M)
    for i in range(n - 1, M):
        weights[i] = factorial[i] / factorial[n - 1] / factorial[i - n + 1]
    weights = weights * factorial[n] * factorial[M - n] / factorial[M]
    return (worth.gather(-1, score.argsort(-1)) * weights).sum(-1)


@wrong(OVERFLOW)
def factorials_go_round(score, worth, n):
    M = score.shape[-1]
    f = torch.cat([torch.ones(1, dtype=torch.long), torch.arange(1, M + 1)]).cumprod(0)
    chosen = [f[i] / (f[n - 1] * f[i - n + 1]) if i >= n - 1 else 0.0 for i in range(M)]
    weights = torch.tensor(chosen) / (f[M] / (f[n] * f[M - n]))
    return _by(score, worth, weights.tolist())


@wrong(
    "Right numbers, and the caller's `worth` is no longer what it was: you put it in order in "
    "place. `gather` builds a new tensor."
)
def sorts_worth_in_place(score, worth, n):
    worth.copy_(worth.gather(-1, score.argsort(-1)))
    return (worth * torch.tensor(_kept(score.shape[-1], n), dtype=worth.dtype)).sum(-1)


@wrong(
    "Right numbers, and the caller's `score` is no longer what it was: you put it in order in "
    "place. `argsort` gives the order and leaves the scores where they are."
)
def sorts_score_in_place(score, worth, n):
    kept = _by(score, worth, _kept(score.shape[-1], n))
    score.copy_(score.sort(-1).values)
    return kept


@wrong(
    "Right numbers, and neither `score` nor `worth` is what it was: you put both in order in "
    "place. The caller still needs them: build new tensors."
)
def sorts_both_in_place(score, worth, n):
    sorts_worth_in_place(score, worth, n)
    score.copy_(score.sort(-1).values)
    return (worth * torch.tensor(_kept(score.shape[-1], n), dtype=worth.dtype)).sum(-1)


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
