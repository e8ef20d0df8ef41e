"""The wall around a student's notebook. Python runs this file at start, where it is on the path.

Refused, with a PermissionError: connections beyond this machine; other programs; what is `closed`
(the class's submissions); writing anywhere but where it is `open` (a folder of its own).
LLAMALAB_WALL says which, as JSON. An audit hook does it, and cannot be taken out again.

It stops what ordinary Python code does. It is no sandbox: C code (ctypes, a library that opens
files by itself) goes past it, and may do what the user may whom the grader runs as. Where students
are not trusted, grade as a user who has nothing, or in a container without a network.
"""

import importlib.machinery
import importlib.util
import ipaddress
import json
import os
import socket
import sys
from collections.abc import Callable

HERE = os.path.realpath(os.path.dirname(__file__))
HOSTS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
ADDRESSES = {"socket.connect", "socket.sendto", "socket.sendmsg"}
PROGRAMS = {
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn",
    "os.spawn", "os.startfile", "os.startfile/2", "pty.spawn",
}  # fmt: skip
LOOKS = {"os.listdir", "os.scandir", "os.chdir"}
CHANGES = {
    "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown", "shutil.rmtree",
}  # fmt: skip
CHANGES_TWO = {"os.rename", "os.link", "os.symlink", "shutil.move"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def wall(rules: dict) -> Callable[[str, tuple], None]:
    """The audit hook. It keeps its rules to itself, where no cell changes them by accident."""
    follow, plain, decode = os.path.realpath, os.path.normcase, os.fsdecode
    closed, open_ = ([plain(follow(p)) for p in rules.get(k, [])] for k in ("closed", "open"))
    devnull = plain(follow(os.devnull))
    own_name, address_of = socket.gethostname().lower(), ipaddress.ip_address

    def file(path: object, writes: bool) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)) or path in ("", b""):
            return  # a file that is open already, by its number
        place = plain(follow(decode(path)))
        if any(_within(place, folder) for folder in open_):
            return
        if any(_within(place, folder) for folder in closed):
            raise PermissionError("the grader closes this folder to a student's notebook")
        if writes and open_ and place != devnull:
            raise PermissionError("a student's notebook may write in its own folder alone")

    def host(event: str, name: object) -> None:
        if isinstance(name, (bytes, bytearray)):
            name = bytes(name).decode("ascii", "replace")
        name = str(name or "localhost").strip("[]").lower()
        try:
            here = address_of(name).is_loopback
        except ValueError:  # a name: 127.example.org is one
            here = False
        here = here or name in ("localhost", "0.0.0.0", "::")
        if not here and not (event in HOSTS and name == own_name):
            raise PermissionError(f"the grader has no network, and something reached for {name!r}")

    def guard(event: str, args: tuple) -> None:
        if event == "open":
            file(args[0], bool(len(args) > 2 and isinstance(args[2], int) and args[2] & WRITES))
        elif event in LOOKS:
            file(args[0] if args else None, False)
        elif event in CHANGES or event in CHANGES_TWO:
            for path in args[: 2 if event in CHANGES_TWO else 1]:
                file(path, True)
        elif event in PROGRAMS:
            raise PermissionError(f"the grader starts no other programs ({event})")
        elif event in HOSTS:
            host(event, args[0])
        elif event in ADDRESSES:
            address = args[1]  # None: connected already. Text or bytes: a Unix socket's path
            host(event, address[0] if isinstance(address, tuple) and address else None)

    return guard


def _within(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


def _run_the_other_sitecustomize() -> None:
    """An installation may have a sitecustomize of its own, which this file hides: run it too."""
    elsewhere = [place for place in sys.path if os.path.realpath(place or ".") != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if __name__ == "sitecustomize" and not hasattr(sys, "llamalab_wall"):
    sys.llamalab_wall = True  # type: ignore[attr-defined]  # the other one may look for another
    try:
        _run_the_other_sitecustomize()
    finally:
        sys.addaudithook(wall(json.loads(os.environ.get("LLAMALAB_WALL") or "{}")))
