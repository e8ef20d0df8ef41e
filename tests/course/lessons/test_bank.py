"""What holds for every exercise of the course, written once.

The notebook's own cells are read here too: the stub that the learner meets is the one tested.
"""

import ast
import dis
import inspect
import re
import time

import pytest

from llamalab.course.catalogue import catalogue, questions
from llamalab.course.engine import source
from llamalab.course.engine.difference import difference
from tests.course.engine.learner import cell
from tools import notebooks as tool

EXERCISES = [(number, e) for number, group in catalogue().items() for e in group]
MISCONCEPTIONS = [(number, e, m) for number, e in EXERCISES for m in e.misconceptions]


def each_exercise():
    ids = [f"{number}-{e.name}" for number, e in EXERCISES]
    return pytest.mark.parametrize("number, exercise", EXERCISES, ids=ids)


def as_a_learner_would(function):
    """The function written in a cell: its own source, with the bank's names around it."""
    text = source.source_of(function)
    text = ast.get_source_segment(text, ast.parse(text).body[0])  # without @wrong(…)
    return cell(text, **function.__globals__)[function.__name__]


def answer_cell(number, exercise):
    """The stub in the notebook, and the last heading of an exercise above it."""
    (path,) = tool.find([number])
    heading = None
    for c in tool.read(path).cells:
        if c.metadata.get("nbgrader", {}).get("grade_id") == exercise.name:
            return c, heading
        if c.cell_type == "markdown":
            heading = (re.findall(r"^### Exercise .*$", c.source, re.M) or [heading])[-1]
    pytest.fail(f"{path.name} has no cell with nbgrader's grade_id {exercise.name!r}")


def globals_of(code):
    """Every global name that a function's code reads, the functions inside it included."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}
    inner = [constant for constant in code.co_consts if inspect.iscode(constant)]
    return own.union(*map(globals_of, inner))


@pytest.fixture(autouse=True)
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv("LLAMALAB_MY_LLAMA", str(tmp_path))
    return tmp_path


def test_names_are_unique():
    for items in (EXERCISES, [(n, q) for n, group in questions().items() for q in group]):
        names = [item.name for _, item in items]
        assert len(set(names)) == len(names)


@each_exercise()
def test_the_answer_passes_in_under_a_second_and_is_kept(number, exercise, my_llama):
    answer = as_a_learner_would(exercise.answer)
    start = time.process_time()
    result = exercise.check(answer)
    seconds = time.process_time() - start
    assert result.kind == "passed", result.text
    assert result == exercise.points
    assert (my_llama / f"{exercise.name}.py").is_file()
    assert seconds < 2, f"a check took {seconds:.2f} s of processor time"


@each_exercise()
def test_the_stub_is_not_attempted_and_fits_the_answer(number, exercise):
    stub, _ = answer_cell(number, exercise)
    name = exercise.answer.__name__
    variables = {}
    exec("import torch, math, heapq\nfrom collections import *", variables)
    function = cell(stub.source, **variables)[name]
    assert exercise.check(function).kind == "not attempted", "the stub is to end in `...`"
    arguments = list(function.__code__.co_varnames[: function.__code__.co_argcount])
    assert arguments == exercise.arguments, (
        f"the stub in notebook {number} (cell {stub.id}) takes {arguments}, the bank's answer "
        f"{exercise.arguments}"
    )
    assert function.__doc__, "the stub says nothing about shapes and values"


@each_exercise()
def test_its_heading_has_its_number_points_and_minutes(number, exercise):
    _, heading = answer_cell(number, exercise)
    place = catalogue()[number].index(exercise) + 1
    points = f"{exercise.points} point" + "s" * (exercise.points > 1)
    form = rf"### Exercise {place}: .+ · {points}, {exercise.minutes} minutes(, the hard one)?"
    assert re.fullmatch(form, heading or ""), (
        f"above the stub of {exercise.name} in notebook {number} is to stand "
        f"'### Exercise {place}: … · {points}, {exercise.minutes} minutes', not {heading!r}"
    )


@each_exercise()
def test_its_shape(number, exercise):
    assert len(exercise.misconceptions) >= 5, "at least five wrong answers"
    assert 1 <= exercise.points <= 10 and exercise.minutes > 0
    assert 2 <= len(exercise.hints) <= 4, "two to four hints"
    names = [m.name for m in exercise.misconceptions]
    assert len(set(names)) == len(names), "two wrong answers have one name"
    for m in exercise.misconceptions:
        assert m.says.rstrip()[-1] in ".?:)", f"{m.name}: no full stop behind {m.says!r}"


@each_exercise()
def test_the_reference_does_not_call_the_answer(number, exercise):
    reference, answer = exercise.reference, exercise.answer
    assert reference is not answer, "the answer judges itself"
    if reference.__module__ == answer.__module__:
        assert answer.__name__ not in globals_of(reference.__code__), "the answer judges itself"


@each_exercise()
def test_hints_do_not_give_the_line_away(number, exercise):
    lines = [line.strip() for line in source.source_of(exercise.answer).splitlines()]
    telling = [line for line in lines if len(line) > 14 and not line.startswith(("def ", "#"))]
    for hint in exercise.hints:
        for line in telling:
            assert line not in hint, f"the hint {hint!r} contains {line!r}"


@each_exercise()
def test_probes_are_the_same_every_time_and_say_something(number, exercise):
    first, second = exercise.probes(), exercise.probes()
    unlike = difference(list(first), list(second), rtol=0, atol=0)
    assert unlike is None, f"made twice, the probes are not the same: {unlike.says}"
    assert len(first) >= 2, "one probe alone is easily met by accident"


@pytest.mark.parametrize(
    "number, exercise, misconception",
    MISCONCEPTIONS,
    ids=[f"{number}-{e.name}-{m.name}" for number, e, m in MISCONCEPTIONS],
)
def test_every_misconception_is_rejected_and_named(number, exercise, misconception):
    wrong = as_a_learner_would(misconception.wrong)
    start = time.process_time()
    result = exercise.check(wrong)
    seconds = time.process_time() - start
    assert result == 0 and result.kind not in ("passed", "leans"), (
        f"{misconception.name} is right on every probe: is it a mistake? Then the probes miss it."
    )
    assert result.named == misconception.name, (
        f"{misconception.name} was met as {result.named}. Are the two one mistake? Otherwise they "
        f"have to differ on a probe.\n{result.text}"
    )
    assert misconception.says in result.text
    assert seconds < 2, f"the check took {seconds:.2f} s of processor time"


def test_every_option_of_every_question_explains_itself():
    for number, group in questions().items():
        assert 3 <= len(group) <= 5, f"notebook {number} has {len(group)} questions"
        for question in group:
            assert len(question.options) >= 3
            for i, option in enumerate(question.options, 1):
                assert len(option.because) > 20
                assert option.because in question.answer(i)


def test_every_exercise_and_question_of_the_bank_is_in_its_notebook():
    for number, group in catalogue().items():
        (path,) = tool.find([number])
        cells = tool.read(path).cells
        graded = {c.metadata.get("nbgrader", {}).get("grade_id") for c in cells}
        code = "\n".join(c.source for c in cells if c.cell_type == "code")
        for exercise in group:
            assert {exercise.name, f"check-{exercise.name}"} <= graded
            assert f"ex.{exercise.name}.check({exercise.answer.__name__})" in code
        for question in questions()[number]:
            assert f"quiz.{question.name}.ask()" in code
        points = {
            c.metadata.nbgrader.grade_id: c.metadata.nbgrader.points
            for c in cells
            if c.metadata.get("nbgrader", {}).get("grade")
        }
        assert points == {f"check-{e.name}": e.points for e in group}
