"""Where a run may begin: not in a run, not over somebody's model."""

import pytest

from llamalab.runs.places import refuse_if_there


@pytest.mark.parametrize("name, words", [
    ("run.json", "holds a run"), ("config.json", "holds a model"), ("params.json", "holds a model"),
])  # fmt: skip
def test_what_is_there_is_not_written_over(name, words, tmp_path):
    (tmp_path / name).write_text("{}", encoding="utf-8")
    with pytest.raises(FileExistsError, match=words):
        refuse_if_there(tmp_path)


def test_other_files_do_not_matter_and_a_file_is_no_folder(tmp_path):
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    refuse_if_there(tmp_path)
    refuse_if_there(tmp_path / "new")
    with pytest.raises(FileExistsError, match="is a file"):
        refuse_if_there(tmp_path / "notes.txt")
