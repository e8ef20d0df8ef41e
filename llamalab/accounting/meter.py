"""A meter that ends in grams: what this notebook cost, with every input in sight.

It counts processor time, the seconds that cores were busy for this process, and not the clock:
the half hour that you spent reading cost your machine next to nothing. Processor time and memory
are measured. Watts and the grid's kg/kWh are assumptions that you can change; the defaults are
10 W for one busy core (a round figure, not a reading) and 0.475 kg/kWh, the world average that
CodeCarbon falls back to.
"""

import time
from dataclasses import dataclass

import psutil

from llamalab.accounting.energy import carbon_tco2e, energy_kwh


@dataclass(frozen=True)
class Cost:
    """One measurement. Seconds of busy cores; watts of one busy core; energy in watt-hours;
    carbon in grams of CO2 equivalent."""

    core_seconds: float
    memory_mb: float
    watts: float
    kg_per_kwh: float

    @property
    def energy_wh(self) -> float:
        return 1000 * energy_kwh(self.core_seconds / 3600, self.watts)

    @property
    def carbon_gco2e(self) -> float:
        return 1e6 * carbon_tco2e(self.energy_wh / 1000, self.kg_per_kwh)

    def __repr__(self) -> str:
        return (
            f"measured   {self.core_seconds:.1f} s of processor time, "
            f"{self.memory_mb:,.0f} MB held at the end\n"
            f"assumed    {self.watts:g} W for a busy core, {self.kg_per_kwh:g} kg CO2e per kWh\n"
            f"estimated  {self.energy_wh:.3f} Wh, {self.carbon_gco2e:.3f} g CO2e"
        )


class Meter:
    """Starts when it is made; `read()` says what this process has spent since."""

    def __init__(self) -> None:
        self._start = time.process_time()

    def read(self, *, watts: float = 10.0, kg_per_kwh: float = 0.475) -> Cost:
        core_seconds = time.process_time() - self._start
        memory_mb = psutil.Process().memory_info().rss / 1e6
        return Cost(core_seconds, memory_mb, watts, kg_per_kwh)
