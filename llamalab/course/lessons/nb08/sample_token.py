"""Notebook 08, exercise 2: A draw."""

import numpy as np
import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def sample_token(probs, u):
    upto = probs.cumsum(dim=-1)  # (B, V): where each token's piece ends
    place = u[:, None] * upto[:, -1:]  # the last end is 1, but for rounding
    return (upto <= place).sum(dim=-1)  # (B,): how many pieces end before it


def _sample_reference(probs, u):
    """As numpy draws: search the sums, in float64, divided by their last."""
    ids = []
    for row, number in zip(probs.double().numpy(), u.double().numpy()):
        sums = np.cumsum(row)
        ids.append(int(np.searchsorted(sums / sums[-1], number, side="right")))
    return torch.tensor(ids)


def _sample_probes():
    """Few rows; impossible tokens at either end and in between, with u = 0 and u nearly 1; one
    distribution under an even grid of u, which counts it out; sums that end below 1; rows whose
    last possible tokens differ, as do their sums; as many rows as tokens."""
    g = seeded(81)
    some = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    zeros = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    grid = (torch.arange(500) + 0.37) / 500  # no u falls on an end
    skewed = torch.tensor([0.07, 0.42, 0.0, 0.26, 0.01, 0.24])
    wide = torch.randn(4, 300, generator=g).mul(2).softmax(-1)
    third = (wide / wide.sum(-1, keepdim=True)).scatter(1, torch.tensor([[299]] * 4), 0.0)
    short = third / third.sum(-1, keepdim=True) * (1 - 2e-6)  # as after many roundings
    ends = torch.tensor(
        [[0.3, 0.699996, 0.0, 0.0], [0.4, 0.599998, 0.0, 2e-6], [0.5, 0.25, 0.25, 0]]
    )
    return [
        (some, torch.tensor([0.65, 0.05, 0.9, 0.5])),
        (zeros, torch.tensor([0.0, 0.0])),
        (zeros.flip(0), torch.tensor([0.999, 0.1])),
        (skewed.expand(500, 6).clone(), grid),
        (short, torch.tensor([0.0311, 0.99999994, 0.4142, 0.99999994])),
        (torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]), torch.tensor([0.5, 0.25])),
        (ends, torch.tensor([0.99999994, 0.9999995, 0.99999994])),
        (some[:3], torch.tensor([0.15, 0.95, 0.65])),
    ]


@wrong(
    "You take the likeliest token and never look at u. That is greedy: every reader gets the "
    "same story."
)
def takes_the_likeliest(probs, u):
    return probs.argmax(-1)


@wrong(
    "You let torch draw, with a number of its own. The law may be right; but u is given, and "
    "the same u must give the same token."
)
def draws_on_its_own(probs, u):
    return torch.multinomial(probs, 1)[:, 0]


@wrong(
    "You look for the END that is closest to u. A place belongs to the piece that it lies on, "
    "however near the next end is: count the ends at u or before."
)
def nearest_end(probs, u):
    return (probs.cumsum(-1) - u[:, None]).abs().argmin(-1)


@wrong(
    "You spread u evenly over the ids, whatever their probabilities: a token of 1 in a million "
    "comes as often as the best."
)
def draws_ids_evenly(probs, u):
    return (u * probs.shape[-1]).long()


WITHOUT_SUMS = (
    "You compare u with single probabilities. What u falls on is a place on a line of length 1,"
    " and where a piece ends is the sum of all up to it."
)


@wrong(WITHOUT_SUMS)
def compares_without_sums(probs, u):
    return (probs <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


@wrong(WITHOUT_SUMS)
def counts_without_sums(probs, u):
    return (probs <= u[:, None]).sum(-1)


@wrong(WITHOUT_SUMS)
def first_that_is_above(probs, u):
    return (probs > u[:, None]).int().argmax(-1)


@wrong(
    "You look for the probability that is closest to u. A token of 0.9 is then chosen only when"
    " u happens to be near 0.9."
)
def nearest_probability(probs, u):
    return (probs - u[:, None]).abs().argmin(-1)


LEFT = (
    "You count the ends that are smaller than u. Where a piece of length 0 lies, its end equals"
    " its beginning, and with u = 0 you choose a token that has no chance."
)


@wrong(LEFT)
def left_of_the_end(probs, u):
    return (probs.cumsum(-1) < u[:, None] * probs.sum(-1, keepdim=True)).sum(-1)


@wrong(LEFT)
def left_of_the_end_unstretched(probs, u):
    return (probs.cumsum(-1) < u[:, None]).sum(-1)


@wrong(LEFT)
def left_of_the_end_and_held_back(probs, u):
    return (probs.cumsum(-1) < u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


@wrong(LEFT)
def first_end_not_below(probs, u):
    return (probs.cumsum(-1) >= u[:, None]).int().argmax(-1)


@wrong(
    "Where rounding makes the sums end at 0.999998 and u is larger, you return V, an id that "
    "does not exist. One draw in a few hundred thousand stops the program."
)
def falls_off_the_end(probs, u):
    return (probs.cumsum(-1) <= u[:, None]).sum(-1)


@wrong(
    "Where rounding makes the sums end below u, nothing is larger than u, and the argmax of a "
    "row of zeros is 0: you choose token 0, however small its chance."
)
def begins_again_at_zero(probs, u):
    return (probs.cumsum(-1) > u[:, None]).int().argmax(-1)


@wrong(
    "Where rounding makes the sums end below u, you choose the last id. After a top-p its "
    "probability is mostly 0. The last token that HAS a chance is meant."
)
def ends_on_the_last_id(probs, u):
    return (probs.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


@wrong(
    "Where the sums end below u you take the last token that has a chance in ANY row. Each row "
    "has its own: in this one that token may be impossible."
)
def last_one_of_the_batch(probs, u):
    last = int((probs > 0).any(0).nonzero().max())
    return (probs.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=last)


@wrong(
    "Where the sums end below u you step back from the last id, once. After a top-p there are "
    "hundreds of impossible tokens at the end: stretch u to the row's own length instead."
)
def steps_back_once(probs, u):
    chosen = (probs.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)
    return torch.where(probs.gather(1, chosen[:, None])[:, 0] > 0, chosen, chosen - 1)


ONE_LENGTH = (
    "You stretch u to the length of one row's line, and use it for all. Each row's sum is rounded "
    "in its own way: take the last end of the row itself, with its axis kept."
)


@wrong(ONE_LENGTH)
def stretches_to_the_longest(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1].max()).sum(-1)


@wrong(ONE_LENGTH)
def stretches_to_the_shortest(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1].min()).sum(-1)


@wrong(
    "You return the token before. If no piece ends at or before u, it is token 0; if one does, "
    "token 1: the count itself is the id."
)
def one_token_early(probs, u):
    upto = probs.cumsum(-1)
    return ((upto <= u[:, None] * upto[:, -1:]).sum(-1) - 1).clamp(min=0)


@wrong(
    "You took 1 off the count. If no piece ends at or before u, it is token 0; if one does, token"
    " 1: the count itself is the id, and yours begin at -1."
)
def takes_one_off(probs, u):
    return (probs.cumsum(-1) <= u[:, None]).sum(-1) - 1


@wrong(
    "u lies along the wrong axis: (B,) against (B, V) compares u with the TOKENS. It only works "
    "at all where B = V. u[:, None] gives each row its number."
)
def lays_u_along_the_tokens(probs, u):
    return (probs.cumsum(-1) <= u).sum(-1)


ONE_NUMBER = (
    "You use the first number for all rows. Each row has its own; with one for all, texts in a "
    "batch with the same prompt would be the same text."
)


@wrong(ONE_NUMBER)
def one_number_for_all_unstretched(probs, u):
    return (probs.cumsum(-1) <= u[0]).sum(-1)


@wrong(ONE_NUMBER)
def one_number_for_all(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[0] * upto[:, -1:]).sum(-1)


@wrong("You summed down the batch: row 1 continues the sums of row 0. Along the last axis.")
def counts_sums_down_the_batch(probs, u):
    return (probs.cumsum(0) <= u[:, None]).sum(-1)


@wrong("You summed down the batch: row 1 continues the sums of row 0.")
def sums_down_the_batch(probs, u):
    upto = probs.cumsum(0)
    return (upto <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


@wrong(
    "You sorted, and returned the place in the sorted row: 0 for the likeliest, whatever its "
    "id. The tokens were lost on the way."
)
def gives_the_rank(probs, u):
    upto = probs.sort(dim=-1, descending=True).values.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1)


@wrong(
    "The law is right, but you laid the likeliest piece first. Here the pieces lie in the order"
    " of their ids, so that the same u gives the same token."
)
def likeliest_first(probs, u):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    upto = ordered.cumsum(-1)
    rank = (upto <= u[:, None] * upto[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, rank)[:, 0]


@wrong(
    "The law is right, but you laid the unlikeliest piece first. Here the pieces lie in the order"
    " of their ids, so that the same u gives the same token."
)
def unlikeliest_first(probs, u):
    ordered, order = probs.sort(dim=-1, stable=True)
    upto = ordered.cumsum(-1)
    rank = (upto <= u[:, None] * upto[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, rank)[:, 0]


@wrong(
    "You measure from the far end. u = 0 is where token 0 begins; 1 - u is 1 there, and falls off"
    " the end."
)
def from_the_far_end_and_off_it(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= (1 - u[:, None]) * upto[:, -1:]).sum(-1)


@wrong("You measure from the far end. The law is right; but u = 0 is where token 0 begins.")
def from_the_far_end(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= (1 - u[:, None]) * upto[:, -1:]).sum(-1).clamp(max=probs.shape[-1] - 1)


@wrong("The ids are right, but they are a list. One tensor (B,) is asked for: no `tolist`.")
def gives_a_list(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1).tolist()


@wrong("Yours is (B, 1). One id for each row is asked for: (B,).")
def keeps_the_axis(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1, keepdim=True)


@wrong(
    "You took a softmax of what is already probabilities. It makes them nearly equal, and gives"
    " a token of probability 0 a chance."
)
def softmax_of_probabilities(probs, u):
    upto = probs.softmax(-1).cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1)


EXERCISE = Exercise(
    name="sample_token",
    title="A draw",
    points=3,
    minutes=12,
    answer=sample_token,
    reference=_sample_reference,
    probes=_sample_probes,
    misconceptions=wrong.all,
    hints=(
        "Lay the probabilities end to end, in order of ids: a line of length 1. u is a place on "
        "it. Which piece does it fall on?",
        "`cumsum` says where each piece ends. Count the pieces that have ended at u or before: "
        "that number is the id.",
        "Rounding: the line may end at 0.999998. Stretch u to the line, u times its true length, "
        "and it always falls on a piece that has a length.",
    ),
)
