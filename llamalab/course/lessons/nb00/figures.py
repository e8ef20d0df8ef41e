"""Where a model's parameters are: the drawing of a model with a bar of its parts beneath it,
for any preset; to choose from, or all of them as a table."""

from html import escape

from llamalab.accounting import count_parameters
from llamalab.config import LlamaConfig
from llamalab.course.figures.figure import COLOURS
from llamalab.course.figures.live import Live
from llamalab.course.figures.model_map import model_map
from llamalab.course.figures.table import Table, table

PARTS = ("embedding", "attention", "feed_forward", "norms", "output")


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
    """Choose a preset; see its drawing and where its parameters are. `widget.choice` is the
    drop-down, `widget.says` the line of text under the picture."""

    def make():
        import ipywidgets

        choice = ipywidgets.Dropdown(options=names, description="model")
        picture, says = ipywidgets.HTML(), ipywidgets.Label()

        def show(_=None) -> None:
            picture.value = _picture(choice.value)
            says.value = sentence(choice.value)

        choice.observe(show, "value")
        show()
        box = ipywidgets.VBox([choice, picture, says])
        box.choice, box.says = choice, says
        return box

    html = f"{_picture(names[0])}<div>{escape(sentence(names[0]))}</div>"
    return Live(html, sentence(names[0]), make)


def sentence(name: str) -> str:
    """The largest part of a preset, in words."""
    counts = count_parameters(LlamaConfig.from_name(name))
    largest = max(PARTS, key=counts.__getitem__)
    share = 100 * counts[largest] / counts["total"]
    words = largest.replace("_", "-")
    return f"{name}: {counts['total']:,} parameters, {share:.0f} % of them in the {words} part"


def _picture(name: str) -> str:
    config = LlamaConfig.from_name(name)
    counts = count_parameters(config)
    cells, legend = [], []
    for part, colour in zip(PARTS, COLOURS):
        share = 100 * counts[part] / counts["total"]
        name = escape(part.replace("_", "-"))
        cells.append(f"<div style='width:{share:.3f}%;background:{colour};height:1.2em'></div>")
        legend.append(f"<span style='color:{colour}'>■</span> {name} {share:.2f} %")
    bar = f"<div style='display:flex;width:480px'>{''.join(cells)}</div>"
    return f"{model_map(config)._repr_html_()}{bar}<div>{' &nbsp; '.join(legend)}</div>"
