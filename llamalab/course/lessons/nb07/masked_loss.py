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
    that know something and logits in bfloat16."""
    probes = []
    for seed, (B, T, V), kind in (
        (70, (2, 5, 7), torch.float32),
        (71, (3, 8, 4), torch.float32),
        (72, (4, 6, 11), torch.bfloat16),
        (73, (3, 3, 3), torch.float32),
    ):
        g = seeded(seed)
        tokens = torch.randint(V, (B, T), generator=g)
        logits = 2 * torch.randn(B, T, V, generator=g)
        logits[:, :-1] += 2 * F.one_hot(tokens[:, 1:], V)  # it has learned something
        mask = torch.rand(B, T, generator=g) < 0.6
        mask[0], mask[1] = True, False
        mask[1, T // 2], mask[1, 0] = True, True  # one row has a single counted token
        probes.append((logits.to(kind), tokens, mask))
    probes[1][0].requires_grad_()
    return probes


def _surprise(logits, targets):
    return -logits.float().log_softmax(-1).gather(-1, targets[..., None])[..., 0]


@wrong(
    "You compared the logits at a place with the token at that very place. The model has read "
    "that token already; asked to repeat it, it learns to copy its input."
)
def does_not_shift(logits, tokens, mask):
    return (_surprise(logits, tokens) * mask).sum() / mask.sum()


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
    "You put the targets to 0 where the mask is off. 0 is an id like any other, so the model is"
    " now taught to predict it there."
)
def masks_the_targets(logits, tokens, mask):
    return _surprise(logits[:, :-1], tokens[:, 1:] * mask[:, 1:]).mean()


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
