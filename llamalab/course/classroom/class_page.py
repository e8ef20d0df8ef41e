"""A page for the class: what was got wrong most, and everybody's marks."""

from collections import Counter
from dataclasses import dataclass

from llamalab.course.classroom.marks import Mark, total
from llamalab.course.classroom.report import page
from llamalab.course.figures import figure, note, palette, table
from llamalab.course.figures.html import Html, inline, join, tag

BARS = 10
NOT_WRONG = ("passed", "not handed in", "not attempted", "not there")


@dataclass(frozen=True)
class Stumble:
    """Something that several students got wrong: a known wrong answer, or a way to fail."""

    title: str
    what: str
    sentence: str
    students: int


def stumbles(marks: list[Mark]) -> list[Stumble]:
    """What was got wrong, most students first, and of as many the known mistakes first. What
    nobody tried is not among it."""
    wrong = [mark for mark in marks if mark.verdict not in NOT_WRONG]
    count: Counter[tuple[str, str]] = Counter()
    first: dict[tuple[str, str], Mark] = {}
    for mark in wrong:
        key = (mark.exercise, mark.misconception or mark.verdict)
        count[key] += 1
        first.setdefault(key, mark)
    ranked = sorted(count, key=lambda key: (-count[key], not first[key].misconception, key))
    return [
        Stumble(
            first[key].title,
            _name(first[key]),
            first[key].known or first[key].head or first[key].says,
            count[key],
        )
        for key in ranked
    ]


def _name(mark: Mark) -> str:
    """A mistake in a few words."""
    if mark.misconception:
        return mark.misconception.replace("_", " ")
    return f"{mark.head[:1].lower()}{mark.head[1:].rstrip('.')}" if mark.head else mark.verdict


def class_page(marks: list[Mark]) -> str:
    """class.html."""
    found, names = stumbles(marks), sorted({mark.student for mark in marks})
    parts: list[Html] = [tag("p", f"{len(names)} student{'s' * (len(names) != 1)}.")]
    parts.append(tag("h2", "What was got wrong most"))
    if found:
        parts.append(_picture(found[:BARS], len(names)))
        rows = [(s.students, s.title, inline(s.sentence)) for s in found]
        parts.append(_sentences(rows))
    else:
        parts.append(tag("p", "Nothing that was tried was wrong."))
    parts += [tag("h2", "Marks"), _marks(marks, names)]
    return page("The class", *parts)


def _picture(found: list[Stumble], students: int) -> Html:
    top = found[0]
    caption = f"Met most: {top.what}, in {top.title}, by {top.students} of {students}."
    words = "; ".join(f"{s.title}, {s.what}: {s.students}" for s in found)
    alt = f"Bars, one for each mistake, as long as the number of students who made it. {words}."
    height = 0.9 + 0.42 * len(found)
    with figure(caption, alt=alt, height=height, width=7.2) as fig:
        axes = fig.axes
        axes.grid(False, axis="y")
        colours = [palette.WRONG] + [palette.FAINT] * (len(found) - 1)
        axes.barh(range(len(found)), [s.students for s in found], color=colours, height=0.5)
        axes.set(xlim=(0, max(students, 1)), ylim=(len(found) - 0.4, -0.6), yticks=[])
        axes.set_xlabel("students")
        axes.xaxis.get_major_locator().set_params(integer=True)
        for place, stumble in enumerate(found):
            words = f"{stumble.students}  {stumble.title}: {stumble.what}"
            note(axes, 0.0, place - 0.4, f" {words}", colour=palette.INK, ha="left", size=8.5)
    return fig._repr_html_()


def _sentences(rows: list[tuple[int, str, Html]]) -> Html:
    return join(
        *(
            tag("p", tag("b", f"{count} × {title}. "), sentence, style="margin:.4em 0")
            for count, title, sentence in rows
        )
    )


def _marks(marks: list[Mark], names: list[str]) -> Html:
    notebooks = sorted({mark.notebook for mark in marks})
    rows = []
    for name in names:
        own = [mark for mark in marks if mark.student == name]
        each = [total(m for m in own if m.notebook == notebook) for notebook in notebooks]
        rows.append((name, *each, total(own)))
    return table(("student", *notebooks, "in all"), rows)._repr_html_()
