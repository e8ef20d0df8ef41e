"""The files of data/tales/: made from nothing but this package, the same bytes everywhere.

train.txt and valid.txt hold one story a line; valid.jsonl holds what is true in each story of
valid.txt, in the same order. Files are written beside and renamed into place.
"""

import hashlib
import json
import os
from pathlib import Path

from .story import Story, stories

TRAIN, VALID = 3300, 200  # stories; a checkpoint is trained on many more, told on the fly
FILES = ("train.txt", "valid.txt", "valid.jsonl")


def folder() -> Path:
    """data/tales/ of the checkout; it is no part of an installed wheel."""
    found = Path(__file__).resolve().parents[2] / "data" / "tales"
    if not found.is_dir():
        raise FileNotFoundError(
            f"there is no {found}: the tales' files come with the course's repository, not with "
            "the package. `python -m llamalab.tales FOLDER` makes them anywhere."
        )
    return found


TRAIN_FILE = Path(__file__).resolve().parents[2] / "data" / "tales" / "train.txt"
VALID_FILE = TRAIN_FILE.with_name("valid.txt")


def metadata(story: Story) -> str:
    """A story's truth as one line of JSON. Its scenes are told by role and number of words."""
    facts = {key: value for key, value in story.facts.items() if key != "scenes"}
    roles = [[role, len(sentence.split())] for role, sentence in story.facts["scenes"]]
    line = {"number": story.number, "plot": story.plot, "kind": story.kind, **facts, "roles": roles}
    return json.dumps(line, ensure_ascii=False, separators=(",", ":"))


def make(into: Path | str | None = None) -> list[Path]:
    """Writes the three files into a folder, data/tales/ by default."""
    target = folder() if into is None else Path(into)
    target.mkdir(parents=True, exist_ok=True)
    valid = list(stories(VALID, held_out=True))
    lines = {
        "train.txt": [story.text for story in stories(TRAIN)],
        "valid.txt": [story.text for story in valid],
        "valid.jsonl": [metadata(story) for story in valid],
    }
    for name, content in lines.items():
        beside = target / f".{name}.{os.getpid()}"
        beside.write_text("\n".join(content) + "\n", encoding="utf-8", newline="\n")
        beside.replace(target / name)
    return [target / name for name in FILES]


def digests(of: Path | str | None = None) -> dict[str, str]:
    """The SHA-256 of each file in a folder, data/tales/ by default."""
    source = folder() if of is None else Path(of)
    return {name: hashlib.sha256((source / name).read_bytes()).hexdigest() for name in FILES}
