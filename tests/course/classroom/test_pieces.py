"""The grader's pieces, without a kernel: who handed in what, what is run, what is written."""

import copy
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.session import json_packer

from llamalab.course.classroom import course, everybody, folder, marks
from llamalab.course.classroom import grade as grading
from llamalab.course.classroom.again import confirm
from llamalab.course.classroom.class_page import class_page, stumbles
from llamalab.course.classroom.grade import _card
from llamalab.course.classroom.kernel import WALL, Kernel, Limits, Said, _read, environment
from llamalab.course.classroom.plan import EDITED, plan
from llamalab.course.classroom.report import report
from llamalab.course.classroom.submissions import collect
from tests.course.classroom import hand_in

(ROPE,) = course.find(["03"])


# ---- submissions ----------------------------------------------------------------------------


def put(path, text="{}"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_folders_and_flat_files_are_read_and_the_rest_is_told(tmp_path):
    put(tmp_path / "anna" / "03_rope.ipynb")
    put(tmp_path / "anna" / ".ipynb_checkpoints" / "03_rope-checkpoint.ipynb")
    put(tmp_path / "bob" / "03_rope" / "03_rope.ipynb")
    put(tmp_path / "bob" / "old" / "03_rope.ipynb")
    put(tmp_path / "de_la_cruz_03_rope.ipynb")
    put(tmp_path / "eve" / "rope.ipynb")
    put(tmp_path / "03_rope.ipynb")
    found = collect(tmp_path, [ROPE])
    names = {who: [p.relative_to(tmp_path).as_posix() for p in files.values()]
             for who, files in found.files.items()}  # fmt: skip
    assert names == {
        "anna": ["anna/03_rope.ipynb"],
        "bob": ["bob/03_rope/03_rope.ipynb"],
        "de_la_cruz": ["de_la_cruz_03_rope.ipynb"],
        "eve": [],
    }
    assert sorted(found.left_out) == [
        "03_rope.ipynb: no student's name before a notebook's",
        "bob/old/03_rope.ipynb: a second one; bob/03_rope/03_rope.ipynb is graded",
        "eve/rope.ipynb: not the name of a notebook asked for",
    ]


@pytest.mark.skipif(not hasattr(os, "symlink") or os.name == "nt", reason="no links here")
def test_a_link_to_a_neighbours_file_is_not_followed(tmp_path):
    put(tmp_path / "anna" / "03_rope.ipynb")
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "03_rope.ipynb").symlink_to(tmp_path / "anna" / "03_rope.ipynb")
    found = collect(tmp_path, [ROPE])
    assert found.files["bob"] == {}
    assert found.left_out == ["bob/03_rope.ipynb: a link, and links are not followed"]


def test_nothing_to_grade_says_what_would_be(tmp_path):
    with pytest.raises(ValueError, match=r"no STUDENT/NOTEBOOK\.ipynb .* one of 03_rope"):
        collect(tmp_path, [ROPE])
    with pytest.raises(ValueError, match="there is no folder"):
        collect(tmp_path / "missing", [ROPE])


# ---- what is run ----------------------------------------------------------------------------


def test_the_courses_checks_stand_in_the_place_of_those_handed_in():
    notebook = hand_in.blank(ROPE.notebook)
    for cell in hand_in.checks(notebook):
        cell.source = "1 + 1"
    made = plan(ROPE, notebook)
    assert [step.check for step in made.steps if step.check] == [e.name for e in ROPE.exercises]
    assert not any("1 + 1" in step.code for step in made.steps)
    assert made.notes == {e.name: [EDITED] for e in ROPE.exercises}
    assert made.steps[-1].check == "rope_stretch", "nothing is run behind the last check"


def test_without_its_check_cell_an_answer_is_checked_where_it_stands():
    made = plan(ROPE, hand_in.without(ROPE.notebook, "check-rope"))
    places = [number for number, step in enumerate(made.steps) if step.answer == "rope"]
    assert [made.steps[place + 1].check for place in places] == ["rope"]
    assert made.notes == {}


def test_an_answer_cell_that_is_gone_is_missing_and_a_copy_is_no_second_one():
    notebook = hand_in.without(ROPE.notebook, "rope")
    again = copy.deepcopy(hand_in.answers(notebook)[0])
    again.id, again.source = "copied", "def rope_angles(): pass"
    notebook.cells.insert(3, again)
    made = plan(ROPE, notebook)
    assert made.missing == {"rope"}
    (answer,) = [step.code for step in made.steps if step.answer == "rope_angles"]
    assert answer != again.source


def test_cells_are_known_by_grade_id_where_the_ids_are_new_and_by_id_where_metadata_is_gone():
    for change in ("id", "metadata"):
        notebook = hand_in.solved(ROPE.notebook)
        for number, cell in enumerate(notebook.cells):
            cell[change] = f"new-{number}" if change == "id" else {}
        made = plan(ROPE, notebook)
        assert made.missing == set() and made.notes == {}
        assert [s.answer for s in made.steps if s.answer] == [e.name for e in ROPE.exercises]


def test_quick_runs_of_the_lessons_own_cells_what_an_answer_may_take_along():
    notebook = hand_in.before(hand_in.solved(ROPE.notebook), "rope", "mine_too = 1")
    codes = [step.code for step in plan(ROPE, notebook, quick=True).steps]
    assert "mine_too = 1" in codes
    assert any(code.startswith("def turn_slowly") for code in codes)
    assert 'angles_of = mine.load_or_ours("rope_angles")' in codes
    assert not any("clocks(angles" in code for code in codes)
    long = [step.code for step in plan(ROPE, notebook).steps]
    assert any("clocks(angles" in code for code in long)


# ---- the wall -------------------------------------------------------------------------------

TRIES = {
    "socket.create_connection(('192.0.2.1', 9), timeout=3)": "192.0.2.1",
    "socket.gethostbyname('example.com')": "example.com",
    "socket.getaddrinfo('127.secret.example.org', 80)": "127.secret.example.org",
    "socket.getaddrinfo('127.0.0.1', 80) and ''": "",
    "socket.getaddrinfo('127.8.9.10', 80) and ''": "",
    "socket.getaddrinfo('localhost', 80) and ''": "",
    "open(CLOSED + '/secret.txt')": "the grader closes this folder",
    "open(OWN + '/../closed/secret.txt')": "the grader closes this folder",
    "os.listdir(CLOSED)": "the grader closes this folder",
    "pathlib.Path(CLOSED, 'secret.txt').read_text()": "the grader closes this folder",
    "open(ELSEWHERE + '/new.txt', 'w')": "may write in its own folder alone",
    "os.remove(ELSEWHERE + '/old.txt')": "may write in its own folder alone",
    "os.rename(OWN + '/own.txt', ELSEWHERE + '/moved.txt')": "may write in its own folder alone",
    "os.symlink(CLOSED, OWN + '/link')": "the grader closes this folder",
    "os.symlink(OWN, ELSEWHERE + '/link')": "may write in its own folder alone",
    "subprocess.run([sys.executable, '-c', ''])": "starts no other programs",
    "os.system('echo')": "starts no other programs",
    "open(OWN + '/own.txt', 'w').close()": "",
    "open(ELSEWHERE + '/old.txt').close()": "",
    "open(os.devnull, 'w').close()": "",
}


def test_the_wall_stands_and_what_is_allowed_goes_on(tmp_path):
    for name in ("own", "closed", "elsewhere"):
        (tmp_path / name).mkdir()
    put(tmp_path / "closed" / "secret.txt")
    put(tmp_path / "elsewhere" / "old.txt")
    put(tmp_path / "own" / "own.txt")
    (tmp_path / "my_llama").mkdir()
    told = environment(tmp_path / "own", tmp_path / "my_llama", [tmp_path / "closed"])
    told["PYTHONPATH"] = str(WALL)
    places = {n.upper(): str(tmp_path / n) for n in ("own", "closed", "elsewhere")}
    code = "import json, os, pathlib, socket, subprocess, sys\n"
    code += f"globals().update({places!r})\nsaid = {{}}\nfor line in {list(TRIES)!r}:\n"
    code += "    try:\n        said[line] = eval(line) and ''\n"
    code += "    except PermissionError as error:\n        said[line] = str(error)\n"
    code += "print(json.dumps(said))"
    done = subprocess.run([sys.executable, "-c", code], env=told, capture_output=True, text=True)
    said = json.loads(done.stdout)
    for line, words in TRIES.items():
        assert words in (said[line] or "") and bool(words) == bool(said[line]), (line, said[line])
    assert (tmp_path / "elsewhere" / "old.txt").exists()


def test_nothing_of_the_teachers_environment_is_handed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_API_TOKEN", "secret")
    told = environment(tmp_path, tmp_path, [])
    assert "secret" not in str(told) and told["LLAMALAB_MY_LLAMA"] == str(tmp_path)


# ---- what is written ------------------------------------------------------------------------


def mark(student, exercise="rope", verdict="passed", **more):
    points = 3 if verdict == "passed" else 0
    return marks.Mark(student, "03_rope", exercise, exercise.title(), points, 3, verdict, **more)


def test_a_name_that_would_be_a_formula_is_none():
    text = marks.table([mark("=HYPERLINK(1)"), mark('a "b", c')])
    assert text.splitlines()[1:] == [
        "'=HYPERLINK(1),03_rope,rope,3,3,passed,",
        '"a ""b"", c",03_rope,rope,3,3,passed,',
    ]


def test_what_a_student_wrote_comes_out_as_text():
    bad = "<script>alert(1)</script>"
    page = report(bad, [mark(bad, verdict="raised", says=bad, known=bad, notes=(bad,))])
    page += class_page([mark(bad, verdict="raised", says=bad, known=bad)])
    assert "<script" not in page and "&lt;script&gt;" in page


def test_the_commonest_mistake_comes_first_and_what_nobody_tried_is_none():
    both = {"verdict": "value", "misconception": "pairs_the_halves", "known": "Halves."}
    found = stumbles([
        mark("a", **both), mark("b", **both), mark("c", verdict="raised"),
        mark("d", verdict="not attempted"), mark("e"), mark("f", verdict="not there"),
    ])  # fmt: skip
    assert [(s.what, s.students, s.sentence) for s in found] == [
        ("pairs the halves", 2, "Halves."),
        ("raised", 1, ""),
    ]
    assert "Nothing that was tried was wrong." in class_page([mark("e")])


@pytest.mark.parametrize("said", [None, "", "[]", "{}", '{"kind": "full marks"}', "[" * 10_000])
def test_what_does_not_have_the_form_of_a_verdict_is_none(said):
    assert _card(said) is None


# ---- one notebook's trouble is not the class's ------------------------------------------------


class Client:
    """A kernel's client that packs a message, and sends it nowhere."""

    def execute(self, code, **how):
        return json_packer({"code": code})


def test_half_an_emoji_costs_its_cell_alone():
    kernel = object.__new__(Kernel)
    kernel.client = Client()
    assert kernel.run("x = '\ud83d'") == Said("error", "the cell holds half a character")


def test_a_forged_reply_costs_its_notebook_alone(tmp_path, monkeypatch):
    forged = {"status": "ok", "user_expressions": {"it": "x"}}
    monkeypatch.setattr(grading, "_listen", lambda *how: _read(forged))
    nbformat.write(ROPE.notebook, tmp_path / "03_rope.ipynb")
    files = {ROPE.name: tmp_path / "03_rope.ipynb"}
    (found,) = grading.grade("eve", files, [ROPE], Limits(), closed=[])
    assert {mark.verdict for mark in found} == {"unreadable"}
    assert "AttributeError" in found[0].says


SECRETS = """
import json, os, sys
given = json.loads(sys.stdin.buffer.read())
for name in given["asked"]:
    os.write(1, f"{given['word']} {name}\\n".encode())
os._exit(0)
"""


def test_the_clean_process_imports_nothing_of_the_students(tmp_path, monkeypatch):
    put(tmp_path / "secrets.py", SECRETS)
    monkeypatch.chdir(tmp_path)  # the worst place to begin in
    told = environment(tmp_path, tmp_path, [])
    assert confirm({"rope_angles": "def rope_angles(: pass"}, told, Limits()) == set()


def test_a_kernel_that_says_nothing_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(Kernel, "_reply", lambda *how: Said("time"))
    kernel = Kernel(tmp_path, environment(tmp_path, tmp_path, []), Limits())
    with pytest.raises(OSError, match="no kernel began"):
        kernel.__enter__()
    assert not kernel.alive


class Mortal:
    """A kernel that ends in its first cell; the next one finds what that cell has left."""

    begun: list = []

    def __init__(self, own, told, limits):
        self.alive, self.watch = True, SimpleNamespace(seconds=0.0)
        self.begun.append((own, told["IPYTHONDIR"], list(own.iterdir())))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        (self.begun[-1][0] / "torch.py").touch()

    def settle(self):
        pass

    def run(self, code):
        self.alive = False
        return Said("gone")

    def ask(self, expression, seconds=0.0):
        return Said("ok" if len(self.begun) == 1 else "error")


def test_a_kernel_that_does_not_begin_again_is_the_notebooks_own_trouble(tmp_path, monkeypatch):
    monkeypatch.setattr(grading, "Kernel", Mortal)
    monkeypatch.setattr(Mortal, "begun", [])
    nbformat.write(hand_in.solved(ROPE.notebook), tmp_path / "03_rope.ipynb")
    files = {ROPE.name: tmp_path / "03_rope.ipynb"}
    (found,) = grading.grade("eve", files, [ROPE], Limits(), closed=[])
    assert {mark.verdict for mark in found} == {"out of time"}
    (first, ipython, _), (second, other, there) = Mortal.begun
    assert first != second and ipython != other and there == []
    (found,) = grading.grade("eve", files, [ROPE], Limits(), closed=[])
    assert {mark.verdict for mark in found} == {grading.NOT_GRADED}, "the machine's own trouble"


def test_half_a_character_is_written_and_the_file_is_still_ours(tmp_path):
    card = _card('{"kind": "passed", "says": "\\ud800", "text": "caf\\u00e9"}')
    assert card["says"] == "?" and card["text"] == "café"
    for _ in range(2):
        folder.write(tmp_path / "out", {"page.html": "\ud800 café"})
    assert (tmp_path / "out" / "page.html").read_text(encoding="utf-8") == "\\ud800 café"


def test_what_was_graded_is_there_when_somebody_stops_the_rest(tmp_path, monkeypatch):
    def one(student, files, lessons, limits, **how):
        if student == "bob":
            raise KeyboardInterrupt
        yield [mark(student)]

    monkeypatch.setattr(everybody, "grade", one)
    for student in ("anna", "bob"):
        put(tmp_path / "in" / student / "03_rope.ipynb")
    out = tmp_path / "out"
    for _ in range(2):  # and it may be done again
        with pytest.raises(KeyboardInterrupt):
            list(everybody.grade_all(tmp_path / "in", out, [ROPE], Limits()))
        text = (out / "marks.csv").read_text(encoding="utf-8")
        assert text.splitlines()[1:] == ["anna,03_rope,rope,3,3,passed,"]
        assert [path.name for path in (out / "students").iterdir()] == ["anna.html"]


def test_marks_do_not_lie_among_the_students(tmp_path):
    put(tmp_path / "in" / "anna" / "03_rope.ipynb")
    out = tmp_path / "in" / "marks"
    with pytest.raises(ValueError, match="where every folder is a student's") as refused:
        list(everybody.grade_all(tmp_path / "in", out, [ROPE], Limits()))
    assert str(refused.value).startswith(f"{out} lies in {tmp_path / 'in'},")
    assert not out.exists()


def test_a_writer_who_was_stopped_may_write_again_and_the_teachers_change_is_still_seen(
    tmp_path, monkeypatch
):
    out = tmp_path / "out"
    put_down = folder._put

    def stopped(path, text):
        if path.name == "b":
            raise KeyboardInterrupt
        put_down(path, text)

    for text in ("first", "second"):
        monkeypatch.setattr(folder, "_put", stopped)
        with pytest.raises(KeyboardInterrupt):
            folder.write(out, {"a": text, "b": text})
        monkeypatch.setattr(folder, "_put", put_down)
        assert (out / "a").read_text(encoding="utf-8") == text
        folder.may_write(out, ["a", "b"])
    folder.write(out, {"a": "third", "b": "third"})
    put(out / "a", "second")
    with pytest.raises(ValueError, match="you have changed a,"):
        folder.write(out, {"a": "fourth"})
