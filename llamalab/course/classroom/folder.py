"""A folder that is the course's to write in, and only that.

classroom.json in it says what was written, with a hash of each file. A folder that has something in
it and no such file is somebody else's; a file that no longer has its hash has become the teacher's.
Both are refused before anything is written.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from llamalab.runtime.files import atomic_write

MARK = "classroom.json"


def write(folder: Path, files: dict[str, str], *, again: str = "") -> None:
    """Write files, by their path in the folder. again: what begins with this is written anew
    whatever stands there. ValueError if the folder, or a file in it, is not ours."""
    known = may_write(folder, [name for name in files if not (again and name.startswith(again))])
    new = {name: _hash(_bytes(text)) for name, text in files.items()}
    either = {name: f"{known.get(name, '')} {hash_}".strip() for name, hash_ in new.items()}
    folder.mkdir(parents=True, exist_ok=True)
    _mark(folder, known | either)  # whatever stops the writer, old and new files are known as ours
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        _put(path, text)
    _mark(folder, known | new)


def may_write(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The hashes of what was written here, more than one of a file whose writer was stopped.
    ValueError if one of these files, or the folder, is somebody else's."""
    known = _known(folder)
    changed = [
        name for name in names
        if (folder / name).exists()
        and _hash((folder / name).read_bytes()) not in known.get(name, "").split()
    ]  # fmt: skip
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        raise ValueError(
            f"in {folder} you have changed {', '.join(changed[:3])}{more}, and that would be "
            f"lost: move it away, or name another folder"
        )
    return known


def _known(folder: Path) -> dict[str, str]:
    """What was written here last time. ValueError if somebody else's things lie here."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder")
    if not folder.exists() or not any(folder.iterdir()):
        return {}
    try:
        said = json.loads((folder / MARK).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in said["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        count = sum(1 for _ in folder.iterdir())
        raise ValueError(
            f"{folder} holds {count} thing{'s' * (count > 1)}, and {MARK} is not among them, so "
            f"it is not a folder of this command: name a new or an empty one"
        ) from None


def _mark(folder: Path, known: dict[str, str]) -> None:
    _put(folder / MARK, json.dumps({"made by": "llamalab classroom", "files": known}, indent=1))


def _put(path: Path, text: str) -> None:
    with atomic_write(path) as part:
        part.write_bytes(_bytes(text))


def _bytes(text: str) -> bytes:
    """UTF-8; half a character, which has no bytes, as the escape that names it."""
    return text.encode("utf-8", "backslashreplace")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
