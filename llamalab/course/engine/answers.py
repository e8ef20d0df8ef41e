"""The folder my_llama: passing answers, kept as files.

Each is one Python file that stands on its own: imports, helpers, function. Where the folder lies:
`llamalab.runtime.paths`. Nothing outside it is written.
"""

import re
from collections.abc import Callable
from pathlib import Path

from llamalab.course.engine import source
from llamalab.runtime.files import atomic_write
from llamalab.runtime.paths import answers_folder


def path_of(name: str) -> Path:
    """The file of an exercise's answer. ValueError if that cannot be an exercise's name."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not an exercise's name")
    return answers_folder() / f"{name}.py"


def save(name: str, text: str) -> Path:
    """Keep an answer's module under the exercise's name. OSError if it cannot be written."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path


def names() -> list[str]:
    """The exercises whose answers are kept, in alphabetical order."""
    return sorted(path.stem for path in answers_folder().glob("*.py"))


def load(name: str, function: str) -> Callable:
    """The function called `function` in the answer to exercise `name`. KeyError if there is none
    yet; ValueError if the file no longer works, with what is wrong with it."""
    path = path_of(name)
    if not path.is_file():
        raise KeyError(f"no answer to {name!r} is kept in {path.parent}; solve it first")
    try:
        return source.build(path.read_text(encoding="utf-8"), function, str(path))
    except Exception as error:
        raise ValueError(
            f"{path} does not work any more ({type(error).__name__}: {error}). "
            f"Check the exercise again to write it anew, or delete the file."
        ) from error
