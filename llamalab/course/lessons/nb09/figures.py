"""Pictures for the lesson on chat: a turn with its tokens, tags and mask; the mask and its shift;
examples packed into rows; the two dialogs of ghost attention."""

from collections.abc import Sequence

import torch

from llamalab.course.figures import arrow, blank, box, figure, note, palette
from llamalab.course.figures.figure import Figure
from llamalab.course.figures.html import Html, tag

# What a token is: the frame and the paper of its box.
KINDS = {
    "end": (palette.INK, palette.GRID),
    "tag": (palette.ORANGE, "#FBEBC4"),
    "user": (palette.FAINT, palette.PAPER),
    "answer": (palette.POLICY, "#D3E6F3"),
}
NAMES = {"end": "an id", "tag": "tag: text", "user": "the user's", "answer": "the model's"}


def kinds_of(pieces: Sequence[str], mask: Sequence[int]) -> list[str]:
    """What each piece of one turn is: "end", "tag", "user", "answer". The tags are found by their
    letters, at the two ends of the prompt."""
    kinds = ["end" if piece in ("<s>", "</s>") else "answer" if counts else "user"
             for piece, counts in zip(pieces, mask)]  # fmt: skip
    prompt = [i for i, kind in enumerate(kinds) if kind == "user"]
    for places, letters in ((prompt, "[INST]"), (prompt[::-1], "[/INST]")):
        held = ""
        for i in places:
            if letters in held.replace("▁", ""):
                break
            shown = _letter(pieces[i])
            held = held + shown if places is prompt else shown + held
            kinds[i] = "tag"
        if places is not prompt and not held.startswith("▁"):
            alone = next((i for i in places if kinds[i] == "user"), None)
            if alone is not None and pieces[alone] == "▁":  # the space before the tag
                kinds[alone] = "tag"
    return kinds


def _letter(piece: str) -> str:
    """A byte piece as the letter that it is."""
    is_byte = piece.startswith("<0x") and len(piece) == 6
    return chr(int(piece[3:5], 16)) if is_byte else piece


def chat_turn(
    pieces: Sequence[str], ids: Sequence[int], mask: Sequence[int], a_line: int = 13
) -> Figure:
    """One turn, token by token: the piece, its id, and whether it is learned."""
    if not len(pieces) == len(ids) == len(mask):
        raise ValueError(f"{len(pieces)} pieces, {len(ids)} ids and {len(mask)} marks")
    kinds, count = kinds_of(pieces, mask), sum(mask)
    shown = [_letter(piece) if _letter(piece).isprintable() else piece for piece in pieces]
    caption = (
        f"Of the {len(ids)} tokens of this turn, {count} are learned: the answer, the space behind "
        "it, and </s>, without which nothing would ever end."
    )
    alt = "A chat turn as a row of tokens. " + " ".join(
        f"{piece} ({kind}{', learned' * bool(counts)})"
        for piece, kind, counts in zip(shown, kinds, mask)
    )
    lines = -(-len(ids) // a_line)
    with figure(caption, alt=alt, width=8.8, height=1.55 * lines + 0.1) as fig:
        axes = fig.axes
        blank(axes, a_line + 1, 1.8 * lines + 0.05)
        for i, (piece, kind, counts) in enumerate(zip(shown, kinds, mask)):
            line, place = divmod(i, a_line)
            x, y = place + 1.5, 1.8 * (lines - line) - 0.7
            frame, paper = KINDS[kind]
            box(axes, x, y, piece, frame, fill=paper, size=10, mono=True, pad=0.3)
            note(axes, x, y - 0.45, f"{ids[i]}", size=8)
            learned = palette.POLICY if counts else palette.FAINT
            note(axes, x, y - 0.78, "1" if counts else "0", colour=learned, size=10,
                 weight="bold" if counts else "normal")  # fmt: skip
            if counts:
                axes.plot([x - 0.4, x + 0.4], [y - 0.98] * 2, color=palette.POLICY, linewidth=3)
        for line in range(lines):
            y = 1.8 * (lines - line) - 0.7
            for below, name in ((0.45, "id"), (0.78, "learned")):
                note(axes, 0.1, y - below, name, ha="left", colour=palette.INK, size=9)
            _names(axes, kinds[line * a_line : (line + 1) * a_line], y + 0.52)
    return fig


def _names(axes, kinds: Sequence[str], y: float) -> None:
    """Over each run of one kind, what it is."""
    start = 0
    for i in range(1, len(kinds) + 1):
        if i == len(kinds) or kinds[i] != kinds[start]:
            name, colour = NAMES[kinds[start]], palette.for_words(KINDS[kinds[start]][0])
            note(axes, 1 + (start + i) / 2, y, name, colour=colour, size=9)
            start = i


def mask_and_shift(pieces: Sequence[str], mask: Sequence[int]) -> Figure:
    """Inputs above, targets below, an arrow for each prediction: thick where it is counted."""
    if len(pieces) != len(mask) or len(pieces) < 2:
        raise ValueError(f"{len(pieces)} pieces and {len(mask)} marks: one each, and two at least")
    shown = [_letter(piece) if _letter(piece).isprintable() else piece for piece in pieces]
    first = mask.index(1) if 1 in mask else 0
    caption = (
        f"The mask belongs to the targets: the first answer token, {shown[first]}, is predicted "
        f"from {shown[first - 1]}, which is not learned itself."
    )
    alt = "Inputs above, targets below, each one further. Counted: " + ", ".join(
        f"{shown[i - 1]} to {shown[i]}" for i in range(1, len(mask)) if mask[i]
    )
    width = len(pieces)
    with figure(caption, alt=alt, width=8.8, height=2.3) as fig:
        axes = fig.axes
        blank(axes, width + 1, 3.0)
        note(axes, 0.1, 2.4, "inputs", ha="left", colour=palette.INK)
        note(axes, 0.1, 0.6, "targets", ha="left", colour=palette.INK)
        for i in range(width - 1):
            x, counts = i + 1.6, bool(mask[i + 1])
            colour = palette.POLICY if counts else palette.GRID
            arrow(axes, (x, 2.05), (x, 0.98), colour, width=2.4 if counts else 1.0)
            for y, j in ((2.4, i), (0.6, i + 1)):
                frame, paper = KINDS["answer" if mask[j] else "user"]
                box(axes, x, y, shown[j], frame, fill=paper, size=9, mono=True, pad=0.25)
    return fig


def packing(rows: torch.Tensor, masks: torch.Tensor, starts: Sequence[Sequence[int]]) -> Figure:
    """rows, masks (R, T + 1) as `pack_examples` gives them; starts[r] is where each example of row
    r begins, and last where its filling does. Above, the same examples a row each."""
    lengths = [b - a for row in starts for a, b in zip(row, row[1:])]
    width, held = rows.shape[1], sum(lengths)
    alone, packed = (held / (n * width) for n in (len(lengths), len(rows)))
    caption = (
        f"Packed, {len(lengths)} examples take {len(rows)} rows in place of {len(lengths)}: "
        f"{packed:.0%} of all places hold text, and not {alone:.0%}."
    )
    alt = (
        f"Rows of {width} places. Left, an example a row: {', '.join(map(str, lengths))} tokens, "
        f"the rest is filling. Right, the same examples packed whole: "
        + "; ".join(
            " + ".join(str(b - a) for a, b in zip(row, row[1:])) + f", {width - row[-1]} free"
            for row in starts
        )
        + ". Answers, which are learned, are dark."
    )
    examples = [(r, a, b) for r, row in enumerate(starts) for a, b in zip(row, row[1:])]
    with figure(caption, alt=alt, width=8.8, height=0.42 * len(lengths) + 0.9, columns=2) as fig:
        for axes, name in zip(fig.axes, ("an example a row", "packed")):
            blank(axes, width, len(lengths) + 1)
            note(axes, width / 2, len(lengths) + 0.6, name, colour=palette.INK, size=10)
        for number, (r, a, b) in enumerate(examples):
            for axes, row, shift in ((fig.axes[0], number, -a), (fig.axes[1], r, 0)):
                y = len(lengths) - row - 0.5
                for i in range(a, b):
                    learned = bool(masks[r, i])
                    _cell(axes, i + shift, y, palette.POLICY if learned else "#C9C4B5")
                note(axes, a + shift + 0.5, y, f"{number + 1}", colour=palette.INK, size=8)
                axes.plot([b + shift] * 2, [y - 0.4, y + 0.4], color=palette.INK, linewidth=1.6)
                if axes is fig.axes[0] or (
                    number + 1 == len(examples) or examples[number + 1][0] != r
                ):
                    for i in range(b + shift, width):
                        _cell(axes, i, y, palette.PAPER)
    return fig


def _cell(axes, x: float, y: float, colour: str) -> None:
    axes.add_patch(_rectangle(x + 0.05, y - 0.36, colour))


def _rectangle(x: float, y: float, colour: str):
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 0.9, 0.72, facecolor=colour, edgecolor=palette.GRID, linewidth=0.6)


class TwoDialogs:
    """The dialog that is sampled and the one that is trained on, side by side."""

    def __init__(self, sampled: Sequence[dict], kept: Sequence[dict], counts: Sequence[int],
                 instruction: str):  # fmt: skip
        if not len(sampled) == len(kept) == len(counts):
            raise ValueError(f"{len(sampled)}, {len(kept)} messages and {len(counts)} counts")
        self._rows = list(zip(sampled, kept, counts))
        self._instruction = instruction

    def __repr__(self) -> str:
        return "\n".join(
            f"{one['role']:>9}  {one['content']}  |  {other['content']}{'  learned' * counts}"
            for one, other, counts in self._rows
        )

    def _repr_html_(self) -> Html:
        def message(content: str, learned: bool, role: str) -> Html:
            before, found, behind = content.partition(self._instruction)
            lit = f"background:{palette.LIT};border-radius:3px;padding:0 .2em"
            edge = KINDS["answer"][0] if role == "assistant" else palette.FAINT
            thick = 6 if learned else 2
            style = f"border-left:{thick}px solid {edge};padding:.15em .6em;color:{palette.INK}"
            style += f";background:{palette.PAPER}"  # a page stripes its tables, dark if it is dark
            mark = tag("b", " learned", style=f"color:{palette.for_words(palette.POLICY)}")
            return tag("td", before, tag("span", found, style=lit) if found else "", behind,
                       mark if learned else "",
                       style=style + ";text-align:left;width:50%")  # fmt: skip

        head = tag("tr", tag("th", "while it is sampled", style="text-align:left"),
                   tag("th", "what is trained on", style="text-align:left"))  # fmt: skip
        rows = [
            tag(
                "tr",
                message(a["content"], False, a["role"]),
                message(b["content"], bool(n), b["role"]),
            )
            for a, b, n in self._rows
        ]
        card = f"background:{palette.PAPER};color:{palette.INK};border-radius:6px;padding:6px"
        below = "While the answers are sampled the order stands in every message; afterwards only "
        below += "in the first, and nothing but the last answer is learned."
        return tag(
            "figure",
            tag("table", tag("thead", head), tag("tbody", *rows),
                style=card + ";border-collapse:separate;border-spacing:4px;width:100%"),
            tag("figcaption", below, style="opacity:.85;margin-top:.3em"),
            style="margin:.5em 0;max-width:46em",
        )  # fmt: skip


def two_dialogs(
    sampled: Sequence[dict], kept: Sequence[dict], counts: Sequence[int], instruction: str
) -> TwoDialogs:
    """Show ghost attention's two dialogs, the instruction lit wherever it stands."""
    return TwoDialogs(sampled, kept, counts, instruction)
