"""The marks: a line for each exercise of each student, and the file that they are kept in."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

HEAD = ("student", "notebook", "exercise", "points", "of", "verdict", "misconception")


@dataclass(frozen=True)
class Mark:
    """One exercise of one student. verdict: "passed", or how it failed, in a word or two;
    misconception: the name of the known wrong answer that it behaves like, if any; known: what
    that one's author needs to hear; head, says, given: what else the card says; notes: what the
    grader saw besides."""

    student: str
    notebook: str
    exercise: str
    title: str
    points: int
    of: int
    verdict: str
    misconception: str = ""
    known: str = ""
    head: str = ""
    says: str = ""
    given: str = ""
    notes: tuple[str, ...] = ()


def table(marks: Iterable[Mark]) -> str:
    """marks.csv. A name that a spreadsheet would take for a formula gets a ' in front."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEAD)
    for mark in marks:
        writer.writerow([_plain(getattr(mark, name)) for name in HEAD])
    return out.getvalue()


def total(marks: Iterable[Mark]) -> str:
    """ "7 of 11" """
    marks = list(marks)
    return f"{sum(m.points for m in marks)} of {sum(m.of for m in marks)}"


def _plain(value: object) -> object:
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else value
