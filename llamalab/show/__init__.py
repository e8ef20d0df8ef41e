"""Pictures, tables and things to play with. Every figure carries a caption and alt text, every
colour pair can be told apart by colour-blind readers, and every widget has a static twin."""

from llamalab.show.compression import compression, work
from llamalab.show.figure import COLOURS, Figure, figure
from llamalab.show.merges import merge_explorer, steps
from llamalab.show.model_map import model_map
from llamalab.show.norms import clouds, eps_explorer, growth_by_depth, left_by_depth
from llamalab.show.sizes import shares, size_explorer
from llamalab.show.table import Table, table
from llamalab.show.tokens import pieces
from llamalab.show.widgets import Live

__all__ = ["COLOURS", "Figure", "Live", "Table", "clouds", "compression", "eps_explorer",
           "figure", "growth_by_depth", "left_by_depth", "merge_explorer", "model_map", "pieces",
           "shares", "size_explorer", "steps", "table", "work"]  # fmt: skip
