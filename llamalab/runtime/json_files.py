"""JSON: written whole or not at all; what others wrote is read strictly, its fields by their kind.

No key twice, no NaN or Infinity, no number that is written as a string, or is too large. Every
refusal is a ValueError that names the file, the field and what it holds. null means absent.
"""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from .files import atomic_write, brief, require_file

LONGEST_JSON = 64 * 2**20  # bytes; the index of a 70B model has 70,000


def read_json(path: Path) -> dict:
    """A JSON object, strictly. FileNotFoundError if there is no such file, ValueError if it holds
    another thing or is too large to be one."""
    size = require_file(path).stat().st_size
    if size > LONGEST_JSON:
        raise ValueError(f"{path} has {size} bytes; a JSON file here has at most {LONGEST_JSON}")
    try:
        found = json.loads(
            path.read_text(encoding="utf-8"), object_pairs_hook=_once, parse_constant=_refuse
        )
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise ValueError(f"{path} is no proper JSON: {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold a JSON object {{…}}, not {brief(found)}")
    return found


def write_json(path: Path, value: dict) -> None:
    """The same bytes on every system: two spaces, and a newline at the end."""
    with atomic_write(path) as part:
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

    def whole(self, key: str, default: Any = ..., least: int = 1) -> Any:
        """A whole number, or the default where it is absent. ValueError for anything else."""
        value = self._get(key, default)
        if value is default or (type(value) is int and least <= value < 2**63):
            return value
        raise self.wrong(key, f"must be a whole number of at least {least}")

    def number(self, key: str, default: Any = ...) -> Any:
        """A finite number above 0, as a float, or the default where it is absent. ValueError for
        anything else."""
        value = self._get(key, default)
        if value is default:
            return value
        if type(value) in (int, float) and 0 < value < 2**1000 and math.isfinite(value):
            return float(value)
        raise self.wrong(key, "must be a finite number above 0")

    def flag(self, key: str, default: bool) -> bool:
        """True or false. ValueError for anything else."""
        value = self._get(key, default)
        if type(value) is not bool:
            raise self.wrong(key, "must be true or false")
        return value

    def fixed(self, key: str, only: object, why: str) -> None:
        """ValueError if the field is there and is not `only`; why: the end of its sentence."""
        if key in self and (type(self.values[key]), self.values[key]) != (type(only), only):
            raise self.wrong(key, f"must be {json.dumps(only)}: {why}")

    def inner(self, key: str) -> "Fields":
        """An object inside; empty where it is absent. ValueError for anything else."""
        value = self._get(key, {})
        if type(value) is not dict:
            raise self.wrong(key, "must be an object {…} or null")
        return Fields(self.path, value)

    def wrong(self, key: str, why: str) -> ValueError:
        """The error to raise: the file, the field, what it holds, and why that is wrong."""
        return ValueError(f"{self.path}: {key}={brief(self.values[key])} {why}")

    def _get(self, key: str, default):
        if key in self:
            return self.values[key]
        if default is ...:
            raise ValueError(f"{self.path} has no {key}")
        return default
