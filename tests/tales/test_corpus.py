"""data/tales/ is made by one command, and is the same bytes on every machine."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from llamalab.tales import corpus, folder, stories

# A change here is a change of the course's data: tokenizer and checkpoints have to be made again.
DIGESTS = {
    "train.txt": "0169a3a942ffe6f62a2ea2f72c062669f829e50e53f42c1acc71c27da6b48504",
    "valid.txt": "04bafc0512e9c65034210b094bd813368bdec636acf12f0f952810eee2fd7109",
    "valid.jsonl": "f1746049e9e1e2925bc83764fa2bf9c4e1b4f81329add086f2b75e08303ed15b",
}


def digests(of: Path) -> dict[str, str]:
    return {name: hashlib.sha256((of / name).read_bytes()).hexdigest() for name in corpus.FILES}


def test_the_files_of_the_repository():
    assert digests(folder()) == DIGESTS
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
    assert digests(tmp_path) == DIGESTS
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(corpus.FILES)


def test_one_story_a_line():
    lines = (folder() / "train.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == corpus.TRAIN
    assert lines[:50] == [story.text for story in stories(50)]
    assert not set(lines) & set((folder() / "valid.txt").read_text("utf-8").splitlines())


def test_metadata_stands_beside_each_validation_story():
    texts = (folder() / "valid.txt").read_text(encoding="utf-8").splitlines()
    facts = [
        json.loads(line) for line in (folder() / "valid.jsonl").read_text("utf-8").splitlines()
    ]
    assert len(texts) == len(facts) == corpus.VALID
    for text, known in zip(texts, facts):
        assert known["hero"] in text and known["thing"]["noun"] in text
        assert sum(words for _, words in known["roles"]) == len(text.split())
