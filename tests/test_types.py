"""The types are right, the style is kept: what the checkers say is nothing."""

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [["mypy"], ["ruff", "check"], ["ruff", "format", "--check", "llamalab", "tests", "tools"]],
    ids=" ".join,
)
def test_the_checkers_find_nothing(command):
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_who_uses_the_package_sees_its_types():
    assert files("llamalab").joinpath("py.typed").is_file()
