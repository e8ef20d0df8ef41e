"""The exercises: `from llamalab.course import ex, quiz`, then `ex.rms_norm.check(rms_norm)`.

`lessons/nbNN/` holds a file an exercise, with EXERCISE in it, and quiz.py with QUIZ; the package's
ORDER names the exercises as they come. They are read when first used.
"""

import difflib
import importlib
import pkgutil
from functools import cache

from llamalab.course.engine import Exercise, Question


@cache
def _lessons() -> tuple[str, ...]:
    """The numbers of the notebooks that have lessons."""
    from llamalab.course import lessons

    found = (module.name for module in pkgutil.iter_modules(lessons.__path__))
    return tuple(sorted(name.removeprefix("nb") for name in found if name.startswith("nb")))


def _module(number: str, name: str = ""):
    path = f"llamalab.course.lessons.nb{number}"
    return importlib.import_module(f"{path}.{name}" if name else path)


@cache
def catalogue() -> dict[str, tuple[Exercise, ...]]:
    """Every exercise, by notebook number, in the order of the course."""
    return {
        number: tuple(_module(number, name).EXERCISE for name in _module(number).ORDER)
        for number in _lessons()
    }


@cache
def questions() -> dict[str, tuple[Question, ...]]:
    """Every quiz question, by notebook number."""
    return {number: _module(number, "quiz").QUIZ for number in _lessons()}


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
