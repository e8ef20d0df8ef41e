"""One notebook in a browser: open it, run it, and ask what is there.

    book = Notebook(page, address, "03_rope.ipynb")
    book.run_all()
    book.errors(), book.troubles       # of its cells; of the page and its console
    for cell in book.cells_with_widgets(): ...

`seen(cell)` is what a reader would look at: a mark of the pictures and of the words that an output
shows, so that "something changed" can be told from "nothing did".
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from re import findall
from typing import TYPE_CHECKING, Any

from llamalab.course.figures.palette import contrast

if TYPE_CHECKING:  # without playwright the tests are still collected, and skipped
    from playwright.sync_api import ElementHandle, Page

RUN = 1_800_000  # milliseconds that a notebook may take: other work may run beside it
SOON = 60.0  # seconds in which a control must have been answered
NOTEBOOK = "window.jupyterapp.shell.currentWidget"

CONTROLS = ".noUi-handle, input:not([type=hidden]), select, textarea, button, .widget-toggle-button"
# Chatter of the browser and of JupyterLab itself, which no notebook can help.
CHATTER = ("ResizeObserver loop", "favicon.ico", "[Violation]", "WebGL", "plugin")


class Notebook:
    def __init__(self, page: Page, address: str, name: str):
        self.page, self.name = page, name
        self.troubles: list[str] = []
        page.on("pageerror", lambda error: self._trouble("page", str(error)))
        page.on("console", self._console)
        page.goto(f"{address}/lab/tree/notebooks/{name}?reset", timeout=120_000)
        page.wait_for_function(
            f"() => window.jupyterapp && {NOTEBOOK}?.context?.isReady "
            f"&& {NOTEBOOK}.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=120_000,
        )  # fmt: skip

    # --- run --------------------------------------------------------------------------------------

    def command(self, name: str, **arguments: Any) -> None:
        """One of JupyterLab's commands, until it has ended."""
        self.page.evaluate("([n, a]) => window.jupyterapp.commands.execute(n, a).then(() => null)",
                           [name, arguments])  # fmt: skip

    def run_all(self) -> float:
        """Every cell, as the menu does it; the seconds that it took."""
        began = time.monotonic()
        self.page.evaluate(
            "() => { window.ran = false; window.jupyterapp.commands"
            ".execute('notebook:run-all-cells').finally(() => { window.ran = true; }); }"
        )
        self.page.wait_for_function("() => window.ran", timeout=RUN)
        self.page.wait_for_selector(
            '.jp-Notebook-ExecutionIndicator[data-status="idle"]', timeout=RUN
        )
        return time.monotonic() - began

    def close(self) -> None:
        """End the kernel: the server keeps it, and its memory, when the page goes."""
        self.page.evaluate(f"() => {NOTEBOOK}.sessionContext.shutdown()")

    def run_cell(self, place: int, source: str | None = None) -> None:
        """One cell, perhaps with another text."""
        self.page.evaluate(
            f"([i, source]) => {{ const book = {NOTEBOOK}.content; book.activeCellIndex = i; "
            "if (source !== null) book.widgets[i].model.sharedModel.setSource(source); }",
            [place, source],
        )
        self.command("notebook:run-cell")

    def type(self, place: int, source: str) -> None:
        """Write a cell anew through its editor, as keys and a paste would."""
        self.cell(place).query_selector(".cm-content").click()
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.insert_text(source)

    def active(self) -> int:
        """The cell at which the notebook's cursor stands."""
        return self.page.evaluate(f"() => {NOTEBOOK}.content.activeCellIndex")

    def place(self, wanted: Callable[[dict], bool]) -> int:
        """The first cell that is wanted."""
        return next(i for i, cell in enumerate(self.cells()) if wanted(cell))

    def cells(self) -> list[dict]:
        """The cells as the page holds them now, with their outputs."""
        return self.page.evaluate(f"() => {NOTEBOOK}.content.model.toJSON().cells")

    def errors(self) -> list[str]:
        """What was raised, and what was written to stderr, by cell."""
        found = []
        for i, cell in enumerate(self.cells()):
            for output in cell.get("outputs", []):
                if output["output_type"] == "error":
                    found.append(f"cell {i}: {output['ename']}: {output['evalue']}")
                elif output.get("name") == "stderr":
                    found.append(f"cell {i}: stderr: {''.join(output['text'])}")
        return found

    # --- look -------------------------------------------------------------------------------------

    def cell(self, place: int) -> ElementHandle:
        """A cell's place in the page."""
        handle = self.page.evaluate_handle(f"i => {NOTEBOOK}.content.widgets[i].node", place)
        element = handle.as_element()
        assert element is not None
        return element

    def cells_with_widgets(self) -> list[int]:
        """The cells whose output holds something to play with."""
        return self.page.evaluate(
            f"controls => {NOTEBOOK}.content.widgets.map((cell, i) => "
            "cell.node.querySelector('.jp-OutputArea-output .jupyter-widgets') && "
            "[...cell.node.querySelectorAll('.jp-OutputArea-output .jupyter-widgets')]"
            ".some(w => w.querySelector(controls)) ? i : -1).filter(i => i >= 0)",
            CONTROLS,
        )

    def controls(self, place: int, kind: str = CONTROLS) -> list[ElementHandle]:
        """The controls of a cell's output that are not out of use."""
        found = self.cell(place).query_selector_all(f".jp-OutputArea-output :is({kind})")
        return [one for one in found if one.is_visible() and one.is_enabled()]

    def words(self, place: int) -> str:
        """A cell's output as text."""
        area = self.cell(place).query_selector(".jp-Cell-outputArea")
        return area.inner_text() if area else ""

    def pictures(self, place: int) -> str:
        """A mark of the pictures in a cell's output: another one, if a picture is another."""
        drawn = self.cell(place).evaluate(
            "cell => [...cell.querySelectorAll('.jp-OutputArea-output :is(img, svg)')]"
            ".map(p => p.tagName === 'IMG' ? p.src : p.outerHTML)"
        )
        return hashlib.sha256("\n".join(drawn).encode()).hexdigest() if drawn else ""

    def seen(self, place: int) -> str:
        """A mark of all that the output shows, values of controls left out."""
        html = self.cell(place).evaluate(
            "cell => [...cell.querySelectorAll('.jp-OutputArea-output .widget-html-content, "
            ".jp-OutputArea-output .widget-label:not([for])')].map(p => p.innerHTML).join('')"
        )
        return hashlib.sha256(html.encode()).hexdigest()

    def until(self, condition: Callable[[], Any], seconds: float = SOON) -> bool:
        """Whether it becomes true in time."""
        end = time.monotonic() + seconds
        while not (held := condition()) and time.monotonic() < end:
            self.page.wait_for_timeout(100)
        return bool(held)

    def spoken(self, control: ElementHandle) -> tuple[str, str]:
        """Role and name of a control, as Chromium tells them to a screen reader."""
        control.evaluate("e => { window.asked = e; }")
        session = self.page.context.new_cdp_session(self.page)
        try:
            found = session.send("Runtime.evaluate", {"expression": "window.asked"})["result"]
            about = {"objectId": found["objectId"], "fetchRelatives": False}
            tree = session.send("Accessibility.getPartialAXTree", about)
        finally:
            session.detach()
        node = tree["nodes"][0]
        return (node.get("role", {}).get("value", ""),
                node.get("name", {}).get("value", "").strip())  # fmt: skip

    def theme(self, name: str) -> None:
        """The light one or the dark one of JupyterLab. Its splash screen stumbles over itself if it
        is shown again while it fades."""
        no_splash = "() => !document.querySelector('#jupyterlab-splash')"
        self.page.wait_for_function(no_splash)
        self.command("apputils:change-theme", theme=f"JupyterLab {name.title()}")
        self.page.wait_for_timeout(500)
        self.page.wait_for_function(no_splash)

    def shoot(self, folder: Path, theme: str) -> list[Path]:
        """A picture of every output that holds more than text, in one theme."""
        self.page.set_viewport_size({"width": 1300, "height": 2400})  # no output is taller
        self.theme(theme)
        folder.mkdir(parents=True, exist_ok=True)
        made = []
        for i, cell in enumerate(self.cells()):
            if not any("text/html" in output.get("data", {}) for output in cell.get("outputs", [])):
                continue
            area = self.cell(i).query_selector(".jp-Cell-outputArea")
            if area is None or not area.is_visible():
                continue
            made.append(folder / f"{self.name[:2]}_{i:03}_{theme}.png")
            area.screenshot(path=made[-1])
        return made

    def faint(self, least: float = 4.5) -> list[str]:
        """Words in the outputs whose contrast (WCAG) with what they stand on is less, with the
        number. Words in a picture are not seen here."""
        found = self.page.evaluate(
            f"""() => {NOTEBOOK}.content.widgets.flatMap((cell, i) =>
              [...cell.node.querySelectorAll('.jp-OutputArea-output, .jp-OutputArea-output *')]
              .filter(one => one instanceof HTMLElement && one.checkVisibility() &&
                [...one.childNodes].some(n =>
                  n.nodeType === 3 && /[\\p{{L}}\\p{{N}}]/u.test(n.textContent)))
              .map(one => {{
                let papers = [], opacity = 1;
                for (let up = one; up; up = up.parentElement) {{
                  opacity *= getComputedStyle(up).opacity;
                  papers.push(getComputedStyle(up).backgroundColor);
                }}
                return [i, one.textContent.trim().slice(0, 60), getComputedStyle(one).color,
                        papers, opacity];
              }}))"""
        )
        if not found:
            raise ValueError(f"{self.name}: there are no words in any output")
        seen = ((place, words, contrast(*_mixed(*rest))) for place, words, *rest in found)
        return [f"cell {place}: {words!r} {ratio:.1f}" for place, words, ratio in seen
                if ratio < least]  # fmt: skip

    # --- what went wrong --------------------------------------------------------------------------

    def _console(self, message) -> None:
        if message.type == "error":
            self._trouble("console", f"{message.text} {message.location.get('url', '')}")

    def _trouble(self, where: str, said: str) -> None:
        if not any(chatter in said for chatter in CHATTER):
            self.troubles.append(f"{where}: {said}")


def _mixed(words: str, papers: list[str], opacity: float) -> tuple[str, str]:
    """CSS colours of words and of what they stand on, the nearest first -> as both are seen,
    #rrggbb. A row under the mouse is tinted, so a paper may be half transparent."""
    under = [255.0] * 3
    for paper in reversed(papers):
        under = _over(paper, under)
    seen = _over(words, under, opacity)
    hexes = ["#" + "".join(f"{round(part):02x}" for part in rgb) for rgb in (seen, under)]
    return hexes[0], hexes[1]


def _over(colour: str, under: list[float], opacity: float = 1.0) -> list[float]:
    """A CSS colour laid over another."""
    *ink, alpha = ([float(n) for n in findall(r"[\d.]+", colour)] + [1.0])[:4]
    share = opacity * alpha
    return [share * i + (1 - share) * u for i, u in zip(ink, under)]
