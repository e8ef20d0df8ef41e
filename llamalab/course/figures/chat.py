"""A conversation in a notebook: with one model, or with several that answer the same message.

    talk = chat_box({"before": base, "after": tuned}, tokenizer, system="Be brief.")
    talk                                  # Enter sends, Tab goes on: slider, Stop, Clear
    print(talk.say("Hi"))                 # the same from a cell; returns what was answered

What is typed is answered in a thread of its own: the kernel's main thread, in which all buttons
speak, stays free, and so Stop is heard. What is said from a cell, by `say` or `talk.box.value = …`,
is answered there and then, the same on every machine with the same seed, front end or not.
Without a kernel the conversation so far is what there is to see.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

from llamalab.course.figures import palette
from llamalab.course.figures.html import Html, join, tag
from llamalab.course.figures.live import VIEW
from llamalab.course.figures.reach import easy_to_hold, reach, spoken

EVERY = 0.08  # seconds between two pictures of an answer that grows
ARRIVES = 0.15  # seconds in which what a line holds follows the Enter that was pressed in it
ENDED = {"stop": "stopped", "length": "cut at its length"}


class ChatBox:
    """Made by `chat_box`. `box`, `system`, `temperature`, `top_p`, `length`, `send_button`,
    `stop_button`, `clear_button` are its controls, `shown` the conversation, `words` what it
    remarks; `turns` holds (message, {name: answer}) of each turn and `chats` a Chat a model."""

    def __init__(self, chats: Mapping[str, Any], system: str, seed: int, **start: Any):
        self.chats, self.seed = dict(chats), seed
        self.turns: list[tuple[str, dict[str, str]]] = []
        self._remark = ""
        self._one_at_a_time, self._stopping = threading.Lock(), False
        self._make(system, **start)
        self.clear()

    # --- what can be done -------------------------------------------------------------------------

    def say(self, text: str) -> str:
        """Say it to every model and wait for the answers: one's words, or a line a model. What is
        wrong with a message is what `words` then says, and what is returned."""
        self._stopping = False
        return self._speak(text)

    def stop(self) -> None:
        """End the answers that are being written; what was said stays."""
        self._stopping = True
        for chat in self.chats.values():
            chat.stop()

    def clear(self) -> None:
        """Forget the conversation, and begin the seed anew."""
        from torch import Generator

        self.stop()
        with self._one_at_a_time:
            for chat in self.chats.values():
                chat.clear()
            self.turns = []
            self._generators = {
                name: Generator(chat.model.norm.weight.device).manual_seed(self.seed)
                for name, chat in self.chats.items()
            }
            self._remarks("")
            self._draw()

    # --- an answer --------------------------------------------------------------------------------

    def _speak(self, text: str) -> str:
        if not self._one_at_a_time.acquire(blocking=False):
            self._remarks("One answer at a time: Stop ends this one.")
            return self._remark
        try:
            return self._answer(text.strip())
        except ValueError as error:
            self._remarks(str(error))
            return self._remark
        finally:
            self._one_at_a_time.release()

    def _answer(self, text: str) -> str:
        system = self.system.value.strip() or None
        answers = {}
        for name, chat in self.chats.items():
            chat.system = system
            answers[name] = chat.say(
                text, temperature=self.temperature.value, top_p=self.top_p.value,
                max_new_tokens=self.length.value, generator=self._generators[name],
            )  # fmt: skip
        said = dict.fromkeys(answers, "")
        self.turns.append((text, said))
        self._remarks("…")
        drawn = 0.0
        try:
            while answers:  # a piece of each in turn, so that all of them grow
                for name, answer in list(answers.items()):
                    if self._stopping:
                        self.chats[name].stop()
                    piece = next(answer, None)
                    if piece is None:
                        del answers[name]
                    else:
                        said[name] += piece
                if time.monotonic() - drawn > EVERY:
                    self._draw()
                    drawn = time.monotonic()
        finally:  # an interrupt of the kernel, too: what was said is kept
            for answer in answers.values():
                answer.close()
            for name in said:
                said[name] = said[name].strip()
            self._remarks(self._how_it_ended())
            self._draw()
        if len(said) == 1:
            return next(iter(said.values()))
        return "\n".join(f"{name}: {words}" for name, words in said.items())

    def _how_it_ended(self) -> str:
        remarks = []
        for name, chat in self.chats.items():
            who = f"{name}: " if len(self.chats) > 1 else ""
            if chat.ended in ENDED:
                remarks.append(f"{who}{ENDED[chat.ended]}.")
            if chat.left_out:
                out = "turn" if chat.left_out == 1 else f"{chat.left_out} turns"
                remarks.append(f"{who}the context is full, the oldest {out} left out.")
        return " ".join(remarks)

    # --- what is seen -----------------------------------------------------------------------------

    def __repr__(self) -> str:
        lines = []
        for message, said in self.turns:
            lines += [f"you: {message}", *(f"{name}: {words}" for name, words in said.items())]
        return "\n".join(lines) or f"a conversation with {' and '.join(self.chats)}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}
        return {VIEW: view, "text/plain": repr(self), "text/html": self.shown.value}

    def _draw(self) -> None:
        self.shown.value = conversation(self.turns, list(self.chats))

    def _remarks(self, words: str) -> None:
        self._remark = words
        self.words.value = tag("div", words, role="status", style="min-height:1.4em;opacity:.85")

    def _make(self, system: str, temperature: float, top_p: float, length: int) -> None:
        import ipywidgets

        class Line(ipywidgets.Text):
            """Knows whether its value comes from the reader's keys or from a cell."""

            typing = False

            def set_state(self, sync_data):
                self.typing = True
                try:
                    super().set_state(sync_data)
                finally:
                    self.typing = False

        wide = ipywidgets.Layout(width="46em", max_width="100%")
        common = {"layout": ipywidgets.Layout(width="30em", max_width="100%")}
        most = min(512, *(chat.model.config.max_seq_len // 2 for chat in self.chats.values()))
        self.system = ipywidgets.Text(
            system, description="system", layout=wide, continuous_update=False,
            placeholder="what the model is told before the conversation",
        )  # fmt: skip
        self.temperature = ipywidgets.FloatSlider(
            temperature, min=0, max=2, step=0.1, description="temperature", **common
        )
        self.top_p = ipywidgets.FloatSlider(
            top_p, min=0.05, max=1, step=0.05, description="top-p", **common
        )
        self.length = ipywidgets.IntSlider(
            min(length, most), min=1, max=most, description="length (tokens)", **common
        )
        for control in (self.system, self.temperature, self.top_p, self.length):
            easy_to_hold(control)
        self.shown, self.words = ipywidgets.HTML(layout=wide), spoken(ipywidgets.HTML())
        # Not on every key: Enter first says that it was pressed, and then what the line holds.
        self.box = Line(placeholder="a message; Enter sends it", continuous_update=False,
                        layout=ipywidgets.Layout(width="28em", max_width="100%"))  # fmt: skip
        self.box.on_msg(self._key)
        self.box.observe(self._set, "value")
        self.send_button, self.stop_button, self.clear_button = (
            ipywidgets.Button(description=name, layout=ipywidgets.Layout(width="5.5em"))
            for name in ("Send", "Stop", "Clear")
        )
        self.send_button.on_click(lambda button: self._soon())
        self.stop_button.on_click(lambda button: self.stop())
        self.clear_button.on_click(lambda button: self.clear())
        row = ipywidgets.HBox(
            [self.box, self.send_button, self.stop_button, self.clear_button],
            layout=ipywidgets.Layout(flex_flow="row wrap"),
        )
        self.widget = ipywidgets.VBox(
            [
                self.shown,
                row,
                self.words,
                self.system,
                self.temperature,
                self.top_p,
                self.length,
                reach(),
            ]  # fmt: skip
        )

    def _key(self, widget, content, buffers) -> None:
        if content.get("event") == "submit":
            self._soon()

    def _set(self, change) -> None:
        """`box.value = …` in a cell says it; what the reader types waits for Enter."""
        if change["new"].strip() and not self.box.typing:
            self.say(change["new"])
            self.box.value = ""

    def _soon(self) -> None:
        """Answer what the line holds a moment from now, when it surely has arrived, in a thread."""
        self._stopping = False
        timer = threading.Timer(ARRIVES, self._typed)
        timer.daemon = True
        timer.start()

    def _typed(self) -> None:
        text = self.box.value
        if text.strip() and not self._one_at_a_time.locked():
            self.box.value = ""
        if text.strip():
            self._speak(text)


def chat_box(
    models: Any,
    tokenizer: Any,
    *,
    system: str = "",
    temperature: float = 0.6,
    top_p: float = 0.9,
    length: int = 100,
    seed: int = 0,
) -> ChatBox:
    """A conversation with a model, or with each of {name: model}, told apart by their names.
    Options as in `Chat.say`, at Meta's own temperature and top-p; all can be changed on the way.
    ValueError if there is no model at all."""
    from llamalab.generation import Chat

    named = models if isinstance(models, Mapping) else {"model": models}
    if not named:
        raise ValueError("a conversation needs a model: there is none in models={}")
    chats = {name: Chat(model, tokenizer) for name, model in named.items()}
    return ChatBox(chats, system, seed, temperature=temperature, top_p=top_p, length=length)


def conversation(turns: list[tuple[str, dict[str, str]]], names: list[str]) -> Html:
    """The turns as a page: the reader's message, and under it the answers, side by side. Its end is
    in sight: a column in reverse is scrolled to its bottom."""
    colours = dict(zip(names, _colours(len(names))))
    rows = [
        join(
            _said("you", message, palette.FAINT),
            tag("div", *(_said(name, words, colours[name]) for name, words in said.items()),
                style="display:flex;flex-wrap:wrap"),
        )
        for message, said in turns
    ]  # fmt: skip
    if not rows:
        rows = [tag("div", "Nothing has been said yet.", style=f"color:{palette.FAINT}")]
    card = f"background:{palette.PAPER};color:{palette.INK};border-radius:6px;padding:.4em .6em"
    card += ";max-width:46em;max-height:24em;overflow-y:auto;box-sizing:border-box"
    return tag(
        "div", tag("div", *rows), role="log", aria_live="polite", aria_label="The conversation",
        tabindex=0, style=card + ";display:flex;flex-direction:column-reverse;line-height:1.4",
    )  # fmt: skip


def _said(name: str, words: str, colour: str) -> Html:
    who = tag("div", name, style=f"color:{palette.for_words(colour)};font-size:85%;font-weight:600")
    text = tag("div", words or "…", style="white-space:pre-wrap;overflow-wrap:anywhere")
    style = f"flex:1 1 14em;border-left:3px solid {colour};padding:0 .7em;margin:.35em .3em .35em 0"
    return tag("div", who, text, style=style)


def _colours(count: int) -> tuple[str, ...]:
    """Of two, the first is the one that was there before."""
    if count == 1:
        return (palette.POLICY,)
    others = (palette.POLICY, palette.VERMILLION, palette.GREEN, palette.PINK, palette.ORANGE)
    return (palette.REFERENCE, *(others[i % len(others)] for i in range(count - 1)))
