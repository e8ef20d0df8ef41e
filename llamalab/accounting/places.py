"""How much CO2e a kilowatt-hour brings, by place: a small table, each line dated and sourced.

There is no default. If you did not name a place, somebody else would have chosen it for you, and it
changes the result more than anything else here.

Two ways of counting stand side by side. "operational": what the power stations emit while running.
"life cycle": their building, fuel supply and end as well, so that nuclear, wind and sun are not 0.
All are averages of a year: at night, in a calm, in winter it was another number.

`grid(place)` is a range over everything listed for a place: the lowest, the newest operational one
(the newest of all where none is), the highest.
"""

from dataclasses import dataclass

from llamalab.accounting.ranges import Range

GOOGLE = "github.com/GoogleCloudPlatform/region-carbon-info, data/yearly/{}.csv"
EMBER = (
    "ourworldindata.org/grapher/carbon-intensity-electricity (Ember, 2023), as in CodeCarbon 3.3.2"
)
CEA = "Central Electricity Authority, CO2 baseline database V{}, with renewables; reported by {}"

KG_PER_LB = 0.45359237  # American tables are in pounds for a MWh


@dataclass(frozen=True)
class Reading:
    """One line of somebody's table. kg_per_kwh: kg CO2e for a kWh. kind: "operational" or "life
    cycle". area: what exactly was counted."""

    place: str
    area: str
    year: int
    kg_per_kwh: float
    kind: str
    source: str


def _google(place: str, area: str, by_year: dict[int, float]) -> list[Reading]:
    return [
        Reading(place, area, year, g / 1000, "operational", GOOGLE.format(year))
        for year, g in by_year.items()
    ]


READINGS = (
    *_google("France", "europe-west9, Paris", {2023: 34, 2024: 16.30, 2025: 15.83}),
    Reading("France", "the country", 2023, 0.056, "life cycle", EMBER),
    *_google("India", "asia-south1, Mumbai", {2023: 648, 2024: 678.76, 2025: 598.45}),
    *_google("India", "asia-south2, Delhi", {2023: 529, 2024: 531.83, 2025: 472.55}),
    Reading("India", "the country, 2023-24", 2024, 0.727, "operational",
            CEA.format("20", "saurenergy.com, 6 January 2025")),
    Reading("India", "the country, 2024-25", 2025, 0.7117, "operational",
            CEA.format("21", "batchwise.ai, read November 2026")),
    Reading("India", "the country", 2023, 0.713, "life cycle", EMBER),
    *_google("Iowa", "us-central1, Council Bluffs", {2023: 430, 2024: 412.72, 2025: 431.95}),
    Reading("Iowa", "the state's own power stations", 2023, 634.156 * KG_PER_LB / 1000,
            "operational", "EPA eGRID2023, STC2ERTA: 634.156 lb/MWh, as in CodeCarbon 3.3.2"),
    *_google("Germany", "europe-west3, Frankfurt", {2023: 345, 2024: 275.82, 2025: 275.81}),
    Reading("Germany", "the country", 2023, 0.381, "life cycle", EMBER),
    *_google("Québec", "northamerica-northeast1, Montréal", {2023: 2, 2024: 5.48, 2025: 11.36}),
    *_google("Oregon", "us-west1", {2023: 94, 2024: 79.23, 2025: 97.85}),
    Reading("United States", "the average that Llama 1 used", 2023, 0.385, "operational",
            "Llama 1 paper, arXiv 2302.13971, section 6"),
    Reading("United States", "the country", 2023, 0.369, "life cycle", EMBER),
    Reading("world", "what CodeCarbon falls back to", 2019, 0.475, "operational",
            "CodeCarbon 3.3.2, carbon_intensity_per_source.json, after the IEA's report of 2019"),
    Reading("world", "the world", 2023, 0.481, "life cycle",
            "Ember, July 2024, by statista.com/statistics/943137"),
)  # fmt: skip
PLACES = tuple(dict.fromkeys(reading.place for reading in READINGS))


def readings(place: str) -> tuple[Reading, ...]:
    """The lines of the table for a place. KeyError with the known places for another."""
    found = tuple(r for r in READINGS if r.place == place)
    if not found:
        raise KeyError(f"nothing is listed for {place!r}; there are {', '.join(PLACES)}. "
                       "Or give the kg of CO2e for a kWh yourself")  # fmt: skip
    return found


def newest(place: str) -> Reading:
    """The line that stands for a place: the newest operational one; for a country, the country's
    own before one of its cities. KeyError as for readings."""
    found = readings(place)
    known = [r for r in found if r.kind == "operational"] or list(found)
    return max(known, key=lambda r: (r.year, r.area.startswith("the ")))


def grid(place: str) -> Range:
    """kg CO2e for a kWh: the lowest listed, the newest operational, the highest. KeyError for a
    place that is not in the table."""
    every = [r.kg_per_kwh for r in readings(place)]
    return Range(min(every), newest(place).kg_per_kwh, max(every))
