"""Run somebody's function and come back, even if the function never would.

A watcher thread waits; when the time is up, or the process has grown too much, it raises an
exception inside the thread that runs the function (CPython's PyThreadState_SetAsyncExc). That
works on every platform and slows nothing down. It lands between two bytecodes, so a loop in
Python is stopped and one endless call into C is not; and it is repeated until it takes effect,
because a bare `except:` in an endless loop would swallow it the first time.
"""

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil


class TimeUp(BaseException):
    """The function was stopped: it ran longer than it may. Not an Exception, so that
    `except Exception` in an answer does not catch it."""


class TooMuchMemory(BaseException):
    """The function was stopped: it took more memory than it may."""


def run_limited(
    function: Callable, *args: Any, seconds: float = 5.0, megabytes: float = 700.0
) -> Any:
    """function(*args), or TimeUp or TooMuchMemory. Anything the function raises comes through."""
    target = threading.get_ident()
    finished = threading.Event()
    lock = threading.Lock()  # the function's end and the watcher's shot exclude each other

    def watch() -> None:
        memory = psutil.Process().memory_info
        start, floor = time.monotonic(), memory().rss
        while not finished.wait(0.05):
            late = time.monotonic() - start > seconds
            large = memory().rss - floor > megabytes * 1e6
            if late or large:
                with lock:
                    if not finished.is_set():
                        _raise_in(target, TimeUp if late else TooMuchMemory)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        try:
            return function(*args)
        finally:
            with lock:
                finished.set()
            _clear(target)
    finally:
        watcher.join()


def _raise_in(thread_id: int, exception: type[BaseException] | None) -> None:
    value = ctypes.py_object(exception) if exception else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), value)


def _clear(thread_id: int) -> None:
    """Take back a shot that was fired but has not landed yet."""
    _raise_in(thread_id, None)
