"""The files of data/tales/: made from nothing but this package, the same bytes everywhere.

train.txt and valid.txt hold one story a line; valid.jsonl holds what is true in each story of
valid.txt, in the same order. Files are written next to the old ones and renamed into place.
"""

import json
from pathlib import Path

from llamalab.runtime import paths
from llamalab.runtime.files import atomic_write

from .story import Story, stories

TRAIN, VALID = 3300, 200  # stories; a checkpoint is trained on many more, told on the fly
FILES = ("train.txt", "valid.txt", "valid.jsonl")


def folder() -> Path:
    """data/tales/ of the course's data folder; FileNotFoundError says where that was looked for."""
    return paths.data_folder() / "tales"


def metadata(story: Story) -> str:
    """A story's truth as one line of JSON. Its scenes are told by role and number of words."""
    facts = {k: value for k, value in story.facts.items() if k not in ("turn", "scenes")}
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
        with atomic_write(target / name) as part:
            part.write_text("\n".join(content) + "\n", encoding="utf-8", newline="\n")
    return [target / name for name in FILES]
