"""Formulas as MathML, which browsers draw by themselves: no script, no font, no network.

The notebooks write TeX between dollars, for MathJax. The book and the slides go through here.
"""

import re

from latex2mathml.converter import convert

# What latex2mathml does not know, in words that it does. A test shows that nothing else is left.
ITS_WORDS = {r"\arg": r"\text{arg}\,", r"\_": "_"}
# ln p, not lnp: the name of a function stands a little apart from what is not in brackets.
FUNCTION = r"<mi>(ln|sin|cos)</mi>"
THIN = '<mspace width="0.17em"/>'


def formula(tex: str, *, block: bool) -> str:
    """A `<math>` element for the TeX between two dollars; `block` gives it a line of its own."""
    for theirs, ours in ITS_WORDS.items():
        tex = tex.replace(theirs, ours)
    math = convert(tex, display="block" if block else "inline")
    math = re.sub(rf"(</m\w+>){FUNCTION}", rf"\1{THIN}<mi>\2</mi>", math)
    return re.sub(rf"{FUNCTION}(?!<mo)", rf"<mi>\1</mi>{THIN}", math)
