"""A file is written beside the old one: whatever stops the writer, the old one stays whole."""

import os

import pytest

from llamalab.runtime.files import atomic_write


def test_the_new_file_takes_the_old_ones_place(tmp_path):
    path = tmp_path / "kept.txt"
    path.write_text("old", encoding="utf-8")
    with atomic_write(path) as part:
        part.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("stop", [OSError("no space left"), KeyboardInterrupt()])
def test_a_writer_that_is_stopped_leaves_the_old_file(tmp_path, stop):
    path = tmp_path / "kept.txt"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(type(stop)):
        with atomic_write(path) as part:
            part.write_text("half", encoding="utf-8")
            raise stop
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_leaves_the_old_file(tmp_path, monkeypatch, call):
    path = tmp_path / "kept.txt"
    path.write_text("old", encoding="utf-8")

    def fail(*_):
        raise OSError("the disk is gone")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="the disk is gone"):
        with atomic_write(path) as part:
            part.write_text("new", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]
