"""What an import brings with it: a learner's first cell is quick, and drawing waits for a drawing.

Counted in modules and not in seconds, which are another number on every machine.
"""

import json
import subprocess
import sys

import pytest

OURS = {
    "torch", "numpy", "matplotlib", "ipywidgets", "IPython", "pandas", "psutil", "sentencepiece",
    "safetensors", "google.protobuf", "tqdm", "typer", "jupyterlab",
}  # fmt: skip
PICTURES = {"matplotlib", "ipywidgets", "IPython", "pandas", "jupyterlab"}


def brought_by(statement: str) -> set[str]:
    """The modules that are loaded after a statement, in a process of its own."""
    program = f"import sys, json\n{statement}\njson.dump(sorted(sys.modules), sys.stdout)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_package_alone_brings_nothing():
    loaded = brought_by("import llamalab")
    assert loaded & OURS == set()
    assert {name for name in loaded if name.startswith("llamalab")} == {"llamalab"}


@pytest.mark.parametrize(
    "names", ["config", "tales", "accounting", "course, llamalab.course.doctor"]
)
def test_what_does_not_compute_does_not_bring_torch(names):
    """The doctor above all: it is asked when torch is what is broken."""
    assert brought_by(f"import llamalab.{names}") & (PICTURES | {"torch", "numpy"}) == set()


def test_the_book_and_the_course_do_not_bring_what_only_draws():
    """The whole book, and what every notebook's import cell has of the course."""
    book = "tokenizer layers model training generation alignment quantization accounting formats"
    imports = ", ".join(f"llamalab.{part}" for part in book.split())
    loaded = brought_by(
        f"import {imports}\nfrom llamalab.course import ex, mine, quiz\n"
        "from llamalab.course.figures import figure, model_map, table"
    )
    assert "torch" in loaded and loaded & PICTURES == set()


def test_a_drawing_does_bring_matplotlib():
    """So the names above are the right ones, and nothing else has hidden it."""
    draw = "from llamalab.course.figures import figure\nwith figure('A.', alt='B.'): pass"
    assert "matplotlib" in brought_by(draw)
