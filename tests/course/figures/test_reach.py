"""Every box of controls carries what mends it, unseen; what it does in a page: tests/browser."""

import pytest

from llamalab.course.catalogue import questions
from llamalab.course.figures import Choice, Slider, explorer
from llamalab.course.figures.reach import ASKS, MEND, SAYS, reach
from llamalab.course.lessons.nb07.figures import Monitor as Pretraining
from llamalab.course.lessons.nb09.tuning_figures import Monitor as Tuning
from llamalab.course.lessons.nb10.comparing import Card, compare_box
from llamalab.course.lessons.nb10.figures import Monitor as Rewards
from llamalab.course.lessons.nb11.figures import Monitor as Policies

pytest.importorskip("ipywidgets")

BOXES = {
    "explorer": lambda: explorer(
        [Slider("size", 1, 0, 3), Choice("kind", "a", "ab", label="a kind")],
        picture=lambda **values: "",
        words=lambda **values: "A sentence.",
    ),
    "quiz": lambda: questions()["03"][0].ask(),
    "comparison": lambda: compare_box([Card("A story?", "Once.", "Twice.", (0, 1), 0)]),
    "pretraining": lambda: Pretraining(1024, 3),
    "tuning": lambda: Tuning(3),
    "rewards": lambda: Rewards(3),
    "policies": lambda: Policies(3),
}


@pytest.mark.parametrize("make", BOXES.values(), ids=BOXES)
def test_a_box_ends_in_what_mends_it(make):
    last = make().widget.children[-1]
    assert last.outputs[0]["data"] == {"application/javascript": MEND, "text/plain": ""}
    assert last.layout.display == "none"


def test_the_script_knows_the_classes():
    assert f".{SAYS} " in MEND and f".{ASKS} " in MEND and MEND.isascii()
    assert MEND.count("{") == MEND.count("}") and MEND.count("(") == MEND.count(")")
    assert reach() is not reach()  # a widget stands in one box


def test_what_speaks_and_what_asks_are_marked():
    question, _, reply, _ = BOXES["quiz"]().widget.children
    assert ASKS in question._dom_classes and SAYS in reply._dom_classes
    shown = BOXES["explorer"]().widget.children[2]
    assert SAYS in shown._dom_classes


def test_no_label_has_the_tooltip_null():
    box = BOXES["explorer"]().widget
    assert [box.size.tooltip, box.kind.tooltip] == ["size", "a kind"]
