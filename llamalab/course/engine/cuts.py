"""Which cut of a gradient, in a function's own text, lies on an argument's way to the result.

A function may have to cut some ways (`logp_old.detach()`), and then the first cut in its text is
seldom the guilty one. What each name is made of is followed from line to line; a cut counts if
what it cuts off is made of the argument in question, and if what comes of it is returned.
"""

import ast
from collections.abc import Callable, Iterator

from llamalab.course.engine import source

METHODS = ("detach", "detach_", "data", "item", "numpy", "tolist", "requires_grad_")
BLOCKS = ("no_grad", "inference_mode", "set_grad_enabled")


def cut_words(function: Callable, place: str) -> str:
    """What in the function's own text is known to cut off the gradient of `place` ("x",
    "weights[0]"), as a sentence; nothing where nothing is found."""
    try:
        tree = ast.parse(source.source_of(function)).body[0]
    except source.NoSource:
        return ""
    argument = place.split("[")[0]
    made_of = _made_of(tree)
    wanted = {n for node in ast.walk(tree) if isinstance(node, ast.Return) for n in _names(node)}
    wanted |= {n for name in wanted for n in made_of.get(name, ())}
    for line, shown, cut_off, into in sorted(_cuts(tree, None), key=lambda cut: cut[0]):
        names = {n for node in cut_off or () for n in _names(node)}
        if into is not None and not into & wanted:
            continue  # what comes of it is printed, or looked at
        if (
            cut_off is None
            or argument in names
            or any(argument in made_of.get(n, ()) for n in names)
        ):
            return f" Look at `{shown}` in line {line} of the function."
    return ""


Cut = tuple[int, str, list[ast.AST] | None, set[str] | None]


def _cuts(node: ast.AST, into: set[str] | None) -> Iterator[Cut]:
    """(line, how it is shown, what it cuts off, or None for all; the names that the outcome goes
    into, or None for what is returned) of every known cut in this node."""
    if isinstance(node, ast.Attribute) and node.attr in METHODS:
        yield node.end_lineno or node.lineno, f".{node.attr}", [node.value], into
    elif isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.tensor":
        yield node.lineno, "torch.tensor", list(node.args), into
    elif isinstance(node, ast.With):
        for item in node.items:
            for name in BLOCKS:
                if name in ast.unparse(item.context_expr):
                    yield item.context_expr.lineno, name, list(node.body), _made_in(node)
    elif isinstance(node, ast.Expr) and "set_grad_enabled" in ast.unparse(node):
        yield node.lineno, "set_grad_enabled", None, None  # all that follows, or nearly
    elif isinstance(node, ast.FunctionDef):
        for decorator in node.decorator_list:
            for name in BLOCKS:
                if name in ast.unparse(decorator):
                    yield decorator.lineno, name, [node], None
    if isinstance(node, ast.Return):
        into = None
    elif isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef):
        into = {n for target, _ in _assignments(node) for n in _names(target)}
        if isinstance(node, ast.Expr):
            into = {n for target, _ in _assignments(node.value) for n in _names(target)}
            into |= _changed(node.value)
    for child in ast.iter_child_nodes(node):
        yield from _cuts(child, into)


def _changed(node: ast.AST) -> set[str]:
    """The names in x of x.something_(); none for anything else."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _names(node.func) if node.func.attr.endswith("_") else set()
    return set()


def _made_in(block: ast.With) -> set[str] | None:
    """The names that a block gives a value; None if it returns."""
    inside = [node for part in block.body for node in ast.walk(part)]
    if any(isinstance(node, ast.Return) for node in inside):
        return None
    return {n for node in inside for target, _ in _assignments(node) for n in _names(target)}


def _made_of(tree: ast.AST) -> dict[str, set[str]]:
    """name -> all names that its value is made of, near and far."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        for target, value in _assignments(node):
            for name in _names(target):
                found.setdefault(name, set()).update(_names(value))
    growing = True
    while growing:
        growing = False
        for name, names in found.items():
            more = set().union(*(found.get(n, set()) for n in names)) - names
            found[name], growing = names | more, growing or bool(more)
    return found


def _assignments(node: ast.AST) -> Iterator[tuple[ast.AST, ast.AST]]:
    """(what is assigned to, the value), also of loops, x.append(value), x.add_(value)."""
    if isinstance(node, ast.Assign):
        if _pairs(node.targets[0], node.value):
            yield from zip(node.targets[0].elts, node.value.elts)  # type: ignore[attr-defined]
        else:
            yield from ((target, node.value) for target in node.targets)
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.NamedExpr)) and node.value:
        yield node.target, node.value
    elif isinstance(node, (ast.For, ast.comprehension)):
        yield node.target, node.iter
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("append", "extend", "insert") or node.func.attr.endswith("_"):
            yield from ((node.func.value, value) for value in node.args)


def _pairs(target: ast.AST, value: ast.AST) -> bool:
    """Whether it reads a, b = c, d."""
    if not (isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)):
        return False
    return len(target.elts) == len(value.elts)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
