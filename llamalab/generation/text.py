"""stream_text: ids to text as they come, in whole characters.

A character may be several byte pieces (é is <0xC3> <0xA9>), and nobody should see half of one. The
space that encoding puts in front of a text is dropped at its start only. So a new id is decoded
together with a few that came before, and what could still change is held back: up to three U+FFFD
at the end, the sign that `decode` puts for each byte of an unfinished character.
Left out on purpose: tokenizers that rewrite the decoded text by rules (a denormalizer).
"""

from collections.abc import Iterable, Iterator

BROKEN = "\ufffd"
LONGEST = 3  # bytes of a character that still lacks one


def stream_text(tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Pieces of text, never empty, that add up to tokenizer.decode(all ids)."""
    # Some ids whose text is final. Behind them no space is dropped any more.
    start: list[int] = []
    length = 0  # of their text
    waiting: list[int] = []  # ids whose text is not final, or not there, yet
    sent = 0  # how much of it has been handed out
    text = ""
    for i in ids:
        waiting.append(i)
        text = tokenizer.decode(start + waiting)[length:]
        broken = len(text) - len(text.rstrip(BROKEN))
        whole = len(text) - min(broken, LONGEST)
        if whole > sent:
            yield text[sent:whole]
            sent = whole
        if text and not broken:
            if not start:
                start, length = waiting, len(text)
            waiting, sent, text = [], 0, ""
    if text[sent:]:
        yield text[sent:]  # nothing can mend it now
