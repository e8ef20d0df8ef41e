"""The tales: a little story world whose truth is known, the data of the course.

`tell(number)` tells a story and says what is true in it; `judge(text)` reads a text alone and says
whether names, things and places stay straight, how kind it is, and whether it is whole.
"""

from .corpus import folder as folder
from .judge import Verdict as Verdict
from .judge import judge as judge
from .request import Request as Request
from .story import Story as Story
from .story import stories as stories
from .story import tell as tell
