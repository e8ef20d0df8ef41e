"""One of each control, in a notebook made for it: what a screen reader tells of it, and that it can
be moved without a mouse. The quick part: no lesson is run."""

import nbformat
import pytest

from llamalab.course.catalogue import questions
from tests.browser import play
from tests.browser.chats import talk

EXPLORER = """
from llamalab.course import quiz
from llamalab.course.figures import Choice, Slider, Switch, Words, explorer
from llamalab.course.figures.html import tag
from llamalab.course.lessons.nb10.comparing import Card, compare_box, deal

def drawn(size, theta, **rest):
    dot = tag("circle", cx=size, cy=theta, r=5)
    return tag("svg", dot, width=50, height=50, role="img", aria_label=f"a dot {rest}")

explorer(
    [Slider("size", 3, 0, 10), Slider("theta", 100, values=(1, 100, 10_000)),
     Choice("kind", "flat", ("flat", "round")), Switch("masked", True), Words("text", "hello")],
    picture=drawn, words=lambda **values: str(values),
)
"""
COMPARE = """
compare_box(deal([Card("A story?", "Once.", "Twice.", (0, 1), n) for n in range(6)], (1, 4)))
"""
CHAT = """
import llamalab
from llamalab.course.figures import chat_box

model, tokenizer = llamalab.load("chat")
chat_box({"one": model, "other": model}, tokenizer)
"""


@pytest.fixture(scope="module")
def book(opened, course):
    sources = [EXPLORER, "quiz.rope_why_not_v.ask()", COMPARE, CHAT]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells.append(nbformat.v4.new_markdown_cell("# A cell for the cursor to go to"))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(made, course / "notebooks" / "controls.ipynb")
    book = opened("controls.ipynb")
    book.run_all()
    assert book.errors() == []
    assert book.until(lambda: len(book.cells_with_widgets()) == 4)
    return book


def test_each_has_a_name_and_is_reached_by_tab(book):
    for place in range(4):
        assert play.names(book, place) == []
        assert play.tabs(book, place) == []
    told = [book.spoken(control) for control in book.controls(0)]
    assert told == [("slider", "size"), ("slider", "theta"), ("combobox", "kind"),
                    ("checkbox", "masked"), ("textbox", "text")]  # fmt: skip


def test_a_slider_tells_its_value_and_not_its_place(book):
    size, theta = book.controls(0, play.SLIDERS)
    assert theta.get_attribute("aria-valuetext") == "100"  # its place is 1
    assert play.slide(book, 0) == (2, [])  # which brings them back
    theta.press("End")
    assert book.until(lambda: theta.get_attribute("aria-valuetext") == "10,000")
    size.press("ArrowLeft")
    assert book.until(lambda: size.get_attribute("aria-valuetext") == "2")


def test_an_arrow_key_chooses_and_the_cursor_stays(book):
    old = book.controls(0, play.SLIDERS)
    book.run_cell(0)
    assert book.until(lambda: not any(control.evaluate("e => e.isConnected") for control in old))
    assert book.until(lambda: [book.spoken(c)[1] for c in book.controls(0)][:1] == ["size"])
    assert play.choose(book, 0) == (2, [])
    assert book.active() == 0


def test_a_question_is_asked_and_every_option_answers(book):
    question = next(q for q in questions()["03"] if q.name == "rope_why_not_v")
    group = book.cell(1).query_selector(".widget-radio-box")
    assert book.spoken(group) == ("radiogroup", question.text)
    book.page.set_viewport_size({"width": 800, "height": 900})  # its longest option is longer
    assert play.ask(book, 1, question) == []
    book.page.set_viewport_size({"width": 1300, "height": 900})
    assert book.active() == 1


def test_words_typed_and_buttons_pressed(book):
    assert play.type_in(book, 0, "another") == []
    assert play.press(book, 2) == (3, [])


def test_a_chat_answers_stops_and_forgets(book):
    assert play.slide(book, 3, drawn=False) == (3, [])
    assert talk(book, 3) == []


def test_what_changes_is_read_out(book):
    for place in range(4):
        assert book.cell(place).query_selector(".widget-html-content[role=status]"), place


def test_words_can_be_read_in_both_themes(book, out):
    for theme in ("light", "dark"):
        assert book.shoot(out / "controls", theme)
        assert book.faint(3.0) == []
    paper = "<table><tbody style='color:#222'><tr><td>unread</td></tr><tr><td>two</td></tr>"
    book.run_cell(1, f"from IPython.display import HTML\nHTML({paper!r})")
    assert book.until(lambda: "unread" in book.words(1))
    assert any("'unread'" in words for words in book.faint(3.0))  # dark words on a dark page


def test_nothing_went_wrong_in_the_page(book):
    assert book.troubles == []
