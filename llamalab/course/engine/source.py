"""Reading a function's source: its text, whether it is still the stub, what it calls of ours."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any


class NoSource(Exception):
    """There is no Python source to keep: a built-in, a lambda in a call, a partial."""


DRAWING = {
    "rand", "randn", "randint", "randperm", "rand_like", "randn_like", "multinomial", "bernoulli",
    "shuffle", "default_rng",
}  # fmt: skip


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
        definition: Any = ast.parse(source_of(function)).body[0]
        body = definition.body
    except NoSource:
        return False
    return all(_says_nothing(statement) for statement in body)


def has_gaps(function: Callable) -> bool:
    """Whether a `...` still stands somewhere in the function, other than in an index."""
    try:
        tree = ast.parse(source_of(function))
    except NoSource:
        return False
    indices = [n.slice for n in ast.walk(tree) if isinstance(n, ast.Subscript)]
    innocent = {id(n) for index in indices for n in ast.walk(index)}
    return any(
        isinstance(n, ast.Constant) and n.value is Ellipsis and id(n) not in innocent
        for n in ast.walk(tree)
    )


def _says_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Return) and statement.value is None:
        return True
    if isinstance(statement, (ast.Expr, ast.Return)) and isinstance(statement.value, ast.Constant):
        value = statement.value.value
        docstring = isinstance(statement, ast.Expr) and isinstance(value, str)
        return value is Ellipsis or docstring
    if isinstance(statement, ast.Raise):
        return "NotImplementedError" in ast.dump(statement)
    return False


def used_from(function: Callable, package: str) -> Iterator[Callable]:
    """The functions of a package that the function uses, by name or as a module's attribute."""
    code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
    names = _names(code) if code else set()
    for value in [scope[name] for name in names if name in scope]:
        inside = isinstance(value, ModuleType) and value.__name__.split(".")[0] == package
        for found in [getattr(value, n, None) for n in names] if inside else [value]:
            if inspect.isfunction(found) and found.__module__.split(".")[0] == package:
                yield found


def draws(function: Callable) -> bool:
    """Whether the function, or one inside it, names something that draws at random."""
    code = getattr(function, "__code__", None)
    return bool(code and _names(code) & DRAWING)


def is_cell(filename: str) -> bool:
    """Whether code of this file name was typed into a notebook or a terminal."""
    return any(mark in filename for mark in ("ipykernel", "<ipython-input", "<cell", "<stdin"))


def _names(code: CodeType) -> set[str]:
    """Every name, attributes too, that the code or a function inside it mentions."""
    inner = [_names(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return set(code.co_names).union(*inner)
