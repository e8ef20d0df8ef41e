"""Every way in which an answer can fail has its own sentence; none of them raises."""

import dataclasses
import functools
import io
import subprocess
import sys
import threading
import time

import pytest
import torch

from llamalab.course import ex, mine
from llamalab.course.catalogue import find
from llamalab.course.engine import Exercise, Misconception, answers, attempts
from llamalab.course.engine.deadline import TimeUp, TooMuchMemory, run_limited
from llamalab.runtime import paths
from tests.course.engine.learner import cell


def scale(x, factor):
    y = x * factor
    return y


def _probes():
    g = torch.Generator().manual_seed(0)
    return [(torch.randn(2, 3, generator=g), 2.0), (torch.randn(4, 5, 7, generator=g), -0.5)]


def adds(x, factor):
    return x + factor


def in_place(x, factor):
    return x.mul_(factor)


def crashes_on_large(x, factor):
    if x.ndim > 2:
        raise ValueError("too large")
    return x + factor


EXERCISE = Exercise(
    name="scale",
    title="Scale",
    points=3,
    minutes=1,
    answer=scale,
    reference=torch.mul,
    probes=_probes,
    misconceptions=(
        Misconception(adds, "You added."),
        Misconception(in_place, "You wrote over the input."),
        Misconception(crashes_on_large, "You only thought of small ones."),
    ),
    hints=("First.", "Second."),
    seconds=0.3,
)


@pytest.fixture(autouse=True)
def my_llama(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path))
    return tmp_path


def check(body, **variables):
    code = f"def scale(x, factor):\n    {body}\n"
    return EXERCISE.check(cell(code, torch=torch, **variables)["scale"])


WRONG = {
    # the learner's line                                  (kind, words that must be said)
    "...": ("not attempted", "Not attempted yet"),
    "pass": ("not attempted", "Not attempted yet"),
    "raise NotImplementedError()": ("not attempted", "Not attempted yet"),
    "return ...": ("not attempted", "Not attempted yet"),
    "y = x * ...\n    return y": ("not attempted", "still a `...`"),
    "return x[..., :1]": ("shape", "(2, 1)"),
    "return x.detach().numpy()": ("type", "a ndarray"),
    "yield x": ("type", "yield"),
    "return x.to_sparse()": ("type", "sparse"),
    "torch.set_default_dtype(torch.float64); return x * factor": ("changed", "default dtype"),
    "torch.manual_seed(0); return x * factor": ("changed", "torch's seed"),
    "torch.set_grad_enabled(False); return x * factor": ("changed", "records gradients"),
    "import time; time.sleep(1000)": ("never returned", "still running"),
    "y = ...\n    return y": ("not attempted", "still a `...`"),
    "x * factor": ("returned None", "Did you forget `return`?"),
    "return (x * factor)[0]": ("shape", "(3,); it should be (2, 3)"),
    "return (x * factor).double()": ("dtype", "torch.float64"),
    "return (x * factor).tolist()": ("type", "should be a tensor"),
    "return x / 0 @ 3": ("raised", "Line 2"),
    "return x @ x": ("raised", "x: tensor (2, 3) float32"),
    "return scale(x, factor)": ("raised", "without end"),
    "while True: pass": ("never returned", "still running after 0.3 seconds"),
    "raise SystemExit": ("raised", "SystemExit"),
    "x *= factor; return x": ("changed", "`x` was no longer"),
    "return x * factor + 1": ("value", "differs in 6 of 6"),
    "return x * float('nan')": ("value", "6 of 6"),
    "return x * k": ("leans", "uses `k`, a variable of this notebook"),
}


@pytest.mark.parametrize("body", WRONG)
def test_each_failure_has_its_own_words(body, my_llama):
    kind, words = WRONG[body]
    result = check(body.replace("* k", "* k[x.ndim]"), k={2: 2.0, 3: -0.5})
    assert result.kind == kind, result.text
    assert words in result.text
    assert result == 0
    assert repr(result) == "0"
    assert "Traceback" not in result.text and "llamalab" not in result.text
    assert list(my_llama.iterdir()) == []


def test_a_right_answer_gets_the_points_and_is_kept(my_llama):
    result = check("return factor * x")
    assert (result, result.kind, repr(result)) == (3, "passed", "3")
    assert "yours now" in result.text
    assert [path.name for path in my_llama.iterdir()] == ["scale.py"]


def test_a_known_mistake_is_named_even_where_it_crashes_or_changes_its_input():
    assert check("return factor + x").named == "adds"
    assert check("x *= factor; return x").named == "in_place"
    result = check("assert x.ndim < 3, 'no'\n    return x + factor")
    assert result.named is None, "an AssertionError is not that ValueError"
    result = check("if x.ndim > 2: raise ValueError\n    return x + factor")
    assert result.named == "crashes_on_large"


def test_two_answers_that_only_crash_are_not_the_same_mistake():
    def only_crashes(x, factor):
        raise ValueError("whatever is given")

    known = (Misconception(only_crashes, "You crashed."),)
    exercise = dataclasses.replace(EXERCISE, misconceptions=known)
    result = exercise.check(cell("def scale(x, factor): raise ValueError('mine')")["scale"])
    assert (result.kind, result.named) == ("raised", None)


def test_waiting_for_a_turn_on_a_busy_machine_is_no_endless_loop():
    """The time is the processor's; the clock, which runs on beside other work, counts a third."""
    assert check("time.sleep(0.45)\n    return x * factor", time=time).kind in ("passed", "leans")
    assert check("time.sleep(60)\n    return x * factor", time=time).kind == "never returned"


def test_the_reference_has_all_the_time_it_needs():
    """On a slow machine it may be the one that waits for torch to import something."""

    def slow(x, factor):
        time.sleep(1.2)
        return x * factor

    exercise = dataclasses.replace(EXERCISE, reference=slow)
    result = exercise.check(cell("def scale(x, factor): return factor * x")["scale"])
    assert result.kind in ("passed", "leans")


def test_an_endless_loop_that_swallows_everything_is_stopped():
    body = "while True:\n        try:\n            while True: pass\n        except: pass"
    assert check(body).kind == "never returned"


def test_wrong_arguments_and_values_for_functions():
    two = cell("def scale(x, factor, extra): return x")["scale"]
    assert EXERCISE.check(two).kind == "signature"
    result = EXERCISE.check(torch.ones(2))
    assert result.kind == "not a function" and "without calling it" in result.text
    assert EXERCISE.check(None).kind == "not a function"
    assert EXERCISE.check(torch.mul).kind == "ours"


def test_handing_in_the_course_s_own_function_counts_nothing():
    own = ex.next_token.answer
    assert ex.next_token.check(own).kind == "ours"
    wrapper = cell("def inputs_and_targets(ids): return ours(ids)", ours=own)
    assert ex.next_token.check(wrapper["inputs_and_targets"]).kind == "ours"
    code = "from llamalab import layers\n"
    code += "def rms_norm(x, weight, eps):\n    return layers.rms_norm(x, weight, eps)"
    assert ex.rms_norm.check(cell(code)["rms_norm"]).kind == "ours"
    code = code.replace("weight, eps)", "weight, 1e-6)").replace("1e-6):", "eps):", 1)
    assert ex.rms_norm.check(cell(code)["rms_norm"]).named == "fixes_eps"


def test_the_package_may_be_used_for_other_things():
    code = (
        "from llamalab.course.engine import answers\nfrom llamalab.runtime import paths\n"
        "def scale(x, factor):\n    assert paths.answers_folder() and answers.names() == []\n"
        "    return x * factor\n"
    )
    assert EXERCISE.check(cell(code)["scale"]).kind == "passed"


def test_a_lambda_is_right_but_cannot_be_kept():
    result = EXERCISE.check(cell("scale = lambda x, factor: x * factor")["scale"])
    assert (result.kind, result) == ("no source", 0)


def test_helpers_and_imports_go_along(my_llama):
    code = (
        "import math\nimport torch.nn.functional as F\nfrom functools import reduce\n"
        "def twice(x): return reduce(lambda a, b: a + b, [x, x]) / 2\n"
        "def scale(x, factor=math.pi):\n"
        "    return F.relu(twice(x)) * factor - F.relu(-x) * factor\n"
    )
    result = EXERCISE.check(cell(code)["scale"])
    assert result.kind == "passed", result.text
    text = (my_llama / "scale.py").read_text(encoding="utf-8")
    for line in ("import math", "import torch.nn.functional as F", "from functools import reduce",
                 "def twice"):  # fmt: skip
        assert line in text


def test_a_closure_and_a_hidden_state_are_told():
    code = "def make(k):\n  def scale(x, factor):\n    return x * factor * k\n  return scale\n"
    assert EXERCISE.check(cell(code + "scale = make(1)")["scale"]).kind == "leans"
    code = "def scale(x, factor, seen=[]):\n  seen.append(1)\n  return x * factor * (len(seen) < 3)"
    assert EXERCISE.check(cell(code)["scale"]).kind == "leans"
    code = "count = []\ndef scale(x, factor):\n    count.append(1)\n    return x * factor"
    result = EXERCISE.check(cell(code)["scale"])
    assert result.kind == "leans" and "`count`" in result.text


KEPT = {
    "a class": "class Box:\n    def __init__(self, x): self.x = x\n"
    "def scale(x, factor): return Box(x).x * factor",
    "a dataclass": "from dataclasses import dataclass\n@dataclass\nclass Box:\n    x: object\n"
    "def scale(x, factor): return Box(x).x * factor",
    "a named tuple": "from collections import namedtuple\nPair = namedtuple('Pair', 'a b')\n"
    "def scale(x, factor):\n    p = Pair(x, factor)\n    return p.a * p.b",
    "a class inside": "def scale(x, factor):\n    class Box:\n        y = x\n"
    "    return Box.y * factor",
    "constants": "import re\nfrom math import pi\nONE, NONE = 1.0, -float('inf')\n"
    "WORD = re.compile('a')\ndef scale(x, factor, top=NONE):\n"
    "    assert WORD and top < pi\n    return ONE * x * factor * pi / pi",
    "a cached helper": "from functools import cache\n@cache\ndef one(n): return n / n\n"
    "def scale(x, factor): return one(3) * x * factor",
    "no_grad": "import torch\n@torch.no_grad()\ndef scale(x, factor): return x * factor",
    "another name": "def times(a, b): return a * b\nmul = times\n"
    "def scale(x, factor): return mul(x, factor)",
}


@pytest.mark.parametrize("what", KEPT)
def test_right_answers_in_many_styles_are_kept_and_work_alone(what, my_llama):
    result = EXERCISE.check(cell(KEPT[what])["scale"])
    assert result.kind == "passed", result.text
    path = my_llama / "scale.py"
    code = f"import runpy; print(runpy.run_path({str(path)!r})['scale'](3.0, 2.0))"
    if what != "no_grad":
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "6.0\n", done.stderr


def test_a_function_that_is_no_def_is_told_so():
    partial = functools.partial(lambda k, x, factor: x * factor * k, 1)
    for function in (partial, type("Solver", (), {"__call__": lambda s, x, factor: x})()):
        result = EXERCISE.check(function)
        assert (result, result.kind) == (0, "no def")
    result = EXERCISE.check(cell("async def scale(x, factor): return x * factor")["scale"])
    assert result.kind == "no def" and "async" in result.text


def test_a_helper_of_the_asked_name_is_no_endless_loop(my_llama):
    code = "def scale(x, factor): return x * factor\n"
    code += "def better(x, factor): return scale(x, factor)"
    result = EXERCISE.check(cell(code)["better"])
    assert result == 0 and "goes by" in result.text.replace("go by", "goes by")
    assert list(my_llama.iterdir()) == []


def test_a_part_that_is_not_solved_yet_cannot_be_leaned_on():
    norm = mine.load_or_ours("rms_norm")
    code = "def scale(x, factor):\n    norm\n    return x * factor"
    result = EXERCISE.check(cell(code, norm=norm)["scale"])
    assert result.kind == "leans" and "Solve that one first" in result.text


def test_an_answer_must_let_the_gradient_through():
    probes = [(torch.ones(2, requires_grad=True), 2.0), (torch.zeros(3, requires_grad=True), 1.0)]
    exercise = dataclasses.replace(EXERCISE, probes=lambda: probes)
    cut = cell("def scale(x, factor): return x.detach() * factor")["scale"]
    assert exercise.check(cut).kind == "gradient"
    assert exercise.check(cell("def scale(x, factor): return x * factor")["scale"]) == 3


def test_a_detour_through_float32_shows_in_float64():
    probes = [(torch.tensor([1 / 3], dtype=torch.float64), 2.0), (torch.ones(2), 1.0)]
    exercise = dataclasses.replace(EXERCISE, probes=lambda: probes)
    detour = cell("def scale(x, factor): return (x.float() * factor).to(x.dtype)")["scale"]
    assert exercise.check(detour).kind == "value"


def test_what_cannot_be_judged_does_not_raise():
    code = "class Odd(dict):\n    def __repr__(self): raise ValueError\n"
    code += "    def __eq__(self, other): raise ValueError\n"
    result = EXERCISE.check(cell(code + "def scale(x, factor): return Odd()")["scale"])
    assert result == 0 and result.kind == "type"
    code = "class E(Exception):\n    def __str__(self): raise ValueError\n"
    assert EXERCISE.check(cell(code + "def scale(x, factor): raise E")["scale"]).kind == "raised"


def test_an_error_in_a_helper_shows_the_helper_s_line():
    code = "def half(x):\n    return x / zero\ndef scale(x, factor): return half(x)"
    text = EXERCISE.check(cell(code)["scale"]).text
    assert "Line 2 of its cell, in `half`, `return x / zero`: NameError" in text


def test_a_stray_variable_is_found_where_no_probe_reaches_it():
    result = check("return k if x.ndim > 9 else x * factor", k=2.0)
    assert result.kind == "leans" and "`k`" in result.text


def test_what_was_set_from_outside_is_missed_in_a_fresh_kernel():
    code = "def scale(x, factor): return x * factor * scale.k\nscale.k = 1"
    result = EXERCISE.check(cell(code)["scale"])
    assert result.kind == "leans" and result == 0


def test_another_name_for_the_function_is_kept_under_the_asked_one(monkeypatch, my_llama):
    result = EXERCISE.check(cell("def mine(x, factor): return x * factor")["mine"])
    assert result.kind == "passed"
    assert "scale = mine" in (my_llama / "scale.py").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_costs_no_points(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("in the way", encoding="utf-8")
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(file))
    result = check("return x * factor")
    assert result == 3 and paths.ANSWERS_VARIABLE in result.text


def test_hints_climb_and_the_last_one_stays():
    attempts.forget(EXERCISE.name)
    heads = [EXERCISE.hint().head for _ in range(3)]
    assert heads == ["Hint 1 of 2", "Hint 2 of 2", "Hint 2 of 2"]
    assert "First." in EXERCISE.hint(1).text
    assert "No such hint" in EXERCISE.hint(7).text


def test_the_solution_shows_the_answer_s_source():
    assert "return y" in EXERCISE.solution().code


def test_html_is_escaped_and_marks_code():
    html = check("return (x < 0) & (factor < 1)")._repr_html_()
    assert "<script" not in html and "role='status'" in html
    html = EXERCISE.check(cell("def scale(x, factor): return '<b>'")["scale"])._repr_html_()
    assert "<b>&lt;" not in html
    assert "<code>return</code>" in check("x")._repr_html_()


def test_unknown_names_answer_with_near_ones():
    with pytest.raises(AttributeError, match="did you mean next_token"):
        ex.next_tokens  # noqa: B018
    with pytest.raises(KeyError, match="did you mean next_token"):
        find("nxt_token")


def test_text_is_printed_in_a_terminal(capsys):
    check("return x * factor")
    assert "Correct: 3 points." in capsys.readouterr().out


def test_a_terminal_without_the_sign_gets_a_question_mark(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr("sys.stdout", narrow)
    result = EXERCISE.check(cell("def scale(x, factor): return '▁'")["scale"])
    narrow.seek(0)
    assert result == 0 and "should be a tensor" in narrow.read()


class TestDeadline:
    def test_values_and_errors_come_through(self):
        assert run_limited(lambda a, b: a + b, 1, 2) == 3
        with pytest.raises(ZeroDivisionError):
            run_limited(lambda: 1 / 0)

    def test_time(self):
        start = time.monotonic()
        with pytest.raises(TimeUp):
            run_limited(forever, seconds=0.2)
        assert time.monotonic() - start < 3

    def test_memory(self):
        with pytest.raises(TooMuchMemory):
            run_limited(hoard, seconds=60, megabytes=100)

    def test_a_handler_that_swallows_it_and_tries_again(self):
        """Only a volley gets out of here: a single shot always lands inside the inner try. In a
        thread of its own, where the stop button's signal does not help."""

        def stubborn():
            end = time.monotonic() + 4
            while time.monotonic() < end:
                try:
                    try:
                        time.sleep(0.3)
                    except:  # noqa: E722
                        pass
                except:  # noqa: E722
                    pass

        assert stopped_in_a_thread(stubborn)

    def test_one_long_call_into_c(self):
        lock = threading.Lock()
        lock.acquire()
        for function, argument in ((time.sleep, 1000), (lock.acquire, True)):
            with pytest.raises(TimeUp):
                run_limited(function, argument, seconds=0.2)

    def test_works_in_any_thread_and_leaves_the_others_alone(self):
        assert stopped_in_a_thread(forever)

    def test_no_late_shot_lands_after_the_return(self):
        for _ in range(20):
            try:
                run_limited(time.sleep, 0.06, seconds=0.055)
            except TimeUp:
                pass
        time.sleep(0.2)  # a stray exception would surface here


def stopped_in_a_thread(function) -> bool:
    """Whether the time limit ends the function in a thread that is not the main one."""
    seen = []

    def work():
        try:
            run_limited(function, seconds=0.2)
        except TimeUp:
            seen.append("stopped")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    return seen == ["stopped"]


def forever():
    while True:
        pass


def hoard():
    kept = []
    while True:
        kept.append(bytearray(1_000_000))


def test_a_kernel_killed_while_saving_leaves_the_old_answer(my_llama):
    """A process is killed in the middle of writing; the kept answer is whole, and no half-written
    file counts as one."""
    answers.save("next_token", "def inputs_and_targets(ids):\n    return ids[:-1], ids[1:]\n")
    code = (
        "import os\nfrom llamalab.course.engine import answers\n"
        "os.fsync = lambda f: os._exit(9)\n"
        "answers.save('next_token', 'def inputs_and_targets(ids): broken')\n"
    )
    done = subprocess.run([sys.executable, "-c", code])
    assert done.returncode == 9
    assert mine.load("next_token")([1, 2]) == ([1], [2])
    assert answers.names() == ["next_token"]
