"""Where a gradient can be cut, the judge sees it.

In each exercise that a loss is pulled through, every expression of the model answer that carries a
gradient is cut off in turn: whole (as detach(), .data or no_grad would), in the first row alone,
and for 16-bit numbers alone. The values stay as they are, so only the way back can tell. What may
pass is listed below, with the reason.
"""

import ast

import pytest

from llamalab.course.catalogue import catalogue
from llamalab.course.engine import source
from llamalab.course.engine.calls import each_outcome, outcomes
from llamalab.course.engine.gradients import gradient_difference
from tests.course.engine.learner import cell

EXERCISES = [e for group in catalogue().values() for e in group if e.gradients]
EXPECTED = {
    "embed_product", "rms_norm", "rms_norm_half", "rope", "one_head", "attention", "silu",
    "swiglu", "block", "masked_loss",
    "lora_linear",
}  # fmt: skip

# (exercise, the expression, what stands around it): why nothing is cut there
HARMLESS = {
    ("attention", "v", "scores.softmax(dim=-1, dtype=wide).type_as(v)"): "only its dtype is used",
    ("ppo_loss", "logp_old", "logp_old.detach"): "a measurement, which is not to learn",
    ("ppo_loss", "advantages", "advantages.detach"): "a measurement, which is not to learn",
}

CUTS = {
    "whole": "return v.detach()",
    "first row": "return torch.cat((v[:1].detach(), v[1:])) if v.ndim else v.detach()",
    "half": "return v.detach() if v.dtype.itemsize == 2 else v",
}
HELPER = """
import torch
def cut(v):
    if not isinstance(v, torch.Tensor) or not v.requires_grad:
        return v
    {}
"""


def places(text):
    """(expression, the one around it) for each expression of a function whose value can be
    replaced by itself in a call."""
    tree = ast.parse(text)
    for around in ast.walk(tree):
        for field, value in ast.iter_fields(around):
            for node in value if isinstance(value, list) else [value]:
                if not isinstance(node, ast.expr) or field in ("func", "slice", "annotation"):
                    continue
                if isinstance(node, (ast.Constant, ast.Tuple, ast.Starred, ast.Slice)):
                    continue
                if isinstance(getattr(node, "ctx", None), ast.Store):
                    continue
                looks = isinstance(around, ast.Attribute) and around.attr in (
                    "shape",
                    "dtype",
                    "device",
                )
                if not looks and not (isinstance(node, ast.Attribute) and node.attr == "shape"):
                    yield node, around


def with_a_cut(text, number):
    """The text with the expression of that number inside cut(…); the two as words."""
    tree = ast.parse(text)
    del tree.body[0].decorator_list[:]
    found = list(places(ast.unparse(tree)))
    node, around = found[number]
    words = ast.unparse(node), ast.unparse(around)
    start, end = node.col_offset, node.end_col_offset
    lines = ast.unparse(tree).splitlines()
    assert node.lineno == node.end_lineno
    line = lines[node.lineno - 1].encode()
    line = line[:start] + b"cut(" + line[start:end] + b")" + line[end:]
    lines[node.lineno - 1] = line.decode()
    return "\n".join(lines) + "\n", words


def carried(exercise, text):
    """The sizes in bytes of the numbers that want their gradient and go through cut(…)."""
    spy = "def cut(v):\n    if getattr(v, 'requires_grad', False):\n"
    seen = []
    code = spy + "        seen.append(v.dtype.itemsize)\n    return v\n" + text
    scope = {**exercise.answer.__globals__, "seen": seen}
    outcomes(exercise, cell(code, **scope)[exercise.answer.__name__], gradients=True)
    return set(seen)


def cuts(exercise):
    """(kind of cut, the expression, what stands around it, the text) of every cut there is."""
    text = source.source_of(exercise.answer)
    tree = ast.parse(text)
    del tree.body[0].decorator_list[:]
    for number in range(len(list(places(ast.unparse(tree))))):
        spoiled, words = with_a_cut(text, number)
        sizes = carried(exercise, spoiled)
        for kind, line in CUTS.items():
            if 2 in sizes if kind == "half" else sizes:
                yield kind, *words, HELPER.format(line) + spoiled


def verdicts(exercise):
    """[(kind of cut, expression, around, whether it is refused, whether the values stay)]"""
    plain = outcomes(exercise, exercise.reference)
    want = outcomes(exercise, exercise.reference, gradients=True)
    found = []
    for kind, node, around, code in cuts(exercise):
        answer = cell(code, **exercise.answer.__globals__)[exercise.answer.__name__]
        each = each_outcome(exercise, answer, gradients=True)
        refused = any(gradient_difference(a.gradients, b.gradients) for a, b in zip(each, want))
        same = next(each_outcome(exercise, answer)).alike(plain[0], **exercise.tolerance)
        found.append((kind, node, around, refused, same))
    return found


@pytest.fixture(autouse=True)
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))


def test_the_exercises_that_a_loss_is_pulled_through_ask_for_gradients():
    assert EXPECTED <= {e.name for e in EXERCISES}


@pytest.mark.parametrize("exercise", EXERCISES, ids=[e.name for e in EXERCISES])
def test_every_cut_is_refused(exercise):
    found = verdicts(exercise)
    assert len(found) >= 4
    for kind, node, around, refused, same in found:
        assert same, f"{kind} cut of {node} in {around} changes a value"
        harmless = (exercise.name, node, around) in HARMLESS
        assert refused != harmless, f"{kind} cut of {node} in {around}"


@pytest.mark.parametrize("exercise", EXERCISES, ids=[e.name for e in EXERCISES])
def test_the_judge_says_so(exercise):
    *_, code = next(cuts(exercise))
    result = exercise.check(cell(code, **exercise.answer.__globals__)[exercise.answer.__name__])
    assert (result, result.kind) == (0, "gradient"), result.text


def table():
    """The cut-gradient table: `python -m tests.course.lessons.test_cut_gradients`."""
    for exercise in EXERCISES:
        found = verdicts(exercise)
        for kind in CUTS:
            mine = [f for f in found if f[0] == kind]
            refused = [f for f in mine if f[3]]
            print(f"{exercise.name:16} {kind:10} tried {len(mine):3} refused {len(refused):3}")
            for f in mine:
                if f not in refused:
                    print("    passed:", f)


if __name__ == "__main__":
    table()
