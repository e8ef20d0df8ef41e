"""The exercises: `from llamalab.exercises import ex, quiz`, then `ex.rms_norm.check(rms_norm)`.

`bank/` holds one file a notebook, each with EXERCISES and QUIZ. They are read when first used.
"""

import difflib
import importlib
import pkgutil
from functools import cache

from llamalab.exercises.core import Exercise, Misconception
from llamalab.exercises.quiz import Option, Question

__all__ = ["Exercise", "Misconception", "Option", "Question", "catalogue", "ex", "find", "quiz"]


@cache
def _modules() -> dict[str, object]:
    import llamalab.exercises.bank as package

    found = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    path = package.__name__
    return {name.removeprefix("nb"): importlib.import_module(f"{path}.{name}") for name in found}


def catalogue() -> dict[str, tuple[Exercise, ...]]:
    """Every exercise, by notebook number, in the order of the course."""
    return {number: module.EXERCISES for number, module in _modules().items()}


def questions() -> dict[str, tuple[Question, ...]]:
    """Every quiz question, by notebook number."""
    return {number: module.QUIZ for number, module in _modules().items()}


def find(name: str) -> Exercise:
    """An exercise by its name. KeyError, with near misses, if there is none."""
    return _lookup(name, {e.name: e for group in catalogue().values() for e in group}, "exercise")


def _lookup(name: str, known: dict, what: str):
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise KeyError(f"no {what} called {name!r}; {hint}")


class _Shelf:
    """Things by attribute: ex.rms_norm, quiz.why_subwords; with Tab completion."""

    def __init__(self, what: str, groups):
        self._what, self._groups = what, groups

    def _known(self) -> dict:
        return {item.name: item for group in self._groups().values() for item in group}

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return _lookup(name, self._known(), self._what)
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __dir__(self) -> list[str]:
        return list(self._known())


ex = _Shelf("exercise", catalogue)
quiz = _Shelf("question", questions)
