"""What a model weighs and what computing costs: parameters, bytes, seconds, energy, carbon."""

from llamalab.accounting.adapters import lora_parameters, lora_plan
from llamalab.accounting.compute import count_parameters, training_flops
from llamalab.accounting.energy import carbon_tco2e, energy_kwh
from llamalab.accounting.memory import MemoryPlan, kv_cache_bytes, memory_plan
from llamalab.accounting.meter import Meter

__all__ = ["MemoryPlan", "Meter", "carbon_tco2e", "count_parameters", "energy_kwh",
           "kv_cache_bytes", "lora_parameters", "lora_plan", "memory_plan",
           "training_flops"]  # fmt: skip
