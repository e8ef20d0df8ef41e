"""Energy and carbon from hours: the two lines behind the paper's table 2.

    kWh   = hours x watts x PUE / 1000
    tCO2e = kWh x kg per kWh / 1000

PUE, power usage effectiveness, is what a whole data centre draws per watt of its computers.
These are estimates: watts are usually a rating, not a reading. Llama 1 prints PUE 1.1 and
0.385 kg/kWh; Llama 2 prints neither, but the two constants reproduce every row of its table.

`footprint` carries what is not known exactly through both lines, and shows what it was given.
"""

from dataclasses import dataclass

from llamalab.accounting.ranges import Range

Number = float | tuple[float, float, float] | Range


def energy_kwh(hours: float, watts: float, pue: float = 1.0) -> float:
    """Kilowatt-hours drawn by `watts` over `hours` (GPU-hours for a GPU's watts). ValueError for a
    number below 0, and for a PUE below 1."""
    if hours < 0 or watts < 0:
        raise ValueError(f"hours={hours} and watts={watts} cannot be negative")
    if pue < 1:
        raise ValueError(f"pue={pue} is below 1: a data centre draws at least what it computes")
    return hours * watts * pue / 1000


def carbon_tco2e(energy_kwh: float, kg_per_kwh: float) -> float:
    """Tonnes of CO2 equivalent for that energy at a grid of `kg_per_kwh`. ValueError for a number
    below 0."""
    if energy_kwh < 0 or kg_per_kwh < 0:
        raise ValueError(f"energy_kwh={energy_kwh} and kg_per_kwh={kg_per_kwh} cannot be negative")
    return energy_kwh * kg_per_kwh / 1000


@dataclass(frozen=True)
class Footprint:
    """An estimate with everything it was made of. Gross: nothing that was bought elsewhere (an
    offset, a certificate) makes it smaller."""

    gpu_hours: Range
    watts: Range
    pue: Range
    kg_per_kwh: Range
    place: str

    @property
    def energy_kwh(self) -> Range:
        return self.gpu_hours * self.watts * self.pue * 0.001

    @property
    def carbon_tco2e(self) -> Range:
        return self.energy_kwh * self.kg_per_kwh * 0.001

    def __repr__(self) -> str:
        return (
            f"assumed    {self.gpu_hours} GPU-hours, {self.watts} W each, PUE {self.pue}, "
            f"{self.kg_per_kwh} kg CO2e per kWh ({self.place})\n"
            f"estimated  {self.energy_kwh * 0.001} MWh, {self.carbon_tco2e} t CO2e, gross"
        )


def footprint(
    *, gpu_hours: Number, watts: Number, pue: Number, kg_per_kwh: Number, place: str
) -> Footprint:
    """Energy and carbon of so many GPU-hours. Each number may be a range, or three numbers (low,
    central, high); none has a default. place: where the kg_per_kwh holds, in words. ValueError
    for a number below 0, numbers out of order, a PUE below 1, or no place."""
    found = Footprint(
        Range.of(gpu_hours), Range.of(watts), Range.of(pue), Range.of(kg_per_kwh), place.strip()
    )
    if found.pue.low < 1:
        raise ValueError(
            f"pue={found.pue.low} is below 1: a data centre draws at least what it computes"
        )
    if not found.place:
        raise ValueError("place='' says nothing: where does the power come from?")
    return found
