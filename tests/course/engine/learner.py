"""A learner's cell, for tests: code that runs in a namespace of its own, as a notebook's does."""

import itertools
import linecache

_numbers = itertools.count()


def cell(code: str, **variables) -> dict:
    """Run a cell's text after some notebook variables were set; the namespace afterwards."""
    name = f"<cell {next(_numbers)}>"
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    namespace = {**variables, "__name__": "__main__"}
    exec(compile(code, name, "exec"), namespace)
    return namespace
