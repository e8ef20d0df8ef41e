"""Recognising what is wrong, watching how it is done, and whose fault it is."""

import dataclasses

import pytest
import torch

from llamalab.course.engine import Exercise, Misconception, WrongAnswers, seeded
from tests.course.engine.learner import cell

wrong = WrongAnswers()


def blend(x, weight, ids):
    return x.softmax(-1) * weight


@wrong("You added.")
def adds(x, weight, ids):
    return x.softmax(-1) + weight


@wrong("You took the softmax down the columns.")
def columns(x, weight, ids):
    return x.softmax(0) * weight


@wrong("You left the softmax out.")
def none_at_all(x, weight, ids):
    return x * weight


@wrong("You forgot the one row.")
def crashes(x, weight, ids):
    raise ValueError(f"a shape of {tuple(x.shape)}")


def probes():
    g = seeded(3)
    sizes = ((2, 5), (3, 3), (4, 6), (1, 4))
    return [(torch.randn(*s, generator=g), torch.rand(s[1], generator=g), torch.tensor([3, 1, 2]))
            for s in sizes]  # fmt: skip


EXERCISE = Exercise(
    name="blend",
    title="Blend",
    points=2,
    minutes=1,
    answer=blend,
    reference=lambda x, weight, ids: torch.nn.functional.softmax(x, 1) * weight,
    probes=probes,
    misconceptions=wrong.all,
    hints=("One.", "Two."),
)


@pytest.fixture(autouse=True)
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))


def check(body, exercise=EXERCISE, before=""):
    code = f"import torch\n{before}\ndef blend(x, weight, ids):\n    {body}\n"
    return exercise.check(cell(code)["blend"])


# -- recognised ------------------------------------------------------------------------------


def test_the_same_everywhere_is_named():
    assert check("return weight + torch.softmax(x, 1)").named == "adds"


def test_the_same_wherever_it_is_wrong_is_named():
    result = check(
        "if len(x) == 1: return x.softmax(-1) * weight\n    return x.softmax(0) * weight"
    )
    assert (result.named, "It explains a part" in result.text) == ("columns", False)


def test_a_second_mistake_besides_is_said():
    result = check("y = x.softmax(-1) + weight\n    return y if len(x) < 4 else y.pow(3)")
    assert result.named == "adds" and "It explains a part" in result.text


def test_where_it_stops_besides_is_said():
    result = check("if len(x) > 3: raise KeyError('no')\n    return x.softmax(-1) + weight")
    assert result.named == "adds"
    assert "You added. (And with other arguments it stops: KeyError: 'no')" in result.text


def test_several_arguments_that_were_changed_are_named_together():
    result = check("y = x.softmax(-1) * weight; x += 1; weight.mul_(2); return y")
    assert "`x` and `weight` were no longer the same" in result.text
    assert "still needs them: work on copies" in result.text
    result = check("y = x.softmax(-1) * weight; x += 1; return y")
    assert "`x` was no longer" in result.text and "still needs it: work on a copy" in result.text


def test_who_draws_at_random_is_told_so():
    assert check("return x.softmax(-1) * weight + 0.1 * torch.rand_like(x)").named == "draws"
    result = check("return torch.multinomial(x.softmax(-1), 1)")
    assert (result.kind, result.named) == ("shape", None)
    assert check("torch.rand(1)\n    return x.softmax(-1) + weight").named == "adds"


def test_float64_that_went_through_float32_is_told_so():
    """And not, as it once was, that rows stand in another order."""
    wide = dataclasses.replace(
        EXERCISE, probes=lambda: [(x.double(), w.double(), i) for x, w, i in probes()]
    )
    result = check("return (x.float().softmax(-1) * weight.float()).double()", wide)
    assert result.named == "digits" and "some step of yours works in float32" in result.text
    assert check("return x.softmax(-1) * weight * 1.0001", wide).named != "digits"


def test_a_way_through_float32_is_no_second_mistake():
    """The same wrong answer in other steps, which float32 rounds otherwise than the bank's."""
    mixed = dataclasses.replace(
        EXERCISE,
        probes=lambda: [*probes(), *((x.double(), w.double(), i) for x, w, i in probes())],
        misconceptions=(
            Misconception(
                lambda x, w, i: (x.float().softmax(-1) + w.float()).to(x.dtype), "You added."
            ),
        ),
    )
    steps = "y = x.float().exp(); y = y / y.sum(-1, keepdim=True); "
    result = check(f"{steps}return (y + weight.float()).to(x.dtype)", mixed)
    assert "You added." in result.text and "It explains a part" not in result.text
    result = check(f"{steps}return (y + weight.float()).to(x.dtype) * (1 + x.double() / 9)", mixed)
    assert "You added." not in result.text


def test_up_to_dtype():
    result = check("return (x.softmax(-1) + weight).double()")
    assert result.named == "adds" and "the dtype" in result.text and result.kind == "dtype"
    assert check("return (x.softmax(-1) * weight).double()").named == "dtype"


def test_what_nothing_explains_is_not_named():
    assert check("return x.softmax(-1) * weight ** 2").named is None
    assert check("return torch.full_like(x, 0.5)").named is None


MEANS = dataclasses.replace(
    EXERCISE,
    reference=lambda x, weight, ids: (x.softmax(-1) * weight).mean(),
    answer=lambda x, weight, ids: (x.softmax(-1) * weight).mean(),
    misconceptions=(Misconception(lambda x, w, ids: (x.softmax(-1) + w).mean(), "You added."),),
)


def test_single_numbers_are_taken_together_from_several_probes():
    body = "y = (x.softmax(-1) + weight).mean()\n    return y if len(x) < 4 else y.pow(3)"
    assert check(body, MEANS).named is None, "three numbers may agree by accident"
    many = dataclasses.replace(
        MEANS, probes=lambda: [*probes(), *((x[:2, 1:], w[1:], ids) for x, w, ids in probes())]
    )
    result = check(body, many)
    assert result.named is not None and "You added. (It explains a part" in result.text


CODES = dataclasses.replace(
    EXERCISE,
    reference=lambda x, weight, ids: (9 * x).round().to(torch.int8),
    answer=lambda x, weight, ids: (9 * x).round().to(torch.int8),
    misconceptions=(
        Misconception(lambda x, w, ids: (9 * x).floor().to(torch.int8), "You rounded down."),
    ),
)


def test_codes_that_agree_in_many_places_are_no_accident():
    body = "return (9 * x).floor().to(torch.int8) if len(x) > 1 else (9 * x).ceil().to(torch.int8)"
    result = check(body, dataclasses.replace(CODES, probes=lambda: probes()[2:]))
    assert "You rounded down. (It explains a part" in result.text
    few = dataclasses.replace(CODES, probes=lambda: [(x[:2, :3], w, i) for x, w, i in probes()[2:]])
    assert check(body, few).named is None, "a few small numbers may agree by accident"


def test_two_that_explain_it_equally_well_are_not_named():
    twin = WrongAnswers()
    for says in ("One.", "Other."):
        twin(says)(lambda x, weight, ids: x.softmax(-1) + weight)
    exercise = dataclasses.replace(EXERCISE, misconceptions=twin.all)
    body = "y = x.softmax(-1) + weight\n    return y if len(x) < 4 else y.pow(3)"
    assert check(body, exercise).named is None


def test_crashes_are_alike_only_in_the_same_words():
    assert check("raise ValueError(f'a shape of {tuple(x.shape)}')").named == "crashes"
    assert check("raise ValueError('other words')").named is None


def test_a_general_diagnosis_stands_in_where_no_misconception_fits():
    result = check("return -x.softmax(-1) * weight")
    assert result.named == "negated" and "sign" in result.text


# -- words -----------------------------------------------------------------------------------


def test_small_whole_numbers_are_shown():
    assert "ids: [3, 1, 2]" in check("return x").text
    assert "x: tensor (2, 5) float32" in check("return x").text


# -- how it is done --------------------------------------------------------------------------


def slope(x):
    return 3 * x * x


torch.func.vjp(torch.square, torch.ones(1))  # its first use reads modules for a second or more


def by_autograd(x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad((x**3).sum(), x)[0]


SLOPE = dataclasses.replace(
    EXERCISE,
    name="slope",
    answer=slope,
    reference=by_autograd,
    probes=lambda: [(torch.rand(4, generator=seeded(1)),), (torch.rand(2, generator=seeded(2)),)],
    misconceptions=(),
    no_autograd=True,
)

BY_AUTOGRAD = {
    "grad": "x = x.clone().requires_grad_()\n    return grad((x**3).sum(), x)[0]",
    "backward": "x = x.clone().requires_grad_()\n    (x**3).sum().backward()\n    return x.grad",
    "vjp": "return torch.func.vjp(lambda y: y**3, x)[1](torch.ones_like(x))[0]",
    "func.grad": "return torch.func.grad(lambda y: (y**3).sum())(x)",
    "swallowing": "try:\n        x = x.clone().requires_grad_()\n"
    "        return grad((x**3).sum(), x)[0]\n    except Exception:\n        return 3 * x * x",
    "torch's own": "return torch.ops.aten.tanh_backward(3 * x * x, torch.zeros_like(x))",
}


@pytest.mark.parametrize("way", BY_AUTOGRAD)
def test_a_gradient_left_to_autograd_is_seen(way):
    code = f"import torch\nfrom torch.autograd import grad\ndef slope(x):\n    {BY_AUTOGRAD[way]}\n"
    result = SLOPE.check(cell(code)["slope"])
    assert (result, result.kind) == (0, "autograd"), result.text


def test_a_gradient_worked_out_passes_and_autograd_works_afterwards():
    assert SLOPE.check(cell("def slope(x):\n    return x * 3 * x")["slope"]) == 2
    assert by_autograd(torch.ones(2)).tolist() == [3.0, 3.0]


def test_a_tensor_that_is_too_large_is_seen_and_views_are_not_counted():
    def largest(x, weight, ids):
        return x.numel()

    exercise = dataclasses.replace(EXERCISE, largest_tensor=largest, misconceptions=())
    assert check("return x.softmax(-1) * weight", exercise) == 2
    wide = "return x.softmax(-1) * weight.expand(50, *weight.shape)[0]"
    assert check(wide, exercise) == 2
    wide = "return x.softmax(-1) * weight.repeat(50, 1)[0]"
    result = check(wide, exercise)
    assert (
        result.kind == "too large"
        and "(50, 5), which holds 250 numbers. It can be done with none of more than 10"
        in result.text
    )


# -- whose fault -----------------------------------------------------------------------------


def broken(*_):
    raise ZeroDivisionError("ours")


@pytest.mark.parametrize("part", ["reference", "probes"])
def test_an_error_of_the_course_is_said_to_be_the_courses(part):
    exercise = dataclasses.replace(EXERCISE, **{part: broken})
    result = check("return x", exercise)
    assert (result, result.kind) == (0, "fault")
    assert "not you" in result.text and "ZeroDivisionError" in result.text


def test_a_refusal_that_is_asked_for_is_no_fault():
    def refuses(x, weight, ids):
        if len(x) == 1:
            raise ValueError("one row")
        return x.softmax(-1) * weight

    exercise = dataclasses.replace(
        EXERCISE, answer=refuses, reference=refuses, refuses=(ValueError,)
    )
    result = check("return x.softmax(-1) * weight", exercise)
    assert result.kind == "no error" and "a ValueError" in result.text
    body = "if len(x) == 1: raise ValueError\n    return x.softmax(-1) * weight"
    code = f"def refuses(x, weight, ids):\n    {body}\n"
    assert exercise.check(cell(code)["refuses"]) == 2


# -- what an answer leans on ------------------------------------------------------------------


def test_an_argument_of_a_method_is_no_variable_of_the_notebook():
    before = "x, grad = 3, 4\nclass Soft(torch.autograd.Function):\n    @staticmethod\n"
    before += "    def forward(ctx, x):\n        return x.softmax(-1)\n    @staticmethod\n"
    before += "    def backward(ctx, grad):\n        y = grad\n        return y\n"
    assert check("return Soft.apply(x) * weight", before=before) == 2


def test_a_variable_that_a_method_does_use_is_still_found():
    before = "k = {1: 1}\nclass Soft:\n    def of(self, x):\n        return x.softmax(-1) * k[1]\n"
    result = check("return Soft().of(x) * weight", before=before)
    assert result.kind == "leans" and "`k`" in result.text


def test_a_helper_beside_a_nested_answer_comes_along(tmp_path):
    code = "import torch\ndef make():\n    def half(x):\n        return x.softmax(-1)\n"
    code += "    def blend(x, weight, ids):\n        return half(x) * weight\n    return blend\n"
    assert EXERCISE.check(cell(code + "blend = make()")["blend"]) == 2


def test_a_value_of_a_factory_is_told_in_its_own_words():
    code = (
        "def make(k):\n    def blend(x, weight, ids):\n        return x.softmax(-1) * weight * k\n"
    )
    result = EXERCISE.check(cell(code + "    return blend\nblend = make(1)")["blend"])
    assert result.kind == "leans" and "made inside another function" in result.text
    assert "`k`" in result.text and "of this notebook" not in result.text


def test_of_right_values_nothing_is_said():
    result = check("y = x.softmax(-1) * weight\n    x.zero_()\n    return y")
    assert (result.kind, result.named) == ("changed", None), result.text


def test_another_rounding_in_16_bits_is_no_second_mistake(tmp_path, monkeypatch):
    """The same wrong way by torch's own kernel, which rounds in another order; and with a second
    mistake besides, which is said."""
    from llamalab import layers
    from llamalab.course import ex

    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))

    def in_turns(q, k, v, mask=None):
        times = (1, 1, q.shape[2] // k.shape[2], 1)
        return layers.attention(q, k.repeat(times), v.repeat(times), mask)

    def and_twice_in_halves(q, k, v, mask=None):
        return in_turns(q, k, v, mask) * (1 if q.dtype == torch.float32 else 2)

    says = repr(ex.attention.check(in_turns)._repr_html_())
    assert "K1 K2 K1 K2" in says and "It explains a part" not in says
    assert "It explains a part" in repr(ex.attention.check(and_twice_in_halves)._repr_html_())
