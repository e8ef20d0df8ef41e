"""Notebook 11, exercise 3: Advantages by GAE."""

import torch

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded
from llamalab.course.lessons.nb11.common import lengths

wrong = WrongAnswers()


def gae(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    following = advantage = torch.zeros_like(rewards[:, 0])  # (B,)
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following - values[:, t]
        advantage = surprise + gamma * lam * advantage
        following = values[:, t]
        advantages[:, t] = advantage
    return advantages, advantages + values


def _gae_reference(rewards, values, gamma, lam, mask):
    return alignment.gae(rewards, values, gamma, lam, mask)


def _gae_probes():
    """Answers of every length, full ones, one token; gamma and lam different, each 1 and 0 once;
    numbers in the padding, where values have been read but no token stands."""
    g = seeded(112)

    def given(mask, gamma, lam):
        rewards = torch.randn(*mask.shape, generator=g)
        values = torch.randn(*mask.shape, generator=g)
        return rewards, values, gamma, lam, mask

    return [
        given(lengths(4, 6, 2, places=6), 0.9, 0.5),
        given(lengths(5, 3, 1, 4, places=5), 0.97, 0.8),
        given(lengths(7, 7, places=7), 0.6, 0.95),
        given(lengths(3, 2, places=4), 1.0, 0.95),
        given(lengths(1, places=1), 0.9, 0.7),
        given(lengths(4, 2, places=5), 0.8, 1.0),
        given(lengths(2, 4, places=6), 0.9, 0.0),
    ]


def _gae(rewards, values, gamma, lam, mask, *, step=None, carry=None, end=None, masked=True):
    """The recursion, with its parts to be replaced: step(r, v, next v), carry of the advantage,
    end (the value behind the last column)."""
    if masked:
        rewards, values = rewards * mask, values * mask
    carry = gamma * lam if carry is None else carry
    following = torch.zeros_like(values[:, 0]) if end is None else end
    advantage, found = torch.zeros_like(values[:, 0]), []
    for t in reversed(range(rewards.shape[1])):
        r, v = rewards[:, t], values[:, t]
        surprise = r + gamma * following - v if step is None else step(r, v, following)
        advantage = surprise + carry * advantage
        following = v
        found.insert(0, advantage)
    return torch.stack(found, 1)


def _both(advantages, values, mask):
    advantages = advantages * mask
    return advantages, advantages + values * mask


@wrong(
    "lam discounts the next value, and gamma alone carries the advantage on: the two have changed "
    "places. gamma is in both, lam only where A_{t+1} comes in."
)
def gamma_and_lam_exchanged(rewards, values, gamma, lam, mask):
    found = _gae(
        rewards, values, gamma, lam, mask, step=lambda r, v, n: r + lam * n - v, carry=gamma
    )
    return _both(found, values, mask)


@wrong(
    "lam is in the one-step surprise too. That is r_t + gamma V_{t+1} - V_t: what was got, and "
    "what is now expected, less what was expected. lam only decides how far to look."
)
def lam_in_the_surprise(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + gamma * lam * n - v)
    return _both(found, values, mask)


@wrong(
    "The next value is not discounted. Without gamma it counts in full, while the advantage behind "
    "it is discounted: the two no longer telescope."
)
def next_value_not_discounted(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + n - v)
    return _both(found, values, mask)


@wrong("You carried the advantage on by lam alone. A step costs gamma as well: gamma lam A_{t+1}.")
def carried_by_lam_alone(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, carry=lam), values, mask)


@wrong(
    "You carried the advantage on by gamma alone, as if lam were 1: that trusts the drawn rewards "
    "and is as noisy as they are."
)
def carried_by_gamma_alone(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, carry=gamma), values, mask)


@wrong(
    "Nothing is carried on: your advantage is the one-step surprise, as if lam were 0. A score at "
    "the end then reaches the last token and no other."
)
def carries_nothing(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, carry=0.0), values, mask)


@wrong(
    "You went through the answer from the left, so the past is carried into the present. A token "
    "is answerable for what comes AFTER it: start at the end."
)
def from_the_left(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    following = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), 1)
    surprise = rewards + gamma * following - values
    advantage, found = torch.zeros_like(values[:, 0]), []
    for t in range(rewards.shape[1]):
        advantage = surprise[:, t] + gamma * lam * advantage
        found.append(advantage)
    return _both(torch.stack(found, 1), values, mask)


@wrong(
    "The values stand the wrong way round: gamma V_t - V_{t+1}. The next one is gained, this one "
    "is given up for it."
)
def values_the_wrong_way_round(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + gamma * v - n)
    return _both(found, values, mask)


@wrong(
    "The value that was expected is not taken away. What is left is no advantage: every token of "
    "an answer that goes well looks good, the bad ones too."
)
def expects_nothing(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + gamma * n)
    return _both(found, values, mask)


@wrong(
    "You left the next value out. What is still to come is then seen only through what does come: "
    "r_t - V_t blames every token that is not paid at once."
)
def nothing_to_come(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r - v)
    return _both(found, values, mask)


PADDING = (
    "What stands in the padding reached the last token: its next value is not 0 with you, but the "
    "value read behind the end. Put rewards and values to 0 where the mask is, BEFORE you begin."
)


@wrong(PADDING)
def masks_at_the_end(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, masked=False), values, mask)


@wrong(
    "The mask has no effect. The advantages of padding are carried back into the answer, and stand "
    "in the result besides, where they would be whitened and averaged along."
)
def ignores_the_mask(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, masked=False)
    return found, found + values


@wrong(
    "You masked the rewards and not the values. The last token's next value is then one that was "
    "read in the padding."
)
def masks_the_rewards_alone(rewards, values, gamma, lam, mask):
    found = _gae(rewards * mask, values, gamma, lam, mask, masked=False)
    return _both(found, values, mask)


@wrong(
    "Behind the last column you went on with that column's own value, as if the game continued. "
    "It is over: the next value is 0."
)
def goes_on_behind_the_end(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, end=(values * mask)[:, -1])
    return _both(found, values, mask)


@wrong(
    "`roll` goes round in a circle: the last place's next value is the first place's. Behind the "
    "end there is 0."
)
def next_value_in_a_circle(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, end=(values * mask)[:, 0])
    return _both(found, values, mask)


@wrong(
    "The advantages are right. The returns are not: advantage plus VALUE, what is expected plus by "
    "how much it was better. You added the rewards."
)
def returns_from_rewards(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return found, found + rewards * mask


@wrong(
    "The advantages are right. The returns are not: you gave the advantages again. The value model "
    "would learn what is better than expected, and not what to expect."
)
def returns_without_values(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return found, found.clone()


@wrong(
    "The advantages are right. Your returns are the plain discounted sums of the rewards, which is "
    "right for lam = 1 only. The values' target is advantage + value, with the same lam."
)
def returns_are_discounted_sums(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    sums = _gae(rewards, torch.zeros_like(values), gamma, 1.0, mask)
    return found, sums * mask


@wrong(
    "The advantages are right. In the returns you subtracted the value: A is what came less V, so "
    "what came is A plus V."
)
def returns_less_values(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return found, found - values * mask


@wrong(
    "You whitened the advantages here, and built the returns from them: the values would chase a "
    "target without unit. Whitening comes afterwards, and only for the policy."
)
def whitens_on_the_way(rewards, values, gamma, lam, mask):
    found = alignment.whiten(_gae(rewards, values, gamma, lam, mask), mask)
    return found, found + values * mask


@wrong(
    "The advantages stand in reverse: you collected them from the end and did not turn them round."
)
def still_reversed(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask).flip(1)
    return found, found + values * mask


@wrong(
    "One advantage for a whole answer, its first token's. Token by token is the point of GAE: a "
    "good answer may have a bad word in it. (minimind had this for a while: its #564.)"
)
def one_for_the_whole_answer(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask)[:, :1].expand_as(rewards)
    return _both(found, values, mask)


@wrong(
    "You stacked the columns along axis 0: time comes first, and the answers second. (B, T) is "
    "asked for: `stack(…, dim=1)`."
)
def time_comes_first(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask)
    return found.T, (found + values * mask).T


@wrong(
    "The right numbers, and the caller's tensors are no longer what they were: you masked them in "
    "place. Build new ones: `rewards = rewards * mask`."
)
def masks_in_place(rewards, values, gamma, lam, mask):
    rewards *= mask
    values *= mask
    found = _gae(rewards, values, gamma, lam, mask)
    return found, found + values


@wrong(
    "The next value is discounted by lam. What a value one step away is worth is gamma's business; "
    "lam only decides how far to look: it stands where A_{t+1} comes in, and nowhere else."
)
def next_value_discounted_by_lam(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + lam * n - v)
    return _both(found, values, mask)


@wrong(
    "You masked the values and not the rewards. What stands in the padding's rewards is then "
    "carried back into the answer: put both to 0 there."
)
def masks_the_values_alone(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values * mask, gamma, lam, mask, masked=False)
    return _both(found, values, mask)


@wrong(PADDING)
def next_value_from_the_padding(rewards, values, gamma, lam, mask):
    following = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), 1)
    surprise = (rewards + gamma * following - values) * mask
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r)
    return _both(found, values, mask)


@wrong(
    "The advantages are right. In the padding your returns keep the values that were read there: "
    "0 is asked for, since no token stands there whose value could be learned."
)
def returns_keep_the_padding(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return found, found + values


FIRST_LEFT_OUT = (
    "The first token has no advantage: your loop ends before column 0. "
    "`range(T - 1, 0, -1)` leaves out its end; `reversed(range(T))` goes down to 0."
)


@wrong(FIRST_LEFT_OUT)
def leaves_out_the_first(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask)
    found[:, 0] = 0
    return _both(found, values, mask)


@wrong(FIRST_LEFT_OUT)
def leaves_out_the_first_return_too(rewards, values, gamma, lam, mask):
    found, returns = _both(_gae(rewards, values, gamma, lam, mask), values, mask)
    found[:, 0] = returns[:, 0] = 0
    return found, returns


EXERCISE = Exercise(
    name="gae",
    title="Advantages by GAE",
    points=4,
    minutes=25,
    answer=gae,
    reference=_gae_reference,
    probes=_gae_probes,
    misconceptions=wrong.all,
    hints=(
        "A_t needs A_{t+1}. From which end, then? And what stands behind the last token?",
        "One loop over t, backwards, all rows at once. Two things are carried from step to step: "
        "the value and the advantage of t + 1, both 0 at first.",
        "If rewards and values are 0 in the padding, a short row arrives at its last token with "
        "both still 0, and needs no case of its own.",
    ),
)
