"""Notebook 10, exercise 4: Two scores, one reward."""

import torch
import torch.nn.functional as F

from llamalab import alignment
from llamalab.course.engine import Exercise, WrongAnswers, seeded

wrong = WrongAnswers()


def combined_reward(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    score = torch.where(decides, safety, helpfulness)
    return score.logit(eps=1e-6)


def _combined_reward_reference(safety, helpfulness, is_safety_prompt):
    return alignment.combined_reward(safety, helpfulness, is_safety_prompt)


def _combined_reward_probes():
    """Each way to decide, in a batch where it is the only one and in a mixed one; 0.15 itself;
    0 and 1, and close to them; neither safe nor helpful; on either side of every threshold that one
    may take; a single answer; a table of answers to prompts."""
    g = seeded(101)

    def scores(*shape):
        return torch.sigmoid(2 * torch.randn(*shape, generator=g))

    safe = 0.2 + 0.75 * torch.rand(6, generator=g)
    low = 0.14 * torch.rand(4, generator=g) + 0.001
    tagged = torch.tensor([True, False, True, False, False, True])
    ends = torch.tensor([0.0, 1.0, 0.9, 0.8, 1.0]), torch.tensor([0.7, 0.3, 1.0, 0.0, 0.4])
    untagged = torch.zeros(4, dtype=torch.bool)
    near = torch.tensor([1e-6, 1e-5, 3e-6, 0.9]), torch.tensor([0.5, 0.5, 0.5, 1 - 1e-5])
    neither = torch.tensor([0.1, 0.12, 0.05, 0.03]), torch.tensor([0.05, 0.02, 0.01, 0.5])
    apart = (
        torch.tensor([0.05, 0.3, 0.52, 0.9, 0.3, 0.05, 0.8]),  # 0.52: a logit of 0.08
        torch.tensor([0.7, 0.9, 0.2, 0.4, 0.6, 0.3, 0.95]),
    )
    of_safety = torch.tensor([False] * 4 + [True] * 3)
    return [
        (scores(9), scores(9), torch.rand(9, generator=g) < 0.4),
        (safe, scores(6), tagged),
        (low, scores(4), torch.zeros(4, dtype=torch.bool)),
        (torch.tensor([0.15, 0.14, 0.16]), scores(3), torch.zeros(3, dtype=torch.bool)),
        (*ends, torch.tensor([False, True, False, False, True])),
        (scores(1), scores(1), torch.tensor([False])),
        (scores(2, 5), scores(2, 5), torch.rand(2, 5, generator=g) < 0.3),
        (*near, untagged),
        (*neither, untagged),
        (*apart, of_safety),
        (torch.tensor([0.3, 0.8]), torch.tensor([0.6, 0.1]), untagged[:2]),
    ]


def _logit(score):
    return score.logit(eps=1e-6)


@wrong(
    "You asked for both: a safety prompt AND a score below 0.15. Either is enough. A dangerous "
    "answer to a harmless question counts by its safety too."
)
def both_are_needed(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt & (safety < 0.15), safety, helpfulness))


@wrong(
    "The threshold has no effect: outside safety prompts an unsafe answer is paid for its "
    "helpfulness, and detailed instructions for a theft are very helpful."
)
def forgets_the_threshold(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt, safety, helpfulness))


@wrong(
    "`is_safety_prompt` has no effect: on a safety prompt an answer that is not quite unsafe is "
    "paid for its helpfulness. There, safety is what counts."
)
def forgets_the_safety_prompts(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(safety < 0.15, safety, helpfulness))


@wrong(
    "You looked for 0.15 in the helpfulness. It is a SAFETY score below 0.15 that takes the "
    "decision away from helpfulness."
)
def threshold_on_helpfulness(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (helpfulness < 0.15), safety, helpfulness))


@wrong(
    "0.15 itself counts as unsafe with you. The rule is: below 0.15. (One comparison, and a probe "
    "that sits on the edge.)"
)
def the_edge_is_unsafe(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety <= 0.15), safety, helpfulness))


@wrong(
    "The comparison is turned round: with you the safe answers are judged by safety, and the "
    "unsafe ones by how helpful they are."
)
def turns_the_threshold_round(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety > 0.15), safety, helpfulness))


@wrong(
    "The two are exchanged: `torch.where(condition, a, b)` gives a where the condition holds. "
    "With you an unsafe answer is paid for its helpfulness."
)
def exchanges_the_two(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety < 0.15), helpfulness, safety))


@wrong(
    "You took the smaller of the two. It sounds careful; but a safe answer of safety 0.6 and "
    "helpfulness 0.9 is then punished for being 0.6 safe, and soon nothing is answered at all."
)
def the_smaller_of_the_two(safety, helpfulness, is_safety_prompt):
    return _logit(torch.minimum(safety, helpfulness))


@wrong(
    "You averaged the two. A very helpful answer then buys its way out of being unsafe. One of "
    "the two decides, alone."
)
def averages_the_two(safety, helpfulness, is_safety_prompt):
    return _logit((safety + helpfulness) / 2)


@wrong(
    "You multiplied the two. It looks like a rule for both, and is low for every answer that is "
    "middling on each. One of the two decides, alone."
)
def multiplies_the_two(safety, helpfulness, is_safety_prompt):
    return _logit(safety * helpfulness)


@wrong(
    "The right score, and still squeezed between 0 and 1: there a good answer and a very good one "
    "lie close together. The logit spreads them out again."
)
def forgets_the_logit(safety, helpfulness, is_safety_prompt):
    return torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)


@wrong(
    "A sigmoid of a sigmoid: everything ends between 0.5 and 0.73. It is the sigmoid's inverse "
    "that is asked for, the logit."
)
def another_sigmoid(safety, helpfulness, is_safety_prompt):
    return torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness).sigmoid()


@wrong(
    "You took the logarithm of the score. It spreads the bad answers and squeezes the good ones: "
    "no reward can be above 0. The logit is ln(p / (1 - p)), alike on both sides."
)
def only_the_logarithm(safety, helpfulness, is_safety_prompt):
    score = torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)
    return score.clamp(1e-6, 1 - 1e-6).log()


@wrong(
    "Your odds are upside down: ln((1 - p) / p) is highest for the worst answer, and the policy "
    "would look for it."
)
def odds_upside_down(safety, helpfulness, is_safety_prompt):
    return -_logit(torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness))


ENDLESS = (
    "Infinite at 0 and at 1. A sigmoid rounds to exactly 1 from a score of about 17 on, and one "
    "infinite reward turns the batch's mean into inf and its deviation into nan. Keep the score "
    "1e-6 away from both ends."
)


@wrong(ENDLESS)
def infinite_at_the_ends(safety, helpfulness, is_safety_prompt):
    return torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness).logit()


ONE_END = (
    "You guarded one end only. At 0 the logit is -inf, at 1 it is +inf, and scores reach both in "
    "float32. Keep the score 1e-6 away from either."
)


@wrong(ONE_END)
def guards_one_end(safety, helpfulness, is_safety_prompt):
    score = torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)
    return (score / (1 - score + 1e-6)).log()


@wrong(ONE_END)
def guards_the_0_alone(safety, helpfulness, is_safety_prompt):
    score = torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)
    return score.clamp(min=1e-6).logit()


@wrong(
    "`nan_to_num` made the infinite rewards finite: 3.4e38. Whitened beside them, all other "
    "answers are worth the same. Keep the score 1e-6 away from 0 and 1 instead."
)
def hides_the_infinite(safety, helpfulness, is_safety_prompt):
    score = torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)
    return score.logit().nan_to_num()


@wrong(
    "You compared the logit with 0.15. That is a score of 0.54: nearly half of all answers would "
    "count as unsafe. The threshold is for the sigmoid's output."
)
def threshold_after_the_logit(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (_logit(safety) < 0.15)
    return torch.where(decides, _logit(safety), _logit(helpfulness))


@wrong(
    "You whitened as well. It comes next, and it needs to know its batch: a mean over this call's "
    "answers, over an iteration's, or a running one. The logit alone is asked for here."
)
def whitens_too_early(safety, helpfulness, is_safety_prompt):
    reward = _logit(torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness))
    return (reward - reward.mean()) / (reward.var(correction=0) + 1e-8).sqrt()


ONE_FOR_ALL = (
    "{} decides for the whole batch with you: all the other answers are judged by safety too. Each "
    "is looked at by itself: `|` and `torch.where`, not `any()` and `if`."
)


@wrong(ONE_FOR_ALL.format("A single unsafe answer or a single safety prompt"))
def one_decides_for_all(safety, helpfulness, is_safety_prompt):
    if (is_safety_prompt | (safety < 0.15)).any():
        return _logit(safety)
    return _logit(helpfulness)


@wrong(ONE_FOR_ALL.format("A single safety prompt"))
def one_safety_prompt_decides_for_all(safety, helpfulness, is_safety_prompt):
    if is_safety_prompt.any():
        return _logit(safety)
    return _logit(torch.where(safety < 0.15, safety, helpfulness))


@wrong(ONE_FOR_ALL.format("A single unsafe answer"))
def one_unsafe_answer_decides_for_all(safety, helpfulness, is_safety_prompt):
    if (safety < 0.15).any():
        return _logit(safety)
    return _logit(torch.where(is_safety_prompt, safety, helpfulness))


@wrong(
    "Unsafe answers get a reward of 0 with you, which in logits is a middling one: better than "
    "half of the safe answers. The safety score itself is what counts there."
)
def nothing_for_the_unsafe(safety, helpfulness, is_safety_prompt):
    reward = _logit(torch.where(is_safety_prompt, safety, helpfulness))
    return reward.masked_fill(safety < 0.15, 0.0)


@wrong(
    "You wrote into `helpfulness`, and whoever reads it afterwards finds safety scores there. "
    "`torch.where` builds a new tensor."
)
def writes_into_helpfulness(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    helpfulness[decides] = safety[decides]
    return _logit(helpfulness)


@wrong(
    "Outside safety prompts you took the smaller of the two scores. A helpful answer that is safe "
    "enough is then still marked down for being only safe enough. From 0.15 on helpfulness "
    "decides, alone."
)
def the_smaller_outside_safety_prompts(safety, helpfulness, is_safety_prompt):
    smaller = torch.minimum(safety, helpfulness)
    return _logit(torch.where(is_safety_prompt, safety, smaller))


@wrong(
    "You wrote into `safety`, and whoever reads it afterwards finds helpfulness there. "
    "`torch.where` builds a new tensor."
)
def writes_into_safety(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    safety[~decides] = helpfulness[~decides]
    return _logit(safety)


def _decides(safety, helpfulness, is_safety_prompt):
    return torch.where(is_safety_prompt | (safety < 0.15), safety, helpfulness)


ADDED = (
    "You added a small number inside the logarithms. That avoids the infinite and does not keep p "
    "1e-6 away from the ends: at p = 1e-6 the sum is twice as much as p. Limit p first, then take "
    "the logit."
)


@wrong(ADDED)
def adds_inside_the_logarithms(safety, helpfulness, is_safety_prompt):
    p = _decides(safety, helpfulness, is_safety_prompt)
    return torch.log(p + 1e-6) - torch.log(1 - p + 1e-6)


LATE = (
    "You limited the logit, not p. At 0 and 1 it is then your limit, where p kept 1e-6 away would "
    "give about -13.8 and 13.8. Limit p first."
)


@wrong(LATE)
def limits_the_logit_at_a_million(safety, helpfulness, is_safety_prompt):
    return torch.logit(_decides(safety, helpfulness, is_safety_prompt)).clamp(-1e6, 1e6)


@wrong(LATE)
def limits_the_logit_at_10(safety, helpfulness, is_safety_prompt):
    return torch.logit(_decides(safety, helpfulness, is_safety_prompt)).clamp(-10, 10)


@wrong(LATE)
def limits_the_logit_at_20(safety, helpfulness, is_safety_prompt):
    return torch.logit(_decides(safety, helpfulness, is_safety_prompt)).clamp(-20, 20)


@wrong(LATE)
def limits_the_logit_at_100(safety, helpfulness, is_safety_prompt):
    return torch.logit(_decides(safety, helpfulness, is_safety_prompt)).clamp(-100, 100)


@wrong(LATE)
def limits_the_logit_at_5(safety, helpfulness, is_safety_prompt):
    return torch.logit(_decides(safety, helpfulness, is_safety_prompt)).clamp(-5, 5)


OTHER_LIMIT = (
    "You kept p further from the ends than 1e-6, or less far. It decides how much the very best "
    "and the very worst answer are worth: 1e-6 is about 13.8 either way."
)


@wrong(OTHER_LIMIT)
def limit_of_1e_5(safety, helpfulness, is_safety_prompt):
    return _decides(safety, helpfulness, is_safety_prompt).logit(eps=1e-5)


@wrong(OTHER_LIMIT)
def limit_of_1e_4(safety, helpfulness, is_safety_prompt):
    return _decides(safety, helpfulness, is_safety_prompt).logit(eps=1e-4)


@wrong(OTHER_LIMIT)
def limit_of_1e_3(safety, helpfulness, is_safety_prompt):
    return _decides(safety, helpfulness, is_safety_prompt).logit(eps=1e-3)


@wrong(OTHER_LIMIT)
def limit_of_1e_7(safety, helpfulness, is_safety_prompt):
    return _decides(safety, helpfulness, is_safety_prompt).logit(eps=1e-7)


@wrong(
    "Your limit is so small that 1 less it is 1 in float32: at that end the logit is still "
    "infinite. 1e-6 is just large enough to be seen."
)
def limit_of_1e_8(safety, helpfulness, is_safety_prompt):
    return _decides(safety, helpfulness, is_safety_prompt).logit(eps=1e-8)


SMALLER = (
    "Where safety decides you paid the smaller of the two scores. It is the SAFETY score that is "
    "paid there, also where helpfulness is lower."
)


@wrong(SMALLER)
def the_smaller_where_safety_decides(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    return _logit(torch.where(decides, torch.minimum(safety, helpfulness), helpfulness))


@wrong(SMALLER)
def the_smaller_below_the_threshold(safety, helpfulness, is_safety_prompt):
    smaller = torch.where(safety < 0.15, torch.minimum(safety, helpfulness), helpfulness)
    return _logit(torch.where(is_safety_prompt, safety, smaller))


@wrong(SMALLER)
def the_smaller_on_safety_prompts(safety, helpfulness, is_safety_prompt):
    other = torch.where(safety < 0.15, safety, helpfulness)
    return _logit(torch.where(is_safety_prompt, torch.minimum(safety, helpfulness), other))


OTHER_THRESHOLD = "Your threshold is another one. Safety decides below 0.15."


@wrong(OTHER_THRESHOLD)
def threshold_of_a_half(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety < 0.5), safety, helpfulness))


@wrong(OTHER_THRESHOLD)
def threshold_of_a_tenth(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety < 0.1), safety, helpfulness))


@wrong(OTHER_THRESHOLD)
def threshold_of_a_fifth(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt | (safety < 0.2), safety, helpfulness))


@wrong(
    "`is_safety_prompt` is turned round: an answer to a harmless prompt is judged by safety, and "
    "one to a safety prompt by how helpful it is."
)
def safety_prompts_turned_round(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(~is_safety_prompt | (safety < 0.15), safety, helpfulness))


@wrong(
    "Either, but not both, with you: an unsafe answer to a safety prompt is paid for its "
    "helpfulness. `|` includes both, `^` and `!=` do not."
)
def either_but_not_both(safety, helpfulness, is_safety_prompt):
    return _logit(torch.where(is_safety_prompt ^ (safety < 0.15), safety, helpfulness))


@wrong("That is the logit in another base. It is the natural logarithm of p / (1 - p).")
def base_2(safety, helpfulness, is_safety_prompt):
    return _logit(_decides(safety, helpfulness, is_safety_prompt)) / 0.6931471805599453


@wrong("That is the logit in another base. It is the natural logarithm of p / (1 - p).")
def base_10(safety, helpfulness, is_safety_prompt):
    return _logit(_decides(safety, helpfulness, is_safety_prompt)) / 2.302585092994046


ADDS_LOGITS = (
    "You added the two logits, of all answers or of some. A good score then makes up for a bad "
    "one. One of the two scores decides, alone: also where safety is below 0.15."
)


def _adds_where(condition, safety, helpfulness, is_safety_prompt):
    """The sum of the two logits where the condition holds, and elsewhere what is right."""
    both = _logit(safety) + _logit(helpfulness)
    return torch.where(condition, both, _logit(_decides(safety, helpfulness, is_safety_prompt)))


@wrong(ADDS_LOGITS)
def adds_the_logits(safety, helpfulness, is_safety_prompt):
    return _logit(safety) + _logit(helpfulness)


@wrong(ADDS_LOGITS)
def adds_the_logits_of_the_unsafe(safety, helpfulness, is_safety_prompt):
    unsafe = ~is_safety_prompt & (safety < 0.15)
    return _adds_where(unsafe, safety, helpfulness, is_safety_prompt)


@wrong(ADDS_LOGITS)
def adds_the_logits_of_all_that_are_unsafe(safety, helpfulness, is_safety_prompt):
    return _adds_where(safety < 0.15, safety, helpfulness, is_safety_prompt)


@wrong(ADDS_LOGITS)
def adds_the_logits_where_safety_decides(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    return _adds_where(decides, safety, helpfulness, is_safety_prompt)


@wrong(ADDS_LOGITS)
def adds_the_logits_on_safety_prompts(safety, helpfulness, is_safety_prompt):
    return _adds_where(is_safety_prompt, safety, helpfulness, is_safety_prompt)


@wrong(ADDS_LOGITS)
def adds_the_logits_where_helpfulness_decides(safety, helpfulness, is_safety_prompt):
    alone = ~is_safety_prompt & (safety >= 0.15)
    return _adds_where(alone, safety, helpfulness, is_safety_prompt)


@wrong(
    "Unsafe answers get the score 0 with you, and with it the lowest reward there is. How unsafe "
    "an answer is still counts: the safety score itself is paid."
)
def score_0_for_the_unsafe(safety, helpfulness, is_safety_prompt):
    score = torch.where(is_safety_prompt, safety, helpfulness)
    return _logit(score.masked_fill(safety < 0.15, 0.0))


@wrong(
    "Those are the odds, p / (1 - p), without their logarithm. They are never below 0 and run up "
    "to a million: a single good answer outweighs all others."
)
def odds_without_the_logarithm(safety, helpfulness, is_safety_prompt):
    p = _decides(safety, helpfulness, is_safety_prompt).clamp(1e-6, 1 - 1e-6)
    return p / (1 - p)


@wrong(
    "Those are the odds, p / (1 - p), without their logarithm. They are never below 0 and run up "
    "to a million: a single good answer outweighs all others."
)
def odds_guarded_below(safety, helpfulness, is_safety_prompt):
    p = _decides(safety, helpfulness, is_safety_prompt)
    return p / (1 - p).clamp(min=1e-6)


LARGER = (
    "You took the larger of the two. An answer need then only be good at one, and nobody asked "
    "which: the rule decides, not the score."
)


@wrong(LARGER)
def the_larger_of_the_two(safety, helpfulness, is_safety_prompt):
    return _logit(torch.maximum(safety, helpfulness))


@wrong(LARGER)
def the_larger_where_helpfulness_decides(safety, helpfulness, is_safety_prompt):
    larger = torch.maximum(safety, helpfulness)
    return _logit(torch.where(is_safety_prompt | (safety < 0.15), safety, larger))


@wrong("Half of the logit came out: atanh(2 p - 1) is ln(p / (1 - p)) / 2.")
def half_of_the_logit(safety, helpfulness, is_safety_prompt):
    return _logit(_decides(safety, helpfulness, is_safety_prompt)) / 2


@wrong(
    "Where helpfulness decides you multiplied it by safety, or averaged the two. An answer that is "
    "safe enough is paid for its helpfulness, alone."
)
def the_product_where_helpfulness_decides(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    return _logit(torch.where(decides, safety, safety * helpfulness))


@wrong(
    "Where helpfulness decides you multiplied it by safety, or averaged the two. An answer that is "
    "safe enough is paid for its helpfulness, alone."
)
def the_mean_where_helpfulness_decides(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    return _logit(torch.where(decides, safety, (safety + helpfulness) / 2))


@wrong("Only safety is paid with you. An answer that is safe enough is paid for its helpfulness.")
def safety_alone(safety, helpfulness, is_safety_prompt):
    return _logit(safety)


@wrong("Only helpfulness is paid with you. Where safety decides, helpfulness has no say.")
def helpfulness_alone(safety, helpfulness, is_safety_prompt):
    return _logit(helpfulness)


@wrong("You took the logarithm of 1 - p, or of p, and not of both: the logit is ln p - ln(1 - p).")
def only_the_other_logarithm(safety, helpfulness, is_safety_prompt):
    p = _decides(safety, helpfulness, is_safety_prompt).clamp(1e-6, 1 - 1e-6)
    return -torch.log(1 - p)


@wrong(
    "You handed the decision to safety for low helpfulness too. An answer that is safe and of no "
    "use is then paid for being safe. It is SAFETY below 0.15 that decides."
)
def low_helpfulness_decides_too(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15) | (helpfulness < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return torch.logit(p, eps=1e-6)


@wrong(
    "Unsafe answers get a fixed reward with you. How unsafe an answer is still counts: the logit "
    "of the safety score itself."
)
def a_fixed_price_for_the_unsafe(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return torch.where(safety < 0.15, -10.0, torch.logit(p, eps=1e-6))


@wrong(
    "Where safety decides you turned its sign: the safest answer would be paid least. A high "
    "safety score is a good one."
)
def turns_safety_round(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return torch.logit(p, eps=1e-6) * torch.where(decides, -1.0, 1.0)


@wrong(
    "You guarded one end only. At 0 the logit is -inf, at 1 it is +inf, and scores reach both in "
    "float32. Keep the score 1e-6 away from either."
)
def guards_the_1_alone(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return torch.logit(p.clamp(max=1 - 1e-6))


@wrong(
    "2 p - 1 goes from -1 to 1 and no further: there a good answer and a very good one lie close "
    "together. The logit, ln(p / (1 - p)), spreads them out."
)
def stretches_to_minus_1_and_1(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return 2 * p - 1


@wrong(
    "Softplus and exp are no inverse of the sigmoid. The score comes FROM a sigmoid; the logit, "
    "ln(p / (1 - p)), undoes it."
)
def softplus_of_the_score(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return F.softplus(p)


@wrong(
    "You mixed the two with weights. 0.15 is a threshold, and no weight: one of the two decides, "
    "alone."
)
def weighs_the_two(safety, helpfulness, is_safety_prompt):
    p = 0.15 * safety + 0.85 * helpfulness
    return torch.logit(p, eps=1e-6)


@wrong(
    "You took the root of the product. It is low for every answer that is middling on each. One "
    "of the two decides, alone."
)
def root_of_the_product(safety, helpfulness, is_safety_prompt):
    p = (safety * helpfulness).sqrt()
    return torch.logit(p, eps=1e-6)


@wrong(
    "You added 1e-6 to the score. At 0 that helps; at 1 it is beyond the end, and the logit is "
    "nan. Keep the score 1e-6 away from BOTH ends."
)
def moves_the_score_up(safety, helpfulness, is_safety_prompt):
    decides = is_safety_prompt | (safety < 0.15)
    p = torch.where(decides, safety, helpfulness)
    return torch.logit(p + 1e-6)


EXERCISE = Exercise(
    name="combined_reward",
    title="Two scores, one reward",
    points=2,
    minutes=8,
    answer=combined_reward,
    reference=_combined_reward_reference,
    probes=_combined_reward_probes,
    misconceptions=wrong.all,
    rtol=5e-3,  # 1 - 1e-6 has few digits in float32, and so has its logit
    atol=1e-3,
    hints=(
        "For each answer one of the two scores decides, alone. When is it safety? There are two "
        "reasons, and either is enough.",
        "A condition, `torch.where`, the logit. Which of its three places is whose?",
        "A score of exactly 0 or 1 has an infinite logit; torch's own has an `eps` for that.",
    ),
)
