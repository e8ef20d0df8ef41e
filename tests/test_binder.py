"""Binder: environment.yml asks for what pyproject.toml asks for, under conda's names, and postBuild
adds the course alone.

Where repo2docker is installed (Binder's own builder; it is in no extra of ours), it says what it
would build. Nothing is built: that needs docker and a network.
"""

import re
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
CONDA = {"torch": "pytorch-cpu", "matplotlib": "matplotlib-base"}  # where the names differ
BARE = {"python", "pip"}  # what conda brings and pip does not


def asked() -> dict[str, SpecifierSet]:
    """What a reader of the notebooks needs: the dependencies and the extra `lab`."""
    lines = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["lab"]
    return {r.name: r.specifier for r in map(Requirement, lines)}


def wanted(lines) -> dict[str, tuple[str, str, str]]:
    """conda's lines by name: (the line, "=" or ">=" or nothing, version)."""
    found = {}
    for line in lines:
        match = re.fullmatch(r"([a-z0-9-]+)(?:(=|>=)([0-9.]+))?", line)
        assert match, f"environment.yml: {line!r} is neither a floor nor a pin"
        assert match[1] not in found, f"environment.yml names {match[1]} twice"
        found[match[1]] = (line, match[2] or "", match[3] or "")
    return found


def pins(python: str) -> dict[str, str]:
    """The versions of constraints.txt for one Python on Linux."""
    where = {
        "python_version": python, "python_full_version": f"{python}.9",
        "sys_platform": "linux", "platform_machine": "x86_64",
    }  # fmt: skip
    found = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(where):
                (exact,) = pin.specifier
                assert exact.operator == "==" and pin.name not in found, line
                found[pin.name] = exact.version
    return found


def disagreements(lines) -> list[str]:
    """What environment.yml says otherwise than pyproject.toml and constraints.txt."""
    here, there = wanted(lines), asked()
    python = here["python"][2]
    tested = pins(python)
    wrong = [f"{name} is asked for by nobody" for name in here
             if name not in BARE | {CONDA.get(name, name) for name in there}]  # fmt: skip
    for name, specifier in there.items():
        line, sign, version = here.get(CONDA.get(name, name), ("", "", ""))
        if not line:
            wrong.append(f"{name} is missing")
        elif sign == "=" and version != tested[name]:
            wrong.append(f"{line}, but constraints.txt has {tested[name]}")
        elif sign != "=" and SpecifierSet(sign + version) != specifier:
            wrong.append(f"{line}, but pyproject.toml has {name}{specifier}")
        if not specifier.contains(tested[name]):
            wrong.append(f"constraints.txt: {name} {tested[name]} is not {specifier}")
    return wrong


def test_environment_yml_asks_for_what_pyproject_asks_for():
    assert disagreements(ENVIRONMENT["dependencies"]) == []
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert set(ENVIRONMENT) == {"name", "channels", "dependencies"}


def test_its_python_is_one_that_is_promised_and_tested():
    python = wanted(ENVIRONMENT["dependencies"])["python"]
    assert python[1] == "=" and SpecifierSet(PROJECT["requires-python"]).contains(python[2])
    workflow = (ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert f'"{python[2]}"' in workflow


def test_torch_is_the_small_build_and_is_pinned():
    """Without a pin, conda may take another torch than the one that the notebooks ran with."""
    assert wanted(ENVIRONMENT["dependencies"])["pytorch-cpu"][1] == "="


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("safetensors>=0.4.3", None, "safetensors is missing"),
        ("pytorch-cpu=2.13.0", None, "torch is missing"),
        ("pytorch-cpu=2.13.0", "pytorch-cpu=2.12.0", "constraints.txt has 2.13.0"),
        ("typer>=0.16", "typer", "pyproject.toml has typer>=0.16"),
        ("typer>=0.16", "typer>=0.9", "pyproject.toml has typer>=0.16"),
        ("tqdm", "pandas", "pandas is asked for by nobody"),
    ],
)
def test_a_disagreement_is_found(old, new, complaint):
    lines = [new if line == old else line for line in ENVIRONMENT["dependencies"]]
    assert lines != ENVIRONMENT["dependencies"]
    assert complaint in "; ".join(disagreements([line for line in lines if line]))


def test_constraints_pin_every_package_that_we_name():
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    for python in ("3.10", "3.11", "3.12", "3.13"):
        tested = pins(python)
        for requirement in map(Requirement, lines):
            assert requirement.name in tested, f"{requirement.name} on Python {python}"
            assert requirement.specifier.contains(tested[requirement.name]), requirement


def test_postbuild_adds_the_course_and_none_of_its_dependencies():
    """conda has brought them; pip would fetch the CUDA build of torch on top."""
    lines = (ROOT / "postBuild").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "#!/usr/bin/env bash" and "set -euo pipefail" in lines
    commands = [shlex.split(line) for line in lines if line and line[0] != "#"]
    assert [c for c in commands if c[0] != "set"] == [["pip", "install", "--no-deps", "-e", "."]]


@pytest.mark.skipif(find_spec("repo2docker") is None, reason="repo2docker is not installed")
def test_binders_builder_would_use_both_files():
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug", str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    says = done.stdout + done.stderr
    assert done.returncode == 0, says
    python = wanted(ENVIRONMENT["dependencies"])["python"][2]
    assert f"Building conda environment for python={python}" in says
    steps = ["env update -p", "COPY --chown=0:0 src/ ${REPO_DIR}/", "RUN ./postBuild"]
    places = [says.find(step) for step in steps]
    assert -1 not in places and places == sorted(places), dict(zip(steps, places))
    assert '--file "environment.yml"' in says
    assert "requirements.txt" not in says and "pip install" not in says, "another file is used"
