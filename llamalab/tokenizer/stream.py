"""Cutting a long text, which comes in chunks of any size, into blocks that end with a newline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .text import check_text


def blocks(chunks: Iterable[str]) -> Iterator[tuple[str, bool, bool]]:
    """(text, is it the first block, is it the last), whole lines in each; none for an empty text.

    Holds one block back, because only the end of the chunks tells which block is the last.
    """
    held = ""  # whole lines, waiting
    line: list[str] = []  # the parts of a line that has not ended yet
    first, position = True, 0
    for chunk in chunks:
        check_text(chunk, position)
        position += len(chunk)
        whole, newline, rest = chunk.rpartition("\n")
        if newline:
            if held:
                yield held, first, False
                first = False
            held = "".join(line) + whole + newline
            line = []
        if rest:
            line.append(rest)
    end = "".join(line)
    if held and end:
        yield held, first, False
        first = False
    if held or end:
        yield end or held, first, True
