"""The learner's own parts: what has been built so far, and the model that is made of it.

mine.parts()     the functions of a model: theirs where they are kept, ours elsewhere
mine.compare()   their model against ours: the first step in which they differ
mine.progress()  which exercises are solved, and which of them are a part of the model
mine.whole()     the whole model: its parts, its loss, what it says, and what the course took
mine.certificate(name)  the same on a page to print, my_llama/certificate.html

Parts of the model become the answers to rms_norm (or rms_norm_half, which is preferred), rope,
attention and swiglu. All others are kept and can be loaded, but no model is made of them.
"""

import datetime
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llamalab.course.catalogue import catalogue, find
from llamalab.course.engine import answers
from llamalab.runtime.files import atomic_write
from llamalab.runtime.paths import answers_folder


def load(name: str) -> Callable:
    """The learner's own function for an exercise. KeyError if there is none yet; ValueError if
    the file no longer works, with the file, the line and the way out."""
    return answers.load(name, find(name).answer.__name__)


def load_or_ours(name: str) -> Callable:
    """The learner's function where they have one, else the course's model answer."""
    return load(name) if answers.path_of(name).is_file() else find(name).answer


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
    kept = set(answers.names())
    return {p: next((n for n in known if n in kept), "ours") for p, known in PART_OF.items()}


def compare(theirs=None, ours=None, tokens=None):
    """Compare two models on the same tokens: the first step in which they differ, with its layer,
    position and size; and if all values agree, the first part, from the logits back, whose
    gradients differ. Without arguments: a small model made of the learner's parts, against ours
    with the same weights. With one model: against ours with its weights."""
    from llamalab.config import LlamaConfig
    from llamalab.course.trace import compare_models, fresh_pair
    from llamalab.model import Llama

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
    return compare_models(theirs, ours, tokens)


PART_BY_EXERCISE = {name: part for part, names in PART_OF.items() for name in names}
MARKS = {"solved": "yours", "broken": "broken", "open": "-"}


@dataclass(frozen=True)
class Progress:
    """Which exercises are solved: rows of (notebook, exercise, title, points, state), where the
    state is "solved", "open", or "broken": a file is kept, and it no longer works."""

    rows: tuple[tuple[str, str, str, int, str], ...]

    @property
    def points(self) -> int:
        return sum(points for *_, points, state in self.rows if state == "solved")

    @property
    def possible(self) -> int:
        return sum(row[3] for row in self.rows)

    @property
    def caption(self) -> str:
        says = f"{self.points} of {self.possible} points"
        broken = [name for _, name, *_, state in self.rows if state == "broken"]
        if broken:
            says += f". No longer Python: {', '.join(f'{name}.py' for name in broken)} "
            says += "(check the exercise again, or delete the file)"
        return says

    def __repr__(self) -> str:
        lines = []
        for notebook, name, title, points, state in self.rows:
            part = _part(name)
            end = f"  ({part} of the model)" if part else ""
            lines.append(f"{notebook}  {MARKS[state]:<6}  {points:>2}  {name:<18} {title}{end}")
        return "\n".join([*lines, self.caption])

    def _repr_html_(self) -> str:
        from llamalab.course.figures import table

        words = {"solved": "yours", "broken": "no longer works", "open": "not yet"}
        rows = [
            (notebook, title, points, words[state], _part(name))
            for notebook, name, title, points, state in self.rows
        ]
        head = ("notebook", "exercise", "points", "", "part of the model")
        return table(head, rows, caption=self.caption)._repr_html_()


def _part(name: str) -> str:
    """What an exercise is in the model; "" for most."""
    return PART_BY_EXERCISE.get(name, "")


def progress(notebook: str | None = None) -> Progress:
    """What has been solved so far, in every notebook or in one (by its number, "01"). A file that
    no longer parses, or lacks the function, does not count."""
    kept = set(answers.names())

    def state(exercise) -> str:
        if exercise.name not in kept:
            return "open"
        sound = answers.is_sound(exercise.name, exercise.answer.__name__)
        return "solved" if sound else "broken"

    rows = tuple(
        (number, e.name, e.title, e.points, state(e))
        for number, exercises in catalogue().items()
        for e in exercises
        if notebook in (None, number)
    )
    return Progress(rows)


def whole():
    """The learner's model as it stands, measured in a few seconds with the shipped weights: whose
    its parts are, its loss on tales that it has not seen, an answer, and what the course took.
    ValueError for a kept file that no longer works."""
    from llamalab.course.whole import measure

    rows = []
    for number in catalogue():
        found = progress(number)
        solved = tuple(title for _, _, title, _, state in found.rows if state == "solved")
        if found.rows:
            rows.append((number, solved, len(found.rows), found.points, found.possible))
    return measure(parts(), whose(), tuple(rows))


def certificate(name: str = "", *, path: str | os.PathLike | None = None) -> Path:
    """Write a page to print, `my_llama/certificate.html` if no other path is given; returns where.
    Errors as `whole`; OSError if it cannot be written."""
    from llamalab.course.whole import page

    target = Path(path) if path is not None else answers_folder() / "certificate.html"
    text = page(name.strip() or "Somebody", whole(), datetime.date.today())
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(target) as part:
        part.write_text(text, encoding="utf-8", newline="\n")
    return target
