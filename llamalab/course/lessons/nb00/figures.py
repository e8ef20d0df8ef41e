"""Where a model's parameters are: the drawing of a model with a bar of its parts beneath it,
for any preset; to choose from, or all of them as a table."""

from llamalab.accounting import count_parameters
from llamalab.config import LlamaConfig
from llamalab.course.figures import Choice, Live, explorer, model_map, palette, table
from llamalab.course.figures.html import Html, join, tag
from llamalab.course.figures.table import Table

COLOURS = {
    "embedding": palette.SKY,
    "attention": palette.ATTENTION,
    "feed_forward": palette.GATE,
    "norms": palette.NORM,
    "output": palette.GREEN,
}
PARTS = tuple(COLOURS)


def shares(names: tuple[str, ...]) -> Table:
    """One row a preset: its parameters, and how many in a hundred stand in each part."""
    rows = []
    for name in names:
        counts = count_parameters(LlamaConfig.from_name(name))
        parts = (f"{100 * counts[part] / counts['total']:.2f} %" for part in PARTS)
        rows.append((name, counts["total"], *parts))
    head = ("model", "parameters", *(part.replace("_", "-") for part in PARTS))
    return table(head, rows)


def size_explorer(names: tuple[str, ...]) -> Live:
    """Choose a preset; see its drawing and where its parameters are. The widget has `.model` and
    `.words`."""
    return explorer([Choice("model", names[0], names)], picture=picture, words=sentence)


def sentence(model: str) -> str:
    """The largest part of a preset, in words."""
    counts = count_parameters(LlamaConfig.from_name(model))
    largest = max(PARTS, key=counts.__getitem__)
    share = 100 * counts[largest] / counts["total"]
    words = largest.replace("_", "-")
    return f"{model}: {counts['total']:,} parameters, {share:.0f} % of them in the {words} part"


def picture(model: str) -> Html:
    """The model's map, and its parameters as one bar: a word under each part that has room for it,
    the others named beneath."""
    config = LlamaConfig.from_name(model)
    counts = count_parameters(config)
    cells, words, rest = [], [], []
    for part, colour in COLOURS.items():
        share = 100 * counts[part] / counts["total"]
        name = f"{part.replace('_', '-')} {share:.2f} %"
        wide = f"width:{share:.3f}%;overflow:hidden"
        cells.append(tag("div", style=f"{wide};background:{colour};height:1.2em"))
        label = tag("span", name, style=f"color:{palette.INK}") if share > 25 else ""
        words.append(tag("div", label, style=f"{wide};white-space:nowrap"))
        if not label:
            rest += [tag("span", "■", style=f"color:{colour}"), f" {name}   "]
    row = "display:flex;width:480px"
    card = f"display:inline-block;background:{palette.PAPER};border-radius:6px;padding:6px"
    card += f";color:{palette.INK};font-size:13px"
    bar = (tag("div", *cells, style=row), tag("div", *words, style=row), tag("div", *rest))
    return join(model_map(config)._repr_html_(), tag("div"), tag("div", *bar, style=card))
