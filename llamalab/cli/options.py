"""How options are declared, and what commands with the same options have in common."""

from pathlib import Path
from typing import Annotated, Any

import typer

NEEDED: Any = ...  # a default that says: this option must be given


def option(help: str, *names: str) -> Any:
    """An option with its help; names: in place of the one that follows from the parameter."""
    return typer.Option(*names, help=help)


Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in OUT, to the same bits.")
]


def typed(context: typer.Context) -> set[str]:
    """The names of the options that somebody gave; the others have their defaults."""
    return {
        name for name in context.params if "DEFAULT" not in str(context.get_parameter_source(name))
    }


def refuse_changes(out: Path, changed: set[str]) -> None:
    """ValueError if an option was typed, by its parameter's name, that run.json has already."""
    if changed:
        shown = (
            name.upper() if name in ("base", "chat") else "--" + name.replace("_", "-")
            for name in sorted(changed)
        )
        raise ValueError(
            f"a resumed run is the same run, and run.json in {out} says what that is: leave out "
            f"{', '.join(shown)}, or start another run"
        )
