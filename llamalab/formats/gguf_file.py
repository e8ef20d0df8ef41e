"""A GGUF file opened: its metadata, and where each tensor lies. Written by others, so checked.

    "GGUF" · version · tensor count · metadata count · metadata · tensor infos · padding · data
    text        uint64 length, UTF-8                       all little-endian
    metadata    text key · uint32 type · value             array: uint32 type, uint64 count, items
    tensor      text name · uint32 n_dims · uint64 sizes, the fastest first · uint32 type · offset

Counts and lengths are compared with the file's size before anything is made of them. Offsets are
multiples of general.alignment (32), tensors lie inside the file and not on each other.
Source: ggml's docs/gguf.md, version 3; version 2 is the same for what is read here.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from llamalab.runtime.files import require_file

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q",
           12: "d"}  # fmt: skip
STRING, ARRAY, FLOAT32 = 8, 9, 6
TYPES = {  # ggml's number of a type: name, numbers in a block, bytes of a block
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2),
    2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 8: ("Q8_0", 32, 34),
}  # fmt: skip
OTHERS = {6: "Q5_0", 7: "Q5_1", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K",
          14: "Q6_K", 15: "Q8_K"}  # fmt: skip
LARGEST_ALIGNMENT = 2**16


@dataclass(frozen=True)
class Tensor:
    """Shape as torch has it (rows first), type by name, and bytes from `start` to `stop`."""

    shape: tuple[int, ...]
    kind: str
    start: int
    stop: int


@dataclass(frozen=True)
class GGUFFile:
    """The file, mapped into memory; a page that is written to becomes a copy."""

    path: Path
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]
    data: np.ndarray


def open_gguf(path: Path) -> GGUFFile:
    """Its metadata and the places of its tensors. ValueError says what is wrong with a file that is
    not GGUF, or is damaged."""
    if require_file(path).stat().st_size < 24:
        raise ValueError(f"{path} is too short for a GGUF file: {path.stat().st_size} bytes")
    data = np.memmap(path, dtype=np.uint8, mode="c")
    reader = _Reader(path, data)
    if reader.take(4) != b"GGUF":
        raise ValueError(f"{path} is no GGUF file: it does not begin with GGUF")
    version = reader.number("I")
    if version not in (2, 3):
        raise ValueError(f"{path}: GGUF version {version}; 2 and 3 are read, little-endian")
    tensor_count, metadata_count = reader.number("Q"), reader.number("Q")
    metadata: dict[str, Any] = {}
    for _ in range(reader.at_most(metadata_count, 13)):
        key = reader.text()
        if key in metadata:
            raise reader.wrong(f"the key {key!r:.80} is there more than once")
        metadata[key] = reader.value(reader.number("I"))
    infos = [reader.tensor() for _ in range(reader.at_most(tensor_count, 32))]
    return GGUFFile(path, metadata, _placed(reader, infos, metadata), data)


class _Reader:
    """A place in the bytes. Whatever would lead past their end is a ValueError."""

    def __init__(self, path: Path, data: np.ndarray):
        self.path, self.data, self.place = path, memoryview(data.data), 0

    def wrong(self, what: str) -> ValueError:
        return ValueError(f"{self.path} is no sound GGUF file: {what} (byte {self.place})")

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            left = len(self.data) - self.place
            raise self.wrong(f"{count} bytes are announced and {left} are left")
        self.place += count
        return self.data[self.place - count : self.place].tobytes()

    def at_most(self, count: int, smallest: int) -> int:
        """A count of things that take at least `smallest` bytes each."""
        if count * smallest > len(self.data) - self.place:
            raise self.wrong(f"{count} entries are announced, more than fit in the file")
        return count

    def number(self, kind: str) -> Any:
        return struct.unpack(f"<{kind}", self.take(struct.calcsize(f"<{kind}")))[0]

    def text(self) -> str:
        raw = self.take(self.number("Q"))
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise self.wrong(f"a text is not UTF-8: {raw!r:.60}") from None

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            kind, count = self.number("I"), self.number("Q")
            if kind == STRING:
                return [self.text() for _ in range(self.at_most(count, 8))]
            if kind not in SCALARS:
                raise self.wrong(f"an array of values of type {kind}")
            size = struct.calcsize(f"<{SCALARS[kind]}")
            raw = self.take(self.at_most(count, size) * size)
            return [_scalar(kind, x) for (x,) in struct.iter_unpack(f"<{SCALARS[kind]}", raw)]
        if kind not in SCALARS:
            raise self.wrong(f"a value of type {kind}")
        return _scalar(kind, self.number(SCALARS[kind]))

    def tensor(self) -> tuple[str, tuple[int, ...], int, int]:
        """-> name, shape with rows first, ggml's type, offset in the data."""
        name, n_dims = self.text(), self.number("I")
        if n_dims not in (1, 2):
            raise self.wrong(f"{name!r:.80} has {n_dims} axes; a Llama's have 1 or 2")
        shape = tuple(self.number("Q") for _ in range(n_dims))[::-1]
        return name, shape, self.number("I"), self.number("Q")


def _scalar(kind: int, value: Any) -> Any:
    return shortest(value) if kind == FLOAT32 else value


def shortest(value: float) -> float:
    """A number rounded to float32, as the shortest decimal that names it: 1e-05, not
    9.99999974e-06."""
    return float(str(np.float32(value)))


def _placed(reader: _Reader, infos: list, metadata: dict) -> dict[str, Tensor]:
    """The tensors, where they lie in the file."""
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or not 0 < alignment <= LARGEST_ALIGNMENT or alignment % 8:
        raise reader.wrong(f"general.alignment={alignment!r:.40}")
    base = -(-reader.place // alignment) * alignment
    found: dict[str, Tensor] = {}
    for name, shape, number, offset in infos:
        if number not in TYPES:
            kind = OTHERS.get(number, f"type {number}")
            known = ", ".join(name for name, _, _ in TYPES.values())
            raise reader.wrong(f"{name!r:.80} is stored as {kind}; what is read here: {known}")
        kind, block, size = TYPES[number]
        if min(shape) < 1 or shape[-1] % block:
            raise reader.wrong(f"{name!r:.80}: {kind} cannot have the shape {shape}")
        if offset % alignment:
            raise reader.wrong(f"{name!r:.80} begins at {offset}, no multiple of {alignment}")
        start = base + offset
        stop = start + math.prod(shape) // block * size
        if name in found or stop > len(reader.data):
            raise reader.wrong(f"{name!r:.80} is there twice, or goes past the end, to {stop}")
        found[name] = Tensor(shape, kind, start, stop)
    places = sorted((t.start, t.stop, name) for name, t in found.items())
    for (_, stop, one), (start, _, other) in zip(places, places[1:]):
        if start < stop:
            raise reader.wrong(f"{one!r:.80} and {other!r:.80} lie on each other")
    return found
