"""What a container leaves this process, read from its control groups (Linux): CPU time and memory.

    version 2: one tree                      cpu.max · memory.max, memory.current
    version 1: a tree for each controller    cpu.cfs_quota_us, cpu.cfs_period_us ·
                                             memory.limit_in_bytes, memory.usage_in_bytes

Groups are nested, and the tightest limit counts. /proc/self/cgroup, which names ours, may speak of
the host's tree while we see the inner part of it alone; so folders that are not there are passed
over, up to the mount itself. Where nothing can be read, as on macOS and Windows, there is no limit.

A group's memory is used by all of its processes, and file pages that were read are counted too.
Those on the inactive list (memory.stat) are dropped as soon as somebody needs the room, so they
count as free, as they do for Docker and Kubernetes.
Source: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

MOUNT = "sys/fs/cgroup"
UNLIMITED = 2**60  # bytes: version 1 writes "no limit" as a number of about 2^63
MEMORY_FILES = {  # version: limit, usage, the line of memory.stat
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}


class MemoryLimit(NamedTuple):
    """One group's limit in bytes, and how much of it is free now, at least 0."""

    limit: int
    free: int


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPU time that the groups leave, in CPUs (1.5); None if there is no limit. `root` is where
    /proc and /sys are looked for, here and below."""
    quotas = []
    for version, folder in folders("cpu", root):
        if version == 2:
            quotas.append(quota_v2(_read(folder / "cpu.max")))
        else:
            files = "cpu.cfs_quota_us", "cpu.cfs_period_us"
            quotas.append(quota_v1(*(_read(folder / file) for file in files)))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limits(root: Path = Path("/")) -> list[MemoryLimit]:
    """The groups around this process that limit its memory; empty if none does."""
    found = []
    for version, folder in folders("memory", root):
        limit_file, usage_file, line = MEMORY_FILES[version]
        limit = _whole(_read(folder / limit_file))
        if limit is None or limit >= UNLIMITED:
            continue
        used = _whole(_read(folder / usage_file)) or 0
        stat = dict(
            words for text in (_read(folder / "memory.stat") or "").splitlines()
            if len(words := text.split()) == 2
        )  # fmt: skip
        droppable = min(used, _whole(stat.get(line)) or 0)
        found.append(MemoryLimit(limit, max(0, limit - used + droppable)))
    return found


def folders(controller: str, root: Path = Path("/")) -> Iterator[tuple[int, Path]]:
    """(version, folder) of each group around this process in which a controller, "cpu" or "memory",
    may have a limit, from the inside out. A folder need not be there."""
    for controllers, group in groups(_read(root / "proc/self/cgroup") or ""):
        if not controllers:  # version 2: one tree, on hybrid systems beside those of version 1
            for mount in (MOUNT, f"{MOUNT}/unified"):
                yield from ((2, folder) for folder in _upwards(root / mount, group))
        elif controller in controllers:  # version 1: a tree each, under several names
            names = {",".join(controllers), ",".join(reversed(controllers)), controller}
            for name in sorted(names):
                yield from ((1, folder) for folder in _upwards(root / MOUNT / name, group))


def groups(text: str) -> list[tuple[tuple[str, ...], PurePosixPath]]:
    """The lines of /proc/self/cgroup, `number:controllers:path`, as (controllers, path). Version
    2's line has no controllers. Any other line is left out."""
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
    share, whole = _whole(quota), _whole(period)
    return share / whole if share and whole else None


def _whole(text: str | None) -> int | None:
    """A whole number of 0 or more; None for "max", -1, no file, and anything else."""
    try:
        number = int(text or "")
    except ValueError:
        return None
    return number if number >= 0 else None


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
