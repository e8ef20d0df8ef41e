"""Ranges against every combination of their ends."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llamalab.accounting.ranges import Range, brief

three = st.tuples(*[st.floats(0, 1e6)] * 3).map(sorted).map(lambda x: Range(*x))


def ends(x):
    return x.low, x.high


@given(three, three)
def test_the_ends_are_the_most_that_the_ends_can_make(a, b):
    for made, how in ((a * b, lambda x, y: x * y), (a + b, lambda x, y: x + y)):
        every = [how(x, y) for x, y in itertools.product(ends(a), ends(b))]
        assert ends(made) == (min(every), max(every))
        assert made.central == how(a.central, b.central)


@given(three, three.filter(lambda x: x.low > 1e-3))
def test_more_of_a_divisor_is_less(a, b):
    every = [x / y for x, y in itertools.product(ends(a), ends(b))]
    assert ends(a / b) == (min(every), max(every))
    assert (a / b).central == a.central / b.central


def test_numbers_on_either_side():
    r = Range(1, 2, 4)
    assert 3 * r == r * 3 == Range(3, 6, 12)
    assert 1 + r == r + 1 == Range(2, 3, 5)
    assert r / 2 == Range(0.5, 1, 2)
    assert Range.of(r) is r and Range.of((1, 2, 4)) == r
    assert Range.of(5) == Range(5, 5, 5) and Range.of(5).exact and not r.exact


@pytest.mark.parametrize("numbers", [(2, 1, 3), (1, 3, 2), (-1, 0, 1), (3, 2, 1)])
def test_what_is_out_of_order_is_refused(numbers):
    with pytest.raises(ValueError, match=f"low={numbers[0]}, central={numbers[1]}"):
        Range(*numbers)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(bad):
    with pytest.raises(ValueError, match="finite"):
        Range(0, bad, bad)


def test_a_range_that_reaches_zero_divides_nothing():
    with pytest.raises(ZeroDivisionError):
        Range.of(1) / Range(0, 1, 2)


def test_numbers_are_written_out():
    said = [brief(x) for x in (0, 0.5, 0.01583, 1_720_320, 3.14159, 123.456, 1e-6, 8e22)]
    assert said == ["0", "0.5", "0.01583", "1,720,320", "3.142", "123.5", "1.00e-06", "8.000e+22"]
    assert str(Range(1, 2, 3)) == "2 (1 to 3)" and str(Range.of(2)) == "2"
