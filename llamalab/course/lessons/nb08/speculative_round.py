"""Notebook 08, exercise 5: A round of speculation."""

import numpy as np
import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def speculative_round(p, q, guesses, u, v):
    written = []
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] >= p[k, guess]:  # refused
            left = (p[k] - q[k]).clamp(min=0)  # (V,): what the draft has given too little
            break
        written.append(guess)
    else:
        left = p[len(guesses)]  # nothing was refused: one more, of the model's own
    upto = left.cumsum(dim=0)
    return [*written, int((upto <= v * upto[-1]).sum())]


def _round_reference(p, q, guesses, u, v):
    """All ratios at once; the first refusal; numpy's way to draw. In float64."""
    p, q, u = p.double().numpy(), q.double().numpy(), np.asarray(u)
    at = np.arange(len(guesses))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.minimum(1, p[at, guesses] / q[at, guesses])
    refused = np.flatnonzero(~(u < ratio))
    if len(refused):
        n = int(refused[0])
        law = np.maximum(p[n] - q[n], 0)
    else:
        n = len(guesses)
        law = p[n]
    sums = np.cumsum(law) / law.sum()
    return [*guesses[:n], int(np.searchsorted(sums, v, side="right"))]


def _round_probes():
    """Each guess of one place, with two u. Then four guesses, refused at every place and
    nowhere, of so many tokens that a rest bent a little is another token; two guesses alike, of
    which the second is refused; a draft that is always
    right; a guess that the model excludes, with u = 0; a greedy model; and the traps of exercise
    2, at a refusal and behind the last guess: v = 0 before an impossible token, v beyond the end
    of a rounded sum, with impossible tokens behind it."""
    p = torch.tensor([[0.1, 0.3, 0.05, 0.35, 0.2], [0.25, 0.1, 0.3, 0.05, 0.3]])
    q = torch.tensor([[0.4, 0.1, 0.2, 0.3, 0.0]])
    grid = [
        (p, q, [guess], [u], (0.3, 0.9)[(guess + i) % 2])
        for guess in (0, 1, 2, 3)
        for i, u in enumerate((0.2, 0.8))
    ]
    g = seeded(84)

    def rows(n, V):
        return torch.randn(n, V, generator=g).mul(1.2).softmax(-1)

    def guess_from(q):
        return torch.multinomial(q, 1, generator=g)[:, 0].tolist()

    long = []
    for i in range(6):
        V = 60 + i
        p4, q4 = rows(5, V), rows(4, V)
        u = torch.rand(4, generator=g).tolist()
        v = (1 + 7 * i % 12) / 13
        long.append((p4, q4, guess_from(q4), u, v))
    half = torch.tensor([[0.3, 0.3, 0.4]] * 3), torch.tensor([[0.6, 0.2, 0.2]] * 2)
    same = rows(4, 6)
    three = rows(3, 6)
    impossible = torch.tensor([[0.0, 0.6, 0.4], [0.2, 0.5, 0.3]])
    certain = torch.eye(4)[[2, 0, 3]]
    nearly_1, wide = 0.99999994, rows(2, 299)
    wide = torch.cat((torch.zeros(2, 1), wide, torch.zeros(2, 3)), dim=1) * (1 - 2e-6)
    likes_2 = torch.zeros(1, 303)  # the rest at its place is all the others, but for the first
    likes_2[0, 2] = 1.0
    wide[0, 2] = 0.0
    return [
        *grid,
        *long,
        *((*half, [0, 0], [0.2, 0.8], v) for v in (0.4, 0.5)),
        (same, same[:3], guess_from(same[:3]), [0.97, 0.5, 0.02], 0.61),
        (torch.cat((three, three[:1])), three, [1, 4, 0], [0.99, 0.99, 0.99], 0.35),
        (impossible, torch.tensor([[0.5, 0.25, 0.25]]), [0], [0.0], 0.55),
        (certain, rows(2, 4), [2, 0], [0.95, 0.9], 0.4),
        (certain, rows(2, 4), [2, 1], [0.1, 0.05], 0.8),
        *((wide, likes_2, [2], [0.5], v) for v in (0.0, nearly_1)),
        *((wide[[1, 1]], wide[:1], [5], [0.0], v) for v in (0.0, nearly_1)),
    ]


def _round(
    p, q, guesses, u, v, *, accept=None, left=None, bonus=None, after=None, stretch=True,
    greedy=False, draw=None,
):  # fmt: skip
    """The right answer, with one step exchanged: for the misconceptions below."""
    written, law = [], None
    for k, guess in enumerate(guesses):
        mine, theirs = p[k, guess], q[k, guess]
        taken = u[k] * theirs < mine if accept is None else accept(mine, theirs, u[k], p[k], guess)
        if taken:
            written.append(guess)
            continue
        law = (p[k] - q[k]).clamp(min=0) if left is None else left(p, q, k, guess)
        if after is not None:
            return after(written, guess)
        break
    if law is None:
        if bonus == "none":
            return written
        row = {None: len(guesses), "last": len(guesses) - 1, "first": 0}[bonus]
        law = p[row]
    if greedy:
        return [*written, int(law.argmax())]
    if draw is not None:
        return [*written, int(draw(law / law.sum() if len(written) < len(guesses) else law, v))]
    upto = law.cumsum(0)
    chosen = int((upto <= (v * upto[-1] if stretch else v)).sum())
    return [*written, chosen if stretch else min(chosen, len(law) - 1)]


@wrong(
    "You accept a guess only if the model likes it at least as well as the draft does. A guess "
    "of p = 0.1, q = 0.4 must pass one time in four: without u it never does."
)
def accepts_the_likelier(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: p >= q)


P_ALONE = (
    "You accept with probability p. But the guess came with probability q in the first place, "
    "so it would be written with q times p. It takes p / q."
)


@wrong(P_ALONE)
def accepts_by_the_model_alone(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u < p)


@wrong(P_ALONE)
def accepts_by_the_model_and_draws_unstretched(p, q, guesses, u, v):
    return _round(
        p, q, guesses, u, v,
        accept=lambda p, q, u, *_: u < p, draw=lambda law, v: (law.cumsum(0) <= v).sum(),
    )  # fmt: skip


@wrong(P_ALONE)
def accepts_by_the_model_and_searches(p, q, guesses, u, v):
    def draw(law, v):
        return torch.searchsorted(law.cumsum(0), torch.tensor(v), right=True)

    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u < p, draw=draw)


@wrong(
    "You accept with q / p. That favours what the draft overrates, the very thing that is to be"
    " put right."
)
def accepts_upside_down(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * p < q)


@wrong(
    "You accept a guess only if it is the model's likeliest token. That is the rule for a "
    "greedy model. Here it makes every text greedier than the model is."
)
def accepts_only_the_best(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, row, guess: row.argmax() == guess)


@wrong(
    "With u = 0 you accept a guess of probability 0. u is smaller than 1 and may be 0, so the "
    "comparison has to be strict: accept if u < p / q."
)
def accepts_the_impossible(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * q <= p)


@wrong("You accept every guess. It is the draft that writes, then, and the large model watches.")
def accepts_everything(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda *_: True)


@wrong("You refuse where you should accept, and the other way round: u < p / q accepts.")
def refuses_the_other_half(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * q >= p)


@wrong(
    "You use the first u for all guesses. They would be accepted or refused together; each "
    "needs a number of its own."
)
def one_u_for_all(p, q, guesses, u, v):
    return _round(p, q, guesses, [u[0]] * len(u), v)


@wrong(
    "After a refusal you draw from p. It looks right and is not: what the draft likes has had "
    "its chance already, as a guess, and gets a second one here."
)
def resamples_from_the_model(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: p[k])


@wrong(
    "After a refusal you draw from the draft again. What the draft never proposes could then "
    "never be written."
)
def resamples_from_the_draft(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: q[k])


@wrong(
    "After a refusal you draw from p without the refused token. That is how one would draw "
    "without putting back. What is missing is max(p - q, 0), token by token."
)
def resamples_without_the_guess(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return p[k].index_fill(0, torch.tensor([guess]), 0.0)

    return _round(p, q, guesses, u, v, left=left)


@wrong("You draw from max(q - p, 0): the tokens of which the draft gives too MUCH.")
def rest_upside_down(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: (q[k] - p[k]).clamp(min=0))


NO_FLOOR = (
    "You left the negative differences in. Where the draft gives too much there is nothing to "
    "make up for: that is 0, not less."
)


def _difference(p, q, k, guess):
    return p[k] - q[k]


@wrong(NO_FLOOR)
def rest_without_a_floor(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=_difference, stretch=False)


@wrong(NO_FLOOR)
def rest_without_a_floor_stretched(p, q, guesses, u, v):
    written = []
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] >= p[k, guess]:
            break
        written.append(guess)
    n = len(written)
    upto = (p[n] - q[n] if n < len(guesses) else p[n]).cumsum(0)
    return [*written, int((upto <= v * upto[-1]).sum())]


@wrong(NO_FLOOR)
def rest_without_a_floor_divided_by_its_sum(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) <= v).sum()

    return _round(p, q, guesses, u, v, left=_difference, draw=draw)


@wrong(
    "You took the size of the difference. Where the draft gives too much nothing is to be added."
)
def rest_without_a_sign(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: (p[k] - q[k]).abs())


@wrong(
    "You took a softmax of the differences. e to the 0 is 1: tokens that are to have no chance "
    "get one. To bring the sum to 1, divide by it."
)
def rest_through_softmax(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return (p[k] - q[k]).clamp(min=0).softmax(0)

    return _round(p, q, guesses, u, v, left=left)


@wrong(
    "You drew from max(p - q, 0) as it is. It sums to less than 1, so most v fall off its end, "
    "onto the last token. Divide by the sum first."
)
def rest_not_scaled_up(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, stretch=False)


@wrong(
    "You drew from max(p - q, 0) as it is. It sums to less than 1, so most v fall off its end, "
    "onto an id that does not exist. Divide by the sum first."
)
def rest_not_scaled_up_and_off_its_end(p, q, guesses, u, v):
    written = []
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] >= p[k, guess]:
            upto = (p[k] - q[k]).clamp(min=0).cumsum(0)
            return [*written, int((upto <= v).sum())]
        written.append(guess)
    upto = p[len(guesses)].cumsum(0)
    return [*written, int((upto <= v * upto[-1]).sum())]


@wrong(
    "Your last token's draw falls off its end, as in exercise 2: where rounding makes the sums "
    "end below v you return V, an id that does not exist. Stretch v to the sums' true end."
)
def draw_falls_off_the_end(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) <= v).sum()

    return _round(p, q, guesses, u, v, draw=draw)


@wrong(
    "Your last token's draw ends on the last id, as in exercise 2: where rounding makes the sums "
    "end below v it is chosen, though it has no chance. Stretch v to the sums' true end."
)
def draw_ends_on_the_last_id(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) <= v).sum().clamp(max=len(law) - 1)

    return _round(p, q, guesses, u, v, draw=draw)


@wrong(
    "Your last token's draw begins again at 0, as in exercise 2: where rounding makes the sums end"
    " below v, the argmax of nothing but zeros is 0. Stretch v to the sums' true end."
)
def draw_begins_again_at_zero(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) > v).int().argmax()

    return _round(p, q, guesses, u, v, draw=draw)


IMPOSSIBLE = (
    "Your last token's draw may choose what has no chance, as in exercise 2: with v = 0 you count "
    "only ends BELOW v, and a piece of length 0 ends where it begins. Count ends at v or below."
)


@wrong(IMPOSSIBLE)
def draw_chooses_the_impossible(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) < v * law.cumsum(0)[-1]).sum()

    return _round(p, q, guesses, u, v, draw=draw)


@wrong(IMPOSSIBLE)
def draw_chooses_the_impossible_or_falls_off(p, q, guesses, u, v):
    def draw(law, v):
        return (law.cumsum(0) < v).sum()

    return _round(p, q, guesses, u, v, draw=draw)


@wrong(
    "You let torch draw the last token, with a number of its own. The law is right; but v is "
    "given, and the same v must give the same token."
)
def draws_on_its_own(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, draw=lambda law, v: torch.multinomial(law, 1))


@wrong(
    "After a refusal you take the token that lacks most. What is missing is a law, and v draws "
    "from it: always the same one would be written too often."
)
def takes_the_most_missing(p, q, guesses, u, v):
    def left(p, q, k, guess):
        missing = p[k] - q[k]
        return torch.zeros_like(missing).index_fill(0, missing.argmax(), 1.0)

    return _round(p, q, guesses, u, v, left=left)


@wrong(
    "After a refusal you compare the draft with the model one place further on. Row k of p and "
    "row k of q are for the same place."
)
def rest_of_the_next_place(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return (p[k + 1] - q[k]).clamp(min=0)

    return _round(p, q, guesses, u, v, left=left)


@wrong(
    "You drew from the difference at the last guess. It is at the first refused one that the "
    "text goes on."
)
def rest_of_the_last_place(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return (p[len(q) - 1] - q[-1]).clamp(min=0)

    return _round(p, q, guesses, u, v, left=left)


@wrong("Your last token is the likeliest, not one that v draws.")
def takes_the_best_of_the_rest(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, greedy=True)


@wrong(
    "Where all guesses were accepted you stop. But p has one row more: the model has said what "
    "comes behind them, and this token costs nothing."
)
def no_bonus(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, bonus="none")


@wrong(
    "Where all guesses were accepted you draw from the row of the last guess. The text is one "
    "token further: the row behind it is the last row of p."
)
def bonus_from_the_guess_s_place(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, bonus="last")


@wrong(
    "After a refusal you write nothing. A round would sometimes yield no token at all, and what"
    " the model would have written is never written."
)
def stops_without_a_word(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, after=lambda written, guess: written)


@wrong("You write the guess that you refused.")
def keeps_what_it_refused(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, after=lambda written, guess: [*written, guess])


def _after_refusals(p, q, guesses, u, v, *, keep=False, on=False, bonus=False):
    """Where the text goes on in a wrong way: the refused guess kept, the guesses behind looked at,
    the free token drawn in any case."""

    def draw(law):
        upto = law.cumsum(0)
        return int((upto <= v * upto[-1]).sum())

    written = []
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] < p[k, guess]:
            written.append(guess)
            continue
        written += [guess] if keep else []
        written.append(draw((p[k] - q[k]).clamp(min=0)))
        if not on:
            return written + ([draw(p[-1])] if bonus else [])
    return written if on and len(written) > len(guesses) else [*written, draw(p[-1])]


@wrong(
    "You write the guess that you refused, and then the token that stands in for it. The refused "
    "one has no place in the text."
)
def keeps_what_it_refused_and_goes_on(p, q, guesses, u, v):
    return _after_refusals(p, q, guesses, u, v, keep=True)


GOES_ON = (
    "After a refusal and its token you go on to the next guesses. They were made for a text with "
    "the refused token in it, and that text is gone: the round ends here."
)


@wrong(GOES_ON)
def puts_right_and_goes_on(p, q, guesses, u, v):
    return _after_refusals(p, q, guesses, u, v, on=True)


@wrong(GOES_ON)
def puts_right_and_goes_on_without_the_free_token(p, q, guesses, u, v):
    *written, free = _after_refusals(p, q, guesses, u, v, on=True)
    return [*written, free] if written == guesses else written


@wrong(
    "After a refusal you drew with the refused guess's own u. That u lies above p / q, or the "
    "guess would have passed, so not every number is possible any more. v is for the draw."
)
def draws_with_the_refused_u(p, q, guesses, u, v):
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] >= p[k, guess]:
            return _round(p, q, guesses, u, u[k])
    return _round(p, q, guesses, u, v)


@wrong(
    "You draw the free token after a refusal too. The last row of p is for the place behind ALL "
    "guesses, and the text never came there."
)
def bonus_in_any_case(p, q, guesses, u, v):
    return _after_refusals(p, q, guesses, u, v, bonus=True)


@wrong(
    "After a refusal you look at the guesses behind it. They were made for a text that has the "
    "refused token in it: that text is gone."
)
def goes_on_after_a_refusal(p, q, guesses, u, v):
    written, law = [], p[len(guesses)]
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] < p[k, guess]:
            written.append(guess)
        else:
            law = (p[k] - q[k]).clamp(min=0)
    upto = law.cumsum(0)
    return [*written, int((upto <= v * upto[-1]).sum())]


@wrong(
    "The tokens are right, but the last one is a tensor. A list of ids is asked for, and ids are "
    "ints: `int(...)` or `.item()`."
)
def last_one_is_a_tensor(p, q, guesses, u, v):
    *written, last = _round(p, q, guesses, u, v)
    return [*written, torch.tensor(last)]


@wrong(
    "You drew from max(p - q, 0) as it is. It sums to less than 1, so most v fall off its end, and "
    "the last token that has a chance gets them all. Divide by the sum first."
)
def rest_not_scaled_up_onto_the_last_possible(p, q, guesses, u, v):
    def draw(law):
        possible = law.nonzero()[:, 0]
        above = possible[law.cumsum(0)[possible] > v]
        return int(above[0] if len(above) else possible[-1])

    written = []
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] >= p[k, guess]:
            return [*written, draw((p[k] - q[k]).clamp(min=0))]
        written.append(guess)
    return [*written, draw(p[len(guesses)])]


EXERCISE = Exercise(
    name="speculative_round",
    title="A round of speculation",
    points=5,
    minutes=30,
    answer=speculative_round,
    reference=_round_reference,
    probes=_round_probes,
    misconceptions=wrong.all,
    hints=(
        "Two kinds of token. What the draft gives too often must be refused now and then; what "
        "it gives too rarely must be made up for, and the refusals are the occasion.",
        "Go through the guesses. Accept while u < p / q. At the first refusal stop, and draw one "
        "token from max(p - q, 0) of that place. No refusal: draw it from the last row of p.",
        "`for … else` fits: `else` runs where no `break` came. u q < p spares you a division by "
        "0. The draw is exercise 2's: lay the pieces end to end, stretch v to their length.",
    ),
)
