"""What a text is: a str that UTF-8 can write, its spaces written ▁, cut where no merge crosses."""

from __future__ import annotations

import re

SPACE = "▁"  # U+2581, how a space is written inside pieces


def check_text(text: str, start: int = 0) -> str:
    """`text` itself, if it is a string that UTF-8 can write; positions are counted from `start`.

    TypeError for anything but a str; ValueError for a lone surrogate.
    """
    if not isinstance(text, str):
        raise TypeError(f"a text must be a str, not {type(text).__name__}: {text!r:.60}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"the text has a lone surrogate, U+{ord(text[error.start]):04X}, at position "
            f"{start + error.start}: half of a character, which UTF-8 cannot write"
        ) from None
    return text


# A segment runs up to the next ▁ that follows something else: "▁▁to", "▁be".
segments = re.compile(f"{SPACE}+[^{SPACE}]*|[^{SPACE}]+").findall
