"""The fastest way to train here, found by trying: float32 or bfloat16, and whose products.

Whether bfloat16 is three times as fast or twenty times as slow depends on the CPU's matrix units,
on torch's libraries and on the model's shape; a table of machines would be wrong tomorrow. So each
way takes the forward and backward pass of a step or two, in turns, since a busy machine slows all.
A way that raises, or whose loss is not the plain one's, is not among them.
Left out on purpose: float16, whose gradients need a scaler.
"""

import time
from dataclasses import dataclass

import torch
from torch import nn

from llamalab.runtime.cpu_kernels import has_onednn, matmul
from llamalab.training.loop import precision
from llamalab.training.losses import next_token_loss, shift

HOPELESS = 4.0  # times as slow as plain float32 on one row: not tried on a batch
AGREES = 0.01  # share by which a way's loss may differ from plain float32's


@dataclass(frozen=True)
class Way:
    """Three fields of TrainConfig: `dataclasses.replace(config, **asdict(way))` takes this way."""

    dtype: str = "float32"
    matmul: str = "torch"
    compile: bool = False

    def __str__(self) -> str:
        other = f", {self.matmul}" * (self.matmul != "torch")
        return f"{self.dtype}{other}{', compiled' * self.compile}"


PLAIN = Way()


@dataclass(frozen=True)
class Fastest:
    """The fastest way, and the seconds that each took: the best of its turns."""

    way: Way
    seconds: dict[Way, float]

    def gain(self, way: Way) -> float:
        """How many times as fast as torch's plain float32."""
        return self.seconds[PLAIN] / self.seconds[way]

    def __str__(self) -> str:
        """A line for each way, the fastest first."""
        return "\n".join(
            f"{str(way):22} {1e3 * self.seconds[way]:8.1f} ms  {self.gain(way):5.2f} times float32"
            for way in sorted(self.seconds, key=self.seconds.get)
        )


def ways(device: torch.device, *, exact: bool = False, compile: bool = False) -> list[Way]:
    """What can be tried on this device. exact: float32 alone, whose ways differ by rounding."""
    own = ["blocks", "fused"] + ["onednn", "fused-onednn"] * has_onednn()
    own = own if device.type == "cpu" else []
    found = [Way("float32", name) for name in ("torch", *own)]
    if not exact:  # oneDNN's bfloat16 products are torch's own already
        found += [Way("bfloat16", name) for name in ("torch", *own[:1])]
    compiled = [Way(way.dtype, compile=True) for way in found if way.matmul == "torch"]
    return found + compiled * compile


def fastest(
    model: nn.Module,
    tokens: torch.Tensor,
    *,
    exact: bool = False,
    compile: bool = False,
    turns: int = 2,
) -> Fastest:
    """Try every way on this model and batch, tokens (B, T + 1): about three steps for each. The
    weights, their gradients, the model's mode and torch's random numbers stay as they were.

    The shape should be the run's, since it decides. compile: also with torch.compile, half a minute
    or more for each dtype. With several processes let one choose for all.
    """
    device, was_training = next(model.parameters()).device, model.training
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    inputs, targets = (ids.to(device) for ids in shift(tokens))
    forwards = {False: model, True: torch.compile(model) if compile else None}

    def attempt(way: Way, rows: int) -> tuple[float, float]:
        """Seconds and loss; inf and nan if it cannot be done."""
        start = time.perf_counter()
        try:
            with precision(device, way.dtype), matmul(way.matmul):
                logits = forwards[way.compile](inputs[:rows])
                loss = next_token_loss(logits, targets[:rows])
                torch.autograd.grad(loss, weights, allow_unused=True)
        except (RuntimeError, TypeError):
            if way == PLAIN:
                raise
            return float("inf"), float("nan")
        _wait(device)
        return time.perf_counter() - start, loss.item()

    gpus = [torch.cuda.current_device()] if device.type == "cuda" else []
    model.train()
    try:
        with torch.random.fork_rng(devices=gpus):
            left = ways(device, exact=exact, compile=compile)
            on_a_row = {
                way: min(attempt(way, 1)[0] for _ in range(2)) for way in left if not way.compile
            }
            limit = HOPELESS * on_a_row[PLAIN]
            left = [way for way in left if way.compile or on_a_row[way] <= limit]
            tried = [{way: attempt(way, len(inputs)) for way in left} for _ in range(turns)]
    finally:
        model.train(was_training)
    expected = tried[0][PLAIN][1]
    allowed = AGREES * abs(expected)
    right = [w for w in left if w == PLAIN or abs(tried[0][w][1] - expected) <= allowed]
    seconds = {way: min(turn[way][0] for turn in tried) for way in right}
    return Fastest(min(seconds, key=seconds.get), seconds)


def _wait(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
