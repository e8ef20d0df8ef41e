"""How the course writes a file: beside the old one, flushed to the disk, and renamed over it.

Whoever reads finds the old file or the new one, never half of one, whatever stops the writer.
"""

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
