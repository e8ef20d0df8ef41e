"""The guard of sitecustomize.py holds in this process, in a subprocess and in a Jupyter kernel."""

import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FAR = ("192.0.2.1", 9)  # set aside for documentation: it is nobody's address
guard = sys.modules["sitecustomize"]
REACH = "import socket; socket.create_connection(('192.0.2.1', 9), timeout=3)"
MESSAGE = "the tests run offline"


@pytest.fixture(autouse=True)
def own_log(monkeypatch, tmp_path):
    """These tests reach out on purpose: their attempts go into a log of their own."""
    log = tmp_path / "network.log"
    monkeypatch.setenv("LLAMALAB_OFFLINE_LOG", str(log))
    return log


def tcp():
    socket.create_connection(FAR, timeout=3)


def connect_ex():
    with socket.socket() as s:
        s.settimeout(3)
        s.connect_ex(FAR)


def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"?", FAR)


def name():
    socket.getaddrinfo("example.com", 443)


def old_name():
    socket.gethostbyname("example.com")


def page():
    urllib.request.urlopen("https://example.com", timeout=3)


@pytest.mark.parametrize("reach", [tcp, connect_ex, udp, name, old_name, page])
def test_blocked_in_this_process(reach, own_log):
    with pytest.raises(RuntimeError, match=MESSAGE):
        reach()
    assert MESSAGE in own_log.read_text(encoding="utf-8")


def test_a_swallowed_attempt_is_still_written_down(own_log):
    try:
        tcp()
    except Exception:
        pass
    assert "192.0.2.1" in own_log.read_text(encoding="utf-8")


@pytest.mark.parametrize("family, host", [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_loopback_works(family, host):
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server, socket.create_connection((host, server.getsockname()[1]), timeout=5) as client:
        there, _ = server.accept()
        with there:
            client.sendall(b"hello")
            assert there.recv(5) == b"hello"
    assert socket.getaddrinfo("localhost", 80)


@pytest.mark.parametrize("host, here", [
    (None, True), ("", True), ("localhost", True), (b"LOCALHOST", True), ("127.0.0.1", True),
    ("127.9.8.7", True), ("::1", True), ("[::1]", True), ("::1%lo", True), ("0.0.0.0", True),
    ("127.evil.com", False), ("127.0.0.1.evil.com", False),
    ("localhost.evil.com", False), ("192.0.2.1", False), ("example.com", False), ("1.1.1.1", False),
])  # fmt: skip
def test_which_hosts_are_this_machine(host, here):
    assert guard.is_this_machine(host) == here


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_unix_sockets_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a short relative name: the path of a Unix socket is limited
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")


def test_blocked_in_a_subprocess():
    done = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True)
    assert done.returncode != 0
    assert MESSAGE in done.stderr


def test_another_sitecustomize_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('the other one')\n", encoding="utf-8")
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(tmp_path)])
    done = subprocess.run(
        [sys.executable, "-c", REACH],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert "the other one" in done.stdout
    assert MESSAGE in done.stderr


def run_in_a_kernel(source: str) -> None:
    cell = nbformat.v4.new_code_cell(source)
    notebook = nbformat.v4.new_notebook(cells=[cell])
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()


def test_blocked_in_a_kernel():
    with pytest.raises(CellExecutionError, match=MESSAGE):
        run_in_a_kernel(REACH)


def test_a_swallowed_attempt_fails_the_test_it_happened_in(tmp_path):
    """A pytest within pytest, with this repository's conftest.py."""
    root = Path(__file__).parents[2]
    test = tmp_path / "test_sly.py"
    test.write_text(
        f"def test_sly():\n    try:\n        {REACH}\n    except Exception:\n        pass\n"
        "def test_good():\n    pass\n",
        encoding="utf-8",
    )
    options = ["-p", "conftest", "-o", "addopts=", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *options, str(test)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ["PYTHONPATH"]])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert MESSAGE in done.stdout
