"""What is handed out: the teacher's copy and the students', until when, and in which order."""

import copy
import re

import pytest
from typer.testing import CliRunner

from llamalab.cli import app
from llamalab.course.catalogue import catalogue, questions
from llamalab.course.classroom import course, dues, folder, variant
from llamalab.course.classroom.kernel import Limits
from llamalab.course.classroom.release import config
from llamalab.course.classroom.solutions import BEGIN, END, solve, teachers

LESSONS = course.find()
IDS = [lesson.number for lesson in LESSONS]


def release(*words):
    return CliRunner().invoke(app, ["classroom", "release", *map(str, words)])


def code(notebook):
    return [cell.source for cell in notebook.cells]


@pytest.mark.parametrize("lesson", LESSONS, ids=IDS)
def test_the_teachers_answers_pass_and_come_out_again(lesson):
    """Cut out as nbgrader cuts, the cell is the student's to the letter; as it is, it runs."""
    made = teachers(lesson.notebook)
    for cell, blank in zip(made.cells, lesson.notebook.cells):
        if name := course.answer_of(blank):
            assert cell.source.count(BEGIN) == cell.source.count(END) == 1
            cut = re.sub(rf"{BEGIN}.*{END}", "...", cell.source, flags=re.S)
            assert cut == blank.source
            compile(cell.source, name, "exec")
        else:
            assert cell.source == blank.source


def test_the_marked_answer_is_the_reference_answer():
    for exercise in catalogue()["02"]:
        (cell,) = [
            c for c in teachers(course.find(["02"])[0].notebook).cells
            if course.answer_of(c) == exercise.name
        ]  # fmt: skip
        names = {}
        exec("import torch\nimport torch.nn.functional as F\n" + cell.source, names)
        theirs = names[exercise.answer.__name__].__code__
        assert theirs.co_code == exercise.answer.__code__.co_code


def test_a_cell_that_is_not_blank_is_refused():
    with pytest.raises(ValueError, match="does not end in a lone"):
        solve("def f(x):\n    return x", "rope")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    there = tmp_path_factory.mktemp("release")
    names = there / "class.txt"
    names.write_text("anna\nbob\n\nzoë\n", encoding="utf-8")
    done = release(there / "course", "--notebooks", "02", "03", "--students", names,
                   "--due", "02=2027-01-15", "--due", "03_rope=2027-01-22T18:00+01:00")  # fmt: skip
    assert done.exit_code == 0, done.output
    return there / "course", done.output


def test_the_folder(written):
    there, said = written
    files = {p.relative_to(there).as_posix() for p in there.rglob("*") if p.is_file()}
    two = ["02_embeddings_and_rmsnorm/02_embeddings_and_rmsnorm.ipynb", "03_rope/03_rope.ipynb"]
    homes = ["source", "release", *(f"handout/{name}" for name in ("anna", "bob", "zoë"))]
    loose = {"assignments.csv", "classroom.json", "nbgrader_config.py", "points.md"}
    assert files == {f"{home}/{name}" for home in homes for name in two} | loose
    assert re.search(r"03_rope +4 +11 +2027-01-22 17:00:00 UTC", said)
    text = (there / "points.md").read_text(encoding="utf-8")
    assert "## 03_rope: 11 points, due 2027-01-22 17:00:00 UTC" in text
    assert "| RMSNorm backwards | 4 | 20 |" in text and "22 points in all." in text
    assert (there / "assignments.csv").read_text(encoding="utf-8").splitlines() == [
        "name,duedate",
        "02_embeddings_and_rmsnorm,2027-01-15 23:59:59 UTC",
        "03_rope,2027-01-22 17:00:00 UTC",
    ]


def test_the_students_copy_is_the_courses(written):
    there, _ = written
    (lesson,) = course.find(["03"])
    released = course.read(there / "release" / lesson.name / lesson.path.name)
    assert released == lesson.notebook


def test_neighbours_have_another_order_and_nothing_else(written):
    there, _ = written
    (lesson,) = course.find(["02"])
    anna, bob = (
        course.read(there / "handout" / name / lesson.name / lesson.path.name)
        for name in ("anna", "bob")
    )
    unlike = [(a, b) for a, b in zip(anna.cells, bob.cells) if a != b]
    assert len(unlike) == len(questions()["02"])
    for one, other in unlike:
        assert one.source.replace(".varied(1)", ".varied(2)") == other.source
        assert one.outputs != other.outputs


def test_every_quiz_cell_of_the_course_is_found():
    for lesson in LESSONS:
        made = variant.varied(lesson.notebook, 7)
        changed = sum(a != b for a, b in zip(code(made), code(lesson.notebook)))
        assert changed == len(questions()[lesson.number])


def test_it_may_be_written_again_and_nothing_of_the_teachers_is_lost(tmp_path):
    there = tmp_path / "course"
    assert release(there, "00").exit_code == 0
    assert release(there, "02", "--variant", "3").exit_code == 0
    config = there / "nbgrader_config.py"
    config.write_text("c = get_config()\n", encoding="utf-8")
    before = {p: p.read_bytes() for p in there.rglob("*") if p.is_file()}
    done = release(there, "03")
    assert done.exit_code == 2
    assert "you have changed nbgrader_config.py, and that would be lost" in done.output
    assert before == {p: p.read_bytes() for p in there.rglob("*") if p.is_file()}


def test_a_folder_of_somebody_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years", encoding="utf-8")
    done = release(tmp_path, "00")
    assert done.exit_code == 2
    assert "holds 1 thing, and classroom.json is not among them" in done.output
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with pytest.raises(ValueError, match="is a file; name a folder"):
        folder.write(tmp_path / "thesis.tex", {"a": "b"})


@pytest.mark.parametrize(
    "words, says",
    [
        (["99"], "there is no notebook '99'; there are 00, 01, 02"),
        (["02", "--due", "2027-01-15"], "'2027-01-15' has no =; a due date reads"),
        (["02", "--due", "03=2027-01-15"], "'03' is not handed out; 02 are"),
        (["02", "--due", "02=soon"], "'soon' is no date; a due date reads"),
        (["02", "--due", "02=20270115"], "'20270115' is no date; a due date reads"),
        (["02", "--due", "02=2027-01-15", "--due", "02=2027-01-16"], "has a date already"),
        (["02", "--students", "{names}"], "names 'anna' 2 times"),
    ],
)
def test_what_is_asked_wrongly_is_said_in_a_sentence(words, says, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("anna\nbob\nanna\n", encoding="utf-8")
    done = release(tmp_path / "new", *(word.format(names=names) for word in words))
    assert done.exit_code == 2
    assert says in done.output
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["../eve", "a/b", ".hidden", "a\\b", "nul\x00"])
def test_a_name_that_leads_elsewhere_is_refused(name, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text(name, encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        variant.students(names)


def test_a_date_is_the_end_of_its_day_in_utc():
    (lesson,) = course.find(["02"])
    read = dues.read(["02=2027-01-15"], [lesson])
    assert dues.in_words(read[lesson.name]) == "2027-01-15 23:59:59 UTC"
    assert dues.table([lesson], {}) == f"name,duedate\n{lesson.name},\n"


@pytest.mark.parametrize("seconds, whole", [(90.5, 91), (1234567.0, 1234567), (20, 20)])
def test_nbgraders_limit_is_a_whole_number(seconds, whole):
    assert f"timeout = {whole}\n" in config(Limits(seconds=seconds))


def test_a_variant_leaves_the_courses_notebook_alone():
    (lesson,) = course.find(["02"])
    before = copy.deepcopy(lesson.notebook)
    variant.varied(lesson.notebook, 5)
    teachers(lesson.notebook)
    assert lesson.notebook == before
