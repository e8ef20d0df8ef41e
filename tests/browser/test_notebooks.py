"""Every notebook in JupyterLab, as a reader has it: run all, then move what can be moved.

A notebook is one test, since running it is what takes long: it goes on after a fault, and all that
was found is told at its end, and kept in a line of `findings.jsonl` beside the pictures.
"""

import json
import os

import pytest

from llamalab.course.catalogue import questions
from tests.browser import play
from tests.browser.chats import talk
from tools.notebooks import find

PATHS = find((os.environ.get("LLAMALAB_BROWSER_ONLY") or "").split() or None)
FAINT = 3.0  # a contrast below which words cannot be read: JupyterLab's own themes keep above


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_in_a_browser(path, opened, out):
    book = opened(path.name)
    found = {"notebook": path.stem, "seconds": round(book.run_all(), 1)}
    wrong = book.errors()
    cells = book.cells()
    asked = {f"quiz.{q.name}.ask()": q for q in questions()[path.name[:2]]}
    found |= {"sliders": 0, "chosen": 0, "buttons": 0, "questions": 0, "chats": 0}
    for place in book.cells_with_widgets():
        source = "".join(cells[place]["source"]).strip()
        wrong += play.names(book, place) + play.tabs(book, place)
        if source in asked:
            wrong += play.ask(book, place, asked[source])
            found["questions"] += 1
            continue
        chat = "chat_box(" in source
        moved, faults = play.slide(book, place, drawn=not chat)
        used, more = play.choose(book, place)
        found["sliders"] += moved
        found["chosen"] += used
        wrong += faults + more
        if chat:
            wrong += talk(book, place)
            found["chats"] += 1
        else:
            pressed, faults = play.press(book, place)
            found["buttons"] += pressed
            wrong += faults + play.type_in(book, place, "the old boat")
    if found["questions"] != len(asked):
        wrong.append(f"{found['questions']} of {len(asked)} questions are in the page")
    pictures = []
    for theme in ("light", "dark"):
        pictures += book.shoot(out, theme)
        wrong += [f"{theme}: {words}" for words in book.faint(FAINT)]
    found |= {"pictures": len(pictures), "wrong": wrong + book.troubles}
    with open(out / "findings.jsonl", "a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(found) + "\n")
    assert not found["wrong"], "\n".join(found["wrong"])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_it_can_be_read_before_it_is_run(path, opened):
    """The stored outputs, in a notebook that is not trusted yet: words in both themes, pictures."""
    book = opened(path.name)
    for theme in ("light", "dark"):
        book.theme(theme)
        assert book.faint(FAINT) == []
    broken = book.page.eval_on_selector_all(
        ".jp-OutputArea-output img",
        "all => all.filter(p => !(p.complete && p.naturalWidth)).length",
    )
    assert broken == 0 and book.errors() == book.troubles == []
