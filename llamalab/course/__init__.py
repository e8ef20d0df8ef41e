"""The course around the book: `from llamalab.course import ex, mine, quiz`.

engine/    what an exercise is, and how an answer to it is judged
lessons/   a folder a notebook: a file an exercise, the quiz, the figures
figures/   figure, table, explorer: one visual language
doctor/    is this installation well     classroom/    handed out, and graded
mine.py    the learner's own parts       whole.py      the learner's model as it stands
trace.py   where two models part         way_back.py   and where their gradients do
part_calls.py  both wrap a model's parts catalogue.py  all exercises by name
"""

import importlib

from llamalab.runtime import threads

_HOMES = {"ex": "catalogue", "quiz": "catalogue"}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    threads.fit_threads()  # every lesson begins with this import, in a container too
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
