"""Where the course's data is looked for."""

from pathlib import Path

import pytest

from llamalab.runtime import paths

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No variable, an empty working folder, and a package that stands in no checkout."""
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    monkeypatch.setattr(
        paths, "__file__", str(tmp_path / "site-packages" / "llamalab" / "runtime" / "paths.py")
    )
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def made(place, *checkpoints):
    (place / "tales").mkdir(parents=True)
    (place / "README.md").write_text("", encoding="utf-8")
    for name in checkpoints:
        (place / "checkpoints" / name).mkdir(parents=True)
        (place / "checkpoints" / name / "config.json").write_text("{}", encoding="utf-8")
    return place


def test_in_a_clone_it_is_beside_the_package(monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv(paths.DATA_VARIABLE, raising=False)
    if (ROOT / "data" / "README.md").exists():
        assert paths.data_folder() == ROOT / "data"


def test_beside_the_package_comes_first(nowhere):
    made(nowhere / "work" / "data")
    beside = made(nowhere / "site-packages" / "data")
    assert paths.data_folder() == beside


def test_else_in_the_working_folder_or_above_it(nowhere, monkeypatch):
    (nowhere / "work" / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(nowhere / "work" / "deep" / "down")
    (nowhere / "work" / "deep" / "data").mkdir()  # somebody's own folder of that name
    above = made(nowhere / "work" / "data")
    assert paths.data_folder() == above


def test_the_variable_comes_before_all(nowhere, monkeypatch):
    made(nowhere / "work" / "data")
    monkeypatch.setenv(paths.DATA_VARIABLE, str(nowhere / "elsewhere"))
    assert paths.data_folder() == nowhere / "elsewhere"


def test_where_there_is_none_it_says_where_it_looked(nowhere):
    with pytest.raises(FileNotFoundError, match=paths.DATA_VARIABLE) as caught:
        paths.data_folder()
    assert str(nowhere / "work") in str(caught.value)
    assert str(nowhere / "site-packages" / "data") in str(caught.value)


def test_checkpoints_by_name(nowhere):
    assert paths.checkpoints() == {}
    place = made(nowhere / "work" / "data", "tales", "chat")
    (place / "checkpoints" / "half").mkdir()
    (place / "checkpoints" / "notes.txt").write_text("", encoding="utf-8")
    found = paths.checkpoints()
    assert list(found) == ["chat", "tales"]
    assert found["tales"] == place / "checkpoints" / "tales"
