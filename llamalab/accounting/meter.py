"""A meter around a cell or a run, that ends in watt-hours with every input in sight.

    with Meter("training", place="France") as meter:
        ...
    meter.read()             what it took          meter.keep()   the same, and into the ledger

Measured: seconds by the clock; processor time, the seconds that cores were busy for this process
(its children are not in it); the most memory this process ever held. Energy is measured where the
machine has a counter (`counters.py`), and then it is that of the whole device, whoever used it.
Where there is none it is estimated: processor time x the watts of one busy core, so that the half
hour that you spent reading costs next to nothing. 10 W is a round figure and not a reading; change
it.

Grams need a place, and there is no default: say it here, or once for the course with
`ledger.live_in("France")`.
"""

import sys
import time
import uuid
from dataclasses import dataclass

import psutil

from llamalab.accounting import counters, ledger, places
from llamalab.accounting.energy import carbon_tco2e, energy_kwh
from llamalab.accounting.ranges import Range

WATTS = 10.0  # of one busy core: an assumption, shown wherever it is used


@dataclass(frozen=True)
class Cost:
    """One measurement. core_seconds: of busy cores. seconds: by the clock. memory_mb: the most
    ever held. watts: of one busy core. kg_per_kwh: None where no place was said. measured_wh: by
    the counters named in `counted`; None where there are none."""

    core_seconds: float
    memory_mb: float
    watts: float = WATTS
    kg_per_kwh: Range | None = None
    seconds: float = 0.0
    place: str = ""
    measured_wh: float | None = None
    counted: str = ""

    @property
    def energy_wh(self) -> float:
        """Measured if it was, else estimated."""
        if self.measured_wh is not None:
            return self.measured_wh
        return 1000 * energy_kwh(self.core_seconds / 3600, self.watts)

    @property
    def carbon_gco2e(self) -> Range:
        """Grams. ValueError if no place was said."""
        if self.kg_per_kwh is None:
            raise ValueError(f"{self.energy_wh:.3f} Wh where? Grams need a place: {WAY_OUT}")
        return self.kg_per_kwh * (1e6 * carbon_tco2e(self.energy_wh / 1000, 1.0))

    def __repr__(self) -> str:
        measured = (
            f"measured   {self.core_seconds:.1f} s of processor time in {self.seconds:.1f} s, "
            f"at most {self.memory_mb:,.0f} MB"
        )
        if self.measured_wh is None:
            lines = [measured, f"assumed    {self.watts:g} W for a busy core{self._grid()}"]
            return "\n".join([*lines, f"estimated  {self.energy_wh:.3f} Wh{self._grams()}"])
        lines = [f"{measured}; {self.measured_wh:.3f} Wh by {self.counted}, whoever used it"]
        if self.kg_per_kwh is not None:
            lines += [f"assumed   {self._grid()[1:]}", f"estimated {self._grams()[1:]}"]
        return "\n".join(lines)

    def _grid(self) -> str:
        return f", {self.kg_per_kwh} kg CO2e per kWh ({self.place})" if self.kg_per_kwh else ""

    def _grams(self) -> str:
        if self.kg_per_kwh is None:
            return f"; for grams say where: {WAY_OUT}"
        grams = self.carbon_gco2e
        if grams.exact:
            return f", {grams.central:.3f} g CO2e"
        return f", {grams.central:.3f} g CO2e ({grams.low:.3f} to {grams.high:.3f})"


WAY_OUT = 'read(place="France"), or once for all: ledger.live_in("France")'


class Meter:
    """Starts when it is made, and again where a `with` begins; stands still where it ends."""

    def __init__(self, name: str = "", *, place: str = "", counted_by=counters.counters) -> None:
        self.name, self.place = name, place
        self._counted_by, self._id = counted_by, uuid.uuid4().hex
        self._begin()

    def _begin(self) -> None:
        self._end: tuple[float, float, float | None] | None = None
        self._running = self._counted_by()
        counters.keep_asking(self._running)
        self._start, self._clock = time.process_time(), time.perf_counter()

    def __enter__(self) -> "Meter":
        self._begin()
        return self

    def __exit__(self, kind, error, trace) -> None:
        self._end = self._now()

    def watt_hours(self, *, watts: float = WATTS) -> float:
        """The energy alone, up to now or to the end of the `with`: no place is looked for."""
        core_seconds, _, wh = self._end or self._now()
        return Cost(core_seconds, 0.0, watts, measured_wh=wh).energy_wh

    def _now(self) -> tuple[float, float, float | None]:
        joules = [counter.joules() for counter in self._running]
        wh = sum(joules) / counters.JOULES_PER_WH if joules else None
        return time.process_time() - self._start, time.perf_counter() - self._clock, wh

    def read(
        self, *, watts: float = WATTS, kg_per_kwh: float | None = None, place: str = ""
    ) -> Cost:
        """What it took, up to now or to the end of the `with`. kg_per_kwh, or a place of the table
        (else the meter's, else the one that the ledger knows), for grams. KeyError for a place
        that is not in the table."""
        core_seconds, seconds, wh = self._end or self._now()
        grid: Range | None
        if kg_per_kwh is not None:
            grid = Range.of(kg_per_kwh)
            place = place or "as you said"
        else:
            place = place or self.place or ledger.home()
            grid = places.grid(place) if place else None
        counted = ", ".join(counter.name for counter in self._running)
        return Cost(core_seconds, peak_memory_mb(), watts, grid, seconds, place, wh, counted)

    def keep(self, *, watts: float = WATTS) -> Cost:
        """`read`, and a line in the ledger. Kept again, the same meter's line replaces the one
        before. ValueError for a meter without a name. Where nothing can be written, it is read."""
        if not self.name:
            raise ValueError('name="" says nothing in a ledger: Meter("notebook 13")')
        cost = self.read(watts=watts)
        measured = cost.measured_wh is not None
        ledger.add(ledger.Entry(
            self._id, self.name, time.time(), cost.seconds, cost.core_seconds, cost.memory_mb,
            cost.energy_wh, cost.counted if measured else f"{watts:g} W for a busy core", measured,
        ))  # fmt: skip
        return cost


def peak_memory_mb() -> float:
    """The most that this process ever held, in 10^6 bytes."""
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset / 1e6
    import resource

    unit = 1 if sys.platform == "darwin" else 1024  # Linux says it in KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
