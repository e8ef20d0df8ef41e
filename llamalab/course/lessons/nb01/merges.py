"""How a text is put together from its characters: merge after merge, and the pieces at the end.

In a row of symbols the piece that was just made is framed; in a tree it stands above its halves.
The rows come from the tokenizer's own `merge_steps`, which is the slow definition of encoding.
"""

from collections.abc import Mapping, Sequence

from llamalab.course.figures import Choice, Figure, Live, Slider, Words, explorer, figure, palette
from llamalab.course.figures.draw import box, note
from llamalab.course.figures.html import Html, tag
from llamalab.course.figures.tokens import PAPER, Pieces
from llamalab.tokenizer import BPETokenizer

LONGEST = 200  # characters: encoding step by step looks at every pair again after every merge
WIDEST = 26  # characters that a tree has room for
DRAWN = 0x2600  # the fonts of a drawing end about here; a page has letters for all


class Steps:
    """Rows of symbols, each one merge further than the row above it."""

    def __init__(self, rows: Sequence[Sequence[str]]):
        self.rows = [list(row) for row in rows]

    def __repr__(self) -> str:
        return "\n".join(f"{i:>3}  {'|'.join(row)}" for i, row in enumerate(self.rows))

    def _repr_html_(self) -> Html:
        lines = []
        for i, row in enumerate(self.rows):
            made = merged_at(self.rows[i - 1], row) if i else None
            number = tag("td", i, style="text-align:right;padding-right:.8em")
            lines.append(tag("tr", number, tag("td", symbols(row, made), style="text-align:left")))
        return tag("table", *lines, style="border-collapse:collapse")


def steps(rows: Sequence[Sequence[str]]) -> Steps:
    """Show the symbols after each merge, numbered from 0, where nothing is merged yet."""
    return Steps(rows)


def merged_at(before: Sequence[str], after: Sequence[str]) -> int | None:
    """The place in `after` of the symbol that one merge made. None if nothing was merged."""
    if len(after) >= len(before):
        return None
    same = (i for i, (a, b) in enumerate(zip(before, after)) if a != b)
    return next(same, None)


def made_at(rows: Sequence[Sequence[str]], step: int) -> str:
    """The piece that merge `step`, counted from 1, has made."""
    at = merged_at(rows[step - 1], rows[step])
    if at is None:
        raise ValueError(f"nothing was merged at step {step}")
    return rows[step][at]


def symbols(row: Sequence[str], made: int | None = None) -> Html:
    """Symbols in a row, the one at `made` framed. A character keeps its colour while others
    merge, because a symbol takes the colour of its first character."""
    spans, place = [], 0
    for i, symbol in enumerate(row):
        # Within the light sheet: on a dark page a frame around it could not be seen.
        frame = f"outline:2px solid {palette.BLACK};outline-offset:-4px;" if i == made else ""
        style = (
            f"display:inline-block;background:{PAPER[place % len(PAPER)]};color:#000;"
            f"padding:.15em .45em;margin:.08em;{frame}border-radius:.2em;font-family:monospace"
        )
        spans.append(tag("span", symbol, style=style))
        place += len(symbol)
    return tag("div", *spans, style="max-width:46em;line-height:1.5")


def sentence(tokenizer: BPETokenizer, rows: Sequence[Sequence[str]], step: int) -> str:
    """What happened at one step, in words."""
    last = len(rows) - 1
    if not rows[0]:
        return "No text, no pieces."
    if step == 0:
        return f"Before any merge: {len(rows[0])} characters, the ▁ in front included."
    made = merged_at(rows[step - 1], rows[step])
    assert made is not None  # each row is one merge further than the one above it
    a, b, piece = rows[step - 1][made], rows[step - 1][made + 1], rows[step][made]
    score = tokenizer.scores[tokenizer.piece_to_id(piece)] + 0.0  # and not "-0"
    return f"Merge {step} of {last}: {a} + {b} = {piece}, score {score:g}."


def merge_tree(
    rows: Sequence[Sequence[str]], scores: Mapping[str, float], *, upto: int | None = None
) -> Figure:
    """The characters below, above them each piece at the height of the merge that made it, with
    its score. `upto` draws that many merges."""
    last = len(rows) - 1 if upto is None else min(upto, len(rows) - 1)
    ends = rows[last]
    caption = (
        f"The characters merge in the order of the scores, not from left to right: "
        f"{len(rows[0])} characters become {len(ends)} pieces."
    )
    made = [made_at(rows, i) for i in range(1, last + 1)]
    alt = (
        f"A tree over the characters {' '.join(rows[0])}. From below: "
        + ", ".join(f"merge {i} makes {piece}" for i, piece in enumerate(made, 1))
        + f". At the top, without a parent: {' '.join(ends)}."
    )
    width = max(5.2, 0.42 * len(rows[0]) + 2.2)
    with figure(caption, alt=alt, width=width, height=1.5 + 0.36 * max(len(rows) - 1, 1)) as fig:
        _grow(fig.axes, rows, last, scores)
    return fig


def _grow(axes, rows: Sequence[Sequence[str]], last: int, scores: Mapping[str, float]) -> None:
    tops = [(i + 0.5, 0.0) for i in range(len(rows[0]))]  # where each symbol of the row stands
    drawn = [(*top, symbol) for top, symbol in zip(tops, rows[0])]
    for step in range(1, last + 1):
        at = merged_at(rows[step - 1], rows[step])
        assert at is not None  # each row is one merge further than the one above it
        (x1, y1), (x2, y2) = tops[at], tops[at + 1]
        top = ((x1 + x2) / 2, float(step))
        for x, y in ((x1, y1), (x2, y2)):
            axes.plot([x, x, top[0]], [y, step, step], color=palette.FAINT, linewidth=1.2, zorder=1)
        tops[at : at + 2] = [top]
        drawn.append((*top, rows[step][at]))
    finished = set(tops)
    for x, y, symbol in drawn:
        fill = palette.LIT if (x, y) in finished else None
        box(axes, x, y, symbol, palette.INK if fill else palette.FAINT, fill=fill, size=9,
            mono=True, pad=0.22)  # fmt: skip
    right = len(rows[0]) + 0.5
    for step in range(1, last + 1):
        piece = made_at(rows, step)
        axes.plot([0, right - 0.2], [step, step], color=palette.GRID, linewidth=0.7, zorder=0)
        words = f"{step}   score {scores[piece] + 0.0:g}"
        note(axes, right, step, words, ha="left", size=8)
    note(axes, right, 0, "characters", ha="left", size=8)
    note(axes, 0, len(rows) - 0.25, "yellow: a piece of the result", ha="left", size=8)
    axes.set_xlim(-0.2, right + 2.2)
    axes.set_ylim(-0.6, len(rows))
    axes.set_axis_off()


def merge_explorer(tokenizers: Mapping[str, BPETokenizer], text: str) -> Live:
    """Type a text, choose a vocabulary, move through the merges. Beyond the last merge nothing
    happens any more."""

    def rows_of(vocabulary: str, text: str) -> list:
        return list(tokenizers[vocabulary].merge_steps(text[:LONGEST])) if text else [[]]

    def words(vocabulary: str, text: str, merges: int) -> str:
        try:
            rows = rows_of(vocabulary, text)
        except ValueError as error:  # half an emoji, while it is being typed
            return str(error)
        step = min(merges, len(rows) - 1)
        pieces = tokenizers[vocabulary].encode_pieces(text[:LONGEST])
        end = f"In the end: {len(pieces)} pieces for {len(text[:LONGEST].encode('utf-8'))} bytes."
        return f"{sentence(tokenizers[vocabulary], rows, step)} {end}"

    def picture(vocabulary: str, text: str, merges: int):
        try:
            rows = rows_of(vocabulary, text)
        except ValueError:
            return Html("")
        step = min(merges, len(rows) - 1)
        if 0 < len(rows[0]) <= WIDEST and all(ord(c) < DRAWN for c in "".join(rows[0])):
            tokenizer = tokenizers[vocabulary]
            made = {piece for row in rows for piece in row if len(piece) > 1}
            scores = {piece: tokenizer.scores[tokenizer.piece_to_id(piece)] for piece in made}
            return merge_tree(rows, scores, upto=step)
        return symbols(rows[step], merged_at(rows[step - 1], rows[step]) if step else None)

    def more(vocabulary: str, text: str, merges: int) -> Html:
        tokenizer, text = tokenizers[vocabulary], text[:LONGEST]
        try:
            pieces = Pieces(tokenizer.encode_pieces(text), tokenizer.encode(text))
        except ValueError:
            return Html("")
        return pieces._repr_html_()

    names = tuple(tokenizers)
    longest = max(len(rows_of(name, text)) - 1 for name in names)
    return explorer(
        [
            Choice("vocabulary", names[0], names),
            Words("text", text),
            Slider("merges", longest, 0, max(longest, 30)),
        ],
        picture=picture,
        words=words,
        more=more,
    )
