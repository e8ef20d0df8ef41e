"""From a function in a notebook to a file that stands on its own.

The source of an answer is taken together with what it needs: imports that it uses and helper
functions from the same notebook. A plain variable of the notebook is not taken along: an answer
that leans on one passes here and fails tomorrow in a fresh kernel (otter-grader#244), so the
learner is told its name instead.
"""

import ast
import builtins
import dis
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any


class StrayVariable(Exception):
    """An answer uses `name`, which only exists in this notebook."""

    def __init__(self, name: str, function: str):
        super().__init__(name)
        self.name, self.function = name, function


class NoSource(Exception):
    """There is no Python source to keep: a built-in, a lambda in a call, a partial."""


def source_of(function: Callable) -> str:
    """The function's own text, unindented. NoSource where there is none."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(text)
    except (OSError, TypeError, SyntaxError, ValueError) as error:
        raise NoSource(str(error)) from None
    if not tree.body or not isinstance(tree.body[0], (ast.FunctionDef, ast.ClassDef)):
        raise NoSource("not a function written with def")
    return text.rstrip() + "\n"


def is_blank(function: Callable) -> bool:
    """Whether the function is still the stub: a docstring and `...`, `pass` or
    NotImplementedError, and nothing else."""
    try:
        body = ast.parse(source_of(function)).body[0].body
    except NoSource:
        return False
    return all(_says_nothing(statement) for statement in body)


def has_gaps(function: Callable) -> bool:
    """Whether a `...` still stands somewhere in the function as a value or a statement."""
    try:
        tree = ast.parse(source_of(function))
    except NoSource:
        return False
    gaps = [n for n in ast.walk(tree) if isinstance(n, (ast.Return, ast.Assign, ast.Expr))]
    return any(isinstance(n.value, ast.Constant) and n.value.value is Ellipsis for n in gaps)


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, (ast.Expr, ast.Return)):
        value = statement.value
        text_or_dots = isinstance(value, ast.Constant) and (
            value.value is Ellipsis or isinstance(value.value, str)
        )
        return value is None or text_or_dots
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return False


def used_from(function: Callable, package: str) -> Iterator[Callable]:
    """The functions of a package that the function names, alone or behind a module's name."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names = _names(code) if code else set()
    for value in [scope[name] for name in names if name in scope]:
        inside = isinstance(value, ModuleType) and value.__name__.split(".")[0] == package
        for found in [getattr(value, n, None) for n in names] if inside else [value]:
            if inspect.isfunction(found) and found.__module__.split(".")[0] == package:
                yield found


def standalone(function: Callable) -> str:
    """A module's text that defines the function and all it needs. StrayVariable if it leans on
    a variable of the notebook, NoSource if it cannot be had."""
    imports: set[str] = set()
    pieces: dict[str, str] = {}
    _collect(function, imports, pieces)
    head = "from __future__ import annotations\n\n" + "".join(sorted(imports))
    return head + "\n\n" + "\n\n".join(pieces.values())


def build(text: str, name: str, filename: str) -> Callable:
    """Run a module's text in an empty namespace and hand out the function `name`. The text is
    registered, so that tracebacks and `inspect.getsource` can show it."""
    lines = text.splitlines(keepends=True)
    linecache.cache[filename] = (len(text), None, lines, filename)
    namespace: dict[str, Any] = {"__name__": "my_llama"}
    exec(compile(text, filename, "exec"), namespace)
    if not callable(namespace.get(name)):
        raise ValueError(f"{filename} defines no function called {name}")
    return namespace[name]


def _collect(function: Callable, imports: set[str], pieces: dict[str, str]) -> None:
    text = source_of(function)
    scope = function.__globals__
    pieces[function.__name__] = ""  # holds its place against recursion
    free = list(getattr(function.__code__, "co_freevars", ()))
    for name in sorted(_global_names(function.__code__) | _names_at_definition(text)):
        if name == function.__name__ or (name not in scope and hasattr(builtins, name)):
            continue
        if name not in scope:
            continue  # an undefined name fails by itself, with its own message
        value = scope[name]
        if isinstance(value, ModuleType):
            imports.add(_import_module(value, name))
        elif _importable(value):
            imports.add(_import_from(value, name))
        elif inspect.isfunction(value) and value.__name__ == name:
            if name not in pieces:
                _collect(value, imports, pieces)
        else:
            raise StrayVariable(name, function.__name__)
    if free:
        raise StrayVariable(free[0], function.__name__)
    del pieces[function.__name__]  # helpers first, then the one who calls them
    pieces[function.__name__] = text


def _global_names(code: CodeType) -> set[str]:
    """Every global that the code, or a function inside it, reads."""
    names = {
        i.argval
        for i in dis.get_instructions(code)
        if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


def _names(code: CodeType) -> set[str]:
    """Every name, attributes too, that the code or a function inside it mentions."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)


def _names_at_definition(text: str) -> set[str]:
    """Names in defaults and decorators, which are read when the function is defined."""
    node = ast.parse(text).body[0]
    parts: list[ast.AST] = list(node.decorator_list)
    if isinstance(node, ast.FunctionDef):
        defaults = [*node.args.defaults, *node.args.kw_defaults]
        parts += [default for default in defaults if default is not None]
    return {n.id for part in parts for n in ast.walk(part) if isinstance(n, ast.Name)}


def _import_module(module: ModuleType, name: str) -> str:
    full = module.__name__
    return f"import {full}\n" if full == name else f"import {full} as {name}\n"


def _importable(value: Any) -> bool:
    """A function or class that lives in a real module under its own name."""
    module = inspect.getmodule(value) if callable(value) else None
    home = getattr(value, "__module__", None)
    if module is None or home in (None, "__main__", "builtins", "my_llama"):
        return False
    return getattr(module, getattr(value, "__name__", ""), None) is value


def _import_from(value: Any, name: str) -> str:
    own, home = value.__name__, value.__module__
    public = sys.modules.get(home.lstrip("_"))  # heapq.heappush says that it lives in _heapq
    if getattr(public, own, None) is value:
        home = public.__name__
    return f"from {home} import {own}" + (f" as {name}\n" if own != name else "\n")
