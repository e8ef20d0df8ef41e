"""The one place that writes HTML. What is put in as text comes out as text: `<s>` is a token, not
a strike-through.

    tag("p", "The token ", tag("code", "<s>"), style="margin:0")

Children that are `Html` go in as they are, anything else is escaped. Attributes are escaped too.
Styles stand in the element, since a notebook that is not trusted loses its <style>.
"""

from html import escape, unescape
from re import sub

VOID = ("br", "img", "rect", "circle", "path")


class Html(str):
    """Text that is markup already."""


def text(value: object) -> Html:
    """Anything as words."""
    return value if isinstance(value, Html) else Html(escape(str(value), quote=False))


def tag(name: str, *children: object, **attributes: object) -> Html:
    """An element. `class_` and `aria_label` become class and aria-label."""
    said = "".join(
        f" {key.rstrip('_').replace('_', '-')}='{escape(str(value), quote=True)}'"
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(map(text, children))
    return Html(f"<{name}{said}/>" if name in VOID else f"<{name}{said}>{inside}</{name}>")


def join(*parts: object) -> Html:
    """Elements one after the other."""
    return Html("".join(map(text, parts)))


def banner(colour: str, *children: object) -> Html:
    """What is said to the learner: words next to a bar in the colour of the verdict."""
    style = f"border-left:5px solid {colour};padding:.3em .8em;max-width:46em"
    return tag("div", *children, role="status", style=style)


def document(title: str, *parts: object, head: str = "", style: str | None = None) -> str:
    """A whole HTML file with nothing outside it. head: more markup for it; style: the
    body's."""
    return (
        "<!doctype html>\n<html lang='en'>\n<head><meta charset='utf-8'>"
        f"<meta name='viewport' content='width=device-width'>{head}{tag('title', title)}</head>\n"
        f"{tag('body', *parts, style=style)}\n</html>\n"
    )


def inline(words: str) -> Html:
    """Words in which `code` is set as code."""
    parts = words.split("`")
    if len(parts) % 2 == 0:  # a lone backtick is itself
        return text(words)
    return join(*(tag("code", part) if i % 2 else part for i, part in enumerate(parts)))


def plain(html: str) -> str:
    """HTML to words, for a widget's state that a test or a terminal wants to print."""
    words = sub(r"<br\s*/?>|</(p|div|tr|li)>", "\n", html)
    words = unescape(sub(r"<[^>]+>", "", words))
    return "\n".join(line.strip() for line in words.splitlines() if line.strip())
