"""How the course writes a file: beside the old one, flushed to the disk, and renamed over it.

Whoever reads finds the old file or the new one, never half of one, whatever stops the writer. And
what it asks of a file that others wrote, before it is opened.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write to; renamed to `path` when all went well, removed when not."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def brief(value: object) -> str:
    """A value as it stands in JSON, cut short, for an error message."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # an integer of thousands of digits
        text = f"a number of {value.bit_length()} bits" if isinstance(value, int) else "…"
    return text if len(text) < 60 else f"{text[:57]}…"


def require_file(path: Path) -> Path:
    """`path` if it is a file that can be read. FileNotFoundError if there is none; ValueError for a
    folder, or a pipe that never ends."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is no regular file")
    return path
