"""How many threads torch should compute with: as many as this process has CPUs, and no more.

    what is looked at                   who sets it                     where it stands
    OMP_NUM_THREADS                     you; it wins                    the environment
    affinity, PYTHON_CPU_COUNT          taskset, a batch system, you    the operating system
    quota of CPU time                   a container's owner             control groups, on Linux

In a container torch counts the host's cores: 64 threads that share the time of 2 CPUs are many
times as slow as 2. A quota is a share of time (1.5 CPUs, see `cgroups`), and is rounded up.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path

from .cgroups import cpu_quota


def usable_cpus(root: Path = Path("/")) -> int:
    """CPUs that this process may use: affinity, and the quota of its groups rounded up; at least 1.
    `root` is where /proc and /sys are looked for."""
    allowed, quota = affinity(), cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def wished_threads(environ: Mapping[str, str] = os.environ) -> int | None:
    """What OMP_NUM_THREADS says, of nested levels the outermost; None if that is not a number."""
    first = environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdecimal() and int(first) > 0 else None


def usable_threads(environ: Mapping[str, str] = os.environ, root: Path = Path("/")) -> int:
    """The number of threads to compute with: the wish if there is one, else `usable_cpus`."""
    return wished_threads(environ) or usable_cpus(root)


def fit_threads() -> int:
    """Lower torch's number of threads to `usable_threads`; the number now. It is never raised:
    torch knows of cores that are two CPUs each, and somebody may have asked for fewer."""
    import torch

    if usable_threads() < torch.get_num_threads():
        torch.set_num_threads(usable_threads())
    return torch.get_num_threads()


def numbers_to_try() -> tuple[int, ...]:
    """Numbers of threads that are worth a try: all, and one; none if there is no choice, or if
    OMP_NUM_THREADS has made it."""
    most = fit_threads()
    return () if most == 1 or wished_threads() else (most, 1)


def affinity() -> int:
    """CPUs that the operating system lets this process run on; all where it cannot say."""
    if hasattr(os, "process_cpu_count"):  # Python 3.13, which also knows PYTHON_CPU_COUNT
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1
