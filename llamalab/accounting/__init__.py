"""What a model weighs and what computing costs: parameters, bytes, seconds, energy, carbon."""

from llamalab.accounting.adapters import lora_parameters, lora_plan
from llamalab.accounting.compute import (
    count_parameters,
    gpu_hours,
    inference_flops,
    mfu,
    training_flops,
)
from llamalab.accounting.energy import Footprint, carbon_tco2e, energy_kwh, footprint
from llamalab.accounting.hardware import ACCELERATORS, Accelerator, accelerator
from llamalab.accounting.memory import MemoryPlan, kv_cache_bytes, memory_plan
from llamalab.accounting.meter import Cost, Meter
from llamalab.accounting.places import PLACES, grid
from llamalab.accounting.ranges import Range
from llamalab.accounting.serving import Serving, break_even_tokens, serving

__all__ = ["ACCELERATORS", "Accelerator", "Cost", "Footprint", "MemoryPlan", "Meter", "PLACES",
           "Range", "Serving", "accelerator", "break_even_tokens", "carbon_tco2e",
           "count_parameters", "energy_kwh", "footprint", "gpu_hours", "grid", "inference_flops",
           "kv_cache_bytes", "lora_parameters", "lora_plan", "memory_plan", "mfu", "serving",
           "training_flops"]  # fmt: skip
