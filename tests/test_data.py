"""Where the course's data is looked for."""

from pathlib import Path

import pytest

from llamalab import data

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """No variable, an empty working folder, and a package that stands in no checkout."""
    monkeypatch.delenv(data.VARIABLE, raising=False)
    monkeypatch.setattr(data, "__file__", str(tmp_path / "site-packages" / "llamalab" / "data.py"))
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
    monkeypatch.delenv(data.VARIABLE, raising=False)
    if (ROOT / "data" / "README.md").exists():
        assert data.folder() == ROOT / "data"


def test_beside_the_package_comes_first(nowhere):
    made(nowhere / "work" / "data")
    beside = made(nowhere / "site-packages" / "data")
    assert data.folder() == beside


def test_else_in_the_working_folder_or_above_it(nowhere, monkeypatch):
    (nowhere / "work" / "deep" / "down").mkdir(parents=True)
    monkeypatch.chdir(nowhere / "work" / "deep" / "down")
    (nowhere / "work" / "deep" / "data").mkdir()  # somebody's own folder of that name
    above = made(nowhere / "work" / "data")
    assert data.folder() == above


def test_the_variable_comes_before_all(nowhere, monkeypatch):
    made(nowhere / "work" / "data")
    monkeypatch.setenv(data.VARIABLE, str(nowhere / "elsewhere"))
    assert data.folder() == nowhere / "elsewhere"


def test_where_there_is_none_it_says_where_it_looked(nowhere):
    with pytest.raises(FileNotFoundError, match=data.VARIABLE) as caught:
        data.folder()
    assert str(nowhere / "work") in str(caught.value)
    assert str(nowhere / "site-packages" / "data") in str(caught.value)


def test_checkpoints_by_name(nowhere):
    assert data.checkpoints() == {}
    place = made(nowhere / "work" / "data", "tales", "chat")
    (place / "checkpoints" / "half").mkdir()
    (place / "checkpoints" / "notes.txt").write_text("", encoding="utf-8")
    found = data.checkpoints()
    assert list(found) == ["chat", "tales"]
    assert found["tales"] == place / "checkpoints" / "tales"
