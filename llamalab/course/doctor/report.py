"""What the doctor hands out: findings, as text for a terminal and as a table for a notebook."""

import sys
from dataclasses import dataclass
from pathlib import Path

from llamalab.course.figures.html import Html, join, tag
from llamalab.runtime import paths

MORE = "More ways out: docs/install.md."


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. `way_out` says what to do, or what it means, if anything."""

    name: str
    value: str
    ok: bool = True
    way_out: str = ""


class Report(list[Finding]):
    """The findings, in reading order, as text or as a table for a notebook."""

    @property
    def ok(self) -> bool:
        return all(finding.ok for finding in self)

    def __str__(self) -> str:
        width = max((len(f.name) for f in self), default=0)
        lines = []
        for f in self:
            lines.append(f"{'ok' if f.ok else 'warn':<4}  {f.name:<{width}}  {f.value}")
            if f.way_out:
                lines.append(" " * (width + 8) + f.way_out)
        return "\n".join([*lines, "", self._verdict()])

    __repr__ = __str__

    def _repr_html_(self) -> Html:
        left = "text-align:left"
        rows = (
            tag(
                "tr",
                tag("td", "ok" if f.ok else tag("b", "warn")),
                tag("td", f.name, style=left),
                tag("td", f.value, *(tag("br"), tag("i", f.way_out)) * bool(f.way_out), style=left),
            )
            for f in self
        )
        return join(tag("table", tag("tbody", *rows)), tag("p", self._verdict()))

    def _verdict(self) -> str:
        warnings = sum(not f.ok for f in self)
        if not warnings:
            return "All is well: the course will run here."
        return f"{warnings} thing{'s' * (warnings > 1)} to look at, marked warn. {MORE}"


def this_python(course: Path | None = None) -> str:
    """How to call this Python from the course's folder, as README does: .venv/bin/python there,
    else by its whole path."""
    course, python = course or paths.find_course(Path.cwd()), Path(sys.executable)
    inside = course is not None and python.is_relative_to(course)
    call = str(python.relative_to(course)) if inside and course else str(python)
    return f'& "{call}"' if " " in call and sys.platform == "win32" else _quoted(call)


def install(*names: str) -> str:
    """The command that installs these packages for this Python; without names, the course. The
    course's own versions are kept (constraints.txt)."""
    what = _quoted(*names) if names else '-e ".[lab]"'
    return f"In the course's folder: {this_python()} -m pip install -c constraints.txt {what}"


def _quoted(*words: str) -> str:
    return " ".join(f'"{word}"' if set(word) & set(" <>=[]") else word for word in words)
