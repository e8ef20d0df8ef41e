"""The learner's own parts: what has been built so far, and the model that is made of it.

mine.parts()     the functions of a model: theirs where they are kept, ours elsewhere
mine.compare()   their model beside ours: the first step in which they part
mine.progress()  which exercises are solved
"""

from collections.abc import Callable
from dataclasses import dataclass

from llamalab.course.catalogue import catalogue, find
from llamalab.course.engine import answers


def load(name: str) -> Callable:
    """The learner's own function for an exercise. KeyError if there is none yet; ValueError if
    the file no longer works, with what is wrong with it."""
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
    """Run a model beside another on the same tokens; say the first step in which they part, with
    its layer, position and size. Without arguments: a small model made of the learner's parts,
    beside ours with the same weights. With one model: beside ours with that model's weights."""
    from llamalab.config import LlamaConfig
    from llamalab.course.trace import first_difference, fresh_pair
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
    return first_difference(theirs, ours, tokens)


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
        from llamalab.course.figures import table

        rows = [
            (notebook, title, points, "yours" if solved else "not yet")
            for notebook, _, title, points, solved in self.rows
        ]
        caption = f"{self.points} of {self.possible} points"
        head = ("notebook", "exercise", "points", "")
        return table(head, rows, caption=caption)._repr_html_()


def progress(notebook: str | None = None) -> Progress:
    """What has been solved so far, in every notebook or in one (by its number, "01")."""
    kept = set(answers.names())
    rows = tuple(
        (number, e.name, e.title, e.points, e.name in kept)
        for number, exercises in catalogue().items()
        for e in exercises
        if notebook in (None, number)
    )
    return Progress(rows)
