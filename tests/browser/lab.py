"""JupyterLab on this machine alone, over a copy of the notebooks and with a my_llama of its own.

    with lab(tmp_path) as address: ...

Nothing of the reader's is touched: settings, workspaces and IPython's folder are the copy's too.
The app stands in the page as `window.jupyterapp`, so that a test can ask the model of a notebook
rather than its pixels; and all cells are in the page at once, not only those in sight.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llamalab.cli import is_root

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none", "recordTiming": False},
    "completer-extension/manager": {"autoCompletion": False},
    "docmanager-extension/plugin": {"autosave": False},
}
UP = 120  # seconds until JupyterLab must have answered


@contextmanager
def lab(folder: Path) -> Iterator[str]:
    """Its address. `folder` then holds notebooks/, my_llama/ and the server's log."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for name, settings in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings), encoding="utf-8")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    options = {
        "ServerApp.root_dir": folder, "ServerApp.ip": "127.0.0.1", "ServerApp.port": port,
        "ServerApp.port_retries": 0, "IdentityProvider.token": "",
        "LabApp.expose_app_in_browser": True, "LabApp.news_url": "None",
        "LabApp.check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        "LabApp.extension_manager": "readonly",
    }  # fmt: skip
    command = [sys.executable, "-m", "jupyterlab", "--no-browser"]
    command += ["--allow-root"] * is_root() + [f"--{k}={v}" for k, v in options.items()]
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment(folder), stdout=log,
                                  stderr=subprocess.STDOUT)  # fmt: skip
        try:
            wait_for(address, server, folder / "server.log")
            yield address
        finally:
            server.terminate()  # it ends its kernels first
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def environment(folder: Path) -> dict[str, str]:
    """The test's own, and its folders in place of the reader's."""
    places = {
        "LLAMALAB_MY_LLAMA": "my_llama", "IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "share", "JUPYTER_RUNTIME_DIR": "run",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    path = os.pathsep.join(filter(None, [str(ROOT), os.getenv("PYTHONPATH")]))
    return os.environ | {k: str(folder / v) for k, v in places.items()} | {"PYTHONPATH": path}


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def wait_for(address: str, server: subprocess.Popen, log: Path) -> None:
    """Until it answers. RuntimeError with its log if it does not."""
    end = time.monotonic() + UP
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/status", timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise RuntimeError(f"no JupyterLab at {address}:\n{log.read_text(encoding='utf-8')[-3000:]}")
