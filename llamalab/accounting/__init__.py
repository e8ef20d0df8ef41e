"""What a model weighs and what computing costs: parameters, seconds, energy, carbon."""

from llamalab.accounting.compute import count_parameters
from llamalab.accounting.energy import carbon_tco2e, energy_kwh
from llamalab.accounting.meter import Meter

__all__ = ["Meter", "carbon_tco2e", "count_parameters", "energy_kwh"]
