"""README's reading order names every file of the book, and none of them is long."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "llamalab"
BOOK = ("config.py", "model.py", "recipe.py", "sampling.py")
ROOMS = (
    "tokenizer", "layers", "training", "generation", "quantization", "accounting", "alignment",
)  # fmt: skip
SKIPPED = {"generation/fused.py", "training/fused.py"}


def book() -> set[str]:
    files = [PACKAGE / name for name in BOOK]
    files += [path for room in ROOMS for path in (PACKAGE / room).glob("*.py")]
    names = {path.relative_to(PACKAGE).as_posix() for path in files}
    return {name for name in names if not name.endswith("__init__.py")}


def test_the_reading_order_names_every_file_once():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    order = readme.partition("<!-- book -->")[2].partition("<!-- /book -->")[0]
    named, room = [], ""
    for name in re.findall(r"`([a-z_0-9]+(?:/|\.py))`", order):
        if name.endswith("/"):
            room = name
        else:
            named.append(name if name in BOOK else room + name)
    assert len(named) == len(set(named))
    assert set(named) == book() - SKIPPED


def test_no_file_of_the_book_is_long():
    for name in book():
        lines = len((PACKAGE / name).read_text(encoding="utf-8").splitlines())
        assert lines <= 200, f"{name} has {lines} lines: which two ideas are in it?"
