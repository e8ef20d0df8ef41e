"""Python, torch, the packages and the notebooks' kernel: are they here, young enough, whole?"""

import importlib
import platform
import re
import struct
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

from llamalab.course.doctor.report import Finding, install, this_python

OLDEST, NEWEST = (3, 10), (3, 13)  # Pythons that the tests run on
# The oldest version that will do, as in pyproject.toml.
NEEDED = {
    "torch": "2.5",
    "numpy": "1.23.2",
    "sentencepiece": "0.2",
    "safetensors": "0.4.3",
    "protobuf": "4.25",
    "matplotlib": "3.8",
    "tqdm": "",
    "typer": "0.16",
    "psutil": "",
}
OPTIONAL = {"jupyterlab": "4", "ipywidgets": "7.7", "nbgrader": "0.9.5"}
USES = {
    "jupyterlab": "opens the notebooks on this machine",
    "ipywidgets": "sliders and quiz buttons; without it, still pictures and text",
    "nbgrader": "for teachers",
}
IMPORTED = {"protobuf": "google.protobuf"}  # where the name differs
REDISTRIBUTABLE = "Install Microsoft's Visual C++ Redistributable (x64), then start again."


def python(version: tuple[int, int] | None = None, bits: int = 8 * struct.calcsize("P")) -> Finding:
    """This Python, or one of `version` and `bits`."""
    version = version or sys.version_info[:2]
    value = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    promised = f"{_dotted(OLDEST)} to {_dotted(NEWEST)}"
    if bits < 64:
        way_out = (
            f"torch has no 32-bit build. Install a 64-bit Python, {promised}, then README's line."
        )
        return Finding("Python", f"{value}, {bits}-bit", False, way_out)
    if version < OLDEST:
        way_out = f"Delete .venv, install Python {promised}, and take README's line again."
        return Finding("Python", f"{value}, older than {_dotted(OLDEST)}", False, way_out)
    if version > NEWEST:
        way_out = f"The course was tested with {promised}. If something breaks, take one of these."
        return Finding("Python", value, way_out=way_out)
    return Finding("Python", value)


def torch() -> Iterator[Finding]:
    """torch, what it would compute on, and whether it and numpy fit each other."""
    try:
        import torch
    except Exception as error:  # a broken installation raises OSError or worse
        yield Finding("torch", f"cannot be imported ({_first(error)})", False, mend(error))
        return
    if older(torch.__version__, NEEDED["torch"]):
        value = f"{torch.__version__}, older than {NEEDED['torch']}"
        yield Finding("torch", value, False, install())
    else:
        yield Finding("torch", torch.__version__)
    from llamalab.runtime.device import choose_device

    choice = choose_device()
    yield Finding("computes on", f"{choice.device} in {choice.dtype}: {choice.why}")
    try:
        torch.zeros(1).numpy()
    except Exception as error:  # a torch that was built for numpy 1 beside numpy 2, or no numpy
        value = f"do not fit each other ({_first(error)})"
        yield Finding("torch and numpy", value, False, install("--upgrade", "torch", "numpy"))


def packages() -> Iterator[Finding]:
    """What the course cannot do without, torch apart: missing, too old, or not whole."""
    have = {name: version_of(name) for name in NEEDED if name != "torch"}
    yield Finding("packages", ", ".join(f"{name} {have[name]}" for name in have if have[name]))
    if missing := [name for name in have if not have[name]]:
        yield Finding("missing", ", ".join(missing), False, install(*missing))
    old = [n for n, v in have.items() if v and older(v, NEEDED[n])]
    if old:
        value = ", ".join(f"{name} {have[name]}, older than {NEEDED[name]}" for name in old)
        wish = [f"{name}>={NEEDED[name]}" for name in old]
        yield Finding("too old", value, False, install("--upgrade", *wish))
    for name in have.keys() - {*missing, *old}:
        try:
            importlib.import_module(IMPORTED.get(name, name))
        except Exception as error:
            value = f"{name} cannot be imported ({_first(error)})"
            yield Finding("broken", value, False, mend(error, name))


def widgets() -> Iterator[Finding]:
    """What is good to have; and whether the sliders have a JupyterLab that shows them."""
    have = {name: version_of(name) for name in OPTIONAL}
    for name, version in have.items():
        value = version or "not installed (optional)"
        if version and older(version, OPTIONAL[name]):
            value, wish = f"{version}, older than {OPTIONAL[name]}", f"{name}>={OPTIONAL[name]}"
            yield Finding(name, value, False, install("--upgrade", wish))
        elif name == "ipywidgets" and version and have["jupyterlab"] and older(version, "8"):
            value = f"{version}, whose sliders JupyterLab {have['jupyterlab']} does not show"
            yield Finding(name, value, False, install("--upgrade", "ipywidgets>=8"))
        else:
            yield Finding(name, value, way_out=USES[name])


def kernel() -> Finding:
    """Which Python a notebook would run on: this one, or another one that has no llamalab."""
    if find_spec("ipykernel") is None:
        return Finding("kernel", "ipykernel is not installed", False, install())
    try:
        from jupyter_client.kernelspec import KernelSpecManager

        started = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except Exception as error:
        return Finding("kernel", f"none for Python ({_first(error)})", False, install())
    if is_this_python(started):
        return Finding("kernel", "python3, which is this Python")
    way_out = f"{this_python()} -m ipykernel install --sys-prefix, then restart JupyterLab."
    return Finding("kernel", f"python3 is another Python, {started}", False, way_out)


def is_this_python(command: str) -> bool:
    """Whether a kernel's command starts this environment's Python. Jupyter takes a bare "python"
    as its own. Folders are compared, since in a venv python is a link to another folder's."""
    if re.fullmatch(r"python(3(\.\d+)?)?", command):
        return True
    return Path(command).parent.resolve() == Path(sys.executable).parent.resolve()


def mend(error: Exception, name: str = "") -> str:
    """The way out where a package is there and cannot be imported."""
    if "DLL load failed" in str(error) or "WinError 126" in str(error):
        return REDISTRIBUTABLE
    return install("--force-reinstall", "--no-deps", name) if name else install()


def older(version: str, floor: str) -> bool:
    """Whether the version's leading numbers are below the floor's: 2.4.1+cpu is older than 2.5."""
    here, there = (
        [int(part) for part in re.findall(r"\d+", re.match(r"[\d.]*", text)[0])]  # type: ignore[index]
        for text in (version, floor)
    )
    longest = max(len(here), len(there))
    return here + [0] * (longest - len(here)) < there + [0] * (longest - len(there))


def version_of(name: str) -> str | None:
    """The installed version of a package; None if it is not installed."""
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def _first(error: Exception) -> str:
    """What an error says, in one line of a bearable length."""
    words = " ".join(str(error).split()) or type(error).__name__
    return words if len(words) <= 200 else f"{words[:200]}…"
