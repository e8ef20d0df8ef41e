"""How a text is put together from its characters: merge after merge, and the pieces at the end.

Every row shows the symbols after one merge; the piece that was just made is framed. The rows
come from the tokenizer's own `merge_steps`, which is the slow definition of encoding.
"""

from collections.abc import Mapping, Sequence
from html import escape

from llamalab.course.figures.live import Live
from llamalab.course.figures.tokens import PAPER, Pieces
from llamalab.tokenizer import BPETokenizer

LONGEST = 200  # characters: encoding step by step looks at every pair again after every merge


class Steps:
    """Rows of symbols, each one merge further than the row above it."""

    def __init__(self, rows: Sequence[Sequence[str]]):
        self.rows = [list(row) for row in rows]

    def __repr__(self) -> str:
        return "\n".join(f"{i:>3}  {'|'.join(row)}" for i, row in enumerate(self.rows))

    def _repr_html_(self) -> str:
        lines = []
        for i, row in enumerate(self.rows):
            made = merged_at(self.rows[i - 1], row) if i else None
            number = f"<td style='text-align:right;padding-right:.8em'>{i}</td>"
            lines.append(
                f"<tr>{number}<td style='text-align:left'>{symbols_html(row, made)}</td></tr>"
            )
        return f"<table style='border-collapse:collapse'>{''.join(lines)}</table>"


def steps(rows: Sequence[Sequence[str]]) -> Steps:
    """Show the symbols after each merge, numbered from 0, where nothing is merged yet."""
    return Steps(rows)


def merged_at(before: Sequence[str], after: Sequence[str]) -> int | None:
    """The place in `after` of the symbol that one merge made. None if nothing was merged."""
    if len(after) >= len(before):
        return None
    same = (i for i, (a, b) in enumerate(zip(before, after)) if a != b)
    return next(same, None)


def symbols_html(symbols: Sequence[str], made: int | None = None) -> str:
    """Symbols in a row, the one at `made` framed. A character keeps its colour while others
    merge, because a symbol takes the colour of its first character."""
    spans, place = [], 0
    for i, symbol in enumerate(symbols):
        frame = "#000" if i == made else "transparent"
        spans.append(
            f"<span style='display:inline-block;background:{PAPER[place % len(PAPER)]};color:#000;"
            f"padding:.05em .3em;margin:.08em;border:2px solid {frame};border-radius:.2em;"
            f"font-family:monospace'>{escape(symbol)}</span>"
        )
        place += len(symbol)
    return "".join(spans)


def sentence(tokenizer: BPETokenizer, rows: Sequence[Sequence[str]], step: int) -> str:
    """What happened at one step, in words."""
    last = len(rows) - 1
    if not rows[0]:
        return "No text, no pieces."
    if step == 0:
        return f"Before any merge: {len(rows[0])} characters, the ▁ in front included."
    made = merged_at(rows[step - 1], rows[step])
    a, b, piece = rows[step - 1][made], rows[step - 1][made + 1], rows[step][made]
    score = tokenizer.scores[tokenizer.piece_to_id(piece)] + 0.0  # and not "-0"
    return f"Merge {step} of {last}: {a} + {b} = {piece}, score {score:g}."


def merge_explorer(tokenizers: Mapping[str, BPETokenizer], text: str) -> Live:
    """Type a text, choose a vocabulary, move through the merges. The widget has the parts
    `.vocabulary`, `.text`, `.step` and `.says`, and `.words()` gives the state as plain text."""

    def picture(tokenizer: BPETokenizer, text: str, rows: list, step: int) -> str:
        made = merged_at(rows[step - 1], rows[step]) if step else None
        pieces = Pieces(tokenizer.encode_pieces(text), tokenizer.encode(text))
        return (
            f"<div style='max-width:46em;line-height:1.5'>{symbols_html(rows[step], made)}</div>"
            f"<div>{escape(sentence(tokenizer, rows, step))}</div>"
            f"<div style='margin-top:.8em'>{end(pieces, text)}</div>{pieces._repr_html_()}"
        )

    def words(tokenizer: BPETokenizer, text: str, rows: list, step: int) -> str:
        pieces = Pieces(tokenizer.encode_pieces(text))
        lines = ("|".join(rows[step]), sentence(tokenizer, rows, step), end(pieces, text))
        return "\n".join([*lines, repr(pieces)])

    def end(pieces: Pieces, text: str) -> str:
        return f"In the end: {len(pieces.pieces)} pieces for {len(text.encode('utf-8'))} bytes."

    def make():
        import ipywidgets

        wide = ipywidgets.Layout(width="38em")
        style = {"description_width": "6em"}
        vocabulary = ipywidgets.Dropdown(
            options=list(tokenizers), description="vocabulary", style=style, layout=wide
        )
        box_text = ipywidgets.Text(value=text, description="text", style=style, layout=wide)
        step = ipywidgets.IntSlider(
            value=0, min=0, max=1, description="merges", style=style, layout=wide
        )
        says = ipywidgets.HTML()
        state = {}

        def show(_=None) -> None:
            says.value = picture(*state["now"], step.value)

        def restart(_=None) -> None:
            tokenizer, typed = tokenizers[vocabulary.value], box_text.value[:LONGEST]
            try:
                rows = list(tokenizer.merge_steps(typed)) if typed else [[]]
            except ValueError as error:  # half an emoji, while it is being typed
                says.value = escape(str(error))
                return
            state["now"] = tokenizer, typed, rows
            step.max = len(rows) - 1  # a slider that stands beyond it moves back by itself
            show()

        step.observe(show, "value")
        vocabulary.observe(restart, "value")
        box_text.observe(restart, "value")
        restart()
        box = ipywidgets.VBox([vocabulary, box_text, step, says])
        box.vocabulary, box.text, box.step, box.says = vocabulary, box_text, step, says
        box.words = lambda: words(*state["now"], step.value)
        return box

    tokenizer = next(iter(tokenizers.values()))
    rows = list(tokenizer.merge_steps(text))
    static = Steps(rows)
    pieces = Pieces(tokenizer.encode_pieces(text), tokenizer.encode(text))
    html = f"{static._repr_html_()}<p>In the end:</p>{pieces._repr_html_()}"
    return Live(html, f"{static}\n{pieces}", make)
