"""The command line and the doctor, as a person would use them."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from llamalab import cli, device, doctor, mine
from llamalab.accounting import memory

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from llamalab.cli import app; app()"]


def run(*arguments: str, code: str = "from llamalab.cli import app; app()", **options):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, **options
    )


@pytest.fixture
def course(tmp_path):
    """A folder that looks like the course."""
    (tmp_path / "notebooks").mkdir()
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / cli.FIRST)
    return tmp_path


# ---- help -----------------------------------------------------------------------------------


def test_help_teaches_and_is_quick():
    code = (
        "import sys; from llamalab.cli import app\n"
        "try: app()\n"
        "finally: print('heavy:', sorted({'torch', 'jupyterlab', 'numpy'} & set(sys.modules)))"
    )
    done = run("--help", code=code)
    assert done.returncode == 0
    assert "Write Llama 2 yourself" in done.stdout
    assert "lab" in done.stdout and "doctor" in done.stdout
    assert "heavy: []" in done.stdout


@pytest.mark.parametrize("command", ["lab", "doctor"])
def test_each_command_explains_itself(command):
    done = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    assert len(done.output) > 300


# ---- lab ------------------------------------------------------------------------------------


def test_the_course_is_found_from_inside(course):
    below = course / "notebooks" / "deep"
    below.mkdir()
    assert cli.find_course(below) == course
    assert cli.find_course(course) == course


def test_without_the_course_it_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "find_course", lambda start: None)
    done = CliRunner().invoke(cli.app, ["lab"])
    assert done.exit_code == 2
    assert "the folder that you cloned" in done.output
    assert "Traceback" not in done.output


def test_without_jupyterlab_it_says_what_to_install(course, monkeypatch):
    monkeypatch.chdir(course)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = CliRunner().invoke(cli.app, ["lab"])
    assert done.exit_code == 2
    assert ".[lab]" in done.output


@pytest.mark.parametrize(
    "environment, platform, seen",
    [
        ({}, "linux", False),
        ({"DISPLAY": ":0"}, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({"DISPLAY": ":0", "SSH_CONNECTION": "1 2 3 4"}, "linux", False),
        ({}, "darwin", True),
        ({"SSH_TTY": "/dev/ttys001"}, "darwin", False),
        ({}, "win32", True),
    ],
)
def test_a_browser_is_opened_only_where_somebody_would_see_it(environment, platform, seen):
    assert cli.has_display(environment, platform) is seen


def test_only_root_gets_what_root_needs(course):
    ours = cli.jupyter_options(course, 8888, "localhost", browser=True, root=False)
    assert "--allow-root" not in ours and "--no-browser" not in ours
    roots = cli.jupyter_options(course, 8888, "localhost", browser=False, root=True)
    assert "--allow-root" in roots and "--no-browser" in roots


def test_lab_without_a_display_prints_an_address_that_answers(course, tmp_path):
    """The real thing: JupyterLab on this machine, as root too, with the notebook behind it."""
    pytest.importorskip("jupyterlab")
    hidden = ("DISPLAY", "WAYLAND_DISPLAY")
    environment = {k: v for k, v in os.environ.items() if k not in hidden}
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        environment[name] = str(tmp_path / name)
    log = tmp_path / "log"
    with open(log, "wb") as file:
        server = subprocess.Popen(
            [*COMMAND, "lab", "--no-browser", "--port", "18888"],
            cwd=course / "notebooks",
            env=environment,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+/\S*\?token=[0-9a-f]+")
        found, deadline = None, time.monotonic() + 60
        while found is None and time.monotonic() < deadline and server.poll() is None:
            time.sleep(0.2)
            found = address.search(log.read_text(encoding="utf-8", errors="replace"))
        assert found, log.read_text(encoding="utf-8", errors="replace")
        assert "/lab/tree/notebooks/00_start_here.ipynb" in found[0]
        with urllib.request.urlopen(found[0], timeout=30) as page:
            assert page.status == 200
            assert "JupyterLab" in page.read().decode("utf-8")
        contents = found[0].replace("/lab/tree/", "/api/contents/")
        with urllib.request.urlopen(contents, timeout=30) as page:
            assert page.status == 200
    finally:
        server.terminate()
        server.wait(timeout=30)


# ---- doctor ---------------------------------------------------------------------------------


def test_doctor_looks_at_everything_and_says_what_it_found(course, monkeypatch):
    monkeypatch.chdir(course)
    report = doctor.examine()
    found = {finding.name: finding for finding in report}
    for name in ("Python", "torch", "computes on", "CPU cores", "memory", "packages", "network"):
        assert name in found, name
    assert found["notebooks"].value == "1 found"
    assert found["network"].value == "not needed"
    choice = device.choose_device()
    assert choice.device in found["computes on"].value
    assert all(finding.value in str(report) for finding in report)
    assert report._repr_html_().count("<tr>") == len(report)


def test_doctor_names_no_path_of_this_machine(course, monkeypatch):
    """Its table is a stored output of notebook 00."""
    monkeypatch.chdir(course)
    assert str(course) not in str(doctor.examine())
    monkeypatch.delenv(mine.VARIABLE)
    assert str(course) not in str(doctor.examine())


def test_doctor_command_prints_the_report():
    done = CliRunner().invoke(cli.app, ["doctor"])
    assert "torch" in done.output and "memory" in done.output
    assert done.exit_code == (0 if doctor.examine().ok else 1)


def test_a_broken_torch_is_a_finding_and_no_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = next(finding for finding in doctor.examine() if finding.name == "torch")
    assert not torch.ok
    assert "pip install" in torch.way_out


def test_an_old_torch_is_a_warning(monkeypatch):
    monkeypatch.setattr("torch.__version__", "2.4.1")
    torch = next(finding for finding in doctor.examine() if finding.name == "torch")
    assert not torch.ok


def test_a_missing_package_is_named(monkeypatch):
    have = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda n: None if n == "sentencepiece" else have(n))
    report = doctor.examine()
    missing = next(finding for finding in report if finding.name == "missing")
    assert missing.value == "sentencepiece" and not report.ok


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path, monkeypatch):
    """Below a file there can be no folder, whoever asks."""
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv(mine.VARIABLE, str(tmp_path / "file" / "my_llama"))
    answers = next(finding for finding in doctor.examine() if finding.name == "your answers")
    assert not answers.ok
    assert mine.VARIABLE in answers.way_out


def test_the_containers_limit_is_read(tmp_path):
    assert memory.container_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert memory.container_limit(tmp_path) is None
    (tmp_path / "memory.max").write_text("2147483648\n", encoding="ascii")
    assert memory.container_limit(tmp_path) == 2**31


@pytest.mark.parametrize(
    "cpuinfo, units",
    [
        ("processor: 0\nflags\t\t: fpu avx2 avx512f\n", ()),
        ("flags\t\t: fpu amx_bf16 avx512_bf16 amx_tile\n", ("amx_bf16", "avx512_bf16")),
        ("flags\t\t: fpu avx512_bf16x\n", ()),
        ("processor: 0\n", None),
    ],
)
def test_bf16_units_are_read_not_guessed(cpuinfo, units):
    assert device.bf16_flags(cpuinfo) == units


@pytest.mark.parametrize(
    "units, dtype, word",
    [
        (("amx_bf16",), "bfloat16", "amx_bf16"),
        ((), "float32", "without"),
        (None, "float32", "unknown"),
    ],
)
def test_the_dtype_on_a_cpu_follows_its_matrix_units(monkeypatch, units, dtype, word):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    monkeypatch.setattr(device, "bf16_units", lambda: units)
    choice = device.choose_device()
    assert (choice.device, choice.dtype) == ("cpu", dtype)
    assert word in choice.why
