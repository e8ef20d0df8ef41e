"""The dev container (VS Code, Codespaces): README's installation, in a plain Python image."""

import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llamalab import cli

ROOT = Path(__file__).parents[1]
CONTAINER = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [key for key in CONTAINER if key.endswith("Command")]


def test_it_installs_what_readme_installs():
    start = re.search(r"<!-- start -->\n```bash\n(.*?)\n```", README, re.S)
    assert start, "README.md has no command marked start"
    install, _, opened = start[1].rpartition(" && ")
    assert opened == ".venv/bin/llamalab lab"
    assert CONTAINER["postCreateCommand"] == install


def test_its_python_is_the_newest_that_is_tested():
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    (tag,) = re.findall(r"^mcr\.microsoft\.com/devcontainers/python:(\d\.\d+)$", CONTAINER["image"])
    assert f'"{tag}"' in workflow


@pytest.mark.parametrize("key", COMMANDS)
def test_it_runs_commands_that_there_are(key):
    """What the plain image has, what the installation before has made, and our own."""
    there = {"python3", ".venv/bin/pip", ".venv/bin/llamalab"}
    for command in CONTAINER[key].split(" && "):
        program, *rest = shlex.split(command)
        assert program in there, command
        if program.endswith("llamalab"):
            assert CliRunner().invoke(cli.app, [*rest, "--help"]).exit_code == 0, command


def test_what_it_opens_is_there():
    for name in CONTAINER["customizations"]["codespaces"]["openFiles"]:
        assert (ROOT / name).is_file()
    python = CONTAINER["customizations"]["vscode"]["settings"]["python.defaultInterpreterPath"]
    assert python == "${containerWorkspaceFolder}/.venv/bin/python"


def test_it_asks_for_a_machine_that_the_course_fits():
    asked = CONTAINER["hostRequirements"]
    assert asked["cpus"] == 2  # what every time in the course is for
    sizes = {k: int(re.fullmatch(r"(\d+)gb", asked[k])[1]) for k in ("memory", "storage")}
    assert sizes["memory"] >= 2 and sizes["storage"] >= 16  # pip's torch for Linux brings CUDA
