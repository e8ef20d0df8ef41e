"""Notebook 08, exercise 3: Top-p."""

import torch

from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


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
    g = seeded(82)

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


@wrong(
    "You drop the token that crosses p: those that are left sum to less than p. And where the "
    "first token alone is above p nothing is left, and 0/0 is nan."
)
def drops_the_one_that_crosses(probs, p):
    return _top_p(probs, lambda before, ordered, upto: upto <= p)


@wrong(
    "You drop the token that crosses p, and save only the first. With 0.5, 0.41, 0.09 and p = "
    "0.9 the 0.41 is gone: what is left is half of what was asked for."
)
def drops_it_but_keeps_one(probs, p):
    def keep(before, ordered, upto):
        return (upto <= p) | (before == 0)

    return _top_p(probs, keep)


@wrong(
    "Where the sum in front of a token is exactly p you stop, as transformers does. In Meta's "
    "code a token goes only if that sum is greater than p."
)
def stops_when_p_is_met(probs, p):
    return _top_p(probs, lambda before, ordered, upto: before < p)


@wrong(
    "You summed from the unlikely end and dropped what holds at most 1 - p there, as transformers "
    "does. Nearly the same, and not the same: where the sum in front is exactly p, Meta keeps the "
    "token, and of equal ones you keep the higher id."
)
def cuts_from_the_unlikely_end(probs, p):
    ordered, order = probs.sort(dim=-1)
    ordered = ordered.masked_fill(ordered.cumsum(-1) <= 1 - p, 0.0)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "Right but for ties: of two equally likely tokens you put the higher id in front, as a sort "
    "from below does too. A stable one from above, `stable=True`, leaves equal ones in the order "
    "of their ids."
)
def higher_ids_first(probs, p):
    return _top_p(probs.flip(-1), lambda before, ordered, upto: before <= p).flip(-1)


@wrong(
    "Your result is still sorted: the largest probability now belongs to token 0, whichever "
    "token it was. The model would write nonsense, fluently distributed."
)
def forgets_the_way_back(probs, p):
    return _top_p(probs, lambda before, ordered, upto: before <= p, back=False)


@wrong(
    "You sorted the sorted row by the same order once more. `gather` with `order` sorts; the "
    "way back puts each where it came from, which is `scatter`."
)
def wrong_way_back(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(-1) - ordered <= p)
    kept = ordered.gather(-1, order)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You brought the mask back with `gather`, which sorts it once more. `gather` takes from the "
    "ids in `order`; the way back puts there: `scatter`."
)
def gathers_the_mask(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = probs * (ordered.cumsum(-1) - ordered <= p).gather(-1, order)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "What is left does not sum to 1. Whoever draws with a number between 0 and 1 falls off the "
    "end whenever it is larger than your sum."
)
def sum_is_not_1(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered <= p)
    return torch.zeros_like(probs).scatter(-1, order, kept)


@wrong(
    "You divided by the sum of the whole batch. Every row is a distribution of its own, and has "
    "the sum 1 again by itself: `sum(dim=-1, keepdim=True)`."
)
def one_sum_for_all_rows(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(-1, order, kept)
    return kept / kept.sum()


@wrong(
    "You divided by p. With the token that crosses it the kept ones sum to more than p: divide "
    "by what they really sum to."
)
def divides_by_p(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered * (ordered.cumsum(-1) - ordered <= p)
    return torch.zeros_like(probs).scatter(-1, order, kept) / p


@wrong(
    "You took a softmax of probabilities. They lie between 0 and 1, so it makes all of them "
    "nearly equal. To restore the sum, divide by it."
)
def softmax_at_the_end(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    kept = ordered.masked_fill(ordered.cumsum(-1) - ordered > p, -float("inf"))
    return torch.zeros_like(probs).scatter(-1, order, kept).softmax(-1)


@wrong(
    "You cut at a value: all that are as likely as the last one kept stay too. Of equal ones "
    "those with lower ids come first, and the cut may run between them."
)
def cuts_at_a_value(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values
    kept = ordered.cumsum(-1) - ordered <= p
    least = ordered.masked_fill(~kept, 2.0).amin(-1, keepdim=True)  # of those that stay
    kept = probs * (probs >= least)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You keep what is likelier than the last one kept, and so lose that one: the token that "
    "crosses p stays."
)
def above_the_last_value(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values
    last = (ordered.cumsum(-1) - ordered <= p).sum(-1, keepdim=True) - 1
    kept = probs * (probs > ordered.gather(-1, last))
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You made the mask for the sorted tokens and laid it on the unsorted ones. What it hides is "
    "then whoever happens to stand there: bring the mask (or the values) back with `scatter`."
)
def sorted_mask_on_unsorted_tokens(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values
    kept = probs.masked_fill(ordered.cumsum(-1) - ordered > p, 0.0)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You put every row back in the order of the FIRST row's ids. Each row was sorted in its own "
    "way: `scatter` with the whole of `order`."
)
def the_first_row_s_way_back(probs, p):
    ordered, order = probs.sort(dim=-1, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(-1) - ordered <= p)
    order = order.flatten(0, -2)[:1].expand(order[..., 0].numel(), -1).view_as(order)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You sorted upwards: the unlikely tokens are counted first, and it is the likeliest that "
    "are thrown out."
)
def least_likely_first(probs, p):
    ordered, order = probs.sort(dim=-1, stable=True)
    ordered = ordered * (ordered.cumsum(-1) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(-1, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You summed in the order of ids. Which tokens stay then depends on their numbers in the "
    "vocabulary, not on how likely they are."
)
def in_order_of_ids(probs, p):
    kept = probs * (probs.cumsum(-1) - probs <= p)
    return kept / kept.sum(-1, keepdim=True)


@wrong("You compare each token by itself. p is about what the kept ones hold together.")
def each_against_p(probs, p):
    best = probs.amax(-1, keepdim=True)
    kept = probs * ((probs >= 1 - p) | (probs == best))
    return kept / kept.sum(-1, keepdim=True)


EACH = (
    "You compare each token by itself with a limit. p is about what the kept ones hold TOGETHER, "
    "the likeliest first."
)


@wrong(EACH)
def each_at_least_p(probs, p):
    kept = probs * (probs >= p)
    return kept / kept.sum(-1, keepdim=True)


@wrong(EACH)
def each_at_least_the_rest(probs, p):
    kept = probs * (probs >= 1 - p)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You keep what is at least p times the best: that is min-p, another rule. Top-p adds up from "
    "the likeliest until p is held."
)
def share_of_the_best(probs, p):
    kept = probs * (probs >= p * probs.amax(-1, keepdim=True))
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You keep the share p of the vocabulary. p counts probability, not tokens: where the model "
    "is sure, one token may be enough."
)
def share_of_the_vocabulary(probs, p):
    count = max(1, int(p * probs.shape[-1]))
    best, order = probs.topk(count, dim=-1)
    kept = torch.zeros_like(probs).scatter(-1, order, best)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You sorted and summed down the first axis: the rows compete with each other for a token. "
    "Each row has a cut of its own, along the last axis."
)
def sorts_down_the_batch(probs, p):
    ordered, order = probs.sort(dim=0, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(0) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(0, order, ordered)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You sorted, summed and divided down the first axis: the rows compete with each other. Each "
    "row has a cut and a sum of its own, along the last axis."
)
def all_down_the_batch(probs, p):
    ordered, order = probs.sort(dim=0, descending=True, stable=True)
    ordered = ordered * (ordered.cumsum(0) - ordered <= p)
    kept = torch.zeros_like(probs).scatter(0, order, ordered)
    return kept / kept.sum(0, keepdim=True)


@wrong(
    "You counted how many stay in the row that keeps most, and kept as many in all. That is a "
    "top-k: how many stay is for each row to say."
)
def the_longest_cut_for_all_rows(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values
    best, order = probs.topk(int((ordered.cumsum(-1) - ordered <= p).sum(-1).max()), dim=-1)
    kept = torch.zeros_like(probs).scatter(-1, order, best)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You counted how many stay in the first row, and kept as many in all. That is a top-k: how "
    "many stay is for each row to say."
)
def one_cut_for_all_rows(probs, p):
    ordered = probs.sort(dim=-1, descending=True, stable=True).values.flatten(0, -2)
    count = int((ordered[0].cumsum(-1) - ordered[0] <= p).sum())
    best, order = probs.topk(count, dim=-1)
    kept = torch.zeros_like(probs).scatter(-1, order, best)
    return kept / kept.sum(-1, keepdim=True)


@wrong(
    "You wrote zeros into the probabilities that you were given. Whoever called may want to try"
    " another p on them."
)
def zeroes_in_place(probs, p):
    order = probs.argsort(dim=-1, descending=True, stable=True)
    ordered = probs.gather(-1, order)
    lost = ordered.cumsum(-1) - ordered > p
    probs[torch.zeros_like(lost).scatter(-1, order, lost)] = 0.0
    return probs / probs.sum(-1, keepdim=True)


@wrong(
    "The values are right, but the axes in front have become one: a batch of (2, 3, V) comes back "
    "as 6 rows. Give back probs' own shape, with `view_as(probs)`, say."
)
def gives_rows(probs, p):
    return _top_p(probs, lambda before, ordered, upto: before <= p).flatten(0, -2)


EXERCISE = Exercise(
    name="top_p_filter",
    title="Top-p",
    points=3,
    minutes=15,
    answer=top_p_filter,
    reference=_top_p_reference,
    probes=_top_p_probes,
    misconceptions=wrong.all,
    hints=(
        "Line the tokens up, the likeliest first. Each asks: how much do those in front of me "
        "hold together? If it is more than p already, I am not needed.",
        "Sort, sum up, take each one's own probability off again: that is the sum in front of "
        "it. Set the superfluous to 0, bring all back to their ids, make the sum 1.",
        "`sort` gives values and `order`, each value's id. The way back is a `scatter` of the "
        "values to these ids, into zeros.",
    ),
)
