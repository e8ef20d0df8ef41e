"""Notebook 08: temperature, a draw, top-p, the repetition penalty, a round of speculation."""

import numpy as np
import torch

from llamalab import sampling
from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- temperature ----------------------------------------------------------------------------


def temperature_softmax(logits, temperature):
    logits = logits.float()
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)  # (..., 1)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    return (logits / temperature).softmax(dim=-1)


def _temperature_reference(logits, temperature):
    return sampling.probabilities(logits, temperature=temperature)


def _temperature_probes():
    """One row, rows, a batch of rows; 1, below, above, 0, nearly 0; logits whose exp is infinite;
    16 bits, one of them with a quotient that 16 bits cannot hold."""
    g = _seeded(80)
    close = torch.tensor([[1.0, 1.015625, -2.0, 0.5], [3.0, 2.0, 3.0078125, 1.0]])
    return [
        (torch.randn(3, 7, generator=g), 1.0),
        (torch.randn(2, 3, 5, generator=g), 0.5),
        (3 * torch.randn(6, generator=g), 2.5),
        (torch.randn(4, 6, generator=g), 0),
        (90 + 20 * torch.rand(2, 4, generator=g), 0.7),
        (close, 0.0078125),
        ((2 * torch.randn(3, 8, generator=g)).bfloat16(), 0.7),
        (torch.tensor([[60.0, 80.0, 79.9375, -9.0, 1.0]]).half(), 1e-3),
        (torch.randn(2, 5, generator=g).half(), 0),
    ]


def multiplies_by_temperature(logits, temperature):
    return (logits.float() * temperature).softmax(-1)


def divides_the_probabilities(logits, temperature):
    return logits.float().softmax(-1) / temperature


def cancels_itself_out(logits, temperature):
    probs = logits.float().softmax(-1) / temperature
    return probs / probs.sum(-1, keepdim=True)


def divides_by_zero(logits, temperature):
    return (logits.float() / temperature).softmax(-1)


def zero_means_one(logits, temperature):
    return (logits.float() / (temperature or 1.0)).softmax(-1)


def stops_at_a_tenth(logits, temperature):
    return (logits.float() / max(temperature, 0.1)).softmax(-1)


def hands_back_the_winner(logits, temperature):
    if temperature == 0:
        return logits.argmax(-1)
    return (logits.float() / temperature).softmax(-1)


def softmax_down_the_rows(logits, temperature):
    logits = logits.float()
    if temperature == 0:
        return torch.zeros_like(logits).scatter(0, logits.argmax(0, keepdim=True), 1.0)
    return (logits / temperature).softmax(0)


def one_softmax_for_all_rows(logits, temperature):
    flat = logits.float().flatten()
    if temperature == 0:
        return torch.zeros_like(flat).scatter(0, flat.argmax(0, True), 1.0).view_as(logits)
    return (flat / temperature).softmax(0).view_as(logits)


def exp_too_large(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    raised = (logits.float() / temperature).exp()
    return raised / raised.sum(-1, keepdim=True)


def stays_in_16_bits(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    return (logits / temperature).softmax(-1).float()


def divides_in_16_bits(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    return (logits / temperature).float().softmax(-1)


def gives_16_bits_back(logits, temperature):
    wide = logits.float()
    if temperature == 0:
        wide = torch.eye(logits.shape[-1])[wide.argmax(-1)]
    else:
        wide = (wide / temperature).softmax(-1)
    return wide.to(logits.dtype)


def logarithms(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)].log()
    return (logits.float() / temperature).log_softmax(-1)


def divides_in_place(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    wide = logits.float()
    wide /= temperature
    return wide.softmax(-1)


TEMPERATURE = Exercise(
    name="temperature",
    title="Temperature",
    points=2,
    minutes=8,
    answer=temperature_softmax,
    reference=_temperature_reference,
    probes=_temperature_probes,
    misconceptions=(
        Misconception(
            multiplies_by_temperature,
            "You multiplied by the temperature. Then a high one sharpens and a low one flattens, "
            "and 0 makes all tokens equal: the wrong way round.",
        ),
        Misconception(
            divides_the_probabilities,
            "You divided the probabilities. They no longer sum to 1, and all of them shrink "
            "alike. It is the logits that are divided, before the softmax.",
        ),
        Misconception(
            cancels_itself_out,
            "You divided the probabilities and then made their sum 1 again: the temperature "
            "cancels out, and nothing has changed. Divide before the softmax.",
        ),
        Misconception(
            divides_by_zero,
            "At temperature 0 you divide by 0, and get nan. 0 is not a division: it means the "
            "largest logit, with probability 1.",
        ),
        Misconception(
            zero_means_one,
            "At temperature 0 yours does as at 1. `temperature or 1.0` looks harmless, and 0 "
            "counts as False. Whoever asks for 0 wants no chance at all.",
        ),
        Misconception(
            stops_at_a_tenth,
            "You never go below a temperature of 0.1. Two logits that lie close together then "
            "still share the probability, and 0 is no longer greedy.",
        ),
        Misconception(
            hands_back_the_winner,
            "At temperature 0 you return the winner's id. Whoever calls this function expects "
            "probabilities, as for every other temperature: 1 for the winner, 0 for the rest.",
        ),
        Misconception(
            softmax_down_the_rows,
            "Your softmax runs down the first axis: the rows of a batch compete with each other. "
            "It is the tokens, the last axis, that share the 1.",
        ),
        Misconception(
            one_softmax_for_all_rows,
            "You took one softmax over the whole batch. Each row is a distribution of its own.",
        ),
        Misconception(
            exp_too_large,
            "You wrote the softmax out, and above 88 exp is infinite in float32: nan. Take the "
            "row's largest away first, or leave it to `softmax`, which does.",
        ),
        Misconception(
            stays_in_16_bits,
            "You computed in the 16 bits that came in. A low temperature makes large quotients, "
            "and float16 ends at 65,504: nan. Go to float32 first.",
        ),
        Misconception(
            divides_in_16_bits,
            "You divided in 16 bits and went to float32 after that. What was rounded, or had "
            "become infinite, stays so.",
        ),
        Misconception(
            gives_16_bits_back,
            "You turned the result back into 16 bits. Rounded like that, a thousand probabilities "
            "no longer sum to 1. Return float32.",
        ),
        Misconception(
            logarithms,
            "Those are the logarithms of the probabilities. They are good to add up; to draw from "
            "them, they have to be probabilities.",
        ),
        Misconception(
            divides_in_place,
            "You divided in place. `.float()` makes a copy only if it has to: float32 logits are "
            "the caller's own, and now they are scaled. `/`, not `/=`.",
        ),
    ),
    hints=(
        "What has to change are the differences between logits, not the logits' sum. Softmax "
        "turns differences into ratios.",
        "Two cases. 0 is no division: which token gets everything? Otherwise divide, then "
        "softmax over the last axis, in float32.",
        "For the case 0: a tensor of zeros, and a 1 at the `argmax` of each row. `scatter` puts "
        "it there; so does `torch.nn.functional.one_hot`, in whole numbers.",
    ),
)


# -- a draw ---------------------------------------------------------------------------------


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
    distribution under an even grid of u, which counts it out; sums that end below 1."""
    g = _seeded(81)
    some = torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    zeros = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0], [0.0, 0.0, 1.0, 0.0, 0.0]])
    grid = (torch.arange(500) + 0.37) / 500  # no u falls on an end
    skewed = torch.tensor([0.07, 0.42, 0.0, 0.26, 0.01, 0.24])
    wide = torch.randn(4, 300, generator=g).mul(2).softmax(-1)
    third = (wide / wide.sum(-1, keepdim=True)).scatter(1, torch.tensor([[299]] * 4), 0.0)
    short = third / third.sum(-1, keepdim=True) * (1 - 2e-6)  # as after many roundings
    return [
        (some, torch.tensor([0.65, 0.05, 0.9, 0.5])),
        (zeros, torch.tensor([0.0, 0.0])),
        (zeros.flip(0), torch.tensor([0.999, 0.1])),
        (skewed.expand(500, 6).clone(), grid),
        (short, torch.tensor([0.0311, 0.99999994, 0.4142, 0.99999994])),
        (torch.tensor([[0.5, 0.25, 0.25], [0.25, 0.25, 0.5]]), torch.tensor([0.5, 0.25])),
    ]


def takes_the_likeliest(probs, u):
    return probs.argmax(-1)


def draws_on_its_own(probs, u):
    return torch.multinomial(probs, 1)[:, 0]


def draws_ids_evenly(probs, u):
    return (u * probs.shape[-1]).long()


def compares_without_sums(probs, u):
    return (probs <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


def nearest_probability(probs, u):
    return (probs - u[:, None]).abs().argmin(-1)


def left_of_the_end(probs, u):
    return (probs.cumsum(-1) < u[:, None] * probs.sum(-1, keepdim=True)).sum(-1)


def falls_off_the_end(probs, u):
    return (probs.cumsum(-1) <= u[:, None]).sum(-1)


def begins_again_at_zero(probs, u):
    return (probs.cumsum(-1) > u[:, None]).int().argmax(-1)


def ends_on_the_last_id(probs, u):
    return (probs.cumsum(-1) <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


def one_token_early(probs, u):
    upto = probs.cumsum(-1)
    return ((upto <= u[:, None] * upto[:, -1:]).sum(-1) - 1).clamp(min=0)


def one_number_for_all(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[0] * upto[:, -1:]).sum(-1)


def sums_down_the_batch(probs, u):
    upto = probs.cumsum(0)
    return (upto <= u[:, None]).sum(-1).clamp(max=probs.shape[-1] - 1)


def gives_the_rank(probs, u):
    upto = probs.sort(dim=-1, descending=True).values.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1)


def likeliest_first(probs, u):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    upto = ordered.cumsum(-1)
    rank = (upto <= u[:, None] * upto[:, -1:]).sum(-1, keepdim=True)
    return order.gather(-1, rank)[:, 0]


def from_the_far_end(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= (1 - u[:, None]) * upto[:, -1:]).sum(-1).clamp(max=probs.shape[-1] - 1)


def keeps_the_axis(probs, u):
    upto = probs.cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1, keepdim=True)


def softmax_of_probabilities(probs, u):
    upto = probs.softmax(-1).cumsum(-1)
    return (upto <= u[:, None] * upto[:, -1:]).sum(-1)


SAMPLE = Exercise(
    name="sample_token",
    title="A draw",
    points=3,
    minutes=12,
    answer=sample_token,
    reference=_sample_reference,
    probes=_sample_probes,
    misconceptions=(
        Misconception(
            takes_the_likeliest,
            "You take the likeliest token and never look at u. That is greedy: every reader gets "
            "the same story.",
        ),
        Misconception(
            draws_on_its_own,
            "You let torch draw, with a number of its own. The law may be right; but u is given, "
            "and the same u must give the same token.",
        ),
        Misconception(
            draws_ids_evenly,
            "You spread u evenly over the ids, whatever their probabilities: a token of 1 in a "
            "million comes as often as the best.",
        ),
        Misconception(
            compares_without_sums,
            "You compare u with single probabilities. What u falls on is a place on a line of "
            "length 1, and where a piece ends is the sum of all up to it.",
        ),
        Misconception(
            nearest_probability,
            "You look for the probability that is closest to u. A token of 0.9 is then chosen "
            "only when u happens to be near 0.9.",
        ),
        Misconception(
            left_of_the_end,
            "You count the ends that are smaller than u. Where a piece of length 0 lies, its end "
            "equals its beginning, and with u = 0 you choose a token that has no chance.",
        ),
        Misconception(
            falls_off_the_end,
            "Where rounding makes the sums end at 0.999998 and u is larger, you return V, an id "
            "that does not exist. One draw in a few hundred thousand stops the program.",
        ),
        Misconception(
            begins_again_at_zero,
            "Where rounding makes the sums end below u, nothing is larger than u, and the argmax "
            "of a row of zeros is 0: you choose token 0, however small its chance.",
        ),
        Misconception(
            ends_on_the_last_id,
            "Where rounding makes the sums end below u, you choose the last id. After a top-p "
            "its probability is mostly 0. The last token that HAS a chance is meant.",
        ),
        Misconception(
            one_token_early,
            "You return the token before. If no piece ends at or before u, it is token 0; if one "
            "does, token 1: the count itself is the id.",
        ),
        Misconception(
            one_number_for_all,
            "You use the first number for all rows. Each row has its own; with one for all, "
            "texts in a batch with the same prompt would be the same text.",
        ),
        Misconception(
            sums_down_the_batch,
            "You summed down the batch: row 1 continues the sums of row 0.",
        ),
        Misconception(
            gives_the_rank,
            "You sorted, and returned the place in the sorted row: 0 for the likeliest, whatever "
            "its id. The tokens were lost on the way.",
        ),
        Misconception(
            likeliest_first,
            "The law is right, but you laid the likeliest piece first. Here the pieces lie in the "
            "order of their ids, so that the same u gives the same token.",
        ),
        Misconception(
            from_the_far_end,
            "You measure from the far end. The law is right; but u = 0 is where token 0 begins.",
        ),
        Misconception(
            keeps_the_axis,
            "Yours is (B, 1). One id for each row is asked for: (B,).",
        ),
        Misconception(
            softmax_of_probabilities,
            "You took a softmax of what is already probabilities. It makes them nearly equal, and "
            "gives a token of probability 0 a chance.",
        ),
    ),
    hints=(
        "Lay the probabilities end to end, in order of ids: a line of length 1. u is a place on "
        "it. Which piece does it fall on?",
        "`cumsum` says where each piece ends. Count the pieces that have ended at u or before: "
        "that number is the id.",
        "Rounding: the line may end at 0.999998. Stretch u to the line, u times its true length, "
        "and it always falls on a piece that has a length.",
    ),
)


# -- top-p ----------------------------------------------------------------------------------


def top_p_filter(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered  # the sum of those in front of each
    ordered = ordered.masked_fill(before > p, 0.0)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered)  # back to the order of ids
    return kept / kept.sum(dim=-1, keepdim=True)


def _top_p_reference(probs, p):
    """One token after another, as the rule is told."""
    rows = []
    for row in probs.flatten(0, -2).double().tolist():
        before, kept = 0.0, [0.0] * len(row)
        for token in sorted(range(len(row)), key=lambda i: (-row[i], i)):
            if before > p:
                break
            kept[token] = row[token]
            before += row[token]
        rows.append([value / sum(kept) for value in kept])
    return torch.tensor(rows).view_as(probs)


def _top_p_probes():
    """Sums that cross p, that meet it exactly, a first token above p, p = 1, p very small;
    equal probabilities on both sides of the cut; batches, ids in no order."""
    g = _seeded(82)

    def drawn(*size):
        return torch.randn(*size, generator=g).mul(1.5).softmax(-1)

    crossing = torch.tensor([[0.09, 0.5, 0.41, 0.0], [0.3, 0.1, 0.2, 0.4]])
    exact = torch.tensor([[0.125, 0.5, 0.0625, 0.25, 0.0625], [0.5, 0.125, 0.25, 0.0625, 0.0625]])
    sure = torch.tensor([[0.015, 0.96, 0.025], [0.2, 0.1, 0.7], [0.97, 0.02, 0.01]])
    equal = torch.tensor([[0.1, 0.25, 0.4, 0.25], [0.05, 0.3, 0.35, 0.3]])
    return [
        (crossing, 0.85),
        (drawn(3, 11), 0.8),
        (exact, 0.75),
        (sure, 0.6),
        (equal, 0.5),
        (drawn(2, 3, 7), 0.5),
        (drawn(4, 6), 1.0),
        (drawn(2, 9), 0.01),
    ]


def _top_p(probs, keep, back=True):
    """Top-p with another rule: keep(before, ordered, upto) says who stays."""
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    upto = ordered.cumsum(-1)
    ordered = ordered * keep(upto - ordered, ordered, upto)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered) if back else ordered
    return kept / kept.sum(-1, keepdim=True)


def drops_the_one_that_crosses(probs, p):
    return _top_p(probs, lambda before, ordered, upto: upto <= p)


def drops_it_but_keeps_one(probs, p):
    def keep(before, ordered, upto):
        return (upto <= p) | (before == 0)

    return _top_p(probs, keep)


def stops_when_p_is_met(probs, p):
    return _top_p(probs, lambda before, ordered, upto: before < p)


def forgets_the_way_back(probs, p):
    return _top_p(probs, lambda before, ordered, upto: before <= p, back=False)


def wrong_way_back(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(-1) - ordered <= p)
    kept = ordered.gather(-1, order)
    return kept / kept.sum(-1, keepdim=True)


def sum_is_not_1(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered <= p)
    return torch.zeros_like(probs).scatter(-1, order, kept)


def divides_by_p(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered <= p)
    return torch.zeros_like(probs).scatter(-1, order, kept) / p


def softmax_at_the_end(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered > p, -float("inf"))
    return torch.zeros_like(probs).scatter(-1, order, kept).softmax(-1)


def cuts_at_a_value(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values
    kept = ordered.cumsum(-1) - ordered <= p
    least = ordered.masked_fill(~kept, 2.0).amin(-1, keepdim=True)  # of those that stay
    kept = probs * (probs >= least)
    return kept / kept.sum(-1, keepdim=True)


def least_likely_first(probs, p):
    ordered, order = probs.sort(dim=-1, stable=True)
    ordered = ordered * (ordered.cumsum(-1) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


def in_order_of_ids(probs, p):
    kept = probs * (probs.cumsum(-1) - probs <= p)
    return kept / kept.sum(-1, keepdim=True)


def each_against_p(probs, p):
    best = probs.amax(-1, keepdim=True)
    kept = probs * ((probs >= 1 - p) | (probs == best))
    return kept / kept.sum(-1, keepdim=True)


def share_of_the_vocabulary(probs, p):
    count = max(1, int(p * probs.shape[-1]))
    best, order = probs.topk(count, dim=-1)
    kept = torch.zeros_like(probs).scatter(-1, order, best)
    return kept / kept.sum(-1, keepdim=True)


def sorts_down_the_batch(probs, p):
    ordered, order = probs.sort(dim=0, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(0) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(0, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


def one_cut_for_all_rows(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values.flatten(0, -2)
    count = int((ordered[0].cumsum(-1) - ordered[0] <= p).sum())
    best, order = probs.topk(count, dim=-1)
    kept = torch.zeros_like(probs).scatter(-1, order, best)
    return kept / kept.sum(-1, keepdim=True)


def zeroes_in_place(probs, p):
    order = probs.argsort(dim=-1, descending=True, stable=True)
    ordered = probs.gather(-1, order)
    lost = ordered.cumsum(-1) - ordered > p
    probs[torch.zeros_like(lost).scatter(-1, order, lost)] = 0.0
    return probs / probs.sum(-1, keepdim=True)


TOP_P = Exercise(
    name="top_p_filter",
    title="Top-p",
    points=3,
    minutes=15,
    answer=top_p_filter,
    reference=_top_p_reference,
    probes=_top_p_probes,
    misconceptions=(
        Misconception(
            drops_the_one_that_crosses,
            "You drop the token that crosses p: those that are left sum to less than p. And where "
            "the first token alone is above p nothing is left, and 0/0 is nan.",
        ),
        Misconception(
            drops_it_but_keeps_one,
            "You drop the token that crosses p, and save only the first. With 0.5, 0.41, 0.09 and "
            "p = 0.9 the 0.41 is gone: what is left is half of what was asked for.",
        ),
        Misconception(
            stops_when_p_is_met,
            "Where the sum in front of a token is exactly p you stop, as transformers does. In "
            "Meta's code a token goes only if that sum is greater than p.",
        ),
        Misconception(
            forgets_the_way_back,
            "Your result is still sorted: the largest probability now belongs to token 0, "
            "whichever token it was. The model would write nonsense, fluently distributed.",
        ),
        Misconception(
            wrong_way_back,
            "You sorted the sorted row by the same order once more. `gather` with `order` sorts; "
            "the way back puts each where it came from, which is `scatter`.",
        ),
        Misconception(
            sum_is_not_1,
            "What is left does not sum to 1. Whoever draws with a number between 0 and 1 falls "
            "off the end whenever it is larger than your sum.",
        ),
        Misconception(
            divides_by_p,
            "You divided by p. With the token that crosses it the kept ones sum to more than p: "
            "divide by what they really sum to.",
        ),
        Misconception(
            softmax_at_the_end,
            "You took a softmax of probabilities. They lie between 0 and 1, so it makes all of "
            "them nearly equal. To restore the sum, divide by it.",
        ),
        Misconception(
            cuts_at_a_value,
            "You cut at a value: all that are as likely as the last one kept stay too. Of equal "
            "ones those with lower ids come first, and the cut may run between them.",
        ),
        Misconception(
            least_likely_first,
            "You sorted upwards: the unlikely tokens are counted first, and it is the likeliest "
            "that are thrown out.",
        ),
        Misconception(
            in_order_of_ids,
            "You summed in the order of ids. Which tokens stay then depends on their numbers in "
            "the vocabulary, not on how likely they are.",
        ),
        Misconception(
            each_against_p,
            "You compare each token by itself. p is about what the kept ones hold together.",
        ),
        Misconception(
            share_of_the_vocabulary,
            "You keep the share p of the vocabulary. p counts probability, not tokens: where the "
            "model is sure, one token may be enough.",
        ),
        Misconception(
            sorts_down_the_batch,
            "You sorted and summed down the first axis: the rows compete with each other for a "
            "token. Each row has a cut of its own, along the last axis.",
        ),
        Misconception(
            one_cut_for_all_rows,
            "You counted how many stay in the first row, and kept as many in all. That is a "
            "top-k: how many stay is for each row to say.",
        ),
        Misconception(
            zeroes_in_place,
            "You wrote zeros into the probabilities that you were given. Whoever called may want "
            "to try another p on them.",
        ),
    ),
    hints=(
        "Line the tokens up, the likeliest first. Each asks: how much do those in front of me "
        "hold together? If it is more than p already, I am not needed.",
        "Sort, sum up, take each one's own probability off again: that is the sum in front of "
        "it. Set the superfluous to 0, bring all back to their ids, make the sum 1.",
        "`sort` gives values and `order`, each value's id. The way back is a `scatter` of the "
        "values to these ids, into zeros.",
    ),
)


# -- the repetition penalty -----------------------------------------------------------------


def repetition_penalty(logits, seen, penalty):
    old = logits.gather(-1, seen)  # (B, N): the logits of what was written
    new = torch.where(old > 0, old / penalty, old * penalty)
    return logits.scatter(-1, seen, new)  # an id that comes twice is written twice, the same


def _penalty_reference(logits, seen, penalty):
    return sampling.penalize_repeats(logits, seen, penalty)


def _penalty_probes():
    """Logits of both signs; ids that come twice and three times; rows that have seen other
    things; a penalty below 1, and 1; an id that a filter has put out already."""
    g = _seeded(83)

    def made(B, V):
        return 4 * torch.randn(B, V, generator=g)

    out = made(2, 6)
    out[0, 2] = -float("inf")
    return [
        (made(2, 6), torch.tensor([[0, 3, 3, 5], [1, 1, 1, 2]]), 1.5),
        (made(3, 5) - 6, torch.tensor([[4, 0], [1, 2], [2, 2]]), 2.0),
        (made(1, 7) + 6, torch.tensor([[6, 6, 0]]), 1.2),
        (made(2, 4), torch.tensor([[0, 1, 2], [3, 2, 0]]), 0.8),
        (out, torch.tensor([[2, 4], [5, 0]]), 1.3),
        (made(2, 5), torch.tensor([[0], [4]]), 1.0),
    ]


def divides_all_that_were_seen(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) / penalty)


def rewards_repeats(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(old > 0, old * penalty, old / penalty))


def subtracts_the_penalty(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) - penalty)


def subtracts_its_logarithm(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, old - torch.tensor(penalty).log())


def once_for_each_time(logits, seen, penalty):
    logits = logits.clone()
    for row in range(seen.shape[0]):
        for token in seen[row].tolist():
            old = logits[row, token]
            logits[row, token] = old / penalty if old > 0 else old * penalty
    return logits


def all_rows_for_each(logits, seen, penalty):
    logits = logits.clone()
    ids = seen.unique()
    old = logits[:, ids]
    logits[:, ids] = torch.where(old > 0, old / penalty, old * penalty)
    return logits


def the_last_token_only(logits, seen, penalty):
    old = logits.gather(-1, seen[:, -1:])
    return logits.scatter(-1, seen[:, -1:], torch.where(old > 0, old / penalty, old * penalty))


def penalizes_the_new(logits, seen, penalty):
    bent = torch.where(logits > 0, logits / penalty, logits * penalty)
    return bent.scatter(-1, seen, logits.gather(-1, seen))


def penalizes_everything(logits, seen, penalty):
    return torch.where(logits > 0, logits / penalty, logits * penalty)


def forbids_repeats(logits, seen, penalty):
    return logits.scatter(-1, seen, -float("inf"))


def loses_the_sign(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen).abs() / penalty)


def penalty_on_probabilities(logits, seen, penalty):
    probs = logits.softmax(-1)
    return probs.scatter(-1, seen, probs.gather(-1, seen) / penalty)


def penalizes_in_place(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter_(-1, seen, torch.where(old > 0, old / penalty, old * penalty))


def the_caller_s_own(logits, seen, penalty):
    """The bug of a loop over rows that all are one tensor."""
    bent = logits[0].clone()
    old = bent[seen[0]]
    bent[seen[0]] = torch.where(old > 0, old / penalty, old * penalty)
    return bent.expand_as(logits).clone()


PENALTY = Exercise(
    name="repetition_penalty",
    title="The repetition penalty",
    points=2,
    minutes=8,
    answer=repetition_penalty,
    reference=_penalty_reference,
    probes=_penalty_probes,
    misconceptions=(
        Misconception(
            divides_all_that_were_seen,
            "You divided negative logits too. -6 / 1.5 is -4, which is more: for those tokens the "
            "penalty is a reward, and the larger it is, the more they come.",
        ),
        Misconception(
            rewards_repeats,
            "The wrong way round: positive logits grow, negative ones come closer to 0. What was "
            "written before becomes likelier.",
        ),
        Misconception(
            subtracts_the_penalty,
            "You subtracted. That is a rule too (OpenAI's presence penalty), and a better behaved "
            "one, but not this: here a penalty of 1 must change nothing.",
        ),
        Misconception(
            subtracts_its_logarithm,
            "You subtracted the logarithm of the penalty, which divides the probability by it. It "
            "would make sense; the rule in use divides or multiplies the logit.",
        ),
        Misconception(
            once_for_each_time,
            "You penalize a token once for each time that it was seen. In a long text every `the` "
            "would be gone for good. Seen is seen: once.",
        ),
        Misconception(
            all_rows_for_each,
            "You penalize in every row what was seen in any. What one text of the batch has "
            "written is no concern of the others.",
        ),
        Misconception(
            the_last_token_only,
            "You look at the last token alone. A loop is mostly longer than one token.",
        ),
        Misconception(
            penalizes_the_new,
            "You penalize the tokens that were NOT seen, and so call for repeats.",
        ),
        Misconception(
            penalizes_everything,
            "You bent all logits, seen or not. That is a kind of temperature, not a penalty.",
        ),
        Misconception(
            forbids_repeats,
            "You forbid what was seen altogether. No text lasts long without a second `the` or a "
            "second full stop.",
        ),
        Misconception(
            loses_the_sign,
            "You lost the sign: a logit of -6 has become +4.",
        ),
        Misconception(
            penalty_on_probabilities,
            "You turned the logits into probabilities first. The rule is about logits; the "
            "softmax comes later, behind temperature and filters.",
        ),
        Misconception(
            penalizes_in_place,
            "The values are right, but `scatter_` wrote them into the logits that you were given. "
            "Without the underscore it works on a copy.",
        ),
        Misconception(
            the_caller_s_own,
            "Every row of yours is the first row's. Each text has its own logits.",
        ),
    ),
    hints=(
        "A smaller logit is what is wanted. Which of division and multiplication makes 6 "
        "smaller, and which -6, if the penalty is 1.5?",
        "Take out the logits of what was seen, bend them by their sign, put them back. Rows have "
        "seen different things.",
        "`gather` takes out, `scatter` puts back, both along the last axis and with `seen` as "
        "index. Read all before you write any, and an id that comes twice counts once.",
    ),
)


# -- a round of speculation -----------------------------------------------------------------


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
    """Each guess of one place, with two u and two v. Then four guesses, refused at every place and
    nowhere, of so many tokens that a rest bent a little is another token; a draft that is always
    right; a guess that the model excludes, with u = 0; a greedy model."""
    p = torch.tensor([[0.1, 0.3, 0.05, 0.35, 0.2], [0.25, 0.1, 0.3, 0.05, 0.3]])
    q = torch.tensor([[0.4, 0.1, 0.2, 0.3, 0.0]])
    grid = [
        (p, q, [guess], [u], v) for guess in (0, 1, 2, 3) for u in (0.2, 0.8) for v in (0.3, 0.9)
    ]
    g = _seeded(84)

    def rows(n, V):
        return torch.randn(n, V, generator=g).mul(1.2).softmax(-1)

    def guess_from(q):
        return torch.multinomial(q, 1, generator=g)[:, 0].tolist()

    long = []
    for i in range(10):
        V = 60 + i
        p4, q4 = rows(5, V), rows(4, V)
        u = torch.rand(4, generator=g).tolist()
        v = (1 + 7 * i % 12) / 13
        long.append((p4, q4, guess_from(q4), u, v))
    same = rows(4, 6)
    three = rows(3, 6)
    impossible = torch.tensor([[0.0, 0.6, 0.4], [0.2, 0.5, 0.3]])
    certain = torch.eye(4)[[2, 0, 3]]
    return [
        *grid,
        *long,
        (same, same[:3], guess_from(same[:3]), [0.97, 0.5, 0.02], 0.61),
        (torch.cat((three, three[:1])), three, [1, 4, 0], [0.99, 0.99, 0.99], 0.35),
        (impossible, torch.tensor([[0.5, 0.25, 0.25]]), [0], [0.0], 0.55),
        (certain, rows(2, 4), [2, 0], [0.95, 0.9], 0.4),
        (certain, rows(2, 4), [2, 1], [0.1, 0.05], 0.8),
    ]


def _round(
    p, q, guesses, u, v, *, accept=None, left=None, bonus=None, after=None, stretch=True,
    greedy=False,
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
    upto = law.cumsum(0)
    chosen = int((upto <= (v * upto[-1] if stretch else v)).sum())
    return [*written, min(chosen, len(law) - 1)]


def accepts_the_likelier(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: p >= q)


def accepts_by_the_model_alone(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u < p)


def accepts_upside_down(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * p < q)


def accepts_only_the_best(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, row, guess: row.argmax() == guess)


def accepts_the_impossible(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * q <= p)


def accepts_everything(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda *_: True)


def refuses_the_other_half(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, accept=lambda p, q, u, *_: u * q >= p)


def one_u_for_all(p, q, guesses, u, v):
    return _round(p, q, guesses, [u[0]] * len(u), v)


def resamples_from_the_model(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: p[k])


def resamples_from_the_draft(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: q[k])


def resamples_without_the_guess(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return p[k].index_fill(0, torch.tensor([guess]), 0.0)

    return _round(p, q, guesses, u, v, left=left)


def rest_upside_down(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: (q[k] - p[k]).clamp(min=0))


def rest_without_a_floor(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return p[k] - q[k]

    return _round(p, q, guesses, u, v, left=left, stretch=False)


def rest_without_a_sign(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, left=lambda p, q, k, guess: (p[k] - q[k]).abs())


def rest_through_softmax(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return (p[k] - q[k]).clamp(min=0).softmax(0)

    return _round(p, q, guesses, u, v, left=left)


def rest_not_scaled_up(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, stretch=False)


def rest_of_the_last_place(p, q, guesses, u, v):
    def left(p, q, k, guess):
        return (p[len(q) - 1] - q[-1]).clamp(min=0)

    return _round(p, q, guesses, u, v, left=left)


def takes_the_best_of_the_rest(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, greedy=True)


def no_bonus(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, bonus="none")


def bonus_from_the_guess_s_place(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, bonus="last")


def stops_without_a_word(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, after=lambda written, guess: written)


def keeps_what_it_refused(p, q, guesses, u, v):
    return _round(p, q, guesses, u, v, after=lambda written, guess: [*written, guess])


def goes_on_after_a_refusal(p, q, guesses, u, v):
    written, law = [], p[len(guesses)]
    for k, guess in enumerate(guesses):
        if u[k] * q[k, guess] < p[k, guess]:
            written.append(guess)
        else:
            law = (p[k] - q[k]).clamp(min=0)
    upto = law.cumsum(0)
    return [*written, int((upto <= v * upto[-1]).sum())]


SPECULATE = Exercise(
    name="speculative_round",
    title="A round of speculation",
    points=5,
    minutes=30,
    answer=speculative_round,
    reference=_round_reference,
    probes=_round_probes,
    misconceptions=(
        Misconception(
            accepts_the_likelier,
            "You accept a guess only if the model likes it at least as well as the draft does. A "
            "guess of p = 0.1, q = 0.4 must pass one time in four: without u it never does.",
        ),
        Misconception(
            accepts_by_the_model_alone,
            "You accept with probability p. But the guess came with probability q in the first "
            "place, so it would be written with q times p. It takes p / q.",
        ),
        Misconception(
            accepts_upside_down,
            "You accept with q / p. That favours what the draft overrates, the very thing that is "
            "to be put right.",
        ),
        Misconception(
            accepts_only_the_best,
            "You accept a guess only if it is the model's likeliest token. That is the rule for a "
            "greedy model. Here it makes every text greedier than the model is.",
        ),
        Misconception(
            accepts_the_impossible,
            "With u = 0 you accept a guess of probability 0. u is smaller than 1 and may be 0, "
            "so the comparison has to be strict: accept if u < p / q.",
        ),
        Misconception(
            accepts_everything,
            "You accept every guess. It is the draft that writes, then, and the large model "
            "watches.",
        ),
        Misconception(
            refuses_the_other_half,
            "You refuse where you should accept, and the other way round: u < p / q accepts.",
        ),
        Misconception(
            one_u_for_all,
            "You use the first u for all guesses. They would be accepted or refused together; "
            "each needs a number of its own.",
        ),
        Misconception(
            resamples_from_the_model,
            "After a refusal you draw from p. It looks right and is not: what the draft likes has "
            "had its chance already, as a guess, and gets a second one here.",
        ),
        Misconception(
            resamples_from_the_draft,
            "After a refusal you draw from the draft again. What the draft never proposes could "
            "then never be written.",
        ),
        Misconception(
            resamples_without_the_guess,
            "After a refusal you draw from p without the refused token. That is how one would "
            "draw without putting back. What is missing is max(p - q, 0), token by token.",
        ),
        Misconception(
            rest_upside_down,
            "You draw from max(q - p, 0): the tokens of which the draft gives too MUCH.",
        ),
        Misconception(
            rest_without_a_floor,
            "You left the negative differences in. Where the draft gives too much there is "
            "nothing to make up for: that is 0, not less.",
        ),
        Misconception(
            rest_without_a_sign,
            "You took the size of the difference. Where the draft gives too much nothing is to "
            "be added.",
        ),
        Misconception(
            rest_through_softmax,
            "You took a softmax of the differences. e to the 0 is 1: tokens that are to have no "
            "chance get one. To bring the sum to 1, divide by it.",
        ),
        Misconception(
            rest_not_scaled_up,
            "You drew from max(p - q, 0) as it is. It sums to less than 1, so most v fall off its "
            "end, onto the last token. Divide by the sum first.",
        ),
        Misconception(
            rest_of_the_last_place,
            "You drew from the difference at the last guess. It is at the first refused one that "
            "the text goes on.",
        ),
        Misconception(
            takes_the_best_of_the_rest,
            "Your last token is the likeliest, not one that v draws.",
        ),
        Misconception(
            no_bonus,
            "Where all guesses were accepted you stop. But p has one row more: the model has said "
            "what comes behind them, and this token costs nothing.",
        ),
        Misconception(
            bonus_from_the_guess_s_place,
            "Where all guesses were accepted you draw from the row of the last guess. The text is "
            "one token further: the row behind it is the last row of p.",
        ),
        Misconception(
            stops_without_a_word,
            "After a refusal you write nothing. A round would sometimes yield no token at all, "
            "and what the model would have written is never written.",
        ),
        Misconception(
            keeps_what_it_refused,
            "You write the guess that you refused.",
        ),
        Misconception(
            goes_on_after_a_refusal,
            "After a refusal you look at the guesses behind it. They were made for a text that "
            "has the refused token in it: that text is gone.",
        ),
    ),
    hints=(
        "Two kinds of token. What the draft gives too often must be refused now and then; what "
        "it gives too rarely must be made up for, and the refusals are the occasion.",
        "Go through the guesses. Accept while u < p / q. At the first refusal stop, and draw one "
        "token from max(p - q, 0) of that place. No refusal: draw it from the last row of p.",
        "`for … else` fits: `else` runs where no `break` came. u q < p spares you a division by "
        "0. The draw is exercise 2's: lay the pieces end to end, stretch v to their length.",
    ),
)

EXERCISES = (TEMPERATURE, SAMPLE, TOP_P, PENALTY, SPECULATE)

QUIZ = (
    Question(
        "sure_model",
        "At some place the model gives one token 0.95. You sample with top-p 0.9. What can come?",
        (
            Option(
                "That token or one of a few others",
                "Those in front of the second token hold 0.95 already, more than 0.9: the second "
                "is not needed, nor any behind it.",
            ),
            Option(
                "That token alone",
                "It crosses 0.9 by itself, and stays because it is the one that crosses. Where the "
                "model is sure, top-p is greedy; where it is not, it lets many in. Top-k does not "
                "know the difference.",
                right=True,
            ),
            Option(
                "Nothing: it is above p, so it is cut off",
                "That is what happens in code that drops the token which crosses. Then nothing "
                "is left, and the program draws from nan.",
            ),
        ),
    ),
    Question(
        "order_of_things",
        "Temperature 0.5 and top-p 0.9 together. Does it matter which comes first?",
        (
            Option(
                "No: one scales and the other cuts",
                "The temperature changes how much the first tokens hold, and that is what top-p "
                "counts.",
            ),
            Option(
                "Yes: a low temperature first makes top-p cut more",
                "Sharpened, fewer tokens reach 0.9. Meta's code and transformers both put the "
                "temperature first; another order is another sampler under the same settings.",
                right=True,
            ),
            Option(
                "Yes: top-p has to come first, since it needs true probabilities",
                "The sharpened ones sum to 1 as well. Nothing stops you from cutting first, but "
                "then 0.6 and 0.9 mean something else than in Meta's code.",
            ),
        ),
    ),
    Question(
        "left_is_right",
        "Why are prompts of different length padded on the left?",
        (
            Option(
                "So that the newest token of every row stands in the last column",
                "Padded on the right, a short prompt would be continued behind its padding. On "
                "the left, the padding is out of the way, if nobody looks at it and positions "
                "count from each row's own first token.",
                right=True,
            ),
            Option(
                "Because the model has learned to skip padding there",
                "It has never seen padding. It has to be hidden by a mask on either side.",
            ),
            Option(
                "Because causal attention cannot see the left",
                "It sees nothing but the left. That is why the padding there has to be masked.",
            ),
        ),
    ),
    Question(
        "worse_draft",
        "You swap the draft for a much worse one. What happens to speculative decoding?",
        (
            Option(
                "The text gets worse",
                "Not by a hair. What is accepted and what is made up for add up to p, for any "
                "draft at all, even one that guesses blindly.",
            ),
            Option(
                "It gets slower, and the text has the same distribution",
                "Fewer guesses are accepted, so each reading by the large model yields fewer "
                "tokens. That is all that a draft can do.",
                right=True,
            ),
            Option(
                "Nothing: the large model checks everything anyway",
                "It does, and that costs. The gain is in the guesses that it need not make itself.",
            ),
        ),
    ),
)
