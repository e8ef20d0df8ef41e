"""A question with options, every one of which explains itself when it is chosen.

With a kernel it is a set of radio buttons; without one, the options are lines that unfold, so
that the page can be read on its own. Both come from the same data in one output.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from llamalab.course.engine.card import in_notebook, say
from llamalab.course.figures.html import Html, tag, text
from llamalab.course.figures.live import Live
from llamalab.course.figures.reach import asking, reach, spoken


@dataclass(frozen=True)
class Option:
    """A belief that a sensible person could hold, and what there is to say about it."""

    text: str
    because: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """One question; exactly one option is right, and no two read alike. variant: whose numbers
    and order it has; 0 is the course's own. versions: itself about other numbers."""

    name: str
    text: str
    options: tuple[Option, ...]
    variant: int = 0
    versions: tuple["Question", ...] = ()

    def __post_init__(self) -> None:
        right = sum(option.right for option in self.options)
        if right != 1:
            raise ValueError(f"question {self.name!r} has {right} right options, not 1")
        if len({option.text for option in self.options}) < len(self.options):
            raise ValueError(f"question {self.name!r} has an option twice")

    def varied(self, variant: int) -> "Question":
        """The same question about other numbers, if it has any, and in another order: the same
        one for the same number. In two numbers that follow each other the right option has two
        places."""
        if variant == 0:
            return self
        asked = self.versions[variant % len(self.versions)] if self.versions else self
        wrong = sorted(
            (option for option in asked.options if not option.right),
            key=lambda option: sha256(f"{variant} {option.text}".encode()).digest(),
        )
        right = next(option for option in asked.options if option.right)
        first = sha256(self.name.encode()).digest()[0]
        wrong.insert((first + variant) % len(self.options), right)
        return replace(asked, options=tuple(wrong), variant=variant)

    def answer(self, number: int) -> str:
        """What choosing option `number`, counted from 1, tells you."""
        if not 1 <= number <= len(self.options):
            return f"There are {len(self.options)} options, numbered from 1."
        option = self.options[number - 1]
        return f"{'Right.' if option.right else 'Not quite.'} {option.because}"

    def ask(self) -> Live:
        """Show it."""
        if not in_notebook():
            say(self._text())
        return self.shown()

    def shown(self) -> Live:
        """What a notebook shows, with a kernel or without."""
        return Live(self._html(), self._text(), self._widget)

    def _text(self) -> str:
        lines = [f"  {i}. {option.text}" for i, option in enumerate(self.options, 1)]
        order = f".varied({self.variant})" if self.variant else ""
        foot = f"(quiz.{self.name}{order}.answer(1) tells you about the first.)"
        return "\n".join([self.text, *lines, foot])

    def _html(self) -> Html:
        parts = [tag("p", tag("b", self.text))]
        for i, option in enumerate(self.options, 1):
            answer = tag("div", self.answer(i), style="margin:.2em 0 .5em 1.2em")
            parts.append(tag("details", tag("summary", option.text), answer, style="margin:.2em 0"))
        return tag("div", *parts, style="max-width:46em")

    def _widget(self):
        import ipywidgets

        texts = [option.text for option in self.options]
        buttons = ipywidgets.RadioButtons(
            options=[(text, i) for i, text in enumerate(texts, 1)],
            value=None,
            layout=ipywidgets.Layout(width="auto"),
        )
        question = asking(ipywidgets.HTML(tag("b", self.text)))
        reply = spoken(ipywidgets.HTML())

        def show(change) -> None:
            if change["new"] is not None:
                reply.value = text(self.answer(change["new"]))

        buttons.observe(show, "value")
        box = ipywidgets.VBox([question, buttons, reply, reach()])
        box.buttons, box.reply = buttons, reply
        return box


def varying(*draws: Any) -> Callable[[Callable[..., Question]], Question]:
    """A question about numbers: the course asks about the first of these, a variant about another.

    @varying(10, 12, 7)
    def rows_that_move(n): return Question("rows_that_move", f"A batch holds {n} …", …)
    """
    each = [draw if isinstance(draw, tuple) else (draw,) for draw in draws]

    def make(write: Callable[..., Question]) -> Question:
        versions = tuple(write(*draw) for draw in each)
        return replace(versions[0], versions=versions)

    return make
