"""One visual language for the whole course: figures, tables, and things to play with.

    palette.py   one colour for one thing: QUERY, KEY, VALUE, RESIDUAL, NORM, GATE, LOSS, POLICY …
    figure.py    a picture on its own paper, with the claim as caption, and alt text
    draw.py      labels at the lines (no legends), the claim in the picture, boxes and arrows
    explorer.py  controls, a picture, a sentence        html.py  the one place that writes HTML
    chat.py      a conversation, with one model or several side by side
    monitor.py   a picture that grows while a loop runs
    table.py, tokens.py, model_map.py, live.py

    with figure("With a cache the line is straight.", alt="Two lines …") as fig:
        fig.axes.plot(tokens, with_cache, color=palette.CACHE)
        fig.axes.plot(tokens, without, color=palette.FAINT)
        fig.axes.set(xlabel="tokens written", ylabel="time (s)")
        label_lines(fig.axes, [(tokens[-1], with_cache[-1], "with a cache", palette.CACHE),
                               (tokens[-1], without[-1], "without", palette.FAINT)])
        claim(fig.axes, "every token read again", at=(300, 8.1), to=(150, 10))

What one lesson alone draws stands in its folder. Every figure carries a caption that says the claim
and not the axes, and alt text that says it to those who cannot see it.
"""

from llamalab.course.figures import palette
from llamalab.course.figures.chat import chat_box
from llamalab.course.figures.draw import arrow, blank, box, claim, label_lines, note
from llamalab.course.figures.explorer import Choice, Slider, Switch, Words, explorer
from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live
from llamalab.course.figures.model_map import model_map
from llamalab.course.figures.table import Table, table
from llamalab.course.figures.tokens import pieces

__all__ = ["COLOURS", "Choice", "Figure", "Live", "Slider", "Switch", "Table", "Words", "arrow",
           "blank", "box", "chat_box", "claim", "explorer", "figure", "label_lines", "model_map",
           "note", "palette", "pieces", "table"]  # fmt: skip
