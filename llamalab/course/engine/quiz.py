"""A question with options, every one of which explains itself when it is chosen.

With a kernel it is a set of radio buttons; without one, the options are lines that unfold, so
that the page can be read on its own. Both come from the same data in one output.
"""

from dataclasses import dataclass

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
    """One question; exactly one option is right."""

    name: str
    text: str
    options: tuple[Option, ...]

    def __post_init__(self) -> None:
        right = sum(option.right for option in self.options)
        if right != 1:
            raise ValueError(f"question {self.name!r} has {right} right options, not 1")

    def answer(self, number: int) -> str:
        """What choosing option `number`, counted from 1, tells you."""
        if not 1 <= number <= len(self.options):
            return f"There are {len(self.options)} options, numbered from 1."
        option = self.options[number - 1]
        return f"{'Right.' if option.right else 'Not quite.'} {option.because}"

    def ask(self) -> Live:
        """Show it."""
        live = Live(self._html(), self._text(), self._widget)
        if not in_notebook():
            say(self._text())
        return live

    def _text(self) -> str:
        lines = [f"  {i}. {option.text}" for i, option in enumerate(self.options, 1)]
        foot = f"(quiz.{self.name}.answer(1) tells you about the first.)"
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
