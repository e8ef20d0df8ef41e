"""Notebook 08, exercise 1: Temperature."""

import torch

from llamalab import sampling
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def temperature_softmax(logits, temperature):
    logits = logits.float()
    if temperature == 0:
        best = logits.argmax(dim=-1, keepdim=True)  # (..., 1)
        return torch.zeros_like(logits).scatter(-1, best, 1.0)
    return (logits / temperature).softmax(dim=-1)


def _temperature_reference(logits, temperature):
    return sampling.probabilities(logits, temperature=temperature)


def _temperature_probes():
    """One row, rows, a batch of rows; 1, below, above, 0, nearly 0; at 0, two logits that are
    neighbours among floats; logits whose exp is infinite, and rows far apart; 16 bits, one of them
    with a quotient that 16 bits cannot hold."""
    g = seeded(80)
    close = torch.tensor([[1.0, 1.015625, -2.0, 0.5], [3.0, 2.0, 3.0078125, 1.0]])
    low = torch.tensor(1e-7)
    nearly = torch.tensor([[-3.0, 0.0, 0.0, -0.5], [0.0, -2.0, -1.0, 0.0]])
    nearly[0, 1], nearly[0, 2] = low, low.nextafter(torch.tensor(1.0))
    nearly[1, 3], nearly[1, 0] = low, low.nextafter(torch.tensor(1.0))
    return [
        (torch.randn(3, 7, generator=g), 1.0),
        (torch.randn(2, 3, 5, generator=g), 0.5),
        (3 * torch.randn(6, generator=g), 2.5),
        (torch.randn(4, 6, generator=g), 0),
        (90 + 20 * torch.rand(2, 4, generator=g), 0.7),
        (close, 0.0078125),
        (nearly, 0),
        (torch.randn(2, 5, generator=g) + torch.tensor([[0.0], [-400.0]]), 1.5),
        ((2 * torch.randn(3, 8, generator=g)).bfloat16(), 0.7),
        (torch.tensor([[60.0, 80.0, 79.9375, -9.0, 1.0]]).half(), 1e-3),
        (torch.randn(2, 5, generator=g).half(), 0),
    ]


def _greedy(logits):
    """Everything on the largest of each row, for the wrong answers that have this right."""
    return torch.zeros_like(logits.float()).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)


MULTIPLIED = (
    "You multiplied by the temperature. Then a high one sharpens and a low one flattens, and "
    "nearly 0 makes all tokens equal: the wrong way round."
)
DIVIDED = (
    "You divided the probabilities. They no longer sum to 1, and all of them shrink alike. It "
    "is the logits that are divided, before the softmax."
)
CANCELLED = (
    "The temperature cancels out, and nothing has changed: it was taken off every logit (only "
    "differences count), or the probabilities were divided and their sum made 1 again. Divide the "
    "logits, before the softmax."
)
WRONG_AXIS = (
    "Your softmax runs down the rows: the rows of a batch compete with each other. It is "
    "the tokens, the last axis, that share the 1."
)
NOT_GREEDY = (
    "At temperature 0 you divide by something small instead. Two logits that are close enough "
    "then still share the probability, however small it is. 0 is a case of its own: the largest "
    "gets everything."
)


@wrong(MULTIPLIED)
def multiplies_by_temperature(logits, temperature):
    return (logits.float() * temperature).softmax(-1)


@wrong(MULTIPLIED)
def multiplies_and_knows_greedy(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    return (logits.float() * temperature).softmax(-1)


@wrong(
    "You raised the probabilities to the power T and made their sum 1: that multiplies the "
    "logits. The power is 1/T, and dividing the logits does it."
)
def raises_to_the_temperature(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    powers = logits.float().softmax(-1) ** temperature
    return powers / powers.sum(-1, keepdim=True)


@wrong(DIVIDED)
def divides_the_probabilities(logits, temperature):
    return logits.float().softmax(-1) / temperature


@wrong(DIVIDED)
def divides_the_probabilities_and_knows_greedy(logits, temperature):
    return _greedy(logits) if temperature == 0 else logits.float().softmax(-1) / temperature


@wrong(CANCELLED)
def cancels_itself_out(logits, temperature):
    probs = logits.float().softmax(-1) / temperature
    return probs / probs.sum(-1, keepdim=True)


@wrong(CANCELLED)
def cancels_itself_out_and_knows_greedy(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    probs = logits.float().softmax(-1) / temperature
    return probs / probs.sum(-1, keepdim=True)


AMONG_PROBABILITIES = (
    " (And at 0 look for the largest among the logits: two of them that are neighbours have the "
    "same probability, once that is rounded.)"
)


@wrong(CANCELLED + AMONG_PROBABILITIES)
def cancels_itself_out_and_chooses_among_probabilities(logits, temperature):
    probs = logits.float().softmax(-1)
    if temperature == 0:
        return _greedy(probs)
    probs = probs / temperature
    return probs / probs.sum(-1, keepdim=True)


@wrong(DIVIDED + AMONG_PROBABILITIES)
def divides_the_probabilities_and_chooses_among_them(logits, temperature):
    probs = logits.float().softmax(-1)
    return _greedy(probs) if temperature == 0 else probs / temperature


@wrong(
    "At temperature 0 you look for the largest among probabilities. Two logits that are neighbours "
    "have the same probability, once that is rounded, and the first of them wins: choose among the "
    "logits."
)
def chooses_among_probabilities_at_zero(logits, temperature):
    if temperature == 0:
        return _greedy(logits.float().softmax(-1))
    return (logits.float() / temperature).softmax(-1)


@wrong(
    "Softmax twice, with the division between the two. The first makes numbers between 0 and 1, "
    "and the second finds them nearly equal. Divide the logits; one softmax."
)
def softmax_before_and_after(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    return (logits.float().softmax(-1) / temperature).softmax(-1)


@wrong(
    "At temperature 0 you divide by 0, and get nan. 0 is not a division: it means the largest "
    "logit, with probability 1."
)
def divides_by_zero(logits, temperature):
    return (logits.float() / temperature).softmax(-1)


@wrong(
    "At temperature 0 yours does as at 1. `temperature or 1.0` looks harmless, and 0 counts as "
    "False. Whoever asks for 0 wants no chance at all."
)
def zero_means_one(logits, temperature):
    return (logits.float() / (temperature or 1.0)).softmax(-1)


@wrong(NOT_GREEDY)
def stops_just_above_zero(logits, temperature):
    return (logits.float() / max(temperature, 1e-5)).softmax(-1)


@wrong(NOT_GREEDY)
def adds_a_little(logits, temperature):
    return (logits.float() / (temperature + 1e-8)).softmax(-1)


@wrong(NOT_GREEDY)
def adds_a_little_more(logits, temperature):
    return (logits.float() / (temperature + 1e-6)).softmax(-1)


@wrong(NOT_GREEDY)
def stops_at_a_hundredth(logits, temperature):
    return (logits.float() / max(temperature, 0.01)).softmax(-1)


@wrong(
    "You are greedy at small temperatures too. Two logits that lie close together share the "
    "probability even at 0.008; only 0 itself means the largest."
)
def greedy_too_early(logits, temperature):
    return _greedy(logits) if temperature < 0.01 else (logits.float() / temperature).softmax(-1)


ONE_WINNER = (
    "At temperature 0 you crowned one token of the whole batch. Every row has a largest logit of "
    "its own: over the last axis."
)


@wrong(ONE_WINNER)
def equal_to_the_largest_of_all(logits, temperature):
    if temperature == 0:
        return (logits == logits.max()).float()
    return (logits.float() / temperature).softmax(-1)


@wrong(ONE_WINNER)
def one_winner_for_all_rows(logits, temperature):
    if temperature == 0:
        best = torch.zeros(logits.numel())
        best[logits.argmax()] = 1.0
        return best.view_as(logits)
    return (logits.float() / temperature).softmax(-1)


@wrong(
    "You never go below a temperature of 0.1. Two logits that lie close together then still "
    "share the probability, and 0 is no longer greedy."
)
def stops_at_a_tenth(logits, temperature):
    return (logits.float() / max(temperature, 0.1)).softmax(-1)


@wrong(
    "At temperature 0 you return the winner's id. Whoever calls this function expects "
    "probabilities, as for every other temperature: 1 for the winner, 0 for the rest."
)
def hands_back_the_winner(logits, temperature):
    if temperature == 0:
        return logits.argmax(-1)
    return (logits.float() / temperature).softmax(-1)


@wrong(
    "At temperature 0 you return whole numbers, which is what `one_hot` gives. Probabilities are "
    "float32, here as everywhere: `.float()`."
)
def whole_numbers_at_zero(logits, temperature):
    return (
        _greedy(logits).long() if temperature == 0 else (logits.float() / temperature).softmax(-1)
    )


@wrong(WRONG_AXIS)
def softmax_over_axis_0(logits, temperature):
    return _greedy(logits) if temperature == 0 else (logits.float() / temperature).softmax(0)


@wrong(WRONG_AXIS)
def softmax_over_axis_1(logits, temperature):
    return _greedy(logits) if temperature == 0 else (logits.float() / temperature).softmax(1)


@wrong(WRONG_AXIS)
def softmax_over_axis_minus_2(logits, temperature):
    return _greedy(logits) if temperature == 0 else (logits.float() / temperature).softmax(-2)


@wrong(WRONG_AXIS)
def softmax_down_the_rows(logits, temperature):
    logits = logits.float()
    if temperature == 0:
        return torch.zeros_like(logits).scatter(0, logits.argmax(0, keepdim=True), 1.0)
    return (logits / temperature).softmax(0)


@wrong("You took one softmax over the whole batch. Each row is a distribution of its own.")
def one_softmax_for_all_rows(logits, temperature):
    flat = logits.float().flatten()
    if temperature == 0:
        return torch.zeros_like(flat).scatter(0, flat.argmax(0, True), 1.0).view_as(logits)
    return (flat / temperature).softmax(0).view_as(logits)


@wrong("You made the sum of the whole batch 1. Each row is a distribution of its own.")
def one_sum_for_all_rows(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    return (logits.float() / temperature).flatten().softmax(0).view_as(logits)


@wrong(
    "You took the largest logit of the whole batch away from every row. A row that lies far below"
    " it underflows: 0/0, nan. Each row's own largest, with keepdim=True."
)
def takes_the_batch_s_largest_away(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    scaled = logits.float() / temperature
    raised = (scaled - scaled.max()).exp()
    return raised / raised.sum(-1, keepdim=True)


@wrong(
    "You wrote the softmax out, and above 88 exp is infinite in float32: nan. Take the row's "
    "largest away first, or leave it to `softmax`, which does."
)
def exp_too_large(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    raised = (logits.float() / temperature).exp()
    return raised / raised.sum(-1, keepdim=True)


@wrong(
    "You computed in the 16 bits that came in. A low temperature makes large quotients, and "
    "float16 ends at 65,504: nan. Go to float32 first."
)
def stays_in_16_bits(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    return (logits / temperature).softmax(-1).float()


@wrong(
    "What you return is in the 16 bits that came in, and so was all that led to it. Go to float32"
    " first: `logits.float()`."
)
def leaves_16_bits(logits, temperature):
    return _greedy(logits) if temperature == 0 else (logits / temperature).softmax(-1)


@wrong(
    "You divided in 16 bits and went to float32 after that. What was rounded, or had become "
    "infinite, stays so."
)
def divides_in_16_bits(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    return (logits / temperature).float().softmax(-1)


@wrong(
    "You turned the result back into 16 bits. Rounded like that, a thousand probabilities no "
    "longer sum to 1. Return float32."
)
def gives_16_bits_back(logits, temperature):
    wide = logits.float()
    if temperature == 0:
        wide = torch.eye(logits.shape[-1])[wide.argmax(-1)]
    else:
        wide = (wide / temperature).softmax(-1)
    return wide.to(logits.dtype)


@wrong(
    "Those are the logarithms of the probabilities. They are good to add up; to draw from them,"
    " they have to be probabilities."
)
def logarithms(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)].log()
    return (logits.float() / temperature).log_softmax(-1)


@wrong(
    "Those are the logarithms of the probabilities (`log_softmax`). To draw from them, they have "
    "to be probabilities."
)
def logarithms_but_not_at_zero(logits, temperature):
    return _greedy(logits) if temperature == 0 else (logits.float() / temperature).log_softmax(-1)


@wrong(
    "You divided in place. `.float()` makes a copy only if it has to: float32 logits are the "
    "caller's own, and now they are scaled. `/`, not `/=`."
)
def divides_in_place(logits, temperature):
    if temperature == 0:
        return torch.eye(logits.shape[-1])[logits.argmax(-1)]
    wide = logits.float()
    wide /= temperature
    return wide.softmax(-1)


@wrong(
    "You took something off the logits in place, with `-=`. `.float()` makes a copy only if it has "
    "to: float32 logits are the caller's own, and now they are others. `z = z - …` makes new ones."
)
def subtracts_in_place(logits, temperature):
    if temperature == 0:
        return _greedy(logits)
    wide = logits.float()
    wide -= wide.amax(-1, keepdim=True)
    return (wide / temperature).softmax(-1)


EXERCISE = Exercise(
    name="temperature",
    title="Temperature",
    points=2,
    minutes=8,
    answer=temperature_softmax,
    reference=_temperature_reference,
    probes=_temperature_probes,
    misconceptions=wrong.all,
    hints=(
        "What has to change are the differences between logits, not the logits' sum. Softmax "
        "turns differences into ratios.",
        "Two cases. 0 is no division: which token gets everything? Otherwise divide, then "
        "softmax over the last axis, in float32.",
        "For the case 0: a tensor of zeros, and a 1 at the `argmax` of each row. `scatter` puts "
        "it there; so does `torch.nn.functional.one_hot`, in whole numbers.",
    ),
)
