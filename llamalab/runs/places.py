"""Where checkpoints lie: found whole, put in place by a rename, taken away whole.

checkpoints/step-00000400        whole
            step-00000400.part   being written, or left by a kill: nobody looks
            step-00000400.old    the one that was there, until the new one is
"""

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

NAME = re.compile(r"step-([0-9]{8,})(\.old)?")


def refuse_if_there(out: Path) -> None:
    """FileExistsError if there is a run, a model, or a file, where a new run is to be."""
    if (out / "run.json").exists():
        raise FileExistsError(f"{out} holds a run already: --resume it, or name another folder")
    if any((out / name).exists() for name in ("config.json", "params.json")):
        raise FileExistsError(
            f"{out} holds a model already, which a run would write over: name another folder"
        )
    if out.exists() and not out.is_dir():
        raise FileExistsError(f"{out} is a file, and a run needs a folder: name another one")


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint of a run's folder of checkpoints; None if there is none."""
    found = all_whole(folder)
    return found[-1] if found else None


def all_whole(folder: Path) -> list[Path]:
    """The whole checkpoints, oldest first."""
    folder = Path(folder)
    found = folder.iterdir() if folder.is_dir() else ()
    named = ((NAME.fullmatch(path.name), path) for path in found)
    whole = [(int(m[1]), p.suffix != ".old", p) for m, p in named if m and _is_whole(p)]
    return [path for *_, path in sorted(whole)]


def _is_whole(path: Path) -> bool:
    return (path / "training.json").is_file()


@contextlib.contextmanager
def writing(path: Path, checkpoints: Path) -> Iterator[None]:
    """OSError says in one sentence that `path` could not be written, and where to go on from."""
    try:
        yield
    except (OSError, SafetensorError) as error:  # safetensors' own kind, for a full disk too
        newest = latest(checkpoints)
        behind = (
            f"The last checkpoint, {newest}, is whole: make room and" if newest else "Make room,"
        )
        raise OSError(
            f"{path} could not be written: {error}. {behind} go on with --resume"
        ) from error


def flush(path: Path) -> None:
    """Ask the disk to have a file, or a folder's names, now. (Windows opens no folders.)"""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def put(part: Path, path: Path) -> None:
    """Rename into place. A checkpoint of the same step stays, as .old, until the new one is in."""
    old = path.with_name(f"{path.name}.old")
    if path.exists():
        remove(old)
        os.replace(path, old)
    os.replace(part, path)
    flush(path.parent)
    with contextlib.suppress(OSError):
        remove(old)


def remove(path: Path) -> None:
    """Under another name first: a checkpoint is never half there."""
    if path.exists():
        shutil.rmtree(path.replace(path.with_name(f"{path.name}.part")))
