"""Notebook 07: packing, the loss under a mask, AdamW, the schedule, accumulated gradients."""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.adamw import adamw

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question
from llamalab.training import TrainConfig, learning_rate, next_token_loss, summed_loss


def _seeded(seed):
    return torch.Generator().manual_seed(seed)


# -- packing --------------------------------------------------------------------------------


def pack(documents, bos, eos, T):
    row = [token for document in documents for token in [bos, *document, eos]]
    windows = (len(row) - 1) // T
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(windows)])


def _pack_reference(documents, bos, eos, T):
    """torch's own sliding window, over the documents laid end to end."""
    ends = torch.tensor([bos]), torch.tensor([eos])
    pieces = [torch.cat([ends[0], torch.tensor(d), ends[1]]) for d in documents]
    return torch.cat(pieces).unfold(0, T + 1, T)


def _pack_probes():
    """Rows that fill their windows exactly, that miss that by one either way; long and short
    documents; more than one T; ids that are nobody's favourite padding."""
    return [
        ([[11, 12, 13], [21, 22], [31, 32, 33, 34, 35, 36, 37]], 1, 2, 5),  # 18 ids
        ([[5, 6, 7, 8, 9, 10, 11], [12, 13], [14]], 3, 4, 4),  # 16 ids: 3 windows and 3 left
        ([[5, 6, 7, 8, 9, 10, 11, 12], [13, 14, 15]], 1, 2, 7),  # 15 ids: 2 windows, just so
        ([[40], [50, 51, 52, 53, 54, 55, 56, 57, 58], [60, 61], [70]], 1, 2, 3),
        ([list(range(100, 131)), list(range(200, 217))], 1, 2, 6),
    ]


def _windows(row, T, step, length):
    starts = range(0, len(row) - length + 1, step)
    return torch.tensor([row[s : s + length] for s in starts])


def _laid(documents, before, after):
    return [token for document in documents for token in [*before, *document, *after]]


def drops_bos(documents, bos, eos, T):
    return _windows(_laid(documents, [], [eos]), T, T, T + 1)


def drops_eos(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], []), T, T, T + 1)


def one_bos_for_all(documents, bos, eos, T):
    return _windows([bos, *_laid(documents, [], [eos])], T, T, T + 1)


def one_pair_for_all(documents, bos, eos, T):
    return _windows([bos, *_laid(documents, [], []), eos], T, T, T + 1)


def changes_bos_and_eos(documents, bos, eos, T):
    return _windows(_laid(documents, [eos], [bos]), T, T, T + 1)


def no_room_for_the_last_target(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T)


def steps_over_the_seam(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T + 1, T + 1)


def steps_by_one(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, 1, T + 1)


def loses_the_last_window(documents, bos, eos, T):
    return _windows(_laid(documents, [bos], [eos]), T, T, T + 1)[:-1]


def one_window_too_many(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    return torch.tensor([row[i * T : i * T + T + 1] for i in range(len(row) // T)])


def pads_the_last_window(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    row += [eos] * (-(len(row) - 1) % T)
    return _windows(row, T, T, T + 1)


def a_document_a_window(documents, bos, eos, T):
    rows = [[bos, *document, eos][: T + 1] for document in documents]
    return torch.tensor([row + [eos] * (T + 1 - len(row)) for row in rows])


def cuts_each_document_alone(documents, bos, eos, T):
    rows = []
    for document in documents:
        row = [bos, *document, eos]
        rows += [row[i : i + T + 1] for i in range(0, len(row) - T, T)]
    return torch.tensor(rows)


def bos_on_every_window(documents, bos, eos, T):
    row = _laid(documents, [bos], [eos])
    starts = range(0, len(row) - T + 1, T)
    return torch.tensor([[bos, *row[s : s + T]] for s in starts])


PACK = Exercise(
    name="pack",
    title="One long row, cut into windows",
    points=2,
    minutes=8,
    answer=pack,
    reference=_pack_reference,
    probes=_pack_probes,
    misconceptions=(
        Misconception(
            drops_bos,
            "There is no BOS. It is how the model is told that what it sees before is another "
            "story; and when you ask for a new story later, BOS is all that you give it.",
        ),
        Misconception(
            drops_eos,
            "There is no EOS, so nothing ever shows the model how a story ends. It would go on "
            "writing until it is stopped.",
        ),
        Misconception(
            one_bos_for_all,
            "You put one BOS in front of the whole row. Every document needs its own.",
        ),
        Misconception(
            one_pair_for_all,
            "You wrapped the whole row in one BOS and one EOS. Between two documents there is "
            "nothing now, and the second reads like a sentence of the first.",
        ),
        Misconception(
            changes_bos_and_eos,
            "BOS and EOS have changed places: each document begins with its end.",
        ),
        Misconception(
            no_room_for_the_last_target,
            "Your windows hold T ids. T inputs need T targets, each one place further on, so a "
            "window holds T + 1 ids.",
        ),
        Misconception(
            steps_over_the_seam,
            "Your windows hold T + 1 ids and begin T + 1 apart, so the last id of a window never "
            "serves as an input. Begin every T: neighbours share one id, a target here and an "
            "input there.",
        ),
        Misconception(
            steps_by_one,
            "Your windows begin one id apart, so that every pair occurs T times over. An epoch "
            "then takes T times as long, and shuffled batches hold near-copies.",
        ),
        Misconception(
            loses_the_last_window,
            "A whole window is missing at the end. How many fit into n ids? Each takes T further "
            "on, and only the first needs the one id more.",
        ),
        Misconception(
            one_window_too_many,
            "Where the row's length is a multiple of T you made a window too many: it has no "
            "target for its last input. Of n ids, n - 1 have a next one.",
        ),
        Misconception(
            pads_the_last_window,
            "You filled the last window up with EOS. The model would be paid for guessing EOS "
            "after EOS. What does not fill a window is left out.",
        ),
        Misconception(
            a_document_a_window,
            "You gave each document a window of its own: long ones lose their ends, short ones "
            "are mostly padding. Lay them end to end first, and then cut.",
        ),
        Misconception(
            cuts_each_document_alone,
            "You cut each document by itself, so the rest of each, up to T ids, is never seen. A "
            "window may run across a seam: lay all of them end to end, then cut.",
        ),
        Misconception(
            bos_on_every_window,
            "You put a BOS in front of every window. BOS says that a story begins; most windows "
            "begin in the middle of one.",
        ),
    ),
    hints=(
        "First forget the windows: what does the one long row look like? Only then cut it.",
        "Window i begins at place i T and is T + 1 long. So two neighbours share an id.",
        "Of n ids in the row, n - 1 have a successor. That many inputs make how many windows of T?",
    ),
)


# -- the loss under a mask ------------------------------------------------------------------


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
        g = _seeded(seed)
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


def does_not_shift(logits, tokens, mask):
    return (_surprise(logits, tokens) * mask).sum() / mask.sum()


def shifts_the_wrong_way(logits, tokens, mask):
    counted = mask[:, :-1]
    return (_surprise(logits[:, 1:], tokens[:, :-1]) * counted).sum() / counted.sum()


def shifts_in_a_circle(logits, tokens, mask):
    counted = mask.roll(-1, 1)
    return (_surprise(logits, tokens.roll(-1, 1)) * counted).sum() / counted.sum()


def leaves_the_mask_behind(logits, tokens, mask):
    counted = mask[:, :-1]
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum() / counted.sum()


def counts_before_the_shift(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum() / mask.sum()


def divides_by_all(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).mean()


def ignores_the_mask(logits, tokens, mask):
    return _surprise(logits[:, :-1], tokens[:, 1:]).mean()


def mean_of_row_means(logits, tokens, mask):
    counted = mask[:, 1:]
    rows = (_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum(1) / counted.sum(1)
    return rows.mean()


def masks_the_logits(logits, tokens, mask):
    logits = logits[:, :-1] * mask[:, 1:, None]
    return _surprise(logits, tokens[:, 1:]).mean()


def masks_the_targets(logits, tokens, mask):
    return _surprise(logits[:, :-1], tokens[:, 1:] * mask[:, 1:]).mean()


def never_divides(logits, tokens, mask):
    return (_surprise(logits[:, :-1], tokens[:, 1:]) * mask[:, 1:]).sum()


def forgets_the_minus(logits, tokens, mask):
    counted = mask[:, 1:]
    return -(_surprise(logits[:, :-1], tokens[:, 1:]) * counted).sum() / counted.sum()


def log_of_the_mean(logits, tokens, mask):
    counted = mask[:, 1:]
    p = (-_surprise(logits[:, :-1], tokens[:, 1:])).exp()
    return -((p * counted).sum() / counted.sum()).log()


def softmax_twice(logits, tokens, mask):
    counted = mask[:, 1:]
    p = logits[:, :-1].float().softmax(-1)
    return (_surprise(p, tokens[:, 1:]) * counted).sum() / counted.sum()


def softmax_over_time(logits, tokens, mask):
    counted = mask[:, 1:]
    logs = logits[:, :-1].float().log_softmax(1).gather(-1, tokens[:, 1:, None])[..., 0]
    return -(logs * counted).sum() / counted.sum()


def in_bits(logits, tokens, mask):
    counted = mask[:, 1:]
    each = _surprise(logits[:, :-1], tokens[:, 1:]) / math.log(2)
    return (each * counted).sum() / counted.sum()


def in_the_logits_own_digits(logits, tokens, mask):
    counted = mask[:, 1:].flatten()
    each = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return (each * counted).sum() / counted.sum()


MASKED_LOSS = Exercise(
    name="masked_loss",
    title="The loss under a mask",
    points=3,
    minutes=10,
    answer=masked_loss,
    reference=_masked_loss_reference,
    probes=_masked_loss_probes,
    rtol=1e-4,
    misconceptions=(
        Misconception(
            does_not_shift,
            "You compared the logits at a place with the token at that very place. The model has "
            "read that token already; asked to repeat it, it learns to copy its input.",
        ),
        Misconception(
            shifts_the_wrong_way,
            "You shifted the wrong way: each place is asked for the token before it, which it has "
            "read. The loss will fall fast, and the model will never write a word.",
        ),
        Misconception(
            shifts_in_a_circle,
            "`roll` goes round in a circle: the last place is asked for the first token of its "
            "row. It has no next token; leave it out.",
        ),
        Misconception(
            leaves_the_mask_behind,
            "The targets moved and the mask did not. It says which tokens are to be predicted, so "
            "it belongs to the targets and moves with them.",
        ),
        Misconception(
            counts_before_the_shift,
            "You summed the right places and divided by all marks of the mask. The mark on the "
            "first token is no target's: nothing comes before it. Count after the shift.",
        ),
        Misconception(
            divides_by_all,
            "You divided by all places, counted or not. A batch with much padding then looks as "
            "if the model were better, and its gradients are smaller.",
        ),
        Misconception(
            ignores_the_mask,
            "The mask has no effect: tokens that are not to be learned are in your mean.",
        ),
        Misconception(
            mean_of_row_means,
            "You took a mean for each row, and then the mean of those. A token in a row with few "
            "counted tokens weighs more that way. One sum over all, one division.",
        ),
        Misconception(
            masks_the_logits,
            "You put the logits to 0 where the mask is off. That does not remove a place: it says "
            "that all ids are equally likely there, a loss of ln(V), and you averaged it in.",
        ),
        Misconception(
            masks_the_targets,
            "You put the targets to 0 where the mask is off. 0 is an id like any other, so the "
            "model is now taught to predict it there.",
        ),
        Misconception(
            never_divides,
            "That is the sum. Divided by the number of counted tokens it can be compared between "
            "batches, and with ln(V).",
        ),
        Misconception(
            forgets_the_minus,
            "The sign is turned round. The log of a probability is negative; the surprise is its "
            "opposite. Training would make this loss smaller by making the model worse.",
        ),
        Misconception(
            log_of_the_mean,
            "You averaged the probabilities and took the logarithm of that. It is the surprises "
            "that are averaged: one token thought impossible has to hurt.",
        ),
        Misconception(
            softmax_twice,
            "Softmax twice: `cross_entropy` takes logits and does its own. Fed with "
            "probabilities, all between 0 and 1, it can never get far below ln(V).",
        ),
        Misconception(
            softmax_over_time,
            "Your softmax runs over the places of a row and not over the vocabulary. "
            "`cross_entropy` wants the classes in axis 1; flatten (B, T, V) to (B T, V).",
        ),
        Misconception(
            in_bits,
            "That is in bits, with the logarithm of base 2. Losses here are in nats, so that a "
            "fresh model's is ln(V).",
        ),
        Misconception(
            in_the_logits_own_digits,
            "With bfloat16 logits your whole sum was made in bfloat16, which keeps 8 bits of a "
            "number: 3.01 and 3.02 are the same to it. Turn the logits into float32 first.",
        ),
    ),
    hints=(
        "Whose opinion is logits[:, t], and on what? Three things have to be cut to the same "
        "T - 1 places: two of them at one end, the other at the other.",
        "`F.cross_entropy(…, reduction='none')` wants (N, V) and (N,) and gives one surprise a "
        "place. Multiply by the mask, add up, divide once.",
        "By what do you divide? By how many targets were counted, after the shift, in the whole "
        "batch. And do all of it in float32.",
    ),
)


# -- the schedule ---------------------------------------------------------------------------


def cosine_rate(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = min(1.0, (step - warmup) / (steps - warmup))
    return peak * (0.1 + 0.9 * (1 + math.cos(math.pi * done)) / 2)


def _cosine_rate_reference(step, peak, warmup, steps):
    return learning_rate(step, TrainConfig(steps=steps, lr=peak, warmup_steps=warmup))


def _cosine_rate_probes():
    return [
        (1, 3e-4, 2000, 500_000),
        (1000, 3e-4, 2000, 500_000),
        (2000, 3e-4, 2000, 500_000),
        (2001, 3e-4, 2000, 500_000),
        (251_000, 3e-4, 2000, 500_000),
        (500_000, 1.5e-4, 2000, 500_000),
        (3, 0.01, 7, 50),
        (20, 0.01, 7, 50),
        (40, 2.0, 10, 50),
        (50, 2.0, 10, 50),
        (57, 2.0, 10, 50),
        (1, 1.0, 0, 9),
        (4, 1.0, 0, 9),
    ]


def _rate(step, peak, warmup, steps, *, ramp=None, done=None, share=None):
    """The schedule with a part replaced."""
    if step <= warmup:
        return peak * (step / warmup if ramp is None else ramp(step / warmup))
    done = (step - warmup) / (steps - warmup) if done is None else done
    done = min(1.0, done)
    if share is not None:
        return peak * share(done)
    return peak * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * done)))


def ends_at_zero(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.5 * (1 + math.cos(math.pi * d)))


def adds_the_tenth_on_top(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.5 * (1 + math.cos(math.pi * d)))


def cuts_off_at_a_tenth(step, peak, warmup, steps):
    return _rate(
        step, peak, warmup, steps, share=lambda d: max(0.1, 0.5 * (1 + math.cos(math.pi * d)))
    )


def starts_from_nothing(step, peak, warmup, steps):
    if step <= warmup:
        return peak * (step - 1) / warmup
    return _rate(step, peak, warmup, steps)


def peak_a_step_late(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / (warmup + 1)
    return _rate(step, peak, warmup, steps)


def warms_up_from_a_tenth(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, ramp=lambda r: 0.1 + 0.9 * r)


def cosine_from_step_zero(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=step / steps)


def cosine_never_done(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, done=(step - warmup) / steps)


def never_warms_up(step, peak, warmup, steps):
    return _rate(step, peak, 0, steps, done=step / steps)


def cosine_times_the_ramp(step, peak, warmup, steps):
    ramp = min(1.0, step / warmup) if warmup else 1.0
    return ramp * _rate(step, peak, 0, steps, done=step / steps)


def whole_turn(step, peak, warmup, steps):
    return _rate(
        step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 + math.cos(2 * math.pi * d))
    )


def quarter_turn(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.9 * math.cos(math.pi * d / 2))


def straight_down(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 1 - 0.9 * d)


def in_degrees(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.45 * (1 + math.cos(180 * d)))


def forgets_the_half(step, peak, warmup, steps):
    return _rate(step, peak, warmup, steps, share=lambda d: 0.1 + 0.9 * (1 + math.cos(math.pi * d)))


def rises_again(step, peak, warmup, steps):
    if step <= warmup:
        return peak * step / warmup
    done = (step - warmup) / (steps - warmup)
    return peak * (0.1 + 0.45 * (1 + math.cos(math.pi * done)))


COSINE_RATE = Exercise(
    name="cosine_rate",
    title="The schedule",
    points=2,
    minutes=8,
    answer=cosine_rate,
    reference=_cosine_rate_reference,
    probes=_cosine_rate_probes,
    rtol=1e-6,
    atol=1e-12,
    misconceptions=(
        Misconception(
            ends_at_zero,
            "Your rate ends at 0. Llama 2's ends at a tenth of the peak. (llama2.c's train.py "
            "ends at 0 too, by its default.)",
        ),
        Misconception(
            adds_the_tenth_on_top,
            "You added the tenth on top, so it starts from 1.1 times the peak. What the cosine "
            "moves is the rest: nine tenths.",
        ),
        Misconception(
            cuts_off_at_a_tenth,
            "You let the cosine go to 0 and cut it off at a tenth. Squeeze it instead: the whole "
            "half turn fits between the peak and a tenth.",
        ),
        Misconception(
            starts_from_nothing,
            "Step 1 has the rate 0: a batch computed for nothing. Steps count from 1, and the "
            "last step of the warm-up has the peak.",
        ),
        Misconception(
            peak_a_step_late,
            "You divide by warmup + 1, so that the last step of the warm-up is not yet at the "
            "peak. That is right where steps are counted from 0; here they count from 1.",
        ),
        Misconception(
            warms_up_from_a_tenth,
            "Your warm-up begins at a tenth of the peak. The tenth is where the cosine ends; the "
            "warm-up is a straight line from 0.",
        ),
        Misconception(
            cosine_from_step_zero,
            "Your cosine counts the warm-up's steps as done, so behind the warm-up the rate falls "
            "with a jump. Its way begins where the warm-up ends.",
        ),
        Misconception(
            cosine_never_done,
            "You divide by all steps, but the cosine has only steps - warmup of them. It would "
            "still be on its way down at the end.",
        ),
        Misconception(
            never_warms_up,
            "There is no warm-up. Adam's averages have seen one gradient after step 1, and a full "
            "step in a direction known that badly can do lasting harm.",
        ),
        Misconception(
            cosine_times_the_ramp,
            "You multiplied warm-up and cosine, both from the first step on. They come one after "
            "the other: the peak itself is never reached in your product.",
        ),
        Misconception(
            whole_turn,
            "Your cosine makes a whole turn, so the rate is back at its peak at the end. Half a "
            "turn, from 1 to -1, is what is asked for.",
        ),
        Misconception(
            quarter_turn,
            "You use a quarter turn. It falls steepest at the very end; half a turn also ends "
            "gently.",
        ),
        Misconception(
            straight_down,
            "That is a straight line down to a tenth. Half a cosine stays high longer and low "
            "longer.",
        ),
        Misconception(
            in_degrees,
            "`math.cos` wants radians: half a turn is pi, not 180.",
        ),
        Misconception(
            forgets_the_half,
            "1 + cos runs from 2 to 0. Halve it, or you start from nearly twice the peak.",
        ),
        Misconception(
            rises_again,
            "Past the last step your cosine turns and the rate rises again. Whoever trains on "
            "for a while finds the rate at its lowest: stop the way at 1.",
        ),
    ),
    hints=(
        "Two pieces. Up to the last step of the warm-up: a straight line. Behind it: what part of "
        "the remaining way is done, as a number from 0 to 1?",
        "cos(pi x) runs from 1 to -1 while x runs from 0 to 1. Make that a share from 1 to 0, and "
        "give the share nine tenths of the peak to move.",
        "For steps past the end, let the part that is done be 1.",
    ),
)


# -- AdamW ----------------------------------------------------------------------------------


def adamw_step(weight, grad, m, v, step, lr, decay):
    m = 0.9 * m + 0.1 * grad
    v = 0.95 * v + 0.05 * grad**2
    m_fair = m / (1 - 0.9**step)
    v_fair = v / (1 - 0.95**step)
    weight = weight - lr * decay * weight
    return weight - lr * m_fair / (v_fair.sqrt() + 1e-5), m, v


def _adamw_step_reference(weight, grad, m, v, step, lr, decay):
    """torch's own, as its optimizer calls it: in place, on the state of the step before."""
    weight, m, v = weight.clone(), m.clone(), v.clone()
    fixed = dict(beta1=0.9, beta2=0.95, eps=1e-5, amsgrad=False, maximize=False)
    states = [torch.tensor(step - 1.0)]
    adamw([weight], [grad], [m], [v], [], states, lr=lr, weight_decay=decay, **fixed)
    return weight, m, v


def _adamw_step_probes():
    """The first step, the second, a late one; gradients as small as eps and a rate so large that
    the order of decay and step shows; a vector, a matrix, float64."""
    probes = []
    for seed, shape, step, lr, decay, size in (
        (74, (3, 4), 1, 1e-3, 0.1, 1.0),
        (75, (5,), 2, 0.1, 0.5, 1.0),
        (76, (2, 3), 7, 0.3, 0.4, 1e-5),
        (77, (4, 2), 50, 0.5, 0.3, 0.1),
        (78, (2, 2, 3), 3, 0.02, 0.1, 1e-4),
    ):
        g = _seeded(seed)
        kind = torch.float64 if seed == 78 else torch.float32
        draw = lambda g=g, shape=shape, kind=kind: torch.randn(shape, generator=g).to(kind)  # noqa: E731
        m, v = (0.3 * size * draw(), (size * draw()) ** 2) if step > 1 else (0 * draw(),) * 2
        probes.append((1 + draw(), size * draw(), m, v.clone(), step, lr, decay))
    return probes


def _adamw(
    weight, grad, m, v, step, lr, decay, *, b1=0.9, b2=0.95, eps=1e-5, fair=(True, True),
    late=0, root=True, inside=False, old=False,
):  # fmt: skip
    """AdamW with a part replaced."""
    m_new, v_new = b1 * m + (1 - b1) * grad, b2 * v + (1 - b2) * grad**2
    m_used, v_used = (m, v) if old else (m_new, v_new)
    m_fair = m_used / (1 - torch.tensor(b1) ** (step - late)).to(m) if fair[0] else m_used
    v_fair = v_used / (1 - torch.tensor(b2) ** (step - late)).to(v) if fair[1] else v_used
    size = (v_fair + eps).sqrt() if inside else (v_fair.sqrt() if root else v_fair) + eps
    return weight * (1 - lr * decay) - lr * m_fair / size, m_new, v_new


def no_correction(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(False, False))


def corrects_m_alone(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(True, False))


def corrects_v_alone(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, fair=(False, True))


def counts_steps_from_zero(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, late=1)


def keeps_the_corrected(weight, grad, m, v, step, lr, decay):
    weight, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return weight, m / (1 - 0.9**step), v / (1 - 0.95**step)


def eps_inside_the_root(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, inside=True)


def eps_before_the_correction(weight, grad, m, v, step, lr, decay):
    _, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    rate = lr * (1 - 0.95**step) ** 0.5 / (1 - 0.9**step)
    return weight * (1 - lr * decay) - rate * m / (v.sqrt() + 1e-5), m, v


def usual_eps(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, eps=1e-8)


def usual_beta(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b2=0.999)


def betas_changed_places(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b1=0.95, b2=0.9)


def no_root(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, root=False)


def weights_the_new_gradient_most(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, b1=0.1, b2=0.05)


def never_forgets(weight, grad, m, v, step, lr, decay):
    v = v + grad**2
    m = 0.9 * m + 0.1 * grad
    step_size = lr * m / (1 - 0.9**step)
    return weight * (1 - lr * decay) - step_size / (v.sqrt() + 1e-5), m, v


def one_size_for_the_tensor(weight, grad, m, v, step, lr, decay):
    return _adamw_with_v(weight, grad, m, 0.95 * v + 0.05 * grad.pow(2).mean(), step, lr, decay)


def _adamw_with_v(weight, grad, m, v, step, lr, decay):
    m = 0.9 * m + 0.1 * grad
    size = (v / (1 - 0.95**step)).sqrt() + 1e-5
    return weight * (1 - lr * decay) - lr * m / (1 - 0.9**step) / size, m, v


def uses_the_old_averages(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, decay, old=True)


def decay_in_the_gradient(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad + decay * weight, m, v, step, lr, 0.0)


def decay_without_the_rate(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, 0.0)
    return moved - decay * weight, m, v


def decay_after_the_step(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, 0.0)
    return moved * (1 - lr * decay), m, v


def decay_inside_the_step(weight, grad, m, v, step, lr, decay):
    """The step and the decay both divided by the size."""
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad**2
    size = (v / (1 - 0.95**step)).sqrt() + 1e-5
    return weight - lr * (m / (1 - 0.9**step) + decay * weight) / size, m, v


def decay_outwards(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, -decay)


def no_decay(weight, grad, m, v, step, lr, decay):
    return _adamw(weight, grad, m, v, step, lr, 0.0)


def climbs(weight, grad, m, v, step, lr, decay):
    moved, m, v = _adamw(weight, grad, m, v, step, lr, decay)
    return 2 * weight * (1 - lr * decay) - moved, m, v


def works_in_place(weight, grad, m, v, step, lr, decay):
    m.mul_(0.9).add_(grad, alpha=0.1)
    v.mul_(0.95).addcmul_(grad, grad, value=0.05)
    weight.mul_(1 - lr * decay)
    weight.sub_(lr * (m / (1 - 0.9**step)) / ((v / (1 - 0.95**step)).sqrt() + 1e-5))
    return weight, m, v


ADAMW_STEP = Exercise(
    name="adamw_step",
    title="A step of AdamW",
    points=3,
    minutes=15,
    answer=adamw_step,
    reference=_adamw_step_reference,
    probes=_adamw_step_probes,
    atol=1e-8,
    misconceptions=(
        Misconception(
            no_correction,
            "The two averages start from 0, and you did not correct for that. After the first "
            "step they hold a tenth and a twentieth of what they should.",
        ),
        Misconception(
            corrects_m_alone,
            "You corrected m and not v. Since v is far too small at first, the first steps are "
            "several times too long.",
        ),
        Misconception(
            corrects_v_alone,
            "You corrected v and not m, so the first steps are a fraction of what they should be.",
        ),
        Misconception(
            counts_steps_from_zero,
            "Your correction counts from 0. At step 1 it divides by 1 - beta⁰ = 0, and the weights "
            "are nan from then on. `step` is 1 at the first step.",
        ),
        Misconception(
            keeps_the_corrected,
            "You handed back the corrected averages. They would be corrected again at the next "
            "step: the correction is for use, the plain averages are what is kept.",
        ),
        Misconception(
            eps_inside_the_root,
            "Your eps is under the root, where 1e-5 becomes 3e-3: every gradient below that takes "
            "hardly any step. It is added to the root.",
        ),
        Misconception(
            eps_before_the_correction,
            "You folded both corrections into the rate, and eps now meets the uncorrected root. "
            "That is a shortcut of the first Adam paper, with another eps at every early step.",
        ),
        Misconception(
            usual_eps,
            "That is PyTorch's default, eps = 1e-8. Llama 2 has 1e-5, and where gradients are "
            "as small as that it matters.",
        ),
        Misconception(
            usual_beta,
            "That is PyTorch's default, beta2 = 0.999. Llama 2 has 0.95: it looks back about 20 "
            "steps, not 1,000.",
        ),
        Misconception(
            betas_changed_places,
            "The betas have changed places: 0.9 is for the average of the gradients, 0.95 for "
            "that of their squares.",
        ),
        Misconception(
            no_root,
            "You divided by v itself. v is in squared units; its root is the gradient's size.",
        ),
        Misconception(
            weights_the_new_gradient_most,
            "Your averages keep a tenth of the past and take nine tenths from the new gradient. "
            "Beta is the part of the past that is kept.",
        ),
        Misconception(
            never_forgets,
            "You add up all squares since the beginning (that is Adagrad): v only grows, and the "
            "steps shrink to nothing. Adam's v is an average that forgets.",
        ),
        Misconception(
            one_size_for_the_tensor,
            "You used one mean square for the whole tensor. v has an entry for every weight: that "
            "is what gives each weight a step of its own size.",
        ),
        Misconception(
            uses_the_old_averages,
            "The step uses the averages from before this gradient. At the first step they are 0, "
            "so it goes nowhere. Update them first.",
        ),
        Misconception(
            decay_in_the_gradient,
            "You added the decay to the gradient, as Adam with L2 does. There it is divided by "
            "the gradient's size, and weights with large gradients hardly decay. The W in AdamW "
            "says: not so.",
        ),
        Misconception(
            decay_without_the_rate,
            "Your decay is not multiplied by the rate: with 0.1 every step takes a tenth of every "
            "weight. It is lr times decay times the weight.",
        ),
        Misconception(
            decay_after_the_step,
            "You let the weight decay after the step, so the step itself decays too. It is the "
            "old weight that decays.",
        ),
        Misconception(
            decay_inside_the_step,
            "You divided the decay by the gradient's size, together with m. It stands outside: "
            "the same share of every weight.",
        ),
        Misconception(
            decay_outwards,
            "Your decay pushes weights away from 0. It takes a share away.",
        ),
        Misconception(
            no_decay,
            "There is no decay in it.",
        ),
        Misconception(
            climbs,
            "You went up the gradient. It points to where the loss grows; the step goes the "
            "other way.",
        ),
        Misconception(
            works_in_place,
            "The values are right, but you changed the tensors that you were given. Make new "
            "ones here. (torch's optimizer works in place on purpose, to save memory.)",
        ),
    ),
    hints=(
        "Five lines in the order of the formula: two averages, two corrections, one new weight.",
        "An average that forgets: beta times the old plus (1 - beta) times the new. The "
        "correction divides by how much of the average has been filled: 1 - beta to the power of "
        "the step.",
        "The new weight is the old one, less a share lr · decay of itself, less lr times a "
        "quotient. Keep the plain averages; use the corrected.",
    ),
)


# -- accumulated gradients ------------------------------------------------------------------


def accumulate(model, micro_batches, clip):
    model.zero_grad()
    counted = sum(mask.sum().item() for _, _, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


class _Pairs(nn.Module):
    """A model of two matrices, that has been stepped before: old gradients lie in it. A copy has
    the same ones, and two with the same numbers are equal."""

    def __init__(self, vocab, dim, seed, scale=1.0):
        super().__init__()
        g = _seeded(seed)
        self.embedding = nn.Parameter(scale * torch.randn(vocab, dim, generator=g))
        self.head = nn.Parameter(torch.randn(vocab, dim, generator=g))
        for weight in self.parameters():
            weight.grad = torch.randn(weight.shape, generator=g)

    def forward(self, tokens):
        return self.embedding[tokens].cumsum(1).tanh() @ self.head.T  # (B, T, V)

    def __deepcopy__(self, memo):
        twin = _Pairs(*self.head.shape, 0)
        for mine, theirs in zip(twin.parameters(), self.parameters()):
            mine.data, mine.grad = theirs.data.clone(), copy.deepcopy(theirs.grad)
        return twin

    def __eq__(self, other):
        pairs = zip(self.parameters(), other.parameters())
        return all(torch.equal(a, b) and torch.equal(a.grad, b.grad) for a, b in pairs)

    __hash__ = nn.Module.__hash__


def _accumulate_reference(model, micro_batches, clip):
    """Everything as one graph, with autograd's own call, and the length by hand."""
    total = sum(summed_loss(model(i), t, m) for i, t, m in micro_batches)
    total = total / sum(int(m.sum()) for *_, m in micro_batches)
    grads = torch.autograd.grad(total, list(model.parameters()))
    norm = torch.cat([g.flatten() for g in grads]).norm()
    return total.item(), norm.item(), [g * min(1.0, clip / norm.item()) for g in grads]


def _accumulate_probes():
    """Micro-batches of different sizes and with very different numbers of counted tokens. The
    gradient is longer than `clip`, shorter, and much shorter."""
    probes = []
    for seed, clip, shapes in (
        (80, 0.05, ((2, 7), (3, 4), (1, 5))),
        (81, 50.0, ((1, 9), (4, 3))),
        (82, 0.1, ((2, 5), (1, 3), (3, 6), (2, 2))),
        (83, 1.0, ((3, 4), (2, 8), (1, 6))),
    ):
        g, micro = _seeded(seed), []
        for number, (B, T) in enumerate(shapes):
            tokens = torch.randint(6, (B, T + 1), generator=g)
            mask = torch.rand(B, T, generator=g) < (0.9, 0.25, 0.6, 0.4)[number]
            mask[0, 0] = True
            mask[-1, -1] = number % 2 == 0 and B > 1
            micro.append((tokens[:, :-1].clone(), tokens[:, 1:].clone(), mask))
        probes.append((_Pairs(6, 4, seed), micro, clip))
    return probes


def _accumulated(model, micro_batches, clip, *, weigh=None, masked=True, clear=True, cut=None):
    """With a part replaced. weigh(part's sum, its mask, all masks so far, all) -> its loss."""
    if clear:
        model.zero_grad()
    masks = [mask for *_, mask in micro_batches]
    loss = 0.0
    for number, (inputs, targets, mask) in enumerate(micro_batches):
        part = summed_loss(model(inputs), targets, mask if masked else None)
        counted = sum(int(m.sum()) for m in masks)
        part = part / counted if weigh is None else weigh(part, mask, masks[: number + 1], masks)
        part.backward()
        loss += part.item()
    norm = torch.cat([w.grad.flatten() for w in model.parameters()]).norm().item()
    (cut or _clip_all)(list(model.parameters()), clip)
    return loss, norm, [weight.grad for weight in model.parameters()]


def _clip_all(weights, clip):
    nn.utils.clip_grad_norm_(weights, clip)


def mean_of_means(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, weigh=lambda s, mask, _, masks: s / mask.sum() / len(masks)
    )


def sum_of_means(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, mask, *_: s / mask.sum())


def divides_by_every_place(model, micro_batches, clip):
    return _accumulated(
        model, micro_batches, clip, weigh=lambda s, *ms: s / sum(m.numel() for m in ms[-1])
    )


def learns_every_place(model, micro_batches, clip):
    return _accumulated(
        model,
        micro_batches,
        clip,
        masked=False,
        weigh=lambda s, *ms: s / sum(m.numel() for m in ms[-1]),
    )


def weighs_by_rows(model, micro_batches, clip):
    def weigh(total, mask, _, masks):
        return total / mask.sum() * len(mask) / sum(len(m) for m in masks)

    return _accumulated(model, micro_batches, clip, weigh=weigh)


def divides_by_the_count_so_far(model, micro_batches, clip):
    def weigh(total, mask, so_far, masks):
        return total / sum(m.sum() for m in so_far)

    return _accumulated(model, micro_batches, clip, weigh=weigh)


def divides_by_the_number_of_parts(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, mask, _, masks: s / len(masks))


def divides_nothing(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, weigh=lambda s, *_: s)


def clears_every_time(model, micro_batches, clip):
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        model.zero_grad()
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        loss += part.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


def never_clears(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, clear=False)


def clips_every_part(model, micro_batches, clip):
    model.zero_grad()
    counted = sum(int(mask.sum()) for *_, mask in micro_batches)
    loss = 0.0
    for inputs, targets, mask in micro_batches:
        part = summed_loss(model(inputs), targets, mask) / counted
        part.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), clip)
        loss += part.item()
    return loss, norm.item(), [weight.grad for weight in model.parameters()]


def clips_every_matrix(model, micro_batches, clip):
    def cut(weights, clip):
        for weight in weights:
            nn.utils.clip_grad_norm_([weight], clip)

    return _accumulated(model, micro_batches, clip, cut=cut)


def clips_every_number(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, cut=nn.utils.clip_grad_value_)


def always_stretches(model, micro_batches, clip):
    def cut(weights, clip):
        norm = torch.cat([w.grad.flatten() for w in weights]).norm()
        for weight in weights:
            weight.grad *= clip / norm

    return _accumulated(model, micro_batches, clip, cut=cut)


def does_not_clip(model, micro_batches, clip):
    return _accumulated(model, micro_batches, clip, cut=lambda weights, clip: None)


def length_after_clipping(model, micro_batches, clip):
    loss, norm, grads = _accumulated(model, micro_batches, clip)
    return loss, min(norm, clip), grads


def loss_of_the_last_part(model, micro_batches, clip):
    _, norm, grads = _accumulated(model, micro_batches, clip)
    inputs, targets, mask = micro_batches[-1]
    return (summed_loss(model(inputs), targets, mask) / mask.sum()).item(), norm, grads


ACCUMULATE = Exercise(
    name="accumulate",
    title="A batch in pieces",
    points=5,
    minutes=30,
    answer=accumulate,
    reference=_accumulate_reference,
    probes=_accumulate_probes,
    rtol=1e-4,
    atol=1e-6,
    misconceptions=(
        Misconception(
            mean_of_means,
            "You averaged the means of the pieces. A token in a piece with few counted tokens "
            "then pulls harder than one in a full piece, and the step depends on how the batch "
            "was cut.",
        ),
        Misconception(
            sum_of_means,
            "You added the means of the pieces and never divided: the gradient grows with their "
            "number. Adam shrugs at a constant factor, clipping does not: you clip that many "
            "times as hard (karpathy/nanoGPT#168).",
        ),
        Misconception(
            divides_by_every_place,
            "You divided by all places, counted or not. The loss looks smaller than it is, the "
            "more so the more is masked.",
        ),
        Misconception(
            learns_every_place,
            "The masks have no effect: places that are not to be learned have pulled at the "
            "weights.",
        ),
        Misconception(
            weighs_by_rows,
            "You weighed the pieces by their rows. What must count alike is a token, and rows "
            "hold different numbers of counted ones.",
        ),
        Misconception(
            divides_by_the_count_so_far,
            "You divided each piece by the tokens counted so far. The first piece was divided by "
            "too few and pulls too hard. All masks have to be counted before the first backward.",
        ),
        Misconception(
            divides_by_the_number_of_parts,
            "You added up the tokens' losses and divided by the number of pieces. The number to "
            "divide by is that of the counted tokens.",
        ),
        Misconception(
            divides_nothing,
            "Those are sums. Divide by the number of tokens counted in all pieces together.",
        ),
        Misconception(
            clears_every_time,
            "You cleared the gradients for every piece, so that only the last one's are left. "
            "`backward` adds to what lies in .grad: clear once, before the first.",
        ),
        Misconception(
            never_clears,
            "You never cleared the gradients, and those of the step before are still in the sum.",
        ),
        Misconception(
            clips_every_part,
            "You clipped after every piece: what comes first is shortened again and again. The "
            "limit is for the whole sum, once.",
        ),
        Misconception(
            clips_every_matrix,
            "You clipped each weight tensor by itself, which turns the step into another "
            "direction. One length for all of them together, one factor.",
        ),
        Misconception(
            clips_every_number,
            "You cut off single numbers at ±clip. That bends the direction; clipping by length "
            "multiplies everything by one factor.",
        ),
        Misconception(
            always_stretches,
            "You always scale to the length `clip`, short gradients too. A gradient that has "
            "become small is good news: leave it alone.",
        ),
        Misconception(
            does_not_clip,
            "Nothing is clipped: where the length is above `clip` the gradients must be scaled "
            "down to it.",
        ),
        Misconception(
            length_after_clipping,
            "That is the length after clipping, which says nothing: it is `clip` whenever it "
            "matters. The length before is what warns you of a run going wrong.",
        ),
        Misconception(
            loss_of_the_last_part,
            "The gradients are right, but the loss that you return is the last piece's alone.",
        ),
    ),
    hints=(
        "Write down the loss of the whole batch, as one fraction. Which part of it can each piece "
        "compute by itself, and which number must be known before the first piece?",
        "`backward` adds. So: clear once; for each piece the sum of its counted losses, divided "
        "by the count of ALL pieces, then backward; clip once at the end.",
        "`nn.utils.clip_grad_norm_` takes all parameters and returns the length before clipping.",
    ),
)


EXERCISES = (PACK, MASKED_LOSS, ADAMW_STEP, COSINE_RATE, ACCUMULATE)


# -- the quiz -------------------------------------------------------------------------------

QUIZ = (
    Question(
        "too_surprised",
        "Your vocabulary has 32,000 pieces. The first loss of a fresh model is 14.9. What now?",
        (
            Option(
                "Train on: the loss is always high at first",
                "High, but not as high as that: who knows nothing is surprised by ln 32,000 = "
                "10.4 on average. 14.9 takes being sure of the wrong thing, and a fresh model has "
                "no business being sure.",
            ),
            Option(
                "Stop: it is surer than one who knows nothing, and wrong",
                "Look at the head's initial weights, at a softmax done twice or not at all, at "
                "arithmetic that is broken on this device.",
                right=True,
            ),
            Option(
                "Lower the learning rate",
                "No step has been taken yet. Nothing about the optimizer can be in this number.",
            ),
        ),
    ),
    Question(
        "why_warm_up",
        "Adam divides by the size of the gradient, and it corrects its averages for having begun "
        "at 0. Why is there a warm-up all the same?",
        (
            Option(
                "Because the correction is not exact",
                "It is exact. After one step the corrected averages are the gradient and its "
                "square, to the last digit.",
            ),
            Option(
                "Because gradients are small at the beginning",
                "Then Adam would make up for it: it divides by their size. A gradient ten times "
                "as small gives the same step.",
            ),
            Option(
                "Because after one step the average is one gradient: its direction is hardly "
                "known, and every weight moves by the whole rate nevertheless",
                "m over the root of v is ±1 then, for every weight. Later, where gradients "
                "disagree, m is much smaller than the root of v, and the step with it.",
                right=True,
            ),
        ),
    ),
    Question(
        "whose_mean",
        "Two micro-batches: one has 10 counted tokens, the other 90. You average their two mean "
        "losses. How much does a token in the first weigh, compared with one in the second?",
        (
            Option(
                "The same: it is an average",
                "Of the pieces, not of the tokens. Each piece has half of the say, and in the "
                "first ten tokens share that half.",
            ),
            Option(
                "Nine times as much",
                "Half the say over 10 tokens is a twentieth each; over 90 it is a hundred and "
                "eightieth.",
                right=True,
            ),
            Option(
                "A ninth",
                "The other way round: where fewer share the same half, each has more of it.",
            ),
        ),
    ),
    Question(
        "past_the_optimum",
        "For the compute that 7B cost, a larger model on fewer tokens would probably have reached "
        "a lower loss. Why train 7B on 2 trillion tokens then?",
        (
            Option(
                "It was a mistake that was only understood later",
                "Chinchilla's rule was known for more than a year by then. It answers another "
                "question: what is cheapest to train.",
            ),
            Option(
                "Because the loss of a small model stops falling otherwise",
                "It is the other way round: the paper sees no saturation even at 2 trillion, so "
                "there was still something to gain.",
            ),
            Option(
                "Training is paid once; every answer is paid for with the model's size",
                "A model that is used a lot should be small, and trained past the point that is "
                "cheapest for training alone.",
                right=True,
            ),
        ),
    ),
    Question(
        "two_curves",
        "The training loss falls and falls. The loss on held-out text fell, and now rises. What "
        "is happening?",
        (
            Option(
                "The learning rate is too high",
                "Then the training loss would suffer too: it jumps, or stays high.",
            ),
            Option(
                "The model learns its training text by heart",
                "What it stores about those very sentences makes it surer of itself, also where "
                "the text goes on differently. More text helps, or stopping where the held-out "
                "curve is lowest.",
                right=True,
            ),
            Option(
                "The held-out text is harder",
                "That would make a gap that stays. It would not make the curve turn upwards.",
            ),
        ),
    ),
)
