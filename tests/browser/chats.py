"""A conversation in a notebook: what is typed is answered, piece by piece; Stop and Clear work."""

from llamalab.course.figures.reach import SAYS
from tests.browser.driver import Notebook
from tests.browser.play import SLIDERS

NOTHING = "Nothing has been said yet."
LINE = "input[placeholder*=Enter]"
COUNTS_GROWTH = """cell => {
  window.lengths = new Set();
  const look = () => window.lengths.add(cell.querySelector('[role=log]').innerText.length);
  new MutationObserver(look).observe(cell, {subtree: true, childList: true, characterData: true});
}"""  # every length that the log comes through, however fast


def talk(book: Notebook, place: int) -> list[str]:
    """Type a request and press Enter; then Send and Stop; then Clear. What went wrong."""
    wrong = []

    def log() -> str:
        return book.cell(place).query_selector("[role=log]").inner_text()

    def button(name: str):
        return next(b for b in book.controls(place, "button") if b.inner_text() == name)

    def type_(words: str) -> None:
        book.controls(place, LINE)[0].fill(words)

    def remark() -> str:
        return book.cell(place).query_selector(f".{SAYS} .widget-html-content").inner_text()

    # Enter, and the answer grows
    book.cell(place).evaluate(COUNTS_GROWTH)
    type_("Tell me a story about a bear.")
    book.page.keyboard.press("Enter")
    if not book.until(lambda: "about a bear." in log()):
        wrong.append(f"cell {place}: Enter does not send what was typed")
    if not book.until(lambda: remark() != "…", 300):
        wrong.append(f"cell {place}: no end after 300 s: {log()[-200:]!r}")
    if not book.until(lambda: book.page.evaluate("window.lengths.size") > 2):
        wrong.append(f"cell {place}: behind the request the answer did not come in pieces")

    # Send, with room for a long answer, and Stop by keyboard
    before = log()
    book.controls(place, SLIDERS)[-1].press("End")
    type_("Tell me another one, and a long one.")
    button("Send").click()
    if not book.until(lambda: "a long one." in log()):
        wrong.append(f"cell {place}: Send does not send what was typed")
    button("Stop").press("Enter")
    if not book.until(lambda: "stopped." in remark()):
        wrong.append(f"cell {place}: Stop does not stop: {log()[len(before) :][:200]!r}")

    # Clear
    button("Clear").click()
    if not book.until(lambda: log().strip() == NOTHING):
        wrong.append(f"cell {place}: Clear does not clear: {log()!r}")
    return wrong
