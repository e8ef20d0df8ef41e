"""Notebook 07, exercise 2: The loss under a mask."""

import math

import torch
import torch.nn.functional as F

from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.training import next_token_loss

wrong = WrongAnswers()


def masked_loss(logits, tokens, mask):
    logits, targets, counted = logits[:, :-1].float(), tokens[:, 1:], mask[:, 1:]
    surprise = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
    return (surprise * counted.flatten()).sum() / counted.sum()


def _masked_loss_reference(logits, tokens, mask):
    """The package's loss, which is handed what is already shifted."""
    return next_token_loss(logits[:, :-1], tokens[:, 1:], mask[:, 1:])


def _masked_loss_probes():
    """Rows with very different numbers of counted tokens, a first token that is marked, logits
    that know something, logits in bfloat16; as many ids as places; logits of ±200, which are
    nothing unusual behind a mask and whose surprise is no longer small."""
    probes = []
    for seed, (B, T, V), kind in (
        (70, (2, 5, 7), torch.float32),
        (71, (3, 8, 4), torch.float32),
        (72, (4, 6, 11), torch.bfloat16),
        (73, (3, 4, 3), torch.float32),
        (74, (2, 6, 5), torch.float32),
    ):
        g = seeded(seed)
        tokens = torch.randint(V, (B, T), generator=g)
        logits = 2 * torch.randn(B, T, V, generator=g)
        logits[:, :-1] += 2 * F.one_hot(tokens[:, 1:], V)  # it has learned something
        mask = torch.rand(B, T, generator=g) < 0.6
        mask[0], mask[1] = True, False
        mask[1, T // 2], mask[1, 0] = True, True  # one row has a single counted token
        logits = 40 * logits if seed == 74 else logits
        probes.append((logits.to(kind), tokens, mask))
    probes[1][0].requires_grad_()
    return probes


def _surprise(logits, targets):
    return -logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]


def _mean(surprise, counted):
    return (surprise * counted).sum() / counted.sum()


NOT_SHIFTED = (
    "You compared the logits at a place with the token at that very place. The model has read "
    "that token already; asked to repeat it, it learns to copy its input."
)


@wrong(NOT_SHIFTED)
def does_not_shift(logits, tokens, mask):
    return _mean(_surprise(logits, tokens), mask)


@wrong(NOT_SHIFTED)
def targets_stay_and_the_mask_moves(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, :-1]), mask[:, 1:])


@wrong(NOT_SHIFTED)
def cuts_all_three_at_the_end(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, :-1]), mask[:, :-1])


@wrong(NOT_SHIFTED)
def cuts_all_three_at_the_start(logits, tokens, mask):
    return _mean(_surprise(logits[:, 1:], tokens[:, 1:]), mask[:, 1:])


@wrong(
    "You shifted twice: each place is asked for the token after the next. One of the two, logits "
    "or targets, gives up an end, and that is all."
)
def shifts_twice(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-2], tokens[:, 2:]), mask[:, 2:])


@wrong(
    "Your mask is turned round: True says that a token COUNTS, and you averaged over those that "
    "do not."
)
def inverts_the_mask(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, 1:]), ~mask[:, 1:])


@wrong(
    "Your mask is turned round, and it has not moved with the targets either. True says that a "
    "token counts as something to predict."
)
def inverts_the_mask_and_leaves_it(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, 1:]), ~mask[:, :-1])


@wrong(
    "You shifted the wrong way: each place is asked for the token before it, which it has read."
    " The loss will fall fast, and the model will never write a word."
)
def shifts_the_wrong_way(logits, tokens, mask):
    counted = mask[:, :-1]
    return (_surprise(logits[:, 1:], tokens[:, :-1]) * counted).sum() / counted.sum()


@wrong(
    "`roll` goes round in a circle: the last place is asked for the first token of its row. It "
    "has no next token; leave it out."
)
def shifts_in_a_circle(logits, tokens, mask):
    counted = mask.roll(-1, 1)
    return (_surprise(logits, tokens.roll(-1, 1)) * counted).sum() / counted.sum()


@wrong(
    "You rolled the targets, round in a circle, and left the mask where it was. The mask belongs "
    "to the targets and moves with them; and the last place has no next token at all."
)
def rolls_the_targets_alone(logits, tokens, mask):
    return _mean(_surprise(logits, tokens.roll(-1, 1)), mask)


@wrong(
    "The targets moved and the mask did not. It says which tokens are to be predicted, so it "
    "belongs to the targets and moves with them."
)
def leaves_the_mask_behind(logits, tokens, mask):
    counted = mask[:, :-1]
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum() / counted.sum()


@wrong(
    "You summed the right places and divided by all marks of the mask. The mark on the first "
    "token is no target's: nothing comes before it. Count after the shift."
)
def counts_before_the_shift(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum() / mask.sum()


@wrong(
    "You divided by all places, counted or not. A batch with much padding then looks as if the "
    "model were better, and its gradients are smaller."
)
def divides_by_all(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).mean()


@wrong("The mask has no effect: tokens that are not to be learned are in your mean.")
def ignores_the_mask(logits, tokens, mask):
    return _surprise(logits[:, :-1], tokens[:, 1:]).mean()


@wrong(
    "You took a mean for each row, and then the mean of those. A token in a row with few "
    "counted tokens weighs more that way. One sum over all, one division."
)
def mean_of_row_means(logits, tokens, mask):
    counted = mask[:, 1:]
    rows = (_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum(1) / counted.sum(1)
    return rows.mean()


@wrong(
    "You put the logits to 0 where the mask is off. That does not remove a place: it says that "
    "all ids are equally likely there, a loss of ln(V), and you averaged it in."
)
def masks_the_logits(logits, tokens, mask):
    logits = logits[:, :-1] * mask[:, 1:, None]
    return _surprise(logits, tokens[:, 1:]).mean()


@wrong(
    "You put the logits to 0 where the mask is off, and before the shift besides. A place with "
    "equal logits is not left out: it has a loss of ln(V), and you averaged it in."
)
def masks_the_logits_before_the_shift(logits, tokens, mask):
    return _surprise((logits * mask[..., None])[:, :-1], tokens[:, 1:]).mean()


@wrong(
    "You put the targets to 0 where the mask is off. 0 is an id like any other, so the model is"
    " now taught to predict it there."
)
def masks_the_targets(logits, tokens, mask):
    return _surprise(logits[:, :-1], tokens[:, 1:] * mask[:, 1:]).mean()


@wrong(
    "You put the targets to 0 where the mask is off and told cross_entropy to ignore 0. But 0 is "
    "an id like any other: where it is to be predicted you left it out too. Its own -100 is free."
)
def ignores_the_id_0(logits, tokens, mask):
    targets = (tokens * mask)[:, 1:].flatten()
    return F.cross_entropy(logits[:, :-1].float().flatten(0, 1), targets, ignore_index=0)


@wrong(
    "You divided the sum by the number of rows. What is averaged are tokens: divide by how many "
    "were counted."
)
def divides_by_the_rows(logits, tokens, mask):
    surprise = _surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]
    return surprise.sum() / len(tokens)


@wrong(
    "That is the sum. Divided by the number of counted tokens it can be compared between "
    "batches, and with ln(V)."
)
def never_divides(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum()


@wrong(
    "The sign is turned round. The log of a probability is negative; the surprise is its "
    "opposite. Training would make this loss smaller by making the model worse."
)
def forgets_the_minus(logits, tokens, mask):
    counted = mask[:, 1:]
    return -(_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum() / counted.sum()


@wrong(
    "You averaged the probabilities and took the logarithm of that. It is the surprises that "
    "are averaged: one token thought impossible has to hurt."
)
def log_of_the_mean(logits, tokens, mask):
    counted = mask[:, 1:]
    p = (-_surprise(logits[:, :-1], tokens[:, 1:])).exp()
    return -((p * counted).sum() / counted.sum()).log()


@wrong(
    "That is the perplexity, e to the loss. The loss itself is asked for, in nats: of a fresh "
    "model it is ln(V), not V."
)
def perplexity(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, 1:]), mask[:, 1:]).exp()


@wrong(
    "`nll_loss` wants logarithms of probabilities, and you gave it bare logits: nothing makes "
    "them compete. `cross_entropy` takes logits and does the log-softmax itself."
)
def logits_for_logarithms(logits, tokens, mask):
    chosen = logits[:, :-1].float().gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-chosen, mask[:, 1:])


@wrong(
    "You averaged -p. The surprise is -ln p: `nll_loss` does not take the logarithm for you, and "
    "without it a token thought impossible costs no more than 1."
)
def forgets_the_logarithm(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-p, mask[:, 1:])


BY_HAND = (
    "Right where logits are small. Where they lie far apart you get inf or nan: a probability of "
    "e^-200 is 0 in float32, and so is its use. `log_softmax` (or `cross_entropy`) never leaves "
    "the logarithms."
)


@wrong(BY_HAND)
def logarithm_of_the_softmax(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-p.log(), mask[:, 1:])


@wrong(BY_HAND)
def logarithm_of_the_softmax_selected(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return -p[mask[:, 1:]].log().mean()


CUSHIONED = (
    "A small number added to the probabilities keeps the logarithm finite, and makes the worst "
    "mistakes cheaper: their surprise stops at about 20, and so does their gradient. "
    "`log_softmax` (or `cross_entropy`) needs no such cushion."
)


@wrong(CUSHIONED)
def cushions_with_1e_8(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-(p + 1e-8).log(), mask[:, 1:])


@wrong(CUSHIONED)
def cushions_with_1e_9(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-(p + 1e-9).log(), mask[:, 1:])


@wrong(CUSHIONED)
def cushions_with_1e_10(logits, tokens, mask):
    p = logits[:, :-1].float().softmax(-1).gather(-1, tokens[:, 1:, None])[..., 0]
    return _mean(-(p + 1e-10).log(), mask[:, 1:])


@wrong(
    "You cut the logits off at ±30. Softmax needs no such protection; beyond the limit the loss "
    "is too small, and no gradient comes back."
)
def cuts_the_logits_off(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1].clamp(-30, 30), tokens[:, 1:]), mask[:, 1:])


@wrong(
    "Softmax twice: `cross_entropy` takes logits and does its own. Fed with probabilities, all "
    "between 0 and 1, it can never get far below ln(V)."
)
def softmax_twice(logits, tokens, mask):
    counted = mask[:, 1:]
    p = logits[:, :-1].float().softmax(-1)
    return (_surprise(p, tokens[:, 1:]) * counted).sum() / counted.sum()


@wrong(
    "Your softmax runs over the places of a row and not over the vocabulary. `cross_entropy` "
    "wants the classes in axis 1; flatten (B, T, V) to (B T, V)."
)
def softmax_over_time(logits, tokens, mask):
    counted = mask[:, 1:]
    logs = logits[:, :-1].float().log_softmax(1).gather(-1, tokens[:, 1:, None])[..., 0]
    return -(logs * counted).sum() / counted.sum()


@wrong(
    "`cross_entropy` takes axis 1 for the classes: of (B, T, V) that is time. With as many places"
    " as ids it does not even complain. Flatten to (B T, V) and (B T,), or select with the mask."
)
def does_not_flatten(logits, tokens, mask):
    each = F.cross_entropy(logits[:, :-1].float(), tokens[:, 1:], reduction="none")
    return _mean(each, mask[:, 1:])


@wrong(
    "That is in bits, with the logarithm of base 2. Losses here are in nats, so that a fresh "
    "model's is ln(V)."
)
def in_bits(logits, tokens, mask):
    counted = mask[:, 1:]
    each = _surprise(logits[:, :-1], tokens[:, 1:]) / math.log(2)
    return (each * counted).sum() / counted.sum()


@wrong(
    "With bfloat16 logits your whole sum was made in bfloat16, which keeps 8 bits of a number: "
    "3.01 and 3.02 are the same to it. Turn the logits into float32 first."
)
def in_the_logits_own_digits(logits, tokens, mask):
    counted = mask[:, 1:].flatten()
    each = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (each * counted).sum() / counted.sum()


ROUNDED = (
    "With bfloat16 logits your loss was made in bfloat16, which keeps 8 bits of a number: 3.01 "
    "and 3.02 are the same to it. Turn the logits into float32 first, not the result."
)


@wrong(ROUNDED)
def widens_the_result(logits, tokens, mask):
    counted = mask[:, 1:].flatten()
    each = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return ((each * counted).sum() / counted.sum()).float()


@wrong(ROUNDED)
def leaves_the_mean_to_bfloat16(logits, tokens, mask):
    counted = mask[:, 1:]
    return F.cross_entropy(logits[:, :-1][counted], tokens[:, 1:][counted])


@wrong(ROUNDED)
def widens_the_mean_of_bfloat16(logits, tokens, mask):
    counted = mask[:, 1:]
    return F.cross_entropy(logits[:, :-1][counted], tokens[:, 1:][counted]).float()


@wrong(
    "The value is right, and nothing can be learned from it: `detach`, `.data` or `no_grad` cut "
    "the way back to the logits off."
)
def cuts_the_way_back(logits, tokens, mask):
    return _mean(_surprise(logits.detach()[:, :-1], tokens[:, 1:]), mask[:, 1:])


@wrong(
    "The number is right, but it is a number: `item()` leaves the graph behind, and nothing can "
    "be learned from it. Return the tensor."
)
def gives_a_number(logits, tokens, mask):
    return _mean(_surprise(logits[:, :-1], tokens[:, 1:]), mask[:, 1:]).item()


EXERCISE = Exercise(
    name="masked_loss",
    title="The loss under a mask",
    points=3,
    minutes=10,
    answer=masked_loss,
    reference=_masked_loss_reference,
    probes=_masked_loss_probes,
    rtol=1e-4,
    misconceptions=wrong.all,
    gradients=True,
    hints=(
        "Whose opinion is logits[:, t], and on what? Three things have to be cut to the same "
        "T - 1 places: two of them at one end, the other at the other.",
        "`F.cross_entropy(…, reduction='none')` wants (N, V) and (N,) and gives one surprise a "
        "place. Multiply by the mask, add up, divide once.",
        "By what do you divide? By how many targets were counted, after the shift, in the whole "
        "batch. And do all of it in float32.",
    ),
)
