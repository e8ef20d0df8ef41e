"""What a reader does with the controls of a cell, by keyboard and by mouse, and what must follow.

Each function gives what went wrong, a sentence each; an empty list says that all is well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.browser.driver import Notebook

if TYPE_CHECKING:
    from playwright.sync_api import ElementHandle

SLIDERS, LISTS, TOGGLES = ".noUi-handle", "select", "input[type=checkbox]"
RADIOS, BUTTONS, LINES = "input[type=radio]", "button", "input[type=text]"
# Whether the words of an option end before their output does.
WHOLE = """radio => {
  const words = document.createRange();
  words.selectNodeContents(radio.parentElement);
  const page = radio.closest('.jp-OutputArea-output').getBoundingClientRect();
  return words.getBoundingClientRect().right <= page.right;
}"""


def names(book: Notebook, place: int) -> list[str]:
    """Each control has a role and a name that a screen reader tells, and no two the same."""
    wrong, found = [], []
    for control in book.controls(place):
        role, name = book.spoken(control)
        found.append((role, name))
        if not name:
            wrong.append(f"cell {place}: a {role} without a name")
    wrong += [f"cell {place}: {n} times {one}" for one, n in Counter(found).items() if n > 1]
    for title in book.cell(place).query_selector_all(".jp-OutputArea-output [title=null]"):
        if title.is_visible():
            wrong.append(f"cell {place}: {title.inner_text()!r} has the tooltip 'null'")
    return wrong


def tabs(book: Notebook, place: int) -> list[str]:
    """Tab comes to each control, from the first one on; to one of a group of radio buttons."""
    controls = book.controls(place)
    if not controls:
        return []
    book.page.evaluate("window.reached = []")
    controls[0].focus()
    for _ in range(3 * len(controls) + 3):  # a slider's number can be typed: a stop of its own
        book.page.evaluate("window.reached.push(document.activeElement)")
        book.page.keyboard.press("Tab")
    return [
        f"cell {place}: Tab does not come to {book.spoken(control)}"
        for control in controls
        if not control.evaluate(
            "e => window.reached.some(r => r === e || (e.type === 'radio' && r.type === 'radio'"
            " && e.name && r.name === e.name))"
        )
    ]


def value_of(slider: ElementHandle) -> str:
    return slider.evaluate("e => e.closest('.widget-slider').querySelector('.widget-readout')"
                           ".textContent")  # fmt: skip


def slide(book: Notebook, place: int, drawn: bool = True) -> tuple[int, list[str]]:
    """Each slider by an arrow key, and back: number and picture change, and a reader is told the
    number. Without `drawn` the slider says how something will be done, and has no picture."""
    look = book.pictures if book.pictures(place) else book.seen  # some are drawn in HTML
    wrong, moved = [], 0
    for slider in book.controls(place, SLIDERS):
        name, before, picture = book.spoken(slider)[1], value_of(slider), look(place)
        last = slider.get_attribute("aria-valuenow") == slider.get_attribute("aria-valuemax")
        there, back = ("ArrowLeft", "ArrowRight") if last else ("ArrowRight", "ArrowLeft")
        changed, presses = False, 0
        while not changed and presses < (4 if drawn else 1):
            slider.press(there)  # a step may change a picture by less than a dot
            presses += 1
            changed = drawn and book.until(lambda p=picture: look(place) != p, 15)
        after = value_of(slider)
        if after == before:
            wrong.append(f"cell {place}: the slider {name} stays at {before}")
        if drawn and not changed:
            wrong.append(f"cell {place}: {name} from {before} to {after}, and the same picture")
        if not book.until(lambda s=slider: s.get_attribute("aria-valuetext") == value_of(s), 5):
            told = slider.get_attribute("aria-valuetext")
            wrong.append(f"cell {place}: {name} shows {value_of(slider)} and tells {told}")
        for _ in range(presses):  # so that it does not hide what the next one does
            slider.press(back)
        if value_of(slider) != before:
            wrong.append(f"cell {place}: {name} was {before}, and is {value_of(slider)} again")
        if changed and not book.until(lambda p=picture: look(place) == p):
            wrong.append(f"cell {place}: {name} is {before} again, and the picture is another")
        moved += 1
    return moved, wrong


def choose(book: Notebook, place: int) -> tuple[int, list[str]]:
    """Each list of options by an arrow key, each switch by Space and by a click."""
    wrong, used = [], 0
    for control in book.controls(place, f"{LISTS}, {TOGGLES}"):
        name = book.spoken(control)[1]
        last = control.evaluate("e => e.options && e.selectedIndex === e.options.length - 1")
        switch = control.evaluate("e => e.type === 'checkbox'")
        for way in ("Space", "click") if switch else ("ArrowUp" if last else "ArrowDown",):
            before, seen = chosen(control), book.seen(place)
            if not hit(book, control, way, lambda c=control, b=before: chosen(c) != b):
                wrong.append(f"cell {place}: {way} does not change {name}")
            elif not book.until(lambda s=seen: book.seen(place) != s):
                wrong.append(f"cell {place}: {way} changes {name}, and nothing follows")
        used += 1
    return used, wrong


def chosen(control: ElementHandle):
    """Which option of a list, or whether a switch is on."""
    return control.evaluate("e => e.tagName === 'SELECT' ? e.selectedIndex : e.checked")


def press(book: Notebook, place: int) -> tuple[int, list[str]]:
    """Each button by mouse, by Enter and by Space: something changes. Another is pressed before,
    since one that begins anew has nothing to do at the beginning."""
    wrong, used = [], 0
    for number, name in enumerate([book.spoken(b)[1] for b in book.controls(place, BUTTONS)]):
        for way in ("click", "Enter", "Space"):
            buttons = book.controls(place, BUTTONS)
            if number >= len(buttons) or book.spoken(buttons[number])[1] != name:
                wrong.append(f"cell {place}: {name} is out of use before {way}")
                break
            seen = book.seen(place)
            if len(buttons) > 1:
                hit(book, buttons[number - 1], "click", lambda s=seen: book.seen(place) != s, 3)
                seen = book.seen(place)
            if not hit(book, buttons[number], way, lambda s=seen: book.seen(place) != s):
                wrong.append(f"cell {place}: {way} on {name}, and nothing follows")
        used += 1
    return used, wrong


def hit(
    book: Notebook, control: ElementHandle, way: str, follows: Callable[[], bool], seconds=20.0
) -> bool:
    """Click on it, or come to it and press a key; whether what must follow does."""
    if way == "click":
        control.click()
    else:
        control.press(way)
    return book.until(follows, seconds)


def ask(book: Notebook, place: int, question) -> list[str]:
    """A quiz: the first option by Space, the others by an arrow key, the first again by a click;
    each gives its own words."""
    wrong = []
    radios = book.controls(place, RADIOS)
    if len(radios) != len(question.options):
        return [f"cell {place}: {len(radios)} options in the page, {len(question.options)} written"]
    for number, radio in enumerate(radios, 1):
        if not radio.evaluate(WHOLE):
            wrong.append(f"cell {place}: option {number} is cut off at the edge")
    ways = ["Space", *["ArrowDown"] * (len(radios) - 1), "click"]
    for way, number in zip(ways, [*range(1, len(radios) + 1), 1]):
        radio = radios[number - 1]
        if way == "Space":
            radio.press(way)
        elif way == "click":
            radio.click()
        else:  # from where the last one left it
            book.page.keyboard.press(way)
        expected = " ".join(question.answer(number).split())
        if not book.until(lambda e=expected: e in " ".join(book.words(place).split()), 20):
            wrong.append(f"cell {place}: {way} on option {number} does not answer {expected!r}")
    return wrong


def type_in(book: Notebook, place: int, words: str) -> list[str]:
    """Each line that is no chat: what is typed changes what is shown, after Enter."""
    wrong = []
    for line in book.controls(place, LINES):
        seen = book.seen(place)
        line.fill(words)
        line.press("Enter")
        if not book.until(lambda s=seen: book.seen(place) != s):
            wrong.append(f"cell {place}: {words!r} in {book.spoken(line)[1]}, and nothing follows")
    return wrong
