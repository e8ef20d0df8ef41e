"""The learner's folder: where it is, what is in it, what it says when something is wrong."""

import pytest

from llamalab.course import ex, mine
from llamalab.course.engine import answers
from llamalab.runtime import paths
from tests.course.engine.learner import cell


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "kept"))
    return tmp_path / "kept"


def solve():
    code = "def inputs_and_targets(ids):\n    return ids[:-1], ids[1:]\n"
    return ex.next_token.check(cell(code)["inputs_and_targets"])


def test_the_folder_is_found_from_the_environment_or_the_place(tmp_path, monkeypatch):
    monkeypatch.delenv(paths.ANSWERS_VARIABLE, raising=False)
    inside = tmp_path / "course" / "notebooks"
    inside.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert paths.answers_folder() == tmp_path / "my_llama"
    (inside / "00_start_here.ipynb").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(inside)
    assert paths.answers_folder() == tmp_path / "course" / "my_llama"
    (inside / "my_llama").mkdir()
    assert paths.answers_folder() == inside / "my_llama"
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "elsewhere"))
    assert paths.answers_folder() == tmp_path / "elsewhere"


def test_asking_writes_nothing(home):
    mine.progress(), answers.names(), mine.load_or_ours("next_token")
    assert not home.exists()


def test_what_is_kept_works_alone_and_is_the_learners(home):
    assert mine.load_or_ours("next_token") is ex.next_token.answer
    assert solve() == 1
    function = mine.load("next_token")
    assert function([1, 2, 3]) == ([1, 2], [2, 3])
    assert function.__code__.co_filename == str(home / "next_token.py")
    assert mine.load_or_ours("next_token").__code__ == function.__code__


def test_progress_counts(home):
    before = mine.progress()
    assert before.points == 0 and before.possible >= 1
    solve()
    after = mine.progress("00")
    assert (after.points, after.possible) == (1, 1)
    assert "yours" in repr(after) and "1 of 1 points" in repr(after)
    assert "1 of 1 points" in after._repr_html_()


def test_a_missing_and_a_broken_answer_say_what_to_do(home):
    with pytest.raises(KeyError, match="solve it first"):
        mine.load("next_token")
    with pytest.raises(KeyError, match="no exercise called"):
        mine.load("nonsense")
    solve()
    (home / "next_token.py").write_text("def inputs_and_targets(ids:", encoding="utf-8")
    with pytest.raises(
        ValueError, match="line 1, SyntaxError.*Check the exercise 'next_token' again"
    ):
        mine.load("next_token")
    (home / "next_token.py").write_text("import nothing_of_the_kind\n", encoding="utf-8")
    with pytest.raises(ValueError, match="next_token.py.*line 1, ModuleNotFoundError"):
        mine.load("next_token")


def test_a_file_that_no_longer_parses_is_not_counted(home):
    solve()
    assert mine.progress("00").points == 1
    for text in ("def inputs_and_targets(ids:", "x = 1\n"):
        (home / "next_token.py").write_text(text, encoding="utf-8")
        after = mine.progress("00")
        assert after.points == 0 and "No longer Python: next_token.py" in repr(after)
        assert "no longer works" in after._repr_html_()
    (home / "next_token.py").write_text("def f(i): ...\ninputs_and_targets = f", encoding="utf-8")
    assert mine.progress("00").points == 1


def test_progress_says_which_exercises_are_a_part_of_the_model(home):
    lines = {line.split()[3]: line for line in repr(mine.progress()).splitlines()[:-1]}
    parts = {name for name, line in lines.items() if "of the model)" in line}
    assert parts == {"rms_norm", "rms_norm_half", "rope", "attention", "swiglu"}
    assert "(apply_rope of the model)" in lines["rope"]
    assert "part of the model" in mine.progress()._repr_html_()


@pytest.mark.parametrize("name", ["../evil", "a/b", "", "A", "con.x"])
def test_no_name_climbs_out_of_the_folder(name, home):
    with pytest.raises(ValueError, match="not an exercise's name"):
        answers.save(name, "x = 1")


def test_a_full_disk_leaves_the_old_answer_and_no_litter(home, monkeypatch):
    solve()
    kept = (home / "next_token.py").read_text(encoding="utf-8")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = solve()
    assert result == 1 and "could not be saved" in result.text
    assert [path.name for path in home.iterdir()] == ["next_token.py"]
    assert (home / "next_token.py").read_text(encoding="utf-8") == kept
