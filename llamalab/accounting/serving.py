"""What writing costs: watt-hours for 1,000 tokens, by the roofline of named hardware.

A step writes one token for each of `batch` rows. It reads every weight once, whatever the batch,
and each row's own keys and values; and it computes 2 FLOPs a parameter and row. Whichever takes
longer sets the pace:

    seconds = max(bytes / bandwidth, FLOPs / peak) / (share of that roofline which is reached)
    Wh for 1,000 tokens = devices x watts x share drawn x PUE x seconds / batch x 1000 / 3600

At batch 1 every token pays for reading the whole model, in a large batch for hardly any of it: the
batch is the largest lever. Reading the prompt, the host, the network and idle hours are not in it.
It is an estimate: the two shares are assumptions, and have no default.
"""

from dataclasses import dataclass

from llamalab.accounting.compute import count_parameters, inference_flops
from llamalab.accounting.energy import Number
from llamalab.accounting.hardware import Accelerator
from llamalab.accounting.memory import kv_cache_bytes
from llamalab.accounting.ranges import Range
from llamalab.config import LlamaConfig


@dataclass(frozen=True)
class Serving:
    """An estimate for one setting. bound: what sets the pace, "memory" or "compute". seconds: of
    one step, in which every row gets a token."""

    bound: str
    seconds: Range
    tokens_per_second: Range
    wh_per_1000_tokens: Range
    assumed: str

    def __repr__(self) -> str:
        return (
            f"assumed    {self.assumed}\n"
            f"estimated  {self.wh_per_1000_tokens} Wh for 1,000 tokens, "
            f"{self.tokens_per_second} tokens/s in all, bound by {self.bound}"
        )


def serving(
    config: LlamaConfig,
    accelerator: Accelerator,
    *,
    devices: int,
    batch: int,
    context: int,
    of_roofline: Number,
    drawn: Number,
    pue: Number,
    bytes_per_parameter: float = 2,
) -> Serving:
    """Writing on `devices` accelerators, `batch` rows at once, each after `context` tokens.
    of_roofline: the share of the ideal speed that is reached; drawn: the share of the rated watts
    that is drawn; both above 0 and at most 1, numbers or (low, central, high). ValueError for
    those, for a PUE below 1, for counts below 1, and for a model that the memory does not hold."""
    reached, share, overhead = Range.of(of_roofline), Range.of(drawn), Range.of(pue)
    for name, value in (("of_roofline", reached), ("drawn", share)):
        if not (0 < value.low and value.high <= 1):
            raise ValueError(f"{name}={value} must be above 0 and at most 1")
    if overhead.low < 1:
        raise ValueError(f"pue={overhead.low} is below 1")
    if devices < 1 or batch < 1:
        raise ValueError(f"devices={devices} and batch={batch} must be at least 1")
    weights = bytes_per_parameter * count_parameters(config)["total"]
    size = weights + kv_cache_bytes(config, context, batch)
    if size > devices * accelerator.memory_gb * 1e9:
        raise ValueError(
            f"{size / 1e9:.1f} GB of weights and cache do not fit into {devices} x "
            f"{accelerator.memory_gb:g} GB of {accelerator.name}"
        )
    reading = size / (devices * accelerator.bandwidth_gb_s * 1e9)
    computing = batch * inference_flops(config, 1, context) / (
        devices * accelerator.peak_tflops * 1e12
    )  # fmt: skip
    seconds = Range.of(max(reading, computing)) / reached
    watts = devices * accelerator.watts * share * overhead
    joules = watts * seconds * (1 / batch)
    said = (
        f"{devices} x {accelerator.name}, {batch} at once, {context:,} tokens behind each, "
        f"{bytes_per_parameter:g} bytes a parameter; {reached} of the roofline, {share} of "
        f"{accelerator.watts:g} W, PUE {overhead}"
    )
    return Serving(
        "memory" if reading >= computing else "compute",
        seconds, Range.of(batch) / seconds, joules * (1000 / 3600), said,
    )  # fmt: skip


def break_even_tokens(training_kwh: Number, wh_per_1000_tokens: Number) -> Range:
    """How many tokens must be written until writing has taken as much energy as training did.
    ZeroDivisionError for writing that costs nothing."""
    return Range.of(training_kwh) * 1e6 / Range.of(wh_per_1000_tokens)
