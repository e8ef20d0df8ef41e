"""Counters of energy, where the machine has one: what was drawn, not what might have been.

    RAPL   Linux, Intel and AMD: /sys/class/powercap/intel-rapl:N/energy_uj, microjoules of a whole
           processor. It overflows at max_energy_range_uj and starts from 0. Since 2020 only root
           may read it, as it gives secrets away (CVE-2020-8694); in a container or a virtual
           machine it is not there.
    NVML   NVIDIA GPUs, by the package pynvml if it is installed: millijoules of a whole device
           since its driver was loaded.

Both count the whole device: what other programs did meanwhile is included.
"""

import contextlib
import importlib
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
JOULES_PER_WH = 3600
EVERY = 60.0  # seconds between two readings of a counter that overflows


class Counter:
    """A running counter in joules. name: of what. wraps: the joules at which it starts again from
    0, if it does."""

    def __init__(self, name: str, read: Callable[[], float], wraps: float | None = None):
        self.name, self._read, self.wraps = name, read, wraps
        self._last, self._joules, self._one_at_a_time = read(), 0.0, threading.Lock()

    def joules(self) -> float:
        """Since it was made. It has to be read at least once before it overflows (`keep_asking`): a
        counter of 262,144 J on a 100 W processor does so after 44 minutes."""
        with self._one_at_a_time:
            now = self._read()
            step = now - self._last
            if step < 0:
                step = step + self.wraps if self.wraps else 0.0
            self._last, self._joules = now, self._joules + step
            return self._joules


def keep_asking(found: Sequence[Counter], every: float = EVERY) -> None:
    """Read those that overflow now and then, in a thread that ends when nothing refers to them."""
    held = [weakref.ref(counter) for counter in found if counter.wraps]
    if held:
        threading.Thread(target=_ask, args=(held, every), daemon=True).start()


def _ask(held: list, every: float) -> None:
    while any(counter() is not None for counter in held):
        time.sleep(every)
        for reference in held:
            _look(reference)  # by itself: nothing here may hold a counter while it sleeps


def _look(reference: weakref.ref) -> None:
    counter = reference()
    if counter is not None:
        with contextlib.suppress(OSError, ValueError):  # not readable just now
            counter.joules()


def counters(powercap: Path = POWERCAP) -> list[Counter]:
    """Every counter that this machine lets us read; an empty list on most laptops."""
    return [*rapl(powercap), *nvml()]


def rapl(powercap: Path = POWERCAP) -> list[Counter]:
    """The processors' own. Only whole packages, `intel-rapl:0`: `intel-rapl:0:0` is a part of one,
    and would be counted twice."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        if folder.name.count(":") != 1:
            continue
        try:
            file = folder / "energy_uj"
            wraps = _joules(folder / "max_energy_range_uj")
            name = (folder / "name").read_text(encoding="ascii").strip()
            found.append(Counter(f"RAPL {name}", partial(_joules, file), wraps))
        except (OSError, ValueError):  # only root may read it, or it is not a number
            continue
    return found


def nvml() -> list[Counter]:
    """NVIDIA's GPUs; none without a driver, without the package, or before Volta."""
    try:
        library = importlib.import_module("pynvml")
        library.nvmlInit()
        devices = [library.nvmlDeviceGetHandleByIndex(i)
                   for i in range(library.nvmlDeviceGetCount())]  # fmt: skip
    except Exception:  # ImportError, or one of the library's own
        return []
    found = []
    for number, device in enumerate(devices):

        def read(device=device) -> float:
            return library.nvmlDeviceGetTotalEnergyConsumption(device) / 1000

        try:
            found.append(Counter(f"NVML GPU {number}", read))
        except Exception:  # an older card has no such counter
            continue
    return found


def _joules(file: Path) -> float:
    return _number(file) * 1e-6


def _number(file: Path) -> int:
    return int(file.read_text(encoding="ascii"))
