"""What a person reads when a command cannot go on: one sentence, and no traceback of ours."""

import functools

import typer

EXPECTED = (ValueError, OSError, MemoryError, ArithmeticError)


def explained(command):
    """The command, with our own refusals said in their own words and exit status 2."""

    @functools.wraps(command)
    def run(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except EXPECTED as error:
            typer.echo(_sentence(error), err=True)
            raise typer.Exit(2) from None

    return run


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"  # without the system's number
    return str(error) or type(error).__name__
