"""The doctor: each thing that can be wrong is found, said in words, and comes with the way out."""

import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from llamalab.course.doctor import examine, folders, machine, report, software
from llamalab.runtime import cgroups, paths, threads

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def names(findings) -> list[str]:
    return [finding.name for finding in findings]


# ---- Python ---------------------------------------------------------------------------------


def test_the_floors_are_those_of_pyproject():
    extras = PROJECT["optional-dependencies"]
    lines = [*extras["test"], *extras["lab"], *PROJECT["dependencies"]]
    asked = {r.name: r.specifier for r in map(Requirement, lines)}  # the last counts
    assert set(software.NEEDED) == {Requirement(line).name for line in PROJECT["dependencies"]}
    for name, floor in {**software.NEEDED, **software.OPTIONAL}.items():
        assert asked[name] == SpecifierSet(f">={floor}" if floor else ""), name
    oldest = ".".join(map(str, software.OLDEST))
    assert PROJECT["requires-python"] == f">={oldest}"
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert f'python: ["{oldest}", "{".".join(map(str, software.NEWEST))}"]' in workflow


@pytest.mark.parametrize(
    "version, bits, ok, words",
    [
        ((3, 10), 64, True, ""),
        ((3, 13), 64, True, ""),
        ((3, 9), 64, False, "install Python 3.10 to 3.13"),
        ((3, 14), 64, True, "tested with 3.10 to 3.13"),
        ((3, 12), 32, False, "no 32-bit build"),
    ],
)
def test_a_python_that_will_not_do(version, bits, ok, words):
    found = software.python(version, bits)
    assert found.ok is ok and words in found.way_out and bool(words) == bool(found.way_out)
    assert ("32-bit" in found.value) == (bits == 32)


@pytest.mark.parametrize(
    "version, floor, is_older",
    [
        ("2.4.1", "2.5", True), ("2.5.0", "2.5", False), ("2.13.0+cpu", "2.5", False),
        ("2.10", "2.9.5", False), ("0.4.2", "0.4.3", True), ("0.4", "0.4.0", False),
        ("2.5.0a0+git1", "2.5", False), ("8.0.0rc1", "7.7", False), ("1.0", "", False),
        ("unknown", "1", True),
    ],
)  # fmt: skip
def test_versions_are_compared_as_numbers(version, floor, is_older):
    assert software.older(version, floor) is is_older


# ---- packages -------------------------------------------------------------------------------


@pytest.fixture
def installed(monkeypatch):
    """Pretend that these versions are installed; None is not installed."""
    have = software.version_of

    def pretend(**versions):
        monkeypatch.setattr(software, "version_of", lambda n: versions.get(n, have(n)) or None)

    return pretend


def test_here_nothing_is_missing_old_or_broken():
    assert names(software.packages()) == ["packages"]


def test_a_package_that_is_too_old(installed):
    installed(typer="0.9.4", protobuf="4.24")
    packages, old = software.packages()
    assert "typer 0.9.4" in packages.value
    assert not old.ok and "typer 0.9.4, older than 0.16" in old.value
    assert 'pip install -c constraints.txt --upgrade "protobuf>=4.25" "typer>=0.16"' in old.way_out


def test_a_package_that_is_there_and_not_whole(monkeypatch):
    """As after an installation that was stopped, or on Windows without Microsoft's library."""
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    _, broken = software.packages()
    assert not broken.ok and broken.value.startswith("sentencepiece cannot be imported")
    assert "--force-reinstall --no-deps sentencepiece" in broken.way_out
    lost = ImportError("DLL load failed while importing _C: The specified module was not found.")
    assert "Visual C++" in software.mend(lost)
    assert "Visual C++" in software.mend(
        OSError("[WinError 126] c10.dll or one of its dependencies")
    )


def test_a_torch_and_a_numpy_that_do_not_fit(monkeypatch):
    import torch

    def refuse(self):
        raise RuntimeError("Numpy is not available")

    monkeypatch.setattr(torch.Tensor, "numpy", refuse)
    *_, found = software.torch()
    assert not found.ok and "Numpy is not available" in found.value
    assert "--upgrade torch numpy" in found.way_out


@pytest.mark.parametrize(
    "versions, warned",
    [
        ({"ipywidgets": "8.1.9", "jupyterlab": "4.6.6"}, None),
        ({"ipywidgets": "7.7.1", "jupyterlab": ""}, None),  # Colab
        ({"ipywidgets": "7.7.1", "jupyterlab": "4.6.6"}, "ipywidgets"),
        ({"ipywidgets": "7.6.0", "jupyterlab": ""}, "ipywidgets"),
        ({"ipywidgets": "8.1.9", "jupyterlab": "3.6.8"}, "jupyterlab"),
        ({"ipywidgets": "", "jupyterlab": ""}, None),
    ],
)
def test_sliders_need_a_jupyterlab_that_shows_them(installed, versions, warned):
    installed(**versions, nbgrader="")
    found = list(software.widgets())
    assert names(found) == ["jupyterlab", "ipywidgets", "nbgrader"]
    assert [f.name for f in found if not f.ok] == ([warned] if warned else [])
    assert all("--upgrade" in f.way_out for f in found if not f.ok)


# ---- the kernel -----------------------------------------------------------------------------


@pytest.fixture
def started_by(monkeypatch):
    """Pretend that Jupyter starts python3 with this command."""
    manager = pytest.importorskip("jupyter_client.kernelspec")

    def pretend(*argv, error=None):
        def spec(self, name):
            if error:
                raise error
            return SimpleNamespace(argv=list(argv))

        monkeypatch.setattr(manager.KernelSpecManager, "get_kernel_spec", spec)
        return software.kernel()

    return pretend


def test_the_kernel_is_this_python(started_by):
    pytest.importorskip("ipykernel")
    assert started_by(sys.executable).ok
    assert started_by("python").ok and started_by("python3.11").ok
    beside = Path(sys.executable).with_name("python-of-another-name")
    assert started_by(str(beside), "-m", "ipykernel_launcher").ok


def test_a_kernel_of_another_python(started_by, tmp_path):
    """Which has no llamalab: the import cell of every notebook would fail."""
    found = started_by(str(tmp_path / "bin" / "python"))
    assert not found.ok and str(tmp_path) in found.value
    assert "-m ipykernel install --sys-prefix" in found.way_out


def test_no_kernel_at_all(started_by, monkeypatch):
    found = started_by(error=KeyError("python3"))
    assert not found.ok and ".[lab]" in found.way_out
    monkeypatch.setattr(software, "find_spec", lambda name: None)
    assert "ipykernel is not installed" in software.kernel().value


# ---- disk and memory ------------------------------------------------------------------------


def test_a_full_disk(monkeypatch, tmp_path):
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "not" / "yet" / "there"))
    assert machine.disk().ok or machine.disk().value.startswith("only")
    room = {tmp_path: 3 * machine.GIB}
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setattr(
        machine.shutil, "disk_usage", lambda place: SimpleNamespace(free=room.get(place, 2**20))
    )
    found = machine.disk()
    assert not found.ok and found.value == "only 0.0 GiB for temporary files"
    room[tmp_path / "temporary"] = 3 * machine.GIB
    assert machine.disk().ok and machine.disk().value == "3.0 GiB free"
    room[tmp_path] = 0
    assert machine.disk().value == "only 0.0 GiB for your answers"


def test_a_disk_that_cannot_be_asked_is_unknown(monkeypatch):
    def refuse(place):
        raise OSError("no such device")

    monkeypatch.setattr(machine.shutil, "disk_usage", refuse)
    assert machine.disk().ok and "unknown" in machine.disk().value


def test_little_memory(monkeypatch):
    psutil = pytest.importorskip("psutil")
    little = SimpleNamespace(available=600 * 2**20, total=4 * machine.GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: little)
    found = machine.memory()
    assert not found.ok and "shut down other kernels" in found.way_out


def test_a_container_with_little_memory_left(monkeypatch):
    psutil = pytest.importorskip("psutil")
    much = SimpleNamespace(available=32 * machine.GIB, total=64 * machine.GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: much)
    for free, ok in ((machine.GIB // 2, False), (3 * machine.GIB, True)):
        limit = cgroups.MemoryLimit(4 * machine.GIB, free)
        monkeypatch.setattr(cgroups, "memory_limits", lambda limit=limit: [limit])
        found = machine.memory()
        assert found.ok == ok and "of which this container may use 4.0" in found.value


# ---- answers and notebooks ------------------------------------------------------------------


def test_an_answer_that_no_longer_parses(monkeypatch, tmp_path):
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path))
    assert names(folders.answers()) == ["your answers"]
    (tmp_path / "rope.py").write_text("def rope(x):\n    return x\n", encoding="utf-8")
    assert names(folders.answers()) == ["your answers"]
    (tmp_path / "swiglu.py").write_text("def swiglu(x):\n    return (x\n", encoding="utf-8")
    (tmp_path / "rms_norm.py").write_bytes(b"# caf\xe9\n")
    _, broken = folders.answers()
    assert not broken.ok and "delete the file" in broken.way_out
    assert "swiglu.py, line 2" in broken.value and "rms_norm.py" in broken.value
    assert "rope" not in broken.value


def test_answers_where_a_file_stands_in_the_way(monkeypatch, tmp_path):
    (tmp_path / "my_llama").write_text("", encoding="utf-8")
    monkeypatch.setenv(paths.ANSWERS_VARIABLE, str(tmp_path / "my_llama"))
    (found,) = folders.answers()
    assert not found.ok and paths.ANSWERS_VARIABLE in found.way_out


def test_notebooks_of_one_copy_and_the_package_of_another(tmp_path):
    assert list(folders.two_courses(tmp_path, ROOT)) == []  # notebooks alone: that is well
    (tmp_path / "llamalab").mkdir()
    (found,) = folders.two_courses(tmp_path, ROOT)
    assert not found.ok and str(tmp_path) in found.value and str(ROOT) in found.value
    assert list(folders.two_courses(ROOT, ROOT)) == []


def test_a_file_that_hides_a_library(tmp_path):
    for name in ("random.py", "torch.py", "google.py", "mine.py", "random.txt"):
        (tmp_path / name).write_text("", encoding="utf-8")
    found = list(folders.hidden(tmp_path, tmp_path))
    assert [f.value.partition(" ")[0] for f in found] == ["google.py", "random.py", "torch.py"]
    assert all(not f.ok and str(tmp_path) in f.way_out for f in found)
    assert list(folders.hidden(ROOT, ROOT / "notebooks")) == []


def test_where_a_folder_lies_on_windows():
    assert list(folders.on_windows(PureWindowsPath(r"C:\\Users\\ann\\llamalab"))) == []
    (cloud,) = folders.on_windows(PureWindowsPath(r"C:\\Users\\ann\\OneDrive - School\\llamalab"))
    assert cloud.name == "OneDrive" and cloud.ok and cloud.way_out
    (long,) = folders.on_windows(PureWindowsPath("C:\\\\" + "\\\\".join(["a long name"] * 15)))
    assert long.name == "long path" and not long.ok


# ---- what is said ---------------------------------------------------------------------------


def test_a_command_is_one_that_can_be_pasted(monkeypatch, tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    monkeypatch.setattr(report.sys, "executable", str(python))
    assert Path(report.this_python(tmp_path)) == Path(".venv/bin/python")  # as README calls it
    assert report.this_python(ROOT) == str(python)
    monkeypatch.setattr(report.sys, "executable", "/my things/python")
    monkeypatch.setattr(report.sys, "platform", "linux")
    assert report.this_python(ROOT) == f'"{Path("/my things/python")}"'
    monkeypatch.setattr(report.sys, "platform", "win32")
    assert report.this_python(ROOT).startswith('& "')  # PowerShell's way
    assert report.install().endswith('-m pip install -c constraints.txt -e ".[lab]"')
    assert report.install("a", "b>=1").endswith('-c constraints.txt a "b>=1"')


def test_every_warning_has_a_way_out_and_the_report_says_where_there_is_more(
    monkeypatch, installed
):
    assert all(f.ok or f.way_out for f in examine())
    installed(numpy="1.0", tqdm="")
    asked = examine()
    assert not asked.ok and all(f.ok or f.way_out for f in asked)
    assert "docs/install.md" in str(asked) and (ROOT / "docs" / "install.md").is_file()


# ---- cores ----------------------------------------------------------------------------------


@pytest.fixture
def cpus(monkeypatch):
    def there_are(number, quota=None, wish=None):
        monkeypatch.setattr(machine.os, "cpu_count", lambda: number)
        monkeypatch.setattr(threads, "affinity", lambda: number)
        monkeypatch.setattr(threads, "cpu_quota", lambda *root: quota)
        monkeypatch.setattr(threads, "wished_threads", lambda: wish)
        return machine.cores()

    return there_are


def test_all_of_them(cpus):
    found = cpus(4)
    assert (found.value, found.ok, found.way_out) == ("4", True, "")


def test_a_containers_quota_is_named(cpus):
    found = cpus(64, quota=2.0)
    assert found.value == "2 of 64, since this container may use 2" and found.ok
    assert cpus(64, quota=1.5).value == "2 of 64, since this container may use 1.5"


def test_a_quota_that_takes_nothing_is_not_named(cpus):
    assert cpus(2, quota=8.0).value == "2"


def test_one_core_is_slow_but_well(cpus):
    found = cpus(64, quota=0.5)
    assert found.ok and "2 cores" in found.way_out and found.value.startswith("1 of 64")


def test_a_wish_is_shown_and_too_large_a_one_is_a_warning(cpus):
    found = cpus(4, wish=2)
    assert found.ok and found.value == "4; OMP_NUM_THREADS asks for 2 threads"
    found = cpus(64, quota=2.0, wish=64)
    assert not found.ok and "unset OMP_NUM_THREADS" in found.way_out


def test_a_lesson_begins_with_as_many_threads_as_there_are_cpus():
    """In a process of its own, where nobody has said a number: as in a notebook in a container."""
    program = (
        "import os; os.environ.pop('OMP_NUM_THREADS', None)\n"
        "import torch; torch.set_num_threads(5)\n"
        "from llamalab.runtime import threads; threads.usable_threads = lambda: 3\n"
        "import llamalab.course; print(torch.get_num_threads())\n"
        "from llamalab.course import ex; print(torch.get_num_threads())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["5", "3"], done.stderr
