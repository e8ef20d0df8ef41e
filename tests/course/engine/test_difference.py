"""Equal means equal, and a difference is told in words and numbers."""

from collections import Counter

import numpy as np
import pytest
import torch

from llamalab.course.engine.difference import describe, difference


@pytest.mark.parametrize(
    "got, want",
    [
        (1, 1), (1.0 + 1e-9, 1.0), ("a", "a"), ([1, 2], (1, 2)), (Counter("aab"), {"a": 2, "b": 1}),
        ({1, 2}, frozenset({1, 2})), (float("nan"), float("nan")), (np.float64(2.0), 2.0),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0 + 1e-7, float("nan")])),
        (np.ones(3), np.ones(3)), (torch.tensor(float("inf")), torch.tensor(float("inf"))),
    ],
)  # fmt: skip
def test_equal(got, want):
    assert difference(got, want) is None


@pytest.mark.parametrize(
    "got, want, kind",
    [
        (None, 1, "none"), (2, 1, "value"), ("a", 1, "type"), (True, 1, "type"), (1.0, "a", "type"),
        ([1, 2], [1, 2, 3], "length"), ([1, 3], [1, 2], "value"), ({"a": 1}, {"b": 1}, "keys"),
        ({"a": 2}, {"a": 1}, "value"), (torch.ones(2), 1.0, "type"), (1, torch.ones(1), "type"),
        (torch.ones(2, 3), torch.ones(3, 2), "shape"), ([1], {1}, "type"),
        (torch.ones(2).double(), torch.ones(2), "dtype"), (b"a", "a", "type"),
        (torch.tensor([1.0, float("nan")]), torch.ones(2), "value"),
        (torch.tensor([float("inf")]), torch.ones(1), "value"),
        (torch.tensor([-float("inf")]), torch.tensor([float("inf")]), "value"),
    ],
)  # fmt: skip
def test_different(got, want, kind):
    assert difference(got, want).kind == kind


def test_the_largest_differences_are_shown_where_they_are():
    want = torch.zeros(2, 3)
    got = want.clone()
    got[1, 2], got[0, 1] = 5.0, -1.0
    found = difference(got, want)
    assert found.says == "the answer differs in 2 of 6 numbers, by 5 at the most"
    assert ("[1, 2]", "5", "0") in found.rows and ("[0, 1]", "-1", "0") in found.rows


def test_half_precision_lets_a_rare_flip_pass_and_a_common_one_not():
    want = torch.rand(40, 50, generator=torch.Generator().manual_seed(1)).bfloat16() + 1
    few, many = want.clone(), want.clone()
    few[0, :10] *= 1 + torch.finfo(torch.bfloat16).eps
    many[:, ::4] *= 1 + torch.finfo(torch.bfloat16).eps
    assert (few != want).sum() == 10
    assert difference(few, want) is None
    assert difference(many, want).kind == "value"
    few[0, 0] *= 1.1
    assert difference(few, want).kind == "value"


def test_descriptions_are_short_and_stable():
    assert describe(torch.ones(2, 3).bfloat16()) == "tensor (2, 3) bfloat16"
    assert describe(describe) == "describe"
    assert len(describe(list(range(1000)))) < 80


def test_only_numbers_out_of_tolerance_are_counted_and_what_is_right_is_named():
    want = torch.linspace(1, 2, 15).reshape(5, 3)
    got = want + 1e-7  # rounding everywhere
    got[:4] += 0.5
    found = difference(got, want)
    assert found.says == (
        "the answer differs in 12 of 15 numbers, by 0.5 at the most; all of the last row is right"
    )
    got, want = torch.ones(2, 3, 4), torch.ones(2, 3, 4)
    got[:, 1:] = 2
    assert difference(got, want).says.endswith("; all of [:, 0] is right")
    got[1, 0, 2] = 3
    assert "right" not in difference(got, want).says


def test_only_rows_that_differ_are_shown_with_as_many_digits_as_it_takes():
    want = torch.tensor([0.000165, 1.0, 2.0])
    got = torch.tensor([0.00016503, 1.0, 2.0])
    ((place, yours, expected),) = difference(got, want, atol=0).rows
    assert place == "[0]" and yours != expected and len(yours) <= 11
    ((_, yours, expected),) = difference(1.00002, 1.0).rows
    assert (yours, expected) == ("1.00002", "1")


def test_an_infinity_that_is_missing_is_not_called_infinite():
    says = difference(torch.tensor([1.0, 2.0]), torch.tensor([float("inf"), 2.0])).says
    assert says == "the answer differs in 1 of 2 numbers"


def test_keys_are_named():
    says = difference({"a": 1, "x": 2}, {"a": 1, "b": 2}).says
    assert says == "the answer misses 'b' and has 'x', which should not be there"
    says = difference({}, dict.fromkeys("abcde", 1)).says
    assert says == "the answer misses 'a', 'b' and 'c' and 2 more"


def test_several_results_are_counted_in_words_and_a_lists_items_by_index():
    assert difference((1, 3), (1, 2)).says == "the second result differs"
    assert difference((1, [2, 3]), (1, [2, 4])).says == "the second result at [1] differs"
    assert difference([[1], [2]], [[1], [3]]).says == "the item at [1][0] differs"
    assert difference([5] * 6, (5, 5, 5, 5, 5, 6)).says == "the item at [5] differs"


def test_lists_of_unequal_length_are_shown_where_they_part():
    found = difference(list(range(20)), [*range(9), *range(10, 20)])
    assert found.says == "the answer has 20 items, not 19; they part at [9]"
    assert found.rows == (
        ("from [7] on", "[7, 8, 9, 10, 11, 12, 13, 14, …]", "[7, 8, 10, 11, 12, 13, 14, 15, …]"),
    )
    found = difference((["a"], ["b", "c"]), (["a"], ["b"]))
    assert found.says == "the second result has 2 items, not 1"
    assert found.rows == (("the second result", "['b', 'c']", "['b']"),)
    ((_, mine, want),) = difference(list(range(9)), list(range(12))).rows
    assert (mine, want) == ("[7, 8]", "[7, 8, 9, 10, 11]")


def test_truth_values_are_not_numbers():
    got, want = torch.ones(2, 2).bool(), torch.eye(2).bool()
    found = difference(got, want)
    assert found.says == "the answer differs in 2 of 4 truth values"
    assert found.rows == (("[0, 1]", "True", "False"), ("[1, 0]", "True", "False"))


def test_a_float_for_an_int_is_a_type():
    assert difference(11008.0, 11008).kind == "type"
    assert difference(np.int64(3), 3) is None and difference(3, 3.0) is None
    assert difference([1, 2.0], [1, 2]).kind == "type"


def test_a_negative_zero_is_shown_as_0():
    assert difference(torch.tensor(1.0), torch.tensor(-0.0)).rows == (("value", "1", "0"),)
    assert difference(-1.0, -0.0).rows == (("the answer", "-1", "0"),)
