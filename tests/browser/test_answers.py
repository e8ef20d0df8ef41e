"""A learner types answers into notebook 02, and reads what the check says of each."""

import pytest

from llamalab.course.catalogue import find
from llamalab.course.engine.source import source_of
from llamalab.course.lessons.nb02 import rms_norm as bank

NAME = "02_embeddings_and_rmsnorm.ipynb"
EXERCISE = find("rms_norm")


@pytest.fixture(scope="module")
def book(opened):
    book = opened(NAME)
    book.run_cell(book.place(lambda cell: "from llamalab.course import ex, quiz" in cell["source"]))
    return book


def answer(book, source=None):
    """Perhaps type an answer, run it and its check with Shift+Enter; what the card says."""
    places = {
        kind: book.place(lambda cell, k=kind: cell["metadata"].get("nbgrader", {}).get("grade_id")
                         in (EXERCISE.name, f"check-{EXERCISE.name}")
                         and cell["metadata"]["nbgrader"][k])
        for kind in ("solution", "grade")
    }  # fmt: skip
    if source is not None:
        book.type(places["solution"], source)
    for place in places.values():
        book.run_cell(place)
    assert book.errors() == []
    return " ".join(book.words(places["grade"]).split())


def wrong_source(name):
    """A wrong answer of the bank, as a learner would have typed it."""
    source = source_of(getattr(bank, name))
    return source[source.index("def ") :].replace(f"def {name}", f"def {EXERCISE.name}", 1)


def test_blank_it_is_not_attempted(book, course):
    assert "Not attempted yet" in answer(book)
    assert not (course / "my_llama" / "rms_norm.py").exists()


@pytest.mark.parametrize("name", ["subtracts_the_mean", "sum_for_mean", "forgets_the_root"])
def test_a_known_wrong_answer_is_named(book, course, name):
    said = answer(book, wrong_source(name))
    (named,) = [m.says for m in EXERCISE.misconceptions if m.name == name]
    assert " ".join(named.replace("`", "").split()) in said
    assert not (course / "my_llama" / "rms_norm.py").exists()


def test_the_solution_that_is_shown_passes_and_is_kept(book, course):
    place = book.place(lambda cell: cell["metadata"].get("tags") == ["bootstrap"])
    book.run_cell(place, "from llamalab.course import ex\nex.rms_norm.solution()")
    shown = book.cell(place).query_selector(".jp-OutputArea-output pre").inner_text()
    said = answer(book, shown)
    assert f"Correct: {EXERCISE.points} points" in said
    assert "def rms_norm" in (course / "my_llama" / "rms_norm.py").read_text(encoding="utf-8")


def test_the_cards_in_both_themes(book, out):
    """A card leaves the background to the page: its words stand out from both."""
    for theme in ("light", "dark"):
        assert book.shoot(out / "cards", theme)
        assert book.faint() == []
    assert book.troubles == []
