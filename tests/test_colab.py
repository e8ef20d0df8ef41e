"""Colab, imitated: a notebook alone in an empty folder, in a Python that has not heard of llamalab.

Its first code cell runs as it stands: git clones (from a copy of this working tree, which a setting
of git's puts in the place of the published address), pip installs into a throw-away environment
that sees the packages of this one, and the import cell then works. No network: pip is told to ask
no index, and to build with the hatchling that is here.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from tools import badges

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
CLONED = ("llamalab", "data/README.md", "data/tales", "pyproject.toml", "README.md", "LICENSE")

# Not asked by find_spec: once somebody has looked for pip, setuptools' import hook steps back for
# the whole process, and nbgrader, which imports setuptools, cannot be imported any more.
installed = {found.metadata["Name"] for found in metadata.distributions()}
needed = [{"pip", "hatchling"} <= installed or None, shutil.which("git")]
pytestmark = pytest.mark.skipif(None in needed, reason="needs git, pip and hatchling")

PROGRAM = """
import google.colab, json, pathlib, sys

for name in sys.argv[1:]:
    cells = json.loads(pathlib.Path(name).read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    for source in code[:2]:  # the bootstrap and the imports
        exec(compile(source, name, "exec"), {"__name__": "__main__"})

import llamalab
from llamalab.runtime import paths

print(json.dumps([llamalab.__file__, str(paths.data_folder()), str(paths.answers_folder())]))
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """What there is to clone: this working tree, without the models."""
    folder = tmp_path_factory.mktemp("published")
    for name in CLONED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        else:
            shutil.copy(ROOT / name, folder / name)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    branch = badges.setting("branch", PYPROJECT)
    for words in (["init", "-q"], ["checkout", "-q", "-b", branch], ["add", "."],
                  [*author, "commit", "-q", "-m", "all"]):  # fmt: skip
        subprocess.run(["git", "-C", str(folder), *words], check=True)
    return folder


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Run notebooks' first two cells as in Colab: (address to clone from, names) -> the process."""
    venv.create(tmp_path / "python", with_pip=False)
    bin_folder = "Scripts" if os.name == "nt" else "bin"
    python = tmp_path / "python" / bin_folder / ("python.exe" if os.name == "nt" else "python")
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    # The packages of this environment, but not what its own .pth files add: an editable llamalab.
    seen = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "seen.pth").write_text("\n".join(seen), encoding="utf-8")
    (site / "google" / "colab").mkdir(parents=True)
    (site / "google" / "colab" / "__init__.py").write_text("", encoding="utf-8")

    def run(source: str, *notebooks: Path):
        empty = tmp_path / "content"
        empty.mkdir(exist_ok=True)
        for notebook in notebooks:
            shutil.copy(notebook, empty)
        python_path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environment = os.environ | {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{source}.insteadOf",
            "GIT_CONFIG_VALUE_0": f"https://github.com/{badges.setting('repository', PYPROJECT)}",
            "PIP_NO_INDEX": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # pip's own oddity: 0 is what says no to isolation
            "PYTHONPATH": os.pathsep.join(
                p for p in python_path if p and not (Path(p) / "llamalab").is_dir()
            ),
        }
        for name in ("LLAMALAB_MY_LLAMA", "LLAMALAB_DATA", "PIP_FIND_LINKS"):
            environment.pop(name, None)
        command = [str(python), "-c", PROGRAM, *(notebook.name for notebook in notebooks)]
        return subprocess.run(
            command, cwd=empty, env=environment, capture_output=True, text=True, encoding="utf-8"
        )

    return run


def test_a_notebook_alone_fetches_the_course_and_goes_on(colab, published, tmp_path):
    """Every notebook: the first fetches the course, the others find it there."""
    done = colab(published.as_uri(), *NOTEBOOKS)
    assert done.returncode == 0, done.stdout + done.stderr
    home = (tmp_path / "content").resolve()
    package, data, answers = map(Path, json.loads(done.stdout.splitlines()[-1]))
    assert package == home / "llamalab-course" / "llamalab" / "__init__.py"
    assert data == home / "llamalab-course" / "data"
    assert answers.resolve() == home / "my_llama"

    again = colab("file:///nowhere", NOTEBOOKS[0])  # another kernel: nothing is fetched
    assert again.returncode == 0, again.stderr


def test_where_nothing_can_be_fetched_the_cell_says_so(colab, tmp_path):
    done = colab((tmp_path / "nowhere").as_uri(), NOTEBOOKS[0])
    assert done.returncode != 0 and "Is there a network? Run this again." in done.stderr


def test_every_notebook_begins_with_the_cell_that_fetches_the_course():
    cell = badges.bootstrap(*(badges.setting(n, PYPROJECT) for n in ("repository", "branch")))
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
        assert code[0] == cell, path.name
        assert re.search(r"^(import|from) llamalab", code[1], re.M), f"{path.name}: no import cell"


def test_the_cell_brings_only_what_colab_has_not():
    """Colab has torch, numpy, matplotlib and the like; --no-deps keeps them as they are there."""
    pip = re.search(r'"-m pip (.*?)"\.split', badges.BOOTSTRAP)
    assert pip and pip[1].split() == [
        "install", "-q", "--no-deps", "sentencepiece", "safetensors", "-e",
    ]  # fmt: skip
