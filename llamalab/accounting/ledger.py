"""The ledger of the whole course: one line a metered run, in the learner's folder.

`my_llama/ledger.jsonl` is plain text, a JSON object a line, only ever added to; a line cut off by
a crash is skipped, and counted. What is kept is energy, and how it is known. Carbon is worked out
when it is asked for, so that a place can be said later, or another one tried.
"""

import json
import math
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from llamalab.accounting import places, published
from llamalab.accounting.ranges import Range
from llamalab.runtime.paths import answers_folder

FILE = "ledger.jsonl"


@dataclass(frozen=True)
class Entry:
    """One run. identity: of its meter. when: seconds since 1970. energy_wh: measured by `known_by`,
    or estimated with it."""

    identity: str
    name: str
    when: float
    seconds: float
    core_seconds: float
    memory_mb: float
    energy_wh: float
    known_by: str
    measured: bool


@dataclass(frozen=True)
class Ledger:
    """What was kept, oldest first; the place the learner lives in ("" if not said); and how many
    lines could not be read."""

    entries: tuple[Entry, ...] = ()
    place: str = ""
    spoilt: int = 0

    @property
    def energy_wh(self) -> float:
        return sum(entry.energy_wh for entry in self.entries)

    @property
    def measured_wh(self) -> float:
        return sum(entry.energy_wh for entry in self.entries if entry.measured)

    def by_name(self) -> dict[str, tuple[int, float, float]]:
        """For each name, in order of first appearance: how often, processor seconds, Wh."""
        found: dict[str, tuple[int, float, float]] = {}
        for e in self.entries:
            times, seconds, wh = found.get(e.name, (0, 0.0, 0.0))
            found[e.name] = times + 1, seconds + e.core_seconds, wh + e.energy_wh
        return found

    def carbon_gco2e(self, place: str = "") -> Range:
        """Grams at a place of the table, or at the learner's own. ValueError if neither is said,
        KeyError for a place that is not in the table."""
        place = place or self.place
        if not place:
            raise ValueError(f"{self.energy_wh:.3f} Wh where? There are {', '.join(places.PLACES)}")
        return places.grid(place) * self.energy_wh


def report(kept: Ledger, place: str = "") -> str:
    """The ledger as a person reads it, beside Llama 2's 539 tonnes. KeyError as carbon_gco2e."""
    if not kept.entries:
        return (
            f"Nothing is kept yet in my_llama/{FILE}: a notebook's last cell adds the first line."
        )
    lines = [f"{'run':<24} {'times':>5} {'processor':>10} {'energy':>10}"]
    for name, (times, seconds, wh) in kept.by_name().items():
        lines.append(f"{name:<24} {times:>5} {seconds:>8,.1f} s {wh:>7,.3f} Wh")
    share = kept.measured_wh / kept.energy_wh if kept.energy_wh else 0.0
    ways = dict.fromkeys(e.known_by for e in kept.entries if not e.measured)
    how = f"{share:.0%} of it measured" + (f", the rest by {', '.join(ways)}" if ways else "")
    lines.append(f"in all {kept.energy_wh:,.3f} Wh: {how}.")
    if kept.spoilt:
        lines.append(f"{kept.spoilt} lines could not be read and are not in it.")
    place = place or kept.place
    if not place:
        known = ", ".join(places.PLACES)
        return "\n".join([*lines, f"For grams say where (--place): {known}."])
    grid, grams = places.grid(place), kept.carbon_gco2e(place)
    lines.append(f"In {place}, {grid} kg CO2e per kWh: {grams} g CO2e.")
    if grams.central:
        more = 1e6 * published.LLAMA_2_TOTAL.tco2e / grams.central
        lines.append(f"Llama 2, four sizes, as published: 539.00 t, {more:,.0f} times as much.")
    return "\n".join(lines)


def path() -> Path:
    """Where the ledger lies. It need not exist yet."""
    return answers_folder() / FILE


def read() -> Ledger:
    """All that was kept. A meter that was kept twice counts once, with its last line."""
    try:
        lines = path().read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return Ledger()
    return _gather(lines)


def _gather(lines: Iterable[str]) -> Ledger:
    entries: dict[str, Entry] = {}
    place, spoilt = "", 0
    for line in lines:
        found = _parsed(line)
        if isinstance(found, Entry):
            entries[found.identity] = found
        elif isinstance(found, str):
            place = found
        elif line.strip():
            spoilt += 1
    return Ledger(tuple(sorted(entries.values(), key=lambda e: e.when)), place, spoilt)


def _parsed(line: str) -> Entry | str | None:
    """A run, a place, or nothing that can be read."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if set(found) == {"place"}:
        return found["place"] if found["place"] in places.PLACES else None
    kinds = {field.name: field.type for field in fields(Entry)}
    if set(found) != set(kinds) or not all(_is(found[k], kind) for k, kind in kinds.items()):
        return None
    return Entry(**found)


def _is(value: object, kind: object) -> bool:
    if kind is float:
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and math.isfinite(value) and value >= 0  # type: ignore[arg-type, operator]
    return isinstance(value, kind)  # type: ignore[arg-type]


def home() -> str:
    """The place the learner lives in, "" if they have not said."""
    return read().place


def live_in(place: str) -> None:
    """Say once where your power comes from. KeyError for a place that is not in the table, OSError
    if it cannot be written."""
    places.readings(place)
    _append({"place": place})


def add(entry: Entry) -> bool:
    """Keep a run; False if it cannot be written (a read-only course still runs)."""
    try:
        _append(asdict(entry))
    except OSError:
        return False
    return True


def _append(value: dict) -> None:
    """One write to the end, so that two kernels at once do not cut into each other's lines."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
    with open(file, "a+b") as stream:
        if stream.seek(0, os.SEEK_END) and not _ends_a_line(file):
            line = "\n" + line  # whoever wrote before was cut off
        stream.write(line.encode("utf-8"))


def _ends_a_line(file: Path) -> bool:
    with open(file, "rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) == b"\n"
