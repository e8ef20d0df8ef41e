"""The door for files that others wrote: nothing in them is believed before it was checked.

Every refusal is a ValueError that names the file, the field and both numbers. JSON is read
strictly: no key twice, no NaN, no number that is written as a text. Pickles are opened by torch
with weights_only=True, which runs no code. What we write is written beside and renamed into place,
so that a crash leaves the old file whole.
"""

import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

FLOATS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
LONGEST_JSON = 64 * 2**20  # bytes; the index of a 70B model has 70,000


def read_json(path: Path) -> dict:
    """A JSON object, strictly. FileNotFoundError if there is none."""
    size = regular(path).stat().st_size
    if size > LONGEST_JSON:
        raise ValueError(f"{path} has {size} bytes; a JSON file here has at most {LONGEST_JSON}")
    try:
        found = json.loads(
            path.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"{path} is no proper JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object {{…}}, not {_brief(found)}")
    return found


def write_json(path: Path, value: dict) -> None:
    with beside(path) as part:
        text = json.dumps(value, indent=2, allow_nan=False) + "\n"
        part.write_text(text, encoding="utf-8", newline="\n")


def _once(pairs: list) -> dict:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"the key {twice!r} is there more than once")
    return found


def _refuse(constant: str):
    raise ValueError(f"{constant} is no number of JSON")


class Fields:
    """The fields of a JSON object, asked for by kind: what is of another kind is a ValueError."""

    def __init__(self, path: Path, values: dict | None = None):
        self.path, self.values = path, read_json(path) if values is None else values

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None  # null is the same as absent

    def whole(self, key: str, default: int | None = ..., least: int = 1) -> int | None:
        value = self._get(key, default)
        if value is default or (type(value) is int and least <= value < 2**63):
            return value
        raise self.wrong(key, f"must be a whole number of at least {least}")

    def number(self, key: str, default: float | None = ...) -> float | None:
        value = self._get(key, default)
        if value is default:
            return value
        if type(value) in (int, float) and 0 < value < 2**1000 and math.isfinite(value):
            return float(value)
        raise self.wrong(key, "must be a finite number above 0")

    def flag(self, key: str, default: bool) -> bool:
        value = self._get(key, default)
        if type(value) is not bool:
            raise self.wrong(key, "must be true or false")
        return value

    def fixed(self, key: str, only: object, why: str) -> None:
        """A field that may be absent, but must not say anything else than `only`."""
        if key in self and (type(self.values[key]), self.values[key]) != (type(only), only):
            raise self.wrong(key, f"must be {json.dumps(only)}: {why}")

    def inner(self, key: str) -> "Fields":
        """An object inside; empty where it is absent."""
        value = self._get(key, {})
        if type(value) is not dict:
            raise self.wrong(key, "must be an object {…} or null")
        return Fields(self.path, value)

    def wrong(self, key: str, why: str) -> ValueError:
        return ValueError(f"{self.path}: {key}={_brief(self.values[key])} {why}")

    def _get(self, key: str, default):
        if key in self:
            return self.values[key]
        if default is ...:
            raise ValueError(f"{self.path} has no {key}")
        return default


def _brief(value: object) -> str:
    try:
        text = json.dumps(value, ensure_ascii=False)
    except ValueError:  # an integer of thousands of digits
        text = f"a number of {value.bit_length()} bits"
    return text if len(text) < 60 else f"{text[:57]}…"


def regular(path: Path) -> Path:
    """`path` if it is a file that can be read: no folder, no pipe that never ends."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is no regular file")
    return path


def inside(folder: Path, name: str) -> Path:
    """The file `name` of a folder, where the name was read from a file. It may not lead out.

    The one way out that is allowed is the one that Hugging Face's own download cache takes: from
    snapshots/… to blobs/… beside it.
    """
    path = folder / name
    if not name or name in (".", "..") or any(character in name for character in "/\\:\0"):
        raise ValueError(f"{folder} names a file {_brief(name)}: only plain names are followed")
    if not path.is_file():
        raise ValueError(f"{folder} names a file {_brief(name)}, which is not there")
    roots = [folder.resolve()]
    if folder.absolute().parent.name == "snapshots":
        roots.append((folder.absolute().parents[1] / "blobs").resolve())
    if path.resolve().parent not in roots:
        raise ValueError(f"{path} is a link that leads out of its folder, to {path.resolve()}")
    return path


def read_pickle(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a torch file, mapped into memory, without running what it holds."""
    with open(regular(path), "rb") as file:
        archive = file.read(4) == b"PK\3\4"  # else torch's format of before 2020
    if archive:
        _check_archive(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=archive)
    except Exception as error:  # torch raises whatever its parts raise: some ten kinds
        first = str(error).strip().split("\n")[0][:200] or type(error).__name__
        raise ValueError(f"{path} is no checkpoint that can be opened safely: {first}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a dict of tensors, not {type(found).__name__}")
    for name, tensor in found.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{path}: {name!r:.60} is no named tensor")
        if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_meta:
            raise ValueError(f"{path}: {name} is no plain tensor")
        if tensor.untyped_storage().nbytes() > path.stat().st_size:
            raise ValueError(f"{path}: {name} is larger than its file")
    return dict(found)


def _check_archive(path: Path) -> None:
    """A torch file is an archive that does not compress: what says otherwise is a bomb."""
    size = path.stat().st_size
    try:
        entries = zipfile.ZipFile(path).infolist()
    except Exception as error:
        raise ValueError(f"{path} is a broken archive: {error}") from None
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size:
        raise ValueError(f"{path} has {size} bytes and claims to unpack to {unpacked}")


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path to write to; renamed to `path` when all went well, removed when not."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
