"""An error told in the learner's own lines, and autograd's errors told kindly."""

import traceback
from collections.abc import Callable

from llamalab.course.engine import source


def a(noun: str) -> str:
    """The noun with "a" or "an" in front."""
    return f"an {noun}" if noun[0] in "AEIOaeio" else f"a {noun}"


def one_line(error: BaseException) -> str:
    """The error's kind and its words, in one line of at most some 200 characters."""
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = ""
    return f"{type(error).__name__}: {text[:200]}" if text else f"{type(error).__name__}."


def own_frames(function: Callable, error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of the error that lie in a cell of the learner's."""
    code = getattr(function, "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    home = code.co_filename if code else ""
    return [f for f in frames if f.filename == home or source.is_cell(f.filename)]


def error_words(function: Callable, error: BaseException) -> str:
    """The error, and the learner's own line that it came from. No frame of ours is shown."""
    if isinstance(error, RecursionError):
        return "It calls itself without end: RecursionError. Which case stops the recursion?"
    own = own_frames(function, error)
    text = one_line(error)
    if own and own[-1].line:
        place = "" if own[-1].name == function.__name__ else f", in `{own[-1].name}`"
        text = f"Line {own[-1].lineno} of its cell{place}, `{own[-1].line.strip()}`: {text}"
    return text


def raised_by(function: Callable, error: BaseException, kind: type) -> bool:
    """Whether the learner's own line raised it, and nothing that the line called."""
    own = own_frames(function, error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return isinstance(error, kind) and own[-1:] == last


def no_way_back(function: Callable, error: BaseException) -> str:
    """Autograd's own errors, told kindly."""
    text = str(error)
    if "in-place operation" in text or "inplace operation" in text or "modified by an in" in text:
        return (
            "With arguments that want their gradient it writes into a tensor that the way back "
            "still needs, and autograd stops there. Build a new tensor instead of writing into "
            f"one (`x = x * 2`, not `x *= 2` or `x[...] = …`).{_line(function, error)}"
        )
    if "numpy()" in text:
        return (
            "With arguments that want their gradient it asks for numpy, which has no way back. "
            f"Stay with torch's own functions.{_line(function, error)}"
        )
    return "On the way back, with arguments that want their gradient: " + error_words(
        function, error
    )


def _line(function: Callable, error: BaseException) -> str:
    own = own_frames(function, error)
    return (
        f" It is line {own[-1].lineno}: `{own[-1].line.strip()}`." if own and own[-1].line else ""
    )
