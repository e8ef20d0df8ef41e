"""What the judge says: every sentence of it stands here, and the numbers are filled in.

A sentence says what is so, then what it means, then the way on. Each function makes the Result
that the learner sees; `known` is the sentence of a misconception that was recognised.
"""

import traceback
from collections.abc import Callable
from typing import Any

import torch

from llamalab.course.engine import attempts
from llamalab.course.engine.card import Result
from llamalab.course.engine.deadline import TimeUp
from llamalab.course.engine.difference import Difference, describe
from llamalab.course.engine.errors import one_line
from llamalab.course.engine.recognise import Recognised
from llamalab.course.engine.task import Task

HEADS = {
    "raised": "It stopped with an error.",
    "returned None": "It returned nothing.",
    "changed": "It changed what it was given.",
    "shape": "The shape is not right yet.",
    "dtype": "The dtype is not right yet.",
    "type": "The type is not right yet.",
    "gradient": "The values are right, and the gradient is not.",
    "autograd": "It lets autograd do the work.",
    "too large": "It makes too large a tensor on the way.",
    "no error": "It should have refused.",
    "value": "The values are not right yet.",
    "leans": "It works only in this notebook.",
    "no source": "Right, but it cannot be kept.",
    "signature": "The arguments do not fit.",
    "no def": "That is no function made with def.",
    "ours": "That is the course's own function.",
    "not a function": "That is a value, not a function.",
    "never returned": "It did not come back.",
    "memory": "It wanted too much memory.",
    "stopped": "The check was stopped.",
    "fault": "The course made a mistake here, not you.",
}


def fail(
    task: Task,
    kind: str,
    says: str,
    *,
    head: str = "",
    probe: tuple = (),
    rows: tuple = (),
    known: Recognised | None = None,
) -> Result:
    """A result of 0 points. It says what is known first, then what was found."""
    foot = f"Stuck? `ex.{task.name}.hint()`" if attempts.tries(task.name) else ""
    return Result(
        0,
        kind,
        task.title,
        head or HEADS[kind],
        says,
        named=known.name if known else None,
        known=known.says if known else "",
        given=given(task, probe) if probe else "",
        rows=rows,
        foot=foot,
    )


def given(task: Task, probe: tuple) -> str:
    """What the answer was called with, as a sentence."""
    pairs = zip(task.arguments, probe, strict=False)
    return "It was given " + ", ".join(f"{n}: {_shown(v)}" for n, v in pairs) + "."


def _shown(value: Any) -> str:
    """Small tensors of whole numbers or truth values in full; of all others the shape."""
    if isinstance(value, torch.Tensor) and not (value.is_floating_point() or value.is_complex()):
        if 0 < value.numel() <= (12 if value.dtype == torch.bool else 64):
            return str(value.tolist())
    return describe(value, longest=160)


# -- before it is run --------------------------------------------------------------------------


def not_attempted(task: Task, says: str) -> Result:
    says += f" Fill it in, run the cell, then run this one. Stuck? `ex.{task.name}.hint()`"
    return Result(0, "not attempted", task.title, "Not attempted yet.", says)


EMPTY = "The cell still holds its empty function."
GAP = "There is still a `...` to fill in."


def not_a_function(task: Task, value: Any) -> Result:
    says = "Hand over the function itself, without calling it: "
    says += f"check({task.answer.__name__}). You gave {describe(value)}."
    return fail(task, "not a function", says)


def no_def(task: Task, function: Callable) -> Result:
    says = f"It is a {type(function).__name__}. Write the answer out as a plain function, with def."
    return fail(task, "no def", says)


def coroutine(task: Task) -> Result:
    says = "Take the word `async` away: nobody waits for this function."
    return fail(task, "no def", says, head="That is a coroutine.")


def ours(task: Task) -> Result:
    says = "It is right, of course. Yours is the one that counts: write it in the cell."
    return fail(task, "ours", says)


def misfit(task: Task, signature: Any) -> Result:
    says = f"The exercise calls it as {task.answer.__name__}({', '.join(task.arguments)}); "
    return fail(task, "signature", says + f"yours takes {signature}.")


# -- while it is run ---------------------------------------------------------------------------


def stopped(task: Task, error: BaseException, probe: tuple) -> Result:
    if isinstance(error, TimeUp):
        says = (
            f"It was still running after {task.seconds:g} seconds and was stopped. Is there "
            f"a loop whose end is never reached? Your kernel is fine; nothing is lost."
        )
        return fail(task, "never returned", says, probe=probe)
    says = "It was stopped because it took hundreds of megabytes. Does something grow in "
    says += "a loop without end? Your kernel is fine; nothing is lost."
    return fail(task, "memory", says, probe=probe)


def interrupted(task: Task) -> Result:
    return fail(task, "stopped", "Nothing was judged.")


def cannot_be_judged(task: Task, error: BaseException) -> Result:
    says = f"What your function returns cannot be judged ({type(error).__name__})."
    return fail(task, "type", says)


def fault(task: Task, what: str, error: BaseException) -> Result:
    """An error of the course's own."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = f" ({frame[0].filename.rsplit('/', 1)[-1]}, line {frame[0].lineno})" if frame else ""
    says = f"{what} stopped with {one_line(error)}{place}. Your answer has not been judged, and "
    says += "nothing is wrong with it that we know of. Please report this, with the name "
    return fail(task, "fault", says + f"of the exercise, {task.name}.")


NO_REFUSAL = "It should refuse this with {}, and it did not."


def returned_none() -> str:
    return "Your function returned None. Did you forget `return`?"


def left_settings(settings: str) -> str:
    says = f"Your function changes {settings} for the whole notebook, and leaves "
    return says + "it changed (it has been put back). Work on the values alone."


def left_arguments(task: Task, changed: tuple[int, ...]) -> str:
    names = "` and `".join(task.arguments[i] for i in changed)
    was, it, a_copy = ("were", "them", "copies") if changed[1:] else ("was", "it", "a copy")
    return (
        f"After the call `{names}` {was} no longer the same: `x += …`, `x[…] = …`, `append`, and "
        f"what ends in `_`, such as `x.mul_(2)`, write into the value itself. Whoever called your "
        f"function still needs {it}: work on {a_copy}, or build a new value."
    )


def draws() -> Recognised:
    says = (
        "Your function draws at random, and what is asked for is exact: go through all cases, or "
    )
    return Recognised("draws", says + "use the numbers that you were handed.")


def sentence(found: Difference) -> str:
    """Nothing where the table below it says the same."""
    if found.rows and found.says == f"{found.rows[0][0]} differs":
        return ""
    return found.says[0].upper() + found.says[1:] + "."


def used_autograd(how: str) -> str:
    return (
        f"The values are right, but {how} worked them out. Here the question is how: write the "
        f"formula of the gradient itself, in products and sums."
    )


def too_large(size: int, shape: tuple[int, ...], limit: int) -> str:
    return (
        f"On the way it makes a tensor {shape}, which holds {size:,} numbers. It can be done with "
        f"none of more than {limit:,}. The values are right, and what was to be saved is not saved."
    )


# -- is it still right in an empty notebook ----------------------------------------------------


def leans(task: Task, name: str, function: str, inside: bool = False) -> Result:
    if inside:
        says = f"The values are right, but `{function}` was made inside another function and uses "
        says += f"its variable `{name}`. On its own it would not have it. Make it an argument, or "
        return fail(task, "leans", says + "define it inside the function itself.")
    says = (
        f"The values are right, but `{function}` uses `{name}`, a variable of this notebook. "
        f"In a fresh kernel, or in your own model, it would not be there. Make it an "
        f"argument, or define it inside the function. (A constant whose name is in CAPITALS "
        f"may stand outside, and so may functions and imports.)"
    )
    return fail(task, "leans", says)


def one_name_for_two(task: Task, name: str) -> Result:
    asked = task.answer.__name__
    says = f"`{name}` calls another function of the name that is asked for. Give "
    says += f"the answer the name `{asked}`, and the helper another one."
    return fail(task, "leans", says, head="Two functions go by one name.")


def borrowed(task: Task, name: str) -> Result:
    says = f"`{name}` is the course's own answer to an exercise that you have not "
    says += "solved yet. Solve that one first, or write out here what you need of it."
    return fail(task, "leans", says, head="It leans on a part that is not yours yet.")


def no_source(task: Task) -> Result:
    says = "There is no `def` to save: write the function out in a cell, with def, and "
    return fail(task, "no source", says + "without %%time or the like above it.")


def does_not_stand_alone(task: Task, error: BaseException) -> Result:
    says = f"In an empty notebook its definition stops with {one_line(error)}"
    return fail(task, "leans", says)


def differs_alone(task: Task) -> Result:
    says = "In an empty notebook it gives another answer than here. Does it keep "
    return fail(task, "leans", says + "something between calls?")


def correct(task: Task, says: str = "") -> Result:
    points = f"{task.points} point{'s' if task.points != 1 else ''}"
    return Result(task.points, "passed", task.title, f"Correct: {points}.", says)


def saved(folder: str, name: str) -> str:
    return f"Saved as {folder}/{name}.py. It is yours now."


def not_saved(error: BaseException, variable: str) -> str:
    says = f"It could not be saved: {one_line(error)} Set {variable} "
    return says + "to a folder that can be written to, and check again to keep it."
