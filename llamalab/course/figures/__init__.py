"""One visual language for the whole course: figures, tables, and things to play with.

Every figure carries a caption and alt text, every colour pair can be told apart by colour-blind
readers, and every widget has a static twin. What one lesson alone draws stands in its folder.
"""

from llamalab.course.figures.figure import COLOURS, Figure, figure
from llamalab.course.figures.live import Live
from llamalab.course.figures.model_map import model_map
from llamalab.course.figures.table import Table, table
from llamalab.course.figures.tokens import pieces

__all__ = ["COLOURS", "Figure", "Live", "Table", "figure", "model_map", "pieces", "table"]
