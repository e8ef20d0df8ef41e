"""Seconds and peak memory of each notebook in a fresh kernel: `python benchmarks/notebooks.py`.

    --solved   with every exercise answered, as the exercise bank answers it
    --write    measure both ways and write the table into README.md
    NAME …     only the notebooks whose file names start so, such as 01

Memory is the kernel's resident set with its children: the system's own record of the peak where
there is one (Linux, Windows), and never less than the largest of samples 50 ms apart. Seconds
include the kernel's start and the import of torch. Answers saved on the way go to a folder that is
thrown away.
"""

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import nbformat
import psutil
from nbclient import NotebookClient

from llamalab.runtime.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
MARKED = re.compile(r"(<!-- notebooks -->\n).*?(<!-- /notebooks -->)", re.DOTALL)
MB = 10**6


class Run(NamedTuple):
    """One run of a notebook: how long, how much memory, what it printed, which answers it kept."""

    seconds: float
    peak: int  # bytes
    notebook: nbformat.NotebookNode
    kept: set[str]


def measure(path: Path, solved: bool = False, timeout: int = 300) -> Run:
    """Run a notebook once in a fresh kernel. Raises what nbclient raises if a cell fails."""
    notebook = nbformat.read(path, as_version=4)
    if solved:
        notebook = _solved(notebook)
    with tempfile.TemporaryDirectory() as my_llama:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
        )
        python_path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "LLAMALAB_MY_LLAMA": my_llama, "PYTHONPATH": python_path}
        start = time.perf_counter()
        with client.setup_kernel(env=environment):
            watch = PeakMemory(client.km.provisioner.pid)
            with watch:
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
                seconds = time.perf_counter() - start
        kept = {file.stem for file in Path(my_llama).glob("*.py")}
    return Run(seconds, watch.peak, notebook, kept)


def _solved(notebook):
    sys.path.insert(0, str(ROOT))
    try:
        from tools.notebooks import fill

        return fill(notebook)
    finally:
        sys.path.remove(str(ROOT))


class PeakMemory:
    """Watches a process and its children while a `with` block runs; then `peak` is in bytes."""

    def __init__(self, pid: int, every: float = 0.05):
        self.process, self.every, self.peak = psutil.Process(pid), every, 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._done.set()
        self._thread.join()
        self.peak = max(self.peak, self._now(), recorded_peak(self.process))

    def _watch(self):
        while not self._done.wait(self.every):
            self.peak = max(self.peak, self._now())

    def _now(self) -> int:
        total = 0
        try:
            for process in (self.process, *self.process.children(recursive=True)):
                total += process.memory_info().rss
        except psutil.Error:  # one of them ended just now
            pass
        return total


def recorded_peak(process: psutil.Process) -> int:
    """The largest resident set that the system has seen in this one process; 0 if it keeps none."""
    try:
        if psutil.WINDOWS:
            return process.memory_info().peak_wset
        status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    except (psutil.Error, OSError):  # gone already, or neither Windows nor Linux
        return 0
    found = re.search(r"VmHWM:\s*(\d+) kB", status)
    return 1024 * int(found[1]) if found else 0


def card(path: Path) -> tuple[str, str]:
    """A notebook's title, and the time it asks of a reader: what its first cell says after
    `**Time:**`, up to the semicolon or full stop. Empty if it does not say."""
    text = nbformat.read(path, as_version=4).cells[0].source
    title = re.search(r"^#\s+(.+?)\s*$", text, re.M)
    asked = re.search(r"\*\*Time:\*\*\s*([^;.\n|]+)", text)
    return title[1] if title else path.stem, asked[1].strip() if asked else ""


def table(rows: list[tuple[Path, float, float, int]]) -> str:
    """README's table from (path, seconds as shipped, seconds solved, peak bytes)."""
    lines = [
        "| notebook | your time | runs in, exercises blank | solved | peak memory |",
        "|---|---|--:|--:|--:|",
    ]
    for path, blank, solved, peak in rows:
        title, asked = card(path)
        lines.append(
            f"| [{title}](notebooks/{path.name}) | {asked} | {blank:.0f} s | {solved:.0f} s "
            f"| {peak / MB:.0f} MB |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--solved", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.write and options.names:
        parser.error("--write fills the whole table: leave the names out")

    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    if options.names:
        paths = [path for path in paths if path.name.startswith(tuple(options.names))]
    rows = []
    print(f"{'notebook':<32} {'':<8} {'seconds':>8} {'peak MB':>8}")
    for path in paths:
        runs = {}
        for solved in (False, True) if options.write else (options.solved,):
            runs[solved] = seconds, peak = measure(path, solved)[:2]
            way = "solved" if solved else "blank"
            print(f"{path.stem:<32} {way:<8} {seconds:>8.1f} {peak / MB:>8.0f}", flush=True)
        if options.write:
            blank, solved = runs[False], runs[True]
            rows.append((path, blank[0], solved[0], max(blank[1], solved[1])))
    if options.write:
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        text, places = MARKED.subn(lambda m: m[1] + table(rows) + m[2], text)
        if places != 1:
            raise ValueError(f"README.md has {places} places marked for notebooks, not 1")
        with atomic_write(readme) as part:
            part.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
