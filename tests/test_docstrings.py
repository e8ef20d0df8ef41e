"""A public function that raises says so: its docstring names the error."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "llamalab"
# Course and command line say what is wrong to a person, in a card or a sentence.
FILES = [p for p in sorted(PACKAGE.rglob("*.py")) if not {"course", "cli"} & set(p.parts)]


def raised(function: ast.AST) -> set[str]:
    """The errors that the function's own body raises by name."""
    found, waiting = set(), list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Lambda)):
            continue  # a function inside is another one
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = node.exc.func
            found |= {name.id} if isinstance(name, ast.Name) else set()
        waiting += ast.iter_child_nodes(node)
    return found


def public(tree: ast.AST, inside: str = ""):
    """(name, node, the docstrings that may speak for it): functions and methods, by their path."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public(node, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef):
            speaks = ast.get_docstring(node) or ""
            made = node.name in ("__init__", "__post_init__", "__call__", "__new__")
            if inside and made:  # what makes an object is told where the class is
                speaks += ast.get_docstring(tree) or ""
            if made or not node.name.startswith("_"):
                yield inside + node.name, node, speaks


def silent(text: str) -> list[str]:
    """What is raised without a word, as "function: Error"."""
    return [
        f"{name}: {error}"
        for name, node, speaks in public(ast.parse(text))
        for error in sorted(raised(node))
        if error not in speaks and error not in ("Exit", "KeyboardInterrupt", "AttributeError")
    ]


@pytest.mark.parametrize("file", FILES, ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_a_function_that_raises_names_the_error(file):
    assert silent(file.read_text(encoding="utf-8")) == []


def test_the_test_can_fail():
    text = 'def f(x):\n    """Half of x."""\n    if x:\n        raise ValueError("odd")\n'
    assert silent(text) == ["f: ValueError"]
    assert silent(text.replace("Half of x.", "Half of x; ValueError if it is odd.")) == []
    assert silent(text.replace("def f", "def _f")) == []
