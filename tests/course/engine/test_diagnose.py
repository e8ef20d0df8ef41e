"""A diagnosis is made where it is exactly so, and not where it is nearly so."""

import pytest
import torch

from llamalab.course.engine.diagnose import diagnose


def wants(*sizes, seed=0):
    g = torch.Generator().manual_seed(seed)
    return [torch.randn(*size, generator=g) for size in sizes]


SQUARE = wants((4, 4), (5, 5))
WIDE = wants((2, 5, 3), (3, 4, 6))
ROWS = [w.softmax(-1) for w in wants((4, 5), (3, 6), seed=1)]

TRUE = {
    "negated": (WIDE, lambda w: -w),
    "transposed": (SQUARE, lambda w: w.T.contiguous()),
    "axes swapped": (wants((2, 5, 3, 4), (3, 4, 2, 6)), lambda w: w.transpose(1, 2)),
    "lost axis": (wants((1, 5, 3), (4, 1, 6)), lambda w: w.squeeze()),
    "extra axis": (WIDE, lambda w: w[None]),
    "dtype": (WIDE, lambda w: w.double()),
    "zeros": (WIDE, lambda w: torch.zeros_like(w)),
    "reversed": (WIDE, lambda w: w.flip(0)),
    "reversed last": (WIDE, lambda w: w.flip(-1)),
    "not normalised": (ROWS, lambda w: w * (3 + torch.arange(len(w)))[:, None]),
    "exponential": (WIDE, torch.exp),
    "logarithm": ([w.exp() for w in WIDE], torch.log),
    "other shape": (WIDE, lambda w: w.flatten(1)),
    "permuted rows": (wants((4, 3), (5, 3)), lambda w: w[[1, 0, *range(2, len(w))]]),
    "shifted": (WIDE, lambda w: torch.cat((torch.zeros_like(w[..., :1]), w[..., :-1]), -1)),
    "scaled": (WIDE, lambda w: w * w.shape[-1] ** 0.5),
    "offset": (WIDE, lambda w: w + 0.25),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_is_so_is_said(name):
    want, spoil = TRUE[name]
    found = diagnose([(spoil(w), w) for w in want])
    assert found is not None and found.name == name, found


@pytest.mark.parametrize("name", TRUE)
def test_what_is_nearly_so_is_not_said(name):
    want, spoil = TRUE[name]
    pairs = [(spoil(w).clone(memory_format=torch.contiguous_format), w) for w in want]
    pairs[-1][0].view(-1)[-1] += 0.01 + pairs[-1][0].abs().max()
    assert diagnose(pairs) is None


def test_too_few_numbers_say_nothing():
    for want in (torch.zeros(3, 3), torch.ones(2), torch.tensor([1.0, -1.0, 1.0])):
        assert diagnose([(-want, want), (-want, want)]) is None
    assert diagnose([]) is None and diagnose([("a", "b")]) is None
    assert diagnose([(torch.ones(3).to_sparse(), torch.rand(3))]) is None


def test_the_factor_is_said():
    assert diagnose([(w * 0.5, w) for w in WIDE]).says.endswith("times 0.5.")
    assert "divided by the size of its last" in diagnose([(w / w.shape[-1], w) for w in WIDE]).says
    assert diagnose([(w * (2 + i), w) for i, w in enumerate(WIDE)]) is None


def test_an_input_that_comes_back_is_named():
    (x, y), (a, b) = WIDE, wants((2, 5, 3), (3, 4, 6), seed=3)
    inputs = [{"x": a, "n": 3}, {"x": b, "n": 4}]
    assert "`x`" in diagnose([(a, x), (b, y)], inputs).says
    assert diagnose([(a, x), (b + 1, y)], inputs) is None


def test_lists_and_numbers():
    lists = [[1, 2, 3], [4, 5, 6, 7]]
    assert diagnose([(w[::-1], w) for w in lists]).name == "reversed"
    assert diagnose([(w[1:], w) for w in lists]).name == "first missing"
    assert diagnose([(w[:-1], w) for w in lists]).name == "last missing"
    assert diagnose([([*w, 9], w) for w in lists]).name == "one too many"
    assert diagnose([([9, *w], w) for w in lists]).name == "one too early"
    assert diagnose([([w[1], w[0], *w[2:]], w) for w in lists]).name == "order"
    assert diagnose([([0, *w[1:]], w) for w in lists]) is None
    assert diagnose([(6, 5), (10, 9)]).says == "Your answer is always +1 off."
    assert diagnose([(10, 5), (18, 9)]).name == "scaled"
    assert diagnose([(-5, 5), (-9, 9)]).name == "negated"
    assert diagnose([(6, 5), (11, 9)]) is None and diagnose([(6, 5), (6, 5)]) is None
