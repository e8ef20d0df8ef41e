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


@wrong(PADDING)
def masks_at_the_end_from_the_longests_end(rewards, values, gamma, lam, mask):
    n = int(mask.sum(1).max())
    found = _gae(rewards[:, :n], values[:, :n], gamma, lam, mask[:, :n], masked=False)
    return _both(torch.cat((found, torch.zeros_like(rewards[:, n:])), 1), values, mask)


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


ONE_LENGTH = (
    "You took every answer to be as long as the FIRST of the batch, `mask[0].sum()`. A longer one "
    "is cut off there, with all that it is paid behind that place; a shorter one runs on behind "
    "its end. Each row ends where its own mask does."
)


def _as_long_as_the_first(rewards, values, gamma, lam, mask):
    """Advantages (B, T), 0 behind the first answer's end; and where that is."""
    n = int(mask[0].sum())
    found = _gae(rewards[:, :n], values[:, :n], gamma, lam, mask[:, :n], masked=False)
    return torch.cat((found, torch.zeros_like(rewards[:, n:])), 1), n


@wrong(ONE_LENGTH)
def as_long_as_the_first(rewards, values, gamma, lam, mask):
    found, n = _as_long_as_the_first(rewards, values, gamma, lam, mask)
    return found, found + values * (torch.arange(mask.shape[1]) < n)


@wrong(ONE_LENGTH)
def as_long_as_the_first_with_all_values(rewards, values, gamma, lam, mask):
    found, _ = _as_long_as_the_first(rewards, values, gamma, lam, mask)
    return found, found + values


@wrong(ONE_LENGTH)
def as_long_as_the_first_and_masked_values(rewards, values, gamma, lam, mask):
    found, _ = _as_long_as_the_first(rewards, values, gamma, lam, mask)
    return found, found + values * mask


@wrong(ONE_LENGTH)
def as_long_as_the_first_masked_after(rewards, values, gamma, lam, mask):
    found, _ = _as_long_as_the_first(rewards, values, gamma, lam, mask)
    return _both(found, values, mask)


@wrong(ONE_LENGTH)
def as_long_as_the_first_masked_after_and_cut(rewards, values, gamma, lam, mask):
    found, n = _as_long_as_the_first(rewards, values, gamma, lam, mask)
    return _both(found, values, mask & (torch.arange(mask.shape[1]) < n))


@wrong(ONE_LENGTH)
def as_long_as_the_first_masked_before(rewards, values, gamma, lam, mask):
    found, _ = _as_long_as_the_first(rewards * mask, values * mask, gamma, lam, mask)
    return found, found + values * mask


@wrong(ONE_LENGTH)
def as_long_as_the_first_masked_before_and_cut(rewards, values, gamma, lam, mask):
    found, n = _as_long_as_the_first(rewards * mask, values * mask, gamma, lam, mask)
    return found, found + values * (mask & (torch.arange(mask.shape[1]) < n))


ROW_TO_ROW = (
    "What you carry backwards is not set back to 0 when a new row begins: the beginning of one "
    "answer runs into the end of the next in the batch. Behind each answer's last token there is "
    "nothing, neither an advantage nor a value."
)


def _row_by_row(
    rewards, values, gamma, lam, mask, *, reset_value, through_padding=False, masked=True
):
    """A loop over rows that never sets the advantage back, and the next value only if told."""
    found = torch.zeros_like(rewards)
    advantage = following = 0.0
    for b in range(len(rewards)):
        following = 0.0 if reset_value else following
        end = mask.shape[1] if through_padding else int(mask[b].sum())
        for t in reversed(range(end)):
            r, v = rewards[b, t] * mask[b, t], values[b, t] * mask[b, t]
            advantage = r + gamma * following - v + gamma * lam * advantage
            found[b, t], following = advantage, v
    return _both(found, values, mask) if masked else (found, found + values * mask)


@wrong(ROW_TO_ROW)
def carries_the_advantage_from_row_to_row(rewards, values, gamma, lam, mask):
    return _row_by_row(rewards, values, gamma, lam, mask, reset_value=True)


@wrong(ROW_TO_ROW)
def carries_both_from_row_to_row(rewards, values, gamma, lam, mask):
    return _row_by_row(rewards, values, gamma, lam, mask, reset_value=False)


@wrong(ROW_TO_ROW)
def carries_the_advantage_through_the_padding(rewards, values, gamma, lam, mask):
    return _row_by_row(rewards, values, gamma, lam, mask, reset_value=True, through_padding=True)


@wrong(ROW_TO_ROW)
def carries_both_through_the_padding(rewards, values, gamma, lam, mask):
    return _row_by_row(rewards, values, gamma, lam, mask, reset_value=False, through_padding=True)


@wrong(ROW_TO_ROW)
def carries_the_advantage_through_the_padding_and_keeps_it(rewards, values, gamma, lam, mask):
    return _row_by_row(
        rewards, values, gamma, lam, mask, reset_value=True, through_padding=True, masked=False
    )


@wrong(ROW_TO_ROW)
def carries_both_through_the_padding_and_keeps_it(rewards, values, gamma, lam, mask):
    return _row_by_row(
        rewards, values, gamma, lam, mask, reset_value=False, through_padding=True, masked=False
    )


@wrong(ROW_TO_ROW)
def carries_the_value_from_row_to_row(rewards, values, gamma, lam, mask):
    kept, found, following = values * mask, [], torch.zeros(())
    for b in range(len(rewards)):
        row = slice(b, b + 1)
        n = int(mask[b].sum())
        part = _gae(
            rewards[row, :n], values[row, :n], gamma, lam, mask[row, :n], end=following.view(1)
        )
        found.append(torch.cat((part, torch.zeros_like(rewards[row, n:])), 1))
        following = kept[b, 0]
    return _both(torch.cat(found), values, mask)


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


@wrong(
    "`roll` goes round in a circle: behind a full row's end its FIRST value came in as the next "
    "one. Behind the end there is 0. (Rows with padding hide it.)"
)
def rolls_the_masked_values(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    surprise = (rewards + gamma * values.roll(-1, 1) - values) * mask
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r)
    return _both(found, values, mask)


@wrong(
    "`roll` goes round in a circle: behind the end of every row its FIRST value came in as the "
    "next one, or what stands in the padding did. Behind the end there is 0."
)
def rolls_the_values(rewards, values, gamma, lam, mask):
    surprise = (rewards + gamma * values.roll(-1, 1) - values) * mask
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r)
    return _both(found, values, mask)


@wrong(
    "`roll` goes round in a circle: the first value came in behind the last place, and the padding "
    "carried it back into shorter answers. Behind the end there is 0."
)
def rolls_and_masks_nothing(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    surprise = rewards + gamma * values.roll(-1, 1) - values
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r, masked=False)
    return found, found + values


@wrong(
    "The values behind the end are 0 with you, and the padding's SURPRISES are not: they run down "
    "into the answer. Put rewards and values to 0 there before you begin, and not the result "
    "afterwards."
)
def surprises_of_the_padding_run_in(rewards, values, gamma, lam, mask):
    following = torch.cat(((values * mask)[:, 1:], torch.zeros_like(values[:, :1])), 1)
    surprise = rewards + gamma * following - values
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r, masked=False)
    return _both(found, values, mask)


@wrong(
    "The next value is masked by the place it is looked up FROM. Whether it counts is said by its "
    "own place: behind the last token stands padding, and there it is 0."
)
def next_value_masked_at_its_neighbour(rewards, values, gamma, lam, mask):
    following = torch.cat((values[:, 1:], torch.zeros_like(values[:, :1])), 1)
    kept, paid = values * mask, rewards * mask
    surprise = paid + gamma * following - kept
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r, masked=False)
    return found, found + kept


@wrong(
    "gamma is there twice where the advantage is carried on. One step costs one gamma: gamma lam."
)
def carried_by_gamma_twice(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, carry=gamma**2 * lam), values, mask)


@wrong(
    "The advantage is carried on whole, without gamma and without lam: every token is answerable "
    "for all that comes after, however far."
)
def carried_whole(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask, carry=1.0), values, mask)


@wrong(
    "lam multiplies the surprise of the step itself. It only decides how much of what comes LATER "
    "counts; what happens here counts in full."
)
def lam_on_the_whole_surprise(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: lam * (r + gamma * n - v))
    return _both(found, values, mask)


@wrong(
    "You multiplied by 1 - lam. That belongs to a mean over returns of all lengths; in the "
    "recursion it has cancelled out: A_t = d_t + gamma lam A_{t+1}."
)
def one_less_lam(rewards, values, gamma, lam, mask):
    found = _gae(
        rewards, values, gamma, lam, mask, step=lambda r, v, n: (1 - lam) * (r + gamma * n - v)
    )
    return _both(found, values, mask)


@wrong(
    "gamma stands before a bracket with both values in it. Only the NEXT value lies a step away "
    "and is discounted: gamma V_{t+1} - V_t."
)
def gamma_on_both_values(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: r + gamma * (n - v))
    return _both(found, values, mask)


@wrong(
    "You discounted this step's reward. It is paid now; only what lies a step away, the next "
    "value, is multiplied by gamma."
)
def reward_discounted(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: gamma * (r + n) - v)
    return _both(found, values, mask)


@wrong(
    "The sign is turned round: V_t less what came. What goes better than expected is a POSITIVE "
    "surprise."
)
def surprise_turned_round(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask, step=lambda r, v, n: v - r - gamma * n)
    return _both(found, values, mask)


@wrong(
    "You used the NEXT token's reward. r_t is what token t is paid: with yours the score at the "
    "end comes one token too early, and the first reward is lost."
)
def reward_of_the_next(rewards, values, gamma, lam, mask):
    rewards = rewards * mask
    later = torch.cat((rewards[:, 1:], torch.zeros_like(rewards[:, :1])), 1)
    return _both(_gae(later, values, gamma, lam, mask), values, mask)


@wrong(
    "The advantages are right. Your returns look one step ahead only, r + gamma V_{t+1}, which is "
    "right for lam = 0. They are advantage + value."
)
def returns_one_step_ahead(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    kept = values * mask
    following = torch.cat((kept[:, 1:], torch.zeros_like(kept[:, :1])), 1)
    return found, (rewards + gamma * following) * mask


@wrong("The advantages are right. In the returns stands the NEXT token's value: it is its own.")
def returns_with_the_next_value(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    kept = values * mask
    return found, found + torch.cat((kept[:, 1:], torch.zeros_like(kept[:, :1])), 1)


@wrong(
    "The advantages are right. Your returns are plain sums of the rewards to come, without gamma "
    "and without values. They are advantage + value."
)
def returns_are_sums(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return found, (rewards * mask).flip(1).cumsum(1).flip(1) * mask


@wrong("The two stand the wrong way round: first the advantages, then the returns.")
def returns_come_first(rewards, values, gamma, lam, mask):
    return _both(_gae(rewards, values, gamma, lam, mask), values, mask)[::-1]


@wrong(
    "The last column has no advantage: your loop begins one place before it. It has no next token, "
    "and still a reward and a value."
)
def leaves_out_the_last(rewards, values, gamma, lam, mask):
    cut = _gae(rewards[:, :-1], values[:, :-1], gamma, lam, mask[:, :-1]) if (
        mask.shape[1] > 1) else rewards[:, :0]  # fmt: skip
    found = torch.cat((cut, torch.zeros_like(rewards[:, :1])), 1)
    return _both(found, values, mask)


@wrong(
    "What is carried on is the mean over the batch. Each answer has a future of its own: (B,) "
    "stays (B,)."
)
def carries_the_mean(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    following = advantage = torch.zeros_like(values[:, 0])
    found = []
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following - values[:, t]
        advantage = surprise + gamma * lam * advantage.mean()
        following = values[:, t]
        found.insert(0, advantage)
    found = torch.stack(found, 1)
    return found, found + values


@wrong(
    "At its last token an answer goes on with its own value, as if the game continued. It is over "
    "there: the next value is 0."
)
def goes_on_behind_each_end(rewards, values, gamma, lam, mask):
    values = values * mask
    end = torch.arange(mask.shape[1]) == mask.sum(1, keepdim=True) - 1
    return _both(_gae(rewards + gamma * values * end, values, gamma, lam, mask), values, mask)


@wrong(
    "Two tensors are asked for, and one that holds both came out: leave the `stack` away and "
    "return the two."
)
def stacks_the_two(rewards, values, gamma, lam, mask):
    return torch.stack(_both(_gae(rewards, values, gamma, lam, mask), values, mask))


@wrong("Only the advantages came out. The returns, advantages + values, are asked for as well.")
def advantages_alone(rewards, values, gamma, lam, mask):
    return _gae(rewards, values, gamma, lam, mask) * mask


@wrong(
    "You whitened the advantages. The returns are right; whitening comes afterwards, over all the "
    "answers that one step learns from, and not here."
)
def whitens_at_the_end(rewards, values, gamma, lam, mask):
    found = _gae(rewards, values, gamma, lam, mask) * mask
    return alignment.whiten(found, mask), found + values * mask


@wrong(
    "The discount has the place in its exponent: (gamma lam) to the t. The recursion takes ONE "
    "step each time, and each step costs gamma lam once."
)
def discounts_by_the_place(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    following = advantage = torch.zeros_like(values[:, 0])
    found = []
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following - values[:, t]
        advantage = surprise + (gamma * lam) ** (t + 1) * advantage
        following = values[:, t]
        found.insert(0, advantage)
    found = torch.stack(found, 1)
    return found, found + values


@wrong(
    "The reward of a step is missing: only the values are compared. What was paid is what there is "
    "to learn from."
)
def forgets_the_rewards(rewards, values, gamma, lam, mask):
    return _both(_gae(0 * rewards, values, gamma, lam, mask), values, mask)


@wrong(
    "Your next value is the one BEFORE: the loop runs backwards, and you looked at t - 1. What is "
    "still to come stands at t + 1."
)
def the_value_before(rewards, values, gamma, lam, mask):
    kept, paid = values * mask, rewards * mask
    before = torch.cat((torch.zeros_like(kept[:, :1]), kept[:, :-1]), 1)
    surprise = (paid + gamma * before - kept) * mask
    found = _gae(surprise, values, gamma, lam, mask, step=lambda r, v, n: r)
    return _both(found, values, mask)


@wrong(
    "What is carried on is the last surprise, and not the advantage: only one step ahead counts "
    "then. A_{t+1} holds all that comes after."
)
def carries_the_surprise(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    following = last = torch.zeros_like(values[:, 0])
    found = []
    for t in reversed(range(rewards.shape[1])):
        surprise = rewards[:, t] + gamma * following - values[:, t]
        found.insert(0, surprise + gamma * lam * last)
        last, following = surprise, values[:, t]
    return _both(torch.stack(found, 1), values, mask)


@wrong(
    "You took the mean off the advantages. Whitening comes afterwards, and only for the policy; "
    "the returns are built from the advantages as they are."
)
def centres_at_the_end(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later
    advantages = (advantages - (advantages * mask).sum() / mask.sum()) * mask
    return advantages, advantages + values


@wrong(
    "The advantages are right. In the returns you discounted the value. It stands at this very "
    "place, no step away: advantage + value."
)
def returns_with_a_discounted_value(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later
    return advantages, advantages + gamma * values


@wrong(
    "What is carried on holds the next value a second time. It has its place in the surprise; "
    "carried on is gamma lam A_{t+1}."
)
def lam_alone_and_the_next_value_twice(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + lam * (later + gamma * after)
        after = values[:, t]
        advantages[:, t] = later
    return advantages, advantages + values


@wrong(
    "You cut the advantages off at 1. Nothing is limited here: the token that earned most has to "
    "learn most."
)
def cuts_the_advantages_off(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later.clamp(-1, 1)
    return advantages, advantages + values


@wrong(
    "Both stand in reverse: they were collected from the end and not turned round, or turned "
    "round once too often."
)
def both_reversed(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later
    return advantages.flip(1), (advantages + values).flip(1)


@wrong(
    "The value that you carry to the step before is not this column's own. What token t - 1 sees "
    "as its next value is V_t."
)
def next_value_from_before(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t - 1]
        advantages[:, t] = later
    return advantages, advantages + values


@wrong(
    "You took the next ADVANTAGE for the next value. The surprise compares values: r_t + gamma "
    "V_{t+1} - V_t."
)
def advantage_for_the_next_value(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = later
        advantages[:, t] = later
    return advantages, advantages + values


@wrong("You divided by lam. What is carried on shrinks with each step: gamma TIMES lam.")
def gamma_over_lam(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma / max(lam, 1e-8) * later
        after = values[:, t]
        advantages[:, t] = later
    return advantages, advantages + values


@wrong(
    "The advantages are right. In the returns the rewards are counted once more: they are in the "
    "advantages already. Advantage + value."
)
def rewards_in_the_returns_twice(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later
    return advantages, advantages + values + rewards


@wrong("The value is taken away twice. Once: r_t + gamma V_{t+1} - V_t.")
def value_taken_away_twice(rewards, values, gamma, lam, mask):
    rewards, values = rewards * mask, values * mask
    advantages = torch.zeros_like(rewards)
    after = later = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        d = rewards[:, t] + gamma * after - 2 * values[:, t]
        later = d + gamma * lam * later
        after = values[:, t]
        advantages[:, t] = later
    return advantages, advantages + values


@wrong(
    "You masked the rewards and not the values. The last token's next value is then one that was "
    "read in the padding, and there are numbers where no token stands."
)
def masks_the_rewards_and_nothing_else(rewards, values, gamma, lam, mask):
    found = _gae(rewards * mask, values, gamma, lam, mask, masked=False)
    return found, found + values


@wrong(
    "You masked the values and not the rewards. What stands in the padding's rewards is carried "
    "back into the answer, and there are numbers where no token stands."
)
def masks_the_values_and_nothing_else(rewards, values, gamma, lam, mask):
    kept = values * mask
    found = _gae(rewards, kept, gamma, lam, mask, masked=False)
    return found, found + kept


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
