"""How many threads torch should compute with: as many as this process has CPUs, and no more.

    what is looked at                   who sets it                     where it stands
    OMP_NUM_THREADS                     you; it wins                    the environment
    affinity, PYTHON_CPU_COUNT          taskset, a batch system, you    the operating system
    quota of CPU time                   a container's owner             control groups, on Linux

In a container torch counts the host's cores: 64 threads that share the time of 2 CPUs are many
times as slow as 2. A quota is a share of time (1.5 CPUs), and is rounded up. Groups are nested, and
the tightest counts; the file that names ours may speak of the host's tree while we see the inner
part of it alone, so that folders which are not there are passed over, up to the mount itself.
Where nothing can be read, as on macOS and Windows, there is no quota.
"""

import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

MOUNT = "sys/fs/cgroup"


def usable_cpus(root: Path = Path("/")) -> int:
    """CPUs that this process may use: affinity, and the quota of its groups rounded up; at least 1.
    `root` is where /proc and /sys are looked for."""
    allowed, quota = affinity(), cpu_quota(root)
    return allowed if quota is None else max(1, min(allowed, math.ceil(quota)))


def wished_threads(environ: Mapping[str, str] = os.environ) -> int | None:
    """What OMP_NUM_THREADS says, of nested levels the outermost; None if that is no number."""
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


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPU time that this process's control groups leave it, in CPUs; None if there is no
    limit, or no such thing on this system."""
    text = _read(root / "proc/self/cgroup")
    if text is None:
        return None
    quotas = []
    for controllers, group in groups(text):
        if not controllers:  # version 2: one tree, on hybrid systems beside those of version 1
            for mount in (MOUNT, f"{MOUNT}/unified"):
                for folder in _upwards(root / mount, group):
                    quotas.append(quota_v2(_read(folder / "cpu.max")))
        elif "cpu" in controllers:  # version 1: a tree for each controller, under several names
            for name in {",".join(controllers), "cpu", "cpu,cpuacct", "cpuacct,cpu"}:
                for folder in _upwards(root / MOUNT / name, group):
                    files = "cpu.cfs_quota_us", "cpu.cfs_period_us"
                    quotas.append(quota_v1(*(_read(folder / file) for file in files)))
    return min((quota for quota in quotas if quota is not None), default=None)


def groups(text: str) -> list[tuple[tuple[str, ...], PurePosixPath]]:
    """The lines of /proc/self/cgroup, `number:controllers:path`, as (controllers, path). Version
    2's line has no controllers. A line that is none of these is left out."""
    found = []
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3 and parts[2].startswith("/"):
            controllers = tuple(name for name in parts[1].split(",") if name)
            found.append((controllers, PurePosixPath(parts[2])))
    return found


def quota_v2(text: str | None) -> float | None:
    """cpu.max, "200000 100000": microseconds in each period, or "max" -> CPUs."""
    parts = (text or "").split()
    return _ratio(parts[0], parts[1] if len(parts) > 1 else "100000") if parts else None


def quota_v1(quota: str | None, period: str | None) -> float | None:
    """cpu.cfs_quota_us, -1 for no limit, and cpu.cfs_period_us -> CPUs."""
    return _ratio(quota or "", period or "100000")


def _ratio(quota: str, period: str) -> float | None:
    try:
        share = int(quota), int(period)
    except ValueError:  # "max", or no such file
        return None
    return share[0] / share[1] if min(share) > 0 else None


def _upwards(mount: Path, group: PurePosixPath) -> Iterator[Path]:
    """The folders of a group and of the groups around it, up to the mount. A group outside of what
    is mounted is written with "..", and is nowhere below it."""
    names = [name for name in group.parts if name not in ("/", "..")]
    for end in range(len(names), -1, -1):
        yield mount.joinpath(*names[:end])


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
