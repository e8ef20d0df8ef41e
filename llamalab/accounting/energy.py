"""Energy and carbon from hours: the two lines behind the paper's table 2.

    kWh   = hours x watts x PUE / 1000
    tCO2e = kWh x kg per kWh / 1000

PUE, power usage effectiveness, is what a whole data centre draws per watt of its computers.
These are estimates: watts are usually a rating, not a reading. Llama 1 prints PUE 1.1 and
0.385 kg/kWh; Llama 2 prints neither, but the two constants reproduce every row of its table.
"""


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
