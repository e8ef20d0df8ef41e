"""The doctor: what this machine is, what the course will run on, and what needs your attention.

`examine()` returns findings, each ok or a warning with the way out; the report prints as a table in
a terminal and shows as one in a notebook. It measures nothing and guesses nothing: what cannot be
read is called unknown.
"""

import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llamalab.course.figures.html import Html, join, tag
from llamalab.runtime import paths

NEEDED = (
    "numpy",
    "sentencepiece",
    "safetensors",
    "protobuf",
    "matplotlib",
    "tqdm",
    "typer",
    "psutil",
)
OPTIONAL = {
    "jupyterlab": "opens the notebooks on this machine",
    "ipywidgets": "sliders and quiz buttons; without it, still pictures and text",
    "nbgrader": "for teachers",
}
GIB = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `way_out` says what to do, or what it means, if anything."""

    name: str
    value: str
    ok: bool = True
    way_out: str = ""


class Report(list[Finding]):
    """The findings, in reading order, as text or as a table for a notebook."""

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self)

    def __str__(self) -> str:
        width = max((len(f.name) for f in self), default=0)
        lines = []
        for f in self:
            lines.append(f"{'ok' if f.ok else 'warn':<4}  {f.name:<{width}}  {f.value}")
            if f.way_out:
                lines.append(" " * (width + 8) + f.way_out)
        return "\n".join([*lines, "", self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> Html:
        left = "text-align:left"
        rows = (
            tag(
                "tr",
                tag("td", "ok" if f.ok else tag("b", "warn")),
                tag("td", f.name, style=left),
                tag("td", f.value, *(tag("br"), tag("i", f.way_out)) * bool(f.way_out), style=left),
            )
            for f in self
        )
        return join(tag("table", tag("tbody", *rows)), tag("p", self._verdict()))

    def _verdict(self) -> str:
        warnings = sum(not f.ok for f in self)
        if not warnings:
            return "All is well: the course will run here."
        return f"{warnings} thing{'s' * (warnings > 1)} to look at, marked warn."


def examine() -> Report:
    """Look at this Python, this machine and this folder. Never raises for what it finds."""
    return Report(
        [
            _python(),
            *_torch(),
            _cores(),
            _memory(),
            *_packages(),
            _my_llama(),
            _notebooks(),
            Finding("network", "not needed"),
        ]
    )


def _python() -> Finding:
    value = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding("Python", value)


def _torch() -> Iterator[Finding]:
    way_out = "In the course's folder: python -m pip install -c constraints.txt -e '.[lab]'"
    try:
        import torch
    except Exception as error:  # a broken installation raises OSError or worse
        yield Finding("torch", f"cannot be imported ({error})", False, way_out)
        return
    major, minor = (int(part) for part in torch.__version__.split(".")[:2])
    if (major, minor) < (2, 5):
        yield Finding("torch", f"{torch.__version__}, older than 2.5", False, way_out)
    else:
        yield Finding("torch", torch.__version__)
    from llamalab.runtime.device import choose_device

    choice = choose_device()
    yield Finding("computes on", f"{choice.device} in {choice.dtype}: {choice.why}")


def _cores() -> Finding:
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


def _memory() -> Finding:
    try:
        import psutil
    except ImportError:
        return Finding("memory", "unknown, since psutil is missing", False)
    from llamalab.accounting.memory import container_limit

    memory = psutil.virtual_memory()
    value = f"{memory.available / GIB:.1f} GiB free of {memory.total / GIB:.1f}"
    smallest = memory.available
    limit = container_limit(Path("/sys/fs/cgroup"))
    if limit is not None and limit < memory.total:
        value += f", of which this container may use {limit / GIB:.1f}"
        smallest = min(smallest, limit)
    if smallest < 10**9:
        return Finding("memory", value, False, "A notebook needs up to 1 GB: close something.")
    return Finding("memory", value)


def _packages() -> Iterator[Finding]:
    have = {name: _version(name) for name in (*NEEDED, *OPTIONAL)}
    missing = [name for name in NEEDED if have[name] is None]
    listing = ", ".join(f"{name} {have[name]}" for name in NEEDED if have[name])
    yield Finding("packages", listing)
    if missing:
        way_out = f"python -m pip install {' '.join(missing)}"
        yield Finding("missing", ", ".join(missing), False, way_out)
    for name, use in OPTIONAL.items():
        yield Finding(name, have[name] or "not installed (optional)", way_out=use)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _my_llama() -> Finding:
    place = paths.answers_folder()
    if os.environ.get(paths.ANSWERS_VARIABLE):
        named = f"the folder that {paths.ANSWERS_VARIABLE} names"
    else:
        course = _course()
        named = str(place)
        if course is not None and place.is_relative_to(course):
            named = f"{place.relative_to(course)} in the course's folder"
    there = next(p for p in (place, *place.parents) if p.exists())  # the rest would be made
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        way_out = f"Set {paths.ANSWERS_VARIABLE} to a folder that you may write to."
        return Finding("your answers", f"{named} cannot be written ({error})", False, way_out)
    return Finding("your answers", f"kept in {named}")


def _notebooks() -> Finding:
    course = _course()
    if course is None:
        way_out = "Go to the folder that you cloned."
        return Finding("notebooks", "not found from here", False, way_out)
    found = len(list((course / "notebooks").glob("[0-9][0-9]_*.ipynb")))
    return Finding("notebooks", f"{found} found")


def _course() -> Path | None:
    return paths.find_course(Path.cwd())
