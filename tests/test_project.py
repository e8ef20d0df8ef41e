"""README, CI, badges and package say the same thing, and the package is whole when installed."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import nbformat
import pytest

import llamalab
from tools import badges

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORKFLOW = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def command(marker: str, text: str = README) -> str:
    """README's command between <!-- marker --> and <!-- /marker -->, without the fence."""
    found = re.search(rf"<!-- {marker} -->\n```\w+\n(.*?)\n```\n<!-- /{marker} -->", text, re.S)
    assert found, f"README.md has no command marked {marker}"
    return found[1]


# ---- README and CI --------------------------------------------------------------------------


def test_the_two_commands():
    assert command("start") == (
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[lab]'"
        " && .venv/bin/llamalab lab"
    )
    assert command("test") == (
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[lab,test]'"
        " && .venv/bin/python -m pytest"
    )


@pytest.mark.skipif(shutil.which("bash") is None or os.name == "nt", reason="needs bash")
def test_ci_runs_readmes_command_and_nothing_else(tmp_path):
    """.ci/run in a folder whose README asks for something harmless."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    said = README.replace(command("test"), "touch one && touch 'two three'")
    (tmp_path / "README.md").write_text(said, encoding="utf-8", newline="\n")
    done = subprocess.run(
        ["bash", tmp_path / ".ci" / "run"], cwd="/", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "+ touch one && touch 'two three'\n"
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == [".ci", "README.md", "one", "two three"]

    failing = README.replace(command("test"), "false && touch four")
    (tmp_path / "README.md").write_text(failing, encoding="utf-8", newline="\n")
    assert subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True).returncode != 0
    (tmp_path / "README.md").write_text("no command\n", encoding="utf-8")
    assert subprocess.run(["bash", tmp_path / ".ci" / "run"], capture_output=True).returncode != 0


def test_ci_can_be_run_from_a_clone():
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listing = [git, "-C", str(ROOT), "ls-files", "-s", ".ci/run", "postBuild"]
    done = subprocess.run(listing, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    if not lines:
        pytest.skip("not committed yet")
    assert all(line.startswith("100755") for line in lines), done.stdout


def test_the_workflow_runs_readmes_windows_lines():
    for line in command("test-windows").splitlines():
        assert line in WORKFLOW
    assert "run: .ci/run" in WORKFLOW


def test_readmes_table_names_every_notebook():
    table = README.partition("<!-- notebooks -->")[2].partition("<!-- /notebooks -->")[0]
    named = re.findall(r"\(notebooks/(\S+?\.ipynb)\)", table)
    assert named == [path.name for path in NOTEBOOKS], "python benchmarks/notebooks.py --write"


def test_readmes_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        for link in re.findall(r"\]\(([^)#]+)", text):
            assert link.startswith("https://") or (ROOT / link).exists(), f"{name}: {link}"


def test_no_registry_is_named():
    """Where packages come from is the reader's own setting."""
    hosts = re.compile(r"pypi\.org|download\.pytorch\.org|files\.pythonhosted|--(extra-)?index-url")
    said = ["README.md", "CONTRIBUTING.md", "constraints.txt", "pyproject.toml", "postBuild",
            "environment.yml", ".devcontainer/devcontainer.json", "docs/install.md"]  # fmt: skip
    for name in said:
        assert not hosts.search((ROOT / name).read_text(encoding="utf-8")), name
    assert not hosts.search(WORKFLOW)


# ---- badges ---------------------------------------------------------------------------------


def test_badges_are_up_to_date(capsys):
    assert badges.main(ROOT, check=True) == 0, capsys.readouterr().out


def project(folder: Path, repository: str) -> Path:
    """A small course: pyproject, README and one notebook, with empty marked places."""
    (folder / "notebooks").mkdir()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = re.sub(r'^repository = ".*"', f'repository = "{repository}"', text, flags=re.M)
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    marked = "# é\n<!-- badges --><!-- /badges -->\nmore"
    (folder / "README.md").write_text(marked, encoding="utf-8")
    cell = nbformat.v4.new_code_cell("", metadata={"tags": ["bootstrap"]})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(marked), cell])
    nbformat.write(notebook, folder / "notebooks" / "01_x.ipynb")
    return folder


def test_one_line_renames_everything(tmp_path, capsys):
    folder = project(tmp_path, "someone/course")
    assert badges.main(folder, check=True) == 1
    assert badges.main(folder, check=False) == 0
    assert badges.main(folder, check=True) == 0
    readme = (folder / "README.md").read_text(encoding="utf-8")
    notebook = nbformat.read(folder / "notebooks" / "01_x.ipynb", as_version=4)
    for text in (readme, notebook.cells[0].source):
        assert text.startswith("# é") and text.endswith("more")
        assert "OWNER" not in text
        assert "/v2/gh/someone/course/main?urlpath=lab/tree/notebooks/" in text
        assert "/github/someone/course/blob/main/notebooks/" in text
        assert "![" not in text and "<img" not in text
    assert "https://github.com/someone/course" in notebook.cells[1].source
    before = (folder / "notebooks" / "01_x.ipynb").read_bytes()
    badges.main(folder, check=False)
    assert (folder / "notebooks" / "01_x.ipynb").read_bytes() == before


def test_a_notebook_without_its_places_is_an_error(tmp_path, capsys):
    folder = project(tmp_path, "someone/course")
    path = folder / "notebooks" / "01_x.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# no place"
    nbformat.write(notebook, path)
    assert badges.main(folder, check=True) == 2
    assert "01_x.ipynb" in capsys.readouterr().out


# ---- the bootstrap cell ---------------------------------------------------------------------

CELL = badges.bootstrap("OWNER/llamalab", "main")


def run_cell(monkeypatch, *, installed: bool, colab: bool, codes: dict | None = None):
    """Run the cell with a fake world around it: (programs called, what went wrong)."""
    calls = []

    def call(command):
        calls.append([str(word) for word in command])
        return (codes or {}).get(command[0], 0)

    spec = importlib.util.find_spec
    there = object() if installed else None
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n, *a: there if n == "llamalab" else spec(n, *a)
    )
    monkeypatch.setattr("subprocess.call", call)
    monkeypatch.setattr("sys.path", list(sys.path))
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", llamalab)
    else:
        monkeypatch.delitem(sys.modules, "google.colab", raising=False)
    try:
        exec(CELL, {})
    except RuntimeError as error:
        return calls, str(error)
    return calls, None


def test_bootstrap_does_nothing_where_llamalab_is(monkeypatch, capfd):
    assert run_cell(monkeypatch, installed=True, colab=True) == ([], None)
    assert capfd.readouterr() == ("", "")
    assert len(CELL.splitlines()) <= 12


def test_bootstrap_fetches_the_course_on_colab(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (git, pip), error = run_cell(monkeypatch, installed=False, colab=True)
    assert error is None
    course = str(tmp_path.resolve() / "llamalab-course")
    assert git[:2] == ["git", "clone"] and "--depth" in git and git[-1] == course
    assert pip[1:4] == ["-m", "pip", "install"] and "--no-deps" in pip
    assert pip[-2:] == ["-e", course]
    assert not {"torch", "numpy"} & set(pip)
    assert sys.path[0] == course


def test_bootstrap_without_a_network_says_so(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    calls, error = run_cell(monkeypatch, installed=False, colab=True, codes={"git": 128})
    assert "Is there a network?" in error and len(calls) == 1
    calls, error = run_cell(monkeypatch, installed=False, colab=True, codes={sys.executable: 1})
    assert "Is there a network?" in error and len(calls) == 2
    (tmp_path / "llamalab-course").mkdir()  # cloned before: only pip again
    calls, error = run_cell(monkeypatch, installed=False, colab=True)
    assert error is None and len(calls) == 1


def test_bootstrap_in_a_wrong_kernel_says_so(monkeypatch):
    calls, error = run_cell(monkeypatch, installed=False, colab=False)
    assert calls == [] and "README.md" in error


# ---- the package ----------------------------------------------------------------------------


def test_the_version_is_said_once():
    try:
        assert version("llamalab") == llamalab.__version__
    except PackageNotFoundError:
        pytest.skip("llamalab is not installed")


def test_an_installation_that_is_not_editable_is_whole(tmp_path):
    """Every file of the package is in the wheel. Built without pip, which would want a network."""
    code = f"from hatchling.build import build_wheel; build_wheel({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("llamalab/")}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "llamalab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there


def test_ruff_finds_nothing():
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
