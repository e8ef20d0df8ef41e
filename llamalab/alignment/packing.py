"""Packing: several dialogues in one row, so that little of it is padding.

    <s>[INST] … [/INST] an answer </s> <s>[INST] … </s> then padding, under mask 0

First fit: a dialogue goes into the first open row that has room for it, else into a new one. Only
`open_rows` rows are open at a time, so that packing millions of dialogues does not search all of
them; the fullest is closed first. Nothing is cut. Attention crosses from a dialogue to the next;
whether Llama 2's did is not published. When that does harm, and what helps, stands in `sft`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from llamalab.alignment.sft import Example


class Packed(NamedTuple):
    """Rows of seq_len + 1 ids and as many weights each; and how many dialogues were too long."""

    rows: list[tuple[list[int], list[float]]]
    left_out: int


def pack(examples: Iterable[Example], seq_len: int, *, fill: int, open_rows: int = 64) -> Packed:
    """Examples (ids, weights) -> rows for `training.train`, filled up with the id `fill`, EOS say.

    The weights move with their ids. The first of each example is made 0: in a row it would be
    learned from the end of another. An example of more than seq_len + 1 ids is left out. ValueError
    if none fits, or if ids and weights are not alike in number.
    """
    if seq_len < 1 or open_rows < 1:
        raise ValueError(f"seq_len={seq_len} and open_rows={open_rows} must be at least 1")
    size, left_out = seq_len + 1, 0
    going: list[list[tuple[list[int], list[float]]]] = []
    done: list[list[tuple[list[int], list[float]]]] = []

    def filled(row: Sequence[tuple[list[int], list[float]]]) -> int:
        return sum(len(ids) for ids, _ in row)

    for ids, weights in examples:
        if len(ids) != len(weights) or not len(ids):
            raise ValueError(f"{len(ids)} ids and {len(weights)} weights: one each, and some")
        if len(ids) > size:
            left_out += 1
            continue
        own = list(ids), [0.0, *(float(weight) for weight in weights[1:])]
        place = next((row for row in going if filled(row) + len(ids) <= size), None)
        if place is not None:
            place.append(own)
            continue
        if len(going) == open_rows:
            fullest = max(range(len(going)), key=lambda n: filled(going[n]))
            done.append(going.pop(fullest))
        going.append([own])
    if not (done or going):
        raise ValueError(f"none of {left_out} dialogues fits into {seq_len} + 1 tokens")
    return Packed([_joined(row, size, fill) for row in done + going], left_out)


def _joined(
    row: Sequence[tuple[list[int], list[float]]], size: int, fill: int
) -> tuple[list[int], list[float]]:
    ids = [i for part, _ in row for i in part]
    weights = [weight for _, part in row for weight in part]
    empty = size - len(ids)
    return ids + [fill] * empty, weights + [0.0] * empty
