"""One JupyterLab and one Chromium for all; a notebook has a page of its own.

Both are asked for by a variable, since all notebooks together take many minutes. What is missing is
said in the reason for skipping. Pictures and a line a notebook are kept where LLAMALAB_BROWSER_OUT
says, else in pytest's own temporary folder.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
HOW = "LLAMALAB_BROWSER=1 pytest -n0 tests/browser, with pip install -e '.[lab,test,browser]'"


def chromium() -> str | None:
    """Where a Chromium lies: the one named by a variable, one on the path, or playwright's own."""
    named = os.environ.get("LLAMALAB_CHROMIUM")
    if named or importlib.util.find_spec("playwright") is None:
        return named
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).is_file() else None


def missing() -> str:
    """What is not here that the tests need, and how to have it; empty if all is here."""
    if os.environ.get("LLAMALAB_BROWSER") != "1":
        return f"they take minutes, and are asked for: {HOW}"
    for package in ("playwright", "jupyterlab", "ipywidgets"):
        if importlib.util.find_spec(package) is None:
            return f"no {package} is installed: {HOW}"
    if chromium() is None:
        return "no Chromium: install one, or let LLAMALAB_CHROMIUM name it, or playwright install"
    return ""


@pytest.fixture(scope="session", autouse=True)
def asked_for():
    if why := missing():
        pytest.skip(why)


@pytest.fixture(scope="session")
def out(tmp_path_factory) -> Path:
    """Where pictures and findings are kept."""
    named = os.environ.get("LLAMALAB_BROWSER_OUT")
    folder = Path(named).absolute() if named else tmp_path_factory.mktemp("browser")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def course(tmp_path_factory, asked_for) -> Path:
    return tmp_path_factory.mktemp("course")


@pytest.fixture(scope="session")
def address(course) -> str:
    from tests.browser.lab import lab

    with lab(course) as address:
        yield address


@pytest.fixture(scope="session")
def browser(asked_for):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # No sandbox: a container's root has none. The pages are ours.
        options = ["--no-sandbox", "--disable-dev-shm-usage"]
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(browser, address):
    """Opens a notebook by its file's name, in a page of its own; the last one is closed by then."""
    from tests.browser.driver import Notebook

    books = []

    def close():
        for book in books:
            book.close()
            book.page.close()
        books.clear()

    def open_(name: str) -> Notebook:
        close()
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        books.append(Notebook(page, address, name))
        return books[-1]

    yield open_
    close()
