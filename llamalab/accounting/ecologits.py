"""EcoLogits' published method for a request to a language model, to hold our own estimate against.

Two versions of one method, both fitted to measurements of A100 GPUs; P in billions of parameters.

    2024 (methodology v1.0)   GPU:    8.91e-5 P + 1.43e-3 Wh a token       one request at a time
                              time:   8.02e-4 P + 2.23e-2 s a token
    0.11.3 (2026)             GPU:    1.1665e-6 exp(-0.011206 B) P + 4.0529e-5 Wh a token, B = 64
                              time:   6.7851e-4 P + 3.1193e-4 B + 1.9474e-2 s a token

Both: energy = PUE x (GPUs x GPU energy + time x the server's watts x GPUs / 8, among B requests),
as many GPUs of 80 GB as hold 1.2 x the weights (0.11.3 rounds up to a power of two). The server
without GPUs draws 1,000 W in 2024 and 1,200 W in 0.11.3. Making the hardware is theirs too, and not
here. Source: genai-impact/ecologits, docs/methodology/llm_inference.md at commit 004ec91, and
ecologits/impacts/llm.py of release 0.11.3.
"""

import math
from dataclasses import dataclass

GPU_MEMORY_GB, GPUS_IN_A_SERVER, OVERHEAD = 80, 8, 1.2


@dataclass(frozen=True)
class Version:
    """The constants of one version. gpu: (for each billion, fixed) Wh a token, and how the first
    falls with the batch; time: (for each billion, for each request, fixed) seconds a token."""

    name: str
    gpu: tuple[float, float, float]
    time: tuple[float, float, float]
    server_watts: float
    batch: int
    powers_of_two: bool


V2024 = Version("2024", (8.91e-5, 0.0, 1.43e-3), (8.02e-4, 0.0, 2.23e-2), 1000, 1, False)
V2026 = Version(
    "0.11.3",
    (1.1665273170451914e-06, -0.011205921025579175, 4.052928146734005e-05),
    (0.0006785088094353663, 0.0003119310311688259, 0.019473717579473387),
    1200, 64, True,
)  # fmt: skip


def gpus(billions: float, bits: int, version: Version) -> int:
    """How many GPUs hold the weights, with a fifth more for the rest."""
    need = math.ceil(OVERHEAD * billions * bits / 8 / GPU_MEMORY_GB)
    return 2 ** math.ceil(math.log2(need)) if version.powers_of_two else need


def wh_per_1000_tokens(
    billions: float, *, pue: float, bits: int = 16, version: Version = V2026
) -> float:
    """Watt-hours for 1,000 tokens written, a dense model. ValueError for a size or bits that are
    not above 0, or a PUE below 1."""
    if billions <= 0 or bits <= 0 or pue < 1:
        raise ValueError(f"billions={billions} and bits={bits} must be above 0, pue={pue} from 1")
    slope, decay, fixed = version.gpu
    gpu = slope * math.exp(decay * version.batch) * billions + fixed
    per_billion, per_request, start = version.time
    seconds = per_billion * billions + per_request * version.batch + start
    needed = gpus(billions, bits, version)
    server = seconds / 3600 * version.server_watts * needed / GPUS_IN_A_SERVER / version.batch
    return 1000 * pue * (needed * gpu + server)
