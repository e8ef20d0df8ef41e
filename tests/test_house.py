"""The house (pyproject.toml, tool.importlinter): imports go down, never up, and in no circle.

Each bite is proved on a copy of the package with one bad import, so a contract that has stopped
looking fails here.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def lint(folder: Path) -> subprocess.CompletedProcess:
    """Check the contract on the package that lies in `folder`."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
        + ["--no-cache", "--no-logo"],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]]),
            "PYTHONIOENCODING": "utf-8",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        },
        capture_output=True,
        encoding="utf-8",
    )


@pytest.fixture
def copy(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "llamalab", tmp_path / "llamalab", ignore=ignore)
    return tmp_path


def test_imports_never_go_up():
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 kept, 0 broken" in done.stdout


def test_an_import_from_stone_to_the_door_is_caught(copy):
    with open(copy / "llamalab" / "config.py", "a", encoding="utf-8") as file:
        file.write("\nimport llamalab.cli\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "llamalab.config is not allowed to import llamalab.cli" in done.stdout


def test_a_way_up_through_the_front_page_is_caught(copy):
    """`import llamalab` from a low floor reaches all that __init__.py imports."""
    with open(copy / "llamalab" / "__init__.py", "a", encoding="utf-8") as file:
        file.write("\nimport llamalab.cli\n")
    with open(copy / "llamalab" / "config.py", "a", encoding="utf-8") as file:
        file.write("\nimport llamalab\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "llamalab.config is not allowed to import llamalab.cli" in done.stdout


def test_an_import_hidden_in_a_function_is_caught(copy):
    with open(copy / "llamalab" / "config.py", "a", encoding="utf-8") as file:
        file.write("\n\ndef sly():\n    from llamalab.course import doctor\n\n    return doctor\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "llamalab.config is not allowed to import llamalab.course" in done.stdout


def test_a_module_on_no_floor_is_caught(copy):
    (copy / "llamalab" / "attic.py").write_text("", encoding="utf-8")
    done = lint(copy)
    assert done.returncode != 0
    assert "attic" in done.stdout


def test_a_circle_inside_a_part_is_caught(copy):
    """Both on one floor, and each lets the other in: bpe <-> encoder."""
    with open(copy / "llamalab" / "tokenizer" / "bpe.py", "a", encoding="utf-8") as file:
        file.write(
            "\n\ndef sly():\n    from llamalab.tokenizer import encoder\n\n    return encoder\n"
        )
    done = lint(copy)
    assert done.returncode != 0
    assert "No circles, at any depth BROKEN" in done.stdout


def test_parts_beside_each_other_do_not_see_each_other(copy):
    with open(copy / "llamalab" / "training" / "losses.py", "a", encoding="utf-8") as file:
        file.write("\n\ndef sly():\n    from llamalab.generation import text\n\n    return text\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "llamalab.training is not allowed to import llamalab.generation" in done.stdout


def test_a_lesson_that_leans_on_another_is_caught(copy):
    lessons = copy / "llamalab" / "course" / "lessons"
    with open(lessons / "nb05" / "quiz.py", "a", encoding="utf-8") as file:
        file.write("\nimport llamalab.course.lessons.nb04.quiz\n")
    done = lint(copy)
    assert done.returncode != 0
    assert "A lesson does not lean on another lesson BROKEN" in done.stdout
