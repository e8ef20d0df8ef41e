"""Sampling: against transformers' warpers, against sorting by hand, by counting; errors."""

import math

import pytest
import torch
from transformers import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llamalab import sampling
from llamalab.sampling import (
    draw,
    keep_top_k,
    keep_top_p,
    penalize_repeats,
    probabilities,
    scale_temperature,
)

INF = float("inf")


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def random_logits(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed)) * 3


def kept(logits):
    return [sorted(i for i, x in enumerate(row) if x > -INF) for row in logits.tolist()]


# -- against transformers ---------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 0.8, 1.0, 2.5])
def test_temperature_as_transformers(temperature):
    logits = random_logits(5, 37)
    theirs = TemperatureLogitsWarper(temperature)(None, logits)
    assert torch.equal(scale_temperature(logits, temperature), theirs)


@pytest.mark.parametrize("k", [1, 2, 7, 36, 37, 100])
def test_top_k_as_transformers(k):
    logits = random_logits(5, 37)
    before = logits.clone()
    assert torch.equal(keep_top_k(logits, k), TopKLogitsWarper(k)(None, logits))
    assert torch.equal(logits, before)


@pytest.mark.parametrize("p", [0.01, 0.3, 0.5, 0.9, 0.999, 1.0])
def test_top_p_as_transformers(p):
    logits = random_logits(50, 37, seed=1)
    before = logits.clone()
    assert torch.equal(keep_top_p(logits, p), TopPLogitsWarper(p)(None, logits))
    assert torch.equal(logits, before)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.3, 5.0])
def test_repetition_penalty_as_transformers(penalty):
    logits = random_logits(4, 37)
    seen = torch.randint(37, (4, 9), generator=seeded(2))
    seen[:, 3] = seen[:, 0]  # seen twice counts once
    theirs = RepetitionPenaltyLogitsProcessor(penalty)(seen, logits.clone())
    assert torch.equal(penalize_repeats(logits, seen, penalty), theirs)


def test_all_together_in_transformers_order():
    logits = random_logits(20, 37, seed=3)
    theirs = logits
    for warper in (TemperatureLogitsWarper(0.7), TopKLogitsWarper(11), TopPLogitsWarper(0.8)):
        theirs = warper(None, theirs)
    ours = probabilities(logits, temperature=0.7, top_k=11, top_p=0.8)
    torch.testing.assert_close(ours, theirs.softmax(-1))
    assert kept(ours.log()) == kept(theirs)


# -- where the rules matter -------------------------------------------------------------------


def test_the_token_that_crosses_p_is_kept():
    """1/2, 1/4, 1/8, 1/8: sums are exact in floats, so the boundary can be stood upon."""
    logits = torch.tensor([[1 / 8, 1 / 2, 1 / 8, 1 / 4]]).log2() * math.log(2)
    assert kept(keep_top_p(logits, 0.49)) == [[1]]
    assert kept(keep_top_p(logits, 0.51)) == [[1, 3]]
    assert kept(keep_top_p(logits, 0.76)) == [[0, 1, 3]]  # equal ones: the lower id first
    assert kept(keep_top_p(logits, 1.0)) == [[0, 1, 2, 3]]


def test_where_meta_and_transformers_part():
    """A sum that hits p exactly: for Meta it has not passed p, for transformers it is enough."""
    logits = torch.zeros(1, 4)  # 1/4 each
    assert kept(keep_top_p(logits, 0.5)) == [[0, 1, 2]]
    assert len(kept(TopPLogitsWarper(0.5)(None, logits))[0]) == 2
    assert kept(keep_top_p(logits, 0.4)) == [[0, 1]]


def test_ties_go_to_the_lower_id_and_k_is_exact():
    logits = torch.tensor([[1.0, 2.0, 2.0, 2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    assert kept(keep_top_k(logits, 2)) == [[1, 2], [0, 1]]
    assert (TopKLogitsWarper(2)(None, logits) > -INF).sum(-1).tolist() == [3, 5]  # they keep ties
    assert kept(keep_top_k(torch.zeros(1, 1000), 100)) == [list(range(100))]
    assert kept(keep_top_p(torch.zeros(1, 1000), 0.0995)) == [list(range(100))]


def slow_top_p(row, p):
    """The definition, with Python's own sort and floats."""
    highest = max(row)
    weights = [math.exp(x - highest) for x in row]
    total, before, keep = sum(weights), 0.0, []
    for i in sorted(range(len(row)), key=lambda i: (-row[i], i)):
        if before <= p:
            keep.append(i)
        before += weights[i] / total
    return sorted(keep)


@pytest.mark.parametrize("p", [0.2, 0.6, 0.95])
def test_top_p_by_hand(p):
    logits = random_logits(40, 23, seed=4)
    assert kept(keep_top_p(logits, p)) == [slow_top_p(row, p) for row in logits.tolist()]


def test_what_is_gone_stays_gone():
    logits = random_logits(1, 12)
    logits[0, ::2] = -INF
    for filtered in (keep_top_k(logits, 12), keep_top_p(logits, 1.0), keep_top_p(logits, 0.99)):
        assert set(kept(filtered)[0]) <= set(range(1, 12, 2))
    assert (probabilities(logits)[0, ::2] == 0).all()


def test_any_leading_shape():
    logits = random_logits(2, 3, 4, 11)
    for f in (lambda x: keep_top_k(x, 4), lambda x: keep_top_p(x, 0.6), probabilities):
        assert torch.equal(f(logits).flatten(0, 2), f(logits.flatten(0, 2)))
        assert torch.equal(f(logits)[1, 2, 3], f(logits[1, 2, 3]))
    ids = draw(probabilities(logits), seeded())
    assert ids.shape == (2, 3, 4) and ids.dtype == torch.long


def test_temperature_zero_is_the_lowest_of_the_largest():
    logits = torch.tensor([[0.0, 3.0, 3.0], [1.0, 0.0, -1.0]])
    assert probabilities(logits, temperature=0).tolist() == [[0, 1, 0], [1, 0, 0]]
    almost = probabilities(logits[1:], temperature=1e-40)  # dividing alone would give inf - inf
    assert almost.tolist() == [[1, 0, 0]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype):
    logits = random_logits(3, 500).to(dtype)
    probs = probabilities(logits, top_p=0.9)
    assert probs.dtype == torch.float32
    assert torch.equal(probs, probabilities(logits.float(), top_p=0.9))
    assert kept(keep_top_p(logits, 0.9)) == kept(keep_top_p(logits.float(), 0.9))
    assert keep_top_p(logits, 0.9).dtype == dtype


def test_float64_stays():
    logits = random_logits(3, 9).double()
    assert probabilities(logits, top_k=4, top_p=0.8).dtype == torch.float64


# -- counting ---------------------------------------------------------------------------------


def count_off(counts, expected):
    """How far above chance the counts are off, in standard deviations: chi-square, made a standard
    normal by Wilson and Hilferty's cube root."""
    alive = expected > 0
    assert (counts[~alive] == 0).all()
    n, df = counts.sum(), int(alive.sum()) - 1
    mean_square = float(((counts - n * expected) ** 2 / (n * expected))[alive].sum()) / df
    return (mean_square ** (1 / 3) - 1 + 2 / (9 * df)) / (2 / (9 * df)) ** 0.5


def test_draws_follow_the_probabilities():
    logits = random_logits(2, 12) / 2
    probs = probabilities(logits, temperature=1.3, top_k=9)
    many = draw(probs[:, None].expand(2, 100_000, 12), seeded(5))  # (2, N)
    for row, expected in zip(many, probs.double()):
        assert count_off(row.bincount(minlength=12).double(), expected) < 4.5
    wrong = probabilities(logits, temperature=1.25, top_k=9).double()  # the test can tell
    assert count_off(many[0].bincount(minlength=12).double(), wrong[0]) > 5


def test_rows_need_not_add_up_to_one():
    many = draw(torch.tensor([3.0, 0.0, 1.0]).expand(40_000, 3), seeded(6))
    expected = torch.tensor([0.75, 0.0, 0.25], dtype=torch.double)
    assert count_off(many.bincount(minlength=3).double(), expected) < 4.5


def test_the_same_seed_the_same_draws():
    probs = probabilities(random_logits(50, 30))
    one, two, other = (draw(probs, seeded(n)) for n in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, words",
    [
        ({"temperature": -0.5}, "temperature=-0.5"),
        ({"temperature": math.nan}, "temperature=nan"),
        ({"temperature": math.inf}, "temperature=inf"),
        ({"top_k": 0}, "top_k=0"),
        ({"top_k": -3}, "top_k=-3"),
        ({"top_k": 2.0}, "top_k=2.0"),
        ({"top_k": True}, "top_k=True"),
        ({"top_p": 0}, "top_p=0"),
        ({"top_p": 1.01}, "top_p=1.01"),
        ({"top_p": math.nan}, "top_p=nan"),
        ({"top_p": -0.1, "temperature": 0}, "top_p=-0.1"),  # wrong even where it is not used
    ],
)
def test_options_out_of_range(options, words):
    with pytest.raises(ValueError) as caught:
        probabilities(random_logits(2, 5), **options)
    assert words in str(caught.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf])
def test_a_temperature_that_cannot_divide(temperature):
    with pytest.raises(ValueError, match=f"temperature={temperature}"):
        scale_temperature(random_logits(5), temperature)


@pytest.mark.parametrize("penalty", [0, -1.0, math.nan, math.inf])
def test_a_penalty_out_of_range(penalty):
    with pytest.raises(ValueError, match=f"repetition_penalty={penalty}"):
        penalize_repeats(random_logits(5), torch.tensor([1]), penalty)


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize(
    "bad, words",
    [
        ([math.nan, 1.0, math.nan], "2 of 6 logits are nan"),
        ([INF, 1.0, 0.0], "1 are infinite"),
        ([-INF] * 3, "3 are infinite"),
    ],
)
def test_logits_of_which_none_is_largest(temperature, bad, words):
    with pytest.raises(ValueError, match=words):
        probabilities(torch.tensor([[1.0, 2.0, 3.0], bad]), temperature=temperature)


@pytest.mark.parametrize(
    "probs", [[0.0, 0.0], [-0.1, 1.1], [math.nan, 1.0], [INF, 1.0], [-1.0, -1.0]]
)
def test_no_probabilities(probs):
    with pytest.raises(ValueError, match="probabilities must be 0 or more and not all 0"):
        draw(torch.tensor([[0.5, 0.5], probs]))


def test_nothing_is_drawn_for_wrong_options():
    with pytest.raises(ValueError):
        sampling.check_options(1.0, 5, 2.0)
