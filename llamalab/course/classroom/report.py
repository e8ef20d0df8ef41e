"""A page for each student: every exercise, and what its check said, as a file of its own."""

from collections.abc import Iterable
from itertools import groupby

from llamalab.course.classroom.marks import Mark, total
from llamalab.course.engine.card import COLOURS, WRONG
from llamalab.course.figures.html import Html, banner, document, inline, join, tag


def page(title: str, *parts: object) -> str:
    """A whole HTML file, with nothing outside it."""
    return document(
        title, tag("h1", title), *parts,
        head="<meta name='color-scheme' content='light dark'>",
        style="font:16px/1.5 system-ui,sans-serif;max-width:52em;margin:2em auto;padding:0 1em",
    )  # fmt: skip


def report(student: str, marks: Iterable[Mark]) -> str:
    """One student's page."""
    marks = list(marks)
    parts: list[Html] = [tag("p", tag("b", f"{total(marks)} points"))]
    for notebook, group in groupby(marks, key=lambda mark: mark.notebook):
        own = list(group)
        parts.append(tag("h2", notebook, ": ", total(own)))
        parts += [_exercise(mark) for mark in own]
    return page(student, *parts)


def _exercise(mark: Mark) -> Html:
    """The card again: what is known first, then what was found."""
    head = mark.head if mark.head and mark.verdict != "passed" else verdict(mark)
    lines = [join(tag("b", inline(mark.title)), f" ({mark.points} of {mark.of}) — ", inline(head))]
    if mark.known:
        lines.append(tag("b", inline(mark.known)))
    if mark.verdict != "passed":
        lines += [inline(part) for part in (mark.says, mark.given) if part]
    lines += [tag("i", inline(note)) for note in mark.notes]
    colour = COLOURS.get(mark.verdict, COLOURS["not attempted"] if _absent(mark) else WRONG)
    inside = (tag("div", line, style="margin:.25em 0") for line in lines)
    return tag("div", banner(colour, *inside), style="margin:.8em 0")


def _absent(mark: Mark) -> bool:
    return mark.verdict in ("not handed in", "not there", "not attempted")


def verdict(mark: Mark) -> str:
    """The verdict as a sentence."""
    return "Right." if mark.verdict == "passed" else f"{mark.verdict.capitalize()}."
