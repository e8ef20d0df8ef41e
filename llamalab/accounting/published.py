"""What Meta printed about the training of Llama 1 and Llama 2, and how it comes about.

    kWh = GPU-hours x watts x 1.1 / 1000          tCO2e = kWh x 0.385 / 1000

Llama 1 prints both constants (PUE, and the United States' average); Llama 2's paper prints neither,
and yet they give every row of its table 2. The rows are truncated to two decimals, not rounded, and
so they add up to 538.98; the printed total of 539.00 is that of the numbers before.

The watts are a rating. Not counted: the network between the GPUs, the rest of the servers, cooling,
making the hardware, and every run that was not the last.

Sources: arXiv 2307.09288v2, table 2; arXiv 2302.13971, table 15 and section 6.
"""

from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal

PUE, US_KG_PER_KWH = 1.1, 0.385
TOKENS = 2_000_000_000_000  # that each size of Llama 2 was trained on


@dataclass(frozen=True)
class Row:
    """One model as printed. mwh is printed by Llama 1 alone; Llama 1's tonnes are whole."""

    name: str
    gpu_hours: int
    watts: int
    tco2e: float
    mwh: int | None = None


LLAMA_2 = (
    Row("llama-2-7b", 184_320, 400, 31.22),
    Row("llama-2-13b", 368_640, 400, 62.44),
    Row("llama-2-34b", 1_038_336, 350, 153.90),
    Row("llama-2-70b", 1_720_320, 400, 291.42),
)
LLAMA_2_TOTAL = Row("total", 3_311_616, 0, 539.00)
MODEL_CARD = tuple(row for row in LLAMA_2 if row.name != "llama-2-34b")  # the copy that lost a row

LLAMA_1 = (
    Row("llama-1-7b", 82_432, 400, 14, 36),
    Row("llama-1-13b", 135_168, 400, 23, 59),
    Row("llama-1-33b", 530_432, 400, 90, 233),
    Row("llama-1-65b", 1_022_362, 400, 173, 449),
)


def exact_mwh(row: Row) -> Decimal:
    """Megawatt-hours without a rounding error: decimals, as a person would write it down."""
    return Decimal(row.gpu_hours) * row.watts * Decimal(str(PUE)) / 10**6


def exact_tco2e(row: Row) -> Decimal:
    """Tonnes of CO2 equivalent, likewise."""
    return exact_mwh(row) * Decimal(str(US_KG_PER_KWH))


def truncated(value: Decimal, digits: int) -> Decimal:
    """Cut off after `digits` decimals. In decimals: as a float, 100 x 0.29 is 28.999…"""
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_DOWN)


def rounded(value: Decimal, digits: int) -> Decimal:
    """To the nearest, halves upward, as people round."""
    return value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)


def missing_row(listed: tuple[Row, ...], total: Row) -> tuple[int, float, float]:
    """What a table lacks: GPU-hours, tonnes, and the watts that follow from the two. ValueError if
    the rows listed are as much as the total, or more."""
    hours = total.gpu_hours - sum(row.gpu_hours for row in listed)
    tonnes = float(Decimal(str(total.tco2e)) - sum(Decimal(str(row.tco2e)) for row in listed))
    if hours <= 0:
        raise ValueError(f"the rows add up to {total.gpu_hours - hours} GPU-hours and the total "
                         f"is {total.gpu_hours}: nothing is missing")  # fmt: skip
    return hours, tonnes, 1e6 * tonnes / (hours * PUE * US_KG_PER_KWH)
