"""Accelerators, with the figures that energy and speed are worked out from, and where each is from.

A small table on purpose: what is not sourced is not in it. Put your own in with `Accelerator(…)`.
The power is a rating (TDP, thermal design power): what a device may draw for long, not what it
draws. Peaks are dense; data sheets like to print twice as much, "with sparsity".
"""

from dataclasses import dataclass

PAPER = "Llama 2 paper, arXiv 2307.09288v2, table 2 (19 July 2023)"
LLAMA2_C = "karpathy/llama2.c, model.py, commit 350e04f"
GARDEN = "glennklockwood.com/garden/processors (read November 2026), after NVIDIA's data sheets"


@dataclass(frozen=True)
class Accelerator:
    """watts: the rating. peak_tflops: 10^12 FLOP/s, bfloat16, dense. memory_gb: 10^9 bytes.
    bandwidth_gb_s: of its memory, 10^9 bytes a second. source: of all four. ValueError for a
    number that is not above 0, or no source."""

    name: str
    watts: float
    peak_tflops: float
    memory_gb: float
    bandwidth_gb_s: float
    source: str

    def __post_init__(self) -> None:
        for field in ("watts", "peak_tflops", "memory_gb", "bandwidth_gb_s"):
            if not getattr(self, field) > 0:
                raise ValueError(f"{self.name}: {field}={getattr(self, field)} must be above 0")
        if not self.source.strip():
            raise ValueError(f"{self.name}: a figure without a source is a rumour")


ACCELERATORS = {
    a.name: a
    for a in (
        Accelerator(
            "A100-80GB", watts=400, peak_tflops=312, memory_gb=80, bandwidth_gb_s=2039,
            source=f"watts: {PAPER}; peak: {LLAMA2_C}; memory and bandwidth: {GARDEN}/A100",
        ),
        Accelerator(
            "H100-SXM", watts=700, peak_tflops=989, memory_gb=80, bandwidth_gb_s=3350,
            source=f"{GARDEN}/h100",
        ),
    )
}  # fmt: skip


def accelerator(name: str) -> Accelerator:
    """One of the table. KeyError with the known names for another."""
    if name not in ACCELERATORS:
        raise KeyError(f"no accelerator called {name!r}; there are {', '.join(ACCELERATORS)}")
    return ACCELERATORS[name]
