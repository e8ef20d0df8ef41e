"""The plots: what goes wrong, why, who does what about it, and how it ends. One file each.

A plot begins one way and goes on in several: a friend helps or does not, a lie is owned up to or
found out. Their order is part of the format, as in world.py.
"""

from .brave import BRAVE
from .broken import BROKEN
from .foundling import FOUNDLING
from .greedy import GREEDY
from .lie import LIE
from .lost import LOST
from .need import NEED
from .race import RACE
from .secret import SECRET
from .shape import Branch as Branch
from .shape import Plot as Plot
from .sharing import SHARING
from .storm import STORM
from .wish import WISH

PLOTS = (LOST, BROKEN, SHARING, STORM, RACE, SECRET, BRAVE, LIE, NEED, GREEDY, WISH, FOUNDLING)
