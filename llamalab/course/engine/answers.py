"""The folder my_llama: passing answers, kept as files.

Each is one Python file that stands on its own: imports, helpers, function. Where the folder lies:
`llamalab.runtime.paths`. Nothing outside it is written.
"""

import ast
import re
import traceback
from collections.abc import Callable
from pathlib import Path

from llamalab.course.engine import standalone
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
        return standalone.build(path.read_text(encoding="utf-8"), function, str(path))
    except Exception as error:
        raise ValueError(
            f"{path} does not work any more: {_what_and_where(error, str(path))}. "
            f"Check the exercise {name!r} again to write it anew, or delete the file; until then "
            f"nothing can be made of it."
        ) from error


def is_sound(name: str, function: str) -> bool:
    """Whether the kept file still parses and defines the function. Nothing is run."""
    try:
        tree = ast.parse(path_of(name).read_text(encoding="utf-8"))
    except (OSError, SyntaxError, ValueError):
        return False
    made = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)}
    targets = [t for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    return function in made | {t.id for t in targets if isinstance(t, ast.Name)}


def _what_and_where(error: Exception, filename: str) -> str:
    """The error, and the line of the file that it stands in."""
    if isinstance(error, SyntaxError):
        line, text = error.lineno, error.msg
    else:
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == filename]
        line, text = frames[-1].lineno if frames else None, str(error)
    place = f"line {line}, " if line else ""
    return f"{place}{type(error).__name__}: {' '.join(text.split())}"
