"""Until when: `02=2027-01-15` is the end of that day, `02=2027-01-15T18:00+01:00` that minute.

Where no zone is said it is UTC, which is what nbgrader counts in.
"""

import csv
import io
import re
from collections.abc import Sequence
from datetime import datetime, time, timezone

from llamalab.course.classroom.course import Lesson

FORM = "a due date reads 02=2027-01-15 or 02=2027-01-15T18:00+01:00"


def read(texts: Sequence[str], lessons: list[Lesson]) -> dict[str, datetime]:
    """The dates by a lesson's name, in UTC. ValueError for anything but a date, and for a lesson
    that is not handed out."""
    found: dict[str, datetime] = {}
    for text in texts:
        name, equals, date = (part.strip() for part in text.partition("="))
        lesson = next((x for x in lessons if x.goes_by(name)), None)
        if not equals:
            raise ValueError(f"{text!r} has no =; {FORM}")
        if lesson is None:
            numbers = ", ".join(x.number for x in lessons)
            raise ValueError(f"--due {text}: {name!r} is not handed out; {numbers} are")
        if lesson.name in found:
            raise ValueError(f"--due {text}: notebook {lesson.number} has a date already")
        found[lesson.name] = _moment(date)
    return found


def table(lessons: list[Lesson], dues: dict[str, datetime]) -> str:
    """assignments.csv, as `nbgrader db assignment import` reads it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("name", "duedate"))
    writer.writerows((x.name, in_words(dues.get(x.name))) for x in lessons)
    return out.getvalue()


def in_words(due: datetime | None) -> str:
    """A date as nbgrader reads it; "" for none."""
    return f"{due:%Y-%m-%d %H:%M:%S} UTC" if due else ""


def _moment(text: str) -> datetime:
    try:
        if not re.match(r"\d{4}-\d\d-\d\d", text):
            raise ValueError  # Python 3.11 would take 20270115, and for its first minute
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no date; {FORM}") from None
    if len(text) == 10:
        found = datetime.combine(found, time(23, 59, 59))
    return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
