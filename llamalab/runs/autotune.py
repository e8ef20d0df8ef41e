"""The fastest way to train here, found by trying: how many threads, float32 or bfloat16, and whose
matrix products.

Whether bfloat16 is three times as fast or twenty times as slow depends on the CPU's matrix units,
on torch's libraries and on the model's shape; whether two threads are faster than one, on what else
runs here now. A table of machines would be wrong tomorrow. So first the threads are tried, plainly,
and then each setting takes the forward and backward pass of a step or two, in turns, since a busy
machine slows all. A setting that raises, or whose loss or gradients are not the plain one's, is not
among them.
Left out on purpose: float16, whose gradients need a scaler.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from llamalab.runtime.cpu_kernels import has_onednn, matmul
from llamalab.training.fused import in_fewer_passes
from llamalab.training.loop import precision
from llamalab.training.losses import next_token_loss, shift

HOPELESS = 4.0  # times as slow as plain float32 on one row: not tried on a batch
CLEAR = 1.5  # times as slow as with another number of threads: not tried again
AGREES = 0.01  # share by which a setting's loss may differ from plain float32's
ROUNDING = {"float32": 1e-3, "bfloat16": 0.1}  # share by which a weight's gradient may


@dataclass(frozen=True)
class Setting:
    """Three fields of TrainConfig: `dataclasses.replace(config, **asdict(setting))` takes it."""

    dtype: str = "float32"
    matmul: str = "torch"
    compile: bool = False

    def __str__(self) -> str:
        other = f", {self.matmul}" * (self.matmul != "torch")
        return f"{self.dtype}{other}{', compiled' * self.compile}"


PLAIN = Setting()


@dataclass(frozen=True)
class Fastest:
    """The fastest setting, the seconds that each took (the best of its turns), and the same for
    plain float32 with each number of threads that was tried."""

    setting: Setting
    seconds: dict[Setting, float]
    by_threads: dict[int, float] = field(default_factory=dict)

    @property
    def threads(self) -> int | None:
        """The number of threads that was fastest; None if there was nothing to choose."""
        return min(self.by_threads, key=self.by_threads.__getitem__, default=None)

    def gain(self, setting: Setting) -> float:
        """How many times as fast as torch's plain float32."""
        return self.seconds[PLAIN] / self.seconds[setting]

    def __str__(self) -> str:
        """A line for each number of threads, and for each setting, the fastest first."""
        lines = [
            f"{f'{count} thread' + 's' * (count > 1):22} {1e3 * seconds:8.1f} ms"
            for count, seconds in sorted(self.by_threads.items(), key=lambda item: item[1])
        ]
        for way, seconds in sorted(self.seconds.items(), key=lambda item: item[1]):
            times = f"{self.gain(way):5.2f} times float32"
            lines.append(f"{str(way):22} {1e3 * seconds:8.1f} ms  {times}")
        return "\n".join(lines)


def settings(device: torch.device, *, exact: bool = False, compile: bool = False) -> list[Setting]:
    """What can be tried on this device. exact: float32 alone, whose settings differ by rounding."""
    own = ["blocks", "fused"] + ["onednn", "fused-onednn"] * has_onednn()
    own = own if device.type == "cpu" else []
    found = [Setting("float32", name) for name in ("torch", *own)]
    if not exact:  # oneDNN's bfloat16 products are torch's own already, and halves are not fused
        found += [Setting("bfloat16", name) for name in ("torch", *own[:1])]
    compiled = [Setting(way.dtype, compile=True) for way in found if way.matmul == "torch"]
    return found + compiled * compile


def fastest(
    model: nn.Module,
    tokens: torch.Tensor,
    *,
    turns: int = 2,
    threads: Sequence[int] = (),
) -> Fastest:
    """Try every setting but torch.compile on this model and batch, tokens (B, T + 1): about three
    steps for each. The weights, their gradients, the model's mode, torch's random numbers and its
    number of threads stay as they were.

    The shape should be the run's, since it decides. turns: how often each setting is timed; the
    best counts. threads: numbers to try first, see `runtime.threads.numbers_to_try`. With several
    processes let one choose for all. RuntimeError or TypeError if the model itself cannot take a
    step.
    """
    trial = _Trial(model, tokens)
    with _leaving_no_trace(model, trial.device):
        by_threads = _by_threads(trial, threads, turns)
        if by_threads:
            torch.set_num_threads(min(by_threads, key=by_threads.__getitem__))
        left = [PLAIN]
        plain = trial.row(PLAIN)
        left += [way for way in settings(trial.device)[1:] if trial.promises(way, plain)]
        tried = [{way: trial.step(way)[:2] for way in left} for _ in range(turns)]
    expected = tried[0][PLAIN][1]
    allowed = AGREES * abs(expected)
    right = [w for w in left if w == PLAIN or abs(tried[0][w][1] - expected) <= allowed]
    seconds = {way: min(turn[way][0] for turn in tried) for way in right}
    return Fastest(min(seconds, key=seconds.__getitem__), seconds, by_threads)


class _Trial:
    """A model, a batch, and steps of forward and backward with them."""

    def __init__(self, model: nn.Module, tokens: torch.Tensor):
        self.model, self.device = model, next(model.parameters()).device
        self.weights = [weight for weight in model.parameters() if weight.requires_grad]
        self.inputs, self.targets = (ids.to(self.device) for ids in shift(tokens))

    def step(self, way: Setting, rows: int | None = None):
        """Seconds, loss and gradients; inf, nan and none if it cannot be done."""
        torch.manual_seed(0)  # a learner's dropout is then the same in each
        start = time.perf_counter()
        try:
            forward = in_fewer_passes(self.model, way.matmul)
            with precision(self.device, way.dtype), matmul(way.matmul):
                loss = next_token_loss(forward(self.inputs[:rows]), self.targets[:rows])
                gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
        except (AttributeError, RuntimeError, TypeError):
            if way == PLAIN:
                raise
            return float("inf"), float("nan"), []
        _wait(self.device)
        return time.perf_counter() - start, loss.item(), gradients

    def row(self, way: Setting):
        """The same on one row, twice, since the first one fetches memory: the faster."""
        (first, *_), (second, loss, gradients) = self.step(way, 1), self.step(way, 1)
        return min(first, second), loss, gradients

    def promises(self, way: Setting, plain) -> bool:
        """Whether one row is not hopelessly slow, and has the gradients of the plain one."""
        seconds, _, gradients = self.row(way)
        return seconds <= HOPELESS * plain[0] and _same(gradients, plain[2], ROUNDING[way.dtype])


def _same(gradients: Iterable, expected: Sequence, share: float) -> bool:
    """Whether no weight's gradient is further away than `share` of its length, or of a thousandth
    of the longest's, below which a gradient is made of roundings."""
    pairs = [(a, b) for a, b in zip(gradients, expected) if a is not None and b is not None]
    if len(pairs) < sum(b is not None for b in expected):
        return False
    least = 1e-3 * max((b.norm().item() for _, b in pairs), default=0.0)
    return all((a - b).norm().item() <= share * max(b.norm().item(), least) for a, b in pairs)


def _by_threads(trial: _Trial, counts: Sequence[int], turns: int) -> dict[int, float]:
    """Seconds of a plain step with each number of threads, the best of its turns; the turns end
    early where it is clear."""
    best = dict.fromkeys(counts, float("inf"))
    for count in counts:  # wakes the threads
        torch.set_num_threads(count)
        trial.step(PLAIN, 1)
    for _ in range(turns):
        for count in counts:
            torch.set_num_threads(count)
            best[count] = min(best[count], trial.step(PLAIN)[0])
        if max(best.values(), default=0) > CLEAR * min(best.values(), default=0):
            break
    return best


@contextmanager
def _leaving_no_trace(model: nn.Module, device: torch.device) -> Iterator[None]:
    was_training, threads = model.training, torch.get_num_threads()
    gpus = [torch.cuda.current_device()] if device.type == "cuda" else []
    model.train()
    try:
        with torch.random.fork_rng(devices=gpus):
            yield
    finally:
        model.train(was_training)
        torch.set_num_threads(threads)


def _wait(device: torch.device) -> None:
    """A GPU answers before it is done."""
    if device.type in ("cuda", "mps"):
        getattr(torch, device.type).synchronize()
