"""What the grader does inside a student's kernel: hold memory, and run its own check.

The check is the course's, on the function that the notebook has under the asked name at that
place. It says by its return value what the card would say; nothing is printed.
"""

import contextlib
import json
import sys
from typing import Any


def prepare(megabytes: int) -> str:
    """Load what every lesson loads, then let this process grow by so much and no more, where the
    system can do that (Linux does; macOS takes the limit and ignores it; Windows has none).
    RuntimeError where the wall does not stand."""
    if not hasattr(sys, "llamalab_wall"):
        raise RuntimeError("this kernel has no wall around it")
    import torch  # noqa: F401

    import llamalab.course.figures  # noqa: F401
    from llamalab.course.catalogue import catalogue

    catalogue()
    return hold_memory(megabytes)


def hold_memory(megabytes: int) -> str:
    """The limit on this process's addresses, in words."""
    try:
        import resource
    except ImportError:
        return "no limit inside"
    import psutil

    most = psutil.Process().memory_info().vms + megabytes * 10**6
    with contextlib.suppress(ValueError, OSError):  # it has a lower one already
        if sys.platform.startswith("linux"):
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 10**6,) * 2)
    return "held"


def look(name: str) -> str:
    """Judge what the notebook calls by the exercise's function name. JSON: the card's parts, and
    the module's text if it is right."""
    from llamalab.course.catalogue import find
    from llamalab.course.engine import answers
    from llamalab.course.engine.judge import judge

    exercise = find(name)
    asked = exercise.answer.__name__
    names = _notebook()
    if asked not in names:
        return json.dumps({"kind": "not defined", "says": f"No cell made a function `{asked}`."})
    verdict = judge(exercise, names[asked])
    if verdict.text:
        with contextlib.suppress(OSError):
            answers.save(name, verdict.text)  # later lessons go on with it
    card = verdict.result.card
    said: dict[str, Any] = {part: getattr(card, part) for part in PARTS}
    return json.dumps(said | {"text": verdict.text})


PARTS = ("kind", "head", "says", "named", "known", "given")


def _notebook() -> dict[str, Any]:
    from IPython import get_ipython

    shell: Any = get_ipython()
    return shell.user_ns
