"""From a function in a notebook to a file that stands on its own.

The source of an answer is taken together with what it needs: imports that it uses, and helper
functions, classes and CONSTANTS from the same notebook. A plain variable is not taken along: an
answer that leans on one passes here and fails tomorrow in a fresh kernel (otter-grader#244), so
the learner is told its name instead.
"""

import ast
import dis
import inspect
import linecache
import math
import re
import sys
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import torch

from llamalab.course.engine import source


class StrayVariable(Exception):
    """An answer uses `name`, which only exists in this notebook; or, if `inside` says so, in the
    call of another function that made it."""

    def __init__(self, name: str, function: str, inside: bool = False):
        super().__init__(name)
        self.name, self.function, self.inside = name, function, inside


class Borrowed(Exception):
    """An answer uses `name`, which is the course's answer to an exercise not solved yet."""

    def __init__(self, name: str, function: str):
        super().__init__(name)
        self.name, self.function = name, function


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
    sys.modules.setdefault("my_llama", ModuleType("my_llama"))  # dataclasses look for it
    linecache.cache[filename] = (len(text), None, lines, filename)
    namespace: dict[str, Any] = {"__name__": "my_llama"}
    exec(compile(text, filename, "exec"), namespace)
    if not callable(namespace.get(name)):
        raise ValueError(f"{filename} defines no function called {name}")
    return namespace[name]


def _collect(function: Callable, imports: set[str], pieces: dict[str, str]) -> None:
    text = source.source_of(function)
    inner = inspect.unwrap(function)  # inside functools.wraps: no_grad, cache
    scope = inner.__globals__
    name = function.__name__
    pieces[name] = ""  # holds its place against recursion
    for used in sorted(_global_names(inner.__code__) | _names_at_definition(text)):
        if used != name and used in scope:  # an undefined name fails by itself
            _collect_value(used, scope, name, imports, pieces)
    for used, value in _enclosed(inner).items():  # helper functions come along, values do not
        if used in scope or not (callable(value) or isinstance(value, ModuleType)):
            raise StrayVariable(used, name, inside=True)
        if used != name:
            _collect_value(used, {used: value}, name, imports, pieces)
    del pieces[name]  # helpers first, then the one who calls them
    pieces[name] = text


def _enclosed(function: Callable) -> dict[str, Any]:
    """The variables of the functions around it that it reads."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    found = {}
    for name, cell in cells:
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not assigned
            found[name] = None
    return found


def _collect_value(
    name: str, scope: dict[str, Any], user: str, imports: set[str], pieces: dict[str, str]
) -> None:
    """Take along what `name` stands for in the notebook, or say that it cannot be."""
    if name in pieces:
        return
    value = scope[name]
    if getattr(value, "__module__", None) and value.__module__.startswith("llamalab.course"):
        raise Borrowed(name, user)
    if isinstance(value, ModuleType):
        imports.add(_import_module(value, name))
    elif _importable(value):
        imports.add(_import_from(value, name))
    elif isinstance(value, type):
        text = _class_source(name)
        if text is None:
            raise StrayVariable(name, user)
        pieces[name] = text
        for used in sorted(_global_names(compile(text, "<class>", "exec")) - {name}):
            if used in scope:
                _collect_value(used, scope, name, imports, pieces)
        pieces[name] = pieces.pop(name)  # after what it needs
    elif inspect.isfunction(inspect.unwrap(value)) and value.__name__ != "<lambda>":
        own = value.__name__
        if own != name and own in pieces:
            raise StrayVariable(name, user)  # two functions would share a name
        if own not in pieces:
            _collect(value, imports, pieces)
        if own != name:
            pieces[name] = f"{name} = {own}\n"
    elif name.isupper() and (text := _literal(value)):
        imports |= {"import re\n"} if isinstance(value, re.Pattern) else set()
        imports |= {"import torch\n"} if text.startswith("torch.") else set()
        pieces[name] = f"{name} = {text}\n"
    elif (home := _constant_of_a_module(name, value)) is not None:
        imports.add(f"from {home} import {name}\n")
    else:
        raise StrayVariable(name, user)


def _literal(value: Any) -> str | None:
    """A constant as source text; None for what is more than a constant."""
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, re.Pattern):
        return f"re.compile({value.pattern!r}, {int(value.flags)})"
    if isinstance(value, torch.dtype):
        return repr(value)
    try:
        return repr(value) if ast.literal_eval(repr(value)) == value else None
    except Exception:
        return None


def _constant_of_a_module(name: str, value: Any) -> str | None:
    """Where `from math import pi` and its like have come from."""
    homes = ("math", "cmath", "string", "torch", "numpy", "sys", "os")
    return next((h for h in homes if getattr(sys.modules.get(h), name, _collect) is value), None)


def _class_source(name: str) -> str | None:
    """The last statement of a cell that made a class of this name. inspect.getsource cannot tell
    for classes of a notebook."""
    for filename in reversed(list(linecache.cache)):
        entry = linecache.cache[filename]
        if len(entry) < 3 or not source.is_cell(filename):
            continue
        text = "".join(entry[2])
        try:
            body = ast.parse(text).body
        except SyntaxError:  # a cell with %magic in it
            continue
        for statement in reversed(body):
            targets = getattr(statement, "targets", [])
            names = {t.id for t in targets if isinstance(t, ast.Name)}
            if name in names or (isinstance(statement, ast.ClassDef) and statement.name == name):
                first = min([statement, *getattr(statement, "decorator_list", [])],
                            key=lambda node: node.lineno)  # fmt: skip
                return "\n".join(text.splitlines()[first.lineno - 1 : statement.end_lineno]) + "\n"
    return None


def _global_names(code: CodeType) -> set[str]:
    """Every global that the code, or a function or class inside it, reads."""
    opened = list(dis.get_instructions(code))
    kept = {i.argval for i in opened if i.opname == "STORE_NAME"} | {"__name__"}
    names = {
        i.argval
        for i in opened
        if i.opname in ("LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
        or (i.opname == "LOAD_NAME" and i.argval not in kept)
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _global_names(constant)
    return names


def _names_at_definition(text: str) -> set[str]:
    """Names in defaults and decorators, which are read when the function is defined."""
    node: Any = ast.parse(text).body[0]
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
    public: Any = sys.modules.get(home.lstrip("_"))  # heapq.heappush says that it lives in _heapq
    if getattr(public, own, None) is value:
        home = public.__name__
    return f"from {home} import {own}" + (f" as {name}\n" if own != name else "\n")
