"""data/tales/ is made by one command, and is the same bytes on every machine."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llamalab.tales import TRAIN_FILE, VALID_FILE, corpus, folder, stories

# A change here is a change of the course's data: tokenizer and checkpoints have to be made again.
DIGESTS = {
    "train.txt": "634bb1376a769f7a712f9e8403b3b80e8f67ba4d6a259919ce74885b9924028e",
    "valid.txt": "7267b3a8aaba1d824c355c9faeeae4378818cba834973641aa766cda36dc5bdb",
    "valid.jsonl": "a52988c26fd7357ac0ff5b38529e137cee20ccf5a109aa78dc37b97652930e22",
}


def test_the_files_of_the_repository():
    assert corpus.digests() == DIGESTS
    assert folder() == TRAIN_FILE.parent == VALID_FILE.parent
    assert sum(path.stat().st_size for path in folder().iterdir()) < 3e6


def test_one_command_makes_them_again(tmp_path):
    """In another process, whose strings hash otherwise."""
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-m", "llamalab.tales", str(tmp_path)]
    done = subprocess.run(
        command,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert corpus.digests(tmp_path) == DIGESTS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(corpus.FILES)


def test_one_story_a_line():
    lines = TRAIN_FILE.read_text(encoding="utf-8").splitlines()
    assert len(lines) == corpus.TRAIN
    assert lines[:50] == [story.text for story in stories(50)]
    assert not set(lines) & set(VALID_FILE.read_text(encoding="utf-8").splitlines())


def test_metadata_stands_beside_each_validation_story():
    texts = VALID_FILE.read_text(encoding="utf-8").splitlines()
    facts = [
        json.loads(line) for line in (folder() / "valid.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(texts) == len(facts) == corpus.VALID
    for text, known in zip(texts, facts):
        assert known["hero"] in text and known["thing"]["noun"] in text
        assert sum(words for _, words in known["roles"]) == len(text.split())


def test_elsewhere_the_files_are_missed_clearly(monkeypatch, tmp_path):
    monkeypatch.setattr(corpus, "__file__", str(tmp_path / "llamalab" / "tales" / "corpus.py"))
    with pytest.raises(FileNotFoundError, match="python -m llamalab.tales FOLDER"):
        corpus.folder()
