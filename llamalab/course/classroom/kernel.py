"""A kernel of its own for one notebook of one student, watched from outside.

Its folder is a temporary one, its my_llama the student's, its environment a short list: none of
the teacher's tokens. What it prints is not listened to, so no flood of output reaches the grader;
what is asked comes back by the reply. Time is the processor's, or a third of the clock's where
that is more, so that a busy machine costs nobody a mark. Memory is held twice: inside, where the
system can do it (`inside.py`), and here on every platform, by ending a kernel that is too large.
"""

import ast
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import llamalab
from llamalab.course.classroom.watch import Watch
from llamalab.runtime.paths import ANSWERS_VARIABLE, DATA_VARIABLE

WALL = Path(__file__).parent / "wall"
# The module inside.py as an expression, which needs no name in the notebook.
INSIDE = "__import__('llamalab.course.classroom.inside', fromlist=['x'])"
KEPT = (
    "PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "VIRTUAL_ENV", "CONDA_PREFIX",
    "LD_LIBRARY_PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "USERPROFILE",
    "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "NUMBER_OF_PROCESSORS", "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY", DATA_VARIABLE,
)  # fmt: skip
START = 120.0  # seconds of the clock that a kernel may take to begin
LOOK = 0.2  # how often time and memory are looked at
GRACE = 30.0  # and how long an interrupted cell may take to end


@dataclass(frozen=True)
class Limits:
    """What one notebook may use. seconds: for a cell; in_all: for the notebook; megabytes: beyond
    what the course itself takes."""

    seconds: float = 120.0
    in_all: float = 600.0
    megabytes: int = 2000


@dataclass(frozen=True)
class Said:
    """How a cell ended: "ok", "error", "time", "memory" or "gone" (the kernel ended). `words`: an
    error's; `value`: what was asked for."""

    how: str
    words: str = ""
    value: Any = None


def environment(own: Path, my_llama: Path, closed: list[Path]) -> dict[str, str]:
    """What a student's kernel is told. own: the folder that it may write in."""
    kept = {name: value for name, value in os.environ.items() if name.upper() in KEPT}
    roots = [str(WALL), str(Path(llamalab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    rules = {"closed": [str(p.resolve()) for p in closed], "open": [str(own), str(my_llama)]}
    return kept | {
        ANSWERS_VARIABLE: str(my_llama),
        "LLAMALAB_WALL": json.dumps(rules),
        "PYTHONPATH": os.pathsep.join(filter(None, roots)),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONIOENCODING": "utf-8",
        "CUDA_VISIBLE_DEVICES": "",
        "IPYTHONDIR": str(own / ".ipython"),
        "MPLCONFIGDIR": str(own / ".matplotlib"),
        **{name: str(own) for name in ("TMPDIR", "TEMP", "TMP")},
    }


class Kernel:
    """`with Kernel(own, environment, limits) as kernel: kernel.run("x = 1"); kernel.ask("x")`."""

    def __init__(self, own: Path, told: dict[str, str], limits: Limits):
        from jupyter_client.kernelspec import KernelSpecManager
        from jupyter_client.manager import KernelManager

        plain = KernelSpecManager(kernel_dirs=[])  # this Python, whatever else is registered
        self.limits, self.own, self.told = limits, own, told
        self.manager = KernelManager(kernel_name="python3", kernel_spec_manager=plain)
        self.manager.connection_file = str(own / "kernel.json")

    def __enter__(self) -> "Kernel":
        with open(os.devnull, "wb") as nowhere:
            self.manager.start_kernel(
                cwd=str(self.own), env=self.told, stdout=nowhere, stderr=nowhere,
                extra_arguments=["--HistoryManager.enabled=False"],
            )  # fmt: skip
        self.client = self.manager.client()
        self.client.start_channels(shell=True, iopub=False, stdin=False, hb=False, control=False)
        self.watch = Watch(self.manager.provisioner.pid)  # type: ignore[union-attr]
        self.floor = 0
        self.client.kernel_info()
        if self._reply(None, START).how != "ok":
            self.__exit__()
            raise OSError(f"no kernel began within {START:g} seconds: {sys.executable}")
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self.client.stop_channels()
        self.manager.cleanup_resources()

    @property
    def alive(self) -> bool:
        return bool(self.manager.is_alive())

    def settle(self) -> None:
        """What was used so far was the course's own; from here on it is the student's."""
        self.floor = self.watch.bytes

    def run(self, code: str) -> Said:
        """Run a cell."""
        try:
            asked = self.client.execute(code, allow_stdin=False)
        except UnicodeError:  # JSON may hold half an emoji; no message can
            return Said("error", "the cell holds half a character")
        return self._reply(asked, self.limits.seconds)

    def ask(self, expression: str, seconds: float = 0.0) -> Said:
        """The text that an expression gives, as `value`; `seconds` more than a cell may take."""
        it = {"it": expression}
        asked = self.client.execute("", silent=True, allow_stdin=False, user_expressions=it)
        return self._reply(asked, self.limits.seconds + seconds)

    def _reply(self, asked: str | None, seconds: float) -> Said:
        """Wait for the reply, and end what takes too much."""
        self.watch.begin()
        interrupted = 0.0
        while True:
            try:
                message = self.client.get_shell_msg(timeout=LOOK)
            except Empty:
                message = None
            if message is not None and asked in (None, message["parent_header"].get("msg_id")):
                said = _read(message["content"])
                if said.how in ("gone", "memory"):
                    self._end()  # it would still take a cell, and never run it, or not as it should
                return Said("time", said.words) if interrupted else said
            if not self.alive:
                return Said("gone")
            if self.floor and self.watch.bytes - self.floor > self.limits.megabytes * 1e6:
                self._end()
                return Said("memory")
            if interrupted and time.monotonic() - interrupted > GRACE:
                self._end()
                return Said("time")
            if not interrupted and self.watch.seconds > seconds:
                interrupted = time.monotonic()
                self.manager.interrupt_kernel()

    def _end(self) -> None:
        if self.alive:
            self.manager.shutdown_kernel(now=True)


def ended(content: dict) -> str:
    """Why a kernel that replies so is of no more use: "gone" where `exit()` was called, "memory"
    where there was too little, since what filled it may stay; else ""."""
    if content.get("ename") == "MemoryError":
        return "memory"
    payload = content.get("payload")
    sources = [one.get("source") for one in payload or () if isinstance(one, dict)]
    return "gone" if "ask_exit" in sources else ""


def _read(content: dict) -> Said:
    if how := ended(content):
        return Said(how)
    if content.get("status") != "ok":
        words = f"{content.get('ename', 'Error')}: {content.get('evalue', '')}"
        return Said("error", " ".join(words.split())[:300])
    asked = content.get("user_expressions") or {}
    if "it" not in asked:
        return Said("ok")
    if asked["it"].get("status") != "ok":
        return Said("error", str(asked["it"].get("evalue", ""))[:300])
    try:
        return Said("ok", value=ast.literal_eval(asked["it"]["data"]["text/plain"]))
    except (KeyError, ValueError, SyntaxError, MemoryError, RecursionError):
        return Said("error", "what came back cannot be read")
