"""The learner's own parts: where passing answers are kept, and what has been built so far.

Each passing answer is one Python file in `my_llama/`, which stands on its own: imports, helpers,
function. The folder is the one named by LLAMALAB_MY_LLAMA if that is set; else the nearest
`my_llama` above the working folder; else `my_llama` in the course's folder when one works inside
it, or in the working folder. Nothing outside it is written.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llamalab.files import beside

VARIABLE = "LLAMALAB_MY_LLAMA"


def folder() -> Path:
    """Where the answers are kept. It need not exist yet."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser().absolute()
    here = Path.cwd()
    for place in (here, *here.parents):
        if (place / "my_llama").is_dir():
            return place / "my_llama"
        if (place / "notebooks" / "00_start_here.ipynb").is_file():
            return place / "my_llama"
    return here / "my_llama"


def save(name: str, text: str) -> Path:
    """Keep an answer's module under the exercise's name. OSError if it cannot be written."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return path


def names() -> list[str]:
    """The exercises whose answers are kept, in alphabetical order."""
    return sorted(path.stem for path in folder().glob("*.py"))


def load(name: str) -> Callable:
    """The learner's own function for an exercise. KeyError if there is none yet; ValueError if
    the file no longer works, with what is wrong with it."""
    from llamalab.exercises import find, source

    exercise = find(name)
    path = _path(name)
    if not path.is_file():
        raise KeyError(f"no answer to {name!r} is kept in {path.parent}; solve it first")
    try:
        text = path.read_text(encoding="utf-8")
        return source.build(text, exercise.answer.__name__, str(path))
    except Exception as error:
        raise ValueError(
            f"{path} does not work any more ({type(error).__name__}: {error}). "
            f"Check the exercise again to write it anew, or delete the file."
        ) from error


def load_or_ours(name: str) -> Callable:
    """The learner's function where they have one, else the course's model answer."""
    from llamalab.exercises import find

    return load(name) if _path(name).is_file() else find(name).answer


# The exercises that a model's part can come from; the first that is kept is taken.
PART_OF = {
    "rms_norm": ("rms_norm_half", "rms_norm"),
    "apply_rope": ("rope",),
    "attention": ("attention",),
    "swiglu": ("swiglu",),
}


def parts():
    """The four functions of a model: the learner's where they are kept, ours elsewhere."""
    from llamalab.model import Parts

    return Parts(**{part: load(name) for part, name in whose().items() if name != "ours"})


def whose() -> dict[str, str]:
    """For each part, the exercise it comes from, or "ours"."""
    kept = set(names())
    return {p: next((n for n in known if n in kept), "ours") for p, known in PART_OF.items()}


def compare(theirs=None, ours=None, tokens=None):
    """Run a model beside another on the same tokens; say the first step in which they part, with
    its layer, position and size. Without arguments: a small model made of the learner's parts,
    beside ours with the same weights. With one model: beside ours with that model's weights."""
    from llamalab.config import LlamaConfig
    from llamalab.model import Llama
    from llamalab.trace import compare, fresh_pair

    if theirs is None:
        theirs, ours, made = fresh_pair(LlamaConfig.from_name("tiny"), parts())
        tokens = made if tokens is None else tokens
    elif ours is None:
        ours = Llama(theirs.config).to(theirs.norm.weight)
        ours.load_state_dict(theirs.state_dict())
    if tokens is None:
        length = min(24, ours.config.max_seq_len)
        tokens = fresh_pair(LlamaConfig.from_name("tiny"), None)[2][:, :length]
        tokens = tokens % ours.config.vocab_size
    return compare(theirs, ours, tokens)


@dataclass(frozen=True)
class Progress:
    """Which exercises are solved: rows of (notebook, exercise, title, points, solved)."""

    rows: tuple[tuple[str, str, str, int, bool], ...]

    @property
    def points(self) -> int:
        return sum(points for *_, points, solved in self.rows if solved)

    @property
    def possible(self) -> int:
        return sum(row[3] for row in self.rows)

    def __repr__(self) -> str:
        lines = []
        for notebook, name, title, points, solved in self.rows:
            mark = "yours" if solved else "-"
            lines.append(f"{notebook}  {mark:<5}  {points:>2}  {name:<18} {title}")
        return "\n".join([*lines, f"{self.points} of {self.possible} points"])

    def _repr_html_(self) -> str:
        from llamalab.show import table

        rows = [
            (notebook, title, points, "yours" if solved else "not yet")
            for notebook, _, title, points, solved in self.rows
        ]
        caption = f"{self.points} of {self.possible} points"
        head = ("notebook", "exercise", "points", "")
        return table(head, rows, caption=caption)._repr_html_()


def progress(notebook: str | None = None) -> Progress:
    """What has been solved so far, in every notebook or in one (by its number, "01")."""
    from llamalab.exercises import catalogue

    kept = set(names())
    rows = tuple(
        (number, e.name, e.title, e.points, e.name in kept)
        for number, exercises in catalogue().items()
        for e in exercises
        if notebook in (None, number)
    )
    return Progress(rows)


def _path(name: str) -> Path:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is not an exercise's name")
    return folder() / f"{name}.py"
