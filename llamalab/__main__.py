"""`python -m llamalab`: the command line, also under torchrun."""

from llamalab.cli import app

app()
