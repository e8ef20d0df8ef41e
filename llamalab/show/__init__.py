"""Pictures, tables and things to play with. Every figure carries a caption and alt text, every
colour pair can be told apart by colour-blind readers, and every widget has a static twin."""

from llamalab.show.figure import COLOURS, Figure, figure
from llamalab.show.model_map import model_map
from llamalab.show.table import Table, table
from llamalab.show.tokens import pieces
from llamalab.show.widgets import Live

__all__ = ["COLOURS", "Figure", "Live", "Table", "figure", "model_map", "pieces", "table"]
