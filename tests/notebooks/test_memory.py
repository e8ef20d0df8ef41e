"""No notebook takes more than 1 GB, solved; time is reported by benchmarks/notebooks.py, not
tested."""

import nbformat
import pytest

from benchmarks.notebooks import measure
from tools import notebooks as tool

LIMIT = 10**9


@pytest.mark.parametrize("path", tool.find(), ids=lambda path: path.stem)
def test_under_a_gigabyte(path):
    seconds, peak = measure(path, solved=True)
    assert peak < LIMIT, f"{path.name} took {peak / 1e6:,.0f} MB"
    assert peak > 50e6 and seconds > 0.5, "nothing was measured"


def test_a_peak_is_seen_even_when_it_is_given_back(tmp_path):
    cell = nbformat.v4.new_code_cell("x = b'1' * 1_100_000_000\ndel x")
    path = tmp_path / "large.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), path)
    assert measure(path)[1] > LIMIT
