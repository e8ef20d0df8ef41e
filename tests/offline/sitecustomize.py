"""No network: in every Python process of a test run, only this machine may be reached.

Python imports `sitecustomize` at start if it finds one, so with this folder on PYTHONPATH each
subprocess and each Jupyter kernel is guarded before its first line of code. An audit hook sees
what happens below `socket.socket` too, and cannot be taken out again.
Each attempt raises NetworkBlocked and, if LLAMALAB_OFFLINE_LOG names a file, is written there,
so that an attempt whose error somebody swallowed is still found (conftest.py reads it).
Not covered: programs that are not Python (git, curl), and C++ code that opens its own sockets.
"""

import importlib.machinery
import importlib.util
import ipaddress
import os
import socket
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
HOST_FIRST = {  # the hook's arguments begin with a host
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.gethostbyaddr",
}
ADDRESS_SECOND = {  # a socket, then an address
    "socket.connect",
    "socket.sendto",
    "socket.sendmsg",
}


class NetworkBlocked(RuntimeError):
    """Something reached for the network. No OSError: too many `except OSError` would hide it."""


def is_this_machine(host) -> bool:
    """Loopback, by name or by number; nothing at all means 'here' to getaddrinfo."""
    if host is None:
        return True
    if isinstance(host, (bytes, bytearray)):
        host = bytes(host).decode("ascii", "replace")
    host = str(host).strip("[]").lower()
    if host in ("", "localhost", "0.0.0.0", "::"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name: 127.example.org is one
        return False


def guard(event: str, args: tuple) -> None:
    """The audit hook: raises NetworkBlocked if the event would leave this machine."""
    if event in HOST_FIRST:
        host = args[0]
    elif event == "socket.getnameinfo":
        host = args[0][0]
    elif event in ADDRESS_SECOND:
        address = args[1]
        # None: the socket is connected already. Text or bytes: a Unix socket's path.
        host = address[0] if isinstance(address, tuple) and address else None
    else:
        return
    if not is_this_machine(host) and not _is_own_name(event, host):
        sentence = f"the tests run offline, and something reached for {host!r} ({event})"
        log = os.environ.get("LLAMALAB_OFFLINE_LOG")
        if log:
            with open(log, "a", encoding="utf-8", newline="\n") as file:
                file.write(sentence + "\n")
        raise NetworkBlocked(sentence)


def _is_own_name(event: str, host) -> bool:
    """Jupyter asks for the machine's own name at start: an answer, not a journey."""
    return event in HOST_FIRST and str(host).lower() == socket.gethostname().lower()


def install() -> None:
    """Guard this process, once: an audit hook stays until the process ends."""
    if not getattr(sys, "_llamalab_offline", False):
        sys._llamalab_offline = True
        sys.addaudithook(guard)


def _run_the_other_sitecustomize() -> None:
    """An installation may have a sitecustomize of its own, which this file hides: run it too."""
    elsewhere = [place for place in sys.path if Path(place or ".").resolve() != HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


if __name__ == "sitecustomize":
    install()
    _run_the_other_sitecustomize()
