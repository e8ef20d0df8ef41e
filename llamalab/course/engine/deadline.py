"""Run somebody's function and come back, even if the function never would.

A watcher thread waits; when the time is up, or the process has grown too much, it raises an
exception inside the thread that runs the function (CPython's PyThreadState_SetAsyncExc). That
works on every platform and slows nothing down. It lands between two bytecodes, so three cases
need more. A bare `except:` swallows it; so it comes as a volley, each shot fired by the making
of the one before, and lands after the handler. A sleep or a lock is one call into C: it gets
the signal that the stop button sends. And where that does not help either, a sentence says which
button to press. The watcher aims only while the function is on the thread's stack.
"""

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import psutil

# A C function that returns None: called as an exception's __init__, it runs no bytecode at which
# the shot that it fires could land.
_fire = ctypes.PYFUNCTYPE(None, ctypes.c_ulong, ctypes.py_object)(
    ("PyThreadState_SetAsyncExc", ctypes.pythonapi)
)


class TimeUp(BaseException):
    """The function was stopped: it ran longer than it may. Not an Exception, so that
    `except Exception` in an answer does not catch it."""


class TooMuchMemory(BaseException):
    """The function was stopped: it took more memory than it may."""


def run_limited(
    function: Callable, *args: Any, seconds: float = 5.0, megabytes: float = 700.0
) -> Any:
    """function(*args), or TimeUp or TooMuchMemory. Anything the function raises comes through."""
    watcher = _Watcher(seconds, megabytes)
    watcher.thread.start()
    try:
        return _behind_walls(watcher, function, args)
    finally:
        watcher.over = True
        watcher.finished.set()
        watcher.thread.join()
        _clear(watcher.target)


def _behind_walls(watcher: "_Watcher", function: Callable, args: tuple, walls: int = 8) -> Any:
    """The call, and around it a row of `finally`, each of which a shot that is still in the air
    may hit. A volley has three shots, so the last ones stand."""
    try:
        if walls:
            return _behind_walls(watcher, function, args, walls - 1)
        return _inside(function, args)
    except KeyboardInterrupt:
        if watcher.shot is None:  # it was the person, not the watcher
            raise
        raise TimeUp if issubclass(watcher.shot, TimeUp) else TooMuchMemory from None
    finally:
        watcher.over = True
        id(watcher)  # a call is a place where a shot lands; better here than further out


def _inside(function: Callable, args: tuple) -> Any:
    return function(*args)


class Stopwatch:
    """Seconds that count: the processor's. On a busy machine the clock runs on while this process
    waits for its turn, so it counts for a third: soon enough for an answer that sleeps."""

    def __init__(self) -> None:
        self.clock, self.work = time.monotonic(), time.process_time()

    @property
    def seconds(self) -> float:
        worked, passed = time.process_time() - self.work, time.monotonic() - self.clock
        return max(worked, passed / 3)


class _Watcher:
    def __init__(self, seconds: float, megabytes: float):
        self.target, self.seconds, self.bytes = threading.get_ident(), seconds, megabytes * 1e6
        self.over = False
        self.shot: type[BaseException] | None = None
        self.time_up, self.too_much = (
            _volley(TimeUp, self.target),
            _volley(TooMuchMemory, self.target),
        )
        self.finished = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        memory = psutil.Process().memory_info
        watch, floor, told = Stopwatch(), memory().rss, False
        since = None  # when the first shot was fired
        while not self.finished.wait(0.05 if since is None else 0.5):
            if watch.seconds > self.seconds:
                self.shot = self.shot or self.time_up
            elif memory().rss - floor > self.bytes:
                self.shot = self.shot or self.too_much
            if self.shot is None or self.over or not self._is_inside():
                continue
            since = since or time.monotonic()
            _fire(self.target, self.shot)
            waited = time.monotonic() - since
            if waited > 1:
                _interrupt(self.target)
            if waited > 4 and not told:
                told = True
                print("Still inside one long call. The stop button or a restart ends it.")

    def _is_inside(self) -> bool:
        frame = sys._current_frames().get(self.target)
        while frame is not None and frame.f_code is not _inside.__code__:
            frame = frame.f_back
        return frame is not None


def _interrupt(thread_id: int) -> None:
    """What the stop button does, where Python handles it and would not die of it."""
    if thread_id == threading.main_thread().ident and callable(signal.getsignal(signal.SIGINT)):
        if hasattr(signal, "pthread_kill"):
            signal.pthread_kill(thread_id, signal.SIGINT)
        else:
            signal.raise_signal(signal.SIGINT)


def _volley(kind: type[BaseException], thread_id: int) -> type[BaseException]:
    """Three exceptions of a kind, of which the first, when it is made (raised or caught), fires
    the second, and that the third: one for the inner handler, one for the outer, one to leave."""
    shot: Any = type(kind.__name__, (kind,), {})
    for _ in range(2):
        following, shot = shot, type(kind.__name__, (kind,), {})
        shot.__init__ = staticmethod(partial(_fire, thread_id, following))
    return shot


def _clear(thread_id: int) -> None:
    """Take back a shot that was fired but has not landed yet."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), None)
