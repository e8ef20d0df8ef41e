"""Cores, memory and disk: what this machine leaves us."""

import os
import shutil
import tempfile
from pathlib import Path

from llamalab.course.doctor.report import Finding, install
from llamalab.runtime import paths

GIB = 2**30
ENOUGH_DISK = GIB // 2  # a checkpoint of the course's size has 5 MB; a run keeps a few of 15


def cores() -> Finding:
    """CPUs: how many of how many, why, and what OMP_NUM_THREADS makes of them."""
    from llamalab.runtime.threads import affinity, cpu_quota, usable_cpus, wished_threads

    there, allowed, quota, ours = os.cpu_count() or 1, affinity(), cpu_quota(), usable_cpus()
    value = str(ours) if ours == there else f"{ours} of {there}"
    if quota is not None and quota < allowed:
        value += f", since this container may use {quota:g}"
    if wish := wished_threads():
        value += f"; OMP_NUM_THREADS asks for {wish} thread{'s' * (wish > 1)}"
        if wish > ours:
            way_out = "More threads than cores wait for each other: unset OMP_NUM_THREADS."
            return Finding("CPU cores", value, False, way_out)
    if ours >= 2:
        return Finding("CPU cores", value)
    return Finding("CPU cores", value, way_out="Times in the course are for 2 cores.")


def memory() -> Finding:
    """Memory that is free, and what a container leaves of it."""
    try:
        import psutil
    except ImportError:
        return Finding("memory", "unknown, since psutil is missing", False, install("psutil"))
    from llamalab.runtime.cgroups import memory_limits

    memory = psutil.virtual_memory()
    value = f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f}"
    limits = memory_limits()
    limit = min((group.limit for group in limits), default=memory.total)
    if limit < memory.total:
        value += f", of which this container may use {limit / GIB:.1f}"
    smallest = min([memory.available, *(group.free for group in limits)])
    if smallest < 10**9:
        way_out = (
            "A notebook needs up to 1 GB: shut down other kernels (Kernel menu), close programs."
        )
        return Finding("memory", value, False, way_out)
    return Finding("memory", value)


def disk() -> Finding:
    """Room where your answers and runs are kept, and where the lessons put what they throw away."""
    try:
        places = {
            "for your answers": nearest(paths.answers_folder()),
            "for temporary files": Path(tempfile.gettempdir()),
        }
        free = {use: shutil.disk_usage(place).free for use, place in places.items()}
    except OSError as error:
        return Finding("disk", f"unknown ({error.strerror or error})")
    value = f"{free['for your answers'] / GIB:.1f} GiB free"
    short = [f"{free[use] / GIB:.1f} GiB {use}" for use in free if free[use] < ENOUGH_DISK]
    if short:
        way_out = (
            "A file that finds no room is not written: delete something, old runs for example."
        )
        return Finding("disk", f"only {' and '.join(short)}", False, way_out)
    return Finding("disk", value)


def nearest(place: Path) -> Path:
    """The folder or file itself, or the first one above it that is there and can be seen; where
    there is none (a drive that is gone), the working folder."""
    return next((p for p in (place, *place.parents) if os.path.exists(p)), Path.cwd())
