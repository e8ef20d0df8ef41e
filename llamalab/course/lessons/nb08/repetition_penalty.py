"""Notebook 08, exercise 4: The repetition penalty."""

import torch

from llamalab import sampling
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def repetition_penalty(logits, seen, penalty):
    old = logits.gather(-1, seen)  # (B, N): the logits of what was written
    new = torch.where(old > 0, old / penalty, old * penalty)
    return logits.scatter(-1, seen, new)  # an id that comes twice is written twice, the same


def _penalty_reference(logits, seen, penalty):
    return sampling.penalize_repeats(logits, seen, penalty)


def _penalty_probes():
    """Logits of both signs; ids that come twice and three times; rows that have seen other
    things; a penalty below 1, and 1; an id that a filter has put out already."""
    g = seeded(83)

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


@wrong(
    "You divided negative logits too. -6 / 1.5 is -4, which is more: for those tokens the "
    "penalty is a reward, and the larger it is, the more they come."
)
def divides_all_that_were_seen(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) / penalty)


@wrong(
    "The wrong way round: positive logits grow, negative ones come closer to 0. What was "
    "written before becomes likelier."
)
def rewards_repeats(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(old > 0, old * penalty, old / penalty))


@wrong(
    "You subtracted. That is a rule too (OpenAI's presence penalty), and a better behaved one, "
    "but not this: here a penalty of 1 must change nothing."
)
def subtracts_the_penalty(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) - penalty)


@wrong(
    "You subtracted penalty - 1: a flat sum, as OpenAI's presence penalty is, so 6 and 0.1 lose "
    "alike. Here a positive logit is divided and a negative one multiplied."
)
def subtracts_the_penalty_less_1(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) - (penalty - 1))


@wrong(
    "You subtracted penalty - 1, and once for each time that a token was seen (OpenAI's frequency "
    "penalty). Here a positive logit is divided, a negative one multiplied, once."
)
def subtracts_the_penalty_less_1_for_each_time(logits, seen, penalty):
    often = torch.zeros_like(logits).scatter_add(-1, seen, torch.ones_like(seen).to(logits))
    return logits - (penalty - 1) * often


@wrong(
    "You subtracted, and once for each time that a token was seen (OpenAI's frequency penalty). "
    "Here a positive logit is divided, a negative one multiplied, once."
)
def subtracts_for_each_time(logits, seen, penalty):
    often = torch.zeros_like(logits).scatter_add(-1, seen, torch.ones_like(seen).to(logits))
    return logits - penalty * often


@wrong(
    "You divided the positive ones and SUBTRACTED from the negative ones. The other half of this "
    "rule is a product: -6 becomes -6 · 1.5."
)
def subtracts_from_the_negative(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(old > 0, old / penalty, old - penalty))


@wrong(
    "You multiplied all that was seen. 3 · 1.5 is 4.5: positive logits grow, and those tokens are"
    " called for. Divide where it is positive."
)
def multiplies_all_that_were_seen(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen) * penalty)


@wrong(
    "You take the same share of its size off every logit. For a negative one the rule is to "
    "multiply by the penalty, -3 · 1.5 = -4.5, which takes off more."
)
def takes_off_a_share(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, old - old.abs() * (1 - 1 / penalty))


@wrong(
    "You subtracted the logarithm of the penalty, which divides the probability by it. It would"
    " make sense; the rule in use divides or multiplies the logit."
)
def subtracts_its_logarithm(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, old - torch.tensor(penalty).log())


@wrong(
    "You penalize a token once for each time that it was seen. In a long text every `the` would"
    " be gone for good. Seen is seen: once."
)
def once_for_each_time(logits, seen, penalty):
    logits = logits.clone()
    for row in range(seen.shape[0]):
        for token in seen[row].tolist():
            old = logits[row, token]
            logits[row, token] = old / penalty if old > 0 else old * penalty
    return logits


@wrong(
    "You penalize in every row what was seen in any. What one text of the batch has written is "
    "no concern of the others."
)
def all_rows_for_each(logits, seen, penalty):
    logits = logits.clone()
    ids = seen.unique()
    old = logits[:, ids]
    logits[:, ids] = torch.where(old > 0, old / penalty, old * penalty)
    return logits


@wrong(
    "You penalize in every row what the FIRST one has seen. Each row has its own `seen`: `gather`"
    " and `scatter` take it row by row."
)
def the_first_row_s_for_all(logits, seen, penalty):
    bent = torch.where(logits > 0, logits / penalty, logits * penalty)
    return bent.where(torch.zeros_like(logits).index_fill(-1, seen[0], 1.0) > 0, logits)


@wrong(
    "You return only the logits that were bent, (B, N). All V belong back, the bent ones among "
    "them: `scatter`."
)
def gives_the_bent_ones_alone(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return torch.where(old > 0, old / penalty, old * penalty)


@wrong("You look at the last token alone. A loop is mostly longer than one token.")
def the_last_token_only(logits, seen, penalty):
    old = logits.gather(-1, seen[:, -1:])
    return logits.scatter(-1, seen[:, -1:], torch.where(old > 0, old / penalty, old * penalty))


@wrong("You penalize the tokens that were NOT seen, and so call for repeats.")
def penalizes_the_new(logits, seen, penalty):
    bent = torch.where(logits > 0, logits / penalty, logits * penalty)
    return bent.scatter(-1, seen, logits.gather(-1, seen))


@wrong("You bent all logits, seen or not. That is a kind of temperature, not a penalty.")
def penalizes_everything(logits, seen, penalty):
    return torch.where(logits > 0, logits / penalty, logits * penalty)


@wrong(
    "You forbid what was seen altogether. No text lasts long without a second `the` or a second"
    " full stop."
)
def forbids_repeats(logits, seen, penalty):
    return logits.scatter(-1, seen, -float("inf"))


@wrong("You lost the sign: a logit of -6 has become +4.")
def loses_the_sign(logits, seen, penalty):
    return logits.scatter(-1, seen, logits.gather(-1, seen).abs() / penalty)


@wrong(
    "You turned the logits into probabilities first. The rule is about logits; the softmax "
    "comes later, behind temperature and filters."
)
def penalty_on_probabilities(logits, seen, penalty):
    probs = logits.softmax(-1)
    return probs.scatter(-1, seen, probs.gather(-1, seen) / penalty)


@wrong(
    "You turned the logits into probabilities, divided, and made the sum 1 again. The rule is "
    "about logits, and logits are what is handed on."
)
def penalty_on_probabilities_with_the_sum_1(logits, seen, penalty):
    probs = logits.softmax(-1)
    probs = probs.scatter(-1, seen, probs.gather(-1, seen) / penalty)
    return probs / probs.sum(-1, keepdim=True)


@wrong(
    "You took logarithms of probabilities first. They are never positive, so everything is "
    "multiplied: another rule (and the better one), but not this one."
)
def penalty_on_log_probabilities(logits, seen, penalty):
    logits = logits.log_softmax(-1)
    old = logits.gather(-1, seen)
    return logits.scatter(-1, seen, torch.where(old > 0, old / penalty, old * penalty))


@wrong(
    "The values are right, but you wrote them into the logits that you were given, by `scatter_` "
    "or by an assignment to `logits[…]`. `clone()` them first; `scatter`, without the underscore, "
    "makes a copy by itself."
)
def penalizes_in_place(logits, seen, penalty):
    old = logits.gather(-1, seen)
    return logits.scatter_(-1, seen, torch.where(old > 0, old / penalty, old * penalty))


@wrong("Every row of yours is the first row's. Each text has its own logits.")
def the_caller_s_own(logits, seen, penalty):
    """The bug of a loop over rows that all are one tensor."""
    bent = logits[0].clone()
    old = bent[seen[0]]
    bent[seen[0]] = torch.where(old > 0, old / penalty, old * penalty)
    return bent.expand_as(logits).clone()


EXERCISE = Exercise(
    name="repetition_penalty",
    title="The repetition penalty",
    points=2,
    minutes=8,
    answer=repetition_penalty,
    reference=_penalty_reference,
    probes=_penalty_probes,
    misconceptions=wrong.all,
    hints=(
        "A smaller logit is what is wanted. Which of division and multiplication makes 6 "
        "smaller, and which -6, if the penalty is 1.5?",
        "Take out the logits of what was seen, bend them by their sign, put them back. Rows have "
        "seen different things.",
        "`gather` takes out, `scatter` puts back, both along the last axis and with `seen` as "
        "index. Read all before you write any, and an id that comes twice counts once.",
    ),
)
