"""`llamalab carbon`: what the learner's own course has taken so far, beside Llama 2."""

from typing import Annotated

import typer

from .errors import explained


@explained
def carbon(
    place: Annotated[
        str,
        typer.Option(
            help="Where your power comes from, such as France, India or Iowa; there is no default. "
            "--remember keeps it for the notebooks too."
        ),
    ] = "",
    remember: Annotated[bool, typer.Option("--remember", help="Keep the place.")] = False,
) -> None:
    """Say what your course has taken: time, energy, carbon.

    In seconds, watt-hours and grams of CO2eq, beside Llama 2's 539 t.

    It reads my_llama/ledger.jsonl, to which each notebook's last cell and llamalab train add a
    line. What was estimated and what was measured is said.
    """
    from llamalab.accounting import ledger, places

    if place:
        try:
            places.readings(place)
        except KeyError as error:
            raise ValueError(error.args[0]) from None
    if remember:
        if not place:
            raise ValueError("--remember what? Say --place too")
        ledger.live_in(place)
    typer.echo(ledger.report(ledger.read(), place))
