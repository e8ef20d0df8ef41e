"""What is remembered of the attempts in this kernel: hints shown, answers tried."""

from collections import Counter

_hints: Counter[str] = Counter()
_tries: Counter[str] = Counter()


def tried(name: str) -> None:
    """One more answer to an exercise has been judged."""
    _tries[name] += 1


def tries(name: str) -> int:
    """How many answers to an exercise have been judged."""
    return _tries[name]


def hint_shown(name: str, number: int) -> None:
    """Remember the hint that is on the screen."""
    _hints[name] = number


def last_hint(name: str) -> int:
    """The number of the last hint shown, 0 if none was."""
    return _hints[name]


def forget(name: str) -> None:
    """As in a fresh kernel."""
    _hints.pop(name, None)
    _tries.pop(name, None)
