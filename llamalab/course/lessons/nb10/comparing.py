"""Two answers side by side, and two buttons: the reader is an annotator.

    play = compare_box(cards)
    play                         # Tab to a button and Enter, or a click
    play.choose("left")          # the same from a cell; returns what is remarked

Some pairs come twice, the second time the other way round: whoever judges what is written, and not
where it stands, says the same both times. Without a kernel the first pair is what there is to see.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from llamalab.course.figures import palette
from llamalab.course.figures.html import Html, join, tag
from llamalab.course.figures.live import Live
from llamalab.course.figures.reach import reach, spoken

SIDES = ("left", "right")
SILENT = tag("i", "(it ended without a word)")  # a model may, and that is an answer


class Card(NamedTuple):
    """A prompt, two answers, what the judge thinks each is worth, and the number of the pair: the
    same for both showings."""

    prompt: str
    left: str
    right: str
    worths: tuple[float, float]
    pair: int

    def turned(self) -> "Card":
        """The other way round."""
        left, right = self.worths
        return Card(self.prompt, self.right, self.left, (right, left), self.pair)


def deal(pairs: Sequence[Card], again: Sequence[int]) -> list[Card]:
    """The pairs in order, then those with the places `again`, turned round."""
    return [*pairs, *(pairs[place].turned() for place in again)]


def agreement(cards: Sequence[Card], choices: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Choices, "left" or "right", for the first cards -> (as often, of how many) with the judge,
    where the two worths differ, and with oneself, where a pair was seen twice."""
    seen: dict[int, str] = {}
    judge, self_ = [0, 0], [0, 0]
    for card, choice in zip(cards, choices):
        a, b = card.worths
        if a != b:
            judge[0] += (choice == "left") == (a > b)
            judge[1] += 1
        text = card.left if choice == "left" else card.right
        if card.pair in seen:
            self_[0] += text == seen[card.pair]
            self_[1] += 1
        seen.setdefault(card.pair, text)
    return {"judge": (judge[0], judge[1]), "self": (self_[0], self_[1])}


def by_chance(k: int, n: int) -> float:
    """How often somebody who throws a coin is right in k or more of n."""
    return sum(math.comb(n, i) for i in range(k, n + 1)) / 2**n


class CompareBox(Live):
    """Made by `compare_box`. `choices` holds what was chosen, `left_button`, `right_button`,
    `again_button` are its controls, `words` what it remarks, `shown` the pair."""

    def __init__(self, cards: Sequence[Card]):
        if not cards:
            raise ValueError("0 cards: there is nothing to compare")
        self.cards, self.choices = list(cards), list[str]()
        super().__init__(
            join(tag("p", self.says()), card_html(self.cards[0])), self.says(), self._build
        )

    def choose(self, side: str) -> str:
        """Prefer one of the two; what is then remarked. ValueError for a third side."""
        if side not in SIDES:
            raise ValueError(f"side={side!r} is neither left nor right")
        if len(self.choices) < len(self.cards):
            self.choices.append(side)
        self._draw()
        return self.says()

    def again(self) -> None:
        """From the first pair."""
        self.choices.clear()
        self._draw()

    def says(self) -> str:
        """Where we are, and at the end what came of it."""
        done = len(self.choices)
        if done < len(self.cards):
            return f"Pair {done + 1} of {len(self.cards)}: which answer would you rather have had?"
        found = agreement(self.cards, self.choices)
        (k, n), (same, twice) = found["judge"], found["self"]
        words = f"You agreed with the judge in {k} of {n} pairs"
        words += f" (a coin does so, or better, in {by_chance(k, n):.0%} of all games)"
        if twice:
            words += f", and with yourself in {same} of the {twice} that came twice"
        return words + "."

    def _build(self):
        import ipywidgets

        layout = ipywidgets.Layout(width="12em")
        self.words, self.shown = spoken(ipywidgets.HTML()), ipywidgets.HTML()
        self.left_button, self.right_button, self.again_button = (
            ipywidgets.Button(description=name, layout=layout)
            for name in ("Left is better", "Right is better", "Again")
        )
        self.left_button.on_click(lambda button: self.choose("left"))
        self.right_button.on_click(lambda button: self.choose("right"))
        self.again_button.on_click(lambda button: self.again())
        self._draw()
        row = ipywidgets.HBox([self.left_button, self.right_button, self.again_button])
        return ipywidgets.VBox([self.words, self.shown, row, reach()])

    def _draw(self) -> None:
        if hasattr(self, "shown"):
            self.words.value = tag("p", self.says(), role="status")
            done = len(self.choices)
            over = done >= len(self.cards)
            self.shown.value = "" if over else card_html(self.cards[done])
            self.left_button.disabled = self.right_button.disabled = over


def compare_box(cards: Sequence[Card]) -> CompareBox:
    """A game of comparisons. ValueError without a card."""
    return CompareBox(cards)


def card_html(card: Card) -> Html:
    """A prompt, and two answers beside each other."""
    style = f"flex:1 1 14em;border-left:3px solid {palette.POLICY};padding:0 .7em;margin:.35em .3em"
    sides = (
        tag(
            "div",
            tag("b", name),
            tag("div", words or SILENT, style="white-space:pre-wrap"),
            style=style,
        )  # fmt: skip
        for name, words in (("left", card.left), ("right", card.right))
    )
    sheet = f"background:{palette.PAPER};color:{palette.INK};border-radius:6px;max-width:46em"
    return tag(
        "div", tag("div", tag("i", card.prompt)), tag("div", *sides, style="display:flex;"
        "flex-wrap:wrap"), style=sheet + ";padding:.4em .6em;line-height:1.4",
    )  # fmt: skip
