"""What a person reads when a command cannot go on: one sentence, and no traceback of ours."""

import contextlib
import functools
import os
import sys

import typer

EXPECTED = (ValueError, OSError, MemoryError, ArithmeticError)


def explained(command):
    """The command, with our own refusals said in their own words and exit status 2."""

    @functools.wraps(command)
    def run(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except BrokenPipeError:  # `llamalab generate | head`: the reader has closed the pipe
            _say_no_more()
            raise typer.Exit(0) from None
        except EXPECTED as error:
            typer.echo(_sentence(error), err=True)
            raise typer.Exit(2) from None

    return run


def _say_no_more() -> None:
    """Python empties its buffers at the end, and would complain of the pipe once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):  # a stream without a number has no pipe
        os.dup2(nowhere, sys.stdout.fileno())


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"  # without the system's number
    return str(error) or type(error).__name__
